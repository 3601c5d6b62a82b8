"""Whether a pool still needs its idle workers. No I/O, no clock."""

from collections.abc import Callable
from typing import NamedTuple

from conducto_core.model.states import State
from conducto_core.semantics.tree_state import LiveExec, TreeState

#: Number of Execs of a pool's kind that are compared exactly; one more counts as the pool's, so
#: that the check of a large tree is quick.
MAX_COMPARED = 2000


class ExecKind(NamedTuple):
    """The properties by which most Execs of other pools are recognised quickly."""

    key: str
    image: str
    cpu: float


def exec_in_need(
    tree: TreeState, kind: ExecKind, is_member: Callable[[LiveExec], bool]
) -> LiveExec | None:
    """Return an Exec that an idle worker of a pool may have to run later, or None.

    Args:
        tree: The tree.
        kind: The kind of the pool's Execs.
        is_member: Whether an Exec belongs to the pool; called for Execs of this kind.
    """
    compared = 0
    for node in reversed(tree.nodes.values()):  # the rest to run is mostly at the end
        if not isinstance(node, LiveExec) or not may_need(node):
            continue
        if _generates(node):
            return node
        if kind_of_exec(node) == kind:
            compared += 1
            if compared > MAX_COMPARED or is_member(node):
                return node
    return None


def may_need(node: LiveExec) -> bool:
    """Return whether an Exec may still need a worker that does not run it now.

    Failed Execs count: users often rerun them at once. The worker of a running one also runs its
    retry; but the tree that a running Lazy generates is not known yet.
    """
    if node.state is State.DONE or node.spec.approval is not None:
        return False
    if node.state is State.RUNNING and not _generates(node):
        return False
    return not node.is_skipped()


def kind_of_exec(node: LiveExec) -> ExecKind:
    """Return the kind of an Exec."""
    place = node.spec.placement
    return ExecKind(node.spec.pool, place.image, place.cpu)


def _generates(node: LiveExec) -> bool:
    """Return whether the Exec generates a tree, which may contain Execs of any pool."""
    return node.spec.lazy_target is not None
