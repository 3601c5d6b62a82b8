"""The plan, the subscription and the spend limit of an organisation."""

from typing import Annotated

from pydantic import Field

from conducto_core.record import Record
from conducto_core.run.model.params import PipelineId

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


class ChargeParts(Record):
    """The use of the charged time of a billing period, in dollars.

    Attributes:
        commands: Running commands, except of those in ``lost``.
        attempts: Number of these commands.
        idle: Workers while they started, waited or had a debug shell.
        lost: Commands that were killed, or whose worker was lost.
        lost_attempts: Number of these commands.
        others: Less expensive and deleted pipelines, whose commands are not read.
    """

    commands: float = 0.0
    attempts: int = 0
    idle: float = 0.0
    lost: float = 0.0
    lost_attempts: int = 0
    others: float = 0.0


class Invoice(Record):
    """An invoice of the payment provider.

    Attributes:
        start: Start of its billing period, in seconds since the epoch.
        status: With Stripe's names, e.g. ``paid``.
        dollars: Its amount with tax.
        url: Its page; None: it has none yet.
    """

    start: float
    end: float
    status: str
    dollars: float
    url: str | None = Field(default=None, repr=False)


class PlanOffer(Record):
    """The allowances of a plan that the organisation has or can choose.

    Attributes:
        exec_minutes: Worker minutes per month; None: unlimited.
    """

    name: str
    max_workers: int
    max_pipelines: int
    max_cpu: float
    exec_minutes: float | None


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
        previous: Dollars of the billing period before, before tax; None: there was none.
        parts: The use of the charged time; None: nothing is charged.
        email: Billing contact, or "".
        invoices: The newest first; None: the payment provider does not respond.
        plans: The plan without a subscription, and with one.
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
    previous: float | None = None
    parts: ChargeParts | None = None
    email: str = ""
    invoices: tuple[Invoice, ...] | None = ()
    plans: tuple[PlanOffer, ...] = ()


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


# ----------------------------------------------------------------------------------------
# The usage and cost of commands by month, pipeline and node. Times are seconds, money dollars.


#: Default number of months, the newest.
MONTHS = 12
#: Maximum number of nodes per pipeline, and of pipelines with their nodes.
MAX_USAGE_NODES = 1000
MAX_USAGE_PIPELINES = 20
#: Default number of nodes in the cost of a pipeline.
COST_NODES = 10

Month = Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]


class UsageParams(Record):
    """A query for usage.

    Attributes:
        month: Only this one, e.g. ``2026-11`` (UTC); default: the last twelve.
        nodes: Maximum number of nodes per pipeline, the most expensive; only of the most expensive
            pipelines.
        title: Only pipelines of the program with this title, and with ``program`` and ``function``,
            as in `ProgramParams`; default: of all programs.
    """

    month: Month | None = None
    nodes: int = Field(default=0, ge=0, le=MAX_USAGE_NODES)
    title: str | None = None
    program: str | None = None
    function: str | None = None


class Spent(Record):
    """Usage and cost.

    Attributes:
        attempts: Number of commands that ended.
        seconds: For a node, the running time of its commands. For a pipeline or a month in the
            cloud, the running time of workers, from the pull of their image to their stop.
        cpu_seconds: vCPU-seconds of these workers; on a user's own machine, CPU-seconds that
            commands requested.
        dollars: Cost of these workers at AWS's prices; 0 on a user's own machine.
        price: Price of these workers for the organisation, by its subscription; None: nothing is
            billed. Its invoices have only the workers of the time of the subscription.
    """

    attempts: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    dollars: float = 0.0
    price: float | None = None


class NodeSpent(Spent):
    """The usage of a node."""

    path: str


class Charged(Spent):
    """Usage with the costs of other services, which are estimates.

    Attributes:
        transition_dollars: Cost of state transitions.
        request_dollars: Cost of requests and records.
        storage_dollars: Cost of stored files, objects and records, measured once a day.
    """

    transition_dollars: float = 0.0
    request_dollars: float = 0.0
    storage_dollars: float = 0.0

    @property
    def total_dollars(self) -> float:
        """The cost of workers, transitions, requests and storage."""
        services = self.transition_dollars + self.request_dollars + self.storage_dollars
        return self.dollars + services


class PipelineSpent(Charged):
    """The usage of a pipeline in a month.

    Attributes:
        idle_dollars: Cost of workers while they started, waited or were lost; it is part of
            ``dollars``. None if its nodes were not requested, or the pipeline is deleted.
        title: Its title at that time; the pipeline may be deleted.
        program: The script that it was launched from; None if unknown.
        function: The function of the script; None if unknown.
        nodes: Those requested, the most expensive first; empty if the pipeline is deleted.
    """

    id: str
    title: str
    month: str
    program: str | None = None
    function: str | None = None
    idle_dollars: float | None = None
    nodes: tuple[NodeSpent, ...] = ()
    more_nodes: int = 0


class ProgramSpent(Charged):
    """The usage of the pipelines of a program in a month.

    Attributes:
        program: Host path of its script; None if unknown.
        function: Its function; None if its title identifies it.
        title: The title of its most expensive pipeline.
        pipelines: Number of its pipelines that used something.
    """

    program: str | None
    function: str | None
    title: str
    month: str
    pipelines: int = 0


class MonthSpent(Charged):
    """The usage in a month."""

    month: str


class Usage(Record):
    """A usage report.

    Attributes:
        priced: Date of the prices used.
        region: Region of the prices used.
        months: The newest first.
        pipelines: The newest month first, and in it the most expensive.
        programs: The same, by program.
    """

    priced: str
    region: str
    months: tuple[MonthSpent, ...] = ()
    pipelines: tuple[PipelineSpent, ...] = ()
    programs: tuple[ProgramSpent, ...] = ()


class CostParams(Record):
    """A query for the cost of a pipeline.

    Attributes:
        nodes: Maximum number of nodes, the most expensive.
    """

    id: PipelineId
    nodes: int = Field(default=COST_NODES, ge=0, le=MAX_USAGE_NODES)


class PipelineCost(Charged):
    """The cost of a pipeline since its launch.

    Attributes:
        free: Whether it ran on a user's own machine, which costs nothing.
        priced: Date of the prices used.
        region: Region of the prices used.
        idle_dollars: Cost of workers while they started, waited or were lost; it is part of
            ``dollars``.
        running: Commands that run now, which count when they end.
        object_bytes: Bytes of definitions, output and results.
        file_bytes: Bytes of its data files.
        nodes: The most expensive first.
        more_nodes: Number of other nodes.
        more_dollars: Cost of the other nodes.
    """

    id: str
    title: str
    free: bool
    priced: str
    region: str
    idle_dollars: float = 0.0
    running: int = 0
    object_bytes: int = 0
    file_bytes: int = 0
    nodes: tuple[NodeSpent, ...] = ()
    more_nodes: int = 0
    more_dollars: float = 0.0
