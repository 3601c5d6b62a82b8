"""Opaque tokens; only their digests are stored."""

from hashlib import sha256
from secrets import token_urlsafe

from chalicelib.people.port import Identity
from conducto_core.people.rules import PURPOSES

#: Prefix of every token, so that secret scanners recognise leaked ones.
PREFIX = "cdo_"
#: Lifetime of a code with which somebody signs in, in seconds.
CODE_SECONDS = 60
#: Lifetime of a browser's session, in seconds; the same as for local sessions.
SESSION_SECONDS = 30 * 86_400


def new_token() -> tuple[str, str]:
    """Return a new 256-bit token and its digest."""
    token = PREFIX + token_urlsafe(32)
    return token, digest_of(token)


def digest_of(token: str) -> str:
    """Return the digest that identifies a token."""
    return sha256(token.encode()).hexdigest()


def membership_digest(org: str, user: str) -> str:
    """Return the id of a member's root token, which exists in the table only.

    It does not have the form of a digest, so no token that a client sends has it.
    """
    return f"member:{org}:{user}"


def trust_digest(org: str, name: str) -> str:
    """Return the id of the parent of a trust's tokens, which has the form of no digest either."""
    return f"trust:{org}:{name}"


def is_listed(identity: Identity) -> bool:
    """Return whether a token is listed: those of workers, of commands, and codes are not."""
    return not identity.permissions <= PURPOSES
