"""The members of an organisation, as one caller may see and change them."""

from collections.abc import Set as AbstractSet
from contextlib import suppress
from typing import Any

from chalicelib.domain.tokens import membership_digest
from chalicelib.ports.errors import ConflictError
from chalicelib.ports.identity import Identity
from chalicelib.services.agent_links import forget_all
from chalicelib.services.callers import check_no_program
from chalicelib.services.dependencies import Dependencies
from chalicelib.services.followers import Followers
from chalicelib.services.sign_in import TrustedRuns
from chalicelib.services.suspension import Suspensions
from conducto_core.api import problems
from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.model.operations.operation import Permission
from conducto_core.model.people import (
    Member,
    MemberChanged,
    MemberList,
    MemberRemoved,
    OwnedRecord,
    Role,
    TakeOverParams,
)
from conducto_core.model.sign_in import Trust
from conducto_core.model.triggers import Trigger
from conducto_core.semantics.roles import (
    check_owners_left,
    needed_to_change,
    needed_to_keep,
    permissions_of,
)

#: Number of attempts of a change that competes with others.
_TRIES = 4


class Members:
    """The members of the caller's organisation."""

    def __init__(self, cloud: Dependencies, caller: Identity) -> None:
        self._cloud = cloud
        self._people = cloud.people
        self._me = caller

    def listing(self) -> MemberList:
        """Return the members, by name."""
        return MemberList(members=tuple(map(self._seen, self._people.members(self._me.org))))

    def _seen(self, member: Member) -> Member:
        """Return a member as the caller may see them."""
        if Permission.MANAGE_ORGANISATION in self._me.permissions:
            return member
        return member.model_copy(update={"email": None})

    def change_role(self, user: str, role: Role) -> MemberChanged:
        """Change a member's role; return the member, and what this suspended.

        Raises:
            NotFoundError: There is no such member.
            RefusedError: The member is the last owner.
            ProblemError: 403, the caller is not entitled.
        """
        before = self._change(user, role, needed=None)
        self._withdraw_invitations(user, permissions_of(role))
        changed = dict(before) | {"role": role}
        return MemberChanged(**changed, suspended=self._suspend(user))

    def remove(self, user: str) -> MemberRemoved:
        """Remove a member with their tokens, sessions and sockets; raises as `change_role`."""
        return self._remove(user, needed=None)

    def leave(self) -> MemberRemoved:
        """Remove the caller; raises `RefusedError` for the last owner, and for a program."""
        check_no_program(self._cloud.tokens, self._people, self._me)
        return self._remove(self._me.user, needed=Permission.READ)

    def _remove(self, user: str, needed: Permission | None) -> MemberRemoved:
        self._change(user, None, needed)
        self._end_tokens(user)
        forget_all(self._cloud, self._me.org, user)
        self._withdraw_invitations(user, frozenset())
        return MemberRemoved(user=user, suspended=self._suspend(user))

    def _suspend(self, user: str) -> tuple[OwnedRecord, ...]:
        return Suspensions(self._cloud, self._me.org).begin(user)

    def take_over(self, params: TakeOverParams) -> OwnedRecord:
        """Make the caller the owner of a suspended record.

        Raises:
            NotFoundError: There is no such record.
            RefusedError: It is not suspended, or has a token of its owner.
            ProblemError: 403, the caller could not store it.
        """
        cloud, org, name = self._cloud, self._me.org, params.name
        stores: dict[str, Any] = {
            "trust": cloud.trusts,
            "rule": cloud.rules,
            "trigger": cloud.triggers,
        }
        record = stores[params.kind].get(org, name)
        if record is None:
            raise NotFoundError(f"there is no {params.kind} {name!r}")
        if not Suspensions(cloud, org).covers(record):
            raise RefusedError(f"the {params.kind} {name} of {record.owner} is not suspended")
        problems.check_allowed(needed_to_keep(record), self._me.permissions)
        match record:
            case Trust():
                TrustedRuns(cloud, self._me).put(name, record)
            case Trigger() if record.has_token:
                raise RefusedError(
                    f"{name} has a token of {record.owner}; store it again with another one: "
                    f"conducto trigger add {name} --repository {record.repository} --token-env "
                    "VARIABLE"
                )
            case _:
                stores[params.kind].put(org, record.model_copy(update={"owner": self._me.user}))
        return OwnedRecord(kind=params.kind, name=name, owner=self._me.user)

    def _change(self, user: str, role: Role | None, needed: Permission | None) -> Member:
        for _ in range(_TRIES):
            member = self._people.member(self._me.org, user)
            if member is None:
                raise no_member(self._me.org, user)
            self._check(needed or needed_to_change(member.role, role))
            if user == self._me.user and role is not None:
                # What this process knows of the caller may be older than their demotion.
                self._check(needed_to_change(member.role, role), permissions_of(member.role))
            owners = [m for m in self._people.members(self._me.org) if m.role is Role.OWNER]
            check_owners_left(len(owners), member.role, role)
            try:
                self._people.change(self._me.org, member, role, self._by())
            except ConflictError:
                self._check_still_entitled()
                continue
            return member
        raise RefusedError(f"{user}: too many concurrent changes of the members; retry")

    def _check(self, needed: Permission, held: AbstractSet[str] | None = None) -> None:
        problems.check_allowed([needed], self._me.permissions if held is None else held)

    def _by(self) -> str | None:
        """Return the user id of the caller, or None for a token without a membership."""
        return None if self._root() is None else self._me.user

    def _root(self) -> Identity | None:
        if self._me.parent is None:
            return None
        return self._cloud.tokens.find(membership_digest(self._me.org, self._me.user))

    def _check_still_entitled(self) -> None:
        now = self._cloud.tokens.find(self._me.token)
        if now is None:
            raise problems.wrong_token()
        self._me = now

    def _withdraw_invitations(self, user: str, held: AbstractSet[str]) -> None:
        """Withdraw the open invitations of a member that they could not create now."""
        for record in self._people.invitations(self._me.org):
            made = record.invitation
            if made.invited_by == user and needed_to_change(made.role) not in held:
                with suppress(ConflictError):  # accepted or withdrawn
                    self._people.withdraw(self._me.org, record.digest)

    def _end_tokens(self, user: str) -> None:
        known = self._cloud.tokens.known(self._me.org)
        digests = [token.digest for token in known if token.identity.user == user]
        Followers(self._cloud.connections, self._cloud.tokens).revoke(*digests)


def no_member(org: str, user: str) -> NotFoundError:
    """Return the error for a user who is not a member."""
    return NotFoundError(f"{org} has no member {user!r}; 'conducto members list' lists them")
