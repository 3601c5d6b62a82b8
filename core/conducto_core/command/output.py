"""The times of output: when each part of a stream was read from the command's pipe.

The index has a record for each part that was read at least `RESOLUTION` seconds after the part of
the record before: the position of its first byte, and the time. So a line's time is known to within
`RESOLUTION`, and a stream has at most ten records a second, of 16 bytes each. In the cloud, where a
kilobyte has a price, it is `CLOUD_RESOLUTION`.
"""

import base64
import struct
from collections.abc import Callable, Sequence
from typing import Any, Final

from conducto_core.tree.model import unpack_tree

RECORD = struct.Struct("<Qd")
#: Seconds.
RESOLUTION = 0.1
CLOUD_RESOLUTION = 0.5
#: Maximum number of records in a response; a reader requests smaller parts if it needs more.
MAX_TIMES = 20_000

#: ``(offset, time)``: bytes from this offset on were read at this time, or a moment later.
LineTime = tuple[int, float]


class LineClock:
    """Decides for each part of one stream whether the index gets a record."""

    def __init__(self, clock: Callable[[], float], resolution: float = RESOLUTION) -> None:
        self._clock = clock
        self._resolution = resolution
        self._last = float("-inf")

    def record(self, offset: int) -> LineTime | None:
        """Return the record for output that was read now; None if the last one is recent enough."""
        now = self._clock()
        if 0 <= now - self._last < self._resolution:
            return None
        self._last = now
        return offset, now


def packed(times: Sequence[LineTime]) -> bytes:
    return b"".join(RECORD.pack(*each) for each in times)


def unpacked(data: bytes) -> list[LineTime]:
    """Return stored records; an incomplete one at the end is ignored."""
    whole = len(data) // RECORD.size * RECORD.size
    return [(offset, time) for offset, time in RECORD.iter_unpack(data[:whole])]


def part_of(times: Sequence[LineTime], start: int, end: int) -> tuple[LineTime, ...]:
    """Return the records for a part of a stream, with the last one in front of it, each once."""
    before = [each for each in times if each[0] <= start][-1:]
    within = dict.fromkeys(each for each in times if start < each[0] < end)
    return (*before, *within)


def times_within(
    read: Callable[[int, int], bytes], count: int, start: int, end: int
) -> tuple[LineTime, ...]:
    """Return the records for a part of a stream, with the last one in front of it.

    Args:
        read: Returns the bytes of records: their number, and the number of the first.
        count: Number of records.
        start: First byte.
        end: Byte after the last.
    """
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if _offset(read, middle) <= start else (low, middle)
    first = max(0, low - 1)
    found = unpacked(read(min(MAX_TIMES, count - first), first))
    return tuple(each for each in found if each[0] < max(end, start + 1))


def _offset(read: Callable[[int, int], bytes], number: int) -> int:
    return int(RECORD.unpack(read(1, number))[0])


# ----------------------------------------------------------------------------------------
# Extraction of the tree that a Lazy's command prints from its output stream.


OPEN: Final = b"<__conducto_serialization>"
CLOSE: Final = b"</__conducto_serialization>"
#: Maximum bytes of a printed tree, packed; 100,000 Execs take about 1 MB.
MAX_PACKED: Final = 64 << 20


class PrintedTreeError(Exception):
    """The printed tree is invalid; the message has the reason and a remedy."""


class TreeExtractor:
    """Splits an output stream into visible output and the block with a tree."""

    def __init__(self) -> None:
        self.blocks = 0
        self._inside = False
        self._held = b""
        self._body = bytearray()
        self._too_large = False

    def feed(self, chunk: bytes) -> bytes:
        """Return the visible part of ``chunk`` and of the held text."""
        data = self._held + chunk
        shown = bytearray()
        while True:
            tag = CLOSE if self._inside else OPEN
            at = data.find(tag)
            if at < 0:
                keep = _partial(data, tag)
                self._consume(data[: len(data) - keep], shown)
                self._held = data[len(data) - keep :]
                return bytes(shown)
            self._consume(data[:at], shown)
            data = data[at + len(tag) :]
            self._inside = not self._inside
            if self._inside:
                self.blocks += 1
                self._body.clear()

    def finish(self) -> bytes:
        """Return the held text, at the end of the stream."""
        held, self._held = self._held, b""
        return b"" if self._inside else held

    def tree(self) -> dict[str, Any]:
        """Return the one printed tree, as the JSON object of the wire form.

        Raises:
            PrintedTreeError: there is none, or there are several, or it is invalid or too large.
        """
        if not self.blocks:
            raise PrintedTreeError(
                "printed no tree; a Lazy's function must return a node and declare it "
                "(-> co.Serial), a Lazy's command must print a serialised tree"
            )
        if self.blocks > 1:
            raise PrintedTreeError(f"printed {self.blocks} trees; a Lazy must print exactly one")
        if self._inside:
            raise PrintedTreeError("printed an incomplete tree; was the command interrupted?")
        if self._too_large:
            raise PrintedTreeError(f"printed a tree of over {MAX_PACKED >> 20} MB; make it smaller")
        body = bytes(self._body)
        try:
            packed = base64.b64decode(b"".join(body.split()), validate=True)
            document = unpack_tree(packed)
        except ValueError as error:
            raise PrintedTreeError(f"printed a broken tree: {error}") from error
        if not isinstance(document, dict):
            raise PrintedTreeError("printed a broken tree: not a JSON object")
        return document

    def _consume(self, data: bytes, shown: bytearray) -> None:
        if not self._inside:
            shown += data
        elif len(self._body) + len(data) > MAX_PACKED:
            self._too_large = True
        else:
            self._body += data


def _partial(data: bytes, tag: bytes) -> int:
    """Return how many bytes at the end of ``data`` may be the start of ``tag``."""
    for size in range(min(len(tag) - 1, len(data)), 0, -1):
        if data.endswith(tag[:size]):
            return size
    return 0
