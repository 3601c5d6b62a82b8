"""The members of an organisation, as one caller may see and change them."""

import logging
import re
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from typing import Any

from chalicelib.api.callers import check_no_program, is_member
from chalicelib.api.followers import Followers
from chalicelib.api.store import TableConnections
from chalicelib.errors import ConflictError
from chalicelib.installation import Installation
from chalicelib.people.port import (
    Identity,
    IdentityProvider,
    InvalidIdTokenError,
    InvitationRecord,
    Mail,
    SecretVault,
    TokenRecord,
    VerifiedPerson,
)
from chalicelib.people.sign_in import CLI_SECONDS, TrustedRuns
from chalicelib.people.suspension import Suspensions
from chalicelib.people.tokens import SESSION_SECONDS, digest_of, membership_digest, new_token
from chalicelib.records import Records
from chalicelib.remote.links import forget_all
from chalicelib.secrets.injection import smtp_password, user_scope
from conducto.integrations.http import DeliveryError
from conducto_core.api import problems
from conducto_core.api.operation import Permission
from conducto_core.api.problems import ProblemError
from conducto_core.assistants.rules.authority import ordered, permissions_of_scopes
from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.people.model import (
    ID_LENGTH,
    INVITATION_DAYS,
    INVITATION_KEPT_SECONDS,
    PROGRAM_KINDS,
    AcceptInvitation,
    CreatedToken,
    Invitation,
    InvitationLink,
    InvitationList,
    Member,
    MemberChanged,
    MemberList,
    MemberLogin,
    MemberRemoved,
    MemberToken,
    MemberTokenList,
    NewInvitation,
    NewToken,
    OwnedRecord,
    Role,
    TakeOverParams,
    TokenKind,
    TokenListParams,
    TokensRevoked,
    Trust,
)
from conducto_core.people.rules import (
    INHERITED,
    check_owners_left,
    narrowed,
    needed_to_change,
    needed_to_keep,
    permissions_of,
)
from conducto_core.triggers.model import Trigger

#: Number of attempts of a change that competes with others.
_TRIES = 4


class Members:
    """The members of the caller's organisation."""

    def __init__(
        self,
        records: Records,
        connections: TableConnections,
        clock: Callable[[], float],
        caller: Identity,
    ) -> None:
        self._records = records
        self._connections = connections
        self._clock = clock
        self._people = records.people
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
        check_no_program(self._records.tokens, self._people, self._me)
        return self._remove(self._me.user, needed=Permission.READ)

    def _remove(self, user: str, needed: Permission | None) -> MemberRemoved:
        self._change(user, None, needed)
        self._end_tokens(user)
        forget_all(self._records, self._connections, self._clock, self._me.org, user)
        self._withdraw_invitations(user, frozenset())
        return MemberRemoved(user=user, suspended=self._suspend(user))

    def _suspend(self, user: str) -> tuple[OwnedRecord, ...]:
        return Suspensions(self._records, self._me.org).begin(user)

    def take_over(self, params: TakeOverParams) -> OwnedRecord:
        """Make the caller the owner of a suspended record.

        Raises:
            NotFoundError: There is no such record.
            RefusedError: It is not suspended, or has a token of its owner.
            ProblemError: 403, the caller could not store it.
        """
        org, name = self._me.org, params.name
        stores: dict[str, Any] = {
            "trust": self._records.trusts,
            "rule": self._records.rules,
            "trigger": self._records.triggers,
        }
        record = stores[params.kind].get(org, name)
        if record is None:
            raise NotFoundError(f"there is no {params.kind} {name!r}")
        if not Suspensions(self._records, org).covers(record):
            raise RefusedError(f"the {params.kind} {name} of {record.owner} is not suspended")
        problems.check_allowed(needed_to_keep(record), self._me.permissions)
        match record:
            case Trust():
                TrustedRuns(self._records, self._clock, self._me).put(name, record)
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
        return self._records.tokens.find(membership_digest(self._me.org, self._me.user))

    def _check_still_entitled(self) -> None:
        now = self._records.tokens.find(self._me.token)
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
        known = self._records.tokens.list_by_org(self._me.org)
        digests = [token.digest for token in known if token.identity.user == user]
        Followers(self._connections, self._records.tokens).revoke(*digests)


def no_member(org: str, user: str) -> NotFoundError:
    """Return the error for a user who is not a member."""
    return NotFoundError(f"{org} has no member {user!r}; 'conducto members list' lists them")


# ----------------------------------------------------------------------------------------
# Invitations: a code that makes one person a member.


logger = logging.getLogger(__name__)

_DAY = 86_400
_CODE_ONLY = frozenset({Permission.ACCEPT_INVITATION.value})


class Invitations:
    """The invitations of the caller's organisation: an administrator, or the owner of a code."""

    def __init__(
        self,
        records: Records,
        installation: Installation,
        vault: SecretVault,
        provider: IdentityProvider,
        mail: Mail,
        *,
        clock: Callable[[], float],
        caller: Identity,
    ) -> None:
        self._records = records
        self._installation = installation
        self._vault = vault
        self._provider = provider
        self._mail = mail
        self._clock = clock
        self._people = records.people
        self._me = caller

    def listing(self) -> InvitationList:
        """Return the invitations that can still be accepted."""
        return InvitationList(invitations=tuple(record.invitation for record in self._open()))

    def create(self, request: NewInvitation) -> InvitationLink:
        """Invite somebody.

        Raises:
            RefusedError: The user is a member.
            ProblemError: 403, the caller is not entitled to give the role.
        """
        self._check(request.role)
        user = request.user or self._free_name(request.email)
        if self._people.member(self._me.org, user) is not None:
            raise RefusedError(
                f"{user} is already a member of {self._me.org}; change the role with "
                f"'conducto members set-role {user} {request.role.value}'"
            )
        return self._created(request, user)

    def _check(self, role: Role) -> None:
        """Check that the caller may give or withdraw a role; raises `ProblemError` (403)."""
        problems.check_allowed([needed_to_change(role)], self._me.permissions)

    def _created(self, request: NewInvitation, user: str) -> InvitationLink:
        now = self._clock()
        code, digest = new_token()
        invitation = Invitation(
            id=digest[:ID_LENGTH],
            email=request.email.lower(),
            role=request.role,
            user=user,
            invited_by=self._me.user,
            created=now,
            expires=now + INVITATION_DAYS * _DAY,
        )
        self._people.invite(self._me.org, InvitationRecord(invitation=invitation, digest=digest))
        # Its record decides whether it is valid; the code itself is known for longer.
        identity = Identity(self._me.org, user, _CODE_ONLY)
        self._records.tokens.put(
            digest, identity, expires=invitation.expires + INVITATION_KEPT_SECONDS
        )
        site = self._installation.web_app()
        # In the fragment, which browsers do not send and servers cannot log.
        url = f"{site}/invitation#{code}" if site else ""
        mailed = self._mailed(invitation, url or f"{self._installation.url()} with the code {code}")
        return InvitationLink(invitation=invitation, code=code, url=url, mailed=mailed)

    def _mailed(self, invitation: Invitation, link: str) -> bool:
        text = (
            f"{invitation.invited_by} invites you to the organisation {self._me.org} of Conducto, "
            f"as {invitation.role.value}. Within {INVITATION_DAYS} days, open:\n\n{link}\n\n"
            "If you did not expect this, ignore it.\n"
        )
        try:
            subject = f"Invitation to {self._me.org}"
            return self._mail(
                invitation.email, subject, text, smtp_password(self._vault, self._me.org)
            )
        except DeliveryError as error:
            logger.warning("an invitation was not mailed: %s", error)
            return False

    def withdraw(self, invitation_id: str) -> Invitation:
        """Withdraw an invitation that was not accepted; raises `NotFoundError`."""
        for record in self._open():
            if record.invitation.id == invitation_id:
                self._check(record.invitation.role)
                try:
                    self._people.withdraw(self._me.org, record.digest)
                except ConflictError:
                    break
                return record.invitation
        raise NotFoundError(
            f"{self._me.org} has no open invitation {invitation_id}; 'conducto invite list' lists "
            "them"
        )

    def accept(self, request: AcceptInvitation) -> MemberLogin:
        """Make the owner of the code a member.

        Raises:
            ProblemError: 410, the invitation was used, withdrawn, or has expired, or it is for
                another address; 401, the ID token is not valid.
        """
        record = self._people.invitation(self._me.org, self._me.token)
        if record is None or record.state != "open":
            state = "withdrawn" if record is None else record.state
            raise _gone(f"this invitation was {state}")
        invitation = record.invitation
        if invitation.expires <= self._clock():
            raise _gone(f"this invitation has expired after {INVITATION_DAYS} days")
        person = self._verified(request, invitation.email)
        self._join(record, person)
        return self._login(invitation.user, invitation.role, browser=request.browser)

    def _join(self, record: InvitationRecord, person: VerifiedPerson | None) -> None:
        invitation, org = record.invitation, self._me.org
        member = Member(
            user=invitation.user,
            role=invitation.role,
            joined=self._clock(),
            email=invitation.email,
        )
        try:
            self._people.join(org, member, invitation=record.digest, person=person)
        except ConflictError as error:
            raise _gone("this invitation was used, or its user is a member by now") from error

    def _verified(self, request: AcceptInvitation, email: str) -> VerifiedPerson | None:
        """Return the person who accepts, if there is an identity provider."""
        if not self._provider.configured:
            return None
        try:
            person = self._provider.person(request.id_token or "")
        except InvalidIdTokenError as error:
            logger.warning("an ID token is not valid: %s", error)
            raise problems.wrong_token() from error
        if person.email != email:  # "" for an address that is not verified
            raise _gone("this invitation is for another e-mail address than yours")
        if self._me.org in self._records.identities.memberships(person):
            raise _gone(f"you are already a member of {self._me.org}")
        if not self._records.identities.consume(digest_of(request.id_token or ""), person.expires):
            raise problems.wrong_token()
        return person

    def _login(self, user: str, role: Role, *, browser: bool) -> MemberLogin:
        return member_login(self._records, self._clock, self._me.org, user, role, browser=browser)

    def _open(self) -> list[InvitationRecord]:
        now = self._clock()
        records = self._people.invitations(self._me.org)
        return [r for r in records if r.state == "open" and r.invitation.expires > now]

    def _free_name(self, email: str) -> str:
        """Return a user id of which no data or secrets exist, also not of somebody who left."""
        base = re.sub(r"[^a-z0-9._-]+", "-", email.partition("@")[0].lower()).strip("._-")[:50]
        base = base or "member"
        known = {token.identity.user for token in self._records.tokens.list_by_org(self._me.org)}
        known |= {record.invitation.user for record in self._people.invitations(self._me.org)}
        number, name = 1, base
        while name in known or not self._is_free(name):
            number += 1
            name = f"{base}-{number}"
        return name

    def _is_free(self, user: str) -> bool:
        org = self._me.org
        if self._people.member(org, user) is not None or self._people.has_left(org, user):
            return False
        return not self._vault.read(user_scope(org, user))


def member_login(
    records: Records, clock: Callable[[], float], org: str, user: str, role: Role, *, browser: bool
) -> MemberLogin:
    """Return a new token of a member: of a browser's session, or of a command line."""
    seconds = SESSION_SECONDS if browser else CLI_SECONDS
    token, digest = new_token()
    records.tokens.put(
        digest,
        Identity(org, user, INHERITED),
        expires=clock() + seconds,
        parent=membership_digest(org, user),
        kind="session" if browser else "login",
    )
    return MemberLogin(token=token, seconds=seconds, org=org, user=user, role=role)


def _gone(detail: str) -> ProblemError:
    return problems.gone(detail, "ask an administrator of the organisation for a new invitation")


# ----------------------------------------------------------------------------------------
# Tokens and sessions of an organisation's members.


#: Seconds after its start in which a browser's session may create tokens. A script that gets into
#: a page later cannot create one that outlives the session.
FRESH_SECONDS = 15 * 60


class MemberTokens:
    """The tokens and sessions that one caller may see and change."""

    def __init__(
        self,
        records: Records,
        connections: TableConnections,
        clock: Callable[[], float],
        caller: Identity,
    ) -> None:
        self._records = records
        self._connections = connections
        self._clock = clock
        self._me = caller

    def listing(self, params: TokenListParams, *, sessions: bool) -> MemberTokenList:
        """Return tokens, or sessions; raises `ProblemError` (403) for those of others."""
        user = None if params.everyone else params.user or self._me.user
        if user != self._me.user:
            self._check_others()
        found = [
            one
            for one in self._existing_token(sessions=sessions)
            if user in (None, one.identity.user)
        ]
        roles = {member.user: member.role for member in self._records.people.members(self._me.org)}
        return MemberTokenList(tokens=tuple(self._info(one, roles) for one in found))

    def create(self, request: NewToken) -> CreatedToken:
        """Create a token.

        Raises:
            ProblemError: 403, the caller has fewer permissions.
            RefusedError: The caller's token may not create tokens.
        """
        scopes = ordered(request.scopes) if request.scopes else ()
        permissions = permissions_of_scopes(scopes) if scopes else frozenset(request.permissions)
        problems.check_allowed(permissions, self._me.permissions)
        self._check_creator()
        token, digest = new_token()
        kind: TokenKind = "assistant" if scopes else "token"
        budget = request.budget
        identity = Identity(
            self._me.org, self._me.user, frozenset(permissions), scopes=scopes, budget=budget
        )
        now = self._clock()
        expires = now + request.days * _DAY
        self._records.tokens.put(
            digest,
            identity,
            expires=expires,
            parent=self._root(),
            kind=kind,
            name=request.name,
        )
        info = MemberToken(
            id=digest[:ID_LENGTH],
            user=self._me.user,
            name=request.name,
            kind=kind,
            permissions=tuple(sorted(permissions)),
            created=now,
            expires=expires,
            current=False,
            scopes=scopes,
            budget=budget,
        )
        return CreatedToken(token=token, info=info)

    def revoke(self, token_id: str, *, sessions: bool) -> TokensRevoked:
        """Revoke a token, or end a session.

        Raises:
            NotFoundError: The caller may see no such token.
            ProblemError: 403, the caller may not revoke it.
            RefusedError: The caller is a program, which revokes only its own token.
        """
        known = self._existing_token(sessions=sessions)
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
        mine = [s for s in self._existing_token(sessions=True) if s.identity.user == self._me.user]
        mine.sort(key=lambda session: session.digest == self._me.token)
        return self._revoke([session.digest for session in mine])

    def _revoke(self, digests: list[str]) -> TokensRevoked:
        followers = Followers(self._connections, self._records.tokens)
        return TokensRevoked(revoked=followers.revoke(*digests))

    def _existing_token(self, *, sessions: bool) -> list[TokenRecord]:
        known = self._records.tokens.list_by_org(self._me.org)
        return [one for one in known if (one.identity.kind == "session") is sessions]

    def _info(self, record: TokenRecord, roles: Mapping[str, Role]) -> MemberToken:
        own = record.identity
        role = permissions_of(roles[own.user]) if own.parent and own.user in roles else None
        return MemberToken(
            id=record.digest[:ID_LENGTH],
            user=own.user,
            name=record.name,
            kind=own.kind if own.parent is not None or own.scopes else "token",
            permissions=tuple(
                sorted(own.permissions if role is None else narrowed(own.permissions, role))
            ),
            created=record.created,
            expires=record.expires,
            current=record.digest == self._me.token,
            scopes=own.scopes,
            budget=own.budget,
        )

    def _root(self) -> str:
        """Return the parent of a new token: the membership for a member, or the caller's token."""
        if is_member(self._records.tokens, self._me):
            return membership_digest(self._me.org, self._me.user)
        return self._me.token

    def _check_no_program(self) -> None:
        check_no_program(self._records.tokens, self._records.people, self._me)

    def _check_creator(self) -> None:
        if self._me.kind in PROGRAM_KINDS:
            raise RefusedError(
                "a token that was created for a program cannot create another one; run "
                "'conducto login' and then 'conducto tokens create'"
            )
        age = self._clock() - self._me.created
        if self._me.kind == "session" and age > FRESH_SECONDS:
            raise RefusedError(
                "a browser's session can create tokens only in its first 15 minutes; sign out and "
                "in again, or run 'conducto tokens create'"
            )

    def _check_others(self, user: str | None = None) -> None:
        """Check that the caller may see the tokens of others, or revoke those of one user."""
        member = None if user is None else self._records.people.member(self._me.org, user)
        needed = needed_to_change(None if member is None else member.role)
        problems.check_allowed([needed], self._me.permissions)
