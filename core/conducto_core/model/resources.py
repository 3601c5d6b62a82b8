"""What a command used while it ran."""

from pydantic import Field

from conducto_core.model.base import Record
from conducto_core.model.params import AttemptNumber, PipelineId


class ResourcesParams(Record):
    """Which attempt.

    Attributes:
        attempt: Counted from 1; None is the newest.
    """

    id: PipelineId
    path: str
    attempt: AttemptNumber = None


class Resources(Record):
    """What one attempt used, in points of equal length; none where nothing is known.

    Attributes:
        interval: Seconds of one point. It doubles whenever there would be too many points.
        cpu: Of each point, how many CPUs it used on average.
        memory: Of each point, the most bytes that were seen in use.
        cpu_limit: CPUs its container may use.
        mem_limit: Bytes its container may use.
        since: When the first point begins, in seconds since the epoch.
    """

    interval: float = Field(default=0.0, ge=0)
    cpu: tuple[float, ...] = ()
    memory: tuple[int, ...] = ()
    cpu_limit: float | None = None
    mem_limit: int | None = None
    since: float | None = None
