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
import hashlib
import hmac
import json
import os
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from weakref import WeakValueDictionary

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from conducto_core.api import problems
from conducto_core.api.dispatch import encode
from conducto_core.api.operation import API_ROOT
from conducto_core.assistants.handlers import MCP_PATH
from conducto_core.people.operations import CREATE_TOKEN
from conducto_core.remote.operations import LOGIN
from conducto_core.run.model.requests import Problem
from conducto_core.run.model.responses import LoginForm

# ----------------------------------------------------------------------------------------
# Sessions of browsers, which never receive the token.
#
# A client with the token requests a login, which is valid once and for a minute, in one of two
# ways: a file that only its owner can read posts a secret and a nonce, or a user types a short
# code. Either is exchanged for a cookie that scripts cannot read and other sites cannot send. The
# cookie is signed with the token, so that a new token ends every session; live sessions are listed
# in a file, so that they survive a restart of the agent until they are ended.


CODE_SECONDS = 60
#: Maximum number of wrong codes in `CODE_SECONDS`: any program on the machine can try some.
MAX_WRONG_CODES = 10
#: Maximum number of unused logins; older ones are dropped first.
_LOGINS = 100
SESSION_SECONDS = 30 * 24 * 3600
#: Maximum number of live sessions; the oldest is ended first.
_MAX_SESSIONS = 1000
_PURPOSE = b"conducto session\0"
#: Without characters that look alike.
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
_GROUPS, _GROUP = 3, 4


@dataclass(frozen=True, slots=True)
class NewLogin:
    """A login that is not used yet.

    Attributes:
        code: The code for the user to type.
        form: The fields for a file to post.
    """

    code: str = field(repr=False)
    form: LoginForm


@dataclass(frozen=True, slots=True)
class _Login:
    until: float
    code: str
    form: str


class WrongCodesError(Exception):
    """There were too many wrong codes.

    Attributes:
        seconds: The time until another code is accepted.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(f"more than {MAX_WRONG_CODES} wrong codes in {CODE_SECONDS} seconds")
        self.seconds = seconds


class Sessions:
    """Creates and checks logins and cookies.

    Args:
        port: Port of the server, part of the cookie's name because cookies are shared by ports.
        clock: Returns seconds since the epoch.
        file: File with the digests of live sessions; None keeps them in memory.
    """

    def __init__(
        self,
        token: str,
        port: int,
        clock: Callable[[], float] = time.time,
        file: Path | None = None,
    ) -> None:
        self._key = hashlib.blake2b(_PURPOSE, key=token.encode()[:64], digest_size=32).digest()
        self._clock = clock
        self._file = file
        self._logins: list[_Login] = []
        self._wrong: list[float] = []
        self._live = self._read()
        self._ends: WeakValueDictionary[str, asyncio.Event] = WeakValueDictionary()
        self.cookie_name = f"conducto_session_{port}"

    def new_login(self) -> NewLogin:
        """Return a login that `use_code` or `use_form` accepts once, for `CODE_SECONDS`."""
        code = "-".join(
            "".join(secrets.choice(_ALPHABET) for _ in range(_GROUP)) for _ in range(_GROUPS)
        )
        form = LoginForm(secret=secrets.token_urlsafe(24), nonce=secrets.token_urlsafe(24))
        login = _Login(self._clock() + CODE_SECONDS, _digest(code), _form_digest(form))
        self._logins = [*self._logins, login][-_LOGINS:]
        return NewLogin(code, form)

    def use_code(self, code: str) -> bool:
        """Return whether a typed code is valid, and invalidate it.

        Raises:
            WrongCodesError: There were too many wrong codes; files can still post their forms.
        """
        now = self._clock()
        self._wrong = [time for time in self._wrong if now - CODE_SECONDS < time <= now]
        if len(self._wrong) >= MAX_WRONG_CODES:
            raise WrongCodesError(self._wrong[0] + CODE_SECONDS - now)
        digest = _digest("-".join(code.lower().replace("-", " ").split()))
        is_valid = self._use(lambda login: hmac.compare_digest(login.code, digest))
        self._wrong += [] if is_valid else [now]
        return is_valid

    def use_form(self, form: LoginForm) -> bool:
        """Return whether a file posted a valid secret and nonce, and invalidate them."""
        digest = _form_digest(form)
        return self._use(lambda login: hmac.compare_digest(login.form, digest))

    def _use(self, fits: Callable[[_Login], bool]) -> bool:
        now = self._clock()
        used = [login for login in self._logins if fits(login)]
        self._logins = [login for login in self._logins if login not in used]
        return any(now < login.until <= now + CODE_SECONDS for login in used)

    def new_session(self) -> str:
        """Create a session; return the value of its cookie."""
        now = self._clock()
        nonce, until = secrets.token_urlsafe(12), int(now) + SESSION_SECONDS
        live = {name: end for name, end in self._live.items() if end > now}
        self._live = dict([*live.items(), (_digest(nonce), until)][-_MAX_SESSIONS:])
        self._write()
        return f"{nonce}.{until}.{self._sign(f'{nonce}.{until}')}"

    def is_session(self, value: str) -> bool:
        """Return whether the value of a cookie belongs to a live session."""
        signed, _, signature = value.rpartition(".")
        if not hmac.compare_digest(self._sign(signed).encode(), signature.encode()):
            return False
        nonce, _, until = signed.rpartition(".")
        return self._clock() < int(until) and _digest(nonce) in self._live

    def end_of(self, value: str) -> asyncio.Event:
        """Return the event that `end_session` sets; it belongs to the current event loop."""
        return self._ends.setdefault(_digest(value.partition(".")[0]), asyncio.Event())

    def end_session(self, value: str) -> None:
        name = _digest(value.partition(".")[0])
        if self._live.pop(name, None) is not None:
            self._write()
        if (end := self._ends.get(name)) is not None:
            end.set()

    def cookie(self, value: str) -> str:
        """Return the ``Set-Cookie`` header for a session; an empty value deletes the cookie."""
        age = SESSION_SECONDS if value else 0
        return f"{self.cookie_name}={value}; Max-Age={age}; Path=/; HttpOnly; SameSite=Strict"

    def _sign(self, text: str) -> str:
        return hmac.new(self._key, text.encode(), "sha256").hexdigest()

    def _read(self) -> dict[str, int]:
        """Return the live sessions; none if the file cannot be read."""
        try:
            found = json.loads(self._file.read_bytes()) if self._file is not None else {}
            return {str(name): int(until) for name, until in found.items()}
        except (OSError, ValueError, AttributeError, TypeError):
            return {}

    def _write(self) -> None:
        if self._file is None:
            return
        part = self._file.with_suffix(".part")
        try:
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(self._live, file)
            part.replace(self._file)
        except OSError:
            # With a full disk, sessions end with the agent: an ended session must not come back.
            self._file.unlink(missing_ok=True)


def _digest(code: str) -> str:
    return hashlib.blake2b(code.encode(errors="replace"), digest_size=16).hexdigest()


def _form_digest(form: LoginForm) -> str:
    return _digest(f"{form.secret}\0{form.nonce}")


HOST_NAMES = ("127.0.0.1", "localhost", "[::1]")
SUBPROTOCOL = "conducto.v1"
#: A browser cannot set the headers of a WebSocket; it sends the token as a subprotocol.
TOKEN_SUBPROTOCOL = "conducto.token."  # noqa: S105  a prefix, not a token
_BEARER = "bearer"
#: Paths below this need a token or a session.
_GUARDED = "/api"
#: Header of the app's own pages, with any value, required for changes with a cookie.
SCRIPT_HEADER = "x-conducto"
#: Paths that need the token itself, and what to do instead.
_TOKEN_ONLY: Mapping[str, str] = {
    f"{API_ROOT}{LOGIN.path}": "use 'conducto show --app'",
    f"{API_ROOT}{CREATE_TOKEN.path}": "use 'conducto tokens'",
    MCP_PATH: "use the token of an assistant: conducto tokens create NAME --local --assistant",
}
#: Key of a request's scope with the token of an assistant, or None.
ASSISTANT = "conducto.assistant"
FORM = "application/x-www-form-urlencoded"
#: Origin header of a form in a local file.
_NO_ORIGIN = "null"
_POLICY, _ENDED = 1008, "the session has ended"
_SAFE = frozenset({"GET", "HEAD"})
#: ``Sec-Fetch-Site`` of requests from the app's own pages and from the address bar.
_OURS = frozenset({"same-origin", "none"})


def given_token(scope: Scope) -> str:
    """Return the token that a request carries, "" without one."""
    scheme, _, given = Headers(scope=scope).get("authorization", "").partition(" ")
    if scheme.lower() != _BEARER:
        offered = scope.get("subprotocols", ())
        tokens = [p for p in offered if p.startswith(TOKEN_SUBPROTOCOL)]
        given = tokens[0].removeprefix(TOKEN_SUBPROTOCOL) if tokens else ""
    return given.strip()


class Owner:
    """Decides whether a request comes from the owner of this server."""

    def __init__(self, token: str, sessions: Sessions) -> None:
        self._token = token.encode()
        self._sessions = sessions

    def has_token(self, scope: Scope) -> bool:
        return hmac.compare_digest(given_token(scope).encode(), self._token)

    def session_end(self, scope: Scope) -> asyncio.Event | None:
        """Return an event for the end of a request's session; None for requests with the token."""
        value = self._cookie(scope)
        return None if value is None or self.has_token(scope) else self._sessions.end_of(value)

    def _cookie(self, scope: Scope) -> str | None:
        cookies = cookie_parser(Headers(scope=scope).get("cookie", ""))
        return cookies.get(self._sessions.cookie_name)

    def has_session(self, scope: Scope) -> bool:
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
    """ASGI middleware that passes on authenticated requests only.

    Args:
        find_assistant: Returns the assistant's token for the text of a token, or None; a request
            with one has it in its scope, as `ASSISTANT`.
    """

    def __init__(
        self,
        app: ASGIApp,
        owner: Owner,
        port: int,
        find_assistant: Callable[[str], object | None] = lambda _token: None,
    ) -> None:
        self._app = app
        self._owner = owner
        self._find_assistant = find_assistant
        self._hosts = frozenset(f"{name}:{port}" for name in HOST_NAMES)
        self._origins = frozenset(f"http://{host}" for host in self._hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return
        assistant = self._find_assistant(given_token(scope)) if scope["type"] == "http" else None
        problem = self._objection(scope, is_assistant=assistant is not None)
        if problem is not None:
            headers = _HEADERS.get(problem.status, {})
            response = Response(encode(problem), problem.status, headers, problems.MEDIA_TYPE)
            await denier(scope, receive, send)(response)
        elif scope["type"] == "websocket" and (end := self._owner.session_end(scope)) is not None:
            await self._app(scope, *_until(end, receive, send))
        else:
            scope[ASSISTANT] = assistant
            await self._app(scope, receive, send)

    def _objection(self, scope: Scope, *, is_assistant: bool) -> Problem | None:
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
            is_assistant or self._owner.has_token(scope) or self._owner.has_session(scope)
        ):
            return _problem(
                HTTPStatus.UNAUTHORIZED,
                "wrong token",
                "the request has neither a valid token nor a safely used session",
            )
        if scope["path"] in _TOKEN_ONLY and not (is_assistant or self._owner.has_token(scope)):
            # Code in a page must not gain more than the page has: nothing that outlives it.
            detail = f"a session cannot do this; {_TOKEN_ONLY[scope['path']]}"
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
    path: str = scope["path"]
    return path in {_GUARDED, MCP_PATH} or path.startswith(f"{_GUARDED}/")


#: Headers of refusals; after an ambiguous request, the rest of the connection is not read.
_HEADERS: Mapping[int, Mapping[str, str]] = {
    HTTPStatus.UNAUTHORIZED: {"www-authenticate": "Bearer"},
    HTTPStatus.BAD_REQUEST: {"connection": "close"},
}


def _problem(status: HTTPStatus, title: str, detail: str) -> Problem:
    return Problem(title=title, status=status, detail=detail)


def denier(scope: Scope, receive: Receive, send: Send) -> Callable[[Response], Awaitable[None]]:
    """Return a function that sends a response to a request, or rejects a WebSocket with it."""
    if scope["type"] == "websocket":
        return WebSocket(scope, receive, send).send_denial_response
    return lambda response: response(scope, receive, send)
