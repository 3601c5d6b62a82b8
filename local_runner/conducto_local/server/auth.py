"""Authentication of the local server.

The server listens on the loopback interface only, but every program and every web page on this
machine can reach that. So a request must have the server's address as its Host (against DNS
rebinding) and must not come from a page of another origin. A request to the API must carry the
owner's token (a file with mode 0600) or the cookie of the owner's session. Browsers send cookies
automatically, even for requests from a page on another port of this machine, so with a cookie the
browser must also report that the page has the same origin, and a request that changes anything must
have a header that pages of other origins cannot set.
"""

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from conducto_core.api import problems
from conducto_core.api.dispatch import encode
from conducto_core.model.operations.agent import LOGIN
from conducto_core.model.operations.operation import API_ROOT
from conducto_core.model.requests import Problem
from conducto_local.server.sessions import Sessions

HOST_NAMES = ("127.0.0.1", "localhost", "[::1]")
SUBPROTOCOL = "conducto.v1"
#: A browser cannot set the headers of a WebSocket; it sends the token as a subprotocol.
TOKEN_SUBPROTOCOL = "conducto.token."  # noqa: S105  a prefix, not a token
_BEARER = "bearer"
#: Paths below this need a token or a session.
_GUARDED = "/api"
#: Header of the app's own pages, with any value, required for changes with a cookie.
SCRIPT_HEADER = "x-conducto"
#: Path for creating logins, which needs the token itself.
_LOGIN = f"{API_ROOT}{LOGIN.path}"
FORM = "application/x-www-form-urlencoded"
#: Origin header of a form in a local file.
_NO_ORIGIN = "null"
_POLICY, _ENDED = 1008, "the session has ended"
_SAFE = frozenset({"GET", "HEAD"})
#: ``Sec-Fetch-Site`` of requests from the app's own pages and from the address bar.
_OURS = frozenset({"same-origin", "none"})


class Owner:
    """Decides whether a request comes from the owner of this server."""

    def __init__(self, token: str, sessions: Sessions) -> None:
        self._token = token.encode()
        self._sessions = sessions

    def has_token(self, scope: Scope) -> bool:
        """Return whether a request carries the token."""
        scheme, _, given = Headers(scope=scope).get("authorization", "").partition(" ")
        if scheme.lower() != _BEARER:
            offered = scope.get("subprotocols", ())
            tokens = [p for p in offered if p.startswith(TOKEN_SUBPROTOCOL)]
            given = tokens[0].removeprefix(TOKEN_SUBPROTOCOL) if tokens else ""
        return hmac.compare_digest(given.strip().encode(), self._token)

    def session_end(self, scope: Scope) -> asyncio.Event | None:
        """Return an event for the end of a request's session; None for requests with the token."""
        value = self._cookie(scope)
        return None if value is None or self.has_token(scope) else self._sessions.end_of(value)

    def _cookie(self, scope: Scope) -> str | None:
        cookies = cookie_parser(Headers(scope=scope).get("cookie", ""))
        return cookies.get(self._sessions.cookie_name)

    def has_session(self, scope: Scope) -> bool:
        """Return whether a request safely carries the cookie of a session."""
        headers = Headers(scope=scope)
        value = self._cookie(scope)
        if value is None or not self._sessions.is_session(value):
            return False
        if headers.get("sec-fetch-site", "none") not in _OURS:
            return False
        if scope["type"] == "websocket":
            return "origin" in headers
        return scope["method"] in _SAFE or ("origin" in headers and SCRIPT_HEADER in headers)


class Authenticator:
    """ASGI middleware that passes on authenticated requests only."""

    def __init__(self, app: ASGIApp, owner: Owner, port: int) -> None:
        self._app = app
        self._owner = owner
        self._hosts = frozenset(f"{name}:{port}" for name in HOST_NAMES)
        self._origins = frozenset(f"http://{host}" for host in self._hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or reject it."""
        if scope["type"] not in ("http", "websocket"):
            return
        problem = self._objection(scope)
        if problem is not None:
            await _refuse(problem, scope, receive, send)
        elif scope["type"] == "websocket" and (end := self._owner.session_end(scope)) is not None:
            await self._app(scope, *_until(end, receive, send))
        else:
            await self._app(scope, receive, send)

    def _objection(self, scope: Scope) -> Problem | None:
        headers = Headers(scope=scope)
        if "content-length" in headers and "transfer-encoding" in headers:
            return _problem(
                HTTPStatus.BAD_REQUEST,
                "ambiguous length",
                "the request has both Content-Length and Transfer-Encoding, which proxies read in "
                "different ways; send one of them",
            )
        host, origin = headers.get("host", ""), headers.get("origin")
        if host.lower() not in self._hosts:
            return _problem(
                HTTPStatus.MISDIRECTED_REQUEST, "wrong host", f"this server is not {host!r}"
            )
        if origin == _NO_ORIGIN and _is_login(scope):
            origin = None  # a file of the owner, which proves that by its secret
        if origin is not None and origin.lower() not in self._origins:
            return _problem(
                HTTPStatus.FORBIDDEN, "wrong origin", f"pages of {origin!r} may not use this server"
            )
        if is_guarded(scope) and not (
            self._owner.has_token(scope) or self._owner.has_session(scope)
        ):
            return _problem(
                HTTPStatus.UNAUTHORIZED,
                "wrong token",
                "the request has neither a valid token nor a safely used session",
            )
        if scope["path"] == _LOGIN and not self._owner.has_token(scope):
            # Code in a page must not gain more than the page has: no session that outlives it.
            detail = "a session cannot create another session; use 'conducto show --app'"
            return _problem(HTTPStatus.FORBIDDEN, "not with a session", detail)
        return None


def _until(end: asyncio.Event, receive: Receive, send: Send) -> tuple[Receive, Send]:
    """Return the channels of a WebSocket that is closed when a session ends."""

    async def receive_until_end() -> Message:
        incoming, ended = asyncio.ensure_future(receive()), asyncio.ensure_future(end.wait())
        try:
            await asyncio.wait({incoming, ended}, return_when=asyncio.FIRST_COMPLETED)
            if not end.is_set():
                return incoming.result()
            await send({"type": "websocket.close", "code": _POLICY, "reason": _ENDED})
            return {"type": "websocket.disconnect", "code": _POLICY}
        finally:
            incoming.cancel()
            ended.cancel()

    async def send_until_end(message: Message) -> None:
        if end.is_set():
            raise WebSocketDisconnect(_POLICY, _ENDED)
        await send(message)

    return receive_until_end, send_until_end


def _is_login(scope: Scope) -> bool:
    kind = Headers(scope=scope).get("content-type", "")
    return (scope["path"], scope.get("method"), kind) == ("/session", "POST", FORM)


def is_guarded(scope: Scope) -> bool:
    """Return whether a request is to the API, which needs authentication."""
    path: str = scope["path"]
    return path == _GUARDED or path.startswith(f"{_GUARDED}/")


#: Headers of refusals; after an ambiguous request, the rest of the connection is not read.
_HEADERS: Mapping[int, Mapping[str, str]] = {
    HTTPStatus.UNAUTHORIZED: {"www-authenticate": "Bearer"},
    HTTPStatus.BAD_REQUEST: {"connection": "close"},
}


def _problem(status: HTTPStatus, title: str, detail: str) -> Problem:
    return Problem(title=title, status=status, detail=detail)


async def _refuse(problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
    headers = _HEADERS.get(problem.status, {})
    response = Response(encode(problem), problem.status, headers, problems.MEDIA_TYPE)
    await denier(scope, receive, send)(response)


def denier(scope: Scope, receive: Receive, send: Send) -> Callable[[Response], Awaitable[None]]:
    """Return a function that sends a response to a request, or rejects a WebSocket with it."""
    if scope["type"] == "websocket":
        return WebSocket(scope, receive, send).send_denial_response
    return lambda response: response(scope, receive, send)
