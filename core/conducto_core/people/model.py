"""Organisations: members, invitations, tokens and sessions, and the audit log."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, model_validator

from conducto_core.assistants.model import MAX_CLIENT
from conducto_core.installation.names import PermissionName, Scope
from conducto_core.record import Dollars, Name, Record

#: An e-mail address: not the whole grammar, but nothing that could split a mail's header.
Email = Annotated[str, Field(pattern=r"^[^\s@<>,;:\"]+@[^\s@<>,;:\"]+$", max_length=254)]
#: The first characters of a digest.
Id = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
#: Number of characters of an `Id`.
ID_LENGTH = 16
#: Days for which an invitation is valid.
INVITATION_DAYS = 7
#: Seconds after its expiry for which an invitation and its code are known, so that the code gets a
#: clear response.
INVITATION_KEPT_SECONDS = 30 * 86_400
#: Maximum days of a token that a member creates.
MAX_TOKEN_DAYS = 366
#: Maximum number of node paths in an entry of the audit log.
MAX_AUDIT_PATHS = 20
#: Maximum number of entries of the audit log in one response.
MAX_AUDIT_PAGE = 200

#: ``token``: for a program; ``assistant``: for a program that acts for a person, with scopes;
#: ``login``: of a command line; ``session``: of a browser.
TokenKind = Literal["token", "login", "session", "assistant"]
#: The kinds that only programs use; a person never decides with one.
PROGRAM_KINDS: frozenset[TokenKind] = frozenset({"token", "assistant"})


class Role(StrEnum):
    """A member's role; `conducto_core.people.rules` has its permissions."""

    VIEWER = "viewer"
    MEMBER = "member"
    ADMIN = "admin"
    OWNER = "owner"


class Member(Record):
    """A member of an organisation.

    Attributes:
        email: The address of their invitation; only administrators see it.
        joined: In seconds since the epoch.
    """

    user: Name
    role: Role
    joined: float
    email: str | None = None


class MemberList(Record):
    """The members of an organisation, by name."""

    members: tuple[Member, ...]


class MemberParams(Record):
    """The user id of a member."""

    user: Name


class ExportParams(MemberParams):
    """The user id of a member, and the part of their data.

    Attributes:
        after: ``next`` of the previous part.
    """

    after: str | None = Field(
        default=None,
        max_length=5000,
        pattern=r"^(files#.*|pipelines#.*|audit#(\d{13}\.\d{6}#[0-9a-f]{8})?)$",
    )


class RoleChange(Record):
    """The new role of a member."""

    role: Role


#: A trust in CI runs, a rule that sends notifications, or a git trigger.
OwnedKind = Literal["trust", "rule", "trigger"]


class OwnedRecord(Record):
    """A trust, notification rule or trigger, and its owner."""

    kind: OwnedKind
    name: str
    owner: str


class TakeOverParams(Record):
    """A suspended trust, notification rule or trigger."""

    kind: OwnedKind
    name: Name


class MemberChanged(Member):
    """A member with a new role.

    Attributes:
        suspended: The member's records that the new role may not store.
    """

    suspended: tuple[OwnedRecord, ...] = ()


class MemberRemoved(Record):
    """A member who was removed or left; pipelines, data and secrets stay.

    Attributes:
        suspended: The trusts, notification rules and triggers of the member.
    """

    user: str
    suspended: tuple[OwnedRecord, ...] = ()


class NewInvitation(Record):
    """An invitation to the organisation.

    Attributes:
        user: User id of the new member, for example of somebody who left, to give them their data
            and secrets back; None: a new one, from the address.
    """

    email: Email
    role: Role = Role.MEMBER
    user: Name | None = None


class Invitation(Record):
    """An invitation without its code.

    Attributes:
        user: User id of the new member.
        invited_by: User id.
        expires: In seconds since the epoch.
    """

    id: Id
    email: str
    role: Role
    user: str
    invited_by: str
    created: float
    expires: float


class InvitationList(Record):
    """The invitations that can still be accepted, the newest first."""

    invitations: tuple[Invitation, ...]


class InvitationParams(Record):
    """The id of an invitation."""

    id: Id


class InvitationLink(Record):
    """A new invitation, with its code, which is shown only once.

    Attributes:
        url: Address of the web app that accepts it; "" if the installation has none.
        mailed: Whether it was mailed to the address.
    """

    invitation: Invitation
    code: str = Field(repr=False)
    url: str = Field(repr=False)
    mailed: bool


class AcceptInvitation(Record):
    """The acceptance of an invitation, whose code is the token of the request.

    Attributes:
        id_token: ID token of the identity provider, if the installation has one.
        browser: Whether to start a browser's session instead of a login of the command line.
    """

    id_token: str | None = Field(default=None, repr=False, max_length=8192)
    browser: bool = False


class MemberLogin(Record):
    """A new token of a member.

    Attributes:
        seconds: Its lifetime.
    """

    token: str = Field(repr=False)
    seconds: int
    org: str
    user: str
    role: Role


class NewToken(Record):
    """A token that a member creates for a program, or for an assistant.

    Attributes:
        permissions: At most those of its creator; empty for an assistant.
        scopes: Makes it a token of the kind ``assistant``, with these scopes.
        days: Its lifetime.
        budget: Maximum cost in dollars of each pipeline launched with it whose tree has none.
    """

    name: str = Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")
    permissions: tuple[PermissionName, ...] = ()
    scopes: tuple[Scope, ...] = ()
    days: float = Field(default=90, gt=0, le=MAX_TOKEN_DAYS)
    budget: Dollars | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> "NewToken":
        if bool(self.permissions) == bool(self.scopes):
            raise ValueError(
                "name the permissions of a program's token, or the scopes of an assistant's"
            )
        return self


class MemberToken(Record):
    """A token without its secret part.

    Attributes:
        name: "" if it has none.
        permissions: The valid ones: those that the token and its owner's role have.
        scopes: Those of an assistant.
        current: Whether the request was sent with it.
        expires: In seconds since the epoch; None: never.
        budget: Maximum cost of each pipeline launched with it whose tree has none; None: none.
    """

    id: Id
    user: str
    name: str
    kind: TokenKind
    permissions: tuple[str, ...]
    created: float
    expires: float | None
    current: bool
    scopes: tuple[Scope, ...] = ()
    budget: float | None = None


class MemberTokenList(Record):
    """Tokens or sessions, the newest first."""

    tokens: tuple[MemberToken, ...]


class CreatedToken(Record):
    """A new token; it is shown only once."""

    token: str = Field(repr=False)
    info: MemberToken


class TokenListParams(Record):
    """A query for tokens or sessions.

    Attributes:
        user: Of this member; None: of the caller.
        everyone: Of all members.
    """

    user: Name | None = None
    everyone: bool = False


class TokenParams(Record):
    """The id of a token or session."""

    id: Id


class TokensRevoked(Record):
    """The number of tokens or sessions that were revoked."""

    revoked: int


class AuditParams(Record):
    """A query for the audit log.

    Attributes:
        after: Continue after this entry, from `AuditPage.next`.
        user: Only requests of this user.
        operation: Only requests for this operation.
    """

    after: str | None = Field(default=None, pattern=r"^\d{13}\.\d{6}#[0-9a-f]{8}$")
    user: str | None = Field(default=None, max_length=80)
    operation: str | None = Field(default=None, max_length=60)
    limit: int = Field(default=100, ge=1, le=MAX_AUDIT_PAGE)


class AuditEntry(Record):
    """A request that did more than read, or of an assistant. Bodies are never stored.

    It is stored before the effect of the request, and gets its status after it.

    Attributes:
        time: When it began, in seconds since the epoch.
        token: Id of the token of the request.
        subject: The pipeline, user, token, invitation or trust of the request, or a CI run.
        paths: Up to `MAX_AUDIT_PATHS` paths of nodes.
        status: HTTP status of the response; None: the request has not ended, or was interrupted,
            and may have been executed.
        request: The id of the request, as in the logs.
        client: The program of an assistant, as it names itself; never a proof.
        scopes: Those of the assistant's token; empty for other callers.
    """

    time: float
    user: str
    token: str
    operation: str
    subject: str = ""
    paths: tuple[str, ...] = ()
    status: int | None = None
    request: str = ""
    client: str = Field(default="", max_length=MAX_CLIENT)
    scopes: tuple[Scope, ...] = ()


class AuditPage(Record):
    """Entries of the audit log, the newest first.

    Attributes:
        next: For `AuditParams.after`; None: there are no older entries.
    """

    entries: tuple[AuditEntry, ...]
    next: str | None = None


class Organisation(Record):
    """An organisation of the caller.

    Attributes:
        current: Whether the caller's token belongs to it.
    """

    name: str
    user: str
    role: Role | None
    current: bool


class OrganisationList(Record):
    """The organisations of a person, by name."""

    organisations: tuple[Organisation, ...]


class NewOrganisation(Record):
    """A new organisation, whose owner is the caller."""

    name: Name


class OrganisationParams(Record):
    """The name of an organisation."""

    org: Name


class DeleteOrganisationParams(Record):
    """The organisation to delete.

    Attributes:
        confirm: Its name again.
    """

    org: Name
    confirm: Name


class OrganisationDeleted(Record):
    """A deleted organisation, and the number of pipelines that were deleted with it."""

    name: str
    pipelines: int


class PersonalData(Record):
    """A part of the data about a member that the installation stores.

    Attributes:
        member: In the first part; None for somebody who left.
        invitations: In the first part, as are ``tokens`` and ``secrets``.
        secrets: Names of the user's secrets; values are not exported.
        files: Paths of the user's data.
        pipelines: Ids of the pipelines that the user launched.
        audit: Entries of the audit log.
        next: Where the next part begins; None in the last one.
    """

    org: str
    user: str
    member: Member | None = None
    invitations: tuple[Invitation, ...] = ()
    tokens: tuple[MemberToken, ...] = ()
    secrets: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    pipelines: tuple[str, ...] = ()
    audit: tuple[AuditEntry, ...] = ()
    next: str | None = None


class PersonErased(Record):
    """The result of erasing the data of a user.

    Attributes:
        replacement: The name in place of the user's in the audit log.
    """

    user: str
    replacement: str
    secrets: int
    audit: int


# ----------------------------------------------------------------------------------------
# Sign-in with an identity provider: sessions, tokens of the command line and of CI runs.


#: Permissions of CI runs unless others are named: to launch and control pipelines.
CI_PERMISSIONS: tuple[PermissionName, ...] = ("read", "write_data", "launch", "change_state")


class SessionParams(Record):
    """Parameters of a new session.

    Attributes:
        org: The organisation, for a person in several; None: the first by name.
    """

    org: Name | None = None


class SessionToken(Record):
    """The token of a browser's session, and its user.

    Attributes:
        seconds: Maximum lifetime.
        orgs: The organisations of a person who signed in with an identity provider, by name.
    """

    token: str = Field(repr=False)
    seconds: int
    org: str
    user: str
    orgs: tuple[str, ...] = ()


class SessionEnd(Record):
    """The result of ending a session.

    Attributes:
        ended: False if the caller used a token of their own.
    """

    ended: bool


class CliLogin(Record):
    """A request of the page that ``conducto login`` opened.

    Attributes:
        challenge: SHA-256 of the command line's verifier, in hexadecimal.
        org: As in `SessionParams`.
    """

    challenge: str = Field(pattern=r"^[0-9a-f]{64}$")
    org: Name | None = None


class CliCode(Record):
    """A code that the command line exchanges for a token.

    Attributes:
        seconds: Its lifetime.
    """

    code: str = Field(repr=False)
    seconds: int
    org: str
    user: str


class CliExchange(Record):
    """The verifier of a code."""

    verifier: str = Field(min_length=43, max_length=128, repr=False)


class CiExchange(Record):
    """The organisation that a CI run wants to use."""

    org: Name


class IssuedToken(Record):
    """A new token.

    Attributes:
        expires: In seconds since the epoch.
    """

    token: str = Field(repr=False)
    org: str
    user: str
    expires: float


class TrustParams(Record):
    """The name of a trust."""

    name: Name


class TrustRequest(Record):
    """CI runs that may get a token of an organisation.

    Attributes:
        repository: The numeric id of the repository: names can change hands.
        ref: Only runs of this git ref, such as ``refs/heads/main``.
        environment: Only runs of this deployment environment.
    """

    repository: str = Field(pattern=r"^[0-9]{1,20}$")
    ref: Annotated[str, Field(pattern=r"^refs/[!-~]{1,250}$")] | None = None
    environment: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    permissions: tuple[PermissionName, ...] = CI_PERMISSIONS

    @model_validator(mode="after")
    def _named_runs(self) -> "TrustRequest":
        if self.ref is None and self.environment is None:
            raise ValueError(
                "name a ref or an environment: without one, every user that can push a branch to "
                "the repository gets a token"
            )
        return self

    @model_validator(mode="after")
    def _no_managers(self) -> "TrustRequest":
        managing = [name for name in self.permissions if name.startswith("manage_")]
        if managing:
            raise ValueError(f"CI runs cannot have {', '.join(managing)}; only members manage")
        return self


class Trust(TrustRequest):
    """A stored trust.

    Attributes:
        created: In seconds since the epoch.
        created_by: User id of its author.
        suspended: Its author may not store it any more, so it gives no tokens; not stored.
    """

    name: Name
    created: float
    created_by: str
    suspended: bool = False

    @property
    def owner(self) -> str:
        """User id of its author."""
        return self.created_by


class TrustList(Record):
    """The trusts of an organisation, by name."""

    trusts: tuple[Trust, ...]
