"""The plan, the subscription and the spend limit of an organisation."""

from pydantic import Field

from conducto_core.model.base import Record

#: Maximum minutes for which commands may run on at the spend limit.
MAX_GRACE_MINUTES = 1440.0
#: Maximum number of pipelines in a bill; the others are summed.
MAX_BILLED = 50


class DayCharge(Record):
    """The charged usage of a day.

    Attributes:
        day: Its date (UTC), e.g. ``2026-11-27``.
    """

    day: str
    vcpu_seconds: float
    gb_seconds: float
    dollars: float


class PipelineCharge(Record):
    """The charged usage of a pipeline in a billing period.

    Attributes:
        title: None if the pipeline was deleted.
    """

    id: str
    title: str | None
    vcpu_seconds: float
    gb_seconds: float
    dollars: float


class BillingStatus(Record):
    """What an organisation may use, and what it pays. Times are in seconds since the epoch.

    Attributes:
        plan: Name of the effective plan.
        max_workers: Concurrent workers that it allows.
        exec_minutes: Worker minutes per month that it allows; None: unlimited.
        used_minutes: Worker minutes of this month.
        workers: Current number of workers.
        status: Status of the subscription, with Stripe's names; None: there was none.
        paying: Whether workers are charged.
        suspended: Whether the spend limit is reached, so that nothing starts.
        starts: When the paid plan starts; None: it has started, or there is none.
        grace_until: When the plan ends, if a payment failed.
        period_start: Start of the billing period.
        period_end: End of the billing period.
        accrued: Dollars of the billing period so far, before tax.
        forecast: Dollars of the whole period at the same rate; None: too early to tell.
        limit: Maximum dollars per billing period; None: no limit.
        grace_minutes: Minutes for which commands may run on at the limit.
        vcpu_hour: Price of a vCPU for an hour.
        gb_hour: Price of a GB of memory for an hour.
        days: The charged usage of the billing period by day, the oldest first.
        pipelines: The same by pipeline: the most expensive ones.
        more_pipelines: Number of the others.
        more_dollars: Their dollars.
    """

    plan: str
    max_workers: int
    exec_minutes: float | None
    used_minutes: float
    workers: int
    status: str | None
    paying: bool
    suspended: bool
    starts: float | None = None
    grace_until: float | None
    period_start: float | None
    period_end: float | None
    accrued: float
    forecast: float | None
    limit: float | None
    grace_minutes: float
    vcpu_hour: float
    gb_hour: float
    days: tuple[DayCharge, ...] = ()
    pipelines: tuple[PipelineCharge, ...] = ()
    more_pipelines: int = 0
    more_dollars: float = 0.0


class BillingPage(Record):
    """A page of the payment provider, for one person and a short time."""

    url: str = Field(repr=False)


class SpendLimit(Record):
    """A spend limit.

    Attributes:
        dollars: Maximum dollars per billing period; None removes the limit.
        grace_minutes: Minutes for which commands may run on at the limit.
    """

    dollars: float | None = Field(ge=0, allow_inf_nan=False)
    grace_minutes: float = Field(default=15.0, ge=0, le=MAX_GRACE_MINUTES)
