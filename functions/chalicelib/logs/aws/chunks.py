"""Joins the chunks of a complete stream of output into one object of compressed members."""

import gzip
import zlib
from array import array
from bisect import bisect_right
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, NamedTuple

from chalicelib.aws.dynamodb import Item
from chalicelib.aws.s3 import ObjectWriter, S3Bucket

# ----------------------------------------------------------------------------------------
# The compressed chunks of output, and the index of an object that joins many of them.


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


#: Minimum bytes of output in a member, except for the last one. Reading any part of a member reads
#: the whole.
MEMBER = 1 << 20
#: Maximum number of members with this size: later members are larger, so that the index fits into
#: an item.
_MEMBERS = 4096
_READERS = 8


class _Joined:
    """The object under construction."""

    def __init__(self, writer: ObjectWriter) -> None:
        self._writer = writer
        self._small = bytearray()
        self.members = Members()

    def add(self, packed: bytes, size: int) -> None:
        """Add a chunk; a large one becomes a member as it is."""
        wanted = MEMBER * (1 + len(self.members.ends) // _MEMBERS)
        if size >= wanted:
            self._flush()
            self._write(packed, size, unpacked_chunk(packed, size).count(b"\n"))
            return
        self._small += unpacked_chunk(packed, size)
        if len(self._small) >= wanted:
            self._flush()

    def end(self) -> None:
        """Complete the object."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._small:
            data = bytes(self._small)
            self._small.clear()
            self._write(packed_chunk(data), len(data), data.count(b"\n"))

    def _write(self, packed: bytes, size: int, lines: int) -> None:
        self._writer.write(packed)
        self.members.add(size, len(packed), lines)


def join_chunks(
    bucket: S3Bucket,
    place: str,
    chunks: Iterable[tuple[str, Mapping[str, Any]]],
    minimum: int,
) -> Item | None:
    """Join chunks to an object; return the item that describes it, or None if they are few.

    Args:
        bucket: Contains the large chunks.
        place: Key of the new object; the times of output are beside it.
        chunks: The items of all chunks of a stream.
        minimum: Number of chunks that are worth it.
    """
    first: list[Mapping[str, Any]] = []
    rest = (item for _, item in chunks)
    for item in rest:
        first.append(item)
        if len(first) >= minimum:
            break
    else:
        return None
    writer, times = bucket.writer(place), bytearray()
    joined = _Joined(writer)
    try:
        for item, packed in _read(bucket, _both(first, rest)):
            joined.add(packed, int(item["size"]))
            times += item.get("times", b"")
        joined.end()
    except BaseException:
        writer.abort()
        raise
    document = joined.members.document()
    found: dict[str, Any] = {"size": joined.members.size, "object": place, "index": document}
    if times:
        bucket.put(f"{place}.times", bytes(times))
        found["times"] = f"{place}.times"
    return found


def _both(
    first: list[Mapping[str, Any]], rest: Iterator[Mapping[str, Any]]
) -> Iterator[Mapping[str, Any]]:
    yield from first
    first.clear()
    yield from rest


def _read(
    bucket: S3Bucket, items: Iterable[Mapping[str, Any]]
) -> Iterator[tuple[Mapping[str, Any], bytes]]:
    """Yield each item and its compressed chunk, reading some objects ahead."""
    waiting: deque[tuple[Mapping[str, Any], Future[bytes] | None]] = deque()

    def first() -> tuple[Mapping[str, Any], bytes]:
        item, reading = waiting.popleft()
        return item, bytes(item["packed"]) if reading is None else reading.result()

    with ThreadPoolExecutor(_READERS) as readers:
        for item in items:
            place = item.get("object")
            waiting.append((item, readers.submit(bucket.whole, place) if place else None))
            while len(waiting) > _READERS:
                yield first()
        while waiting:
            yield first()


# ----------------------------------------------------------------------------------------
# Finds the last lines of a stream of output from its last chunks.


#: Bytes from which on the contents of an end are not wanted.
LARGE = 1 << 20


class End(NamedTuple):
    """The end of a stream or of a part of it.

    Attributes:
        size: Number of bytes before it.
        ended: Number of line ends before it; None: unknown, because chunks of an older version
            do not have it.
    """

    size: int
    ended: int | None

    def after(self, size: int, lines: int) -> "End":
        """Return the end after a chunk of this size with this number of line ends."""
        return End(self.size + size, None if self.ended is None else self.ended + lines)


#: The end of an empty stream.
EMPTY = End(0, 0)


class LastChunks(NamedTuple):
    """The end of a stream.

    Attributes:
        start: Where it starts.
        end: Where it ends.
        items: Its chunks, or none if they are large.
    """

    start: End
    end: End
    items: tuple[Mapping[str, Any], ...]


def start_of(offset: int, item: Mapping[str, Any]) -> End:
    """Return the end of the part before a chunk, which starts at ``offset``."""
    ended = item.get("ended")
    return End(offset, None if ended is None else int(ended))


def end_of(offset: int, item: Mapping[str, Any]) -> End:
    """Return the end of the part up to and including a chunk."""
    return start_of(offset, item).after(int(item["size"]), int(item.get("lines", 0)))


def last_chunks(
    backwards: Iterable[tuple[str, Mapping[str, Any]]], lines: int
) -> LastChunks | None:
    """Return an end of a stream that has more than ``lines`` line ends, or all of it.

    None: the numbers of line ends are not known, or the stream is empty, joined, or being joined.

    Args:
        backwards: The sort keys and items of all chunks, from the last one.
        lines: Number of line ends.
    """
    end = start = None
    items: list[Mapping[str, Any]] = []
    for sort, item in backwards:
        if "ended" not in item:
            return None
        offset = int(sort)
        if start is not None and offset + int(item["size"]) != start.size:
            return None
        end = end or end_of(offset, item)
        start = start_of(offset, item)
        items.append(item)
        total, ended = end.ended or 0, start.ended or 0
        is_large = end.size - offset > LARGE
        if is_large:
            items.clear()
        if total - ended > lines:
            return LastChunks(start, end, tuple(reversed(items)))
        if is_large and total <= lines:
            return LastChunks(EMPTY, end, ())
    if start is None or end is None or start.size > 0:
        return None
    return LastChunks(start, end, tuple(reversed(items)))
