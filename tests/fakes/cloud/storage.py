"""Logs, blobs and secrets in memory."""

import time
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import Any, BinaryIO

from chalicelib.ports import ConflictError, LogKey


class FakeLogs:
    """A `LogStore`."""

    def __init__(self) -> None:
        self._kept: dict[LogKey, bytes] = {}
        self._readers: dict[str, float] = {}

    def append(self, key: LogKey, offset: int, data: bytes) -> None:
        """Add bytes at ``offset``."""
        there = self._kept.get(key, b"")
        if offset > len(there):
            raise ConflictError(f"{key.path}: {offset} is beyond the end, {len(there)}")
        self._kept[key] = there + data[len(there) - offset :]

    def size(self, key: LogKey) -> int:
        """Return how many bytes there are."""
        return len(self._kept.get(key, b""))

    def read(self, key: LogKey, offset: int, limit: int) -> bytes:
        """Return at most ``limit`` bytes from ``offset`` on."""
        return self._kept.get(key, b"")[offset : offset + limit]

    def note_reader(self, pipeline_id: str, until: float) -> None:
        """Note that somebody reads."""
        self._readers[pipeline_id] = until

    def has_reader(self, pipeline_id: str, now: float) -> bool:
        """Return whether somebody does."""
        return self._readers.get(pipeline_id, 0.0) > now

    def forget(self, pipeline_id: str) -> None:
        """Delete all output of a pipeline."""
        for key in [key for key in self._kept if key.pipeline_id == pipeline_id]:
            del self._kept[key]
        self._readers.pop(pipeline_id, None)


class FakeBlobs:
    """A `Blobs`; its URLs lead nowhere, a test puts things itself.

    Args:
        clock: Seconds since the epoch.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._kept: dict[str, bytes] = {}
        self._times: dict[str, float] = {}
        self._clock = clock

    def upload_url(self, key: str, *, size: int | None = None, seconds: int | None = None) -> str:
        """Return a URL that takes PUTs."""
        return f"https://blobs.invalid/{key}?put={size or ''}"

    def download_url(self, key: str, *, filename: str, seconds: int | None = None) -> str:
        """Return a URL for GET requests."""
        return f"https://blobs.invalid/{key}?as={filename}"

    def get(self, key: str) -> bytes | None:
        """Return the content."""
        return self._kept.get(key)

    def exists(self, key: str) -> bool:
        """Return whether it exists."""
        return key in self._kept

    def names(self) -> list[str]:
        """Return the keys at which something is, for tests."""
        return sorted(self._kept)

    def size(self, key: str) -> int | None:
        """See the port."""
        return len(self._kept[key]) if key in self._kept else None

    def put_at(self, key: str) -> float | None:
        """See the port."""
        return self._times[key] if key in self._kept else None

    def put(self, key: str, data: bytes) -> None:
        """Keep it."""
        self._kept[key] = data
        self._times[key] = self._clock()

    def put_file(self, key: str, file: BinaryIO) -> None:
        """See the port."""
        self.put(key, file.read())

    def chunks(self, key: str) -> Iterator[bytes] | None:
        """See the port."""
        data = self.get(key)
        if data is None:
            return None
        return (data[i : i + (1 << 20)] for i in range(0, len(data), 1 << 20))

    def delete(self, key: str) -> None:
        """Forget it."""
        self._kept.pop(key, None)


class FakeVault:
    """A `SecretVault`."""

    def __init__(self) -> None:
        self._kept: dict[str, dict[str, Mapping[str, Any]]] = {}
        self._versions: dict[str, str] = {}
        self._numbers = count(1)

    def read(self, scope: str) -> Mapping[str, Mapping[str, Any]]:
        """Return the secrets of a scope."""
        return dict(self._kept.get(scope, {}))

    def look(self, scope: str) -> tuple[Mapping[str, Mapping[str, Any]], str]:
        """Return them with their version."""
        return self.read(scope), self._versions.get(scope, "")

    def write(self, scope: str, secrets: Mapping[str, Mapping[str, Any]]) -> None:
        """Put secrets in the place of whatever there is; of the fake only."""
        self.replace(scope, secrets, self._versions.get(scope, ""))

    def replace(self, scope: str, secrets: Mapping[str, Mapping[str, Any]], version: str) -> None:
        """Put secrets in the place of a version."""
        if version != self._versions.get(scope, ""):
            raise ConflictError(scope)
        self._kept[scope] = dict(secrets)
        self._versions[scope] = str(next(self._numbers))
