"""The resource usage of a command."""

from pydantic import Field

from conducto_core.record import Record
from conducto_core.run.model.params import AttemptNumber, PipelineId


class ResourcesParams(Record):
    """The attempt of a query for resource usage.

    Attributes:
        attempt: Counted from 1; None is the newest.
    """

    id: PipelineId
    path: str
    attempt: AttemptNumber = None


class Resources(Record):
    """The resource usage of one attempt, in points of equal length; empty if unknown.

    Attributes:
        interval: Seconds of one point. It doubles whenever there would be too many points.
        cpu: Average number of CPUs used, for each point.
        memory: Maximum bytes in use, for each point.
        cpu_limit: CPUs its container may use.
        mem_limit: Bytes its container may use.
        since: Start of the first point, in seconds since the epoch.
    """

    interval: float = Field(default=0.0, ge=0)
    cpu: tuple[float, ...] = ()
    memory: tuple[int, ...] = ()
    cpu_limit: float | None = None
    mem_limit: int | None = None
    since: float | None = None
