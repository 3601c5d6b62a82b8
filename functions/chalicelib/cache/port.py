"""The entries of the cache of organisations."""

from collections.abc import Iterator
from typing import Protocol

from conducto_core.cache.model import CacheEntry


class CacheTable(Protocol):
    """The entries; those without a use for `UNUSED_DAYS` are deleted."""

    def get(self, org: str, key: str) -> tuple[CacheEntry, bytes] | None:
        """Return an entry with its packed streams."""

    def newest(self, org: str, program: str, path: str) -> CacheEntry | None:
        """Return the entry of a node of a program that was written last."""

    def put(self, org: str, entry: CacheEntry, streams: bytes) -> None:
        """Write an entry, replacing the one with its key."""

    def note_use(self, org: str, key: str, now: float) -> None:
        """Record the use of an entry, if it still exists."""

    def entries(self, org: str) -> Iterator[CacheEntry]:
        """Yield all entries, by key."""

    def with_id(self, org: str, prefix: str) -> list[CacheEntry]:
        """Return the entries whose keys start with a text."""

    def delete(self, org: str, key: str) -> None:
        """Delete an entry."""
