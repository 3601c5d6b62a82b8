"""Usage limits of organisations: why no command may start now."""

import logging
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain
from math import ceil
from threading import Lock

from chalicelib.billing.port import Meter, rates_of
from chalicelib.billing.store import BillingPorts, TableBilling
from chalicelib.errors import ConflictError, Timing
from chalicelib.logs.port import Storage
from chalicelib.people.port import InUse, Measured, Spender
from chalicelib.records import Records
from conducto_core.billing.handlers import cost_of, months_before, with_prices
from conducto_core.billing.model import PipelineCost, PipelineSpent
from conducto_core.billing.rules import (
    KEPT_SECONDS,
    RATES,
    RECORD_BYTES,
    PlanPeriod,
    Rates,
    Remedies,
    Stored,
    charged_seconds,
    month_of,
    storage_dollars,
)
from conducto_core.errors import NotFoundError, PlanFullError
from conducto_core.installation.names import pipeline_directory
from conducto_core.run.model.records import PipelineRecord, Wait
from conducto_core.run.rules import waits
from conducto_core.workers.rules.fargate import Size

__all__ = [
    "Allowances",
    "check_usage",
    "exec_seconds",
    "month_of",
    "reason_to_wait",
    "workers_reserved",
    "workers_used",
]

#: Seconds for which a process keeps a month's usage. Otherwise each entry of a pipeline whose
#: commands wait for a worker would read it; one that starts workers always does.
USAGE_SECONDS = 10.0


class Allowances:
    """Usage of months, as this process knows it.

    Args:
        read: Reads the seconds of an organisation in a month.
        clock: Seconds since the epoch.
    """

    def __init__(self, read: Callable[[str, str], float], clock: Callable[[], float]) -> None:
        self._read, self._clock = read, clock
        self._kept: dict[tuple[str, str], tuple[float, float]] = {}
        self._lock = Lock()

    def seconds(self, org: str, month: str) -> float:
        """Return an organisation's seconds in a month; the latest may be missing."""
        now = self._clock()
        with self._lock:
            read, seconds = self._kept.get((org, month), (-USAGE_SECONDS, 0.0))
            if 0 <= now - read < USAGE_SECONDS:
                return seconds
        return self.current(org, month)

    def current(self, org: str, month: str) -> float:
        """Read an organisation's seconds in a month."""
        now, seconds = self._clock(), self._read(org, month)
        with self._lock:
            for key, (read, _) in list(self._kept.items()):
                if now - read >= USAGE_SECONDS:
                    del self._kept[key]
            self._kept[org, month] = (now, seconds)
        return seconds


def exec_seconds(records: Records, org: str, month: str) -> float:
    """Return the current seconds of an organisation in a month."""
    return records.orgs.usage(org, month).get("exec_seconds", 0.0)


def check_usage(
    records: Records, remedies: Callable[[], Remedies], clock: Callable[[], float], org: str
) -> None:
    """Check that the month's allowance is not used up; raises `PlanFullError`."""
    used = records.orgs.in_use(org)
    reason = _over_minutes(remedies, clock, used, partial(exec_seconds, records, org))
    if reason is not None:
        raise PlanFullError(str(reason))


def reason_to_wait(
    remedies: Callable[[], Remedies],
    clock: Callable[[], float],
    org: str,
    used: InUse,
    seconds: Callable[[str, str], float],
) -> Wait | None:
    """Return why no worker and no command of an organisation may start now, or None.

    ``seconds`` returns its seconds in a month.
    """
    if used.suspended:
        return waits.spend_limit(used.billing.limit, remedies())
    return _over_minutes(remedies, clock, used, partial(seconds, org))


def _over_minutes(
    remedies: Callable[[], Remedies],
    clock: Callable[[], float],
    current: InUse,
    seconds: Callable[[str], float],
) -> Wait | None:
    plan = current.plan
    if plan.exec_minutes is None:
        return None
    used = seconds(month_of(clock())) / 60
    if used < plan.exec_minutes:
        return None
    return waits.plan_minutes(plan, used, remedies())


def workers_used(remedies: Callable[[], Remedies], used: InUse, others: int) -> Wait:
    """Return the wait for a worker of the plan; ``others`` are used by other pipelines."""
    return waits.plan_workers(used.plan, others, _or_more(remedies, used))


def workers_reserved(remedies: Callable[[], Remedies], used: InUse) -> Wait:
    """Return the wait of a ``new`` group for workers that others have reserved."""
    return waits.plan_reserved(used.plan, used.reserved, _or_more(remedies, used))


def _or_more(remedies: Callable[[], Remedies], used: InUse) -> str:
    known = remedies()
    own = known.billing and not used.paying
    return f"or {known.larger_plan()}" if own else "or choose a larger plan"


# ----------------------------------------------------------------------------------------
# Meters what pipelines store, once a day and before a deletion.
#
# A measurement charges the time since the last one, so that missed days are charged later, and a
# repeated measurement of the same interval is refused. A daily run has a time limit; the next one
# begins with the pipeline after the last one that this run has reached.


logger = logging.getLogger(__name__)

#: Minimum seconds between two daily measurements of a pipeline.
_INTERVAL = 12 * 3600.0
#: Maximum seconds for the files of a pipeline; files beyond that are not counted.
_FILE_SECONDS = 20.0


class StorageMetering:
    """Measures and charges storage."""

    def __init__(self, records: Records, storage: Storage, clock: Callable[[], float]) -> None:
        self._records = records
        self._storage = storage
        self._clock = clock

    def run(self, seconds: float) -> int:
        """Measure every pipeline, for at most ``seconds``; return how many were measured."""
        end, number = self._clock() + seconds, 0
        store = self._records.store
        found = sorted(chain(store.open_pipelines(), store.resting_pipelines()))
        first = bisect_right(found, self._records.orgs.measured_last())
        for org, pipeline_id in found[first:] + found[:first]:
            if self._clock() > end:
                logger.info("the next measurement of storage continues", extra={"org": org})
                break
            try:
                number += self._measure_daily(org, pipeline_id)
            except Exception:
                # One failure must not affect other pipelines.
                logger.exception("storage was not measured", extra={"pipeline": pipeline_id})
        return number

    def _measure_daily(self, org: str, pipeline_id: str) -> bool:
        record = self._records.store.record(org, pipeline_id)
        known = self._records.orgs.measured(pipeline_id)
        if record is None:
            return False
        if known is not None and self._clock() - known.time < _INTERVAL:  # or being deleted
            return False
        # Before the measurement: one that ends the process does not stop all later runs.
        self._records.orgs.note_measured(org, pipeline_id)
        self.measure(org, record)
        return True

    def measure(self, org: str, record: PipelineRecord) -> None:
        """Charge the time since the last measurement."""
        known = self._records.orgs.measured(record.id)
        now = Measured(self._clock(), self.stored(org, record))
        before = known or Measured(record.created, now.stored)
        dollars = storage_dollars(before.stored, now.stored, before.time, now.time)
        self._charge(org, record, known, now, dollars)

    def close(self, org: str, record: PipelineRecord) -> None:
        """Charge a pipeline that is about to be deleted; a repeated call charges nothing.

        The bucket keeps deleted objects for some time, which is charged here.
        """
        known = self._records.orgs.measured(record.id)
        before = known or Measured(record.created, self.stored(org, record))
        now = self._clock()
        end = now + KEPT_SECONDS
        if before.time >= now:
            return
        left = Stored(objects=before.stored.objects)
        dollars = defaultdict(
            float, storage_dollars(before.stored, before.stored, before.time, now)
        )
        for month, kept in storage_dollars(left, left, now, end).items():
            dollars[month] += kept
        self._charge(org, record, known, Measured(end, Stored()), dollars)

    def _charge(
        self,
        org: str,
        record: PipelineRecord,
        before: Measured | None,
        now: Measured,
        dollars: Mapping[str, float],
    ) -> None:
        whose = Spender.for_pipeline(record, 0.0, attempts=0)
        try:
            self._records.orgs.add_storage(org, whose, before, now, dollars)
        except ConflictError:
            logger.info("storage was measured by another process", extra={"pipeline": record.id})

    def current(self, org: str, record: PipelineRecord) -> tuple[Stored, float]:
        """Return the stored sizes of a pipeline, and their cost that is not yet charged.

        Nothing is written. Sizes are those of the last measurement, so that readers cause no work,
        or measured now if there is none.
        """
        known = self._records.orgs.measured(record.id)
        before = known or Measured(record.created, self.stored(org, record))
        now = self._clock()
        dollars = storage_dollars(before.stored, before.stored, before.time, now)
        return before.stored, sum(dollars.values())

    def stored(self, org: str, record: PipelineRecord) -> Stored:
        """Return the sizes of a pipeline now."""
        id_ = record.id
        try:
            files = self._storage.data.total(pipeline_directory(id_), _FILE_SECONDS)
        except TimeoutError:
            known = self._records.orgs.measured(id_)
            files = 0 if known is None else known.stored.files
        return Stored(
            objects=self._records.store.object_bytes(id_) + self._storage.logs.object_bytes(id_),
            files=files,
            records=self._attempts(org, record) * RECORD_BYTES,
        )

    def _attempts(self, org: str, record: PipelineRecord) -> int:
        return sum(each.attempts for each in self.spent(org, record))

    def spent(self, org: str, record: PipelineRecord) -> list[PipelineSpent]:
        """Return the usage of a pipeline in each month since it was launched."""
        since = month_of(record.created)
        months = [month for month in months_before(self._clock()) if month >= since]
        found = (self._records.orgs.spent_by(org, month, record.id) for month in months)
        return [each for each in found if each is not None]


# ----------------------------------------------------------------------------------------
# The cost of a pipeline, and the prices of an organisation.


def customer_rates(records: Records, billing: BillingPorts | None, org: str) -> Rates | None:
    """Return an organisation's prices of workers; None: nothing is billed."""
    if billing is None or not records.orgs.in_use(org).paying:
        return None
    return rates_of(billing.records.account(org))


def cost(
    records: Records,
    storage: Storage,
    billing: BillingPorts | None,
    clock: Callable[[], float],
    org: str,
    *,
    pipeline_id: str,
    nodes: int,
) -> PipelineCost:
    """Return the cost of a pipeline, with its most expensive nodes; raises `NotFoundError`."""
    record = records.store.record(org, pipeline_id)
    if record is None:
        raise NotFoundError(f"there is no pipeline {pipeline_id}")
    metering = StorageMetering(records, storage, clock)
    stored, uncharged = metering.current(org, record)
    attempts, spent = records.store.attempts(pipeline_id), metering.spent(org, record)
    found = cost_of(record, attempts, nodes, spent=spent, stored=stored)
    found = found.model_copy(update={"storage_dollars": found.storage_dollars + uncharged})
    return with_prices(found, customer_rates(records, billing, org))


# ----------------------------------------------------------------------------------------
# Charges organisations with a subscription for the time of their workers.
#
# Every observation of a worker moves its meter to a new interval. Observations may be repeated,
# late, lost or out of order: the interval of a running worker only grows, and its end, as ECS
# reports it, replaces the interval once. `chalicelib.billing.run` repeats interrupted steps.


#: Maximum number of attempts to move a meter against concurrent writers.
_TRIES = 5


@dataclass(frozen=True, slots=True)
class WorkerTime:
    """An observation of a worker.

    Attributes:
        began: When it began to be charged, in seconds since the epoch.
        until: When it was observed, or ended.
        task: ARN of its task.
        ended: Whether it has ended, so that ``until`` is final.
    """

    worker: str
    pipeline_id: str
    size: Size
    began: float
    until: float
    task: str | None = None
    ended: bool = False


class Charging:
    """The charged time of workers."""

    def __init__(self, records: Records, timing: Timing, billing: BillingPorts | None) -> None:
        self._records = records
        self._timing = timing
        self._billing = billing

    def observe(self, org: str, time: WorkerTime) -> None:
        """Charge a worker until the time of an observation."""
        billing = self._billing
        if billing is None:
            return
        for _ in range(_TRIES):
            used = self._records.orgs.in_use(org)
            known = billing.records.meter(org, time.worker, used.billing.since)
            if known is None and not used.paying:
                return
            fresh = Meter(
                org=org,
                worker=time.worker,
                pipeline_id=time.pipeline_id,
                vcpu=time.size.cpu,
                gb=time.size.mem,
                since=used.billing.since,
                task=time.task,
            )
            if self._move(billing.records, known or fresh, time, used):
                return

    def close(self, org: str, worker: str, since: float) -> None:
        """Close the meter of a worker whose end is not known, where it is."""
        billing = self._billing
        meter = None if billing is None else billing.records.meter(org, worker, since)
        if billing is not None and meter is not None and meter.span is not None:
            current = self._records.orgs.in_use(org).billing
            billing.records.move(meter, meter.span, RATES, current, closed=True)

    def _move(self, records: TableBilling, meter: Meter, time: WorkerTime, used: InUse) -> bool:
        """Move a meter; return False if it or the billing period has changed meanwhile."""
        if meter.closed:
            return True
        span = _span(meter, time) if used.paying or meter.span is None else meter.span
        if not time.ended and span == meter.span:
            return True
        rates = rates_of(records.account(meter.org))
        return self._timing.retry(
            lambda: records.move(meter, span, rates, used.billing, closed=time.ended),
        )


def _span(meter: Meter, time: WorkerTime) -> PlanPeriod:
    """Return the charged interval after an observation, in whole seconds."""
    first = max(int(time.began), ceil(meter.since))
    if time.ended:
        end = int(time.began) + ceil(charged_seconds(time.began, time.until))
        return PlanPeriod(first, max(first, end))
    if meter.span is None:
        return PlanPeriod(first, max(first, int(time.until)))
    # The clocks of two machines may differ: a running worker's interval never shrinks.
    return PlanPeriod(meter.span.began, max(meter.span.until, int(time.until)))
