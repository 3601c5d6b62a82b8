"""Storage: the bucket, and the file system of commands."""

from collections.abc import Iterator
from typing import BinaryIO, Literal, NamedTuple, Protocol

from conducto_core.model.responses import ChangedData, DataEntry, DataList, Deleted


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

    def look(self, directory: str, name: str) -> FileFacts:
        """Return the size and version of a file."""

    def stage(self, directory: str, name: str, key: str) -> None:
        """Copy a file to an object in the bucket."""

    def write(self, directory: str, name: str, data: bytes) -> DataEntry:
        """Write a file of up to 4 MB."""

    def fetch(self, directory: str, name: str, key: str) -> DataEntry:
        """Write a file from an object in the bucket."""

    def begin(self, what: Literal["stage", "fetch"], directory: str, name: str, key: str) -> None:
        """Start staging or fetching a file, and return at once (`services.copy_jobs`)."""

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
