"""Tokens in the table: by digest, and, but for those of workers, by org for who lists them."""

import json
from collections.abc import Callable, Sequence

from chalicelib.adapters import keys
from chalicelib.adapters.table import Item, Table, Value
from chalicelib.ports import Identity, KnownToken
from conducto.model.deployment import BY_ORG


class TableTokens:
    """A `chalicelib.ports.Tokens`.

    Args:
        table: Where they are.
        clock: Seconds since the epoch.
    """

    def __init__(self, table: Table, clock: Callable[[], float]) -> None:
        self._table = table
        self._clock = clock

    def put(self, digest: str, identity: Identity, *, expires: float | None) -> None:
        """Make a token known."""
        created = self._clock()
        item: dict[str, Value] = {"identity": _text(identity), "created": created}
        if expires is not None:
            # The table forgets it by whole seconds, some day after; `until` is when it ends.
            item |= {"expires": int(expires) + 1, "until": expires}
        if identity.worker is None:
            item |= {
                BY_ORG.partition_key: _org_key(identity.org),
                BY_ORG.sort_key: f"{created:020.6f}#{digest}",
            }
        self._table.put(keys.token(digest), item)

    def find(self, digest: str) -> Identity | None:
        """Return whose token it is, unless it has expired or was taken back."""
        item = self._table.get(keys.token(digest))
        if item is None or float(item.get("until", self._clock() + 1)) <= self._clock():
            return None
        return _identity(item)

    def delete(self, digest: str) -> None:
        """Take a token back."""
        self._table.delete(keys.token(digest))

    def known(self, org: str) -> Sequence[KnownToken]:
        """Return an org's tokens, the newest first, without those of workers."""
        return [
            KnownToken(
                digest=key.partition.removeprefix("T#"),
                identity=_identity(item),
                created=float(item["created"]),
                expires=float(item["until"]) if "until" in item else None,
            )
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
        }
    )


def _identity(item: Item) -> Identity:
    known = json.loads(str(item["identity"]))
    worker = known["worker"]
    return Identity(
        org=known["org"],
        user=known["user"],
        permissions=frozenset(known["permissions"]),
        worker=None if worker is None else (worker[0], worker[1], worker[2]),
    )
