"""The entries of the cache, in the agent's store.

An entry is written in the transaction with the end of its attempt, so that neither exists alone.
"""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from typing import Any

from conducto_core.cache.model import CacheEntry
from conducto_core.cache.rules import UNUSED_DAYS

Transaction = Callable[[], AbstractContextManager[sqlite3.Connection]]
Select = Callable[..., list[tuple[Any, ...]]]

#: Maximum bytes of the results and output that are kept; the entries that were not used for the
#: longest time are deleted.
MAX_BYTES = 2 << 30
_DAY = 86_400.0
#: The newest entries of a node, with which a miss is compared.
_COMPARED = 5
_PUT = """INSERT INTO cache_entries
    (key, program, path, made, used, hits, size, seconds, pipeline, record, streams)
    VALUES (?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET
    program=excluded.program, path=excluded.path, made=excluded.made,
    used=max(used, excluded.used), size=excluded.size, seconds=excluded.seconds,
    pipeline=excluded.pipeline, record=excluded.record, streams=excluded.streams"""
_TOO_LARGE = """DELETE FROM cache_entries WHERE key IN (SELECT key FROM (
    SELECT key, sum(size) OVER (ORDER BY used DESC, key) AS total FROM cache_entries)
    WHERE total > ?)"""


def put_entries(
    connection: sqlite3.Connection,
    entries: Sequence[tuple[CacheEntry, bytes]],
    used: Sequence[tuple[str, float]],
) -> None:
    """Write entries, and note the use of others."""
    connection.executemany(_PUT, [_row(entry, streams) for entry, streams in entries])
    connection.executemany(
        "UPDATE cache_entries SET used=max(used, ?), hits=hits+1 WHERE key=?",
        [(time, key) for key, time in used],
    )


class SqliteCache:
    """The entries in the store's file.

    Args:
        transaction: Begins a transaction.
        select: Executes a query with parameters, and returns its rows.
    """

    def __init__(self, transaction: Transaction, select: Select) -> None:
        self._transaction = transaction
        self._select = select

    def find(self, keys: Sequence[str]) -> list[CacheEntry]:
        """Return the entries with these keys; a damaged one is left out."""
        marks = ",".join("?" * len(keys))
        return self._entries(f"WHERE key IN ({marks})", *keys)

    def of_node(self, program: str, path: str) -> list[CacheEntry]:
        """Return the newest entries of a node of a program."""
        rest = "WHERE program=? AND path=? ORDER BY made DESC LIMIT ?"
        return self._entries(rest, program, path, _COMPARED)

    def streams(self, key: str) -> bytes | None:
        """Return the packed streams of an entry; None if it was deleted."""
        found = self._select("SELECT streams FROM cache_entries WHERE key=?", key)
        return found[0][0] if found else None

    def list_used(self, text: str, limit: int) -> list[CacheEntry]:
        """Return the entries whose pipeline, path or program has a text, the last used first.

        A negative limit is none.
        """
        rest = """WHERE instr(lower(pipeline || ' ' || path || ' ' || program), lower(?)) > 0
            ORDER BY used DESC, key LIMIT ?"""
        return self._entries(rest, text, limit)

    def with_id(self, prefix: str) -> list[CacheEntry]:
        """Return the entries whose keys start with a text; two are enough."""
        return self._entries("WHERE key >= ? AND key < ? LIMIT 2", prefix, prefix + "g")

    def delete(self, key: str) -> None:
        with self._transaction() as connection:
            connection.execute("DELETE FROM cache_entries WHERE key=?", (key,))

    def trim(self, now: float, max_bytes: int = MAX_BYTES) -> None:
        """Delete the entries that were not used for a long time, and those above the limit."""
        with self._transaction() as connection:
            oldest = now - UNUSED_DAYS * _DAY
            connection.execute("DELETE FROM cache_entries WHERE used < ?", (oldest,))
            connection.execute(_TOO_LARGE, (max_bytes,))

    def _entries(self, rest: str, *parameters: object) -> list[CacheEntry]:
        query = f"SELECT record, used, hits FROM cache_entries {rest}"  # noqa: S608  our own text
        found = []
        for record, used, hits in self._select(query, *parameters):
            with suppress(ValueError):
                entry = CacheEntry.model_validate_json(record)
                found.append(entry.model_copy(update={"used": used, "hits": hits}))
        return found


def _row(entry: CacheEntry, streams: bytes) -> tuple[object, ...]:
    source = entry.source
    about = entry.made, entry.used, entry.hits, entry.size, entry.seconds
    record = entry.model_dump_json()
    return (entry.key, entry.program, source.path, *about, source.pipeline, record, streams)
