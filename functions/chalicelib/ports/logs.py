"""The store of command output."""

from collections.abc import Callable
from typing import Literal, NamedTuple, Protocol

from chalicelib.ports.journal import no_check
from conducto_core.runtime.line_times import LineTime

#: Output streams, and the resource usage of the command.
Stream = Literal["stdout", "stderr", "resources", "result", "metrics", "artifacts"]


class LogKey(NamedTuple):
    """One output stream of one attempt."""

    pipeline_id: str
    path: str
    attempt: int
    stream: Stream


class LogStore(Protocol):
    """Command output (small chunks in DynamoDB, large ones in S3)."""

    def append(self, key: LogKey, offset: int, data: bytes, times: bytes = b"") -> None:
        """Append bytes at ``offset``; skips bytes that are already stored.

        ``times`` are packed records of `conducto_core.runtime.line_times`; the first one is at
        or in front of ``offset``.

        Raises:
            ConflictError: ``offset`` is beyond the end.
        """

    def size(self, key: LogKey) -> int:
        """Return the size in bytes."""

    def read(self, key: LogKey, offset: int, limit: int) -> bytes:
        """Return up to ``limit`` bytes starting at ``offset``."""

    def times(self, key: LogKey, start: int, end: int) -> tuple[LineTime, ...]:
        """Return the records of the times of a part, with the last one in front of it."""

    def note_reader(self, pipeline_id: str, until: float) -> None:
        """Record that a client follows the output of a pipeline until a time."""

    def has_reader(self, pipeline_id: str, now: float) -> bool:
        """Return whether a client follows the output."""

    def forget(self, pipeline_id: str, check: Callable[[], None] = no_check) -> None:
        """Delete all output of a pipeline; ``check`` is that of `Store.forget`."""
