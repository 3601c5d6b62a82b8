"""Plans: what an organisation may use, given its subscription and its spend limit. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from math import ceil

from conducto_core.billing.model import ChargeParts
from conducto_core.run.model.records import AttemptRecord
from conducto_core.run.model.states import State
from conducto_core.workers.rules.fargate import LARGEST, PRICES, Size, size_for

#: Seconds for which an organisation keeps its paid plan after a failed payment.
GRACE_SECONDS = 7 * 86_400.0
#: Seconds between the attempts to send an e-mail about billing: three days in total.
MAIL_DELAYS = (60, 300, 900, 3600, 4 * 3600, 12 * 3600, 24 * 3600, 30 * 3600)
#: Share of the spend limit at which the owners get an e-mail.
WARNING_SHARE = 0.8
#: Default of the minutes for which commands may run on at the spend limit.
GRACE_MINUTES = 15.0
#: Path of the web app's page about the plan.
PLAN_PAGE = "/organisation/plan"
_HOUR = 3600


def month_of(moment: float) -> str:
    """Return the month of a time, e.g. ``2026-11`` (UTC)."""
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m}"


@dataclass(frozen=True, slots=True)
class BillingPlan:
    """The allowances of an organisation.

    Attributes:
        name: ``free``, ``full``, ``scale`` or a name that an administrator chose.
        max_workers: Concurrent workers.
        max_pipelines: Active pipelines.
        max_cpu: vCPUs of one worker.
        exec_minutes: Worker minutes per month; None: unlimited.
        pipeline_budget: Dollars of each pipeline that has no other budget; None: no budget.
    """

    name: str = "free"
    max_workers: int = 2
    max_pipelines: int = 5
    max_cpu: float = 4.0
    exec_minutes: float | None = 1000.0
    pipeline_budget: float | None = None


FREE = BillingPlan()
#: For organisations of an installation without billing, whose owner pays AWS.
FULL = BillingPlan(
    "full", max_workers=1000, max_pipelines=1000, max_cpu=LARGEST.cpu, exec_minutes=None
)
#: For organisations with a subscription.
SCALE = replace(FULL, name="scale")


class Status(StrEnum):
    """The status of a subscription, with Stripe's names."""

    ACTIVE = "active"
    TRIALING = "trialing"
    PAST_DUE = "past_due"
    UNPAID = "unpaid"
    CANCELED = "canceled"
    INCOMPLETE = "incomplete"
    INCOMPLETE_EXPIRED = "incomplete_expired"
    PAUSED = "paused"


_PAID = frozenset({Status.ACTIVE, Status.TRIALING})
#: Statuses of a subscription that can become active again without another checkout.
LIVE = _PAID | {Status.PAST_DUE, Status.UNPAID, Status.PAUSED}
#: Maximum number of organisations without a subscription that a person owns, with billing.
MAX_UNPAID = 3


@dataclass(frozen=True, slots=True)
class Billing:
    """The part of a subscription that gates workers.

    Attributes:
        status: None: the organisation never had a subscription.
        since: Start of the paid plan; usage before it is not charged.
        started: Start of the subscription, which may be earlier.
        period: First hour of the billing period.
        grace_until: End of the grace period after a failed payment.
        limit: Maximum dollars per billing period, or None.
        limit_set: When the limit or its grace period was last set.
        grace_minutes: Minutes for which commands may run on at the limit.
    """

    status: Status | None = None
    since: float = 0.0
    started: float = 0.0
    period: float = 0.0
    grace_until: float | None = None
    limit: float | None = None
    limit_set: float = 0.0
    grace_minutes: float = GRACE_MINUTES


#: For an organisation without a subscription.
NO_BILLING = Billing()


@dataclass(frozen=True, slots=True)
class EffectivePlan:
    """What an organisation may use now.

    Attributes:
        plan: Its allowances.
        paying: Whether its workers are charged.
        suspended: Whether the spend limit is reached: no worker and no command starts.
    """

    plan: BillingPlan
    paying: bool = False
    suspended: bool = False


def effective(plan: BillingPlan, billing: Billing, accrued: float, now: float) -> EffectivePlan:
    """Return the allowances of an organisation.

    Args:
        plan: The plan that an administrator set, or the installation's default.
        billing: Its subscription.
        accrued: Dollars of the current billing period.
        now: Seconds since the epoch.
    """
    if not is_paying(billing, now):
        return EffectivePlan(plan)
    reached = billing.limit is not None and accrued >= billing.limit
    return EffectivePlan(larger(plan, SCALE), paying=True, suspended=reached)


def is_paying(billing: Billing, now: float) -> bool:
    """Return whether a subscription entitles to the paid plan."""
    if now < billing.since:
        return False
    if billing.status is Status.PAST_DUE:
        return billing.grace_until is None or now < billing.grace_until
    return billing.status in _PAID


def mail_delay(tries: int) -> float | None:
    """Return the seconds after which an e-mail is tried again; None: it is given up."""
    return MAIL_DELAYS[tries - 1] if tries <= len(MAIL_DELAYS) else None


def grace_until(status: Status | None, before: float | None, now: float) -> float | None:
    """Return the end of the grace period: it begins once, with the first failed payment."""
    if status is not Status.PAST_DUE:
        return None
    return now + GRACE_SECONDS if before is None else before


def paid_from(started: float, now: float, used_hours: Iterable[int]) -> float:
    """Return when the paid plan of a new subscription starts.

    An hour is in one invoice only: after an hour in which an earlier subscription has usage, the
    paid plan starts with the next one.

    Args:
        started: Start of the subscription, by the provider's clock.
        now: Seconds since the epoch.
        used_hours: The hours since then that have usage already.
    """
    return max(min(started, now), max(used_hours, default=-_HOUR) + _HOUR)


def first_hour(period_start: float, started: float, since: float) -> float:
    """Return the first hour of a billing period.

    The hour in which a period ends belongs to that period: an hour has one total.

    Args:
        period_start: Start of the period.
        started: Start of the subscription.
        since: Start of the paid plan.
    """
    if period_start <= started:
        return since - since % _HOUR
    return period_start + -period_start % _HOUR


def charged_at(hour: int, started: float) -> int:
    """Return the moment of an hour's total: always the same one, in the period that it counts in.

    The provider ignores usage before the subscription.
    """
    return max(hour, ceil(started))


def is_grace_over(billing: Billing, reached: float, now: float) -> bool:
    """Return whether commands have used up the grace period of the spend limit.

    It starts when the limit is reached, and again when the limit changes.
    """
    return now - max(reached, billing.limit_set) >= billing.grace_minutes * 60


def larger(plan: BillingPlan, other: BillingPlan) -> BillingPlan:
    """Return a plan that allows whatever either allows; it has the name of ``other``."""
    minutes = (plan.exec_minutes, other.exec_minutes)
    return BillingPlan(
        name=other.name,
        max_workers=max(plan.max_workers, other.max_workers),
        max_pipelines=max(plan.max_pipelines, other.max_pipelines),
        max_cpu=max(plan.max_cpu, other.max_cpu),
        exec_minutes=None if None in minutes else max(each or 0.0 for each in minutes),
        pipeline_budget=plan.pipeline_budget,
    )


# ---- reasons ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Remedies:
    """The steps that lift the limits of plans in an installation.

    Attributes:
        billing: Whether organisations can enable billing.
        web_app: URL of the web app, or "".
    """

    billing: bool = False
    web_app: str = ""

    def larger_plan(self) -> str:
        """Return how to get a larger plan."""
        if not self.billing:
            return "ask an administrator to change the plan (conducto admin set-plan)"
        return f"enable billing{self._page()} or with 'conducto billing enable'"

    def higher_limit(self) -> str:
        """Return how to lift the spend limit."""
        return f"raise the limit{self._page()} or with 'conducto billing limit DOLLARS'"

    def _page(self) -> str:
        return (
            f" at {self.web_app.rstrip('/')}{PLAN_PAGE}"
            if self.web_app
            else " on the page Plan and usage"
        )


def queue_reason(why: str, until: float, now: float) -> tuple[str, bool]:
    """Return the reason for which a launch waits for room in the plan, and whether it is given up.

    Args:
        why: The reason for which there is no room.
        until: When it is given up.
        now: Seconds since the epoch.
    """
    day = datetime.fromtimestamp(until, UTC).strftime("%Y-%m-%d %H:%M UTC")
    if now >= until:
        return f"given up after its wait for room in the plan: {why}", True
    return f"waits in the queue of launches, until {day} at the latest: {why}", False


def warning_level(accrued: float, limit: float | None) -> float:
    """Return the share of the spend limit of which owners are notified: 0, 0.8 or 1."""
    if limit is None or accrued < WARNING_SHARE * limit:
        return 0.0
    return 1.0 if accrued >= limit else WARNING_SHARE


# ---- usage --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rates:
    """The prices of workers, in dollars per hour."""

    vcpu: float
    gb: float


#: The prices in docs/billing.md: those of Fargate in us-east-1, and half as much again.
RATES = Rates(vcpu=0.06, gb=0.0066)


@dataclass(frozen=True, slots=True)
class PlanPeriod:
    """A metered interval of a worker, in whole seconds since the epoch."""

    began: int
    until: int

    @property
    def seconds(self) -> int:
        """The length."""
        return self.until - self.began

    def hours(self) -> dict[int, int]:
        """Return the seconds in each hour, by the hour's start."""
        first = self.began - self.began % _HOUR
        parts = {
            hour: min(self.until, hour + _HOUR) - max(self.began, hour)
            for hour in range(first, self.until, _HOUR)
        }
        return {hour: seconds for hour, seconds in parts.items() if seconds > 0}


def moved(old: PlanPeriod | None, new: PlanPeriod) -> dict[int, int]:
    """Return ``{hour: seconds to add}`` for a worker whose metered interval changes.

    The sum over all changes of a worker is its last interval, in whatever order they are known.
    """
    before: dict[int, int] = {} if old is None else old.hours()
    after = new.hours()
    changes = {hour: after.get(hour, 0) - before.get(hour, 0) for hour in {*before, *after}}
    return {hour: seconds for hour, seconds in sorted(changes.items()) if seconds}


def charged_hours(changes: Mapping[int, int], billing: Billing) -> dict[int, int]:
    """Return in which hours a change of a metered interval is charged.

    Earlier periods are closed: what becomes known after their end is charged in the first hour of
    the current one.
    """
    charged: dict[int, int] = {}
    for hour, seconds in changes.items():
        first = max(hour, int(billing.period))
        charged[first] = charged.get(first, 0) + seconds
    return {hour: seconds for hour, seconds in charged.items() if seconds}


def dollars(vcpu_seconds: float, gb_seconds: float, rates: Rates) -> float:
    """Return the price of worker time."""
    return (vcpu_seconds * rates.vcpu + gb_seconds * rates.gb) / _HOUR


# ----------------------------------------------------------------------------------------
# The cost of attempts in the cloud, from records: the time of commands in their workers.
#
# A worker's start and idle time come on top, as time of its pipeline.


#: The size of an attempt whose record has none: the defaults of a node.
_CPU, _MEM = 1.0, 2.0


@dataclass(slots=True)
class Use:
    """The resources used by attempts.

    Attributes:
        attempts: Number of finished attempts.
        seconds: Time of their commands.
        cpu_seconds: vCPU-seconds of their workers.
        dollars: Cost of their workers while they ran.
    """

    attempts: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    dollars: float = 0.0

    def add(self, other: "Use") -> None:
        """Add another use."""
        self.attempts += other.attempts
        self.seconds += other.seconds
        self.cpu_seconds += other.cpu_seconds
        self.dollars += other.dollars


def use_of(attempt: AttemptRecord) -> Use:
    """Return the use of an attempt; zero if it has not ended or never started."""
    if attempt.started is None or attempt.ended is None:
        return Use()
    seconds = max(0.0, attempt.ended - attempt.started)
    cpu = _CPU if attempt.cpu is None else attempt.cpu
    mem = _MEM if attempt.mem is None else attempt.mem
    if attempt.hour is not None:
        return Use(1, seconds, seconds * cpu, seconds / 3600 * attempt.hour)
    size = size_for(attempt.path, cpu, mem)
    return Use(1, seconds, seconds * size.cpu, dollars_of(size, seconds))


def own_use_of(attempt: AttemptRecord) -> Use:
    """Return the use of an attempt on a user's own machine: the CPUs it requested, at no cost."""
    if attempt.started is None or attempt.ended is None:
        return Use()
    seconds = max(0.0, attempt.ended - attempt.started)
    return Use(1, seconds, seconds * (_CPU if attempt.cpu is None else attempt.cpu))


def parts_of(
    charged: Mapping[str, float],
    attempts: Mapping[str, Iterable[AttemptRecord]],
    rates: Rates,
    since: float,
    now: float,
) -> ChargeParts:
    """Return the use of the charged time of a billing period.

    Args:
        charged: Dollars by pipeline.
        attempts: The attempts of those pipelines whose commands are read.
        rates: The prices of workers.
        since: Start of the billing period.
        now: Seconds since the epoch.
    """
    found = {False: [0.0], True: [0.0]}
    for attempt in (one for each in attempts.values() for one in each):
        ended = now if attempt.ended is None else attempt.ended
        if attempt.started is not None and ended > since:
            seconds = max(0.0, ended - max(attempt.started, since))
            size = size_for(attempt.path, attempt.cpu or _CPU, attempt.mem or _MEM)
            price = dollars(size.cpu * seconds, size.mem * seconds, rates)
            found[attempt.state is State.KILLED].append(price)
    commands, lost = sum(found[False]), sum(found[True])
    read = sum(charged.get(id_, 0.0) for id_ in attempts)
    return ChargeParts(
        commands=commands,
        attempts=len(found[False]) - 1,
        idle=max(0.0, read - commands - lost),
        lost=lost,
        lost_attempts=len(found[True]) - 1,
        others=sum(charged.values()) - read,
    )


def period_before(start: float) -> float:
    """Return the start of the billing period before one: the same day of the month before."""
    moment = datetime.fromtimestamp(start, UTC)
    last = moment.replace(day=1) - timedelta(days=1)
    day = min(moment.day, last.day)
    return moment.replace(year=last.year, month=last.month, day=day).timestamp()


def price_of(cost: float, seconds: float, cpu_seconds: float, rates: Rates) -> float:
    """Return the price of workers for an organisation, given their cost on demand at AWS.

    Args:
        cost: In dollars.
        seconds: Their time.
        cpu_seconds: Their vCPU-seconds.
        rates: Its prices.
    """
    known = cpu_seconds * PRICES.cpu_hour + seconds * PRICES.address_hour
    gb_seconds = max(0.0, cost * 3600 - known) / PRICES.mem_hour
    return dollars(cpu_seconds, gb_seconds, rates)


def charged_seconds(began: float, ended: float) -> float:
    """Return the seconds of a worker that AWS charges, from image pull to the end of its task."""
    return max(PRICES.least_seconds, ended - began)


def total(uses: Iterable[Use]) -> Use:
    """Return the sum."""
    found = Use()
    for use in uses:
        found.add(use)
    return found


def dollars_of(size: Size, seconds: float) -> float:
    """Return the cost of ``seconds`` of a worker, on demand."""
    return seconds / 3600 * PRICES.worker_hour(size)


# ----------------------------------------------------------------------------------------
# The cost of what AWS does for commands beside running them: requests, records and transitions.
#
# Storing the number of each kind of call would cost as much as the calls. So this is a model, with
# the calls of one attempt and of one heartbeat; `tests/functions/test_service_costs.py` compares it
# with the calls that AWS counts. Traffic, files, images and logs are not included.


#: GB of a function that serves requests, and the seconds of a request.
_MEMORY, _SECONDS = 1.769, 0.06
#: Seconds between two heartbeats, which carry output.
_HEARTBEAT = 10.0
#: Reads of secrets for a command, and the seconds for which a process keeps them.
_SECRETS, _SECRETS_KEPT = 2, 30.0


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls of one kind of event, on average.

    Attributes:
        requests: Requests to the API, each with an invocation of a function.
        writes: Write units of the table.
        reads: Read units of the table.
    """

    requests: float
    writes: float
    reads: float

    @property
    def dollars(self) -> float:
        """Return their cost."""
        request = PRICES.request + PRICES.invocation + _MEMORY * _SECONDS * PRICES.memory_second
        return self.requests * request + self.writes * PRICES.write + self.reads * PRICES.read


#: An attempt: its claim, its output, its report, and its records.
ATTEMPT = Calls(requests=3, writes=12, reads=9)
#: A heartbeat of a running command, with output.
HEARTBEAT = Calls(requests=1, writes=2, reads=2)
#: State transitions of an Exec, with its share of the machine that contains it.
TRANSITIONS = 1.05


def request_dollars(attempts: int, seconds: float) -> float:
    """Return the cost of requests and records of attempts that ran for ``seconds`` together."""
    secrets = _SECRETS * min(attempts, seconds / _SECRETS_KEPT) * PRICES.secret_read
    return attempts * ATTEMPT.dollars + seconds / _HEARTBEAT * HEARTBEAT.dollars + secrets


def transition_dollars(attempts: int) -> float:
    """Return the cost of the state transitions of attempts."""
    return attempts * TRANSITIONS * PRICES.transition


# ----------------------------------------------------------------------------------------
# The cost of what a pipeline stores, by month, as AWS bills it.
#
# AWS charges storage by gigabytes (2**30 bytes) and months: a gigabyte that is stored for half of
# November costs half of a month's price. Sizes are known only at some moments, so a size that has
# changed between two of them counts with its mean.


GB = 2**30
#: Bytes of an attempt's records in the table: the attempt, its changes and its output, if small.
RECORD_BYTES = 2500
#: Seconds for which the bucket keeps deleted objects (`infra.stacks.data`).
KEPT_SECONDS = 14 * 86_400.0


@dataclass(frozen=True, slots=True)
class Stored:
    """Stored bytes.

    Attributes:
        objects: In the bucket: definitions, journals, output and results.
        files: In the file system: a pipeline's data.
        records: In the table, an estimate.
    """

    objects: int = 0
    files: int = 0
    records: int = 0

    @property
    def month_dollars(self) -> float:
        """The price of storing them for a month."""
        return (
            self.objects * PRICES.object_month
            + self.files * PRICES.file_month
            + self.records * PRICES.record_month
        ) / GB


def storage_dollars(before: Stored, after: Stored, began: float, ended: float) -> dict[str, float]:
    """Return ``{month: dollars}`` of the storage between two times.

    Args:
        before: The sizes at ``began``.
        after: The sizes at ``ended``.
        began: In seconds since the epoch.
        ended: In seconds since the epoch; without effect if before ``began``.
    """
    price = (before.month_dollars + after.month_dollars) / 2
    return {month: share * price for month, share in month_shares(began, ended)}


def month_shares(began: float, ended: float) -> Iterator[tuple[str, float]]:
    """Yield each month (UTC) between two times, with the share of it that is between them."""
    while began < ended:
        start = datetime.fromtimestamp(began, UTC).replace(
            day=1, hour=0, minute=0, second=0, microsecond=0
        )
        following = (start + timedelta(days=32)).replace(day=1)
        until = min(ended, following.timestamp())
        yield f"{start:%Y-%m}", (until - began) / (following - start).total_seconds()
        began = until
