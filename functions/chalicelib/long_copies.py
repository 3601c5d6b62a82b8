"""Copies between bucket and file system that take longer than API Gateway waits.

The data function makes them by itself, and who wants one asks again until it is over. What it says
meanwhile lies in the bucket, beside the key that the copy is about::

    <key>.at    how far it is; put there anew while it goes on
    <key>.end   what came of it
"""

import json
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Literal, NamedTuple

from chalicelib.cloud import Cloud
from chalicelib.ports import Blobs
from conducto.model.answers import DataEntry
from conducto.service.port import NotFoundError, RefusedError

logger = logging.getLogger(__name__)

What = Literal["stage", "fetch"]

#: Bytes that are copied while the request waits; a second or two.
MAX_AT_ONCE = 32 << 20
#: Seconds between two words of how far a copy is, and seconds of silence after which it is dead.
SAY_SECONDS = 5.0
SILENT_SECONDS = 150.0
_ERRORS = {"not_found": NotFoundError, "refused": RefusedError, "failed": RefusedError}


class Progress(NamedTuple):
    """How far a copy is, in bytes."""

    done: int
    size: int


class BeingCopiedError(Exception):
    """A copy goes on; the message says how far it is, for a person.

    Attributes:
        remedy: What to do.
    """

    def __init__(self, name: str, progress: Progress) -> None:
        done, size = (f"{count / 1e6:,.0f}" for count in progress)
        super().__init__(f"{name} is being copied: {done} of {size} MB")
        self.remedy = "ask again in some seconds"


class LongCopies:
    """Begins copies, and tells how they are."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._blobs = cloud.blobs

    def stage(self, directory: str, name: str, key: str, size: int) -> None:
        """Return once a file of the file system is at a key of the bucket.

        Raises:
            BeingCopiedError: it is not, yet.
            NotFoundError, RefusedError: it cannot be.
        """
        if self._blobs.exists(key):
            return
        if self._is_forgotten(key):
            self._forget(key)
        self._ask("stage", directory, name, key, size)

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
        last_said = self._blobs.put_at(key + ".at")
        if last_said is None or self._cloud.clock() - last_said > SILENT_SECONDS:
            progress = Progress(0, size)
            say(self._blobs, key, progress)
            self._cloud.data.begin(what, directory, name, key)
        else:
            progress = Progress(*json.loads(self._blobs.get(key + ".at") or b"[0, 0]"))
        raise BeingCopiedError(name, progress)

    def _is_forgotten(self, key: str) -> bool:
        """Return whether a copy that ended well is not there any more: the bucket keeps it days."""
        ended = self._blobs.get(key + ".end")
        return ended is not None and "error" not in json.loads(ended)

    def _forget(self, key: str) -> None:
        for suffix in (".end", ".at"):
            self._blobs.delete(key + suffix)


def say(blobs: Blobs, key: str, progress: Progress) -> None:
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
            say(self._blobs, self._key, Progress(self._done, self._size))
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
