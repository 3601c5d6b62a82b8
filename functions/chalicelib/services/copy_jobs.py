"""Copies between bucket and file system that take longer than API Gateway waits.

The data function makes them by itself, and who wants one asks again until it is over. What it says
meanwhile lies in the bucket, beside the key that the copy is about::

    <key>.at    how far it is; put there anew while it goes on
    <key>.end   what came of it

A key is that of a version of a file. Which copy of a file a person asked for last is in an object
of its own: a file that is being written has a new version each time somebody asks.
"""

import json
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, NamedTuple

from chalicelib.domain.data_protocol import What
from chalicelib.ports import Blobs
from chalicelib.services.dependencies import Dependencies
from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.model.responses import DataEntry

logger = logging.getLogger(__name__)


#: Bytes that are copied while the request waits; a second or two.
MAX_AT_ONCE = 32 << 20
#: Seconds between two words of how far a copy is, and seconds of silence after which it is dead.
SAY_SECONDS = 5.0
SILENT_SECONDS = 150.0
#: Seconds for which a copy that is ready is handed out though the file has changed since.
HANDED_SECONDS = 15.0
_ERRORS = {"not_found": NotFoundError, "refused": RefusedError, "failed": RefusedError}


class Progress(NamedTuple):
    """How far a copy is, in bytes."""

    done: int
    size: int


class Copy(NamedTuple):
    """Of a version of a file, at a key of the bucket."""

    key: str
    size: int
    version: str


class CopyRunningError(Exception):
    """A copy goes on; the message says how far it is, for a person.

    Attributes:
        remedy: What to do.
    """

    def __init__(self, name: str, progress: Progress) -> None:
        done, size = (f"{count / 1e6:,.0f}" for count in progress)
        super().__init__(f"{name} is being copied: {done} of {size} MB")
        self.remedy = "ask again in some seconds"


class CopyJobs:
    """Begins copies, and tells how they are."""

    def __init__(self, cloud: Dependencies) -> None:
        self._cloud = cloud
        self._blobs = cloud.blobs

    def stage(self, directory: str, name: str, wanted: Copy, last: str) -> Copy:
        """Return the copy of a file in the bucket.

        It may be one of how the file was when the same person began to ask, if that is just ready:
        a file that is being written would be copied for ever, and as often as somebody asks.

        Args:
            directory: Of the file.
            name: Its name in there.
            wanted: The copy of how it is now.
            last: Key of what says which copy was asked for last.

        Raises:
            BeingCopiedError: it is not there, yet.
            NotFoundError, RefusedError: it cannot be.
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
        fresh = ended is not None and self._cloud.clock() - ended <= HANDED_SECONDS
        return fresh and self._blobs.exists(key)

    def fetch(self, directory: str, name: str, key: str, size: int) -> DataEntry:
        """Return what a file is like that was put into the file system from the bucket.

        Raises:
            BeingCopiedError: it is not there, yet.
            NotFoundError, RefusedError: it cannot be put there.
        """
        return DataEntry.model_validate(self._ask("fetch", directory, name, key, size))

    def _ask(self, what: What, directory: str, name: str, key: str, size: int) -> Any:
        ended = self._blobs.get(key + ".end")
        if ended is not None:
            said = json.loads(ended)
            if "error" in said:  # who asks once more tries once more
                self._forget(key)
                raise _ERRORS[said["error"]](said["message"])
            return said["answer"]
        progress = self._progress(key)
        if progress is None:
            progress = Progress(0, size)
            write_progress(self._blobs, key, progress)
            self._cloud.data.begin(what, directory, name, key)
        raise CopyRunningError(name, progress)

    def _progress(self, key: str) -> Progress | None:
        """Return how far a copy is; None where nothing was heard of one for long."""
        said = self._blobs.put_at(key + ".at")
        if said is None or self._cloud.clock() - said > SILENT_SECONDS:
            return None
        return Progress(*json.loads(self._blobs.get(key + ".at") or b"[0, 0]"))

    def _is_forgotten(self, key: str) -> bool:
        """Return whether a copy that ended well is not there any more: the bucket keeps it days."""
        ended = self._blobs.get(key + ".end")
        return ended is not None and "error" not in json.loads(ended)

    def _forget(self, key: str) -> None:
        for suffix in (".end", ".at"):
            self._blobs.delete(key + suffix)


def write_progress(blobs: Blobs, key: str, progress: Progress) -> None:
    """Tell how far the copy about a key is."""
    blobs.put(key + ".at", json.dumps(progress).encode())


def end(blobs: Blobs, key: str, said: dict[str, Any]) -> None:
    """Tell what came of the copy about a key."""
    blobs.put(key + ".end", json.dumps(said).encode())


class Counter:
    """Counts what goes through, and tells it from time to time."""

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
        """Count some bytes."""
        self._done += count
        if self._clock() - self._said >= SAY_SECONDS:
            write_progress(self._blobs, self._key, Progress(self._done, self._size))
            self._said = self._clock()

    def pieces(self, content: Iterator[bytes]) -> Iterator[bytes]:
        """Yield pieces of content that is counted."""
        for piece in content:
            self.add(len(piece))
            yield piece


class Counted:
    """A file that counts what is read of it."""

    def __init__(self, file: BinaryIO, counter: Counter) -> None:
        self._file = file
        self._counter = counter

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        piece = self._file.read(size)
        self._counter.add(len(piece))
        return piece
