"""Records of the store of pipelines, and ports for state machines, objects and data files."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, BinaryIO, Literal, NamedTuple, Protocol

from chalicelib.people.port import Share
from conducto_core.asl.rules.compiler import Machine
from conducto_core.cache.marks import Marks
from conducto_core.notifications.model import NotificationRecord
from conducto_core.run.model.records import (
    AttemptRecord,
    ChangeRow,
    PipelineRecord,
)
from conducto_core.run.model.responses import ChangedData, DataEntry, DataList, Deleted

#: Kinds of what `JournalStore.keep_tree` stores, for the migrations of their schema.
TreeKind = Literal["tree", "definition", "plan"]


class TreeReader(Protocol):
    """Reads what `JournalStore.keep_tree` stored for one pipeline."""

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
        entry: Number of the entry whose write has ended the turn; 0: it was changed by itself.
    """

    version: int = 0
    state: TurnState = TurnState.QUIET
    entry: int = 0


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
        open: `JournalStore.open_pipelines` lists the pipeline: it is not settled, or has workers.
        asks: `JournalStore.asking_pipelines` lists the pipeline: an approval waits for a decision.
        turn: Reject the entry if the version of the turn is another one; None: do not check.
        opens: Open the turn in the same transaction: this is its last entry.
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
    opens: bool = False


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

    def delete_below(self, prefix: str) -> None:
        """Delete all objects whose keys begin with a prefix."""

    def bytes_below(self, prefix: str) -> int:
        """Return the size of all objects whose keys begin with a prefix."""


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

    def save_contents(self, directory: str, contents: str, wrote: Mapping[str, str]) -> int:
        """Save the contents of the files that an attempt wrote; return their bytes."""

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
