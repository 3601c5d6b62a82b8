"""A pipeline as readers of the API see it."""

from collections.abc import Iterable, Iterator
from itertools import islice

from conducto.model.api import EventBatch, NodeView, PipelineSummary
from conducto.model.nodes import ancestors
from conducto.model.records import AttemptRecord, NodeChange, PipelineRecord
from conducto.model.states import NodeType, State
from conducto.semantics.live import LiveGroup, LiveNode
from conducto_local.runner.live import LivePipeline


def summary(live: LivePipeline) -> PipelineSummary:
    """Return a loaded pipeline as it is listed."""
    return PipelineSummary.model_construct(
        pipeline=live.record,
        **dict(live.standing()),
        images=tuple(image.record for image in live.images.values()),
    )


def stored_summary(record: PipelineRecord) -> PipelineSummary:
    """Return a pipeline that is not loaded as it is listed."""
    return PipelineSummary.model_construct(pipeline=record, **dict(record.standing), images=())


def batch(live: LivePipeline, changes: list[NodeChange], seen: int) -> EventBatch:
    """Return what a subscriber is told.

    Args:
        live: The pipeline.
        changes: Those after its cursor.
        seen: The version of the pipeline it knew before; images that moved since are told.
    """
    groups = {above for change in changes for above in ancestors(change.path)}
    groups.update(change.path for change in changes if change.type is not NodeType.EXEC)
    return EventBatch.model_construct(
        changes=tuple(changes),
        counts={path: live.counts(path) for path in sorted(groups) if path in live.tree.nodes},
        images=tuple(i.record for i in live.images.values() if i.version > seen),
        pipeline=summary(live),
    )


def page(
    live: LivePipeline, root: str, after: str | None, limit: int
) -> tuple[list[LiveNode], str | None]:
    """Return the nodes of one page of a subtree, and the last path when there are more.

    Raises:
        KeyError: ``root`` or ``after`` is not in the tree.
    """
    nodes: Iterator[LiveNode] = live.tree.subtree(live.tree.nodes[root])
    if after is not None:
        live.tree.nodes[after]
        for node in nodes:
            if node.path == after:
                break
    taken = list(islice(nodes, limit + 1))
    more = len(taken) > limit
    return taken[:limit], taken[limit - 1].path if more else None


def node_view(
    live: LivePipeline, node: LiveNode, attempts: Iterable[AttemptRecord], waits_for: str | None
) -> NodeView:
    """Return one node for a reader."""
    spec = node.spec
    is_exec = spec.type is NodeType.EXEC
    return NodeView.model_construct(
        path=node.path,
        type=spec.type,
        state=node.state,
        skipped=node.skipped,
        cause=node.cause,
        warning=node.warning,
        command=spec.command if is_exec else None,
        doc=spec.doc,
        file=spec.file,
        line=spec.line,
        image=spec.placement.image if is_exec else None,
        cpu=spec.placement.cpu if is_exec else None,
        mem=spec.placement.mem if is_exec else None,
        max_time=spec.max_time,
        counts=live.tree.counts(node) if isinstance(node, LiveGroup) else None,
        waits_for=waits_for,
        attempts=tuple(attempts),
    )


def why_pending(live: LivePipeline, node: LiveNode) -> str | None:
    """Return why a pending node does not run, as a sentence; None when nobody would ask."""
    if node.state is not State.PENDING:
        return None
    if node.skipped or any(live.tree.nodes[path].skipped for path in ancestors(node.path)):
        return "skipped"
    if live.record.problem is not None and not live.record.armed:
        return f"paused: {live.record.problem}"
    if not live.record.armed:
        return f"not running; start it with: conducto run {live.id}"
    return _held_by(node)


def _held_by(node: LiveNode) -> str | None:
    """Return the sibling further up that a Serial lets run first."""
    group = node.parent
    while group is not None:
        first = group.tally.first_holding()
        if first is not None and first < node.position:
            holding = group.children[first]
            failed = holding.state in (State.ERROR, State.KILLED)
            rest = "reset or skip it" if failed else f"it is {holding.state.value}"
            return f"waits for {holding.path}: {rest}"
        if group.expired:
            return f"max_time of {group.path} ran out; reset it"
        node, group = group, group.parent
    return None
