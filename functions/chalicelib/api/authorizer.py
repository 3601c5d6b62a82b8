"""Authentication: from a request header to an `Identity`, passed on through API Gateway."""

import json
from collections.abc import Mapping
from typing import Any

from chalicelib.domain.tokens import digest_of
from chalicelib.ports.identity import Identity, Tokens
from conducto_core.model.operations.cloud import TOKEN_SUBPROTOCOL

#: Seconds for which API Gateway caches an authorizer result. A revoked token works that long.
TTL = 300
_SCHEME = "bearer"
#: Longer than any Conducto token; longer values are rejected without a lookup.
_MAX = 200


def identify(tokens: Tokens, token: str) -> Identity | None:
    """Return the identity of a token's owner, or None if the token is unknown."""
    token = token.strip()
    if not token or len(token) > _MAX:
        return None
    return tokens.find(digest_of(token))


def bearer(header: str) -> str:
    """Return the token of an ``Authorization`` header, or "" if it has none."""
    scheme, _, token = header.partition(" ")
    return token if scheme.lower() == _SCHEME else ""


def offered(header: str) -> str:
    """Return the token from the subprotocols that a WebSocket client offers, or "" without one."""
    words = [word.strip() for word in header.split(",")]
    found = [word for word in words if word.startswith(TOKEN_SUBPROTOCOL)]
    return found[0].removeprefix(TOKEN_SUBPROTOCOL) if found else ""


def to_context(identity: Identity) -> dict[str, str]:
    """Return an identity as an API Gateway authorizer context (strings only)."""
    return {
        "org": identity.org,
        "user": identity.user,
        "permissions": " ".join(sorted(identity.permissions)),
        "worker": json.dumps(identity.worker),
        "attempt": json.dumps(identity.attempt),
        "token": identity.token,
        "parent": identity.parent or "",
    }


def from_context(context: Mapping[str, Any]) -> Identity:
    """Restore an identity from `to_context`; raises `KeyError` if a field is missing."""
    worker = json.loads(context["worker"])
    attempt = json.loads(context["attempt"])
    return Identity(
        org=context["org"],
        user=context["user"],
        permissions=frozenset(str(context["permissions"]).split()),
        worker=None if worker is None else (worker[0], worker[1], worker[2]),
        attempt=None if attempt is None else (attempt[0], attempt[1], attempt[2]),
        token=context["token"],
        parent=context["parent"] or None,
    )
