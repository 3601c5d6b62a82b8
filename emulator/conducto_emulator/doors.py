"""Access control of the emulator: host names, origins, and signatures of AWS.

Containers and pages can reach the ports of the app and of AWS. So AWS responds only to requests
that are signed with a key of this emulator and that use a valid host name, and only to pages of the
web app.
"""

import io
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from conducto_emulator.signatures import Keys, Request, SignatureError

_FORBIDDEN, _MISDIRECTED = 403, 421
_STATUS_LINES = {_FORBIDDEN: "403 Forbidden", _MISDIRECTED: "421 Misdirected Request"}
_CORS = "access-control-"
#: The CORS settings of the deployed bucket.
_PREFLIGHT = {"Access-Control-Allow-Methods": "GET, PUT", "Access-Control-Allow-Headers": "*"}

StartResponse = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Names:
    """Valid host names and the allowed origin of an address.

    Attributes:
        hosts: Valid values of the header ``Host``.
        page: Origin of the web app.
    """

    hosts: frozenset[str]
    page: str

    def refusal(self, host: str, origin: str | None) -> tuple[int, str] | None:
        """Return status and reason if a request is rejected."""
        if host not in self.hosts:
            return _MISDIRECTED, f"{host!r} is not a host name of this emulator"
        if origin is not None and origin != self.page:
            return _FORBIDDEN, f"pages of {origin!r} may not use this emulator"
        return None


class AwsDoor:
    """WSGI middleware in front of moto."""

    def __init__(self, inner: Any, keys: Keys, names: Names) -> None:
        self._inner = inner
        self._keys = keys
        self._names = names

    def __call__(self, environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        """Handle a request."""
        origin = environ.get("HTTP_ORIGIN")
        refusal = self._names.refusal(environ.get("HTTP_HOST", ""), origin)
        if refusal is not None:
            return _refuse(start, *refusal)
        # Pages use presigned URLs of the bucket; they sign nothing themselves.
        if origin is not None and "X-Amz-Signature" not in parse_qs(environ["QUERY_STRING"]):
            return _refuse(start, _FORBIDDEN, "pages may only use presigned URLs")
        if origin is not None and environ["REQUEST_METHOD"] == "OPTIONS":
            start("204 No Content", [*_PREFLIGHT.items(), *_shared_with(origin)])
            return []
        try:
            self._check(environ)
        except SignatureError as error:
            return _refuse(start, _FORBIDDEN, str(error))
        body: Iterable[bytes] = self._inner(environ, _without_cors(start, origin))
        return body

    def _check(self, environ: dict[str, Any]) -> None:
        request = _request(environ)
        if request.signs_body():
            body = _read(environ)
            environ["wsgi.input"] = io.BytesIO(body)
            request = Request(request.method, request.url, request.headers, body)
        if not request.check(self._keys).allows(request):
            raise SignatureError("the key that signed the request does not allow it")


def _request(environ: Mapping[str, Any]) -> Request:
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").lower(): str(value)
        for name, value in environ.items()
        if name.startswith("HTTP_") or name in ("CONTENT_TYPE", "CONTENT_LENGTH")
    }
    url = f"http://{environ['HTTP_HOST']}{environ['REQUEST_URI']}"
    return Request(environ["REQUEST_METHOD"], url, headers)


def _read(environ: Mapping[str, Any]) -> bytes:
    length = environ.get("CONTENT_LENGTH")
    stream = environ["wsgi.input"]
    if length:
        return bytes(stream.read(int(length)))
    return bytes(stream.read()) if environ.get("wsgi.input_terminated") else b""


def _refuse(start: StartResponse, status: int, reason: str) -> Iterable[bytes]:
    said = json.dumps({"__type": "AccessDeniedException", "message": reason}).encode()
    kind = ("Content-Type", "application/json")
    start(_STATUS_LINES[status], [kind, ("Content-Length", str(len(said)))])
    return [said]


def _shared_with(origin: str) -> list[tuple[str, str]]:
    return [("Access-Control-Allow-Origin", origin), ("Vary", "Origin")]


def _without_cors(start: StartResponse, origin: str | None) -> StartResponse:
    """Return a start function that replaces moto's permissive CORS headers."""

    def started(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
        kept = [(name, value) for name, value in headers if not name.lower().startswith(_CORS)]
        return start(status, [*kept, *(_shared_with(origin) if origin else [])], *rest)

    return started


class ApiDoor:
    """ASGI middleware in front of the APIs and the web app, which authenticate requests."""

    def __init__(self, inner: ASGIApp, names: Names) -> None:
        self._inner = inner
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request or a WebSocket."""
        headers = Headers(scope=scope)
        refusal = self._names.refusal(headers.get("host", ""), headers.get("origin"))
        if refusal is None:
            await self._inner(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": refusal[1]})
        else:
            await JSONResponse({"message": refusal[1]}, refusal[0])(scope, receive, send)
