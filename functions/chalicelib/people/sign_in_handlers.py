"""The operations with which people and CI runs get sessions and tokens."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from chalicelib.api.followers import Followers
from chalicelib.api.store import TableConnections
from chalicelib.people.port import Identity
from chalicelib.people.sign_in import SignIn, TrustedRuns, check_codes
from chalicelib.people.store.members import TableTokens
from chalicelib.people.tokens import CODE_SECONDS, SESSION_SECONDS, new_token
from chalicelib.records import Records
from conducto_core.api.operation import Permission
from conducto_core.api.problems import ProblemError
from conducto_core.api.serve import serves
from conducto_core.errors import RefusedError
from conducto_core.people import operations as people_operations
from conducto_core.people.model import (
    PROGRAM_KINDS,
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
from conducto_core.people.rules import INHERITED
from conducto_core.run.model.requests import Problem
from conducto_core.run.model.responses import Login

# ----------------------------------------------------------------------------------------
# Browser login: a one-time code is exchanged for a session token.
#
# Codes and sessions are children of the caller's token and expire with it at the latest.


class BrowserLogin:
    """Browser sessions.

    Args:
        tokens: The tokens of all organisations.
        site: Returns the address of the web app, or "".
        clock: Seconds since the epoch.
        revoked: Called with the token digest of each session that ended.
    """

    def __init__(
        self,
        tokens: TableTokens,
        site: Callable[[], str],
        clock: Callable[[], float],
        revoked: Callable[[str], None] = lambda _digest: None,
    ) -> None:
        self._tokens = tokens
        self._site = site
        self._clock = clock
        self._revoked = revoked

    def make_login(self, caller: Identity) -> Login:
        """Return a one-time code that starts a browser session with the caller's permissions.

        The code goes into the fragment of a URL, which is never sent to a server or logged.

        Raises:
            RefusedError: The caller is a session or the token of a program, or this installation
                has no web app.
            ProblemError: 429, the caller got too many codes in this minute.
        """
        if caller.kind == "session":
            # A script in the page must not obtain a token that outlives the session.
            raise RefusedError(
                "a browser session cannot create another session; run 'conducto show --app'"
            )
        if caller.kind in PROGRAM_KINDS:
            raise RefusedError(
                "a token that was created for a program cannot start a browser session; run "
                "'conducto login' first"
            )
        site = self._site()
        if not site:
            raise RefusedError("this installation has no web app; deploy it with 'conducto deploy'")
        check_codes(self._tokens, caller.token)
        code, digest = new_token()
        may = frozenset({Permission.SIGN_IN.value})
        self._tokens.put(
            digest,
            replace(caller, permissions=may),
            expires=self._clock() + CODE_SECONDS,
            parent=caller.token,
        )
        return Login(url=f"{site}/", code=code, seconds=CODE_SECONDS)

    def start(self, code: Identity) -> SessionToken:
        """Exchange a code for a session token; a used or expired code is a `ProblemError` (401)."""
        owner = None if code.parent is None else self._tokens.find(code.parent)
        # API Gateway caches the code's authorization for minutes after its first use.
        known = self._tokens.find(code.token) is not None
        is_browsers = code.challenge == ""  # the command line's codes need a verifier
        if (
            owner is None
            or not is_browsers
            or not known
            or not self._tokens.revoke_once(code.token)
        ):
            raise ProblemError(
                Problem(
                    title="wrong code",
                    status=401,
                    detail="this code was used before, or is older than a minute",
                    remedy="run 'conducto show --app' again",
                )
            )
        token, digest = new_token()
        session = replace(owner, permissions=INHERITED)
        end = self._clock() + SESSION_SECONDS
        self._tokens.put(digest, session, expires=end, parent=code.parent, kind="session")
        return SessionToken(token=token, seconds=SESSION_SECONDS, org=owner.org, user=owner.user)

    def end(self, caller: Identity) -> SessionEnd:
        """End the caller's session; tokens that are not sessions stay valid."""
        ended = caller.kind == "session" and self._tokens.revoke_once(caller.token)
        if ended:
            self._revoked(caller.token)
        return SessionEnd(ended=ended)


class CloudSignIn:
    """Sessions and tokens of one caller, and the trusts of their organisation."""

    def __init__(
        self,
        me: Identity,
        begin: Callable[[Identity], None],
        *,
        records: Records,
        connections: TableConnections,
        site: Callable[[], str],
        clock: Callable[[], float],
    ) -> None:
        self._me = me
        close = Followers(connections, records.tokens).close_of
        self._browser = BrowserLogin(records.tokens, site, clock, close)
        self._sign_in = SignIn(records, clock, me, begin)
        self._trusts = TrustedRuns(records, clock, me)

    @serves(people_operations.START_SESSION)
    async def start_session(self, params: SessionParams) -> SessionToken:
        """Exchange a code or an ID token for the token of a browser's session."""
        if self._me.person is None:
            return await asyncio.to_thread(self._browser.start, self._me)
        return await asyncio.to_thread(self._sign_in.start_session, params.org)

    @serves(people_operations.END_SESSION)
    async def end_session(self) -> SessionEnd:
        """End the caller's session."""
        return await asyncio.to_thread(self._browser.end, self._me)

    @serves(people_operations.START_CLI_LOGIN)
    async def start_cli_login(self, request: CliLogin) -> CliCode:
        """Exchange an ID token for a code of the command line."""
        return await asyncio.to_thread(self._sign_in.start_cli_login, request)

    @serves(people_operations.EXCHANGE_CLI_CODE)
    async def exchange_cli_code(self, request: CliExchange) -> IssuedToken:
        """Exchange a code for a token of the command line."""
        return await asyncio.to_thread(self._sign_in.exchange_cli_code, request)

    @serves(people_operations.EXCHANGE_CI_TOKEN)
    async def exchange_ci_token(self, request: CiExchange) -> IssuedToken:
        """Exchange the ID token of a CI run for a token."""
        return await asyncio.to_thread(self._sign_in.exchange_ci_token, request)

    @serves(people_operations.LIST_TRUSTS)
    async def list_trusts(self) -> TrustList:
        return await asyncio.to_thread(self._trusts.listing)

    @serves(people_operations.PUT_TRUST)
    async def put_trust(self, params: TrustParams, request: TrustRequest) -> Trust:
        return await asyncio.to_thread(self._trusts.put, params.name, request)

    @serves(people_operations.DELETE_TRUST)
    async def delete_trust(self, params: TrustParams) -> TrustList:
        """Delete a trust and revoke its tokens."""
        return await asyncio.to_thread(self._trusts.delete, params.name)
