"""The store of pipelines: their journals, and records for fast reads."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from chalicelib.ports.identity import Share
from conducto_core.model.notifications import NotificationRecord
from conducto_core.model.records import AttemptRecord, NodeChange, PipelineRecord

#: Kinds of what `Store.keep_tree` stores, for the migrations of their schema.
TreeKind = Literal["tree", "definition", "plan"]


class TreeReader(Protocol):
    """Reads what `Store.keep_tree` stored for one pipeline."""

    def __call__(self, key: str, kind: TreeKind = "tree") -> bytes:
        """Return the stored bytes in the current schema."""


@dataclass(frozen=True, slots=True)
class CloudRecord:
    """A pipeline as listed, with its organisation."""

    org: str
    record: PipelineRecord


@dataclass(frozen=True, slots=True)
class Entry:
    """One event of a pipeline and its results.

    Attributes:
        number: Counted from 1, without gaps.
        input: The event as JSON (`chalicelib.domain.events`), with task tokens but without secrets.
        changes: The resulting state changes, for followers.
        attempts: Attempts that started or ended.
        record: The pipeline's new record, if it changed.
        workers: Change of the organisation's number of workers.
        reserved: Change of the organisation's number of reserved workers.
        admits: Reject the entry if the plan does not allow that many reserved workers.
        share: The pipeline's new share, if it changed.
        notifications: Notifications to send, with secrets masked.
        open: `Store.open_pipelines` lists the pipeline: it is not settled, or has workers.
    """

    number: int
    input: Mapping[str, Any]
    changes: Sequence[NodeChange] = ()
    attempts: Sequence[AttemptRecord] = ()
    record: PipelineRecord | None = None
    workers: int = 0
    reserved: int = 0
    admits: bool = False
    share: Share | None = None
    notifications: Sequence[NotificationRecord] = ()
    open: bool = True


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A pipeline's state after an entry; the journal is read from there on."""

    number: int
    state: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """The notifications of one entry, pending or delivered.

    Attributes:
        entry: Number of the entry.
        version: Incremented by each write, from 1.
        due: When to send or retry, in seconds since the epoch; None: all are delivered or
            abandoned.
    """

    entry: int
    version: int
    due: float | None
    notifications: tuple[NotificationRecord, ...]


def no_check() -> None:
    """Never interrupt a deletion."""


#: Number of records that are read at once.
RECORDS_PAGE = 200


class Store(Protocol):
    """Pipelines and their journals (DynamoDB; large values in S3)."""

    def create(self, record: CloudRecord, definition: bytes) -> None:
        """Store a new pipeline. Raises `ConflictError` if the id is taken."""

    def record(self, org: str, pipeline_id: str) -> PipelineRecord | None:
        """Return a pipeline's current record (a consistent read)."""

    def records(
        self, org: str, *, after: str | None = None, limit: int = 100
    ) -> tuple[tuple[PipelineRecord, ...], str | None]:
        """Return a page of an organisation's pipelines, newest first, and the next ``after``."""

    def open_pipelines(self) -> Iterator[tuple[str, str]]:
        """Yield ``(org, pipeline id)`` of all pipelines whose latest entry is ``open``."""

    def resting_pipelines(self) -> Iterator[tuple[str, str]]:
        """Yield ``(org, pipeline id)`` of all other pipelines."""

    def forget(self, pipeline_id: str, check: Callable[[], None] = no_check) -> None:
        """Delete all data of a pipeline, its record last; a missing pipeline is not an error.

        It can no longer be loaded from the first step on. ``check`` is called between the steps and
        may raise an error; the next call continues.
        """

    def org_of(self, pipeline_id: str) -> str | None:
        """Return a pipeline's organisation, for AWS events that do not name it."""

    def definition(self, pipeline_id: str) -> bytes:
        """Return the definition that `create` stored."""

    def keep_tree(self, pipeline_id: str, data: bytes) -> str:
        """Store a generated tree and return its key; equal bytes have the same key."""

    def tree(self, pipeline_id: str, key: str, kind: TreeKind = "tree") -> bytes:
        """Return a generated tree, or a definition or plan that `keep_tree` stored."""

    def commit(self, org: str, pipeline_id: str, entry: Entry) -> None:
        """Write an entry and the related records in one transaction.

        Raises:
            ConflictError: An entry with that number exists.
            PlanLimitError: ``entry.workers``, or ``entry.reserved`` of an entry that `admits`,
                exceeds the organisation's plan.
            ThrottledError: Retry later.
        """

    def entries(self, pipeline_id: str, after: int) -> Iterator[Entry]:
        """Yield the entries after number ``after``, in order (consistent reads).

        Only ``number`` and ``input`` need to be set.
        """

    def snapshot(self, pipeline_id: str) -> Snapshot | None:
        """Return the latest snapshot."""

    def put_snapshot(self, pipeline_id: str, snapshot: Snapshot) -> None:
        """Store a snapshot unless a newer one exists."""

    def attempts(self, pipeline_id: str, path: str | None = None) -> Iterator[AttemptRecord]:
        """Yield attempts of a node, or of all nodes, by path and number."""

    def changes(self, pipeline_id: str, after: int, limit: int) -> Sequence[NodeChange]:
        """Return the changes numbered above ``after``, in order."""

    def outgoing(self, pipeline_id: str) -> Iterator[Outgoing]:
        """Yield the notifications of a pipeline, sent or not, by entry (consistent reads)."""

    def put_outgoing(self, org: str, pipeline_id: str, outgoing: Outgoing) -> None:
        """Write the delivery status of notifications.

        Raises:
            ConflictError: The stored version is not the preceding one: another process has written.
        """

    def outgoing_due(self, now: float) -> Iterator[tuple[str, str]]:
        """Yield each ``(org, pipeline id)`` with due notifications once.

        Notifications written in the last seconds may be missing.
        """

    def note_worker(self, pipeline_id: str, worker_id: str, time: float) -> None:
        """Record the time of a worker's heartbeat, outside of the journal."""

    def workers_seen(self, pipeline_id: str) -> Mapping[str, float]:
        """Return ``{worker id: time of its last heartbeat}``."""


def all_records(store: Store, org: str) -> Iterator[PipelineRecord]:
    """Yield the records of an organisation's pipelines, page by page."""
    after: str | None = None
    while True:
        page, after = store.records(org, after=after, limit=RECORDS_PAGE)
        yield from page
        if after is None:
            return
