"""The store of pipelines: their journals, and records for fast reads."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, BinaryIO, Literal, NamedTuple, Protocol

from chalicelib.people.port import Share
from conducto_core.asl.rules.compiler import Machine
from conducto_core.cache.marks import Marks
from conducto_core.limits.rules import Lease
from conducto_core.notifications.model import NotificationRecord
from conducto_core.run.model.records import (
    AttemptRecord,
    ChangeRow,
    NodeChange,
    ParentAttempt,
    PipelineRecord,
)
from conducto_core.run.model.responses import ChangedData, DataEntry, DataList, Deleted

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


class TurnState(StrEnum):
    """The request that should write the next entry of a journal: only the cost depends on it."""

    #: There is no competition: a request writes its own entry.
    QUIET = "quiet"
    #: One request writes entries with the inputs of all.
    TAKEN = "taken"
    #: The same; its own input cannot wait, so that only an entry of its own commits it.
    URGENT = "urgent"
    #: A request must take the turn before it writes.
    OPEN = "open"


class Turn(NamedTuple):
    """The turn to write entries of a journal.

    Attributes:
        version: Incremented by each change.
    """

    version: int = 0
    state: TurnState = TurnState.QUIET


class Waiting(NamedTuple):
    """An input that waits for an entry.

    Attributes:
        id: Id of the request.
        submitted: `chalicelib.run.model.Submitted` as JSON.
    """

    id: str
    submitted: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """One or more events of a pipeline and their results.

    Attributes:
        number: Counted from 1, without gaps.
        input: The events as JSON (`chalicelib.run.model.JournalEntry`), with task tokens but
            without secrets.
        changes: The resulting state changes, for followers.
        seq: Number of the latest change after it, if it has none.
        attempts: Attempts that ended.
        record: The pipeline's record, to be written if it is `listed`.
        workers: Change of the organisation's number of workers.
        reserved: Change of the organisation's number of reserved workers.
        admits: Reject the entry if the plan does not allow that many reserved workers.
        share: The pipeline's new share, if it changed.
        notifications: Notifications to send, with secrets masked.
        listed: Write the record, ``open`` and ``asks``; otherwise they stay as they were.
        open: `Store.open_pipelines` lists the pipeline: it is not settled, or has workers.
        asks: `Store.asking_pipelines` lists the pipeline: an approval waits for a decision.
        turn: Reject the entry if the version of the turn is another one; None: do not check.
    """

    number: int
    input: Mapping[str, Any]
    changes: Sequence[ChangeRow] = ()
    seq: int = 0
    attempts: Sequence[AttemptRecord] = ()
    record: PipelineRecord | None = None
    workers: int = 0
    reserved: int = 0
    admits: bool = False
    share: Share | None = None
    notifications: Sequence[NotificationRecord] = ()
    listed: bool = True
    open: bool = True
    asks: bool = False
    turn: int | None = None


class News(NamedTuple):
    """What a reader of a journal does not know yet: entries, in order, and the turn."""

    entries: Sequence[Entry]
    turn: Turn


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

    def asking_pipelines(self, org: str) -> Iterator[PipelineRecord]:
        """Yield an organisation's pipelines whose latest entry `asks`."""

    def resting_pipelines(self) -> Iterator[tuple[str, str]]:
        """Yield ``(org, pipeline id)`` of all other pipelines."""

    def count_active(self, org: str, maximum: int) -> int:
        """Return the number of an organisation's pipelines that are not settled, up to a maximum.

        The latest changes may be missing.
        """

    def count_child(self, parent: ParentAttempt) -> int:
        """Count a pipeline that an attempt launches; return the number of those before."""

    def object_bytes(self, pipeline_id: str) -> int:
        """Return the size of a pipeline's definitions and states in the bucket."""

    def forget(self, pipeline_id: str, check: Callable[[], None] = no_check) -> None:
        """Delete all data of a pipeline, its record last; a missing pipeline is not an error.

        It can no longer be loaded from the first step on. ``check`` is called between the steps and
        may raise an error; the next call continues.

        Raises:
            ThrottledError: Another request writes the record.
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
            ConflictError: An entry with that number exists, or ``entry.turn`` is over.
            LookupError: The organisation has no such pipeline.
            PlanLimitError: ``entry.workers``, or ``entry.reserved`` of an entry that `admits`,
                exceeds the organisation's plan.
            ThrottledError: Retry later.
        """

    def put_record(self, org: str, record: PipelineRecord, entry: int) -> bool:
        """Write a pipeline's record as of an entry; return False if a newer one is written."""

    def news(self, pipeline_id: str, after: int) -> News:
        """Return the entries after number ``after`` up to the first gap (a consistent read).

        Only ``number`` and ``input`` of entries need to be set.
        """

    def ends_with(self, pipeline_id: str, number: int) -> bool:
        """Return whether this is the number of the newest entry, without reading its input."""

    def pass_turn(self, pipeline_id: str, before: Turn, state: TurnState) -> Turn:
        """Change the state of the turn; return the new turn.

        Raises:
            ConflictError: The turn has changed since ``before`` was read, or the first turn of the
                pipeline was to be taken after its deletion.
        """

    def put_waiting(self, pipeline_id: str, waiting: Waiting) -> None:
        """Let an input wait for an entry."""

    def waiting(self, pipeline_id: str, limit: int) -> Sequence[Waiting]:
        """Return the first waiting inputs by id (a consistent read)."""

    def drop_waiting(self, pipeline_id: str, ids: Sequence[str]) -> None:
        """Delete waiting inputs; missing ones are not an error."""

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
        """Record the time of a worker's launch or heartbeat, outside of the journal.

        ``worker_id`` may also be `chalicelib.run.rules.deferred.EXECUTOR`.
        """

    def workers_seen(self, pipeline_id: str) -> Mapping[str, float]:
        """Return ``{worker id: time of its launch or last heartbeat}``."""


def all_records(store: Store, org: str) -> Iterator[PipelineRecord]:
    """Yield the records of an organisation's pipelines, page by page."""
    after: str | None = None
    while True:
        page, after = store.records(org, after=after, limit=RECORDS_PAGE)
        yield from page
        if after is None:
            return


# ----------------------------------------------------------------------------------------
# The runner of state machines.


class StateMachines(Protocol):
    """Step Functions. Every call can be repeated."""

    def ensure_activity(self, name: str) -> None:
        """Create an activity unless it exists."""

    def forget_activity(self, activity_arn: str) -> None:
        """Delete an activity; a missing one is not an error."""

    def create(self, machine: Machine, org: str, pipeline_id: str) -> None:
        """Create a machine for a pipeline of an organisation, unless it exists."""

    def forget(self, machine_arn: str) -> None:
        """Delete a machine, which ends its executions; a missing one is not an error."""

    def machine_of(self, execution_arn: str) -> str:
        """Return the ARN of the machine that an execution runs."""

    def runs(self) -> Iterator[tuple[str, str]]:
        """Yield ``(run, machine ARN)`` of the machines that this installation created for a run."""

    def start(self, machine_arn: str, run: str, data: Mapping[str, object]) -> str:
        """Start an execution named after ``run``, unless it exists, and return its ARN."""

    def stop(self, execution_arn: str, reason: str) -> None:
        """Abort an execution and its child executions; one that has ended is not an error."""

    def status(self, execution_arn: str) -> str:
        """Return ``RUNNING``, ``SUCCEEDED``, ``FAILED``, ``TIMED_OUT`` or ``ABORTED``."""

    def succeed(self, token: str, output: Mapping[str, object]) -> None:
        """Complete a task; raises `TaskGoneError`."""

    def fail(self, token: str, error: str, cause: str = "") -> None:
        """Fail a task; raises `TaskGoneError`."""


# ----------------------------------------------------------------------------------------
# Storage: the bucket, and the file system of commands.


class BlobWriter(Protocol):
    """Writes one object; it does not exist until `close`."""

    def write(self, data: bytes) -> None:
        """Add bytes."""

    def close(self) -> None:
        """Complete the object."""

    def abort(self) -> None:
        """Drop the object, unless it is complete."""


class Blobs(Protocol):
    """Large objects that clients and workers transfer themselves (S3)."""

    def upload_url(self, key: str, *, size: int | None = None, seconds: int | None = None) -> str:
        """Return a URL for a PUT, valid for some minutes or ``seconds``."""

    def download_url(self, key: str, *, filename: str, seconds: int | None = None) -> str:
        """Return a URL for a GET, valid for some minutes or ``seconds``."""

    def exists(self, key: str) -> bool:
        """Return whether an object exists."""

    def size(self, key: str) -> int | None:
        """Return the size of an object in bytes, or None if it does not exist."""

    def put_at(self, key: str) -> float | None:
        """Return the last-modified time in seconds since the epoch, or None without an object."""

    def get(self, key: str) -> bytes | None:
        """Return the content of an object, or None if it does not exist."""

    def put(self, key: str, data: bytes) -> None:
        """Write an object."""

    def writer(self, key: str) -> BlobWriter:
        """Return a writer of an object of any size."""

    def put_file(self, key: str, file: BinaryIO) -> None:
        """Write an object from an open file of any size."""

    def chunks(self, key: str) -> Iterator[bytes] | None:
        """Return the content of an object in chunks of some MB, or None if it does not exist."""

    def delete(self, key: str) -> None:
        """Delete an object; a missing one is not an error."""


class FileFacts(NamedTuple):
    """The size of a data file, and a version that changes with its content."""

    size: int
    version: str


class DataFiles(Protocol):
    """Data files on the file system; a ``directory`` is one of `model.deployment`'s.

    Every method raises `conducto_core.errors.NotFoundError` for a missing file, and `RefusedError`
    for a name that leads out of the directory or is of the wrong kind.
    """

    def entries(self, directory: str, name: str, after: str | None, limit: int) -> DataList:
        """Return a page of the entries of a directory, by name."""

    def changed(self, directory: str, since: float, until: float | None, limit: int) -> ChangedData:
        """Return the files that were last written within a period, newest first."""

    def stat(self, directory: str, name: str) -> FileFacts:
        """Return the size and version of a file."""

    def stage(self, directory: str, name: str, key: str) -> None:
        """Copy a file to an object in the bucket."""

    def write(self, directory: str, name: str, data: bytes) -> DataEntry:
        """Write a file of up to 4 MB."""

    def fetch(self, directory: str, name: str, key: str) -> DataEntry:
        """Write a file from an object in the bucket."""

    def begin(self, what: Literal["stage", "fetch"], directory: str, name: str, key: str) -> None:
        """Start staging or fetching a file, and return at once (`services.copy_jobs`)."""

    def marks(
        self, directory: str, contents: str, patterns: Sequence[str], seconds: float
    ) -> Marks:
        """Return the marks of the files that patterns name.

        Args:
            directory: The data.
            contents: The directory of the organisation's cache.
            patterns: See `conducto_core.cache.files`.
            seconds: For reading files that no earlier call has read.

        Raises:
            TimeoutError: They were not read within ``seconds``.
        """

    def keep(self, directory: str, contents: str, wrote: Mapping[str, str]) -> int:
        """Keep the contents of the files that an attempt wrote; return their bytes."""

    def place(
        self,
        directory: str,
        contents: str,
        writes: Sequence[str],
        wrote: Mapping[str, str],
        seconds: float,
    ) -> None:
        """Write the files of an entry of the cache to the data; see `CachedFiles.restore`.

        Raises:
            DamagedObjectError: A content is missing or was changed.
            TimeoutError: They were not written within ``seconds``.
        """

    def trim(self, days: float) -> None:
        """Delete the contents of the cache that were not used for some days."""

    def delete(self, directory: str, name: str) -> Deleted:
        """Delete a file, or a directory and its contents."""

    def total(self, directory: str, seconds: float) -> int:
        """Return the bytes of all files of a directory; 0 if it is missing.

        Raises:
            TimeoutError: They were not counted within ``seconds``.
        """

    def forget(self, directory: str, seconds: float) -> None:
        """Delete a directory of `model.deployment`'s; a missing one is not an error.

        Raises:
            TimeoutError: It was not finished within ``seconds``, and may continue. Repeat the call.
        """


# ----------------------------------------------------------------------------------------
# The named limits of organisations (`conducto_core.limits.rules`).


class LimitRecords(Protocol):
    """Stores the leases of an organisation's limits, as one document with a version."""

    def read(self, org: str) -> tuple[Sequence[Lease], int]:
        """Return the leases and the version of the document; 0 if there is none."""

    def write(self, org: str, leases: Sequence[Lease], version: int) -> None:
        """Replace the document that has this version.

        Raises:
            ConflictError: It has another version.
        """
