"""How a browser comes to a session without ever seeing the token.

Somebody who has the token makes a code (`conducto show`), which stands in the address that the
browser opens. A code is good once and for a minute; it is exchanged for a cookie that scripts
cannot read and other sites cannot send. The cookie is signed with the token rather than stored, so
that it outlives the agent, and a new token ends every session.
"""

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable

CODE_SECONDS = 60
#: Codes that wait to be used; older ones are forgotten first.
_CODES = 100
SESSION_SECONDS = 30 * 24 * 3600
_PURPOSE = b"conducto session\0"


class Sessions:
    """Makes and checks codes and cookies.

    Args:
        token: The owner's secret.
        port: Cookies know no ports, so the name of ours does.
        clock: Seconds since the epoch.
    """

    def __init__(self, token: str, port: int, clock: Callable[[], float] = time.time) -> None:
        self._key = hashlib.blake2b(_PURPOSE, key=token.encode()[:64], digest_size=32).digest()
        self._clock = clock
        self._codes: dict[str, float] = {}
        self.cookie_name = f"conducto_session_{port}"

    def new_code(self) -> str:
        """Return a code that `use_code` takes once, for `CODE_SECONDS`."""
        code = secrets.token_urlsafe(24)
        self._codes[_digest(code)] = self._clock() + CODE_SECONDS
        while len(self._codes) > _CODES:
            del self._codes[next(iter(self._codes))]
        return code

    def use_code(self, code: str) -> bool:
        """Return whether a code was good; it no longer is."""
        now = self._clock()
        until = self._codes.pop(_digest(code), 0.0)
        return now < until <= now + CODE_SECONDS

    def new_session(self) -> str:
        """Return the value of a cookie for a new session."""
        nonce, until = secrets.token_urlsafe(12), int(self._clock()) + SESSION_SECONDS
        return f"{nonce}.{until}.{self._sign(f'{nonce}.{until}')}"

    def is_session(self, value: str) -> bool:
        """Return whether a cookie's value is of a session that has not ended."""
        signed, _, signature = value.rpartition(".")
        if not hmac.compare_digest(self._sign(signed).encode(), signature.encode()):
            return False
        return self._clock() < int(signed.rpartition(".")[2])

    def cookie(self, value: str) -> str:
        """Return the ``Set-Cookie`` header for a session; an empty value ends it."""
        age = SESSION_SECONDS if value else 0
        return f"{self.cookie_name}={value}; Max-Age={age}; Path=/; HttpOnly; SameSite=Strict"

    def _sign(self, text: str) -> str:
        return hmac.new(self._key, text.encode(), "sha256").hexdigest()


def _digest(code: str) -> str:
    return hashlib.blake2b(code.encode(errors="replace"), digest_size=16).hexdigest()
