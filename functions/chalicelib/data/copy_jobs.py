"""Copies between bucket and file system that take longer than API Gateway's timeout.

The data function copies in the background, and the client polls until the copy is finished. Its
progress is in the bucket, beside the key of the copy::

    <key>.at    the progress; updated while the copy runs
    <key>.end   the result

A key identifies a version of a file. The latest copy that a user requested of a file has an object
of its own, because a file that is being written has a new version at each request.
"""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, NamedTuple

from chalicelib.data.model import What
from chalicelib.logs.port import Storage
from chalicelib.run.port import Blobs
from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.run.model.responses import DataEntry

#: Bytes that are copied within the request, which takes a second or two.
MAX_AT_ONCE = 32 << 20
#: Seconds between progress updates, and seconds without one after which a copy counts as dead.
SAY_SECONDS = 5.0
SILENT_SECONDS = 150.0
#: Seconds for which a finished copy is served although the file has changed since.
HANDED_SECONDS = 15.0
_ERRORS = {"not_found": NotFoundError, "refused": RefusedError, "failed": RefusedError}


class CopyProgress(NamedTuple):
    """The progress of a copy, in bytes."""

    done: int
    size: int


class Copy(NamedTuple):
    """A copy of a version of a file, at a key of the bucket."""

    key: str
    size: int
    version: str


class CopyRunningError(Exception):
    """A copy is running; the message shows its progress.

    Attributes:
        remedy: What to do next.
    """

    def __init__(self, name: str, progress: CopyProgress) -> None:
        done, size = (f"{count / 1e6:,.0f}" for count in progress)
        super().__init__(f"{name} is being copied: {done} of {size} MB")
        self.remedy = "retry in a few seconds"


class CopyJobs:
    """Starts copies and reports their progress."""

    def __init__(self, storage: Storage, clock: Callable[[], float]) -> None:
        self._storage = storage
        self._clock = clock
        self._blobs = storage.blobs

    def stage(self, directory: str, name: str, wanted: Copy, last: str) -> Copy:
        """Return the copy of a file in the bucket.

        The copy may be of the version at the user's first request, if it has just finished: a file
        that is being written would otherwise be copied again at every request, without end.

        Args:
            directory: Directory of the file.
            name: Its name in the directory.
            wanted: The copy of the current version.
            last: Key of the object with the latest requested copy.

        Raises:
            CopyRunningError: The copy is not finished.
            NotFoundError: The file does not exist.
            RefusedError: The file cannot be copied.
        """
        if self._blobs.exists(wanted.key):
            return wanted
        known = self._blobs.get(last)
        before = wanted if known is None else Copy(*json.loads(known))
        if before.key != wanted.key:
            if self._is_just_ready(before.key):
                self._blobs.delete(last)
                return before
            progress = self._progress(before.key)
            if progress is not None and not self._blobs.exists(before.key + ".end"):
                raise CopyRunningError(name, progress)
        if known is None or before != wanted:
            self._blobs.put(last, json.dumps(wanted).encode())
        if self._is_forgotten(wanted.key):
            self._forget(wanted.key)
        self._ask("stage", directory, name, wanted.key, wanted.size)
        return wanted

    def _is_just_ready(self, key: str) -> bool:
        ended = self._blobs.put_at(key + ".end")
        fresh = ended is not None and self._clock() - ended <= HANDED_SECONDS
        return fresh and self._blobs.exists(key)

    def fetch(self, directory: str, name: str, key: str, size: int) -> DataEntry:
        """Return the entry of a file copied from the bucket; raises `CopyRunningError`."""
        return DataEntry.model_validate(self._ask("fetch", directory, name, key, size))

    def _ask(self, what: What, directory: str, name: str, key: str, size: int) -> Any:
        ended = self._blobs.get(key + ".end")
        if ended is not None:
            said = json.loads(ended)
            if "error" in said:  # a repeated request retries a failed copy
                self._forget(key)
                raise _ERRORS[said["error"]](said["message"])
            return said["answer"]
        progress = self._progress(key)
        if progress is None:
            progress = CopyProgress(0, size)
            write_progress(self._blobs, key, progress)
            self._storage.data.begin(what, directory, name, key)
        raise CopyRunningError(name, progress)

    def _progress(self, key: str) -> CopyProgress | None:
        """Return the progress of a copy, or None if it was not updated for `SILENT_SECONDS`."""
        said = self._blobs.put_at(key + ".at")
        if said is None or self._clock() - said > SILENT_SECONDS:
            return None
        return CopyProgress(*json.loads(self._blobs.get(key + ".at") or b"[0, 0]"))

    def _is_forgotten(self, key: str) -> bool:
        """Return whether a finished copy has expired: the bucket keeps it for days."""
        ended = self._blobs.get(key + ".end")
        return ended is not None and "error" not in json.loads(ended)

    def _forget(self, key: str) -> None:
        for suffix in (".end", ".at"):
            self._blobs.delete(key + suffix)


def write_progress(blobs: Blobs, key: str, progress: CopyProgress) -> None:
    blobs.put(key + ".at", json.dumps(progress).encode())


def end(blobs: Blobs, key: str, said: dict[str, Any]) -> None:
    """Write the result of a copy."""
    blobs.put(key + ".end", json.dumps(said).encode())


class Counter:
    """Counts copied bytes and writes the progress regularly."""

    def __init__(
        self, blobs: Blobs, key: str, size: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._blobs = blobs
        self._key = key
        self._size = size
        self._done = 0
        self._said = clock()

    def add(self, count: int) -> None:
        """Add a number of bytes."""
        self._done += count
        if self._clock() - self._said >= SAY_SECONDS:
            write_progress(self._blobs, self._key, CopyProgress(self._done, self._size))
            self._said = self._clock()

    def chunks(self, content: Iterator[bytes]) -> Iterator[bytes]:
        """Yield the chunks of some content, counting them."""
        for chunk in content:
            self.add(len(chunk))
            yield chunk


class Counted:
    """A file that counts the bytes that are read from it."""

    def __init__(self, file: BinaryIO, counter: Counter) -> None:
        self._file = file
        self._counter = counter

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        chunk = self._file.read(size)
        self._counter.add(len(chunk))
        return chunk
