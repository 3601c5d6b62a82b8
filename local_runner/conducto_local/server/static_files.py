"""The web app's files and the start of sessions: everything available without a session."""

import asyncio
import functools
import gzip
import json
import math
from http import HTTPStatus
from mimetypes import guess_type
from pathlib import Path
from urllib.parse import parse_qsl, quote

from pydantic import ValidationError
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from conducto_core.api import problems
from conducto_core.api.dispatch import DATA_POLICY, encode, page_policy
from conducto_core.run.model.requests import Problem
from conducto_core.run.model.responses import LoginForm
from conducto_local.server.auth import FORM, Owner, Sessions, WrongCodesError

# ----------------------------------------------------------------------------------------
# Security headers of every response.


#: For pages of this server.
PAGE_POLICY = page_policy()

_ALWAYS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
    "content-security-policy": DATA_POLICY,
    "cache-control": "no-store",
}


class StrictHeaders:
    """ASGI middleware that adds the default security headers to each response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_strictly(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                headers = MutableHeaders(scope=message)
                for name, value in _ALWAYS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_strictly)


#: Built files whose names contain a digest of their content.
_UNCHANGING = "assets/"
_TEXTS = (".css", ".js")
#: Bytes of a file from which on it is compressed.
_LARGE = 16_000
_MAX_BODY = 4096
_NOT_BUILT = (
    "The web app is not built here. Build it with 'make web' in the checkout of Conducto, "
    "or use the command line: conducto list\n"
)


class WebApp:
    """Handles requests outside of the API."""

    def __init__(self, root: Path, owner: Owner, sessions: Sessions) -> None:
        self._root = root.resolve()
        self._owner = owner
        self._sessions = sessions

    async def page(self, request: Request, url_path: str) -> Response:
        """Respond with a file, or with the app itself for one of its own paths."""
        path = url_path.removeprefix("/")
        file = self._file(path)
        if file is not None:
            unchanging = path.startswith(_UNCHANGING)
            if unchanging and _is_worth_compressing(file, request):
                headers = _headers(unchanging=True) | {"content-encoding": "gzip"}
                body = await asyncio.to_thread(_compressed, file)
                return Response(body, headers=headers, media_type=guess_type(file.name)[0])
            return _static(file, unchanging=unchanging)
        if path.startswith(_UNCHANGING) or ("." in path and "/" not in path):
            return _problem_response(problems.unknown_route(request.method, url_path).problem)
        index = self._file("index.html")
        if index is None:
            status = HTTPStatus.NOT_FOUND if path else HTTPStatus.OK
            return PlainTextResponse(_NOT_BUILT, status)
        return _static(index, unchanging=False)

    async def start_session(self, request: Request) -> Response:
        """Exchange the token, a code or a form for a cookie."""
        body = await _small_body(request)
        if request.headers.get("content-type") == FORM:
            return self._start_by_form(body)
        code = _code_in(body)
        by_token = code is None and self._owner.has_token(request.scope)
        try:
            is_valid = by_token or (code is not None and self._sessions.use_code(code))
        except WrongCodesError as error:
            return _too_many_codes(error)
        if not is_valid:
            problem = Problem(
                title="wrong code",
                status=HTTPStatus.UNAUTHORIZED,
                detail="the request has neither the token nor a valid code",
                remedy="run 'conducto show --app' again",
            )
            return _problem_response(problem)
        return Response(status_code=204, headers=self._cookie(self._sessions.new_session()))

    def end_session(self, request: Request) -> Response:
        value = request.cookies.get(self._sessions.cookie_name)
        if value is not None and self._owner.has_session(request.scope):
            self._sessions.end_session(value)
        return Response(status_code=204, headers=self._cookie(""))

    def _start_by_form(self, body: bytes) -> Response:
        """Handle the form of a file of the owner; no other page has its secret and nonce.

        The browser is redirected to the page in any case: without a session, the page explains how
        to get one.
        """
        fields = dict(parse_qsl(body.decode(errors="replace")))
        # A path with two slashes would lead to another host.
        page = quote(f"/{fields.get('page', '').lstrip('/')}")
        try:
            form = LoginForm(secret=fields["secret"], nonce=fields["nonce"])
        except (KeyError, ValidationError):
            return RedirectResponse(page, 303)
        if not self._sessions.use_form(form):
            return RedirectResponse(page, 303)
        return RedirectResponse(page, 303, headers=self._cookie(self._sessions.new_session()))

    def _cookie(self, value: str) -> dict[str, str]:
        return {"set-cookie": self._sessions.cookie(value)}

    def _file(self, path: str) -> Path | None:
        """Return a file of the web app, or None for paths outside of its directory."""
        if "\0" in path or not path:
            return None
        try:
            file = (self._root / path).resolve()
            return file if file.is_relative_to(self._root) and file.is_file() else None
        except OSError:  # e.g. a name that is too long
            return None


def _static(file: Path, *, unchanging: bool) -> Response:
    return FileResponse(file, headers=_headers(unchanging=unchanging))


def _headers(*, unchanging: bool) -> dict[str, str]:
    keep = "public, max-age=31536000, immutable" if unchanging else "no-cache"
    headers = {"cache-control": keep, "content-security-policy": PAGE_POLICY}
    return headers | ({"vary": "accept-encoding"} if unchanging else {})


def _is_worth_compressing(file: Path, request: Request) -> bool:
    """Return whether a file is large and accepted in gzip: the browser may be behind a tunnel."""
    accepted = request.headers.get("accept-encoding", "")
    return "gzip" in accepted and file.suffix in _TEXTS and file.stat().st_size >= _LARGE


@functools.lru_cache(maxsize=16)
def _compressed(file: Path) -> bytes:
    return gzip.compress(file.read_bytes(), 6)


async def _small_body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BODY:
            return b""
    return bytes(body)


def _code_in(body: bytes) -> str | None:
    try:
        code = json.loads(body)["code"]
    except (ValueError, RecursionError, KeyError, TypeError):
        return None
    return code if isinstance(code, str) else None


def _too_many_codes(error: WrongCodesError) -> Response:
    seconds = math.ceil(error.seconds)
    problem = Problem(
        title="too many wrong codes",
        status=HTTPStatus.TOO_MANY_REQUESTS,
        detail=f"{error}; the next one is accepted in {seconds} seconds",
        remedy="wait, and run 'conducto show --app' again",
    )
    response = _problem_response(problem)
    response.headers["retry-after"] = str(seconds)
    return response


def _problem_response(problem: Problem) -> Response:
    return Response(encode(problem), problem.status, media_type=problems.MEDIA_TYPE)
