"""The states of a subtree's Execs in one letter each, small enough for tens of thousands."""

from itertools import islice

from conducto_core.model.nodes import ancestors
from conducto_core.model.params import MAX_STATES, StatesParams
from conducto_core.model.requests import NodeStates
from conducto_core.model.states import State
from conducto_core.semantics.tree_state import LiveExec, TreeState

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
