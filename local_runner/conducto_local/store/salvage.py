"""Reads a damaged store, record by record, as far as it is readable."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from conducto_core.model.notifications import NotificationRecord
from conducto_core.model.records import (
    AttemptRecord,
    ImageRecord,
    NodeChange,
    NodeState,
    PipelineRecord,
)
from conducto_local.store import rows
from conducto_local.store.port import WriteBatch

_T = TypeVar("_T")
#: SQLite takes -1 as no limit.
_ALL = -1


@dataclass(slots=True)
class Salvaged:
    """The readable data of one pipeline.

    Attributes:
        record: None if it cannot be read, like ``definition``.
        lost: The unreadable parts, for users.
    """

    id: str
    record: PipelineRecord | None = None
    definition: bytes | None = None
    nodes: list[NodeState] = field(default_factory=list)
    attempts: list[AttemptRecord] = field(default_factory=list)
    changes: list[NodeChange] = field(default_factory=list)
    generated: dict[str, bytes] = field(default_factory=dict)
    edits: dict[str, dict[str, Any]] = field(default_factory=dict)
    images: list[ImageRecord] = field(default_factory=list)
    notifications: list[NotificationRecord] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    def turn(self) -> WriteBatch:
        """Return everything except record and definition as a batch for another store."""
        # With a gap, clients that read the changes from the start would get wrong results.
        whole = all(change.seq == n for n, change in enumerate(self.changes, 1))
        return WriteBatch(
            nodes=self.nodes,
            attempts=self.attempts,
            changes=self.changes if whole else (),
            generated=self.generated,
            edits=self.edits,
            images=self.images,
            notifications=self.notifications,
        )


def salvage(path: Path) -> Iterator[Salvaged]:
    """Yield the readable data of each pipeline in the store at ``path``."""
    with closing(sqlite3.connect(path)) as connection:
        try:
            found = connection.execute("SELECT number, id, record FROM pipelines").fetchall()
        except sqlite3.Error:
            return
        for number, pipeline_id, text in found:
            yield _salvaged(connection, number, str(pipeline_id), text)


def is_sound(path: Path) -> bool:
    """Return whether SQLite considers the file intact."""
    with closing(sqlite3.connect(path)) as connection:
        try:
            return bool(connection.execute("PRAGMA quick_check(1)").fetchall() == [("ok",)])
        except sqlite3.Error:
            return False


def has_held_pipelines(path: Path) -> bool:
    """Return whether a pipeline was ever stored at ``path``; True for an unreadable file."""
    if not path.exists():
        return False
    with closing(sqlite3.connect(path)) as connection:
        try:
            tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
            if not tables:
                return False
            query = "SELECT count(*) FROM sqlite_sequence WHERE name='pipelines'"
            return bool(connection.execute(query).fetchone()[0])
        except sqlite3.Error:
            return True


def _salvaged(connection: sqlite3.Connection, number: int, pipeline_id: str, text: str) -> Salvaged:
    found = Salvaged(pipeline_id)
    record = rows.record_of(text)
    if isinstance(record, PipelineRecord):
        found.record = record
    else:
        found.lost.append("record")

    def read(what: str, parse: Callable[[rows.Row], _T], query: str, *values: object) -> list[_T]:
        try:
            lines = connection.execute(query, (number, *values)).fetchall()
        except sqlite3.Error:
            found.lost.append(what)
            return []
        parsed = [one for line in lines if (one := _parsed(parse, line)) is not None]
        if len(parsed) < len(lines):
            found.lost.append(f"{len(lines) - len(parsed)} of {len(lines)} {what}")
        return parsed

    definition = read("definition", _first, rows.GET_DEFINITION)
    found.definition = definition[0] if definition else None
    if not definition and "definition" not in found.lost:
        found.lost.append("definition")
    found.generated = dict(read("generated trees", _pair, rows.GET_GENERATED))
    found.edits = dict(read("modifications", rows.edit_of, rows.GET_EDITS))
    found.nodes = read("nodes", rows.node_of, rows.GET_NODES, "", _ALL)
    last = b""  # sorts after every path
    found.attempts = read("attempts", rows.attempt_of, rows.GET_ATTEMPTS, last, "", 0, _ALL)
    found.changes = read("changes", rows.change_of, rows.GET_CHANGES, 0, _ALL)
    found.images = read("images", rows.image_of, rows.GET_IMAGES)
    found.notifications = read(
        "notifications", rows.notification_of, rows.GET_NOTIFICATIONS, None, None
    )
    return found


def _parsed(parse: Callable[[rows.Row], _T], row: rows.Row) -> _T | None:
    try:
        return parse(row)
    except (ValueError, TypeError):
        return None


def _first(row: rows.Row) -> bytes:
    body: bytes = row[0]
    return body


def _pair(row: rows.Row) -> tuple[str, bytes]:
    return row[0], row[1]
