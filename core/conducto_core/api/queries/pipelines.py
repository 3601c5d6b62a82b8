"""Queries on one pipeline, the same for every target."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from conducto_core.api.queries import node_details, tree_pages, views
from conducto_core.api.queries.compact_states import compact_states
from conducto_core.errors import no_node
from conducto_core.model.node_detail import NodeDetail
from conducto_core.model.nodes import ancestors, is_within
from conducto_core.model.notifications import NotificationRecord
from conducto_core.model.params import StatesParams, TreeParams
from conducto_core.model.records import AttemptRecord, Period
from conducto_core.model.requests import NodeStates, TreePage
from conducto_core.model.states import FAILED
from conducto_core.model.wait_phases import Wait
from conducto_core.semantics.node_history import ranked_paths
from conducto_core.semantics.tree_state import LiveGroup, LiveNode


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
        nodes, more = tree_pages.page(live.tree, params)
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
    holds = tree_pages.holding(params.text or "")

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
    return node_details.detail(live.record, chain, page.nodes[0], live.edits.get(path, {}))


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
