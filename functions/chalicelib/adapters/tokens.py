"""Tokens in the table, by digest; those of users also by organisation, for listing."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, get_args

from chalicelib.adapters import table_keys
from chalicelib.adapters.dynamodb import DynamoTable, Item, Update, Value
from chalicelib.domain.tokens import is_listed, membership_digest
from chalicelib.ports.identity import Identity, TokenRecord
from conducto_core.model.deployment import BY_ORG
from conducto_core.model.people import Role, TokenKind
from conducto_core.semantics.roles import narrowed, permissions_of

_MINUTE = 60
_KINDS: Mapping[str, TokenKind] = {kind: kind for kind in get_args(TokenKind)}


class TableTokens:
    """A `chalicelib.ports.identity.Tokens`."""

    def __init__(self, table: DynamoTable, clock: Callable[[], float]) -> None:
        self._table = table
        self._clock = clock

    def put(
        self,
        digest: str,
        identity: Identity,
        *,
        expires: float | None,
        parent: str | None = None,
        kind: TokenKind = "login",
        name: str = "",
    ) -> None:
        """Store a token; one with a ``parent`` is valid only while its parent is."""
        created = self._clock()
        item: dict[str, Value] = {"identity": _text(identity), "created": created, "kind": kind}
        if name:
            item["name"] = name
        if parent is not None:
            item["parent"] = parent
        if expires is not None:
            # `until` is the exact expiry; DynamoDB deletes expired items within days, by whole
            # seconds.
            item |= {"expires": int(expires) + 1, "until": expires}
        if is_listed(identity):
            item |= {
                BY_ORG.partition_key: _org_key(identity.org),
                BY_ORG.sort_key: f"{created:020.6f}#{digest}",
            }
        self._table.put(table_keys.token(digest), item)

    def put_root(self, digest: str, identity: Identity) -> None:
        """Store the parent of a trust's tokens, which is not listed."""
        self._table.put(
            table_keys.token(digest), {"identity": _text(identity), "created": self._clock()}
        )

    def root_operation(self, org: str, user: str, role: Role) -> Mapping[str, Any]:
        """Return the operation that writes the root token of a member."""
        identity = _text(Identity(org, user, frozenset()))
        item = {"identity": identity, "role": role.value, "created": self._clock()}
        return self._table.put_operation(table_keys.token(membership_digest(org, user)), item)

    def find(self, digest: str) -> Identity | None:
        """Return a token's identity with the permissions that it and its parent have."""
        item = self._table.get(table_keys.token(digest))
        if item is None or float(item.get("until", self._clock() + 1)) <= self._clock():
            return None
        identity = _identity(item, digest)
        if identity.parent is None:
            return identity
        parent = self.find(identity.parent)
        if parent is None:
            return None
        may = narrowed(identity.permissions, parent.permissions)
        return replace(identity, permissions=may)

    def take(self, digest: str) -> bool:
        """Revoke a token; return True for exactly one of concurrent callers."""
        return self._table.take(table_keys.token(digest))

    def count_code(self, parent: str) -> int:
        """Count a sign-in code of a token, and return the number of its codes in this minute."""
        minute = int(self._clock() // _MINUTE)
        # No client's token has a digest of this form.
        key = table_keys.token(f"codes:{parent}:{minute}")
        expires = {"expires": (minute + 2) * _MINUTE}
        return self._table.count(Update(key, set=expires, add={"codes": 1}), "codes")

    def known(self, org: str) -> Sequence[TokenRecord]:
        """Return the tokens of an organisation's users, newest first, with their sessions."""
        return [
            _known(key.partition.removeprefix("T#"), item)
            for key, item in self._table.index(BY_ORG, _org_key(org))
        ]


def _org_key(org: str) -> str:
    return f"T#{org}"


def _text(identity: Identity) -> str:
    return json.dumps(
        {
            "org": identity.org,
            "user": identity.user,
            "permissions": sorted(identity.permissions),
            "worker": identity.worker,
            "attempt": identity.attempt,
            **({"challenge": identity.challenge} if identity.challenge else {}),
        }
    )


def _known(digest: str, item: Item) -> TokenRecord:
    return TokenRecord(
        digest=digest,
        identity=_identity(item, digest),
        created=float(item["created"]),
        expires=float(item["until"]) if "until" in item else None,
        name=str(item.get("name", "")),
    )


def _identity(item: Item, digest: str) -> Identity:
    known = json.loads(str(item["identity"]))
    worker, attempt = known["worker"], known.get("attempt")
    parent = item.get("parent")
    return Identity(
        org=known["org"],
        user=known["user"],
        permissions=(
            permissions_of(Role(str(item["role"])))
            if "role" in item
            else frozenset(known["permissions"])
        ),
        worker=None if worker is None else (worker[0], worker[1], worker[2]),
        attempt=None if attempt is None else (attempt[0], attempt[1], attempt[2]),
        token=digest,
        parent=None if parent is None else str(parent),
        challenge=known.get("challenge", ""),
        kind=_KINDS.get(str(item.get("kind")), "login"),
        created=float(item["created"]),
    )
