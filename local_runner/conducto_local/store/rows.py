"""Conversions between records and rows, and the SQL statements with their columns.

Rows are plain tuples: every command that runs is saved, so records are neither dumped nor validated
when they are written.
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any

from pydantic import ValidationError

from conducto_core.notifications.model import DeliveryState, NotificationRecord
from conducto_core.results.model import OutputSummary
from conducto_core.run.model.records import (
    Actor,
    ApprovalDecision,
    AttemptRecord,
    CacheSource,
    ChangeRow,
    FirstError,
    ImageRecord,
    NodeChange,
    NodeState,
    PipelineRecord,
)
from conducto_core.run.model.states import Cause, NodeType, State
from conducto_local.store.port import HistoryError, NodeRow

Row = tuple[Any, ...]

#: Columns of attempts, changes and nodes, named like the fields of their records.
_ATTEMPT = tuple(AttemptRecord.model_fields)
_CHANGE = ChangeRow._fields
_NODE = NodeRow._fields
#: Columns of an attempt with the unchanged values of the fields.
_PLAIN = _ATTEMPT[_ATTEMPT.index("image") + 1 : _ATTEMPT.index("outputs")]
_plain_of = attrgetter(*_PLAIN)

GET_IDS = "SELECT id FROM pipelines NOT INDEXED"
GET_PIPELINES = "SELECT id, record FROM pipelines ORDER BY number"
GET_DEFINITION = "SELECT body FROM definitions WHERE pipeline=? AND target=''"
GET_PLAN = "SELECT body FROM plans WHERE pipeline=?"
GET_GENERATED = """SELECT target, body FROM definitions WHERE pipeline=? AND target>''
    ORDER BY target"""
GET_EDITS = "SELECT path, body FROM edits WHERE pipeline=?"
GET_IMAGES = "SELECT record FROM images WHERE pipeline=? ORDER BY position"


def _upsert(table: str, key: Sequence[str], columns: Sequence[str]) -> str:
    """Return the statement that writes a pipeline's row, replacing the one with the same key."""
    marks = ",".join("?" * (1 + len(columns)))
    new = ", ".join(f"{name}=excluded.{name}" for name in columns if name not in key)
    return f"""INSERT INTO {table} (pipeline, {", ".join(columns)}) VALUES ({marks})
        ON CONFLICT DO UPDATE SET {new}"""  # noqa: S608  our own names


ALL_NODES = f"SELECT {', '.join(_NODE)} FROM nodes WHERE pipeline=?"  # noqa: S608
PUT_NODE = _upsert("nodes", ("path",), _NODE)
GET_NODES = f"""SELECT {", ".join(_NODE)}
    FROM nodes WHERE pipeline=? AND path>? ORDER BY path LIMIT ?"""  # noqa: S608

# An attempt that has ended may get further details but must not end again: that would be another
# attempt with the same number. A rejected row is missing in the cursor's rowcount.
PUT_ATTEMPT = f"""{_upsert("attempts", ("path", "number"), _ATTEMPT)}
    WHERE state NOT IN ('done', 'error', 'killed')
    OR (state = excluded.state AND ended IS excluded.ended)"""
_ATTEMPTS = f"""SELECT a.path, a.number, a.state, a.cause, a.message, a.exit_code,
    coalesce(c.body, a.command), coalesce(e.body, a.env), coalesce(i.body, a.image),
    {", ".join(f"a.{name}" for name in _PLAIN)}, a.outputs, a.decision, a.first_error,
    a.from_cache, a.cache, a.not_stored, a.actor
    FROM attempts a
    LEFT JOIN texts c ON typeof(a.command)='integer' AND c.pipeline=a.pipeline
        AND c.number=a.command
    LEFT JOIN texts e ON typeof(a.env)='integer' AND e.pipeline=a.pipeline
        AND e.number=a.env
    LEFT JOIN texts i ON typeof(a.image)='integer' AND i.pipeline=a.pipeline
        AND i.number=a.image
    """  # noqa: S608
ALL_ATTEMPTS = f"{_ATTEMPTS} WHERE a.pipeline=? ORDER BY a.path, a.number"
GET_ATTEMPTS = f"""{_ATTEMPTS} WHERE a.pipeline=? AND a.path <= ? AND (a.path, a.number) > (?, ?)
    ORDER BY a.path, a.number LIMIT ?"""
GET_SNAPSHOTS = f"""{_ATTEMPTS} WHERE a.pipeline=? AND a.snapshot IS NOT NULL
    ORDER BY a.ended IS NULL, a.ended, a.path, a.number"""

# With max(), SQLite takes the other columns from the row with the maximum.
GET_PERIOD = """SELECT min(coalesce(queued, started)), max(ended) FROM (
    SELECT queued, started, ended, max(number) FROM attempts
    WHERE pipeline=? AND path>? AND path<? AND path NOT IN (SELECT value FROM json_each(?))
    GROUP BY path)"""

PUT_CHANGE = "INSERT INTO changes VALUES (?,?,?,?,?,?,?,?,?,?,?,?)"
ALL_CHANGES = f"SELECT {', '.join(_CHANGE)} FROM changes WHERE pipeline=? ORDER BY seq"  # noqa: S608
GET_CHANGES = f"""SELECT {", ".join(_CHANGE)} FROM changes
    WHERE pipeline=? AND seq>? ORDER BY seq LIMIT ?"""  # noqa: S608
# Without typeof() a command that reads "7" would equal the number 7.
PUT_TEXT = "INSERT INTO texts VALUES (?, ?, ?)"
LAST_TEXT = "SELECT coalesce(max(number), 0) FROM texts WHERE pipeline=?"

PUT_NOTIFICATION = """INSERT INTO notifications VALUES (?,?,?,?,?)
    ON CONFLICT DO UPDATE SET pending=excluded.pending, record=excluded.record"""
GET_NOTIFICATIONS = """SELECT record FROM notifications WHERE pipeline=?
    AND (? IS NULL OR path=?) ORDER BY number"""
GET_UNDELIVERED = """SELECT p.id, n.record FROM notifications n
    JOIN pipelines p ON p.number=n.pipeline WHERE n.pending ORDER BY n.pipeline, n.number"""
LAST_NOTIFICATION = "SELECT coalesce(max(number), 0) FROM notifications WHERE pipeline=?"

#: The state of a node after each of its changes, the newest first, and the time.
STATES_OF = "SELECT state, time FROM changes WHERE pipeline=? AND path=? ORDER BY seq DESC"
LAST_SEQ = "SELECT coalesce(max(seq), 0) FROM changes WHERE pipeline=?"

# sqlite3 binds a plain str several times faster than a subclass such as a StrEnum.
_STATES = {state: state.value for state in State}
_CAUSES: dict[Cause | None, str | None] = {None: None, **{cause: cause.value for cause in Cause}}
_TYPES = {kind: kind.value for kind in NodeType}


def fetch(
    connection: sqlite3.Connection, query: str, parameters: Sequence[object] = ()
) -> list[Row]:
    """Return the rows of a query; a text that is not valid UTF-8 is returned as its bytes.

    Parsers reject these bytes, so that one damaged row does not hide the others.
    """
    try:
        return connection.execute(query, parameters).fetchall()
    except sqlite3.OperationalError as error:
        if hasattr(error, "sqlite_errorcode"):  # of SQLite, not of the conversion to Python
            raise
    connection.text_factory = _text
    try:
        return connection.execute(query, parameters).fetchall()
    finally:
        connection.text_factory = str


def _text(stored: bytes) -> str | bytes:
    try:
        return stored.decode()
    except UnicodeDecodeError:
        return stored


def record_of(row: Row) -> tuple[str, PipelineRecord | ValueError]:
    """Return id and record of a row of `GET_PIPELINES`, or the reason why it cannot be read."""
    stored, text = row
    shown = stored.decode(errors="backslashreplace") if isinstance(stored, bytes) else str(stored)
    try:
        record = PipelineRecord.model_validate_json(text)
    except (ValidationError, TypeError) as error:
        return shown, ValueError(cause_of_damage(error))
    if record.id == stored:
        return record.id, record
    known = record.id if isinstance(stored, bytes) else shown
    return known, ValueError(f"id: {shown!r} has the record of {record.id!r}")


def cause_of_damage(error: Exception) -> str:
    """Return a line with the reason why stored data cannot be read."""
    if isinstance(error, ValidationError):
        found = error.errors(include_url=False, include_context=False)[0]
        return ": ".join([*map(str, found["loc"]), found["msg"]])
    return (str(error) or repr(error)).splitlines()[0]


def edit_of(row: Row) -> tuple[str, dict[str, Any]]:
    """Return path and edits of a row of `GET_EDITS`."""
    edits: dict[str, Any] = json.loads(row[1])
    return row[0], edits


def image_of(row: Row) -> ImageRecord:
    """Return the record of a row of `GET_IMAGES`."""
    return ImageRecord.model_validate_json(row[0])


def notification_of(row: Row) -> NotificationRecord:
    """Return the record of a row of `GET_NOTIFICATIONS`."""
    return NotificationRecord.model_validate_json(row[0])


def node_row(pipeline: int, node: NodeState | NodeRow) -> Row:
    """Return the parameters of `PUT_NODE`."""
    return (
        pipeline,
        node.path,
        _STATES[node.state],
        node.skipped,
        _CAUSES[node.cause],
        node.warning,
        node.attempt,
        node.tries,
        node.expired,
        node.mem,
        None if node.stop_reason is None else node.stop_reason.value,
        node.lost,
        node.lost_starts,
        node.retry_at,
        node.fresh,
        json.dumps(node.known) if isinstance(node.known, dict) else node.known,
        node.condition,
        None if node.actor is None else node.actor.model_dump_json(),
    )


def node_of(row: Row) -> NodeState:
    """Return the record of a row of `GET_NODES`."""
    fields = dict(zip(NodeRow._fields, row, strict=True))
    if fields["known"] is not None:
        fields["known"] = json.loads(fields["known"])
    if fields["actor"] is not None:
        fields["actor"] = Actor.model_validate_json(fields["actor"])
    return NodeState.model_validate(fields)


def attempt_row(
    pipeline: int,
    attempt: AttemptRecord,
    command: str | int,
    env: str | int | None,
    image: str | int | None,
) -> Row:
    """Return the parameters of `PUT_ATTEMPT`, with the texts as they are stored."""
    return (
        pipeline,
        attempt.path,
        attempt.number,
        _STATES[attempt.state],
        _CAUSES[attempt.cause],
        attempt.message,
        attempt.exit_code,
        command,
        env,
        image,
        *_plain_of(attempt),
        None if attempt.outputs is None else attempt.outputs.model_dump_json(),
        None if attempt.decision is None else attempt.decision.model_dump_json(),
        None if attempt.first_error is None else attempt.first_error.model_dump_json(),
        None if attempt.from_cache is None else attempt.from_cache.model_dump_json(),
        attempt.cache,
        attempt.not_stored,
        None if attempt.actor is None else attempt.actor.model_dump_json(),
    )


def attempt_fields(row: Row) -> dict[str, Any]:
    """Return the columns of a row of `GET_ATTEMPTS` by name."""
    return dict(zip(_ATTEMPT, row, strict=True))


def attempt_of(row: Row) -> AttemptRecord:
    """Return the record of a row of `GET_ATTEMPTS`."""
    fields = attempt_fields(row)
    fields["env"] = env_of(fields["env"])
    if fields["outputs"] is not None:
        fields["outputs"] = OutputSummary.model_validate_json(fields["outputs"])
    if fields["decision"] is not None:
        fields["decision"] = ApprovalDecision.model_validate_json(fields["decision"])
    if fields["first_error"] is not None:
        fields["first_error"] = FirstError.model_validate_json(fields["first_error"])
    if fields["from_cache"] is not None:
        fields["from_cache"] = CacheSource.model_validate_json(fields["from_cache"])
    if fields["actor"] is not None:
        fields["actor"] = Actor.model_validate_json(fields["actor"])
    return AttemptRecord(**fields)


def env_text(env: Mapping[str, str]) -> str:
    """Return the stored form of an environment that is not empty."""
    return json.dumps(env, ensure_ascii=False, separators=(",", ":"))


def env_of(text: str | None) -> dict[str, str]:
    """Return the environment of a text from `env_text`; an empty one for None."""
    if text is None:
        return {}
    env: dict[str, str] = json.loads(text)
    return env


def notification_row(pipeline: int, notification: NotificationRecord) -> Row:
    """Return the parameters of `PUT_NOTIFICATION`."""
    return (
        pipeline,
        notification.number,
        notification.path,
        notification.delivery is DeliveryState.PENDING,
        notification.model_dump_json(),
    )


def change_row(pipeline: int, change: NodeChange | ChangeRow) -> Row:
    """Return the parameters of `PUT_CHANGE`."""
    return (
        pipeline,
        change.seq,
        change.time,
        change.path,
        _TYPES[change.type],
        _STATES[change.state],
        change.skipped,
        _CAUSES[change.cause],
        change.warning,
        change.attempt,
        change.exit_code,
        change.output_bytes,
    )


def change_of(row: Row) -> NodeChange:
    """Return the record of a row of `GET_CHANGES`."""
    return NodeChange(**dict(zip(_CHANGE, row, strict=True)))


# ----------------------------------------------------------------------------------------
# The rules by which every store protects history.


def check_changes(
    pipeline_id: str, last_seq: int, changes: Sequence[NodeChange | ChangeRow]
) -> None:
    """Raise `HistoryError` unless ``changes`` continue after ``last_seq`` without a gap."""
    for expected, change in enumerate(changes, last_seq + 1):
        if change.seq != expected:
            raise HistoryError(
                f"{change.path}: change {change.seq} of pipeline {pipeline_id!r} is out of "
                f"sequence, expected {expected}; reread the last number"
            )


def overwritten(pipeline_id: str, paths: Sequence[str]) -> HistoryError:
    """Return the error for rejected attempts of a batch with these paths."""
    named = ", ".join(dict.fromkeys(paths[:3]))
    return HistoryError(
        f"{named}: an attempt of pipeline {pipeline_id!r} has ended and must not be overwritten; "
        "give the new one the next number"
    )


def prefix_of(path: str) -> str:
    """Return the common prefix of the paths of all descendants of ``path``."""
    return path if path.endswith("/") else f"{path}/"
