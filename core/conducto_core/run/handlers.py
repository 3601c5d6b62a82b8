"""Queries on one pipeline, the same for every target."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice, tee
from typing import Any, Protocol, TypeVar

from conducto_core.errors import NotFoundError, RefusedError, no_node
from conducto_core.notifications.model import NotificationRecord
from conducto_core.programs.comparison import histories_of
from conducto_core.programs.rules.comparison import ranked_paths
from conducto_core.run import views
from conducto_core.run.model.params import (
    MAX_HISTORY_SCAN,
    MAX_STATES,
    MAX_TREE_SCAN,
    ListParams,
    StatesParams,
    TreeParams,
)
from conducto_core.run.model.records import AttemptRecord, Lifecycle, Period, PipelineRecord, Wait
from conducto_core.run.model.requests import NodeStates, NodeView, PipelineSummary, TreePage
from conducto_core.run.model.responses import NodeDetail, PipelineList
from conducto_core.run.model.states import FAILED, NodeType, State
from conducto_core.run.rules.failures import is_failure, may_have_failures
from conducto_core.run.rules.live_nodes import LiveExec, LiveGroup, LiveNode, retrying_below
from conducto_core.run.rules.outcomes import INDEX
from conducto_core.run.rules.tree_state import TreeState
from conducto_core.tree.model import NodeSpec, ancestors, is_within
from conducto_core.tree.rules import provenance

# ----------------------------------------------------------------------------------------
# Filters and pages of pipeline lists.


_LISTED = frozenset({Lifecycle.ACTIVE, Lifecycle.SLEEPING})


def page(summaries: Iterable[PipelineSummary], query: ListParams | None) -> PipelineList:
    """Return the pipelines that match, in order; None selects all that are not archived.

    Args:
        summaries: All pipelines, the newest first; as few as possible are read.
        query: The filter, and options.

    Raises:
        NotFoundError: the pipeline to continue after does not exist any more.
    """
    if query is None:
        listed = ListParams()
        return PipelineList(pipelines=tuple(one for one in summaries if _matches(one, listed)))
    if not query.history:
        return _page(summaries, query)
    # Read once, since reading is the cost of a list.
    asked_for, known, above = tee(summaries, 3)
    found = _page(asked_for, query)
    parents = () if query.parent is None else _first_with_id(above, query.parent)
    histories = histories_of((*parents, *found.pipelines), islice(known, MAX_HISTORY_SCAN))
    return found.model_copy(update={"histories": histories})


def _first_with_id(
    summaries: Iterable[PipelineSummary], pipeline_id: str
) -> Iterable[PipelineSummary]:
    return islice((one for one in summaries if one.pipeline.id == pipeline_id), 1)


def _page(summaries: Iterable[PipelineSummary], query: ListParams) -> PipelineList:
    rest = iter(summaries)
    if query.after is not None:
        _go_behind(rest, query.after)
    found = tuple(islice((one for one in rest if _matches(one, query)), query.limit))
    full = len(found) == query.limit
    return PipelineList(pipelines=found, next=found[-1].pipeline.id if full else None)


def _go_behind(summaries: Iterable[PipelineSummary], after: str) -> None:
    for one in summaries:
        if one.pipeline.id == after:
            return
    raise NotFoundError(f"no pipeline {after!r} to continue after; list them from the start")


def _matches(summary: PipelineSummary, query: ListParams) -> bool:
    record = summary.pipeline
    return (
        record.lifecycle in _lifecycles(query)
        and query.state in (None, summary.state)
        and query.owner in (None, record.owner)
        and (query.parent is None or query.parent == _parent_of(record))
        and (query.tag is None or query.tag in record.tags)
        and (not query.text or query.text.lower() in _words(summary))
    )


def _parent_of(record: PipelineRecord) -> str | None:
    return None if record.parent is None else record.parent.pipeline


def _lifecycles(query: ListParams) -> frozenset[Lifecycle]:
    match query.lifecycle:
        case "listed":
            return _LISTED
        case "all":
            return frozenset(Lifecycle)
        case one:
            return frozenset({Lifecycle(one)})


def _words(summary: PipelineSummary) -> str:
    record = summary.pipeline
    return "\n".join((record.id, record.title, record.program or "", *record.tags)).lower()


# ----------------------------------------------------------------------------------------
# Lookup by name, with an error that lists the known names.


#: Maximum number of pipelines named in an error about an ambiguous id.
_NAMED = 5


def resolve_id(given: str, known: Iterable[str]) -> str:
    """Return the id of the pipeline whose id is, or unambiguously starts with, ``given``.

    Raises:
        NotFoundError: there is none.
        RefusedError: there are several.
    """
    found = sorted(each for each in known if given and each.startswith(given))
    if given in found:
        return given
    if not found:
        raise NotFoundError(f"no pipeline {given!r}; 'conducto list' lists them")
    if len(found) > 1:
        more = f" and {len(found) - _NAMED:,} more" if len(found) > _NAMED else ""
        named = ", ".join(found[:_NAMED])
        raise RefusedError(f"{given!r} could be any of {named}{more}; give more of the id")
    return found[0]


def chosen_attempt(
    path: str, attempts: Sequence[AttemptRecord], number: int | None
) -> AttemptRecord | None:
    """Return the requested attempt, by default the newest; None if there is none yet.

    Raises:
        NotFoundError: there is no attempt of that number.
    """
    known = {attempt.number: attempt for attempt in attempts}
    if number is not None and number not in known:
        numbers = ", ".join(map(str, known)) or "none"
        raise NotFoundError(f"{path}: no attempt {number} (there are: {numbers})", path)
    return known[max(known) if number is None else number] if known else None


# ----------------------------------------------------------------------------------------
# The details of one node for an API response.


_DAY = 86_400.0


def detail(
    record: PipelineRecord, chain: Sequence[NodeSpec], view: NodeView, edits: Mapping[str, Any]
) -> NodeDetail:
    """Return the details of a node; ``chain`` is the node, then its ancestors up to the root."""
    spec = chain[0]
    modified = provenance.edited_names(edits)
    return NodeDetail(
        node=view,
        title=spec.title,
        tags=spec.tags,
        parameters=provenance.parameters(chain, modified),
        env=provenance.variables(chain),
        callbacks=provenance.callbacks(chain),
        lazy_target=spec.lazy_target,
        generated=spec.place is not None,
        awaits_tree=spec.awaits_tree,
        pool=spec.pool if spec.type is NodeType.EXEC else None,
        logs_until=record.touched + record.retention * _DAY if record.retention else None,
        modified=tuple(sorted(modified)),
    )


# ----------------------------------------------------------------------------------------
# The states of a subtree's Execs in one letter each, small enough for tens of thousands.


LETTERS = {
    State.PENDING: "P",
    State.QUEUED: "Q",
    State.RUNNING: "R",
    State.DONE: "D",
    State.ERROR: "E",
    State.KILLED: "K",
}
SKIPPED = "S"


def compact_states(tree: TreeState, query: StatesParams, seq: int) -> NodeStates:
    """Return a letter for each Exec of the subtree, the first `MAX_STATES` of them.

    Raises:
        KeyError: ``root`` is not in the tree.
    """
    top = tree.nodes[query.root]
    nodes = (node for node in tree.subtree(top) if isinstance(node, LiveExec))
    found = list(islice(nodes, MAX_STATES + 1))
    shown = found[:MAX_STATES]
    skipped: dict[str, bool] = {}
    start = len(query.root.rstrip("/")) + 1
    return NodeStates(
        seq=seq,
        states="".join(
            SKIPPED if _is_skipped(tree, node.path, skipped) else LETTERS[node.state]
            for node in shown
        ),
        names=tuple(node.path[start:] for node in shown) if query.names else (),
        complete=len(found) == len(shown),
    )


def _is_skipped(tree: TreeState, path: str, known: dict[str, bool]) -> bool:
    """Return whether a node or a group above it is skipped; each group is checked once."""
    if tree.nodes[path].skipped:
        return True
    above = next(ancestors(path), None)
    if above is None:
        return False
    if above not in known:
        known[above] = _is_skipped(tree, above, known)
    return known[above]


# ----------------------------------------------------------------------------------------
# Pages of a tree: each continues where the last one ended, at the cost of the page.


#: Groups on the path to the current node, each with the index of its next child.
_Way = list[tuple[LiveGroup, int]]


def page_of_tree(tree: TreeState, query: TreeParams) -> tuple[list[LiveNode], str | None]:
    """Return the nodes of one page, and the path to continue after if there may be more.

    Raises:
        KeyError: ``root`` is not in the tree, or ``after`` is not in the subtree.
    """
    found: list[LiveNode] = []
    looked_at = 0
    holds = holding(query.text or "")
    for node in _walk(tree, query):
        if looked_at == MAX_TREE_SCAN and _is_search(query):
            return found, _before(node)
        looked_at += 1
        if not _is_in_state(node, query) or not holds(node.path, node.spec.command):
            continue
        if len(found) == query.maximum:
            return found, found[-1].path
        found.append(node)
    return found, None


def _is_search(query: TreeParams) -> bool:
    return query.state is not None or query.failed or query.waiting or bool(query.text)


def holding(text: str) -> Callable[[str, str], bool]:
    """Return a predicate for nodes whose path or command contains a text, ignoring case.

    In the path, a ``*`` also matches any characters but "/".
    """
    if not text:
        return lambda _path, _command: True
    wanted = text.lower()
    parts = [part for part in wanted.split("*") if part] if "*" in wanted else []

    def holds(path: str, command: str) -> bool:
        path = path.lower()
        if wanted in path or wanted in command.lower():
            return True
        return bool(parts) and _has_in_order(path, parts)

    return holds


def _has_in_order(path: str, parts: list[str]) -> bool:
    """Return whether a path contains these texts in order, with no "/" between two of them.

    A library's pattern could take exponential time. Here the first position of each text is enough,
    because a later one in the same name leaves no more room for the next text.
    """
    first, *others = parts
    start = path.find(first)
    while start >= 0:
        end = start + len(first)
        for part in others:
            end = _end_of_next(path, part, end)
            if end < 0:
                break
        else:
            return True
        start = path.find(first, start + 1)
    return False


def _end_of_next(path: str, part: str, start: int) -> int:
    """Return the end of the next ``part`` in the same name; -1 if there is none."""
    slash = path.find("/", start)
    found = path.find(part, start)
    if found < 0 or 0 <= slash < found:
        return -1
    return found + len(part)


def _is_in_state(node: LiveNode, query: TreeParams) -> bool:
    if query.failed:
        return is_failure(node) and query.state in (None, node.state)
    if query.waiting and node.state is not State.QUEUED and not retrying_below(node):
        return False
    if query.state is None and not query.waiting:
        return True
    return node.spec.type is NodeType.EXEC and query.state in (None, node.state)


def _walk(tree: TreeState, query: TreeParams) -> Iterator[LiveNode]:
    """Yield the nodes after ``query.after``, parents first, without groups that cannot match."""
    root = tree.nodes[query.root]
    if query.after is None:
        yield root
        way = _way_below(root, 0, query)
    else:
        way = _way_to(tree, root, query.after, query)
    while way:
        group, index = way.pop()
        if index == len(group.children):
            continue
        child = group.children[index]
        way.append((group, index + 1))
        yield child
        way += _way_below(child, len(way), query)


def _way_below(node: LiveNode, level: int, query: TreeParams) -> _Way:
    """Return the path into ``node``, ``level`` below the root, or nothing."""
    if not isinstance(node, LiveGroup) or (query.depth is not None and level >= query.depth):
        return []
    if query.failed:
        return [(node, 0)] if may_have_failures(node) else []
    if query.waiting and not node.counts[INDEX[State.QUEUED]] and not node.retrying:
        return []
    if query.state is not None and not node.counts[INDEX[query.state]]:
        return []
    return [(node, 0)]


def _way_to(tree: TreeState, root: LiveNode, after: str, query: TreeParams) -> _Way:
    node = tree.nodes[after]
    way: _Way = []
    inside = node
    while inside is not root:
        if inside.parent is None:
            raise KeyError(after)
        way.append((inside.parent, inside.position + 1))
        inside = inside.parent
    way.reverse()
    way += _way_below(node, len(way), query)
    return way if query.depth is None else way[: query.depth]


def _before(node: LiveNode) -> str:
    """Return the path of the node directly before ``node``, which has a parent."""
    above = node.parent
    if above is None or node.position == 0:
        return next(ancestors(node.path))
    last: LiveNode = above.children[node.position - 1]
    while isinstance(last, LiveGroup) and last.children:
        last = last.children[-1]
    return last.path


class Queried(views.Viewed, Protocol):
    """A pipeline in memory, with all that queries need."""

    @property
    def seq(self) -> int:
        """Number of its last change."""

    @property
    def notified(self) -> int:
        """Number of its last notification; 0 without any."""

    @property
    def edits(self) -> Mapping[str, Mapping[str, Any]]:
        """Modified parameters by path."""


P_contra = TypeVar("P_contra", bound=Queried, contravariant=True)


class ReadModel(Protocol[P_contra]):
    """The stored records of one pipeline, as a target has them."""

    def attempts(self, live: P_contra, paths: Collection[str]) -> Iterable[AttemptRecord]:
        """Return the attempts of these nodes, the first ones first; others may be among them."""

    def notifications(self, live: P_contra) -> Iterable[NotificationRecord]:
        """Return the notifications of the pipeline."""

    def periods(self, live: P_contra, groups: Sequence[LiveGroup]) -> Mapping[str, Period]:
        """Return ``{path: period of the newest attempts}`` of groups that have started."""

    def wait(self, live: P_contra, node: LiveNode) -> Wait | None:
        """Return why a pending or queued node does not run, or None if the reason is obvious."""


def tree_page(model: ReadModel[P_contra], live: P_contra, params: TreeParams) -> TreePage:
    """Return nodes of a subtree, or those that a search finds.

    Raises:
        NotFoundError: ``root`` or ``after`` is not in the tree.
    """
    try:
        nodes, more = page_of_tree(live.tree, params)
    except KeyError as error:
        raise no_node(live.id, str(error.args[0])) from error
    return _shown(model, live, params, nodes, more)


def ranked_page(
    model: ReadModel[P_contra], live: P_contra, params: TreeParams, paths: Iterable[str]
) -> TreePage:
    """Return the nodes at these paths, in this order, without those that a Lazy has removed."""
    nodes = [live.tree.nodes[path] for path in paths if path in live.tree.nodes]
    return _shown(model, live, params, nodes, None)


def ranking(attempts: Iterable[AttemptRecord], params: TreeParams, now: float) -> list[str]:
    """Return the paths of the nodes of a page that is ordered by time or memory."""
    holds = holding(params.text or "")

    def fits(attempt: AttemptRecord) -> bool:
        return (
            is_within(attempt.path, params.root)
            and params.state in (None, attempt.state)
            and (not params.failed or attempt.state in FAILED)
            and holds(attempt.path, attempt.command)
        )

    by_memory = params.order == "memory"
    return ranked_paths(attempts, params.maximum, now, fits, by_memory=by_memory)


def _shown(
    model: ReadModel[P_contra],
    live: P_contra,
    params: TreeParams,
    nodes: Sequence[LiveNode],
    more: str | None,
) -> TreePage:
    attempts = _attempts(model, live, [node.path for node in nodes if node.attempt], params)
    notified: dict[str, list[NotificationRecord]] = {}
    for notification in model.notifications(live) if live.notified else ():
        notified.setdefault(notification.path, []).append(notification)
    periods = {} if params.attempts == "none" else _periods(model, live, nodes)
    shown = tuple(
        views.node_view(
            live,
            node,
            attempts.get(node.path, ()),
            model.wait(live, node),
            notified.get(node.path, ()),
            period=periods.get(node.path),
            edits=live.edits.get(node.path, ()),
        )
        for node in nodes
    )
    return TreePage.model_construct(seq=live.seq, next=more, nodes=shown)


def node_states(live: Queried, params: StatesParams) -> NodeStates:
    """Return the state of each Exec of a subtree as one letter.

    Raises:
        NotFoundError: ``root`` is not in the tree.
    """
    try:
        return compact_states(live.tree, params, live.seq)
    except KeyError as error:
        raise no_node(live.id, str(error.args[0])) from error


def node_detail(model: ReadModel[P_contra], live: P_contra, path: str) -> NodeDetail:
    """Return all details of one node.

    Raises:
        NotFoundError: it is not in the tree.
    """
    page = tree_page(model, live, TreeParams(id=live.id, root=path, depth=0))
    chain = [live.tree.nodes[one].spec for one in (path, *ancestors(path))]
    return detail(live.record, chain, page.nodes[0], live.edits.get(path, {}))


def attempts_of(model: ReadModel[P_contra], live: P_contra, path: str) -> tuple[AttemptRecord, ...]:
    """Return every attempt of a node, the oldest first, even of one that a Lazy discarded.

    Raises:
        NotFoundError: it is not in the tree, and has no attempts.
    """
    found = tuple(model.attempts(live, (path,)))
    if not found and path not in live.tree.nodes:
        raise no_node(live.id, path)
    return found


def _attempts(
    model: ReadModel[P_contra], live: P_contra, paths: Collection[str], params: TreeParams
) -> dict[str, list[AttemptRecord]]:
    if params.attempts == "none" or not paths:
        return {}
    found: dict[str, list[AttemptRecord]] = {path: [] for path in paths}
    for attempt in model.attempts(live, paths):
        if attempt.path in found:
            found[attempt.path].append(attempt)
    if params.attempts == "newest":
        return {path: attempts[-1:] for path, attempts in found.items()}
    return found


def _periods(
    model: ReadModel[P_contra], live: P_contra, nodes: Iterable[LiveNode]
) -> Mapping[str, Period]:
    groups = [n for n in nodes if isinstance(n, LiveGroup) and views.has_period(n)]
    return model.periods(live, groups) if groups else {}
