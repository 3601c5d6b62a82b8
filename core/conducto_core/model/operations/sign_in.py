"""Operations with which people and CI runs get sessions and tokens."""

from conducto_core.model.operations.operation import (
    AnyOperation,
    LinkClass,
    Permission,
    act,
    read,
    send,
)
from conducto_core.model.params import NoParams
from conducto_core.model.sign_in import (
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
