"""Logs, blobs and secrets in memory."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import Any, BinaryIO

from chalicelib.errors import ConflictError
from chalicelib.logs.port import LogKey, Tail, Uploaded
from chalicelib.run.port import BlobWriter, no_check
from conducto_core.command.output import LineTime, part_of, unpacked

#: Bytes of a chunk for readers.
_BLOCK = 1 << 16


class FakeLogs:
    """A fake `LogStore`.

    Attributes:
        uploads: Uploaded chunks by key.
    """

    def __init__(self) -> None:
        self._kept: dict[LogKey, bytes] = {}
        self._readers: dict[str, float] = {}
        self._times: dict[LogKey, bytes] = {}
        self.uploads: dict[str, bytes] = {}

    def append(self, key: LogKey, offset: int, data: bytes, times: bytes = b"") -> None:
        there = self._kept.get(key, b"")
        if offset > len(there):
            raise ConflictError(f"{key.path}: {offset} is beyond the end, {len(there)}")
        self._kept[key] = there + data[len(there) - offset :]
        self._times[key] = self._times.get(key, b"") + times

    def place_for(self, key: LogKey, offset: int, name: str) -> str:
        return f"logs/{key.pipeline_id}/{key.attempt}/{key.stream}/{offset}-{name}"

    def append_uploaded(self, key: LogKey, offset: int, chunk: Uploaded, times: bytes) -> None:
        data = self.uploads.get(chunk.place)
        if data is None:
            raise LookupError(chunk.place)
        self.append(key, offset, gzip.decompress(data), times)

    def join(self, key: LogKey) -> bool:
        return bool(self._kept.get(key))

    def stream(self, key: LogKey, offset: int, limit: int) -> Iterator[bytes]:
        for first in range(offset, min(offset + limit, self.size(key)), _BLOCK):
            yield self.read(key, first, min(_BLOCK, offset + limit - first))

    def line_ends(self, key: LogKey, offset: int) -> Iterator[tuple[int, int]]:
        data = self._kept.get(key, b"")
        for end in range(offset + _BLOCK, len(data) + 1, _BLOCK):
            yield end, data.count(b"\n", end - _BLOCK, end)

    def tail(self, key: LogKey, lines: int) -> Tail | None:
        data = self._kept.get(key, b"")
        total = data.count(b"\n")
        ended = max(0, total - lines - 1)
        start = len(data) - len(data.split(b"\n", ended)[ended])
        return Tail(start, ended, len(data), total, data[start:])

    def size(self, key: LogKey) -> int:
        return len(self._kept.get(key, b""))

    def read(self, key: LogKey, offset: int, limit: int) -> bytes:
        return self._kept.get(key, b"")[offset : offset + limit]

    def times(self, key: LogKey, start: int, end: int) -> tuple[LineTime, ...]:
        return part_of(unpacked(self._times.get(key, b"")), start, end)

    def note_reader(self, pipeline_id: str, until: float) -> None:
        self._readers[pipeline_id] = until

    def has_reader(self, pipeline_id: str, now: float) -> bool:
        return self._readers.get(pipeline_id, 0.0) > now

    def object_bytes(self, pipeline_id: str) -> int:
        return sum(len(data) for key, data in self._kept.items() if key.pipeline_id == pipeline_id)

    def forget(self, pipeline_id: str, check: Callable[[], None] = no_check) -> None:
        check()
        for key in [key for key in self._kept if key.pipeline_id == pipeline_id]:
            del self._kept[key]
        self._readers.pop(pipeline_id, None)


class _FakeWriter:
    """Satisfies `BlobWriter`."""

    def __init__(self, blobs: FakeBlobs, key: str) -> None:
        self._blobs, self._key, self._data = blobs, key, bytearray()

    def write(self, data: bytes) -> None:
        self._data += data

    def close(self) -> None:
        self._blobs.put(self._key, bytes(self._data))

    def abort(self) -> None:
        self._data.clear()


class FakeBlobs:
    """A fake `Blobs`; its URLs are invalid, so tests write objects directly."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._kept: dict[str, bytes] = {}
        self._times: dict[str, float] = {}
        self._clock = clock

    def upload_url(self, key: str, *, size: int | None = None, seconds: int | None = None) -> str:
        return f"https://blobs.invalid/{key}?put={size or ''}"

    def download_url(self, key: str, *, filename: str, seconds: int | None = None) -> str:
        return f"https://blobs.invalid/{key}?as={filename}"

    def get(self, key: str) -> bytes | None:
        return self._kept.get(key)

    def exists(self, key: str) -> bool:
        return key in self._kept

    def names(self) -> list[str]:
        """Return the keys of all objects, for tests."""
        return sorted(self._kept)

    def size(self, key: str) -> int | None:
        return len(self._kept[key]) if key in self._kept else None

    def put_at(self, key: str) -> float | None:
        return self._times[key] if key in self._kept else None

    def put(self, key: str, data: bytes) -> None:
        self._kept[key] = data
        self._times[key] = self._clock()

    def writer(self, key: str) -> BlobWriter:
        return _FakeWriter(self, key)

    def put_file(self, key: str, file: BinaryIO) -> None:
        self.put(key, file.read())

    def chunks(self, key: str) -> Iterator[bytes] | None:
        data = self.get(key)
        if data is None:
            return None
        return (data[i : i + (1 << 20)] for i in range(0, len(data), 1 << 20))

    def delete(self, key: str) -> None:
        self._kept.pop(key, None)
        self._times.pop(key, None)

    def delete_below(self, prefix: str) -> None:
        for key in [key for key in self._kept if key.startswith(prefix)]:
            self.delete(key)

    def bytes_below(self, prefix: str) -> int:
        return sum(len(data) for key, data in self._kept.items() if key.startswith(prefix))


class FakeVault:
    """A fake `SecretVault`."""

    def __init__(self) -> None:
        self._kept: dict[str, dict[str, Mapping[str, Any]]] = {}
        self._versions: dict[str, str] = {}
        self._numbers = count(1)

    def read(self, scope: str) -> Mapping[str, Mapping[str, Any]]:
        return dict(self._kept.get(scope, {}))

    def read_version(self, scope: str) -> tuple[Mapping[str, Mapping[str, Any]], str]:
        return self.read(scope), self._versions.get(scope, "")

    def write(self, scope: str, secrets: Mapping[str, Mapping[str, Any]]) -> None:
        """Replace the current secrets unconditionally; not in the port."""
        self.replace(scope, secrets, self._versions.get(scope, ""))

    def replace(self, scope: str, secrets: Mapping[str, Mapping[str, Any]], version: str) -> None:
        if version != self._versions.get(scope, ""):
            raise ConflictError(scope)
        self._kept[scope] = dict(secrets)
        self._versions[scope] = str(next(self._numbers)) if secrets else ""
