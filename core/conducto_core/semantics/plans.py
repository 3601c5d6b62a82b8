"""Plans: what an organisation may use, given its subscription and its spend limit. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from math import ceil

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


@dataclass(frozen=True, slots=True)
class Plan:
    """The allowances of an organisation.

    Attributes:
        name: ``free``, ``full``, ``scale`` or a name that an administrator chose.
        max_workers: Concurrent workers.
        max_pipelines: Active pipelines.
        max_cpu: vCPUs of one worker.
        exec_minutes: Worker minutes per month; None: unlimited.
    """

    name: str = "free"
    max_workers: int = 2
    max_pipelines: int = 5
    max_cpu: float = 4.0
    exec_minutes: float | None = 1000.0


FREE = Plan()
#: For organisations of an installation without billing, whose owner pays AWS.
FULL = Plan("full", max_workers=1000, max_pipelines=1000, max_cpu=16.0, exec_minutes=None)
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

    plan: Plan
    paying: bool = False
    suspended: bool = False


def effective(plan: Plan, billing: Billing, accrued: float, now: float) -> EffectivePlan:
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


def larger(plan: Plan, other: Plan) -> Plan:
    """Return a plan that allows whatever either allows; it has the name of ``other``."""
    minutes = (plan.exec_minutes, other.exec_minutes)
    return Plan(
        name=other.name,
        max_workers=max(plan.max_workers, other.max_workers),
        max_pipelines=max(plan.max_pipelines, other.max_pipelines),
        max_cpu=max(plan.max_cpu, other.max_cpu),
        exec_minutes=None if None in minutes else max(each or 0.0 for each in minutes),
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
        return f" at {self.web_app.rstrip('/')}{PLAN_PAGE}" if self.web_app else " on the Plan page"


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
class Span:
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


def moved(old: Span | None, new: Span) -> dict[int, int]:
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
