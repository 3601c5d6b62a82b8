"""Emulates CloudFront: the web app's files and the APIs at one address.

`of_session` and `of_page` correspond to CloudFront's functions in ``infra/edge``;
`tests/infra/test_edge.py` gives both the same requests.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from conducto_core.api.dispatch import cloud_page, page_policy
from conducto_core.assistants.handlers import MCP_PATH, METADATA_PATH
from conducto_core.installation.names import IDENTITY_FILE

COOKIE = "__Host-conducto"
SECONDS = 2_592_000
_KEPT = "Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age="
_BEARER = re.compile(r"Bearer ([A-Za-z0-9_-]{20,200})")
_STAGE = "/api"
_SOCKET = "/socket"
_SESSION = "/session"
_PAGE = "index.html"
_NO_CONTENT = 204
#: A request or response in the format of CloudFront's functions.
Seen = dict[str, Any]


class CloudFront:
    """ASGI middleware that handles requests to the web app's address and passes on all others."""

    def __init__(
        self,
        inner: ASGIApp,
        root: Path,
        host: str,
        bucket: str,
        identity: Mapping[str, str] | None = None,
    ) -> None:
        self._inner = inner
        self._root = root
        self._host = host
        self._identity = identity
        connect = [bucket, *([] if identity is None else [identity["issuer"]])]
        self._headers = {
            "content-security-policy": page_policy(*connect),
            "cache-control": "no-cache",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if Headers(scope=scope).get("host") != self._host or path in (MCP_PATH, METADATA_PATH):
            await self._inner(scope, receive, send)
        elif path in (_SESSION, _SOCKET) or path.startswith("/api/"):
            await self._behind_session(scope, receive, send)
        elif path == IDENTITY_FILE and self._identity is not None:
            await JSONResponse(self._identity, headers=self._headers)(scope, receive, send)
        else:
            await self._file(of_page(path))(scope, receive, send)

    async def _behind_session(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = of_session(_seen(scope), scheme="http")
        if "statusCode" in response:
            await _response(response)(scope, receive, send)
            return
        ours = (b"authorization", b"cookie")
        headers = [(name, value) for name, value in scope["headers"] if name not in ours]
        token = response["headers"].get("authorization")
        if token is not None:
            headers.append((b"authorization", token["value"].encode()))
        cookies = "; ".join(f"{name}={held['value']}" for name, held in response["cookies"].items())
        if cookies:
            headers.append((b"cookie", cookies.encode("latin-1")))
        # The path is kept: the emulator's WebSocket has the same path.
        await self._inner({**scope, "headers": headers}, receive, send)

    def _file(self, path: str) -> Response:
        file = (self._root / path.removeprefix("/")).resolve()
        if not (file.is_relative_to(self._root.resolve()) and file.is_file()):
            return Response("file not found, or the web app is not built (make web)", 404)
        if file.name == _PAGE:
            return HTMLResponse(cloud_page(file.read_text("utf-8")), headers=self._headers)
        return FileResponse(file, headers=self._headers)


def of_page(path: str) -> str:
    """Return the path of the file for a path of the web app."""
    name = path[1:]
    file = name.startswith("assets/") or ("." in name and "/" not in name)
    return path if file else f"/{_PAGE}"


def of_session(request: Seen, *, scheme: str = "https") -> Seen:
    """Return the request to pass to the API, or a response."""
    if request["uri"] == _SESSION:
        return _session(request, scheme)
    headers = dict(request["headers"])
    cookies = dict(request["cookies"])
    cookie = cookies.pop(COOKIE, None)
    if cookie is not None and "authorization" not in headers and _is_safe(request, scheme):
        headers["authorization"] = {"value": f"Bearer {cookie['value']}"}
    uri = _STAGE if request["uri"] == _SOCKET else request["uri"]
    return {**request, "uri": uri, "headers": headers, "cookies": cookies}


def _session(request: Seen, scheme: str) -> Seen:
    if request["method"] == "GET":
        kept = COOKIE in request["cookies"]
        return _respond(_NO_CONTENT, "No Content") if kept else _respond(200, "OK")
    if not _is_script(request, scheme):
        return _respond(403, "Forbidden")
    if request["method"] == "DELETE":
        return _respond(_NO_CONTENT, "No Content", "", 0)
    token = _BEARER.fullmatch(_header(request, "authorization"))
    if request["method"] != "POST" or token is None:
        return _respond(400, "Bad Request")
    return _respond(_NO_CONTENT, "No Content", token[1], SECONDS)


def _respond(status: int, words: str, value: str = "", seconds: int | None = None) -> Seen:
    said: Seen = {
        "statusCode": status,
        "statusDescription": words,
        "headers": {"cache-control": {"value": "no-store"}},
    }
    if seconds is not None:
        said["cookies"] = {COOKIE: {"value": value, "attributes": f"{_KEPT}{seconds}"}}
    return said


def _is_safe(request: Seen, scheme: str) -> bool:
    if (_header(request, "sec-fetch-site") or "none") not in ("same-origin", "none"):
        return False
    if request["uri"] == _SOCKET:
        return _is_own_page(request, scheme)
    return request["method"] in ("GET", "HEAD") or _is_script(request, scheme)


def _is_script(request: Seen, scheme: str) -> bool:
    return _is_own_page(request, scheme) and "x-conducto" in request["headers"]


def _is_own_page(request: Seen, scheme: str) -> bool:
    return _header(request, "origin") == f"{scheme}://{_header(request, 'host')}"


def _header(request: Seen, name: str) -> str:
    found: Seen = request["headers"].get(name, {})
    return str(found.get("value", ""))


def _seen(scope: Scope) -> Seen:
    headers = Headers(scope=scope)
    cookies = cookie_parser(headers.get("cookie", ""))
    return {
        "method": scope.get("method", "GET"),
        "uri": scope["path"],
        "headers": {name: {"value": value} for name, value in headers.items()},
        "cookies": {name: {"value": value} for name, value in cookies.items()},
    }


def _response(response: Seen) -> Response:
    headers = {name: held["value"] for name, held in response["headers"].items()}
    for name, cookie in response.get("cookies", {}).items():
        headers["set-cookie"] = f"{name}={cookie['value']}; {cookie['attributes']}"
    return Response(status_code=response["statusCode"], headers=headers)
