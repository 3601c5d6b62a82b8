"""Who may talk to the local server.

It listens on the loopback only, but every program and every web page on this machine can reach
that. So a request must carry the token of its owner (a file with mode 0600), must name us as its
Host (against DNS rebinding), and must not come from a page of another origin.
"""

import hmac
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from conducto.model.api import Problem
from conducto.service import problems
from conducto.service.dispatch import encode

HOST_NAMES = ("127.0.0.1", "localhost", "[::1]")
SUBPROTOCOL = "conducto.v1"
#: A browser cannot set a WebSocket's headers; it offers this and the token as a subprotocol.
TOKEN_SUBPROTOCOL = "conducto.token."  # noqa: S105  a prefix, not a token
_BEARER = "bearer"


class Guard:
    """ASGI middleware that lets through only what it has checked.

    Args:
        app: What is guarded.
        token: The secret that a request must carry.
        port: The port that we listen on.
    """

    def __init__(self, app: ASGIApp, token: str, port: int) -> None:
        self._app = app
        self._token = token.encode()
        self._hosts = frozenset(f"{name}:{port}" for name in HOST_NAMES)
        self._origins = frozenset(f"http://{host}" for host in self._hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            return
        problem = self._objection(scope)
        if problem is None:
            await self._app(scope, receive, send)
        else:
            await _refuse(problem, scope, receive, send)

    def _objection(self, scope: Scope) -> Problem | None:
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        if host.lower() not in self._hosts:
            return _problem(
                HTTPStatus.MISDIRECTED_REQUEST, "wrong host", f"this server is not {host!r}"
            )
        if origin is not None and origin.lower() not in self._origins:
            return _problem(
                HTTPStatus.FORBIDDEN, "wrong origin", f"pages of {origin!r} may not use this server"
            )
        if not self._has_token(headers, scope):
            return _problem(
                HTTPStatus.UNAUTHORIZED, "wrong token", "the request carries no valid token"
            )
        return None

    def _has_token(self, headers: Headers, scope: Scope) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() != _BEARER:
            offered = scope.get("subprotocols", ())
            tokens = [p for p in offered if p.startswith(TOKEN_SUBPROTOCOL)]
            given = tokens[0].removeprefix(TOKEN_SUBPROTOCOL) if tokens else ""
        return hmac.compare_digest(given.strip().encode(), self._token)


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
