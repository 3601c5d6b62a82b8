"""The tables of the SQLite store, as a list of migrations.

A migration that was released never changes: append a new one. The number of migrations is the
schema's version, stored in the file's ``user_version``.
"""

import fcntl
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from conducto_local.store.port import StoreLockedError, StoreVersionError
from conducto_local.store.rows import env_text

#: Identifies a file as a Conducto store (``application_id``): "Cdto".
APPLICATION_ID = 0x4364746F

#: The statements of one migration.
Migration = tuple[str, ...]

# ``pipeline`` is the small number of a pipeline, not its id, because it is in every row.
# ``command``, ``env`` and ``image`` of an attempt (BLOB: no conversion) contain a short text
# itself, or the number of a longer one in ``texts``, which most attempts of a pipeline share.
_WRITTEN: tuple[Migration, ...] = (
    (
        """CREATE TABLE pipelines (
            number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
            record TEXT NOT NULL)""",
        """CREATE TABLE definitions (
            pipeline INTEGER NOT NULL, target TEXT NOT NULL, body BLOB NOT NULL,
            PRIMARY KEY (pipeline, target))""",
        "CREATE TABLE plans (pipeline INTEGER PRIMARY KEY, body BLOB NOT NULL)",
        """CREATE TABLE edits (
            pipeline INTEGER NOT NULL, path TEXT NOT NULL, body TEXT NOT NULL,
            PRIMARY KEY (pipeline, path)) WITHOUT ROWID""",
        """CREATE TABLE nodes (
            pipeline INTEGER NOT NULL, path TEXT NOT NULL, state TEXT NOT NULL,
            skipped INTEGER NOT NULL, cause TEXT, warning INTEGER NOT NULL,
            attempt INTEGER NOT NULL, tries INTEGER NOT NULL, expired INTEGER NOT NULL,
            mem REAL, stop_reason TEXT, lost INTEGER NOT NULL, lost_starts INTEGER NOT NULL,
            PRIMARY KEY (pipeline, path)) WITHOUT ROWID""",
        """CREATE TABLE attempts (
            pipeline INTEGER NOT NULL, path TEXT NOT NULL, number INTEGER NOT NULL,
            state TEXT NOT NULL, cause TEXT, message TEXT, exit_code INTEGER,
            command BLOB, env BLOB, image BLOB, container TEXT, position INTEGER,
            cpu REAL, mem REAL, queued REAL, started REAL, ended REAL, peak_memory INTEGER,
            output_bytes INTEGER, snapshot TEXT, image_ready REAL, admitted REAL,
            fingerprint TEXT, interpreter TEXT, outputs TEXT,
            decision TEXT,
            PRIMARY KEY (pipeline, path, number)) WITHOUT ROWID""",
        """CREATE TABLE texts (
            pipeline INTEGER NOT NULL, number INTEGER NOT NULL, body TEXT NOT NULL,
            PRIMARY KEY (pipeline, number)) WITHOUT ROWID""",
        """CREATE TABLE changes (
            pipeline INTEGER NOT NULL, seq INTEGER NOT NULL, time REAL NOT NULL,
            path TEXT NOT NULL, type TEXT NOT NULL, state TEXT NOT NULL,
            skipped INTEGER NOT NULL, cause TEXT, warning INTEGER NOT NULL,
            attempt INTEGER NOT NULL, exit_code INTEGER, output_bytes INTEGER,
            PRIMARY KEY (pipeline, seq)) WITHOUT ROWID""",
        """CREATE TABLE images (
            position INTEGER PRIMARY KEY, pipeline INTEGER NOT NULL, name TEXT NOT NULL,
            record TEXT NOT NULL, UNIQUE (pipeline, name))""",
        """CREATE TABLE notifications (
            pipeline INTEGER NOT NULL, number INTEGER NOT NULL, path TEXT NOT NULL,
            pending INTEGER NOT NULL, record TEXT NOT NULL,
            PRIMARY KEY (pipeline, number)) WITHOUT ROWID""",
        "CREATE INDEX undelivered ON notifications (pipeline, number) WHERE pending",
        """CREATE TABLE schedules (
            name TEXT PRIMARY KEY, wakes REAL, revision INTEGER NOT NULL, record TEXT NOT NULL,
            template BLOB) WITHOUT ROWID""",
        "CREATE INDEX waking ON schedules (wakes) WHERE wakes IS NOT NULL",
        """CREATE TABLE firings (
            schedule TEXT NOT NULL, id TEXT NOT NULL, pending INTEGER NOT NULL,
            record TEXT NOT NULL, PRIMARY KEY (schedule, id)) WITHOUT ROWID""",
    ),
    ("ALTER TABLE attempts ADD COLUMN first_error TEXT",),
    ("ALTER TABLE nodes ADD COLUMN retry_at REAL",),
    (
        "ALTER TABLE nodes ADD COLUMN fresh INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE attempts ADD COLUMN from_cache TEXT",
        "ALTER TABLE attempts ADD COLUMN cache TEXT",
        "ALTER TABLE attempts ADD COLUMN not_stored TEXT",
    ),
    (
        """CREATE TABLE events (
            schedule TEXT NOT NULL, mark TEXT NOT NULL, time REAL NOT NULL,
            record TEXT NOT NULL, PRIMARY KEY (schedule, mark)) WITHOUT ROWID""",
    ),
    ("ALTER TABLE nodes ADD COLUMN known TEXT",),
    ("ALTER TABLE nodes ADD COLUMN condition TEXT",),
    ("ALTER TABLE attempts ADD COLUMN hour REAL",),
    ("ALTER TABLE nodes ADD COLUMN actor TEXT", "ALTER TABLE attempts ADD COLUMN actor TEXT"),
)


def compact(statement: str) -> str:
    """Return a statement on one line."""
    return " ".join(statement.split())


#: The schema, with the text of its statements, must fit into the first page of the file, which a
#: repair replaces.
MIGRATIONS: tuple[Migration, ...] = tuple(tuple(map(compact, each)) for each in _WRITTEN)

#: Tables whose rows belong to one pipeline, with a column ``pipeline``.
OWNED = (
    "definitions",
    "plans",
    "edits",
    "nodes",
    "attempts",
    "texts",
    "changes",
    "images",
    "notifications",
)


def schema_version(connection: sqlite3.Connection, path: Path, *, known: int) -> int:
    """Return the version of the file's schema, 0 for an empty file.

    Raises:
        StoreVersionError: It is above ``known``, or the file is not a Conducto store.
        sqlite3.Error: The file cannot be read.
    """
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    tables: int = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    application: int = connection.execute("PRAGMA application_id").fetchone()[0]
    if tables and application != APPLICATION_ID:
        raise StoreVersionError(
            f"{path}: this SQLite file is not a Conducto store. Move it away and start again."
        )
    if version > known:
        raise StoreVersionError(
            f"{path}: a newer Conducto wrote this store (schema {version}; supported: up to "
            f"{known}). Upgrade conducto, or use another profile (CONDUCTO_PROFILE)."
        )
    return version


def migrate(
    connection: sqlite3.Connection, path: Path, version: int, migrations: Sequence[Migration]
) -> None:
    """Migrate the file from schema ``version`` to the newest, all or nothing.

    A file that is not empty is first copied to `backup_path`.

    Raises:
        sqlite3.Error: The file cannot be read or written.
    """
    if version == len(migrations):
        return
    if version:
        back_up(connection, backup_path(path, version))
    connection.execute("BEGIN IMMEDIATE")
    try:
        for step in migrations[version:]:
            for statement in step:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(migrations)}")
        connection.execute("COMMIT")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def backup_path(path: Path, version: int) -> Path:
    return path.with_name(f"{path.name}.schema-{version}.bak")


def back_up(connection: sqlite3.Connection, target: Path) -> None:
    """Copy the whole store to ``target``; the copy appears complete or not at all."""
    partial = target.with_name(f"{target.name}.partial")
    partial.unlink(missing_ok=True)
    os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        copy = sqlite3.connect(partial)
        try:
            connection.backup(copy)
        finally:
            copy.close()
        partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


# ----------------------------------------------------------------------------------------
# Interning of long texts, which are stored once per pipeline if they are in the cache.
#
# The cache is in memory and limited: a text that was evicted is stored again. That is correct, and
# cheaper than a lookup.


#: Texts with at most this many characters are stored in the attempt's own row.
INLINE = 64

#: Limits of the cache; beyond them it is cleared.
_TEXTS = 8192
_CHARACTERS = 4 << 20

#: A text itself, or its number among the pipeline's texts.
Reference = str | int

_Key = str | tuple[tuple[str, str], ...]


class TextInterner:
    """Converts texts for attempts' rows, and collects the texts to store.

    Attributes:
        fresh: ``(pipeline, number, text)`` of texts that are not in the file yet.
    """

    def __init__(self, newest: Callable[[int], int]) -> None:
        """Start after the number that ``newest`` returns for a pipeline, 0 if it has no texts."""
        self.fresh: list[tuple[int, int, str]] = []
        self._newest = newest
        self._numbers: dict[int, int] = {}
        self._known: dict[tuple[int, _Key], Reference] = {}
        self._characters = 0

    def text(self, pipeline: int, text: str) -> Reference:
        """Return ``text`` itself if it is short, else its number."""
        if len(text) <= INLINE:
            return text
        found = self._known.get((pipeline, text))
        return self._store(pipeline, text, text) if found is None else found

    def optional(self, pipeline: int, text: str | None) -> Reference | None:
        """Return the result of `text`, or None for None."""
        return None if text is None else self.text(pipeline, text)

    def env(self, pipeline: int, env: Mapping[str, str]) -> Reference | None:
        """Return the result of `text` for an environment, None for an empty one."""
        if not env:
            return None
        key = tuple(env.items())
        found = self._known.get((pipeline, key))
        return self._store(pipeline, key, env_text(env)) if found is None else found

    def forget(self) -> None:
        """Clear the cache after a rollback."""
        self.fresh.clear()
        self._numbers.clear()
        self._forget_texts()

    def _store(self, pipeline: int, key: _Key, text: str) -> Reference:
        if len(self._known) >= _TEXTS or self._characters > _CHARACTERS:
            self._forget_texts()
        reference: Reference = text
        if len(text) > INLINE:
            reference = self._next_number(pipeline)
            self.fresh.append((pipeline, reference, text))
        self._known[pipeline, key] = reference
        self._characters += len(text)
        return reference

    def _next_number(self, pipeline: int) -> int:
        last = self._numbers.get(pipeline)
        number = (self._newest(pipeline) if last is None else last) + 1
        self._numbers[pipeline] = number
        return number

    def _forget_texts(self) -> None:
        self._known.clear()
        self._characters = 0


# ----------------------------------------------------------------------------------------
# A file lock that allows one process at a time to open the store.


#: Enough for a process id.
_PID_BYTES = 32


class StoreLock:
    """Holds the lock from construction to `release`; the kernel frees it when the process ends.

    Raises:
        StoreLockedError: Another process holds it.
    """

    def __init__(self, path: Path) -> None:
        self._fd: int | None = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            pid = _pid_in(self._fd)
            self.release()
            who = f"process {pid}" if pid is not None else "another process"
            raise StoreLockedError(
                f"{path}: the store is in use by {who}. Stop that agent first "
                "(conducto agent stop), or use another profile (CONDUCTO_PROFILE).",
                pid,
            ) from error
        with suppress(OSError):  # disk full: the lock works, but has no pid
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Release the lock; safe to call twice."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _pid_in(fd: int) -> int | None:
    text = os.pread(fd, _PID_BYTES, 0)
    return int(text) if text.isdigit() else None
