"""The operations with which people and CI runs get sessions and tokens."""

import asyncio
from collections.abc import Callable
from functools import cached_property

from chalicelib.api.browser_login import BrowserLogin
from chalicelib.ports.identity import Identity
from chalicelib.services.dependencies import Dependencies
from chalicelib.services.followers import Followers
from chalicelib.services.sign_in import SignIn, TrustedRuns
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


class CloudSignIn:
    """Sessions and tokens of one caller, and the trusts of their organisation."""

    _cloud: Dependencies
    _me: Identity
    _begin: Callable[[Identity], None]

    @cached_property
    def _browser(self) -> BrowserLogin:
        cloud = self._cloud
        close = Followers(cloud.connections, cloud.tokens).close_of
        return BrowserLogin(cloud.tokens, cloud.web_app, cloud.clock, close)

    @cached_property
    def _sign_in(self) -> SignIn:
        return SignIn(self._cloud, self._me, self._begin)

    @cached_property
    def _trusts(self) -> TrustedRuns:
        return TrustedRuns(self._cloud, self._me)

    async def start_session(self, params: SessionParams) -> SessionToken:
        """Exchange a code or an ID token for the token of a browser's session."""
        if self._me.person is None:
            return await asyncio.to_thread(self._browser.start, self._me)
        return await asyncio.to_thread(self._sign_in.start_session, params.org)

    async def end_session(self) -> SessionEnd:
        """End the caller's session."""
        return await asyncio.to_thread(self._browser.end, self._me)

    async def start_cli_login(self, request: CliLogin) -> CliCode:
        """Exchange an ID token for a code of the command line."""
        return await asyncio.to_thread(self._sign_in.start_cli_login, request)

    async def exchange_cli_code(self, request: CliExchange) -> IssuedToken:
        """Exchange a code for a token of the command line."""
        return await asyncio.to_thread(self._sign_in.exchange_cli_code, request)

    async def exchange_ci_token(self, request: CiExchange) -> IssuedToken:
        """Exchange the ID token of a CI run for a token."""
        return await asyncio.to_thread(self._sign_in.exchange_ci_token, request)

    async def list_trusts(self) -> TrustList:
        """List the trusts of the organisation."""
        return await asyncio.to_thread(self._trusts.listing)

    async def put_trust(self, params: TrustParams, request: TrustRequest) -> Trust:
        """Store a trust."""
        return await asyncio.to_thread(self._trusts.put, params.name, request)

    async def delete_trust(self, params: TrustParams) -> TrustList:
        """Delete a trust and revoke its tokens."""
        return await asyncio.to_thread(self._trusts.delete, params.name)
