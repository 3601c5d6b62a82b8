"""Signatures of webhooks: of those that Conducto sends, and of those that it receives.

A generic webhook is signed over its time and its body, so that an old one cannot be repeated.
"""

import hmac
import re
from collections.abc import Mapping
from hashlib import sha256

#: Headers of a generic webhook: its time in seconds since the epoch, its signature, and its id.
TIME_HEADER = "Conducto-Timestamp"
SIGNATURE_HEADER = "Conducto-Signature"
ID_HEADER = "Conducto-Delivery"
#: Maximum seconds between the time of a generic webhook and its receipt.
MAX_AGE = 300.0
_VERSION = "v1="
_MAX_DIGITS = 12
_ID = re.compile(r"[A-Za-z0-9._-]{1,100}")


def generic_headers(body: bytes, identity: str, now: float, secret: str | None) -> dict[str, str]:
    """Return the headers of a generic webhook; without a secret, it is not signed."""
    time = str(int(now))
    headers = {TIME_HEADER: time, ID_HEADER: identity}
    if secret is not None:
        headers[SIGNATURE_HEADER] = generic_signature(secret, time, body)
    return headers


def generic_signature(secret: str, time: str, body: bytes) -> str:
    """Return the signature of a generic webhook."""
    return _VERSION + _hmac(secret, time.encode() + b"." + body)


def _hmac(secret: str, data: bytes) -> str:
    return hmac.new(secret.encode(), data, sha256).hexdigest()


def _header(headers: Mapping[str, str], name: str) -> str:
    return headers.get(name.lower(), "")


class SignatureError(ValueError):
    """A webhook is not signed with the secret or not of this time; the message has the reason."""


def check_github(secret: str, headers: Mapping[str, str], body: bytes) -> str:
    """Return the id of a webhook of GitHub; headers have lower-case names.

    GitHub signs the body only, so the id is made of it: with an id or an event from a header, a
    signed webhook could be repeated. A redelivery has the same body.

    Raises:
        SignatureError: It is not signed with the secret.
    """
    _check("sha256=" + _hmac(secret, body), _header(headers, "X-Hub-Signature-256"))
    return sha256(body).hexdigest()


def check_gitlab(secret: str, headers: Mapping[str, str]) -> str:
    """Return the id of a webhook of GitLab, which sends the secret itself and signs nothing."""
    _check(secret, _header(headers, "X-Gitlab-Token"))
    for name in ("Idempotency-Key", "X-Gitlab-Event-UUID"):
        if _header(headers, name):
            return _identity(headers, name)
    return _identity(headers, "X-Gitlab-Webhook-UUID")


def check_generic(secret: str, headers: Mapping[str, str], body: bytes, now: float) -> str:
    """Return the id of a generic webhook, which is signed over its time; see `check_github`."""
    time = _header(headers, TIME_HEADER)
    if not time.isascii() or not time.isdigit() or len(time) > _MAX_DIGITS:
        raise SignatureError(f"the header {TIME_HEADER} is not a time in seconds since the epoch")
    _check(generic_signature(secret, time, body), _header(headers, SIGNATURE_HEADER))
    age = now - int(time)
    if age > MAX_AGE:
        raise SignatureError(f"the webhook is older than {MAX_AGE:.0f} seconds")
    if age < -MAX_AGE:
        raise SignatureError(
            f"the time of the webhook is more than {MAX_AGE:.0f} seconds in the future: set the "
            "clock of its sender"
        )
    # The time belongs to the id, so that a signed webhook is accepted once.
    return f"{time}-{sha256(body).hexdigest()[:32]}"


def _check(expected: str, given: str) -> None:
    if not hmac.compare_digest(expected.encode(), given.encode()):
        raise SignatureError("the signature is missing, or it is not that of the trigger's secret")


def _identity(headers: Mapping[str, str], name: str) -> str:
    found = _header(headers, name)
    if not _ID.fullmatch(found):
        raise SignatureError(f"the header {name} is missing or is not an id")
    return found
