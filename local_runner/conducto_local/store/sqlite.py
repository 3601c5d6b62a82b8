"""The store in one SQLite file.

One connection, one process, write-ahead log. Commits do not fsync: they survive a crash of the
process, and a power failure may lose the latest transactions, never part of one.
"""

import errno
import json
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import takewhile
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Self, TypeVar

from conducto_core.notifications.model import NotificationRecord
from conducto_core.run.model.records import (
    AttemptRecord,
    ChangeRow,
    ImageRecord,
    NodeChange,
    NodeState,
    Period,
    PipelineRecord,
)
from conducto_core.run.model.states import State
from conducto_local.cache.store import SqliteCache
from conducto_local.schedules.store import SqliteSchedules
from conducto_local.store import rows
from conducto_local.store.port import (
    REPAIR,
    DamagedError,
    DuplicatePipelineError,
    Redefinition,
    StoreError,
    StoreFullError,
    StoreVersionError,
    UnknownPipelineError,
    WriteBatch,
    is_damage,
)
from conducto_local.store.replacement import finish_replacement
from conducto_local.store.rows import check_changes, overwritten, prefix_of
from conducto_local.store.schema import (
    MIGRATIONS,
    OWNED,
    Migration,
    StoreLock,
    TextInterner,
    migrate,
    schema_version,
)

_T = TypeVar("_T")

#: Number of rows that an iterator reads at a time.
PAGE = 1000

#: Number of bytes that must be free for a change, and to open the store.
ROOM = 1 << 20
_ROOM_TO_OPEN = 1 << 16

#: Sorts after every path: paths are text, and SQLite sorts any BLOB after any text.
_AFTER_ALL_PATHS = b""

# Errors of a full disk, a quota or a limit on file sizes.
_FULL = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE})
FULL_NUMBERS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

# 16 MB of page cache: the working set of a run of 100,000 Execs. A commit waits for the disk only
# when it checkpoints the log, every 4 MB (SQLite's default).
_SETTINGS = (
    "PRAGMA auto_vacuum = INCREMENTAL",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    "PRAGMA cache_size = -16000",
    "PRAGMA journal_size_limit = 33554432",
)


class SqliteStore:
    """A `conducto_local.store.port.Store` in a file.

    Attributes:
        schedules: The schedules in the same file.
        cache: The cache, in a file beside it.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: StoreLock) -> None:
        """Use `open` instead."""
        self._path = path
        self._reserve = path.with_name(f"{path.name}.reserve")
        self._connection = connection
        self._lock = lock
        self._batches = threading.Lock()
        self._texts = TextInterner(self._last_text)
        self._numbers: dict[str, int] = {}
        self._newest: dict[int, int] = {}  # {number of a pipeline: its newest change}
        self._damaged: dict[str, str] | None = None
        self.schedules = SqliteSchedules(self._transaction, self._select)
        self.cache = SqliteCache(path.with_name("cache.sqlite"))

    @classmethod
    def open(
        cls, path: Path, migrations: Sequence[Migration] = MIGRATIONS, *, for_reading: bool = False
    ) -> Self:
        """Open the store at ``path``; create it if it is missing. Its directory must exist.

        A store with an older schema is migrated, after it was copied. With ``for_reading``, a full
        disk is enough, and nothing can be written.

        Raises:
            StoreLockedError: Another process has it open.
            StoreVersionError: A newer Conducto wrote it, or it is not a store.
            StoreFullError: There is no room to create or migrate it.
            StoreError: It cannot be read.
        """
        lock = _lock(path)
        try:
            with _translated(path):
                finish_replacement(path)
                if for_reading:
                    connection = _connect_for_reading(path, migrations)
                else:
                    _check_room(path, _ROOM_TO_OPEN)
                    connection = _connect(path, migrations)
        except BaseException:
            lock.release()
            raise
        store = cls(path, connection, lock)
        if not for_reading:
            store._fill_reserve()
        return store

    def check_room(self) -> None:
        """Check that the disk has room for a change; see `Store.check_room`."""
        _check_room(self._path, ROOM)

    def create(self, record: PipelineRecord, definition: bytes) -> None:
        """Add a pipeline; see `Store.create`."""
        with self._transaction() as connection:
            added = connection.execute(
                "INSERT OR IGNORE INTO pipelines (id, record) VALUES (?, ?)",
                (record.id, record.model_dump_json()),
            )
            if not added.rowcount:
                raise DuplicatePipelineError(record.id)
            number = self._number(record.id)
            connection.execute("INSERT INTO definitions VALUES (?, '', ?)", (number, definition))

    def definition(self, pipeline_id: str) -> bytes:
        found = self._read(rows.GET_DEFINITION, pipeline_id)
        if not found:
            raise DamagedError(_broken(pipeline_id, "definition", "it is missing"))
        body: bytes = found[0][0]
        return body

    def plan(self, pipeline_id: str) -> bytes | None:
        found = self._read(rows.GET_PLAN, pipeline_id)
        body: bytes | None = found[0][0] if found else None
        return body

    def put_record(self, record: PipelineRecord) -> None:
        self.save(record.id, WriteBatch(record=record))

    def ids(self) -> frozenset[str]:
        return frozenset(found for (found,) in self._select(rows.GET_IDS))

    def records(self) -> list[PipelineRecord]:
        parsed = [rows.record_of(row) for row in self._select(rows.GET_PIPELINES)]
        self._damaged = {one: str(r) for one, r in parsed if isinstance(r, ValueError)}
        return [record for _, record in parsed if isinstance(record, PipelineRecord)]

    def damaged(self) -> dict[str, str]:
        if self._damaged is None:
            self.records()
        return dict(self._damaged or {})

    def delete(self, pipeline_id: str) -> None:
        """Delete a pipeline and its history, on a full disk with the room of the reserve."""
        try:
            self._delete(pipeline_id)
        except StoreFullError:
            self._reserve.unlink(missing_ok=True)
            self._delete(pipeline_id)
        self._give_space_back()
        self._fill_reserve()

    def _delete(self, pipeline_id: str) -> None:
        with self._transaction() as connection:
            number = self._number(pipeline_id)
            for table in OWNED:
                connection.execute(f"DELETE FROM {table} WHERE pipeline=?", (number,))  # noqa: S608
            connection.execute("DELETE FROM pipelines WHERE number=?", (number,))
            self._numbers.clear()
            self._newest.clear()
            self._texts.forget()

    def _fill_reserve(self) -> None:
        """Make a file whose room a deletion can use when the disk is full."""
        if not self._reserve.exists():
            try:
                with open(self._reserve, "xb", opener=_private) as file:
                    file.write(bytes(ROOM))
            except OSError:  # the disk is full: the next deletion tries again
                with suppress(OSError):
                    self._reserve.unlink(missing_ok=True)

    def save(self, pipeline_id: str, turn: WriteBatch) -> None:
        self.save_all({pipeline_id: turn})

    def save_all(self, turns: Mapping[str, WriteBatch]) -> None:
        """Save ``{pipeline id: batch}`` in one transaction; see `Store.save_all`."""
        with self._transaction() as connection:
            for pipeline_id, turn in turns.items():
                self._save(connection, pipeline_id, turn)
        cached = [entry for turn in turns.values() for entry in turn.cached]
        used = [each for turn in turns.values() for each in turn.used]
        if cached or used:
            self.cache.put(cached, used)

    def nodes(self, pipeline_id: str) -> Iterator[NodeState]:
        """Yield the nodes that were ever saved, by path."""
        page = self._read(rows.GET_NODES, pipeline_id, "", PAGE)
        pages = self._pages(page, rows.GET_NODES, pipeline_id, width=1)
        return _parsed(pipeline_id, "node", rows.node_of, pages)

    def attempts(self, pipeline_id: str, path: str | None = None) -> Iterator[AttemptRecord]:
        first, last = ("", _AFTER_ALL_PATHS) if path is None else (path, path)
        page = self._read(rows.GET_ATTEMPTS, pipeline_id, last, first, 0, PAGE)
        pages = self._pages(page, rows.GET_ATTEMPTS, pipeline_id, last, width=2)
        return _parsed(pipeline_id, "attempt", rows.attempt_of, pages)

    def snapshots(self, pipeline_id: str) -> list[AttemptRecord]:
        """Return the attempts with a snapshot, ordered by their end."""
        found = self._read(rows.GET_SNAPSHOTS, pipeline_id)
        return list(_parsed(pipeline_id, "attempt", rows.attempt_of, found))

    def newest_attempts(self, pipeline_id: str, below: str = "/") -> dict[str, int]:
        """Return ``{path: number of its newest attempt}`` of a subtree."""
        found = self._read(
            "SELECT path, max(number) FROM attempts WHERE pipeline=? "
            "AND (path=? OR (path>? AND path<?)) GROUP BY path",
            pipeline_id,
            below,
            *_range_below(below),
        )
        return dict(found)

    def period(self, pipeline_id: str, below: str, removed: Sequence[str] = ()) -> Period:
        """Return the period in which the newest attempts below a group waited or ran."""
        without = json.dumps(removed)
        found = self._read(rows.GET_PERIOD, pipeline_id, *_range_below(below), without)
        return Period(*found[0])

    def changes(self, pipeline_id: str, after: int, limit: int) -> list[NodeChange]:
        found = self._read(rows.GET_CHANGES, pipeline_id, after, limit)
        return list(_parsed(pipeline_id, "change", rows.change_of, found))

    def last_seq(self, pipeline_id: str) -> int:
        newest: int = self._read(rows.LAST_SEQ, pipeline_id)[0][0]
        return newest

    def queued_since(self, pipeline_id: str, path: str) -> float | None:
        """Return when a node was queued, in seconds since the epoch; None if it is not queued."""
        found = self._read(rows.STATES_OF, pipeline_id, path)
        times = [time for _, time in takewhile(lambda row: row[0] == State.QUEUED.value, found)]
        return times[-1] if times else None

    def generated(self, pipeline_id: str) -> dict[str, bytes]:
        return dict(self._read(rows.GET_GENERATED, pipeline_id))

    def edits(self, pipeline_id: str) -> dict[str, dict[str, Any]]:
        found = self._read(rows.GET_EDITS, pipeline_id)
        return dict(_parsed(pipeline_id, "modification", rows.edit_of, found))

    def images(self, pipeline_id: str) -> list[ImageRecord]:
        found = self._read(rows.GET_IMAGES, pipeline_id)
        return list(_parsed(pipeline_id, "image", rows.image_of, found))

    def notifications(self, pipeline_id: str, path: str | None = None) -> list[NotificationRecord]:
        found = self._read(rows.GET_NOTIFICATIONS, pipeline_id, path, path)
        return list(_parsed(pipeline_id, "notification", rows.notification_of, found))

    def last_notification(self, pipeline_id: str) -> int:
        newest: int = self._read(rows.LAST_NOTIFICATION, pipeline_id)[0][0]
        return newest

    def undelivered(self) -> list[tuple[str, NotificationRecord]]:
        """Return ``(pipeline id, notification)`` of all pending notifications, in order.

        Unreadable notifications are left out, because they cannot be sent.
        """
        undelivered = []
        for one, text in self._select(rows.GET_UNDELIVERED):
            with suppress(ValueError):
                undelivered.append((str(one), rows.notification_of((text,))))
        return undelivered

    def close(self) -> None:
        """Checkpoint the log and close the file; safe to call twice."""
        with self._batches:
            self._connection.close()
            self.cache.close()
            self._lock.release()

    def _save(self, connection: sqlite3.Connection, pipeline_id: str, turn: WriteBatch) -> None:
        number = self._number(pipeline_id)
        if turn.redefinition is not None:
            _redefine(connection, number, turn.redefinition)
        for target in sorted(turn.generated):  # outer trees before inner ones
            _put_generated(connection, number, target, turn.generated[target])
        for path, edit in turn.edits.items():
            connection.execute(
                "INSERT OR REPLACE INTO edits (pipeline, path, body) VALUES (?, ?, ?)",
                (number, path, json.dumps(edit)),
            )
        if turn.nodes:
            connection.executemany(
                rows.PUT_NODE, (rows.node_row(number, node) for node in turn.nodes)
            )
        if turn.attempts:
            self._put_attempts(connection, pipeline_id, number, turn.attempts)
        if turn.changes:
            self._put_changes(connection, pipeline_id, number, turn.changes)
        for image in turn.images:
            connection.execute(
                "INSERT INTO images (pipeline, name, record) VALUES (?, ?, ?) "
                "ON CONFLICT DO UPDATE SET record=excluded.record",
                (number, image.name, image.model_dump_json()),
            )
        if turn.notifications:
            connection.executemany(
                rows.PUT_NOTIFICATION,
                [rows.notification_row(number, each) for each in turn.notifications],
            )
        if turn.record is not None:
            _put_record(connection, pipeline_id, number, turn.record)

    def _put_attempts(
        self,
        connection: sqlite3.Connection,
        pipeline_id: str,
        number: int,
        attempts: Sequence[AttemptRecord],
    ) -> None:
        texts = self._texts
        new = [
            rows.attempt_row(
                number,
                attempt,
                texts.text(number, attempt.command),
                texts.env(number, attempt.env),
                texts.optional(number, attempt.image),
            )
            for attempt in attempts
        ]
        if texts.fresh:
            connection.executemany(rows.PUT_TEXT, texts.fresh)
            texts.fresh.clear()
        if connection.executemany(rows.PUT_ATTEMPT, new).rowcount < len(new):
            raise overwritten(pipeline_id, [attempt.path for attempt in attempts])

    def _put_changes(
        self,
        connection: sqlite3.Connection,
        pipeline_id: str,
        number: int,
        changes: Sequence[NodeChange | ChangeRow],
    ) -> None:
        newest = self._newest.get(number)
        if newest is None:
            (newest,) = connection.execute(rows.LAST_SEQ, (number,)).fetchone()
        check_changes(pipeline_id, newest, changes)
        connection.executemany(rows.PUT_CHANGE, [rows.change_row(number, each) for each in changes])
        self._newest[number] = changes[-1].seq

    def _number(self, pipeline_id: str) -> int:
        number = self._numbers.get(pipeline_id)
        if number is None:
            # The second query finds a pipeline that is missing in a damaged index.
            for source in ("pipelines", "pipelines NOT INDEXED"):
                query = f"SELECT number FROM {source} WHERE id=?"  # noqa: S608
                found = self._connection.execute(query, (pipeline_id,)).fetchone()
                if found is not None:
                    break
            else:
                raise UnknownPipelineError(pipeline_id)
            number = self._numbers[pipeline_id] = int(found[0])
        return number

    def _give_space_back(self) -> None:
        # Ignore errors: the rows are already deleted, and the next deletion retries.
        # executescript(), because execute() stops after the first page.
        with self._batches, suppress(sqlite3.Error):
            self._connection.executescript("PRAGMA incremental_vacuum")

    def _last_text(self, number: int) -> int:
        (newest,) = self._connection.execute(rows.LAST_TEXT, (number,)).fetchone()
        return int(newest)

    def _read(self, query: str, pipeline_id: str, *parameters: object) -> list[rows.Row]:
        with self._batches, _translated(self._path):
            number = self._number(pipeline_id)
            return rows.fetch(self._connection, query, (number, *parameters))

    def _select(self, query: str, *parameters: object) -> list[rows.Row]:
        with self._batches, _translated(self._path):
            return rows.fetch(self._connection, query, parameters)

    def _pages(
        self, page: list[rows.Row], query: str, pipeline_id: str, *parameters: object, width: int
    ) -> Iterator[rows.Row]:
        """Yield a page and all following ones; the first ``width`` columns of a row are its key."""
        while page:
            yield from page
            page = self._read(query, pipeline_id, *parameters, *page[-1][:width], PAGE)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._batches:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException as error:
                with _translated(self._path):
                    self._forget()
                if isinstance(error, sqlite3.Error | OSError):
                    raise _store_error(self._path, error) from error
                raise

    def _forget(self) -> None:
        """Undo a failed transaction, in memory and in the file."""
        self._texts.forget()
        self._numbers.clear()
        self._newest.clear()
        if self._connection.in_transaction:  # an error may have ended it already
            self._connection.execute("ROLLBACK")


def _lock(path: Path) -> StoreLock:
    """Return the lock of the store at ``path``; create the file if it is missing."""
    try:
        lock = StoreLock(path.with_name(f"{path.name}.lock"))
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # its log gets the same mode
    except OSError as error:
        raise StoreError(f"{path}: cannot be opened: {error.strerror}") from error
    return lock


def _connect(path: Path, migrations: Sequence[Migration]) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        version = schema_version(connection, path, known=len(migrations))
        for setting in _SETTINGS:
            connection.execute(setting)
        migrate(connection, path, version, migrations)
    except BaseException:
        connection.close()
        raise
    return connection


def _connect_for_reading(path: Path, migrations: Sequence[Migration]) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        # Without a shared memory file, for which the disk may have no room.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA query_only = ON")
        version = schema_version(connection, path, known=len(migrations))
    except BaseException:
        connection.close()
        raise
    if version < len(migrations):
        connection.close()
        raise StoreVersionError(f"{path}: an older Conducto wrote this store; start the agent")
    return connection


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _check_room(path: Path, size: int) -> None:
    try:
        with TemporaryFile(dir=path.parent) as file:
            file.write(bytes(size))
            file.flush()
    except OSError as error:
        if error.errno in FULL_NUMBERS:
            raise _store_error(path, error) from error


def _redefine(connection: sqlite3.Connection, number: int, new: Redefinition) -> None:
    for table in ("definitions", "edits", "nodes"):
        connection.execute(f"DELETE FROM {table} WHERE pipeline=?", (number,))  # noqa: S608
    connection.executemany(
        "INSERT INTO definitions VALUES (?, ?, ?)",
        [(number, target, body) for target, body in {"": new.definition, **new.generated}.items()],
    )
    connection.execute("INSERT OR REPLACE INTO plans VALUES (?, ?)", (number, new.plan))


def _put_generated(
    connection: sqlite3.Connection, number: int, target: str, definition: bytes | None
) -> None:
    below = (number, *_range_below(target))
    connection.execute("DELETE FROM nodes WHERE pipeline=? AND path>? AND path<?", below)
    connection.execute("DELETE FROM definitions WHERE pipeline=? AND target>? AND target<?", below)
    if definition is None:
        connection.execute(
            "DELETE FROM definitions WHERE pipeline=? AND target=?", (number, target)
        )
    else:
        connection.execute(
            "INSERT OR REPLACE INTO definitions VALUES (?, ?, ?)", (number, target, definition)
        )


def _put_record(
    connection: sqlite3.Connection, pipeline_id: str, number: int, record: PipelineRecord
) -> None:
    if record.id != pipeline_id:
        raise ValueError(f"the record of {record.id!r} is in a batch of {pipeline_id!r}")
    connection.execute(
        "UPDATE pipelines SET record=? WHERE number=?", (record.model_dump_json(), number)
    )


def _range_below(path: str) -> tuple[str, str]:
    """Return the exclusive bounds of the paths of all descendants."""
    prefix = prefix_of(path)
    return prefix, f"{prefix[:-1]}0"  # "0" comes right after "/"


def _parsed(
    pipeline_id: str, kind: str, parse: Callable[[rows.Row], _T], found: Iterable[rows.Row]
) -> Iterator[_T]:
    for row in found:
        try:
            parsed = parse(row)
        except (ValueError, TypeError) as error:
            raise DamagedError(_broken(pipeline_id, kind, rows.cause_of_damage(error))) from error
        yield parsed


def _broken(pipeline_id: str, kind: str, cause: str) -> str:
    return f"pipeline {pipeline_id}: its {kind} is damaged ({cause}). {REPAIR}"


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise _store_error(path, error) from error
    except UnicodeDecodeError as error:  # of the message of an error
        raise DamagedError(f"{path}: the file is damaged. {REPAIR}") from error


def _store_error(path: Path, error: sqlite3.Error | OSError) -> StoreError:
    if isinstance(error, OSError):
        code, text, full = error.errno, error.strerror, FULL_NUMBERS
    else:
        # Missing if SQLite was not called, for example because the connection is closed.
        code, text, full = getattr(error, "sqlite_errorcode", None), str(error), _FULL
    if code in full:
        return StoreFullError(
            f"{path}: the disk is full or over its quota ({text}). Saved data "
            "is not affected; free some space (conducto gc) to continue."
        )
    if isinstance(error, sqlite3.Error) and is_damage(error):
        return DamagedError(f"{path}: the file is damaged ({text}). {REPAIR}")
    return StoreError(f"{path}: {text}")
