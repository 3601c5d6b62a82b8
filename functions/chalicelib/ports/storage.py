"""Where bytes are: in the bucket, and in the file system of commands."""

from collections.abc import Iterator
from typing import BinaryIO, Literal, NamedTuple, Protocol

from conducto_core.model.responses import ChangedData, DataEntry, DataList, Deleted


class Blobs(Protocol):
    """Large things that clients and workers send and fetch by themselves (S3)."""

    def upload_url(self, key: str, *, size: int | None = None, seconds: int | None = None) -> str:
        """Return a URL that takes PUTs, for some minutes or ``seconds``."""

    def download_url(self, key: str, *, filename: str, seconds: int | None = None) -> str:
        """Return a URL that answers GETs, for some minutes or ``seconds``."""

    def exists(self, key: str) -> bool:
        """Return whether something is there."""

    def size(self, key: str) -> int | None:
        """Return how many bytes are there; None: there is nothing."""

    def put_at(self, key: str) -> float | None:
        """Return when what is there was put there, in seconds since the epoch; None: nothing is."""

    def get(self, key: str) -> bytes | None:
        """Return what is there."""

    def put(self, key: str, data: bytes) -> None:
        """Keep it."""

    def put_file(self, key: str, file: BinaryIO) -> None:
        """Keep what is in an open file, however large."""

    def pieces(self, key: str) -> Iterator[bytes] | None:
        """Return what is there in pieces of some MB, or None."""

    def delete(self, key: str) -> None:
        """Forget it; what is not there is no error."""


class FileFacts(NamedTuple):
    """What is known of a data file without reading it; ``version`` differs when it changes."""

    size: int
    version: str


class DataFiles(Protocol):
    """Data files, where the file system is; a ``directory`` is one of `model.deployment`'s.

    Every method raises `conducto_core.errors.NotFoundError` for what is not there, and
    `RefusedError` for a name that leads out of the directory or is of the wrong kind.
    """

    def entries(self, directory: str, name: str, after: str | None, limit: int) -> DataList:
        """Return a page of the entries of a directory, by name."""

    def changed(self, directory: str, since: float, until: float | None, limit: int) -> ChangedData:
        """Return the files that were written last within a time, the newest first."""

    def look(self, directory: str, name: str) -> FileFacts:
        """Return how many bytes a file has, and which version of it is there."""

    def stage(self, directory: str, name: str, key: str) -> None:
        """Copy a file to a key of the bucket."""

    def write(self, directory: str, name: str, data: bytes) -> DataEntry:
        """Put a file of at most 4 MB there."""

    def fetch(self, directory: str, name: str, key: str) -> DataEntry:
        """Put a file there that is at a key of the bucket."""

    def begin(self, what: Literal["stage", "fetch"], directory: str, name: str, key: str) -> None:
        """Start to stage or fetch a file, and return at once (`services.copy_jobs`)."""

    def delete(self, directory: str, name: str) -> Deleted:
        """Delete a file, or a directory with what is in it."""

    def forget(self, directory: str) -> None:
        """Delete a directory of `model.deployment`'s; one that is not there is no error."""
