"""Where output is."""

from typing import Literal, NamedTuple, Protocol

#: What commands print, and what they used meanwhile.
Stream = Literal["stdout", "stderr", "resources"]


class LogKey(NamedTuple):
    """One output stream of one attempt."""

    pipeline_id: str
    path: str
    attempt: int
    stream: Stream


class LogStore(Protocol):
    """What commands print (small chunks in DynamoDB, large ones in S3)."""

    def append(self, key: LogKey, offset: int, data: bytes) -> None:
        """Add bytes at ``offset``; what is there already is left, a gap is refused.

        Raises:
            ConflictError: ``offset`` is beyond the end.
        """

    def size(self, key: LogKey) -> int:
        """Return how many bytes there are."""

    def read(self, key: LogKey, offset: int, limit: int) -> bytes:
        """Return at most ``limit`` bytes from ``offset`` on."""

    def note_reader(self, pipeline_id: str, until: float) -> None:
        """Note that somebody reads output of a pipeline as it comes, at least until a time."""

    def has_reader(self, pipeline_id: str, now: float) -> bool:
        """Return whether somebody does."""

    def forget(self, pipeline_id: str) -> None:
        """Delete all output of a pipeline."""
