"""Invitations: a code that makes one person a member."""

import logging
import re

from chalicelib.domain.tokens import SESSION_SECONDS, digest_of, membership_digest, new_token
from chalicelib.ports.errors import ConflictError
from chalicelib.ports.identity import Identity, InvalidIdTokenError, VerifiedPerson
from chalicelib.ports.people import InvitationRecord
from chalicelib.services.dependencies import Dependencies
from chalicelib.services.secret_injection import smtp_password, user_scope
from chalicelib.services.sign_in import CLI_SECONDS
from conducto.integrations.http import DeliveryError
from conducto_core.api import problems
from conducto_core.api.problems import ProblemError
from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.model.operations.operation import Permission
from conducto_core.model.people import (
    ID_LENGTH,
    INVITATION_DAYS,
    INVITATION_KEPT_SECONDS,
    AcceptInvitation,
    Invitation,
    InvitationLink,
    InvitationList,
    Member,
    MemberLogin,
    NewInvitation,
    Role,
)
from conducto_core.semantics.roles import INHERITED, needed_to_change

logger = logging.getLogger(__name__)

_DAY = 86_400
_CODE_ONLY = frozenset({Permission.ACCEPT_INVITATION.value})


class Invitations:
    """The invitations of the caller's organisation: an administrator, or the owner of a code."""

    def __init__(self, cloud: Dependencies, caller: Identity) -> None:
        self._cloud = cloud
        self._people = cloud.people
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
        now = self._cloud.clock()
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
        self._cloud.tokens.put(
            digest, identity, expires=invitation.expires + INVITATION_KEPT_SECONDS
        )
        site = self._cloud.web_app()
        # In the fragment, which browsers do not send and servers cannot log.
        url = f"{site}/invitation#{code}" if site else ""
        mailed = self._mailed(invitation, url or f"{self._cloud.url()} with the code {code}")
        return InvitationLink(invitation=invitation, code=code, url=url, mailed=mailed)

    def _mailed(self, invitation: Invitation, link: str) -> bool:
        text = (
            f"{invitation.invited_by} invites you to the organisation {self._me.org} of Conducto, "
            f"as {invitation.role.value}. Within {INVITATION_DAYS} days, open:\n\n{link}\n\n"
            "If you did not expect this, ignore it.\n"
        )
        try:
            subject = f"Invitation to {self._me.org}"
            return self._cloud.mail(
                invitation.email, subject, text, smtp_password(self._cloud.vault, self._me.org)
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
        if invitation.expires <= self._cloud.clock():
            raise _gone(f"this invitation has expired after {INVITATION_DAYS} days")
        person = self._verified(request, invitation.email)
        self._join(record, person)
        return self._login(invitation.user, invitation.role, browser=request.browser)

    def _join(self, record: InvitationRecord, person: VerifiedPerson | None) -> None:
        invitation, org = record.invitation, self._me.org
        member = Member(
            user=invitation.user,
            role=invitation.role,
            joined=self._cloud.clock(),
            email=invitation.email,
        )
        try:
            self._people.join(org, member, invitation=record.digest, person=person)
        except ConflictError as error:
            raise _gone("this invitation was used, or its user is a member by now") from error

    def _verified(self, request: AcceptInvitation, email: str) -> VerifiedPerson | None:
        """Return the person who accepts, if there is an identity provider."""
        if not self._cloud.provider.configured:
            return None
        try:
            person = self._cloud.provider.person(request.id_token or "")
        except InvalidIdTokenError as error:
            logger.warning("an ID token is not valid: %s", error)
            raise problems.wrong_token() from error
        if person.email != email:  # "" for an address that is not verified
            raise _gone("this invitation is for another e-mail address than yours")
        if self._me.org in self._cloud.identities.memberships(person):
            raise _gone(f"you are already a member of {self._me.org}")
        if not self._cloud.identities.consume(digest_of(request.id_token or ""), person.expires):
            raise problems.wrong_token()
        return person

    def _login(self, user: str, role: Role, *, browser: bool) -> MemberLogin:
        return member_login(self._cloud, self._me.org, user, role, browser=browser)

    def _open(self) -> list[InvitationRecord]:
        now = self._cloud.clock()
        records = self._people.invitations(self._me.org)
        return [r for r in records if r.state == "open" and r.invitation.expires > now]

    def _free_name(self, email: str) -> str:
        """Return a user id of which no data or secrets exist, also not of somebody who left."""
        base = re.sub(r"[^a-z0-9._-]+", "-", email.partition("@")[0].lower()).strip("._-")[:50]
        base = base or "member"
        known = {token.identity.user for token in self._cloud.tokens.known(self._me.org)}
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
        return not self._cloud.vault.read(user_scope(org, user))


def member_login(
    cloud: Dependencies, org: str, user: str, role: Role, *, browser: bool
) -> MemberLogin:
    """Return a new token of a member: of a browser's session, or of a command line."""
    seconds = SESSION_SECONDS if browser else CLI_SECONDS
    token, digest = new_token()
    cloud.tokens.put(
        digest,
        Identity(org, user, INHERITED),
        expires=cloud.clock() + seconds,
        parent=membership_digest(org, user),
        kind="session" if browser else "login",
    )
    return MemberLogin(token=token, seconds=seconds, org=org, user=user, role=role)


def _gone(detail: str) -> ProblemError:
    return problems.gone(detail, "ask an administrator of the organisation for a new invitation")
