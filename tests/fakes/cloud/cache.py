"""The cache of organisations, in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conducto_core.cache.model import CacheEntry


class FakeCache:
    """A fake `CacheTable`."""

    def __init__(self) -> None:
        self._entries: dict[str, dict[str, tuple[CacheEntry, bytes]]] = {}
        self._newest: dict[tuple[str, str, str], CacheEntry] = {}

    def get(self, org: str, key: str) -> tuple[CacheEntry, bytes] | None:
        return self._entries.get(org, {}).get(key)

    def newest(self, org: str, program: str, path: str) -> CacheEntry | None:
        return self._newest.get((org, program, path))

    def put(self, org: str, entry: CacheEntry, streams: bytes) -> None:
        self._entries.setdefault(org, {})[entry.key] = entry, streams
        self._newest[org, entry.program, entry.source.path] = entry

    def note_use(self, org: str, key: str, now: float) -> None:
        found = self.get(org, key)
        if found is not None:
            entry, streams = found
            used = entry.model_copy(update={"used": now, "hits": entry.hits + 1})
            self._entries[org][key] = used, streams

    def entries(self, org: str) -> Iterator[CacheEntry]:
        return iter([entry for _, (entry, _) in sorted(self._entries.get(org, {}).items())])

    def with_id(self, org: str, prefix: str) -> list[CacheEntry]:
        return [entry for entry in self.entries(org) if entry.key.startswith(prefix)]

    def delete(self, org: str, key: str) -> None:
        self._entries.get(org, {}).pop(key, None)
