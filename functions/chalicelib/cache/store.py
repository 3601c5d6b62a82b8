"""The entries of the cache in the table: one item for each, and one for the newest of a node."""

from collections.abc import Iterator
from hashlib import sha256
from typing import NamedTuple

from chalicelib.aws import table_keys
from chalicelib.aws.dynamodb import Condition, DynamoTable, Update, Value
from chalicelib.aws.table_keys import LAST
from conducto_core.cache.model import CacheEntry
from conducto_core.cache.rules import UNUSED_DAYS

_DAY = 86_400


class Flight(NamedTuple):
    """The attempt that runs, of equal commands with ``serialize``.

    Attributes:
        since: When it was decided, in seconds since the epoch.
    """

    pipeline: str
    path: str
    attempt: int
    since: float

    @property
    def holder(self) -> str:
        """Its identity."""
        return f"{self.pipeline} {self.attempt} {self.path}"

    @property
    def text(self) -> str:
        """Its name for people."""
        return f"{self.pipeline} {self.path}"


class TableCache:
    """The entries; those without a use for `UNUSED_DAYS` are deleted."""

    def __init__(self, table: DynamoTable) -> None:
        self._table = table

    def get(self, org: str, key: str) -> tuple[CacheEntry, bytes] | None:
        """Return an entry with its packed streams."""
        item = self._table.get(table_keys.cached(org, key))
        if item is None:
            return None
        streams = item["streams"]
        return _entry(item), streams if isinstance(streams, bytes) else b""

    def newest(self, org: str, program: str, path: str) -> CacheEntry | None:
        """Return the entry of a node of a program that was written last."""
        item = self._table.get(table_keys.cached_node(org, _node(program, path)))
        return None if item is None else _entry(item)

    def put(self, org: str, entry: CacheEntry, streams: bytes) -> None:
        """Write an entry, replacing the one with its key."""
        item: dict[str, Value] = {
            "record": entry.model_dump_json(),
            "used": entry.used,
            "hits": entry.hits,
            "expires": _expiry(entry.used),
        }
        self._table.put(table_keys.cached(org, entry.key), {**item, "streams": streams})
        node = _node(entry.program, entry.source.path)
        self._table.put(table_keys.cached_node(org, node), item)

    def note_use(self, org: str, key: str, now: float) -> None:
        """Record the use of an entry, if it still exists."""
        place = table_keys.cached(org, key)
        changed: dict[str, Value] = {"used": now, "expires": _expiry(now)}
        exists = "attribute_exists(#used)"
        self._table.update_if(Update(place, set=changed, add={"hits": 1}, where=exists))

    # ---- flights ------------------------------------------------------------------------------

    def acquire(self, org: str, key: str, flight: Flight, over: str = "") -> Flight | None:
        """Let an attempt hold the flight of its key; return the holder if another one holds it.

        Args:
            org: The organisation.
            key: The key of the command's entry.
            flight: The attempt.
            over: A holder that has ended, and that it replaces.
        """
        place = table_keys.flight(org, key)
        item: dict[str, Value] = {
            "holder": flight.holder,
            "since": flight.since,
            "expires": int(flight.since) + UNUSED_DAYS * _DAY,
        }
        free = "attribute_not_exists(holder) OR holder = :own OR holder = :over"
        values: dict[str, Value] = {":own": flight.holder, ":over": over or flight.holder}
        while not self._table.put_if(place, item, free, values):
            found = self._table.get(place)
            if found is not None:
                return _flight(found)
        return None

    def flight(self, org: str, key: str) -> Flight | None:
        """Return the flight of a key, if an attempt holds it."""
        found = self._table.get(table_keys.flight(org, key))
        return None if found is None else _flight(found)

    def wait(self, org: str, key: str, pipeline_id: str, now: float) -> None:
        """Note that a pipeline waits for the end of a flight."""
        item: dict[str, Value] = {"expires": int(now) + UNUSED_DAYS * _DAY}
        self._table.put(table_keys.flight_waiter(org, key, pipeline_id), item)

    def release(self, org: str, key: str, holder: str) -> list[str]:
        """End a flight, if an attempt holds it; return the pipelines that wait for it."""
        place = table_keys.flight(org, key)
        held = Condition("holder = :own", {":own": holder})
        if self._table.try_transact([self._table.delete_operation(place, condition=held)]):
            return []
        prefix = table_keys.flight_waiter(org, key, "")
        waiting = [pipeline for pipeline, _ in self._table.below(prefix)]
        self._table.delete_all([table_keys.flight_waiter(org, key, each) for each in waiting])
        return waiting

    def entries(self, org: str) -> Iterator[CacheEntry]:
        return (_entry(item) for _, item in self._table.below(table_keys.cached(org, "")))

    def with_id(self, org: str, prefix: str) -> list[CacheEntry]:
        """Return the entries whose keys start with a text."""
        return [_entry(item) for _, item in self._table.below(table_keys.cached(org, prefix))]

    def delete_all(self, org: str) -> None:
        """Delete the entries and flights of an organisation."""
        top = table_keys.cached(org, "")._replace(sort="")
        found = self._table.range(top.partition, "A", LAST)
        self._table.delete_all([top._replace(sort=sort) for sort, _ in found])

    def delete_private(self, org: str, user: str) -> None:
        """Delete the entries that one user alone may use."""
        for entry in [each for each in self.entries(org) if each.private_to == user]:
            self.delete(org, entry.key)
            node = table_keys.cached_node(org, _node(entry.program, entry.source.path))
            newest = self._table.get(node)
            if newest is not None and _entry(newest).key == entry.key:
                self._table.delete(node)

    def delete(self, org: str, key: str) -> None:
        self._table.delete(table_keys.cached(org, key))


def _flight(item: dict[str, Value]) -> Flight:
    pipeline, attempt, path = str(item["holder"]).split(" ", 2)
    return Flight(pipeline, path, int(attempt), float(str(item["since"])))


def _entry(item: dict[str, Value]) -> CacheEntry:
    entry = CacheEntry.model_validate_json(str(item["record"]))
    used, hits = float(str(item["used"])), int(float(str(item["hits"])))
    return entry.model_copy(update={"used": used, "hits": hits})


def _node(program: str, path: str) -> str:
    return sha256(f"{program}\0{path}".encode()).hexdigest()


def _expiry(used: float) -> int:
    return int(used) + UNUSED_DAYS * _DAY
