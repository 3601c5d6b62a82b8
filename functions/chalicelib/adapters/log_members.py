"""The compressed chunks of output, and the index of an object that joins many of them."""

import gzip
import zlib
from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from threading import Lock
from typing import NamedTuple

#: Accepts gzip and zlib.
_ANY_FORMAT = 47
#: Compression level of chunks: text is not much smaller at higher levels.
_LEVEL = 6


def packed_chunk(data: bytes) -> bytes:
    """Return a chunk as a member of a gzip file."""
    return gzip.compress(data, _LEVEL, mtime=0)


def unpacked_chunk(data: bytes, size: int) -> bytes:
    """Return the ``size`` bytes of a compressed chunk.

    The worker that sent a chunk states its size. If that is wrong, line ends are added, and bytes
    beyond it are ignored: a worker can only damage its own output.
    """
    if size <= 0:
        return b""
    try:
        found = zlib.decompressobj(_ANY_FORMAT).decompress(data, size)
    except zlib.error:
        found = b""
    return found.ljust(size, b"\n")


class Member(NamedTuple):
    """A member of a joined object.

    Attributes:
        start: Position of its first byte in the stream.
        size: Bytes of output.
        place: Position of its first compressed byte in the object.
        packed: Compressed bytes.
    """

    start: int
    size: int
    place: int
    packed: int


def _numbers() -> "array[int]":
    return array("Q")


@dataclass(slots=True)
class Members:
    """The positions of the members of a joined object.

    Attributes:
        ends: Of each member, the position in the stream after its last byte.
        places: The same in the object.
        lines: Number of lines that end up to there.
    """

    ends: "array[int]" = field(default_factory=_numbers)
    places: "array[int]" = field(default_factory=_numbers)
    lines: "array[int]" = field(default_factory=_numbers)

    @classmethod
    def parse(cls, data: bytes) -> "Members":
        """Return the index that `document` wrote."""
        numbers = _numbers()
        numbers.frombytes(zlib.decompress(data))
        count = len(numbers) // 3
        return cls(numbers[:count], numbers[count : 2 * count], numbers[2 * count :])

    def document(self) -> bytes:
        """Return the index as bytes."""
        return zlib.compress((self.ends + self.places + self.lines).tobytes())

    def add(self, size: int, packed: int, lines: int) -> None:
        """Add a member with these numbers of bytes, compressed bytes, and line ends."""
        for numbers, number in ((self.ends, size), (self.places, packed), (self.lines, lines)):
            numbers.append((numbers[-1] if numbers else 0) + number)

    @property
    def size(self) -> int:
        """Bytes of output."""
        return self.ends[-1] if self.ends else 0

    def from_position(self, offset: int) -> Iterator[Member]:
        """Yield the member that contains a position, and those after it."""
        for number in range(bisect_right(self.ends, offset), len(self.ends)):
            start = self.ends[number - 1] if number else 0
            place = self.places[number - 1] if number else 0
            yield Member(start, self.ends[number] - start, place, self.places[number] - place)

    def points(self, offset: int) -> Iterator[tuple[int, int]]:
        """Yield ``(end, line ends within)`` of each member that ends after a position."""
        for number in range(bisect_right(self.ends, offset), len(self.ends)):
            yield self.ends[number], self.lines[number] - (self.lines[number - 1] if number else 0)


class ChunkCache:
    """The chunks that were read last, which consecutive reads of a large chunk need again.

    Args:
        limit: Maximum bytes.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._size = 0
        self._lock = Lock()

    def get(self, place: str, start: int, read: Callable[[], bytes]) -> bytes:
        """Return a chunk of an object, which never changes; ``read`` reads it."""
        key = place, start
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        data = read()
        with self._lock:
            if key not in self._kept:
                self._size += len(data)
            self._kept[key] = data
            while self._size > self._limit:
                self._size -= len(self._kept.popitem(last=False)[1])
        return data
