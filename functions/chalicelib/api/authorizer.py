"""Who calls: from the header of a request to an `Identity`, and through API Gateway's context."""

import json
from collections.abc import Mapping
from typing import Any

from chalicelib.domain.tokens import digest_of
from chalicelib.ports import Identity, Tokens
from conducto_core.model.operations.cloud import TOKEN_SUBPROTOCOL

#: Seconds for which API Gateway remembers whose a token is: so long one that was taken back works.
TTL = 300
_SCHEME = "bearer"
#: Longer than any token of ours; what is longer is not looked up.
_MOST = 200


def identify(tokens: Tokens, token: str) -> Identity | None:
    """Return whose a token is."""
    token = token.strip()
    if not token or len(token) > _MOST:
        return None
    return tokens.find(digest_of(token))


def bearer(header: str) -> str:
    """Return the token of an ``Authorization`` header; "" where there is none."""
    scheme, _, token = header.partition(" ")
    return token if scheme.lower() == _SCHEME else ""


def offered(header: str) -> str:
    """Return the token among the subprotocols that a WebSocket offers; "" where there is none."""
    words = [word.strip() for word in header.split(",")]
    found = [word for word in words if word.startswith(TOKEN_SUBPROTOCOL)]
    return found[0].removeprefix(TOKEN_SUBPROTOCOL) if found else ""


def to_context(identity: Identity) -> dict[str, str]:
    """Return an identity as API Gateway hands it to the app: strings."""
    return {
        "org": identity.org,
        "user": identity.user,
        "permissions": " ".join(sorted(identity.permissions)),
        "worker": json.dumps(identity.worker),
        "token": identity.token,
        "parent": identity.parent or "",
    }


def from_context(context: Mapping[str, Any]) -> Identity:
    """Return what `to_context` was given; raises `KeyError` where it is not there."""
    worker = json.loads(context["worker"])
    return Identity(
        org=context["org"],
        user=context["user"],
        permissions=frozenset(str(context["permissions"]).split()),
        worker=None if worker is None else (worker[0], worker[1], worker[2]),
        # API Gateway may remember for minutes what functions of before an upgrade said.
        token=str(context.get("token", "")),
        parent=context.get("parent") or None,
    )
