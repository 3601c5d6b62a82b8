"""Results, metrics and artifacts of attempts."""

from typing import Any, Literal

from pydantic import Field

from conducto_core.model.base import Record
from conducto_core.model.params import AttemptNumber, PipelineId

#: The streams of an attempt besides stdout, stderr and resources.
OutputStream = Literal["result", "metrics", "artifacts"]


class OutputSummary(Record):
    """A summary of the result, metrics and artifacts of an attempt.

    Attributes:
        result: Bytes of its result, as JSON; None without one.
        metrics: Names of its metrics, in the order of their first points.
        artifacts: Number of its artifacts.
    """

    result: int | None = None
    metrics: tuple[str, ...] = ()
    artifacts: int = 0


class OutputParams(Record):
    """The attempt whose result, metrics or artifacts are queried.

    Attributes:
        attempt: Counted from 1; None is the newest.
    """

    id: PipelineId
    path: str
    attempt: AttemptNumber = None


class ResultValue(Record):
    """The result of an attempt: the return value of its function.

    Attributes:
        attempt: Number of the attempt; None if the node has none.
        exists: The attempt has a result; ``value`` may still be null.
        value: As JSON, with secrets masked.
        size: Bytes of the value.
    """

    attempt: int | None = None
    exists: bool = False
    value: Any = None
    size: int = 0


class MetricSeries(Record):
    """The points of one metric of an attempt, in the order in which they were written.

    Attributes:
        values: None is a value that is not finite.
        steps: For each point; its number, counted from 0, if the command gave no step.
        times: For each point, in seconds since the epoch.
        count: Number of points before they were thinned.
    """

    name: str
    values: tuple[float | None, ...] = ()
    steps: tuple[float | None, ...] = ()
    times: tuple[float | None, ...] = ()
    count: int = 0


class MetricList(Record):
    """The metrics of an attempt.

    Attributes:
        attempt: Number of the attempt; None if the node has none.
    """

    attempt: int | None = None
    metrics: tuple[MetricSeries, ...] = ()


class Artifact(Record):
    """A file that a command declared.

    Attributes:
        name: Its name in the pipeline's data.
        size: Bytes when it was declared.
        type: Its media type, guessed from the name.
    """

    name: str = Field(min_length=1, max_length=1024)
    title: str = Field(default="", max_length=500)
    size: int = Field(default=0, ge=0)
    type: str = Field(default="application/octet-stream", max_length=100)


class ArtifactList(Record):
    """The artifacts of an attempt, in the order in which they were declared.

    Attributes:
        attempt: Number of the attempt; None if the node has none.
    """

    attempt: int | None = None
    artifacts: tuple[Artifact, ...] = ()
