"""Command output: chunks in the table or in S3, and an index of them in the table.

A chunk is indexed by the offset at which it starts, which must be the end of the preceding chunk;
the first writer of an offset wins. So chunks have neither gaps nor overlaps, even with concurrent
writers.

Chunks are compressed. A small one is in its item: one query reads a megabyte of them, for example
an hour of output at a line per second. A larger one is cheaper in S3, and workers upload it
themselves: DynamoDB charges per kilobyte, S3 per object.

Each chunk has the number of line ends before it, so that the last lines are found from the end
(`chalicelib.logs.aws.chunks`).

The chunks of a complete stream can be joined (`chalicelib.logs.aws.chunks`): one object of
compressed members, and one item with their positions, replace them.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from hashlib import sha256
from secrets import token_hex
from typing import NamedTuple

from chalicelib.aws import table_keys
from chalicelib.aws.dynamodb import DynamoTable, Item, Value
from chalicelib.aws.s3 import S3Bucket
from chalicelib.aws.table_keys import Key
from chalicelib.errors import ConflictError
from chalicelib.logs.aws.chunks import (
    EMPTY,
    ChunkCache,
    End,
    Members,
    end_of,
    join_chunks,
    last_chunks,
    packed_chunk,
    unpacked_chunk,
)
from chalicelib.logs.port import LogKey, Tail, Uploaded
from chalicelib.run.port import no_check
from conducto_core.command.output import LineTime, part_of, unpacked
from conducto_core.installation.names import LOG_PREFIX, PARTITION_KEY
from conducto_core.workers.model import JOINED_CHUNKS, MAX_INLINE_CHUNK

#: Maximum number of objects that are read in parallel, and of bytes that are read ahead.
_READERS = 16
_AHEAD = 16 << 20
#: Minimum seconds between two writes of a reader's mark.
_MARK_SECONDS = 10.0
_READER = "reader"
#: Sorts before the chunks of its stream.
_JOINED = "!"
_DIGITS = 16
#: Number of streams whose ends are cached.
_MAX_ENDS = 10_000


class _Part(NamedTuple):
    """A range of a chunk.

    Attributes:
        place: Key of its object; "": the chunk is ``packed``.
        at: Position of the chunk in the object, and its number of bytes; None: all of the object.
        size: Bytes of the chunk, not compressed.
        skipped: Bytes of the chunk before the range.
        length: Bytes of the range.
    """

    place: str
    packed: bytes
    at: tuple[int, int] | None
    size: int
    skipped: int
    length: int


class _JoinedMeanwhileError(Exception):
    """The chunks were joined while they were read."""


class ChunkedLogs:
    """A `LogStore`."""

    def __init__(self, table: DynamoTable, bucket: S3Bucket) -> None:
        self._table = table
        self._bucket = bucket
        self._ends: dict[LogKey, End] = {}
        self._marked: dict[str, float] = {}
        self._cache = ChunkCache(_AHEAD)

    # ---- writing ------------------------------------------------------------------------------

    def append(self, key: LogKey, offset: int, data: bytes, times: bytes = b"") -> None:
        """Append bytes at ``offset``; skips stored bytes and rejects a gap."""
        end = EMPTY if offset == 0 else self._known_end(key, offset)
        while True:
            if offset > end.size:
                raise ConflictError(f"{key}: {offset} is beyond the end, {end.size}")
            fresh = data[end.size - offset :]
            if not fresh:
                return
            try:
                self._add(key, end, fresh, times)
            except ConflictError:
                # Another process wrote a chunk there; continue after it.
                end = self._grown(key, end.size)
                continue
            return

    def place_for(self, key: LogKey, offset: int, name: str) -> str:
        return f"{_folder(key)}/{offset:0{_DIGITS}}-{name}"

    def append_uploaded(self, key: LogKey, offset: int, chunk: Uploaded, times: bytes) -> None:
        """Append an uploaded chunk at ``offset``; otherwise as `append`."""
        if chunk.size < 1:
            raise ValueError(f"{key}: a chunk has at least one byte, got {chunk.size}")
        if not chunk.place.startswith(f"{_folder(key)}/") or not self._bucket.exists(chunk.place):
            raise LookupError(f"{key}: nothing was uploaded to {chunk.place!r}")
        end = self._known_end(key, offset)
        if offset != end.size:
            if end.size < offset + chunk.size:  # a gap, or a part of it is stored
                data = unpacked_chunk(self._bucket.whole(chunk.place), chunk.size)
                self.append(key, offset, data, times)
            return
        item: Item = {"size": chunk.size, "object": chunk.place, "lines": chunk.lines}
        try:
            self._write(key, end, item, times)
        except ConflictError:
            self._note_end(key, self._grown(key, offset))
            self.append_uploaded(key, offset, chunk, times)

    def _known_end(self, key: LogKey, offset: int) -> End:
        """Return the cached end if it is at ``offset``, otherwise the stored one.

        A wrong one is detected by the conditional write.
        """
        end = self._ends.get(key)
        return end if end is not None and end.size == offset else self._end(key)

    def _end(self, key: LogKey) -> End:
        last = self._last(key, table_keys.LAST)
        if last is None:
            return EMPTY
        sort, item = last
        return End(int(item["size"]), None) if sort == _JOINED else end_of(int(sort), item)

    def _grown(self, key: LogKey, end: int) -> End:
        """Return the end of a stream in which another process wrote a chunk at ``end``."""
        grown = self._end(key)
        if grown.size <= end:  # the chunk is empty, or the stream was deleted
            raise ConflictError(f"{key}: the chunk at {end} cannot be continued")
        return grown

    def _note_end(self, key: LogKey, end: End) -> None:
        self._ends.pop(key, None)
        self._ends[key] = end
        while len(self._ends) > _MAX_ENDS:
            self._ends.pop(next(iter(self._ends)), None)

    def _add(self, key: LogKey, end: End, data: bytes, times: bytes) -> None:
        packed = packed_chunk(data)
        item: Item = {"size": len(data), "packed": packed}
        if len(packed) > MAX_INLINE_CHUNK:
            place = self.place_for(key, end.size, sha256(data).hexdigest()[:16])
            self._bucket.put(place, packed)
            item = {"size": len(data), "object": place}
        self._write(key, end, {**item, "lines": data.count(b"\n")}, times)

    def _write(self, key: LogKey, end: End, item: Item, times: bytes) -> None:
        """Write a chunk at the end of a stream; raises `ConflictError` if another process has."""
        if end.size == 0:  # `forget` finds the stream by this item
            self._table.put(_stream(key), {"size": 0})
        if times:
            item = {**item, "times": times}
        if end.ended is not None:
            item = {**item, "ended": end.ended}
        new = f"attribute_not_exists({PARTITION_KEY})"
        self._table.put_where(_chunk(key, end.size), item, new)
        self._note_end(key, end_of(end.size, item))

    # ---- reading ------------------------------------------------------------------------------

    def size(self, key: LogKey) -> int:
        return self._end(key).size

    def read(self, key: LogKey, offset: int, limit: int) -> bytes:
        return b"".join(self.stream(key, offset, limit)) if limit > 0 else b""

    def stream(self, key: LogKey, offset: int, limit: int) -> Iterator[bytes]:
        end = offset + limit
        while True:
            try:
                for data in self._ahead(self._parts(key, offset, end)):
                    yield data
                    offset += len(data)
            except _JoinedMeanwhileError as error:
                if self._table.get(_joined(key)) is None:
                    raise LookupError(f"{key}: {error} is no longer in the bucket") from error
            else:
                return

    def _ahead(self, parts: Iterable[_Part]) -> Iterator[bytes]:
        """Yield the contents of parts; objects are read in parallel, some MB ahead."""
        waiting: deque[tuple[_Part, Future[bytes] | None]] = deque()
        held = 0

        def first() -> bytes:
            part, reading = waiting.popleft()
            return self._bytes_in(part) if reading is None else reading.result()

        with ThreadPoolExecutor(_READERS) as readers:
            for part in parts:
                waiting.append((part, readers.submit(self._bytes_in, part) if part.place else None))
                held += part.length
                while waiting and (
                    len(waiting) > _READERS or held > _AHEAD or waiting[0][1] is None
                ):
                    held -= waiting[0][0].length
                    yield first()
            while waiting:
                yield first()

    def _bytes_in(self, part: _Part) -> bytes:
        if not part.place:
            data = unpacked_chunk(part.packed, part.size)
        else:
            at = part.at or (0, 0)
            data = self._cache.get(part.place, at[0], lambda: self._object(part))
        return data[part.skipped : part.skipped + part.length]

    def _object(self, part: _Part) -> bytes:
        if part.at is not None:
            return unpacked_chunk(self._bucket.part(part.place, *part.at), part.size)
        packed = self._bucket.get(part.place)
        if packed is None:  # `join_chunks` deletes the objects that it has joined
            raise _JoinedMeanwhileError(part.place)
        return unpacked_chunk(packed, part.size)

    def _parts(self, key: LogKey, offset: int, end: int) -> Iterator[_Part]:
        """Yield the parts of a stream from ``offset`` to ``end``."""
        for sort, item in self._chunks(key, offset):
            if sort == _JOINED:
                yield from _joined_parts(item, offset, end)
                return
            skipped = offset - int(sort)
            size = int(item["size"])
            count = min(size - skipped, end - offset)
            if count > 0:
                yield _part(item, skipped, count)
                offset += count
            if offset >= end:
                return

    def _chunks(self, key: LogKey, offset: int) -> Iterator[tuple[str, dict[str, Value]]]:
        """Yield the chunk that contains ``offset`` and those after it, or the joined stream."""
        first = self._last(key, _chunk(key, offset).sort)
        if first is None:
            return
        if first[0] == _JOINED:
            yield first
            return
        end = int(first[0])
        for sort, item in self._table.range(_chunk(key, 0).partition, first[0], table_keys.LAST):
            if int(sort) != end:
                break
            yield sort, item
            end += int(item["size"])
        joined = self._table.get(_joined(key))
        if joined is not None and int(joined["size"]) > max(end, offset):
            yield _JOINED, joined  # the chunks were joined while they were read

    def times(self, key: LogKey, start: int, end: int) -> tuple[LineTime, ...]:
        """Return the records of the times of a part of a stream."""
        found: list[LineTime] = []
        for sort, item in self._chunks(key, start):
            if sort == _JOINED:
                place = item.get("times")
                found = unpacked(self._bucket.whole(str(place))) if place else []
                break
            if int(sort) >= max(end, start + 1):
                break
            found += unpacked(bytes(item.get("times", b"")))  # type: ignore[arg-type]
        return part_of(found, start, end)

    def line_ends(self, key: LogKey, offset: int) -> Iterator[tuple[int, int]]:
        """Yield ``(end, number of line ends within)`` of the chunks from a chunk's end on."""
        for sort, item in self._chunks(key, offset):
            if sort == _JOINED:
                yield from Members.parse(bytes(item["index"])).points(offset)  # type: ignore[arg-type]
                return
            end = int(sort) + int(item["size"])
            if end > offset:
                yield end, int(item.get("lines", 0))

    def tail(self, key: LogKey, lines: int) -> Tail | None:
        """Return an end of a stream that has more than ``lines`` line ends, or all of it."""
        backwards = self._table.range(
            _chunk(key, 0).partition, _JOINED, table_keys.LAST, reverse=True, page=lines + 1
        )
        found = last_chunks(backwards, lines)
        if found is None:
            return None
        start, end = found.start, found.end
        parts = [_part(item, 0, int(item["size"])) for item in found.items]
        try:
            data = b"".join(self._ahead(parts))
        except _JoinedMeanwhileError:
            return None
        return Tail(start.size, start.ended or 0, end.size, end.ended or 0, data)

    # ---- the rest -----------------------------------------------------------------------------

    def join(self, key: LogKey) -> bool:
        partition = _chunk(key, 0).partition
        if self._table.get(_joined(key)) is None:
            chunks = self._table.range(partition, "0", table_keys.LAST)
            place = f"{_folder(key)}/joined-{token_hex(8)}"
            joined = join_chunks(self._bucket, place, chunks, JOINED_CHUNKS)
            if joined is None:
                return False
            try:
                # The only one: the chunks of another one may be incomplete already.
                new = f"attribute_not_exists({PARTITION_KEY})"
                self._table.put_where(_joined(key), joined, new)
            except ConflictError:
                self._bucket.delete_all([place, f"{place}.times"])
        listed = self._table.range(partition, "0", table_keys.LAST)
        left = [(Key(partition, sort), item.get("object")) for sort, item in listed]
        self._table.delete_all([chunk for chunk, _ in left])
        self._bucket.delete_all([str(place) for _, place in left if place])
        return True

    def note_reader(self, pipeline_id: str, until: float) -> None:
        """Record that a client follows the output of a pipeline."""
        if until - self._marked.get(pipeline_id, 0.0) < _MARK_SECONDS:
            return
        if len(self._marked) >= _MAX_ENDS:
            self._marked = {}
        self._marked[pipeline_id] = until
        self._table.put(Key(_streams(pipeline_id), _READER), {"size": 0, "until": until})

    def has_reader(self, pipeline_id: str, now: float) -> bool:
        mark = self._table.get(Key(_streams(pipeline_id), _READER))
        return mark is not None and float(mark["until"]) > now

    def object_bytes(self, pipeline_id: str) -> int:
        return self._bucket.bytes_below(f"{LOG_PREFIX}{pipeline_id}/")

    def forget(self, pipeline_id: str, check: Callable[[], None] = no_check) -> None:
        """Delete all output of a pipeline: of each stream the chunks first, then its name."""
        self._ends = {key: end for key, end in self._ends.items() if key.pipeline_id != pipeline_id}
        for name, _ in self._table.range(_streams(pipeline_id), "0", table_keys.LAST):
            listed = self._table.range(f"L#{name}", _JOINED, table_keys.LAST)
            self._table.delete_all([Key(f"L#{name}", sort) for sort, _ in listed], check)
            self._table.delete(Key(_streams(pipeline_id), name))
            check()
        self._bucket.delete_below(f"{LOG_PREFIX}{pipeline_id}/")

    def _last(self, key: LogKey, upto: str) -> tuple[str, dict[str, Value]] | None:
        partition = _chunk(key, 0).partition
        return next(self._table.range(partition, _JOINED, upto, reverse=True, limit=1), None)


def _part(item: Item, skipped: int, length: int) -> _Part:
    packed, size = item.get("packed"), int(item["size"])
    if isinstance(packed, bytes):
        return _Part("", packed, None, size, skipped, length)
    return _Part(str(item["object"]), b"", None, size, skipped, length)


def _joined_parts(item: Item, offset: int, end: int) -> Iterator[_Part]:
    index, place = bytes(item["index"]), str(item["object"])  # type: ignore[arg-type]
    for member in Members.parse(index).from_position(offset):
        skipped = offset - member.start
        count = min(member.size - skipped, end - offset)
        if count <= 0:
            return
        yield _Part(place, b"", (member.place, member.packed), member.size, skipped, count)
        offset += count


def _folder(key: LogKey) -> str:
    node = sha256(key.path.encode()).hexdigest()[:32]
    return f"{LOG_PREFIX}{key.pipeline_id}/{node}/{key.attempt}/{key.stream}"


def _streams(pipeline_id: str) -> str:
    return f"L#{pipeline_id}"


def _stream(key: LogKey) -> Key:
    return Key(_streams(key.pipeline_id), _folder(key))


def _chunk(key: LogKey, offset: int) -> Key:
    return Key(f"L#{_folder(key)}", f"{offset:0{_DIGITS}}")


def _joined(key: LogKey) -> Key:
    return Key(f"L#{_folder(key)}", _JOINED)
