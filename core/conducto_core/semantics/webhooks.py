"""Signatures of webhooks: of those that Conducto sends, and of those that it receives.

A generic webhook is signed over its time and its body, so that an old one cannot be repeated.
"""

import hmac
from collections.abc import Mapping
from hashlib import sha256

#: Headers of a generic webhook: its time in seconds since the epoch, its signature, and its id.
TIME_HEADER = "Conducto-Timestamp"
SIGNATURE_HEADER = "Conducto-Signature"
ID_HEADER = "Conducto-Delivery"
#: Maximum seconds between the time of a generic webhook and its receipt.
MAX_AGE = 300.0
_VERSION = "v1="


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
