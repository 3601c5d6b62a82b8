"""Results, metrics and artifacts of attempts."""

from typing import Any, Literal

from pydantic import Field, field_validator

from conducto.wire.outputs import MAX_POINTS
from conducto_core.coverage.model import CoverageCounts
from conducto_core.record import Record
from conducto_core.run.model.params import AttemptNumber, PipelineId, ProgramParams
from conducto_core.run.model.states import State
from conducto_core.test_results.model import TestCounts

#: Maximum number of pipelines in a comparison of metrics.
MAX_COMPARED = 100

#: The streams of an attempt besides stdout, stderr and resources.
OutputStream = Literal[
    "result", "metrics", "artifacts", "annotations", "tests", "coverage", "services", "files"
]


class OutputSummary(Record):
    """A summary of the result, metrics and artifacts of an attempt.

    Attributes:
        result: Bytes of its result, as JSON; None without one.
        metrics: Names of its metrics, in the order of their first points.
        artifacts: Number of its artifacts.
        annotations: Number of its annotations.
        tests: The tests in its JUnit files; None without any.
        coverage: The lines in its coverage files; None without any.
    """

    result: int | None = None
    metrics: tuple[str, ...] = ()
    artifacts: int = 0
    annotations: int = 0
    tests: TestCounts | None = None
    coverage: CoverageCounts | None = None


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


class MetricParams(OutputParams):
    """The attempt whose metrics are queried.

    Attributes:
        points: Maximum number of points of each metric; more are thinned.
    """

    points: int = Field(default=MAX_POINTS, ge=2, le=MAX_POINTS)


class CompareParams(ProgramParams):
    """The program whose pipelines are compared, and the metrics.

    Attributes:
        path: Only metrics of this node.
        name: Only this metric.
        limit: Maximum number of pipelines, the newest first.
        until: Only pipelines created at or before this time, in seconds since the epoch.
        points: Maximum number of points of each metric; 0 for the summary alone.
    """

    path: str | None = None
    name: str | None = None
    limit: int = Field(default=20, ge=1, le=MAX_COMPARED)
    until: float | None = None
    points: int = Field(default=0, ge=0, le=1000)

    @field_validator("points")
    @classmethod
    def _has_both_ends(cls, points: int) -> int:
        return max(2, points) if points else 0


class ComparedMetric(Record):
    """A metric of the newest attempt of a node.

    Attributes:
        last: The last value; None if it is not finite.
        count: Number of points that the command wrote.
        kept: Number of points that are kept: the least and the greatest value are of these.
        values: Of at most `CompareParams.points` points.
    """

    path: str
    attempt: int
    name: str
    last: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    count: int = 0
    kept: int = 0
    values: tuple[float | None, ...] = ()
    steps: tuple[float | None, ...] = ()


class ComparedPipeline(Record):
    """A pipeline of a comparison.

    Attributes:
        metrics: In definition order of the nodes.
    """

    id: str
    created: float
    state: State
    metrics: tuple[ComparedMetric, ...] = ()


class MetricComparison(Record):
    """The metrics of the pipelines of one program.

    Attributes:
        pipelines: The newest first, with those that have no metrics.
        complete: Whether all metrics are included. If not, the metrics of some attempts or of
            older pipelines were not read: there were too many of them for one response.
    """

    pipelines: tuple[ComparedPipeline, ...] = ()
    complete: bool = True


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
