"""What the scheduler asks of a store."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from conducto_core.model.notifications import NotificationRecord
from conducto_core.model.records import (
    AttemptRecord,
    ImageRecord,
    NodeChange,
    NodeState,
    Period,
    PipelineRecord,
)
from conducto_core.model.states import Cause, NodeType, State, StopReason


class NodeRow(NamedTuple):
    """A `NodeState` on its way into a store.

    A tuple, since arming a pipeline makes one for each of its nodes: as records, those of 100,000
    nodes would take 90 MB. Fields as there.
    """

    path: str
    state: State
    skipped: bool
    cause: Cause | None
    warning: bool
    attempt: int
    tries: int
    expired: bool
    mem: float | None
    order: StopReason | None
    lost: int
    lost_starts: int


class ChangeRow(NamedTuple):
    """A `NodeChange` on its way into a store, a tuple for the same reason. Fields as there."""

    seq: int
    time: float
    path: str
    type: NodeType
    state: State
    skipped: bool
    cause: Cause | None
    warning: bool
    attempt: int
    exit_code: int | None


@dataclass(frozen=True, slots=True)
class WriteBatch:
    """Everything that one turn of the event loop changed in one pipeline.

    A row that appears twice counts as it appears last. The parts are applied in this order:
    generated trees, edits, nodes, attempts, changes, images, notifications, record.

    Attributes:
        nodes: Nodes as they stand now.
        attempts: Attempts as they stand now. One that has ended keeps its state and its end.
        changes: Transitions; they go on from the last one stored, without a gap.
        generated: ``{target path: definition}`` of trees that Lazy nodes printed; None where one
            was discarded. Either way the states of the nodes *below* the target, and the trees
            generated below it, are forgotten: they belonged to the tree that is gone. Their
            attempts and changes stay.
        edits: ``{path: edits of the node}`` (`conducto_core.semantics.resolve.Edits`), in JSON
            values.
        images: Images as they stand now.
        notifications: What somebody is told, as it stands now.
        record: The pipeline itself, where it changed.
    """

    nodes: Sequence[NodeState | NodeRow] = ()
    attempts: Sequence[AttemptRecord] = ()
    changes: Sequence[NodeChange | ChangeRow] = ()
    generated: Mapping[str, bytes | None] = field(default_factory=dict)
    edits: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    images: Sequence[ImageRecord] = ()
    notifications: Sequence[NotificationRecord] = ()
    record: PipelineRecord | None = None


class Store(Protocol):
    """Pipelines and all that happened in them.

    Safe to call from several threads. Each call is all or nothing, and what it saved survives
    the death of the process at any later moment. Iterators read in pages and hold nothing open,
    so that a slow reader blocks nobody; each page is as of the moment it was read.

    Every method that takes an id raises `UnknownPipelineError` where there is no such pipeline,
    and every one may raise `StoreError`: `DamagedError` where something cannot be read; the ones
    that write, `StoreFullError`.
    """

    def create(self, record: PipelineRecord, definition: bytes) -> None:
        """Add a pipeline.

        Raises:
            DuplicatePipelineError: the id is taken.
        """

    def definition(self, pipeline_id: str) -> bytes:
        """Return the definition, as it was given to `create`."""

    def put_record(self, record: PipelineRecord) -> None:
        """Replace the record of the pipeline with this id."""

    def records(self) -> list[PipelineRecord]:
        """Return every pipeline whose record can be read, in the order of `create`."""

    def damaged(self) -> dict[str, str]:
        """Return ``{pipeline id: cause}`` of those that the last `records` could not read."""

    def delete(self, pipeline_id: str) -> None:
        """Forget a pipeline and everything that happened in it."""

    def save(self, pipeline_id: str, turn: WriteBatch) -> None:
        """Save one pipeline's turn.

        Raises:
            HistoryError: a change does not come next, or an ended attempt would end anew.
        """

    def save_all(self, turns: Mapping[str, WriteBatch]) -> None:
        """Save ``{pipeline id: turn}`` in one transaction. Raises like `save`."""

    def nodes(self, pipeline_id: str) -> Iterator[NodeState]:
        """Yield the nodes that a turn ever named, by path; the others stand as defined."""

    def attempts(self, pipeline_id: str, path: str | None = None) -> Iterator[AttemptRecord]:
        """Yield the attempts of one node or of all, by path, the first one of each first."""

    def snapshots(self, pipeline_id: str) -> list[AttemptRecord]:
        """Return the attempts that have a snapshot, the one that ended first first.

        One that has not ended comes last.
        """

    def newest_attempts(self, pipeline_id: str, below: str = "/") -> dict[str, int]:
        """Return ``{path: number of its newest attempt}`` for ``below`` and its descendants.

        Nodes of discarded trees are included: a tree that a Lazy generates anew goes on
        counting from here, so that the old attempts and their logs stay.
        """

    def period(self, pipeline_id: str, below: str) -> Period:
        """Return from when to when the newest attempts of a group's descendants ran."""

    def changes(self, pipeline_id: str, after: int, limit: int) -> list[NodeChange]:
        """Return at most ``limit`` changes with a ``seq`` above ``after``, in order."""

    def last_seq(self, pipeline_id: str) -> int:
        """Return the number of the newest change, 0 when there is none."""

    def generated(self, pipeline_id: str) -> dict[str, bytes]:
        """Return ``{target path: definition}`` of the trees in place, outer before inner."""

    def edits(self, pipeline_id: str) -> dict[str, dict[str, Any]]:
        """Return ``{path: edits}`` of the nodes that were modified."""

    def images(self, pipeline_id: str) -> list[ImageRecord]:
        """Return the images, in the order in which they were first saved."""

    def notifications(self, pipeline_id: str, path: str | None = None) -> list[NotificationRecord]:
        """Return what was to be told about one node or about all, in the order it happened."""

    def last_notification(self, pipeline_id: str) -> int:
        """Return the number of the newest notification, 0 when there is none."""

    def undelivered(self) -> list[tuple[str, NotificationRecord]]:
        """Return ``(pipeline id, notification)`` of all that are still to be sent, in order."""

    def close(self) -> None:
        """Let go of the store; safe to call twice."""
