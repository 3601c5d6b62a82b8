"""The rules for the people that may decide an approval, and for actions that affect it. Pure.

An action must not lead around an approval. To skip an approval, to change it, or to end its wait
needs the right to decide it. Any other change of work before or after an approval that waits is
allowed; then the question is withdrawn, and asked again with a new number.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from conducto_core.approvals.model import WaitingApproval
from conducto_core.people.model import Role
from conducto_core.run.model.records import Actor, AttemptRecord
from conducto_core.run.model.requests import Action, ControlRequest
from conducto_core.run.model.states import Cause, NodeType, State
from conducto_core.run.rules.live_nodes import LiveExec, LiveNode
from conducto_core.run.rules.tree_state import TreeState
from conducto_core.tree.model import Approval

#: Roles from the lowest to the highest; each can do what the ones before it can.
_ROLES = (Role.VIEWER, Role.MEMBER, Role.ADMIN, Role.OWNER)
#: Parameters of a group that decide what happens after a rejection or timeout below it.
_AFTER_REJECTION = frozenset({"stop_on_error", "suppress_errors", "max_time"})
_VERBS: Final = {
    Action.SKIP: "skipped",
    Action.UNSKIP: "unskipped",
    Action.MODIFY: "modified",
    Action.RESET: "reset",
    Action.RERUN: "reset",
    Action.REBUILD: "rebuilt the image of",
}


class Decider(NamedTuple):
    """The caller of an action that an approval may need.

    Attributes:
        user: Their user id.
        role: Their current role; None for a program, which never decides.
        assistant: As that of `Actor`.
    """

    user: str
    role: Role | None
    assistant: str | None = None

    @property
    def actor(self) -> Actor:
        """Return who requested the action."""
        return Actor(user=self.user, assistant=self.assistant)


def may_decide(approval: Approval | WaitingApproval, user: str, role: Role | None) -> bool:
    """Return whether a person may decide an approval.

    Args:
        approval: The approval.
        user: The person's user id.
        role: The person's current role; None for a program.
    """
    if role is None or role is Role.VIEWER:
        return False
    allowed = {each.value for each in _ROLES[: _ROLES.index(role) + 1]}
    return not approval.who or user in approval.who or not allowed.isdisjoint(approval.who)


def deciders(approval: Approval) -> str:
    """Return the people who may decide, in words: ``admin, anna``."""
    return ", ".join(approval.who) or "a member"


def bypassed(tree: TreeState, request: ControlRequest) -> Iterator[tuple[str, Approval]]:
    """Yield path and approval of the nodes that an action skips, changes, or stops from waiting.

    Actions on the whole pipeline lead around none: they withdraw a question, and the next run asks
    it again.

    Args:
        tree: The tree.
        request: The action, with the paths of all nodes that it affects.
    """
    changes = frozenset() if request.changes is None else request.changes.model_fields_set
    for path in request.paths:
        for node in _affected(tree, tree.nodes[path], request.action, changes):
            if node.spec.approval is not None:
                yield node.path, node.spec.approval


def _affected(
    tree: TreeState, top: LiveNode, action: Action, changes: Collection[str]
) -> Iterable[LiveNode]:
    match action:
        case Action.SKIP:
            return tree.subtree(top)
        case Action.KILL:
            return tree.in_flight(top)
        case Action.MODIFY if not _AFTER_REJECTION.isdisjoint(changes):
            return tree.subtree(top)
        case Action.MODIFY:
            return (top,)
        case _:
            return ()


def waiting_beside(tree: TreeState, changed: Collection[str]) -> dict[str, int]:
    """Return ``{path: attempt}`` of the approvals that wait, in sequence with a changed node.

    A node after the approval is what the person decides about; what one before it left is the
    basis of the decision.

    Args:
        tree: The tree.
        changed: Paths of the nodes.
    """
    return {
        node.path: node.attempt
        for node in tree.in_flight(tree.root)
        if node.spec.approval is not None and node.state is State.QUEUED
        for places in [_places(node)]
        if any(_in_sequence(tree.nodes[path], places) for path in changed)
    }


def _places(node: LiveNode) -> dict[LiveNode, int]:
    """Return the groups above a node, with the position in each that leads to the node."""
    places: dict[LiveNode, int] = {}
    while node.parent is not None:
        places[node.parent] = node.position
        node = node.parent
    return places


def _in_sequence(node: LiveNode, places: dict[LiveNode, int]) -> bool:
    """Return whether a Serial runs a node before or after the one with these places."""
    while node.parent is not None:
        if node.parent in places:
            other = node.position != places[node.parent]
            return other and node.parent.spec.type is NodeType.SERIAL
        node = node.parent
    return False


def change_text(by: Actor | None, action: Action, paths: Sequence[str]) -> str:
    """Return an action in words, for the people who decide: ``ben modified /a and 2 more``."""
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    who = "somebody" if by is None else by.text
    return f"{who} {_VERBS[action]} {paths[0]}{more}"


def why_withdrawn(attempts: Iterable[AttemptRecord]) -> tuple[str, ...]:
    """Return why the questions since the last decision were withdrawn, the oldest first.

    Args:
        attempts: The ended attempts of an approval, in order.
    """
    found: list[str] = []
    for attempt in attempts:
        withdrawn = attempt.cause is Cause.KILLED_BY_USER and attempt.message is not None
        found = [*found, attempt.message or ""] if withdrawn else []
    return tuple(found)


def is_question(node: LiveNode | None) -> bool:
    """Return whether a node is an approval."""
    return isinstance(node, LiveExec) and node.spec.approval is not None
