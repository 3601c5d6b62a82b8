"""The rules for roles and permissions of an organisation's members. Pure."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from types import MappingProxyType

from conducto_core.api.operation import Permission
from conducto_core.errors import RefusedError
from conducto_core.notifications.model import NotificationRule
from conducto_core.people.model import Role, Trust
from conducto_core.triggers.model import Trigger

_VIEWER = frozenset({Permission.READ, Permission.METRICS})
_MEMBER = _VIEWER | {
    Permission.WRITE_DATA,
    Permission.LAUNCH,
    Permission.CHANGE_STATE,
    Permission.SECRETS,
    Permission.DEBUG,
    Permission.AGENT,
}
_ADMIN = _MEMBER | {Permission.MANAGE_ORGANISATION}
_PERMISSIONS: Mapping[Role, frozenset[Permission]] = MappingProxyType(
    {
        Role.VIEWER: _VIEWER,
        Role.MEMBER: _MEMBER,
        Role.ADMIN: _ADMIN,
        Role.OWNER: _ADMIN | {Permission.MANAGE_BILLING},
    }
)
#: Permissions for one purpose: a token has no other one, and does not inherit it.
PURPOSES = frozenset(
    {
        Permission.ACCEPT_INVITATION,
        Permission.SIGN_IN,
        Permission.START_WORKER,
        Permission.WORKER,
        Permission.CHILDREN,
    }
)
#: Permissions of a session or login: all that its parent has, also after a change of the role.
INHERITED: frozenset[str] = frozenset(set(Permission) - PURPOSES)


def permissions_of(role: Role) -> frozenset[str]:
    """Return the permissions of a member with a role."""
    return _PERMISSIONS[role]


def role_with(permissions: AbstractSet[str]) -> Role:
    """Return the role that a caller with these permissions acts in."""
    if Permission.MANAGE_BILLING in permissions:
        return Role.OWNER
    if Permission.MANAGE_ORGANISATION in permissions:
        return Role.ADMIN
    return Role.MEMBER if Permission.CHANGE_STATE in permissions else Role.VIEWER


def narrowed(own: AbstractSet[str], parent: AbstractSet[str]) -> frozenset[str]:
    """Return the valid permissions of a token that was created from another one."""
    return frozenset(own & (parent | PURPOSES))


def needed_to_change(*roles: Role | None) -> Permission:
    """Return the permission to give, change or withdraw roles; None is the role of a non-member."""
    return Permission.MANAGE_BILLING if Role.OWNER in roles else Permission.MANAGE_ORGANISATION


def needed_to_keep(record: Trust | NotificationRule | Trigger) -> frozenset[str]:
    """Return the permissions that the owner of a record needs, which are those to store it."""
    match record:
        case Trigger():
            manages = record.app or bool(record.submodules)
            more = {Permission.MANAGE_ORGANISATION} if manages else set()
            return frozenset({Permission.LAUNCH, *more})
        case Trust():
            return frozenset({Permission.MANAGE_ORGANISATION, *record.permissions})
        case NotificationRule():
            return frozenset({Permission.MANAGE_ORGANISATION})


def check_owners_left(owners: int, before: Role, after: Role | None) -> None:
    """Check that an organisation keeps an owner when a member's role changes.

    Raises:
        RefusedError: The member is the last owner.
    """
    if before is Role.OWNER and after is not Role.OWNER and owners <= 1:
        raise RefusedError(
            "the last owner cannot leave or get another role; make another member an owner first, "
            "or delete the organisation: conducto org delete NAME"
        )
