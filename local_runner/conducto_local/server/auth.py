"""Who may talk to the local server.

It listens on the loopback only, but every program and every web page on this machine can reach
that. So a request must name us as its Host (against DNS rebinding) and must not come from a page of
another origin; and one to the API must carry the token of its owner (a file with mode 0600) or the
cookie of a session that the owner began. A browser sends a cookie by itself, also when a page on
another port of this machine asks for it, so with a cookie more is asked: that the browser says the
page is ours, and for whatever changes something a header that pages of others cannot set.
"""

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from conducto_core.api import problems
from conducto_core.api.dispatch import encode
from conducto_core.model.operations import pipelines
from conducto_core.model.requests import Problem
from conducto_local.server.sessions import Sessions

HOST_NAMES = ("127.0.0.1", "localhost", "[::1]")
SUBPROTOCOL = "conducto.v1"
#: A browser cannot set a WebSocket's headers; it offers this and the token as a subprotocol.
TOKEN_SUBPROTOCOL = "conducto.token."  # noqa: S105  a prefix, not a token
_BEARER = "bearer"
#: Below this nothing is answered without a token or a session.
_GUARDED = "/api"
#: What a page of ours sets, to any value, where a request with a cookie changes something.
SCRIPT_HEADER = "x-conducto"
#: Where logins are made, which needs the token itself.
_LOGIN = f"{pipelines.API_ROOT}{pipelines.LOGIN.path}"
FORM = "application/x-www-form-urlencoded"
#: Where a file's form comes from, as browsers say.
_NO_ORIGIN = "null"
_POLICY, _ENDED = 1008, "the session has ended"
_SAFE = frozenset({"GET", "HEAD"})
#: What a browser says of who asks: a page of ours, or the person by the address bar.
_OURS = frozenset({"same-origin", "none"})


class Owner:
    """Knows by a request whether it comes from who owns this server.

    Args:
        token: The secret that a request may carry.
        sessions: Knows the cookies of sessions.
    """

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
        """Return what is set when a request's session is ended; None where the token let it in."""
        value = self._cookie(scope)
        return None if value is None or self.has_token(scope) else self._sessions.end_of(value)

    def _cookie(self, scope: Scope) -> str | None:
        cookies = cookie_parser(Headers(scope=scope).get("cookie", ""))
        return cookies.get(self._sessions.cookie_name)

    def has_session(self, scope: Scope) -> bool:
        """Return whether a request carries the cookie of a session, in a way that is safe."""
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
    """ASGI middleware that lets through only what it has checked.

    Args:
        app: What is guarded.
        owner: Knows whose requests are answered.
        port: The port that we listen on.
    """

    def __init__(self, app: ASGIApp, owner: Owner, port: int) -> None:
        self._app = app
        self._owner = owner
        self._hosts = frozenset(f"{name}:{port}" for name in HOST_NAMES)
        self._origins = frozenset(f"http://{host}" for host in self._hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
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
        host, origin = headers.get("host", ""), headers.get("origin")
        if host.lower() not in self._hosts:
            return _problem(
                HTTPStatus.MISDIRECTED_REQUEST, "wrong host", f"this server is not {host!r}"
            )
        if origin == _NO_ORIGIN and _is_login(scope):
            origin = None  # a file of the owner's, which proves that by what it posts
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
                "the request carries no valid token, nor a session in a way that is safe",
            )
        if scope["path"] == _LOGIN and not self._owner.has_token(scope):
            # What runs in a page is to have no more than the page: no session that outlives it.
            detail = "a browser's session makes no other one; use 'conducto show --app'"
            return _problem(HTTPStatus.FORBIDDEN, "not with a session", detail)
        return None


def _until(end: asyncio.Event, receive: Receive, send: Send) -> tuple[Receive, Send]:
    """Return the sides of a WebSocket that is closed when a session ends."""

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
    """Return whether a request posts a form to sign in."""
    kind = Headers(scope=scope).get("content-type", "")
    return (scope["path"], scope.get("method"), kind) == ("/session", "POST", FORM)


def is_guarded(scope: Scope) -> bool:
    """Return whether a request is to the API, where nothing is answered to strangers."""
    path: str = scope["path"]
    return path == _GUARDED or path.startswith(f"{_GUARDED}/")


def _problem(status: HTTPStatus, title: str, detail: str) -> Problem:
    return Problem(title=title, status=status, detail=detail)


async def _refuse(problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
    headers = {"www-authenticate": "Bearer"} if problem.status == HTTPStatus.UNAUTHORIZED else {}
    response = Response(encode(problem), problem.status, headers, problems.MEDIA_TYPE)
    await denier(scope, receive, send)(response)


def denier(scope: Scope, receive: Receive, send: Send) -> Callable[[Response], Awaitable[None]]:
    """Return what sends a response to a request, or to a WebSocket that is not accepted."""
    if scope["type"] == "websocket":
        return WebSocket(scope, receive, send).send_denial_response
    return lambda response: response(scope, receive, send)
