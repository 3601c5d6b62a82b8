"""The nodes that explain the failure of a pipeline.

A failed Exec does, unless the time limit of a group above it ended its attempt: then the group
does. Everything that lists or reruns failures uses this module, on both targets.
"""

from collections.abc import Iterator

from conducto_core.run.model.states import FAILED, Cause, State
from conducto_core.run.rules.live_nodes import LiveGroup, LiveNode
from conducto_core.run.rules.tree_state import TreeState


def is_failure(node: LiveNode) -> bool:
    """Return whether a node is itself a reason for the failure of the pipeline."""
    if isinstance(node, LiveGroup):
        return timed_out(node) and not node.skipped
    return _failed(node) and stopped_by(node) is None


def timed_out(group: LiveGroup) -> bool:
    """Return whether the group was killed because of its ``max_time``."""
    return group.state is State.KILLED and group.cause is Cause.TIMEOUT


def stopped_by(node: LiveNode) -> str | None:
    """Return the path of the group whose time limit ended an Exec; None for any other end.

    A group starts no later than its Execs: an inherited limit of an Exec, or a longer limit of its
    own, runs out with the group's at the earliest.
    """
    if isinstance(node, LiveGroup) or node.cause is not Cause.TIMEOUT:
        return None
    group = expired_above(node)
    if group is None or (node.expired and _is_shorter(node.spec.max_time, group.spec.max_time)):
        return None
    return group.path


def may_have_failures(group: LiveGroup) -> bool:
    """Return whether there may be failures at or below a group; False is certain."""
    return group.state is not State.DONE or group.warning or group.fails_below()


def left_over(tree: TreeState, top: LiveNode) -> Iterator[LiveNode]:
    """Yield the nodes at or below ``top`` that a rerun of its failures has to reset.

    These are the failed Execs and, in a group that timed out, those that have not run. If a group
    that timed out has neither, because errors are suppressed below it, it is the group itself.
    """
    for node in tree.subtree(top):
        if isinstance(node, LiveGroup):
            if is_failure(node) and not any(_is_left(n) for n in tree.subtree(node)):
                yield node
        elif _is_left(node):
            yield node


def is_held_by_limit(node: LiveNode) -> bool:
    """Return whether a pending Exec does not run because a group above it timed out."""
    return node.state is State.PENDING and not node.skipped and expired_above(node) is not None


def _is_shorter(limit: float | None, other: float | None) -> bool:
    return limit is not None and (other is None or limit < other)


def _is_left(node: LiveNode) -> bool:
    if isinstance(node, LiveGroup):
        return False
    return _failed(node) or (is_held_by_limit(node) and not node.is_skipped())


def _failed(node: LiveNode) -> bool:
    return node.state in FAILED and not node.skipped


def expired_above(node: LiveNode) -> LiveGroup | None:
    """Return the nearest group above a node whose time limit ran out."""
    group = node.parent
    while group is not None and not group.expired:
        group = group.parent
    return group
