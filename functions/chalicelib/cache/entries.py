"""The entries of the cache that a caller may see."""

from collections.abc import Iterable, Iterator, Sequence

from chalicelib.cache.store import TableCache
from conducto_core.cache.handlers import has_text
from conducto_core.cache.model import CacheEntry


class VisibleEntries:
    """A `conducto_core.cache.handlers.CacheEntries` of one caller."""

    def __init__(self, table: TableCache, org: str, user: str) -> None:
        self._table = table
        self._org = org
        self._user = user

    def list_used(self, text: str, limit: int) -> Sequence[CacheEntry]:
        entries = self._seen(self._table.entries(self._org))
        found = sorted(
            (each for each in entries if has_text(each, text)), key=lambda each: -each.used
        )
        return found if limit < 0 else found[:limit]

    def with_id(self, prefix: str) -> Sequence[CacheEntry]:
        return list(self._seen(self._table.with_id(self._org, prefix)))

    def delete(self, key: str) -> None:
        self._table.delete(self._org, key)

    def _seen(self, entries: Iterable[CacheEntry]) -> Iterator[CacheEntry]:
        return (each for each in entries if each.private_to in (None, self._user))
