"""The usage and cost of commands by month, pipeline and node. Times are seconds, money dollars."""

from typing import Annotated

from pydantic import Field

from conducto_core.model.base import Record

#: Default number of months, the newest.
MONTHS = 12
#: Maximum number of nodes per pipeline, and of pipelines with their nodes.
MAX_USAGE_NODES = 1000
MAX_USAGE_PIPELINES = 20

Month = Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]


class UsageParams(Record):
    """A query for usage.

    Attributes:
        month: Only this one, e.g. ``2026-11`` (UTC); default: the last twelve.
        nodes: Maximum number of nodes per pipeline, the most expensive; only of the most expensive
            pipelines.
    """

    month: Month | None = None
    nodes: int = Field(default=0, ge=0, le=MAX_USAGE_NODES)


class Spent(Record):
    """Usage and cost.

    Attributes:
        attempts: Number of commands that ended.
        seconds: For a node, the running time of its commands. For a pipeline or a month in the
            cloud, the running time of workers, from the pull of their image to their stop.
        cpu_seconds: vCPU-seconds of these workers; on a user's own machine, CPU-seconds that
            commands requested.
        dollars: Cost of these workers; 0 on a user's own machine.
    """

    attempts: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    dollars: float = 0.0


class NodeSpent(Spent):
    """The usage of a node."""

    path: str


class Charged(Spent):
    """Usage with the costs of other services, which are estimates.

    Attributes:
        transition_dollars: Cost of state transitions.
        request_dollars: Cost of requests and records.
    """

    transition_dollars: float = 0.0
    request_dollars: float = 0.0

    @property
    def total_dollars(self) -> float:
        """The cost of workers, transitions and requests."""
        return self.dollars + self.transition_dollars + self.request_dollars


class PipelineSpent(Charged):
    """The usage of a pipeline in a month.

    Attributes:
        idle_dollars: Cost of workers while they started, waited or were lost; it is part of
            ``dollars``. None if its nodes were not requested, or the pipeline is deleted.
        title: Its title at that time; the pipeline may be deleted.
        nodes: Those requested, the most expensive first; empty if the pipeline is deleted.
    """

    id: str
    title: str
    month: str
    idle_dollars: float | None = None
    nodes: tuple[NodeSpent, ...] = ()
    more_nodes: int = 0


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
    """

    priced: str
    region: str
    months: tuple[MonthSpent, ...] = ()
    pipelines: tuple[PipelineSpent, ...] = ()
