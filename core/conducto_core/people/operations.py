"""The operations on organisations and their members; only the cloud's API has them.

An operation with the permission `read` that changes something concerns the caller alone.
"""

from conducto_core.api.operation import (
    AnyOperation,
    LinkClass,
    Operation,
    Permission,
    act,
    read,
    send,
)
from conducto_core.api.operation import act as _act
from conducto_core.api.operation import read as _read
from conducto_core.api.operation import send as _send
from conducto_core.billing.operations import BILLING_OPERATIONS
from conducto_core.people import model as m
from conducto_core.people.model import (
    CiExchange,
    CliCode,
    CliExchange,
    CliLogin,
    IssuedToken,
    SessionEnd,
    SessionParams,
    SessionToken,
    Trust,
    TrustList,
    TrustParams,
    TrustRequest,
)
from conducto_core.remote.operations import LINKED_AGENT_OPERATIONS
from conducto_core.run.model.params import NoParams
from conducto_core.triggers.operations import GITHUB_APP_OPERATIONS, TRIGGER_OPERATIONS

_OWN = Permission.READ
_ADMIN = Permission.MANAGE_ORGANISATION
_OWNER = Permission.MANAGE_BILLING

LIST_ORGANISATIONS = _read(
    "list_organisations",
    "/orgs",
    NoParams,
    m.OrganisationList,
    "List the organisations of the person.",
    link_class=LinkClass.NEVER,
)
CREATE_ORGANISATION = _send(
    "create_organisation",
    "POST /orgs",
    NoParams,
    m.NewOrganisation,
    m.MemberLogin,
    _OWNER,
    "Create an organisation, with the caller as its owner.",
    link_class=LinkClass.NEVER,
    kept=False,
)
SWITCH_ORGANISATION = _act(
    "switch_organisation",
    "POST /orgs/{org}/switch",
    m.OrganisationParams,
    m.MemberLogin,
    _OWN,
    "Return a token for another organisation of the person; a browser's session ends.",
    link_class=LinkClass.NEVER,
    kept=False,
)
DELETE_ORGANISATION = _act(
    "delete_organisation",
    "DELETE /orgs/{org}",
    m.DeleteOrganisationParams,
    m.OrganisationDeleted,
    _OWNER,
    "Delete the organisation with all its pipelines, data and secrets, if no pipeline runs.",
    link_class=LinkClass.NEVER,
    kept=False,
)
LIST_MEMBERS = _read(
    "list_members",
    "/members",
    NoParams,
    m.MemberList,
    "List the members of the organisation.",
    link_class=LinkClass.NEVER,
)
CHANGE_ROLE = _send(
    "change_role",
    "PUT /members/{user}",
    m.MemberParams,
    m.RoleChange,
    m.MemberChanged,
    _ADMIN,
    "Change the role of a member; only owners give or withdraw the role of an owner.",
    link_class=LinkClass.NEVER,
)
REMOVE_MEMBER = _act(
    "remove_member",
    "DELETE /members/{user}",
    m.MemberParams,
    m.MemberRemoved,
    _ADMIN,
    "Remove a member and revoke all their tokens and sessions.",
    link_class=LinkClass.NEVER,
)
TAKE_OVER = _act(
    "take_over",
    "POST /suspended/{kind}/{name}",
    m.TakeOverParams,
    m.OwnedRecord,
    _ADMIN,
    "Become the owner of a suspended trust, notification rule or trigger, so that it works again.",
    link_class=LinkClass.NEVER,
)
LEAVE = _act(
    "leave_organisation",
    "DELETE /membership",
    NoParams,
    m.MemberRemoved,
    _OWN,
    "End the caller's membership.",
    link_class=LinkClass.NEVER,
    kept=False,
)
EXPORT_MEMBER = _read(
    "export_member",
    "/members/{user}/data",
    m.ExportParams,
    m.PersonalData,
    "Return a part of the data about a user, without values of secrets.",
    link_class=LinkClass.NEVER,
    permission=_ADMIN,
)
ERASE_MEMBER = _act(
    "erase_member",
    "DELETE /members/{user}/data",
    m.MemberParams,
    m.PersonErased,
    _OWNER,
    "Erase the data about a user who is not a member any more.",
    link_class=LinkClass.NEVER,
    kept=False,
)
LIST_INVITATIONS = _read(
    "list_invitations",
    "/invitations",
    NoParams,
    m.InvitationList,
    "List the invitations that can still be accepted.",
    link_class=LinkClass.NEVER,
    permission=_ADMIN,
)
CREATE_INVITATION = _send(
    "create_invitation",
    "POST /invitations",
    NoParams,
    m.NewInvitation,
    m.InvitationLink,
    _ADMIN,
    "Invite somebody; only owners invite owners.",
    link_class=LinkClass.NEVER,
    kept=False,
)
WITHDRAW_INVITATION = _act(
    "withdraw_invitation",
    "DELETE /invitations/{id}",
    m.InvitationParams,
    m.Invitation,
    _ADMIN,
    "Withdraw an invitation.",
    link_class=LinkClass.NEVER,
)
ACCEPT_INVITATION = _send(
    "accept_invitation",
    "POST /invitations/accept",
    NoParams,
    m.AcceptInvitation,
    m.MemberLogin,
    Permission.ACCEPT_INVITATION,
    "Become a member by the code of an invitation.",
    link_class=LinkClass.NEVER,
    private=True,
    kept=False,
)
LIST_TOKENS = _read(
    "list_tokens",
    "/tokens",
    m.TokenListParams,
    m.MemberTokenList,
    "List own tokens; administrators also those of others.",
    link_class=LinkClass.NEVER,
)
CREATE_TOKEN = _send(
    "create_token",
    "POST /tokens",
    NoParams,
    m.NewToken,
    m.CreatedToken,
    _OWN,
    "Create a token for a program, with at most the caller's permissions.",
    link_class=LinkClass.NEVER,
    kept=False,
)
REVOKE_TOKEN = _act(
    "revoke_token",
    "DELETE /tokens/{id}",
    m.TokenParams,
    m.TokensRevoked,
    _OWN,
    "Revoke an own token; administrators also revoke those of others.",
    link_class=LinkClass.NEVER,
    kept=False,
)
LIST_SESSIONS = _read(
    "list_sessions",
    "/sessions",
    m.TokenListParams,
    m.MemberTokenList,
    "List own sessions of browsers; administrators also those of others.",
    link_class=LinkClass.NEVER,
)
END_ONE_SESSION = _act(
    "end_one_session",
    "DELETE /sessions/{id}",
    m.TokenParams,
    m.TokensRevoked,
    _OWN,
    "End a session; administrators also end those of others.",
    link_class=LinkClass.NEVER,
    kept=False,
)
END_ALL_SESSIONS = _act(
    "end_all_sessions",
    "POST /sessions/end",
    NoParams,
    m.TokensRevoked,
    _OWN,
    "End all own sessions, the caller's last.",
    link_class=LinkClass.NEVER,
    kept=False,
)
LIST_AUDIT = _read(
    "list_audit",
    "/audit",
    m.AuditParams,
    m.AuditPage,
    "Return the audit log: all requests that did more than read.",
    link_class=LinkClass.NEVER,
    permission=_ADMIN,
)

#: All operations of this module.
PEOPLE_OPERATIONS: tuple[AnyOperation, ...] = tuple(
    value for value in tuple(globals().values()) if isinstance(value, Operation)
)


# ----------------------------------------------------------------------------------------
# Operations with which people and CI runs get sessions and tokens.


START_SESSION = act(
    "start_session",
    "POST /sessions",
    SessionParams,
    SessionToken,
    Permission.SIGN_IN,
    "Exchange a code, or the ID token of a person, for the token of a browser's session.",
    link_class=LinkClass.NEVER,
    kept=False,
)
END_SESSION = act(
    "end_session",
    "DELETE /sessions",
    NoParams,
    SessionEnd,
    Permission.READ,
    "End a browser's session.",
    link_class=LinkClass.NEVER,
    kept=False,
)
START_CLI_LOGIN = send(
    "start_cli_login",
    "POST /cli-logins",
    NoParams,
    CliLogin,
    CliCode,
    Permission.SIGN_IN,
    "Exchange an ID token for a code that the command line can exchange for a token.",
    link_class=LinkClass.NEVER,
    kept=False,
)
EXCHANGE_CLI_CODE = send(
    "exchange_cli_code",
    "POST /cli-tokens",
    NoParams,
    CliExchange,
    IssuedToken,
    Permission.SIGN_IN,
    "Exchange the code of a command line's log-in for a token.",
    link_class=LinkClass.NEVER,
    private=True,
    kept=False,
)
EXCHANGE_CI_TOKEN = send(
    "exchange_ci_token",
    "POST /ci-tokens",
    NoParams,
    CiExchange,
    IssuedToken,
    Permission.SIGN_IN,
    "Exchange the ID token of a CI run for a token of an hour.",
    link_class=LinkClass.NEVER,
    kept=False,
)
LIST_TRUSTS = read(
    "list_trusts",
    "/trusts",
    NoParams,
    TrustList,
    "List the CI runs that may get tokens of the organisation.",
    link_class=LinkClass.NEVER,
    permission=Permission.MANAGE_ORGANISATION,
)
PUT_TRUST = send(
    "put_trust",
    "PUT /trusts/{name}",
    TrustParams,
    TrustRequest,
    Trust,
    Permission.MANAGE_ORGANISATION,
    "Let CI runs of a repository get tokens of the organisation.",
    link_class=LinkClass.NEVER,
)
DELETE_TRUST = act(
    "delete_trust",
    "DELETE /trusts/{name}",
    TrustParams,
    TrustList,
    Permission.MANAGE_ORGANISATION,
    "Delete a trust and revoke its tokens.",
    link_class=LinkClass.NEVER,
)

#: All operations of this module.
SIGN_IN_OPERATIONS: tuple[AnyOperation, ...] = (
    START_SESSION,
    END_SESSION,
    START_CLI_LOGIN,
    EXCHANGE_CLI_CODE,
    EXCHANGE_CI_TOKEN,
    LIST_TRUSTS,
    PUT_TRUST,
    DELETE_TRUST,
)


# ----------------------------------------------------------------------------------------
# The operations on an organisation itself, instead of its pipelines; only the cloud has them.


#: All operations of `chalicelib.people.handlers`.
ORGANISATION_OPERATIONS: tuple[AnyOperation, ...] = (
    *PEOPLE_OPERATIONS,
    *SIGN_IN_OPERATIONS,
    *BILLING_OPERATIONS,
    *LINKED_AGENT_OPERATIONS,
    *TRIGGER_OPERATIONS,
    *GITHUB_APP_OPERATIONS,
)
