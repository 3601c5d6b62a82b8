"""The store of command output."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from chalicelib.run.port import Blobs, DataFiles, no_check
from conducto_core.command.output import LineTime

#: Output streams, and the resource usage of the command.
Stream = Literal[
    "stdout",
    "stderr",
    "resources",
    "result",
    "metrics",
    "artifacts",
    "annotations",
    "tests",
    "coverage",
    "services",
    "files",
]


class LogKey(NamedTuple):
    """One output stream of one attempt."""

    pipeline_id: str
    path: str
    attempt: int
    stream: Stream


class Uploaded(NamedTuple):
    """A chunk that its worker has uploaded.

    Attributes:
        place: Key of the object, a gzip.
        size: Bytes of output.
        lines: Number of line ends in it.
    """

    place: str
    size: int
    lines: int


class Tail(NamedTuple):
    """The end of a stream.

    Attributes:
        start: Position of its first byte.
        ended: Number of line ends before ``start``.
        size: Bytes of the stream.
        total: Number of line ends in the stream.
        data: All bytes from ``start``, or none if they are many.
    """

    start: int
    ended: int
    size: int
    total: int
    data: bytes


class LogStore(Protocol):
    """Command output (small chunks in DynamoDB, large ones in S3)."""

    def append(self, key: LogKey, offset: int, data: bytes, times: bytes = b"") -> None:
        """Append bytes at ``offset``; skips bytes that are already stored.

        ``times`` are packed records of `conducto_core.command.output`; the first one is at
        or in front of ``offset``.

        Raises:
            ConflictError: ``offset`` is beyond the end.
        """

    def place_for(self, key: LogKey, offset: int, name: str) -> str:
        """Return the key under which the worker of an attempt may upload a chunk."""

    def append_uploaded(self, key: LogKey, offset: int, chunk: Uploaded, times: bytes) -> None:
        """Append an uploaded chunk at ``offset``; otherwise as `append`.

        Raises:
            LookupError: It was not uploaded, or not to a place of this stream.
            ValueError: It is empty.
        """

    def join(self, key: LogKey) -> bool:
        """Join the chunks of a complete stream; return False if they are few."""

    def size(self, key: LogKey) -> int:
        """Return the size in bytes."""

    def read(self, key: LogKey, offset: int, limit: int) -> bytes:
        """Return up to ``limit`` bytes starting at ``offset``."""

    def stream(self, key: LogKey, offset: int, limit: int) -> Iterator[bytes]:
        """Yield up to ``limit`` bytes starting at ``offset``, in parts of some MB at most."""

    def line_ends(self, key: LogKey, offset: int) -> Iterator[tuple[int, int]]:
        """Yield ``(end, number of line ends within)`` of each chunk that ends after ``offset``.

        ``offset`` is 0 or the end of a chunk.
        """

    def tail(self, key: LogKey, lines: int) -> Tail | None:
        """Return an end of a stream that has more than ``lines`` line ends, or all of it.

        None: the numbers of lines are not known without reading all chunks (`line_ends`).
        """

    def times(self, key: LogKey, start: int, end: int) -> tuple[LineTime, ...]:
        """Return the records of the times of a part, with the last one in front of it."""

    def note_reader(self, pipeline_id: str, until: float) -> None:
        """Record that a client follows the output of a pipeline until a time."""

    def has_reader(self, pipeline_id: str, now: float) -> bool:
        """Return whether a client follows the output."""

    def object_bytes(self, pipeline_id: str) -> int:
        """Return the size of a pipeline's output and results in the bucket."""

    def forget(self, pipeline_id: str, check: Callable[[], None] = no_check) -> None:
        """Delete all output of a pipeline; ``check`` is that of `JournalStore.forget`."""


@dataclass(frozen=True)
class Storage:
    """Output and files.

    Attributes:
        join_output: Joins the chunks of a complete stream (`LogStore.join`) in the background.
        log_bucket: The administrator's bucket for copies of output; None: there is none.
    """

    logs: LogStore
    blobs: Blobs
    data: DataFiles
    join_output: Callable[[LogKey], None] = lambda _key: None
    log_bucket: Blobs | None = None
