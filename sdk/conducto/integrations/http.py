"""One request to another service, with a classification of failures.

It uses the standard library only, because nodes use it inside users' images. Redirects are not
followed: the token of a request is only for the requested host.
"""

from __future__ import annotations

import ipaddress
import json
import socket
import threading
import time
import urllib.error
import urllib.request
from http.client import HTTPException
from urllib.parse import urlsplit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Timeout of each step of a request, in seconds.
TIMEOUT = 15.0
#: Timeout of a whole request: a service that sends slowly keeps each step short.
DEADLINE = 30.0
_MAX_RESPONSE = 1 << 20
#: Status codes below 500 after which a retry may succeed.
_LATER = {408, 425, 429}
_SERVER_ERROR = 500
_UNAUTHORIZED = 401
_NOT_FOUND = 404
_FORBIDDEN = {403, 422}


class DeliveryError(Exception):
    """A message has not been delivered; the message has the reason and, if possible, a remedy.

    Attributes:
        temporary: A retry may succeed.
        after: Seconds that the service asks to wait before it.
    """

    def __init__(self, text: str, *, temporary: bool = False, after: float | None = None) -> None:
        super().__init__(text)
        self.temporary = temporary
        self.after = after


class NotFoundDeliveryError(DeliveryError):
    """The service has nothing at the address."""


class RefusedDeliveryError(DeliveryError):
    """The token has no permission for the request, or the service refuses its content."""


class TokenDeliveryError(DeliveryError):
    """The service rejected the token."""


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect."""

    def redirect_request(self, *_args: Any, **_kwargs: Any) -> None:
        """Return None, so that the response is the redirect."""


def post_json(
    url: str, body: object, token: str | None, *, public_only: bool = False, method: str = "POST"
) -> dict[str, Any]:
    """Send JSON to an https URL; return the response, empty if it is not a JSON object.

    Args:
        url: The address.
        body: The document.
        token: Sent as the bearer token.
        public_only: The host must be at a public address.
        method: ``POST`` or ``PATCH``.

    Raises:
        DeliveryError: it was not accepted.
    """
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    data = json.dumps(body).encode()
    return post_document(url, data, headers, public_only=public_only, method=method)


def post_document(
    url: str,
    data: bytes,
    headers: dict[str, str],
    *,
    public_only: bool = False,
    method: str = "POST",
) -> dict[str, Any]:
    """Post a JSON document to an https URL, with further headers; see `post_json`."""
    check_url(url)
    usual = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "conducto"}
    request = urllib.request.Request(url, data, {**usual, **headers}, method=method)  # noqa: S310
    return _object(_read(request, public_only=public_only))


def get_json(
    url: str, token: str | None, *, deadline: float = DEADLINE, public_only: bool = False
) -> dict[str, Any]:
    """Return the JSON object at ``url``, within ``deadline`` seconds; see `post_json`."""
    return _object(_get(url, token, deadline=deadline, public_only=public_only))


def get_list(url: str, token: str | None, *, public_only: bool = False) -> list[Any]:
    """Return the JSON list at ``url``, empty if it is something else; see `post_json`."""
    found = _parsed(_get(url, token, deadline=DEADLINE, public_only=public_only))
    return found if isinstance(found, list) else []


def get_bytes(url: str, token: str | None, *, public_only: bool = False) -> bytes:
    """Return the document at ``url``, whatever its type; see `post_json`."""
    return _get(url, token, deadline=DEADLINE, public_only=public_only)


def _get(url: str, token: str | None, *, deadline: float, public_only: bool) -> bytes:
    check_url(url)
    headers = {"User-Agent": "conducto"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(url, None, headers)  # noqa: S310 (checked)
    return _read(request, deadline, public_only=public_only)


def check_url(url: str) -> None:
    """Reject an address that must not receive a token.

    Raises:
        DeliveryError: it is not https, and not on this machine.
    """
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return
    if parts.scheme == "http" and is_this_machine(parts.hostname or ""):
        return
    raise DeliveryError(f"{url}: the address must start with https:// (or be on this machine)")


def is_this_machine(host: str) -> bool:
    """Return whether a host is the loopback, by its name or number."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _read(
    request: urllib.request.Request, deadline: float = DEADLINE, *, public_only: bool
) -> bytes:
    """Send a request in a thread: `urllib` has no timeout for all steps together."""
    done: list[Any] = []

    def send() -> None:
        try:
            done.append(_send(request, time.monotonic() + deadline, public_only=public_only))
        except Exception as error:  # noqa: BLE001  raised below
            done.append(error)

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    thread.join(deadline)
    if not done:
        host = urlsplit(request.full_url).netloc
        text = f"{host} did not answer completely within {deadline:g} seconds"
        raise DeliveryError(text, temporary=True)
    if isinstance(done[0], Exception):
        raise done[0]
    found: bytes = done[0]
    return found


def _send(request: urllib.request.Request, until: float, *, public_only: bool) -> bytes:
    host = urlsplit(request.full_url).netloc
    opener = urllib.request.build_opener(*_handlers(request, public_only=public_only))
    try:
        with opener.open(request, timeout=TIMEOUT) as response:
            return _content(response, until)
    except urllib.error.HTTPError as error:
        with error:
            raise _refused(host, error, until) from error
    except (urllib.error.URLError, HTTPException, socket.timeout, OSError) as error:  # noqa: UP041
        reason = getattr(error, "reason", error)
        raise DeliveryError(f"{host} cannot be reached: {reason}", temporary=True) from error


def _handlers(request: urllib.request.Request, *, public_only: bool) -> list[Any]:
    host = urlsplit(request.full_url).hostname or ""
    if not public_only:
        return [NoRedirect(), *([urllib.request.ProxyHandler({})] if is_this_machine(host) else ())]
    if is_this_machine(host):
        raise DeliveryError(f"{host} is not a public address; requests are sent to those")
    from conducto.integrations.public_address import PublicHandler  # noqa: PLC0415  needs ssl, unlike images

    # A proxy would resolve the name again.
    return [NoRedirect(), urllib.request.ProxyHandler({}), PublicHandler(DeliveryError)]


def _content(response: Any, until: float) -> bytes:
    """Return the content; a part after ``until``, when nobody waits for it, is not read."""
    found = bytearray()
    # `read1` of Python 3.8 does not count; after the last byte, it would wait for another one.
    size = _MAX_RESPONSE if response.length is None else min(_MAX_RESPONSE, response.length)
    while len(found) < size and time.monotonic() < until:
        part = response.read1(size - len(found))
        if not part:
            break
        found += part
    return bytes(found)


def _refused(host: str, error: urllib.error.HTTPError, until: float) -> DeliveryError:
    said = _object(_content(error, until)).get("message")
    text = f"{host} answered {error.code}" + (f": {said}" if isinstance(said, str) else "")
    if error.code == _NOT_FOUND:
        return NotFoundDeliveryError(text)
    if error.code == _UNAUTHORIZED:
        return TokenDeliveryError(text)
    if error.code in _FORBIDDEN and error.headers.get("Retry-After") is None:
        return RefusedDeliveryError(text)
    later = error.code in _LATER or error.code >= _SERVER_ERROR
    return DeliveryError(text, temporary=later, after=_seconds(error.headers.get("Retry-After")))


def _seconds(text: str | None) -> float | None:
    return float(text) if text is not None and text.isdigit() else None


def _object(text: bytes) -> dict[str, Any]:
    found = _parsed(text)
    return found if isinstance(found, dict) else {}


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
