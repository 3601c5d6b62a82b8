"""Pipelines in the form of API responses."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, Protocol

from conducto.wire.conditions import text_of, why_false
from conducto_core.approvals.model import MAX_WITHDRAWN, ApprovalField, ApprovalView
from conducto_core.command.text import as_defined
from conducto_core.notifications.model import NotificationRecord
from conducto_core.run.model.records import (
    AttemptRecord,
    Counts,
    ImageRecord,
    NodeChange,
    Period,
    PipelineRecord,
    PipelineStatus,
    Wait,
)
from conducto_core.run.model.requests import (
    EventBatch,
    GroupTime,
    NodeView,
    PipelineSummary,
    Workers,
)
from conducto_core.run.model.states import FINISHED, NodeType, State
from conducto_core.run.rules.activity import Activity, shown_period
from conducto_core.run.rules.failures import stopped_by
from conducto_core.run.rules.live_nodes import LiveGroup, LiveNode
from conducto_core.run.rules.tree_state import TreeState
from conducto_core.tree.model import NodeSpec, Pipeline, ancestors
from conducto_core.tree.rules.callbacks import PoolKind, kind_of, owner_of
from conducto_core.tree.rules.provenance import edited_names

#: The fields of a node's view with those of its `Wait`.
_WAIT_FIELDS = (
    "waits_for",
    "wait_kind",
    "wait_since",
    "wait_holder",
    "wait_remedy",
    "wait_until",
)


class ViewedImage(Protocol):
    """An image of a pipeline, and the pipeline's version at its last change."""

    @property
    def record(self) -> ImageRecord:
        """Its record."""

    @property
    def version(self) -> int:
        """The pipeline's version at its last change."""


class Viewed(Protocol):
    """A pipeline in memory, on either target."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def record(self) -> PipelineRecord:
        """Its record."""

    @property
    def pipeline(self) -> Pipeline:
        """Its resolved definition."""

    @property
    def tree(self) -> TreeState:
        """The states of its nodes."""

    @property
    def images(self) -> Mapping[str, ViewedImage]:
        """Its images by name."""

    @property
    def activity(self) -> Activity:
        """Its active time."""

    @property
    def withdrawn(self) -> Mapping[str, tuple[str, ...]]:
        """Why earlier questions of approvals were withdrawn, since the last decision."""

    def status(self) -> PipelineStatus:
        """Return its status, for lists."""

    def counts(self, path: str = "/") -> Counts:
        """Return the Execs at or below a node, by state."""

    def workers(self) -> Workers | None:
        """Return its containers or workers; None if there are none."""


def summary(live: Viewed) -> PipelineSummary:
    return PipelineSummary.model_construct(
        pipeline=live.record,
        **dict(live.status()),
        images=tuple(image.record for image in live.images.values()),
        workers=live.workers(),
    )


def stored_summary(record: PipelineRecord) -> PipelineSummary:
    """Return the summary of a pipeline that is not loaded."""
    return PipelineSummary.model_construct(
        pipeline=record, **dict(record.status), images=(), workers=None
    )


#: Returns ``{path: period of the newest attempts}`` of groups.
Periods = Callable[[Sequence[LiveGroup]], Mapping[str, Period]]


def batch(live: Viewed, changes: list[NodeChange], seen: int, periods: Periods) -> EventBatch:
    """Return the events for a subscriber.

    Args:
        live: The pipeline.
        changes: Those after its cursor.
        seen: The last version of the pipeline that it knows; images changed since are included.
        periods: Returns the periods of groups.
    """
    groups = _groups_above(changes)
    changed = {change.path for change in changes if change.type is not NodeType.EXEC}
    groups |= changed
    return EventBatch.model_construct(
        changes=tuple(changes),
        counts={path: live.counts(path) for path in sorted(groups) if path in live.tree.nodes},
        times=_times(live, changed, periods),
        actors={
            change.path: live.tree.actors[change.path]
            for change in changes
            if change.path in live.tree.actors
        },
        images=tuple(i.record for i in live.images.values() if i.version > seen),
        pipeline=summary(live),
    )


def _times(live: Viewed, paths: Iterable[str], periods: Periods) -> dict[str, GroupTime]:
    nodes = (live.tree.nodes.get(path) for path in sorted(paths))
    groups = [node for node in nodes if isinstance(node, LiveGroup) and has_period(node)]
    found = periods(groups) if groups else {}
    times = {node.path: group_time(live, node, found.get(node.path)) for node in groups}
    return {path: time for path, time in times.items() if time.started is not None}


def has_period(node: LiveGroup) -> bool:
    """Return whether attempts below a group may have started."""
    return node.state not in (State.PENDING, State.QUEUED)


def group_time(live: Viewed, node: LiveNode, period: Period | None) -> GroupTime:
    """Return the time of a group's newest attempts, for display."""
    if period is None:
        return GroupTime.model_construct()
    ended = period.ended if node.state in FINISHED else None
    shown, idle = shown_period(Period(period.started, ended), live.activity)
    return GroupTime.model_construct(started=shown.started, ended=shown.ended, idle=idle)


def _groups_above(changes: Iterable[NodeChange]) -> set[str]:
    found: set[str] = set()
    for change in changes:
        for above in ancestors(change.path):
            if above in found:
                break  # so are all groups above it
            found.add(above)
    return found


def node_view(
    live: Viewed,
    node: LiveNode,
    attempts: Iterable[AttemptRecord],
    wait: Wait | None,
    notifications: Iterable[NotificationRecord] = (),
    *,
    period: Period | None = None,
    edits: Iterable[str] = (),
) -> NodeView:
    """Return one node for display.

    ``period`` is that of a group's newest attempts, if known; ``edits`` are the keys of its changed
    parameters.
    """
    spec = node.spec
    is_exec = spec.type is NodeType.EXEC
    return NodeView.model_construct(
        path=node.path,
        type=spec.type,
        state=node.state,
        skipped=node.skipped,
        cause=node.cause,
        warning=node.warning,
        command=command_of(live, spec) if is_exec and spec.approval is None else None,
        approval=_approval(live, node),
        run_if=None if spec.run_if is None else text_of(spec.run_if),
        skip_reason=_skip_reason(live, node),
        doc=spec.doc,
        file=spec.file,
        line=spec.line,
        modified=tuple(sorted(edited_names(edits))) if edits else (),
        image=spec.placement.image if is_exec else None,
        cpu=spec.placement.cpu if is_exec else None,
        mem=spec.placement.mem if is_exec else None,
        max_time=spec.max_time,
        counts=live.tree.counts(node) if isinstance(node, LiveGroup) else None,
        children=len(node.children) if isinstance(node, LiveGroup) else 0,
        actor=live.tree.actors.get(node.path),
        reuse=_reuse(spec),
        stopped_by=stopped_by(node),
        **_wait(wait),
        **dict(group_time(live, node, period)),
        attempts=tuple(attempts),
        notifications=tuple(notifications),
    )


def command_of(live: Viewed, spec: NodeSpec) -> str:
    """Return the command of an Exec as far as its definition determines it."""
    return as_defined(spec, live.pipeline.images.get(spec.placement.image))


def _approval(live: Viewed, node: LiveNode) -> ApprovalView | None:
    asked = node.spec.approval
    if asked is None:
        return None
    waits = node.state is State.QUEUED
    return ApprovalView(
        message=asked.message,
        who=asked.who,
        fields=tuple(ApprovalField.model_construct(**each._asdict()) for each in asked.fields),
        attempt=node.attempt if waits else None,
        withdrawn=live.withdrawn.get(node.path, ())[-MAX_WITHDRAWN:] if waits else (),
    )


def _skip_reason(live: Viewed, node: LiveNode) -> str | None:
    """Return why a condition skipped a node: ``run_if is false: result(/a) is "same"``."""
    condition = node.spec.run_if
    if condition is None or node.condition != "false":
        return None
    return why_false(condition, live.tree.compared)


def _wait(wait: Wait | None) -> dict[str, Any]:
    if wait is None:
        return dict.fromkeys(_WAIT_FIELDS)
    return dict(zip(_WAIT_FIELDS, wait, strict=True))


def _reuse(spec: NodeSpec) -> Literal["context", "fresh"] | None:
    """Return a node's use of containers; None for the groups inside of a context."""
    match kind_of(spec.pool):
        case PoolKind.MANY:
            return None
        case PoolKind.ONCE:
            return "fresh"
        case PoolKind.CONTEXT:
            begins_here = owner_of(spec.pool) == spec.path
            return "context" if begins_here or spec.type is NodeType.EXEC else None
