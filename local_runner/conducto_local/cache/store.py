"""The entries of the cache, in a file of their own beside the agent's store.

An entry is written after the end of its attempt: if the agent is killed in between, the outcome is
not in the cache. Nothing else depends on the file, so a damaged one is replaced by an empty one.
"""

import logging
import os
import sqlite3
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from conducto_core.cache.model import CacheEntry
from conducto_core.cache.rules import UNUSED_DAYS

logger = logging.getLogger(__name__)

#: Maximum bytes of the results, output and files that are kept; the entries that were not used for
#: the longest time are deleted.
MAX_BYTES = 20 << 30
_DAY = 86_400.0
#: The newest entries of a node, with which a miss is compared.
_COMPARED = 5
#: The version of the tables; a file with another one is replaced.
_VERSION = 2
_TABLES = """
    CREATE TABLE cache_entries (
        key TEXT PRIMARY KEY, program TEXT NOT NULL, path TEXT NOT NULL, made REAL NOT NULL,
        used REAL NOT NULL, hits INTEGER NOT NULL, size INTEGER NOT NULL,
        seconds REAL NOT NULL, pipeline TEXT NOT NULL, record TEXT NOT NULL,
        streams BLOB NOT NULL);
    CREATE TABLE cache_contents (digest TEXT NOT NULL, key TEXT NOT NULL,
        PRIMARY KEY (digest, key)) WITHOUT ROWID;
    CREATE INDEX cache_of_node ON cache_entries (program, path, made);
    CREATE INDEX cache_by_use ON cache_entries (used);
    PRAGMA user_version = 2;
"""
_PUT = """INSERT INTO cache_entries
    (key, program, path, made, used, hits, size, seconds, pipeline, record, streams)
    VALUES (?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET
    program=excluded.program, path=excluded.path, made=excluded.made,
    used=max(used, excluded.used), size=excluded.size, seconds=excluded.seconds,
    pipeline=excluded.pipeline, record=excluded.record, streams=excluded.streams"""
_TOO_LARGE = """DELETE FROM cache_entries WHERE key IN (SELECT key FROM (
    SELECT key, sum(size) OVER (ORDER BY used DESC, key) AS total FROM cache_entries)
    WHERE total > ?)"""


class CachedOutcome(NamedTuple):
    """An entry to write.

    Attributes:
        streams: Its packed streams.
        contents: The SHA-256 of its files.
    """

    entry: CacheEntry
    streams: bytes
    contents: Collection[str] = ()


class SqliteCache:
    """The entries in a file, which is made with the first use.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._opened: sqlite3.Connection | None = None

    def close(self) -> None:
        with self._lock:
            self._close()

    def put(self, entries: Sequence[CachedOutcome], used: Sequence[tuple[str, float]]) -> None:
        """Write entries, and note the use of others; a failure is logged."""
        try:
            with self._connection() as connection, _transaction(connection):
                connection.executemany(_PUT, [_row(each.entry, each.streams) for each in entries])
                connection.executemany(
                    "INSERT OR IGNORE INTO cache_contents (digest, key) VALUES (?,?)",
                    [(digest, each.entry.key) for each in entries for digest in each.contents],
                )
                connection.executemany(
                    "UPDATE cache_entries SET used=max(used, ?), hits=hits+1 WHERE key=?",
                    [(time, key) for key, time in used],
                )
        except (sqlite3.Error, OSError):  # for example, the disk is full
            logger.exception("outcomes were not stored in the cache")

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
        rest = """WHERE instr(lower(pipeline || ' ' || path || ' ' || program), lower(?)) > 0
            ORDER BY used DESC, key LIMIT ?"""
        return self._entries(rest, text, limit)

    def with_id(self, prefix: str) -> list[CacheEntry]:
        return self._entries("WHERE key >= ? AND key < ? LIMIT 2", prefix, prefix + "g")

    def delete(self, key: str) -> None:
        with self._connection() as connection, _transaction(connection):
            connection.execute("DELETE FROM cache_entries WHERE key=?", (key,))

    def contents(self) -> set[str]:
        """Return the SHA-256 of the files of all entries."""
        return {digest for (digest,) in self._select("SELECT DISTINCT digest FROM cache_contents")}

    def trim(self, now: float, max_bytes: int = MAX_BYTES) -> None:
        """Delete the entries that were not used for a long time, and those above the limit."""
        with self._connection() as connection, _transaction(connection):
            oldest = now - UNUSED_DAYS * _DAY
            connection.execute("DELETE FROM cache_entries WHERE used < ?", (oldest,))
            connection.execute(_TOO_LARGE, (max_bytes,))
            connection.execute(
                "DELETE FROM cache_contents WHERE key NOT IN (SELECT key FROM cache_entries)"
            )

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            if self._opened is None:
                self._opened = self._open()
            try:
                yield self._opened
            except sqlite3.DatabaseError as error:
                if not isinstance(error, sqlite3.OperationalError):
                    logger.warning("the cache is damaged and starts empty: %s", error)
                    self._remove()
                raise

    def _open(self) -> sqlite3.Connection:
        with suppress(FileExistsError):
            os.close(os.open(self._path, os.O_CREAT | os.O_EXCL, 0o600))
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version == _VERSION:
                return connection
            is_new = not connection.execute("SELECT 1 FROM sqlite_schema").fetchone()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            is_new = False
        if not is_new:
            connection.close()
            self._remove()
            return self._open()
        connection.executescript(_TABLES)
        return connection

    def _remove(self) -> None:
        self._close()
        for suffix in ("-wal", "-shm", ""):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)

    def _close(self) -> None:
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def _select(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        with self._connection() as connection:
            return connection.execute(query, parameters).fetchall()

    def _entries(self, rest: str, *parameters: object) -> list[CacheEntry]:
        query = f"SELECT record, used, hits FROM cache_entries {rest}"  # noqa: S608  our own text
        found = []
        for record, used, hits in self._select(query, *parameters):
            with suppress(ValueError):
                entry = CacheEntry.model_validate_json(record)
                found.append(entry.model_copy(update={"used": used, "hits": hits}))
        return found


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _row(entry: CacheEntry, streams: bytes) -> tuple[object, ...]:
    source = entry.source
    about = entry.made, entry.used, entry.hits, entry.size, entry.seconds
    record = entry.model_dump_json()
    return (entry.key, entry.program, source.path, *about, source.pipeline, record, streams)
