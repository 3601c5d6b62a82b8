"""Opaque tokens: only their digests are kept anywhere."""

from hashlib import sha256
from secrets import token_urlsafe

#: How a token begins, so that one that leaked is found by who looks for such things.
PREFIX = "cdo_"


def new_token() -> tuple[str, str]:
    """Return a token of 256 bits, and its digest."""
    token = PREFIX + token_urlsafe(32)
    return token, digest_of(token)


def digest_of(token: str) -> str:
    """Return what a token is known by."""
    return sha256(token.encode()).hexdigest()
