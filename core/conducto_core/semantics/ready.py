"""The Execs that may start now.

The machine checks the part of the tree that an event changed; the cloud checks the whole tree to
size its pools.
"""

from collections.abc import Iterator

from conducto_core.model.states import State
from conducto_core.semantics.tree_state import LiveExec, LiveGroup, LiveNode, TreeState


def ready_below(tree: TreeState, top: LiveNode) -> Iterator[LiveExec]:
    """Yield the pending Execs at or below ``top`` that may start, in definition order.

    It ignores whether the pipeline is armed. It yields nothing if ``top`` itself may not start yet.
    """
    if not _has_its_turn(tree, top):
        return
    stack = [top]
    while stack:
        node = stack.pop()
        if isinstance(node, LiveGroup):
            if _open(node):
                stack.extend(node.children[i] for i in reversed(node.tally.next_to_run()))
        elif isinstance(node, LiveExec) and _may_start(tree, node):
            yield node


def _open(group: LiveGroup) -> bool:
    return not (group.skipped or group.expired or group.discarding or group.spec.awaits_tree)


def _has_its_turn(tree: TreeState, node: LiveNode) -> bool:
    """Return whether all groups above ``node`` let it run."""
    if tree.nodes.get(node.path) is not node:  # discarded meanwhile
        return False
    group = node.parent
    while group is not None:
        if not _open(group) or not group.tally.may_run(node.position):
            return False
        node, group = group, group.parent
    return True


def _may_start(tree: TreeState, node: LiveExec) -> bool:
    """Return whether an Exec may start; a Lazy waits for the Execs of its last tree."""
    if node.state is not State.PENDING or node.skipped:
        return False
    target = tree.nodes.get(node.spec.lazy_target) if node.spec.lazy_target is not None else None
    return not (isinstance(target, LiveGroup) and target.discarding)
