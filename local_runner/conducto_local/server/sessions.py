"""Sessions of browsers, which never receive the token.

A client with the token requests a login, which is valid once and for a minute, in one of two ways:
a file that only its owner can read posts a secret and a nonce, or a user types a short code. Either
is exchanged for a cookie that scripts cannot read and other sites cannot send. The cookie is signed
with the token, so that a new token ends every session; live sessions are listed in a file, so that
they survive a restart of the agent until they are ended.
"""

import asyncio
import hashlib
import hmac
import json
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from weakref import WeakValueDictionary

from conducto_core.model.responses import LoginForm

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
        token: The owner's token.
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
        code = _new_code()
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
        """End a session."""
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


def _new_code() -> str:
    return "-".join(
        "".join(secrets.choice(_ALPHABET) for _ in range(_GROUP)) for _ in range(_GROUPS)
    )


def _digest(code: str) -> str:
    return hashlib.blake2b(code.encode(errors="replace"), digest_size=16).hexdigest()


def _form_digest(form: LoginForm) -> str:
    return _digest(f"{form.secret}\0{form.nonce}")
