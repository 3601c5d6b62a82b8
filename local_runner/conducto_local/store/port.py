"""The scheduler's port for stores."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from conducto_core.notifications.model import NotificationRecord
from conducto_core.run.model.records import (
    Actor,
    AttemptRecord,
    ChangeRow,
    ImageRecord,
    NodeChange,
    NodeState,
    Period,
    PipelineRecord,
)
from conducto_core.run.model.states import Cause, State, StopReason
from conducto_local.cache.store import CachedOutcome


class NodeRow(NamedTuple):
    """A `NodeState` to write, with the same fields; see `ChangeRow`."""

    path: str
    state: State
    skipped: bool
    cause: Cause | None
    warning: bool
    attempt: int
    tries: int
    expired: bool
    mem: float | None
    stop_reason: StopReason | None
    lost: int
    lost_starts: int
    retry_at: float | None
    fresh: bool
    known: str | None
    condition: str | None
    actor: Actor | None


@dataclass(frozen=True, slots=True)
class Redefinition:
    """A definition that replaces that of a pipeline.

    Attributes:
        generated: ``{target path: definition}`` of the generated trees that remain.
        plan: The plan of the replacement.
    """

    definition: bytes
    generated: Mapping[str, bytes] = field(default_factory=dict)
    plan: bytes = b""


@dataclass(frozen=True, slots=True)
class WriteBatch:
    """The changes of one pipeline in one turn of the event loop.

    If a row appears twice, the last one counts. The parts are applied in this order:
    redefinition, generated trees, edits, nodes, attempts, changes, images, notifications, record,
    entries of the cache.

    Attributes:
        nodes: Current states of nodes.
        attempts: Current records of attempts. An attempt that has ended keeps its state and end.
        changes: Transitions, which continue after the last stored one without a gap.
        generated: ``{target path: definition}`` of trees that Lazy nodes printed; None for a
            discarded tree. Either way the states of the nodes *below* the target, and the trees
            generated below it, are deleted with the old tree. Their attempts and changes are kept.
        edits: ``{path: edits of the node}`` (`conducto_core.tree.rules.resolve.Edits`), in JSON
            values.
        images: Current records of images.
        notifications: Current records of notifications.
        record: The record of the pipeline, if it changed.
        redefinition: The new definition, if it is replaced. The generated trees, the edits and the
            states of all nodes are deleted with the old one; attempts and changes are kept.
        cached: Entries of the cache.
        used: Keys of the entries that were used, and the time.
    """

    nodes: Sequence[NodeState | NodeRow] = ()
    attempts: Sequence[AttemptRecord] = ()
    changes: Sequence[NodeChange | ChangeRow] = ()
    generated: Mapping[str, bytes | None] = field(default_factory=dict)
    edits: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    images: Sequence[ImageRecord] = ()
    notifications: Sequence[NotificationRecord] = ()
    record: PipelineRecord | None = None
    redefinition: Redefinition | None = None
    cached: Sequence[CachedOutcome] = ()
    used: Sequence[tuple[str, float]] = ()


class Store(Protocol):
    """Pipelines and their history.

    Safe to call from several threads. Each call is all or nothing, and its changes survive a later
    crash of the process. Iterators read in pages and hold no transaction open, so that a slow
    reader blocks nothing; each page shows the state at the time of its reading. Every method with
    an id raises `UnknownPipelineError` if there is no such pipeline. Every method may raise
    `StoreError`: `DamagedError` for unreadable data, and `StoreFullError` for methods that write.
    """

    def check_room(self) -> None:
        """Check that the disk has room for a change; raises `StoreFullError`."""

    def create(self, record: PipelineRecord, definition: bytes) -> None:
        """Add a pipeline.

        Raises:
            DuplicatePipelineError: The id is taken.
        """

    def definition(self, pipeline_id: str) -> bytes:
        """Return the definition that was passed to `create`, or that replaced it."""

    def plan(self, pipeline_id: str) -> bytes | None:
        """Return the plan by which the definition was replaced last, or None if it never was."""

    def put_record(self, record: PipelineRecord) -> None:
        """Replace the record of the pipeline with this id."""

    def ids(self) -> frozenset[str]:
        """Return the ids of all pipelines, including those with an unreadable record."""

    def records(self) -> list[PipelineRecord]:
        """Return every pipeline with a readable record, in the order of creation."""

    def damaged(self) -> dict[str, str]:
        """Return ``{pipeline id: cause}`` of those that the last `records` could not read."""

    def delete(self, pipeline_id: str) -> None:
        """Delete a pipeline and its history."""

    def save(self, pipeline_id: str, turn: WriteBatch) -> None:
        """Save one pipeline's batch.

        Raises:
            HistoryError: A change is out of sequence, or an ended attempt would end again.
        """

    def save_all(self, turns: Mapping[str, WriteBatch]) -> None:
        """Save ``{pipeline id: batch}`` in one transaction. Raises the errors of `save`."""

    def nodes(self, pipeline_id: str) -> Iterator[NodeState]:
        """Yield the nodes that were ever saved, by path; the others are as defined."""

    def attempts(self, pipeline_id: str, path: str | None = None) -> Iterator[AttemptRecord]:
        """Yield the attempts of one node or of all, ordered by path and number."""

    def snapshots(self, pipeline_id: str) -> list[AttemptRecord]:
        """Return the attempts with a snapshot, ordered by their end.

        Attempts that have not ended come last.
        """

    def newest_attempts(self, pipeline_id: str, below: str = "/") -> dict[str, int]:
        """Return ``{path: number of its newest attempt}`` for ``below`` and its descendants.

        Includes nodes of discarded trees: a regenerated tree of a Lazy continues their numbers, so
        that the old attempts and their logs are kept.
        """

    def period(self, pipeline_id: str, below: str, removed: Sequence[str] = ()) -> Period:
        """Return the period in which the newest attempts below a group waited or ran.

        Args:
            pipeline_id: The pipeline.
            below: Path of the group.
            removed: Paths with attempts that are in the tree no more; they do not count.
        """

    def changes(self, pipeline_id: str, after: int, limit: int) -> list[NodeChange]:
        """Return at most ``limit`` changes with a ``seq`` above ``after``, in order."""

    def last_seq(self, pipeline_id: str) -> int:
        """Return the number of the newest change, 0 if there is none."""

    def queued_since(self, pipeline_id: str, path: str) -> float | None:
        """Return when a node was queued, in seconds since the epoch; None if it is not queued.

        A node that a later agent queued again has been queued since the first time.
        """

    def generated(self, pipeline_id: str) -> dict[str, bytes]:
        """Return ``{target path: definition}`` of the generated trees, outer before inner."""

    def edits(self, pipeline_id: str) -> dict[str, dict[str, Any]]:
        """Return ``{path: edits}`` of the nodes that were modified."""

    def images(self, pipeline_id: str) -> list[ImageRecord]:
        """Return the images, in the order in which they were first saved."""

    def notifications(self, pipeline_id: str, path: str | None = None) -> list[NotificationRecord]:
        """Return the notifications of one node or of all, in the order of their events."""

    def last_notification(self, pipeline_id: str) -> int:
        """Return the number of the newest notification, 0 if there is none."""

    def undelivered(self) -> list[tuple[str, NotificationRecord]]:
        """Return ``(pipeline id, notification)`` of all pending notifications, in order."""

    def close(self) -> None:
        """Close the store; safe to call twice."""


# ----------------------------------------------------------------------------------------
# Errors of the store.
#
# StoreError                    the store failed; the message has the remedy
# ├── StoreFullError            the disk is full; the batch was not saved
# ├── DamagedError              stored data cannot be read
# ├── StoreLostError            the store is missing or empty, but pipelines exist
# ├── StoreLockedError          another process has it open
# ├── StoreVersionError         a newer Conducto wrote it, or it is not a store
# ├── UnknownPipelineError      no such pipeline
# ├── DuplicatePipelineError    its id is taken
# └── HistoryError              a bug: the batch would overwrite history or leave a gap


_DAMAGED = frozenset({sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT})
#: The file ends before a page (SQLITE_IOERR_SHORT_READ).
_SHORT_READ = 522
#: Starts of errors about a damaged schema, without a code of their own.
_SCHEMA = (
    "malformed database schema",
    "unsupported file format",
    "no such table",
    "no such column",
    "no such index",
)

#: A part of the problem of a pipeline that cannot be read.
SET_ASIDE = "is set aside"
#: The end of messages about damage.
REPAIR = "Repair it: conducto agent stop, then conducto agent repair"


class StoreError(Exception):
    """The store failed; the call that raised the error had no effect."""


class StoreFullError(StoreError):
    """The disk is full; the same call can be repeated once there is room."""


class DamagedError(StoreError):
    """The file, or a record in it, cannot be read; the message names the repair."""


class StoreLostError(StoreError):
    """The store never had a pipeline, but the profile has directories of pipelines."""


class StoreLockedError(StoreError):
    """Another process has the store open.

    Attributes:
        pid: That process, if it is known.
    """

    def __init__(self, message: str, pid: int | None) -> None:
        super().__init__(message)
        self.pid = pid


class StoreVersionError(StoreError):
    """This version cannot read the schema of the file."""


class UnknownPipelineError(StoreError):
    """The store has no pipeline with this id.

    Attributes:
        pipeline_id: The id.
    """

    def __init__(self, pipeline_id: str) -> None:
        super().__init__(f"pipeline {pipeline_id!r} is not in the store")
        self.pipeline_id = pipeline_id


class DuplicatePipelineError(StoreError):
    """The store already has a pipeline with this id.

    Attributes:
        pipeline_id: The id.
    """

    def __init__(self, pipeline_id: str) -> None:
        super().__init__(f"pipeline {pipeline_id!r} already exists in the store; choose another id")
        self.pipeline_id = pipeline_id


class HistoryError(StoreError):
    """A batch would overwrite history or leave a gap in it."""


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether an error of SQLite means that the file is damaged."""
    code = getattr(error, "sqlite_errorcode", None)  # missing if SQLite was not called
    if code is None:
        return False
    return code == _SHORT_READ or code & 0xFF in _DAMAGED or str(error).startswith(_SCHEMA)
