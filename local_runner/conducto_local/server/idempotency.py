"""Responses stored under idempotency keys, in a separate file.

They do not belong to any pipeline's history: deleting the file only forgets which requests were
executed.
"""

import contextlib
import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from conducto_core.api.idempotency import Memory, MemoryResponses, NotRememberedError, ResponseStore
from conducto_core.api.operation import REMEMBERED_RESPONSES, REMEMBERED_SECONDS

logger = logging.getLogger(__name__)

_SCHEMA = """CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, since REAL NOT NULL, answer BLOB)"""
_FORGET_OLDEST = """DELETE FROM answers WHERE key IN (
    SELECT key FROM answers ORDER BY since DESC LIMIT -1 OFFSET ?)"""
_DAMAGED = {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}


class IdempotencyFile:
    """A `conducto_core.api.idempotency.ResponseStore` that outlives the process.

    Its constructor raises `NotRememberedError` as well.
    """

    def __init__(
        self,
        path: Path,
        maximum: int = REMEMBERED_RESPONSES,
        seconds: float = REMEMBERED_SECONDS,
    ) -> None:
        """Open the file; create it if it is missing, recreate it if it is damaged."""
        self._path = path
        self._maximum = maximum
        self._seconds = seconds
        with self._translated():
            self._connection = _connect(path)

    def close(self) -> None:
        self._connection.close()

    def recall(self, key: str, now: float) -> Memory | None:
        with self._translated():
            row = self._connection.execute(
                "SELECT fingerprint, since, answer FROM answers WHERE key=?", (key,)
            ).fetchone()
        # If the clock was set back, keys must still expire.
        if row is None or abs(now - row[1]) >= self._seconds:
            return None
        return Memory(row[0], row[2])

    def begin(self, key: str, fingerprint: str, now: float) -> None:
        with self._translated(), self._connection:
            self._connection.execute(
                "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, NULL)", (key, fingerprint, now)
            )
            self._connection.execute(_FORGET_OLDEST, (self._maximum,))

    def finish(self, key: str, response: bytes) -> None:
        with self._translated(), self._connection:
            self._connection.execute("UPDATE answers SET answer=? WHERE key=?", (response, key))

    def forget(self, key: str) -> None:
        with contextlib.suppress(sqlite3.Error), self._connection:
            self._connection.execute("DELETE FROM answers WHERE key=?", (key,))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise NotRememberedError(f"{self._path}: {error}") from error


@contextmanager
def remembered(path: Path) -> Iterator[ResponseStore]:
    """Yield the responses of a file, or of this process only if the file is not usable."""
    try:
        responses = IdempotencyFile(path)
    except NotRememberedError as error:
        logger.warning("idempotency keys are kept in memory only", extra={"why": str(error)})
        yield MemoryResponses()
        return
    try:
        yield responses
    finally:
        responses.close()


def _connect(path: Path) -> sqlite3.Connection:
    try:
        return _opened(path)
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode not in _DAMAGED:
            raise
        path.unlink()
        return _opened(path)


def _opened(path: Path) -> sqlite3.Connection:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(path)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(_SCHEMA)
    except BaseException:
        connection.close()
        raise
    return connection
