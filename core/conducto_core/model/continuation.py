"""The request to continue a pipeline with a changed tree, and its plan."""

from enum import StrEnum

from pydantic import Field

from conducto_core.model.base import Record
from conducto_core.model.params import PipelineId
from conducto_core.model.requests import LaunchRequest, PipelineSummary


class Fate(StrEnum):
    """The three results of a plan for an Exec: it stays done, it runs, or it is skipped."""

    KEPT = "kept"
    RUNS = "runs"
    SKIPPED = "skipped"


class NodePlan(Record):
    """The plan for one Exec.

    Attributes:
        reason: The cause, e.g. ``command changed``; empty for an Exec that is kept.
    """

    path: str
    fate: Fate
    reason: str = ""


class ContinueRequest(Record):
    """A request to replace the definition of a pipeline; its data and its history are kept.

    Attributes:
        launch: The new tree and its options. The pipeline keeps its engine and its owner.
        fresh: Keep no results: every Exec runs again.
        keep_secrets: Do not compare secrets: an Exec that got other ones stays done.
        preview: Only return the plan.
        seq: ``seq`` of the pipeline for which the plan was made; the request is refused if it has
            changed since then. None: any.
    """

    launch: LaunchRequest
    fresh: bool = False
    keep_secrets: bool = False
    preview: bool = False
    seq: int | None = None


class PlanRecord(Record):
    """The plan by which the tree of a pipeline was replaced last, as it is stored.

    Attributes:
        time: When it was replaced, in seconds since the epoch.
        nodes: Those of the new tree, in definition order.
        removed: Paths of the Execs that only the old tree had.
    """

    time: float
    nodes: tuple[NodePlan, ...]
    removed: tuple[str, ...] = ()


class ContinuationParams(Record):
    """The part of the plan of the latest continuation that is queried.

    Attributes:
        path: An Exec, or a group with the Execs below it.
        limit: Maximum number of Execs that are listed.
    """

    id: PipelineId
    path: str = "/"
    limit: int = Field(default=100, ge=1, le=1000)


class LatestContinuation(Record):
    """The plan by which the tree of a pipeline was replaced last.

    Attributes:
        time: When it was replaced, in seconds since the epoch; None: it never was.
        kept: Number of Execs at or below the path that stayed done; likewise ``runs``, ``skipped``.
        nodes: Execs at or below the path, in definition order; those that stayed done come last.
        removed: Number of Execs of the whole tree that were removed.
    """

    time: float | None = None
    kept: int = 0
    runs: int = 0
    skipped: int = 0
    nodes: tuple[NodePlan, ...] = ()
    removed: int = 0


class ContinuePlan(Record):
    """The plan for each Exec of the new tree.

    Attributes:
        pipeline: The pipeline; after the replacement, unless it was a preview.
        nodes: In definition order.
        removed: Paths of the Execs that only the old tree has.
        preview: It was a preview; nothing was changed.
    """

    pipeline: PipelineSummary
    nodes: tuple[NodePlan, ...]
    removed: tuple[str, ...] = ()
    preview: bool = False
