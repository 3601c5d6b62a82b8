"""Charges organisations with a subscription for the time of their workers.

Every observation of a worker moves its meter to a new interval. Observations may be repeated, late,
lost or out of order: the interval of a running worker only grows, and its end, as ECS reports it,
replaces the interval once. `chalicelib.services.billing_run` repeats interrupted steps.
"""

from dataclasses import dataclass
from math import ceil

from chalicelib.ports.billing import BillingRecords, Meter, rates_of
from chalicelib.ports.identity import InUse
from chalicelib.services.dependencies import Dependencies, write_with_retry
from conducto_core.semantics.cost import charged_seconds
from conducto_core.semantics.fargate import Size
from conducto_core.semantics.plans import RATES, Span

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

    def __init__(self, cloud: Dependencies) -> None:
        self._cloud = cloud

    def observe(self, org: str, time: WorkerTime) -> None:
        """Charge a worker until the time of an observation."""
        billing = self._cloud.billing
        if billing is None:
            return
        for _ in range(_TRIES):
            used = self._cloud.orgs.in_use(org)
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
        billing = self._cloud.billing
        meter = None if billing is None else billing.records.meter(org, worker, since)
        if billing is not None and meter is not None and meter.span is not None:
            current = self._cloud.orgs.in_use(org).billing
            billing.records.move(meter, meter.span, RATES, current, closed=True)

    def _move(self, records: BillingRecords, meter: Meter, time: WorkerTime, used: InUse) -> bool:
        """Move a meter; return False if it or the billing period has changed meanwhile."""
        if meter.closed:
            return True
        span = _span(meter, time) if used.paying or meter.span is None else meter.span
        if not time.ended and span == meter.span:
            return True
        rates = rates_of(records.account(meter.org))
        return write_with_retry(
            self._cloud,
            lambda: records.move(meter, span, rates, used.billing, closed=time.ended),
        )


def _span(meter: Meter, time: WorkerTime) -> Span:
    """Return the charged interval after an observation, in whole seconds."""
    first = max(int(time.began), ceil(meter.since))
    if time.ended:
        end = int(time.began) + ceil(charged_seconds(time.began, time.until))
        return Span(first, max(first, end))
    if meter.span is None:
        return Span(first, max(first, int(time.until)))
    # The clocks of two machines may differ: a running worker's interval never shrinks.
    return Span(meter.span.began, max(meter.span.until, int(time.until)))
