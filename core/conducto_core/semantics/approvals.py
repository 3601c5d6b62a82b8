"""The rules for the people that may decide an approval. Pure."""

from conducto_core.model.approvals import WaitingApproval
from conducto_core.model.nodes import Approval
from conducto_core.model.people import Role

#: Roles from the lowest to the highest; each can do what the ones before it can.
_ROLES = (Role.VIEWER, Role.MEMBER, Role.ADMIN, Role.OWNER)


def may_decide(approval: Approval | WaitingApproval, user: str, role: Role) -> bool:
    """Return whether a person may decide an approval.

    Args:
        approval: The approval.
        user: The person's user id.
        role: The person's current role.
    """
    if role is Role.VIEWER:
        return False
    allowed = {each.value for each in _ROLES[: _ROLES.index(role) + 1]}
    return not approval.who or user in approval.who or not allowed.isdisjoint(approval.who)


def deciders(approval: Approval) -> str:
    """Return the people who may decide, in words: ``admin, anna``."""
    return ", ".join(approval.who) or "a member"
