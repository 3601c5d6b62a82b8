"""Tokens and sessions of an organisation's members."""

from collections.abc import Mapping

from chalicelib.domain.tokens import membership_digest, new_token
from chalicelib.ports.identity import Identity, TokenRecord
from chalicelib.services.callers import check_no_program, is_member
from chalicelib.services.dependencies import Dependencies
from chalicelib.services.followers import Followers
from conducto_core.api import problems
from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.model.operations.operation import Permission
from conducto_core.model.people import (
    ID_LENGTH,
    CreatedToken,
    MemberToken,
    MemberTokenList,
    NewToken,
    Role,
    TokenListParams,
    TokensRevoked,
)
from conducto_core.semantics.roles import narrowed, needed_to_change, permissions_of

_DAY = 86_400
#: Seconds after its start in which a browser's session may create tokens. A script that gets into
#: a page later cannot create one that outlives the session.
FRESH_SECONDS = 15 * 60


class MemberTokens:
    """The tokens and sessions that one caller may see and change."""

    def __init__(self, cloud: Dependencies, caller: Identity) -> None:
        self._cloud = cloud
        self._me = caller

    def listing(self, params: TokenListParams, *, sessions: bool) -> MemberTokenList:
        """Return tokens, or sessions; raises `ProblemError` (403) for those of others."""
        user = None if params.everyone else params.user or self._me.user
        if user != self._me.user:
            self._check_others()
        found = [one for one in self._known(sessions=sessions) if user in (None, one.identity.user)]
        roles = {member.user: member.role for member in self._cloud.people.members(self._me.org)}
        return MemberTokenList(tokens=tuple(self._info(one, roles) for one in found))

    def create(self, request: NewToken) -> CreatedToken:
        """Create a token.

        Raises:
            ProblemError: 403, the caller has fewer permissions.
            RefusedError: The caller's token may not create tokens.
        """
        problems.check_allowed(request.permissions, self._me.permissions)
        self._check_creator()
        token, digest = new_token()
        identity = Identity(self._me.org, self._me.user, frozenset(request.permissions))
        now = self._cloud.clock()
        expires = now + request.days * _DAY
        self._cloud.tokens.put(
            digest,
            identity,
            expires=expires,
            parent=self._root(),
            kind="token",
            name=request.name,
        )
        info = MemberToken(
            id=digest[:ID_LENGTH],
            user=self._me.user,
            name=request.name,
            kind="token",
            permissions=tuple(sorted(request.permissions)),
            created=now,
            expires=expires,
            current=False,
        )
        return CreatedToken(token=token, info=info)

    def revoke(self, token_id: str, *, sessions: bool) -> TokensRevoked:
        """Revoke a token, or end a session.

        Raises:
            NotFoundError: The caller may see no such token.
            ProblemError: 403, the caller may not revoke it.
            RefusedError: The caller is a program, which revokes only its own token.
        """
        known = self._known(sessions=sessions)
        found = [one for one in known if one.digest.startswith(token_id)]
        mine = [one for one in found if one.identity.user == self._me.user]
        is_admin = Permission.MANAGE_ORGANISATION in self._me.permissions
        if not mine and not is_admin:
            found = []  # the ids of others are not revealed
        if not found:
            what = "session" if sessions else "token"
            raise NotFoundError(f"{self._me.org} has no {what} {token_id} that you may revoke")
        if not mine:
            self._check_others(found[0].identity.user)
        digests = [one.digest for one in found]
        if not is_admin and digests != [self._me.token]:
            self._check_no_program()
        return self._revoke(digests)

    def end_all(self) -> TokensRevoked:
        """End all sessions of the caller, that of the request last; raises `RefusedError`."""
        self._check_no_program()
        mine = [s for s in self._known(sessions=True) if s.identity.user == self._me.user]
        mine.sort(key=lambda session: session.digest == self._me.token)
        return self._revoke([session.digest for session in mine])

    def _revoke(self, digests: list[str]) -> TokensRevoked:
        followers = Followers(self._cloud.connections, self._cloud.tokens)
        return TokensRevoked(revoked=followers.revoke(*digests))

    def _known(self, *, sessions: bool) -> list[TokenRecord]:
        known = self._cloud.tokens.known(self._me.org)
        return [one for one in known if (one.identity.kind == "session") is sessions]

    def _info(self, record: TokenRecord, roles: Mapping[str, Role]) -> MemberToken:
        own = record.identity
        role = permissions_of(roles[own.user]) if own.parent and own.user in roles else None
        return MemberToken(
            id=record.digest[:ID_LENGTH],
            user=own.user,
            name=record.name,
            kind="token" if own.parent is None else own.kind,
            permissions=tuple(
                sorted(own.permissions if role is None else narrowed(own.permissions, role))
            ),
            created=record.created,
            expires=record.expires,
            current=record.digest == self._me.token,
        )

    def _root(self) -> str:
        """Return the parent of a new token: the membership for a member, or the caller's token."""
        if is_member(self._cloud.tokens, self._me):
            return membership_digest(self._me.org, self._me.user)
        return self._me.token

    def _check_no_program(self) -> None:
        check_no_program(self._cloud.tokens, self._cloud.people, self._me)

    def _check_creator(self) -> None:
        if self._me.kind == "token":
            raise RefusedError(
                "a token that was created for a program cannot create another one; run "
                "'conducto login' and then 'conducto tokens create'"
            )
        age = self._cloud.clock() - self._me.created
        if self._me.kind == "session" and age > FRESH_SECONDS:
            raise RefusedError(
                "a browser's session can create tokens only in its first 15 minutes; sign out and "
                "in again, or run 'conducto tokens create'"
            )

    def _check_others(self, user: str | None = None) -> None:
        """Check that the caller may see the tokens of others, or revoke those of one user."""
        member = None if user is None else self._cloud.people.member(self._me.org, user)
        needed = needed_to_change(None if member is None else member.role)
        problems.check_allowed([needed], self._me.permissions)
