"""What commands took and cost: by month, pipeline and node. Times are seconds, money dollars."""

from typing import Annotated

from pydantic import Field

from conducto_core.model.base import Record

#: Months that are told where none is asked for, the newest.
MONTHS = 12
#: Most nodes that are named of a pipeline, and most pipelines whose nodes are.
MAX_USAGE_NODES = 1000
MAX_USAGE_PIPELINES = 20

Month = Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]


class UsageParams(Record):
    """Which use.

    Attributes:
        month: Only this one, e.g. ``2026-11`` (UTC); the last twelve where it is not said.
        nodes: So many nodes of each pipeline, the dearest; of the dearest pipelines only.
    """

    month: Month | None = None
    nodes: int = Field(default=0, ge=0, le=MAX_USAGE_NODES)


class Spent(Record):
    """What something took.

    Attributes:
        attempts: Commands that ended.
        seconds: Of a node, that they ran. Of a pipeline or a month in the cloud, that workers ran,
            from the pull of their image to their stop.
        cpu_seconds: vCPU-seconds of these workers; what commands asked for where they ran on
            somebody's own machine.
        dollars: Of these workers; 0 where commands ran on somebody's own machine.
    """

    attempts: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    dollars: float = 0.0


class NodeSpent(Spent):
    """What a node took."""

    path: str


class PipelineSpent(Spent):
    """What a pipeline took in a month.

    Attributes:
        title: As it was then; the pipeline may be gone.
        nodes: Those asked for, the dearest first; none where the pipeline is gone.
        more_nodes: How many others there are.
    """

    id: str
    title: str
    month: str
    nodes: tuple[NodeSpent, ...] = ()
    more_nodes: int = 0


class MonthSpent(Spent):
    """What a month took."""

    month: str


class Usage(Record):
    """What was used.

    Attributes:
        priced: Day of the prices that were reckoned with.
        region: ... and the region that they are of.
        months: The newest first.
        pipelines: The newest month first, and in it the dearest.
    """

    priced: str
    region: str
    months: tuple[MonthSpent, ...] = ()
    pipelines: tuple[PipelineSpent, ...] = ()
