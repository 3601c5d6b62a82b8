"""The container of a ``new`` group: when it is kept or stopped, and its loss. No I/O."""

from collections.abc import Iterable, Iterator
from enum import Enum, auto

from conducto_core.run.model.states import FINISHED
from conducto_core.run.rules.live_nodes import LiveExec, LiveGroup, LiveNode
from conducto_core.run.rules.outcomes import Outcome
from conducto_core.run.rules.tree_state import TreeState
from conducto_core.tree.model import ancestors
from conducto_core.tree.rules.callbacks import PoolKind, kind_of, owner_of

#: Seconds for which a container is kept if its group does not continue by itself: after a failure,
#: users reset the failed node and continue with the state in the container.
CONTEXT_IDLE = 900.0
#: Seconds for which a paused group keeps its container, at the price of a running one.
CONTEXT_PAUSE = 86_400.0


class Hold(Enum):
    """The reason to keep a group's container.

    ``NEEDED``: an Exec of the group runs or is queued. ``PAUSED``: the group continues when a user
    resumes the pipeline, which was not cancelled. ``SPARE``: no Exec continues by itself; the
    container stops after `CONTEXT_IDLE`, or when others need its place. ``OVER``: it stops now.
    """

    NEEDED = auto()
    PAUSED = auto()
    SPARE = auto()
    OVER = auto()


#: The reasons for which an idle container was stopped while its group needed it.
LATE = {
    Hold.PAUSED: f"the pipeline was paused for more than {CONTEXT_PAUSE / 3600:g} hours",
    Hold.SPARE: f"no command of the group had run for {CONTEXT_IDLE / 60:g} minutes",
}


def hold_of(tree: TreeState, pool: str, *, used: bool) -> Hold:
    """Return the reason to keep the container of a context; ``used``: a command ran in it."""
    group = tree.nodes.get(owner_of(pool) or "")
    if group is None:
        return Hold.OVER
    if isinstance(group, LiveGroup) and group.in_flight():
        return Hold.NEEDED
    match group.seen():
        case Outcome.OK:
            return Hold.OVER
        case Outcome.FAILED:
            return Hold.SPARE
        case Outcome.UNFINISHED:
            return Hold.PAUSED if used and tree.paused else Hold.SPARE


def is_late(hold: Hold, seconds: float) -> bool:
    """Return whether a container has been idle for long enough to stop it."""
    match hold:
        case Hold.NEEDED:
            return False
        case Hold.PAUSED:
            return seconds >= CONTEXT_PAUSE
        case Hold.SPARE:
            return seconds >= CONTEXT_IDLE
        case Hold.OVER:
            return True


def loses_state(tree: TreeState, pool: str, completed: int) -> bool:
    """Return whether the group has lost the state that ``completed`` commands left.

    The next command would find an empty container. It must not run there by itself: it ends as
    ``worker_lost`` until a user resets the group or a part of it.
    """
    group = tree.nodes.get(owner_of(pool) or "")
    return completed > 0 and group is not None and group.seen() is not Outcome.OK


def used_contexts(tree: TreeState) -> set[str]:
    """Return the pools of the contexts in which a command has ended."""
    return {
        node.spec.pool
        for node in tree.nodes.values()
        if isinstance(node, LiveExec)
        and kind_of(node.spec.pool) is PoolKind.CONTEXT
        and node.state in FINISHED
        and node.attempt
        and not node.skipped
    }


def is_renewed(tree: TreeState, pool: str) -> bool:
    """Return whether a whole group runs again, so that it has lost no state."""
    return all(node.state not in FINISHED for node in _members(tree, pool))


def is_reset(tree: TreeState, pool: str, paths: Iterable[str]) -> bool:
    """Return whether a reset of these subtrees resets a part of the context."""
    tops = tuple("/" if path == "/" else f"{path}/" for path in paths)
    return any(f"{node.path}/".startswith(tops) for node in _members(tree, pool))


def is_inside(pool: str, paths: Iterable[str]) -> bool:
    """Return whether a container belongs to a node that is entirely inside these subtrees.

    A reset of the subtrees ends it: all commands that ran in it run again, in a fresh container.
    """
    owner = owner_of(pool)
    return owner is not None and not {owner, *ancestors(owner)}.isdisjoint(paths)


def loss(pool: str, why: str, pipeline_id: str) -> str:
    """Return the message about a context that lost its container."""
    group = owner_of(pool) or "/"
    return f"{lost_state(pool, why)}; to run the group again: conducto rerun {pipeline_id} {group}"


def lost_state(pool: str, why: str) -> str:
    """Return the sentence about a context that lost its container."""
    group = owner_of(pool) or "/"
    return f"the container of {group} is lost, and with it the state of earlier commands: {why}"


def _members(tree: TreeState, pool: str) -> Iterator[LiveNode]:
    group = tree.nodes.get(owner_of(pool) or "")
    if group is not None:
        for node in tree.subtree(group):
            if isinstance(node, LiveExec) and node.spec.pool == pool and not node.skipped:
                yield node
