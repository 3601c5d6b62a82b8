"""Joins the chunks of a complete stream of output into one object of compressed members."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from chalicelib.adapters.dynamodb import Item
from chalicelib.adapters.log_members import Members, packed_chunk, unpacked_chunk
from chalicelib.adapters.s3 import ObjectWriter, S3Bucket

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
