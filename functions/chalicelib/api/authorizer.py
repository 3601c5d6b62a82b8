"""Authentication: from a request header to an `Identity`, passed on through API Gateway.

A client sends a token of the installation. To sign in, it may send the ID token of an identity
provider instead, which permits nothing else.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import astuple
from typing import Any

from chalicelib.people.port import (
    Identity,
    IdentityProvider,
    InvalidIdTokenError,
    VerifiedPerson,
    VerifiedRun,
)
from chalicelib.people.store.members import TableTokens
from chalicelib.people.tokens import digest_of
from conducto_core.api.operation import TOKEN_SUBPROTOCOL, Permission

logger = logging.getLogger(__name__)

#: Seconds for which API Gateway caches an authorizer result; the API reads the token again
#: (`chalicelib.api.callers`).
TTL = 300
_SCHEME = "bearer"
#: Longer than any Conducto token; longer values are rejected without a lookup.
_MAX = 200
#: Number of dots in a JSON Web Token, and its maximum length.
_DOTS, _MAX_ID_TOKEN = 2, 8192
#: The only permission of an ID token.
_SIGN_IN = frozenset({Permission.SIGN_IN.value})


def identify(tokens: TableTokens, token: str) -> Identity | None:
    """Return the identity of a token's owner, or None if the token is unknown."""
    token = token.strip()
    if not token or len(token) > _MAX:
        return None
    return tokens.find(digest_of(token))


def identify_with_provider(provider: IdentityProvider, token: str) -> Identity | None:
    """Return the identity of an ID token, or None if it is none or not valid.

    It has no organisation, and the permission to sign in.
    """
    if token.count(".") != _DOTS or len(token) > _MAX_ID_TOKEN:
        return None
    digest = digest_of(token)
    reasons = []
    if provider.configured:
        try:
            return Identity("", "", _SIGN_IN, token=digest, person=provider.person(token))
        except InvalidIdTokenError as error:
            reasons.append(str(error))
    try:
        return Identity("", "", _SIGN_IN, token=digest, run=provider.run(token))
    except InvalidIdTokenError as error:
        reasons.append(str(error))
    logger.warning("an ID token is not valid: %s", "; ".join(reasons))
    return None


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
        "budget": json.dumps(identity.budget),
        "token": identity.token,
        "parent": identity.parent or "",
        "challenge": identity.challenge,
        "person": json.dumps(None if identity.person is None else astuple(identity.person)),
        "run": json.dumps(None if identity.run is None else astuple(identity.run)),
    }


def from_context(context: Mapping[str, Any]) -> Identity:
    """Restore an identity from `to_context`; raises `KeyError` if a field is missing."""
    worker = json.loads(context["worker"])
    attempt = json.loads(context["attempt"])
    person, run = json.loads(context["person"]), json.loads(context["run"])
    return Identity(
        org=context["org"],
        user=context["user"],
        permissions=frozenset(str(context["permissions"]).split()),
        worker=None if worker is None else (worker[0], worker[1], worker[2]),
        attempt=None if attempt is None else (attempt[0], attempt[1], attempt[2]),
        token=context["token"],
        parent=context["parent"] or None,
        challenge=context["challenge"],
        person=None if person is None else VerifiedPerson(*person),
        run=None if run is None else VerifiedRun(*run),
        budget=json.loads(context.get("budget", "null")),
    )
