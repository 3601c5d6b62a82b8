"""Output of commands: chunks in S3, and in the table where each begins.

A chunk is listed at the offset at which it begins, and only where the one before it ends; the
first to list it there wins. So chunks have neither gaps nor overlaps, whoever writes.
"""

from hashlib import sha256

from chalicelib.adapters import keys
from chalicelib.adapters.bucket import Bucket
from chalicelib.adapters.keys import Key
from chalicelib.adapters.table import Item, Table, Value
from chalicelib.ports import ConflictError, LogKey
from conducto.model.deployment import LOG_PREFIX, PARTITION_KEY

_DIGITS = 16
#: Streams of which it is remembered where they end.
_MOST_ENDS = 10_000


class ChunkedLogs:
    """A `chalicelib.ports.LogStore`."""

    def __init__(self, table: Table, bucket: Bucket) -> None:
        self._table = table
        self._bucket = bucket
        self._ends: dict[LogKey, int] = {}

    def append(self, key: LogKey, offset: int, data: bytes) -> None:
        """Add bytes at ``offset``; what is there already is left, a gap is refused."""
        # Where a chunk may begin is known without a look, mostly: only the first is listed there.
        is_end = offset in (0, self._ends.get(key))
        end = offset if is_end else self.size(key)
        while True:
            if offset > end:
                raise ConflictError(f"{key}: {offset} is beyond the end, {end}")
            fresh = data[end - offset :]
            if not fresh:
                return
            try:
                self._add(key, end, fresh)
            except ConflictError:
                end = self.size(key)  # somebody else listed a chunk there; see how much it has
                continue
            self._note_end(key, end + len(fresh))
            return

    def _note_end(self, key: LogKey, end: int) -> None:
        self._ends.pop(key, None)
        self._ends[key] = end
        while len(self._ends) > _MOST_ENDS:
            self._ends.pop(next(iter(self._ends)), None)

    def _add(self, key: LogKey, offset: int, data: bytes) -> None:
        place = f"{_folder(key)}/{offset:0{_DIGITS}}-{sha256(data).hexdigest()[:16]}"
        self._bucket.put(place, data)
        item: Item = {"size": len(data), "object": place}
        self._table.put_where(_chunk(key, offset), item, f"attribute_not_exists({PARTITION_KEY})")

    def size(self, key: LogKey) -> int:
        """Return how many bytes there are."""
        return _end(self._last(key, keys.LAST))

    def read(self, key: LogKey, offset: int, limit: int) -> bytes:
        """Return at most ``limit`` bytes from ``offset`` on."""
        first = self._last(key, _chunk(key, offset).sort)
        if first is None or limit <= 0:
            return b""
        found = bytearray()
        for sort, item in self._table.range(_chunk(key, 0).partition, first[0], keys.LAST):
            skipped = offset + len(found) - int(sort)
            count = min(int(item["size"]) - skipped, limit - len(found))
            if count > 0:
                found += self._bucket.get_range(str(item["object"]), skipped, count)
            if len(found) >= limit:
                break
        return bytes(found)

    def forget(self, pipeline_id: str) -> None:
        """Delete all output of a pipeline: of each chunk first where it is listed."""
        self._ends = {key: end for key, end in self._ends.items() if key.pipeline_id != pipeline_id}
        prefix = f"{LOG_PREFIX}{pipeline_id}/"
        for page in self._bucket.pages_below(prefix):
            folders = {name.rpartition("/")[0] for name in page}
            for folder in folders:
                listed = self._table.range(f"L#{folder}", "0", keys.LAST)
                self._table.delete_all([Key(f"L#{folder}", sort) for sort, _ in listed])
        self._bucket.delete_below(prefix)

    def _last(self, key: LogKey, upto: str) -> tuple[str, dict[str, Value]] | None:
        """Return the last chunk that begins at or before a sort key."""
        partition = _chunk(key, 0).partition
        return next(self._table.range(partition, "0", upto, reverse=True, limit=1), None)


def _end(chunk: tuple[str, dict[str, Value]] | None) -> int:
    return 0 if chunk is None else int(chunk[0]) + int(chunk[1]["size"])


def _folder(key: LogKey) -> str:
    node = sha256(key.path.encode()).hexdigest()[:32]
    return f"{LOG_PREFIX}{key.pipeline_id}/{node}/{key.attempt}/{key.stream}"


def _chunk(key: LogKey, offset: int) -> Key:
    return Key(f"L#{_folder(key)}", f"{offset:0{_DIGITS}}")
