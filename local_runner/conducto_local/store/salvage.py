"""Corrects the damaged rows of a store, and removes those that cannot be corrected.

A text with invalid bytes is kept with a replacement character for each of them, and a field with
an invalid value gets its default, unless that could change which commands run.
"""

import json
import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError

from conducto_core.record import Record
from conducto_core.run.model.records import (
    AttemptRecord,
    ImageRecord,
    NodeChange,
    NodeState,
    PipelineRecord,
)
from conducto_core.tree.model import unpack_form
from conducto_local.store import rows
from conducto_local.store.port import NodeRow, WriteBatch

_R = TypeVar("_R", bound=Record)

#: Stands for bytes that are not text.
REPLACEMENT = "\ufffd"
#: Fields of a pipeline that limit its commands.
_NEEDED = ("id", "owner", "foreign_change", "git", "parent")
_PUNCTUATION = '",:{}[]'


@dataclass(slots=True)
class Salvaged:
    """The damage of one pipeline, whose damaged rows were removed.

    Attributes:
        record: None if it cannot be read, like ``definition``.
        turn: The corrected rows, to be stored in place of the removed ones.
        corrected: Number of rows of which only some text or a field was lost.
        lost: The parts that could not be corrected, for users.
        nodes: Paths of the removed nodes; None in it is one whose path is unknown.
    """

    id: str
    number: int
    record: PipelineRecord | None = None
    definition: bytes | None = None
    turn: WriteBatch = field(default_factory=WriteBatch)
    corrected: int = 0
    lost: list[str] = field(default_factory=list)
    nodes: set[str | None] = field(default_factory=set)


class _Table(NamedTuple):
    """The rows of one kind.

    Attributes:
        title: Its name for users.
        query: Its first parameter is the number of the pipeline.
        key: The columns that identify a row of a pipeline, by their places in the query.
        parse: Returns the record of a row; raises ValueError or TypeError for a damaged one.
        correct: Returns the record of a damaged row, or None.
    """

    name: str
    title: str
    query: str
    key: Mapping[str, int]
    parse: Callable[[rows.Row], Any]
    correct: Callable[[rows.Row], Any] = lambda _: None


def correct(model: type[_R], fields: Mapping[str, Any], needed: Collection[str]) -> _R | None:
    """Return a record of the valid fields; None if a needed one has no valid value."""
    if any(REPLACEMENT in str(fields.get(name)) for name in needed):
        return None
    fields = {n: value if n in needed else _legible(value) for n, value in fields.items()}
    for _ in range(2):
        try:
            return model.model_validate(fields)
        except ValidationError as error:
            found = error.errors(include_url=False, include_context=False)
            wrong = {str(each["loc"][0]) for each in found if each["loc"]}
            if not wrong or wrong & set(needed):
                return None
            fields = {name: value for name, value in fields.items() if name not in wrong}
    return None


def object_of(text: str | bytes) -> dict[str, Any] | None:
    """Return the fields of a JSON object with invalid bytes, or None if it is not legible.

    A single invalid byte may stand for punctuation.
    """
    legible = _legible(text)
    if not isinstance(legible, str):
        return None
    choices = [legible]
    if legible.count(REPLACEMENT) == 1:
        choices += [legible.replace(REPLACEMENT, each) for each in _PUNCTUATION]
    for each in choices:
        try:
            found = json.loads(each, strict=False)
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict):
            return found
    return None


def _legible(value: object) -> object:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _record(model: type[_R], needed: Collection[str]) -> Callable[[rows.Row], _R | None]:
    """Return the correction of rows with a record in JSON."""

    def corrected(row: rows.Row) -> _R | None:
        fields = object_of(row[0])
        return None if fields is None else correct(model, fields, needed)

    return corrected


def _attempt(row: rows.Row) -> AttemptRecord | None:
    fields = rows.attempt_fields(row)
    for name in ("env", "outputs", "decision", "from_cache"):
        fields[name] = None if fields[name] is None else object_of(fields[name])
    fields = {name: value for name, value in fields.items() if value is not None}
    return correct(AttemptRecord, fields, ("path", "number", "state"))


def _node(row: rows.Row) -> NodeState | None:
    # With a default instead of these, another command could run than before.
    needed = ("path", "state", "skipped", "attempt", "tries")
    return correct(NodeState, dict(zip(NodeRow._fields, row, strict=True)), needed)


def _change(row: rows.Row) -> NodeChange | None:
    fields = dict(zip(NodeChange.model_fields, row, strict=True))
    return correct(NodeChange, fields, ("seq", "time", "path", "type", "state"))


def _edit_of(row: rows.Row) -> None:
    path, edits = row[0], json.loads(row[1])
    if not isinstance(path, str) or not isinstance(edits, dict):
        raise TypeError("not a modification")


def _tree_of(row: rows.Row) -> None:
    if not isinstance(row[0], str):
        raise TypeError("the path is not text")
    try:
        unpack_form(row[1])
    except Exception as error:  # corrupt data may raise anything
        raise ValueError(str(error)) from error


def _image_of(row: rows.Row) -> None:
    if rows.image_of(row).name != row[2]:
        raise ValueError("the record of another image")


_EDITS = _Table("edits", "modifications", rows.GET_EDITS, {"path": 0}, _edit_of)
_TREES = _Table("definitions", "generated trees", rows.GET_GENERATED, {"target": 0}, _tree_of)
_NODES = _Table("nodes", "states", rows.ALL_NODES, {"path": 0}, rows.node_of, _node)
_ATTEMPTS = _Table(
    "attempts", "attempts", rows.ALL_ATTEMPTS, {"path": 0, "number": 1}, rows.attempt_of, _attempt
)
_CHANGES = _Table("changes", "events", rows.ALL_CHANGES, {"seq": 0}, rows.change_of, _change)
_IMAGES = _Table(
    "images",
    "images",
    "SELECT record, position, name FROM images WHERE pipeline=? ORDER BY position",
    {"position": 1},
    _image_of,
    _record(ImageRecord, ("name", "state")),
)
_NOTIFICATIONS = _Table(  # never corrected: it would be sent with another text, or elsewhere
    "notifications",
    "notifications",
    "SELECT record, number FROM notifications WHERE pipeline=? ORDER BY number",
    {"number": 1},
    rows.notification_of,
)


def listed(connection: sqlite3.Connection) -> list[rows.Row]:
    """Return number, id and record of each pipeline, as they are stored."""
    return rows.fetch(connection, "SELECT number, id, record FROM pipelines ORDER BY number")


def salvage(
    connection: sqlite3.Connection, row: rows.Row, unread: Collection[str] = ()
) -> Salvaged:
    """Remove the damaged rows of a pipeline; return what they were.

    Args:
        connection: To a copy of the store.
        row: One of `listed`.
        unread: The tables that `conducto_local.store.rescue` could not copy completely.
    """
    number = row[0]
    known, record = rows.record_of(row[1:])
    found = Salvaged(known, number)
    if isinstance(record, PipelineRecord):
        found.record = record
    else:
        corrected = _record(PipelineRecord, _NEEDED)(row[2:])
        found.record = None if corrected is None or corrected.id != known else corrected
        found.corrected += found.record is not None
        found.lost += [] if found.record is not None else ["record"]
    body = rows.fetch(connection, rows.GET_DEFINITION, (number,))
    found.definition = body[0][0] if body and isinstance(body[0][0], bytes) else None
    _correct_texts(connection, found)
    for table in (_EDITS, _TREES):
        _remove_damaged(connection, table, found, unread)
    found.turn = WriteBatch(
        nodes=_remove_damaged(connection, _NODES, found, unread),
        attempts=_remove_damaged(connection, _ATTEMPTS, found, unread),
        images=_remove_damaged(connection, _IMAGES, found, unread),
        notifications=_remove_damaged(connection, _NOTIFICATIONS, found, unread),
        changes=_take_changes(connection, found, unread),
    )
    return found


def _remove_damaged(
    connection: sqlite3.Connection, table: _Table, found: Salvaged, unread: Collection[str]
) -> list[Any]:
    """Remove the damaged rows of a table; return the corrected ones."""
    stored = rows.fetch(connection, table.query, (found.number,))
    corrected, lost = [], 0
    for row in stored:
        try:
            table.parse(row)
        except (ValueError, TypeError):
            record = table.correct(row)
            if record is not None:
                corrected.append(record)
            else:
                lost += 1
                if table is _NODES:
                    found.nodes.add(row[0] if isinstance(row[0], str) else None)
            _delete(connection, table, found.number, row)
    if table.name in unread:
        found.lost.append(f"some {table.title}")
        if table is _NODES:
            found.nodes.add(None)
    elif lost:
        found.lost.append(f"{lost} of {len(stored)} {table.title}")
    found.corrected += len(corrected)
    return corrected


def _delete(connection: sqlite3.Connection, table: _Table, number: int, row: rows.Row) -> None:
    key = [row[place] for place in table.key.values()]
    where = " AND ".join(f"{column} IN (?, CAST(? AS TEXT))" for column in table.key)
    values = [each for value in key for each in (value, value)]
    connection.execute(
        f"DELETE FROM {table.name} WHERE pipeline=? AND {where}",  # noqa: S608
        (number, *values),
    )


def _take_changes(
    connection: sqlite3.Connection, found: Salvaged, unread: Collection[str]
) -> Sequence[NodeChange]:
    """Remove and return all changes, without a gap, if one was damaged; else nothing."""
    lost = len(found.lost)
    corrected = _remove_damaged(connection, _CHANGES, found, unread)
    left = rows.fetch(connection, rows.ALL_CHANGES, (found.number,))
    if not corrected and [row[0] for row in left] == list(range(1, len(left) + 1)):
        return ()
    if not corrected and lost == len(found.lost):
        found.lost.append(f"some {_CHANGES.title}")
    changes = [*map(rows.change_of, left), *corrected]
    changes.sort(key=lambda change: change.seq)
    connection.execute("DELETE FROM changes WHERE pipeline=?", (found.number,))
    return [each.model_copy(update={"seq": seq}) for seq, each in enumerate(changes, 1)]


def _correct_texts(connection: sqlite3.Connection, found: Salvaged) -> None:
    """Correct the texts that attempts share."""
    query = "SELECT number, body FROM texts WHERE pipeline=?"
    for number, body in rows.fetch(connection, query, (found.number,)):
        if not isinstance(body, str):
            found.corrected += 1
            connection.execute(
                "UPDATE texts SET body=? WHERE pipeline=? AND number=?",
                (str(_legible(body)), found.number, number),
            )


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
        except (sqlite3.Error, UnicodeDecodeError):
            return True
