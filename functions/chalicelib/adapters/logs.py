"""Command output: chunks in the table or in S3, and an index of them in the table.

A chunk is indexed by the offset at which it starts, which must be the end of the preceding chunk;
the first writer of an offset wins. So chunks have neither gaps nor overlaps, even with concurrent
writers.

Chunks are compressed. A small one is in its item: one query reads a megabyte of them, for example
an hour of output at a line per second. A larger one is cheaper in S3: DynamoDB charges per
kilobyte, S3 per object.
"""

import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import NamedTuple

from chalicelib.adapters import table_keys
from chalicelib.adapters.dynamodb import DynamoTable, Item, Value
from chalicelib.adapters.s3 import S3Bucket
from chalicelib.adapters.table_keys import Key
from chalicelib.ports.errors import ConflictError
from chalicelib.ports.journal import no_check
from chalicelib.ports.logs import LogKey
from conducto_core.model.deployment import LOG_PREFIX, PARTITION_KEY
from conducto_core.runtime.line_times import LineTime, part_of, unpacked

#: Maximum bytes of a compressed chunk in the table, about 32 kB of text. A PUT to S3 costs as much
#: as writing 8 kB to the table; reading an object takes 30 ms, while a query returns the chunks in
#: its items.
MAX_INLINE_CHUNK = 8 << 10
#: Maximum number of objects that are read in parallel.
_READERS = 16
#: Minimum seconds between two writes of a reader's mark.
_MARK_SECONDS = 10.0
_READER = "reader"
_DIGITS = 16
#: Number of streams whose ends are cached.
_MAX_ENDS = 10_000


class _Part(NamedTuple):
    """The range of a chunk that starts after ``skipped`` bytes."""

    item: dict[str, Value]
    skipped: int
    length: int


class ChunkedLogs:
    """A `chalicelib.ports.LogStore`."""

    def __init__(self, table: DynamoTable, bucket: S3Bucket) -> None:
        self._table = table
        self._bucket = bucket
        self._ends: dict[LogKey, int] = {}
        self._marked: dict[str, float] = {}

    def append(self, key: LogKey, offset: int, data: bytes, times: bytes = b"") -> None:
        """Append bytes at ``offset``; skips stored bytes and rejects a gap."""
        # A cached end avoids a read; a wrong one is detected by the conditional write.
        is_end = offset in (0, self._ends.get(key))
        end = offset if is_end else self.size(key)
        while True:
            if offset > end:
                raise ConflictError(f"{key}: {offset} is beyond the end, {end}")
            fresh = data[end - offset :]
            if not fresh:
                return
            try:
                self._add(key, end, fresh, times)
            except ConflictError:
                end = self.size(key)  # another process wrote a chunk there; continue after it
                continue
            self._note_end(key, end + len(fresh))
            return

    def _note_end(self, key: LogKey, end: int) -> None:
        self._ends.pop(key, None)
        self._ends[key] = end
        while len(self._ends) > _MAX_ENDS:
            self._ends.pop(next(iter(self._ends)), None)

    def _add(self, key: LogKey, offset: int, data: bytes, times: bytes) -> None:
        if offset == 0:  # `forget` finds the stream by this item
            self._table.put(_stream(key), {"size": 0})
        packed = zlib.compress(data)
        item: Item = {"size": len(data), "packed": packed}
        if len(packed) > MAX_INLINE_CHUNK:
            place = f"{_folder(key)}/{offset:0{_DIGITS}}-{sha256(data).hexdigest()[:16]}"
            self._bucket.put(place, packed)
            item = {"size": len(data), "object": place}
        if times:
            item = {**item, "times": times}
        self._table.put_where(_chunk(key, offset), item, f"attribute_not_exists({PARTITION_KEY})")

    def size(self, key: LogKey) -> int:
        """Return the size in bytes."""
        return _end(self._last(key, table_keys.LAST))

    def read(self, key: LogKey, offset: int, limit: int) -> bytes:
        """Return up to ``limit`` bytes starting at ``offset``."""
        first = self._last(key, _chunk(key, offset).sort)
        if first is None or limit <= 0:
            return b""
        parts: list[_Part] = []
        end = offset
        for sort, item in self._table.range(_chunk(key, 0).partition, first[0], table_keys.LAST):
            skipped = end - int(sort)
            count = min(int(item["size"]) - skipped, offset + limit - end)
            if count > 0:
                parts.append(_Part(item, skipped, count))
                end += count
            if end >= offset + limit:
                break
        return b"".join(self._bytes_of(parts))

    def times(self, key: LogKey, start: int, end: int) -> tuple[LineTime, ...]:
        """Return the records of the times of a part of a stream."""
        first = self._last(key, _chunk(key, start).sort)
        found: list[LineTime] = []
        if first is None:
            return ()
        for sort, item in self._table.range(_chunk(key, 0).partition, first[0], table_keys.LAST):
            if int(sort) >= max(end, start + 1):
                break
            found += unpacked(bytes(item.get("times", b"")))  # type: ignore[arg-type]
        return part_of(found, start, end)

    def _bytes_of(self, parts: Sequence[_Part]) -> Iterator[bytes]:
        if all("packed" in part.item for part in parts):
            return map(self._bytes_in, parts)
        with ThreadPoolExecutor(_READERS) as readers:
            return iter(list(readers.map(self._bytes_in, parts)))

    def _bytes_in(self, part: _Part) -> bytes:
        packed = part.item.get("packed")
        if not isinstance(packed, bytes):
            packed = self._bucket.whole(str(part.item["object"]))
        return zlib.decompress(packed)[part.skipped : part.skipped + part.length]

    def note_reader(self, pipeline_id: str, until: float) -> None:
        """Record that a client follows the output of a pipeline."""
        if until - self._marked.get(pipeline_id, 0.0) < _MARK_SECONDS:
            return
        self._marked[pipeline_id] = until
        self._table.put(Key(_streams(pipeline_id), _READER), {"size": 0, "until": until})

    def has_reader(self, pipeline_id: str, now: float) -> bool:
        """Return whether a client follows the output."""
        mark = self._table.get(Key(_streams(pipeline_id), _READER))
        return mark is not None and float(mark["until"]) > now

    def forget(self, pipeline_id: str, check: Callable[[], None] = no_check) -> None:
        """Delete all output of a pipeline: of each stream the chunks first, then its name."""
        self._ends = {key: end for key, end in self._ends.items() if key.pipeline_id != pipeline_id}
        for name, _ in self._table.range(_streams(pipeline_id), "0", table_keys.LAST):
            listed = self._table.range(f"L#{name}", "0", table_keys.LAST)
            self._table.delete_all([Key(f"L#{name}", sort) for sort, _ in listed], check)
            self._table.delete(Key(_streams(pipeline_id), name))
            check()
        self._bucket.delete_below(f"{LOG_PREFIX}{pipeline_id}/")

    def _last(self, key: LogKey, upto: str) -> tuple[str, dict[str, Value]] | None:
        partition = _chunk(key, 0).partition
        return next(self._table.range(partition, "0", upto, reverse=True, limit=1), None)


def _end(chunk: tuple[str, dict[str, Value]] | None) -> int:
    return 0 if chunk is None else int(chunk[0]) + int(chunk[1]["size"])


def _folder(key: LogKey) -> str:
    node = sha256(key.path.encode()).hexdigest()[:32]
    return f"{LOG_PREFIX}{key.pipeline_id}/{node}/{key.attempt}/{key.stream}"


def _streams(pipeline_id: str) -> str:
    return f"L#{pipeline_id}"


def _stream(key: LogKey) -> Key:
    return Key(_streams(key.pipeline_id), _folder(key))


def _chunk(key: LogKey, offset: int) -> Key:
    return Key(f"L#{_folder(key)}", f"{offset:0{_DIGITS}}")
