"""The operations on the cache, on both targets."""

import asyncio
from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol

from conducto_core.api.serve import serves
from conducto_core.cache import operations
from conducto_core.cache.lineage import AttemptFiles, lineage_of
from conducto_core.cache.model import (
    CacheEntry,
    CacheEntryParams,
    CacheItem,
    CacheList,
    CachePlan,
    CacheQuery,
    CacheUsage,
    Lineage,
    LineageParams,
)
from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.run.model.params import PipelineParams
from conducto_core.run.model.requests import LaunchRequest
from conducto_core.run.port import PipelineReader

#: Digits of a key that identify an entry.
ID_DIGITS = 12


class CacheEntries(Protocol):
    """The entries that a caller may see."""

    def list_used(self, text: str, limit: int) -> Sequence[CacheEntry]:
        """Return the entries whose pipeline, path or program has a text, the last used first.

        A negative limit is none.
        """

    def with_id(self, prefix: str) -> Sequence[CacheEntry]:
        """Return the entries whose keys start with a text; two are enough."""

    def delete(self, key: str) -> None:
        """Delete an entry."""


class CacheOperations(PipelineReader):
    """Executes the operations."""

    @abstractmethod
    def cache_entries(self) -> CacheEntries:
        """Return the entries that the caller may see."""

    async def files_of_commands(self, pipeline_id: str) -> Sequence[AttemptFiles]:
        """Return the files of cached commands, in the order of the tree; raises `NotFoundError`."""
        await self.get_pipeline(PipelineParams(id=pipeline_id))
        return ()  # a target that keeps no files

    async def forecast(self, _request: LaunchRequest) -> CachePlan:
        """Return the decisions about a tree that is not launched yet.

        Raises:
            DefinitionError: the tree is invalid.
        """
        return CachePlan()  # a target without a cache

    @serves(operations.GET_LINEAGE)
    async def get_lineage(self, params: LineageParams) -> Lineage:
        """Return the files of cached commands, and the origin of a file."""
        return lineage_of(await self.files_of_commands(params.id), params.name)

    @serves(operations.PLAN_CACHE)
    async def plan_cache(self, request: LaunchRequest) -> CachePlan:
        """Return which commands of a tree would be from the cache, and why the others run."""
        return await self.forecast(request)

    @serves(operations.LIST_CACHE)
    async def list_cache(self, params: CacheQuery) -> CacheList:
        """Return the entries of the cache, the last used ones first."""
        found = await self._used(params.text, params.limit + 1)
        entries = tuple(map(_item, found[: params.limit]))
        return CacheList(entries=entries, complete=len(found) <= params.limit)

    @serves(operations.GET_CACHE_ENTRY)
    async def get_cache_entry(self, params: CacheEntryParams) -> CacheItem:
        return _item(await self._entry(params.id))

    @serves(operations.DELETE_CACHE_ENTRY)
    async def delete_cache_entry(self, params: CacheEntryParams) -> CacheItem:
        entry = await self._entry(params.id)
        await asyncio.to_thread(self.cache_entries().delete, entry.key)
        return _item(entry)

    @serves(operations.GET_CACHE_USAGE)
    async def get_cache_usage(self, params: CacheQuery) -> CacheUsage:
        """Return the size of the entries that a query finds, and the time that they saved."""
        found = await self._used(params.text, None)
        return CacheUsage(
            entries=len(found),
            bytes=sum(each.size for each in found),
            hits=sum(each.hits for each in found),
            seconds_saved=sum(each.hits * each.seconds for each in found),
        )

    async def _used(self, text: str, limit: int | None) -> Sequence[CacheEntry]:
        most = -1 if limit is None else limit
        return await asyncio.to_thread(self.cache_entries().list_used, text, most)

    async def _entry(self, prefix: str) -> CacheEntry:
        found = await asyncio.to_thread(self.cache_entries().with_id, prefix)
        if not found:
            raise NotFoundError(f"the cache has no entry {prefix}; see 'conducto cache list'")
        if len(found) > 1:
            raise RefusedError(f"{prefix} is the start of several entries; give more digits")
        return found[0]


def _item(entry: CacheEntry) -> CacheItem:
    return CacheItem(
        id=entry.key[:ID_DIGITS],
        source=entry.source,
        program=entry.program,
        made=entry.made,
        seconds=entry.seconds,
        private_to=entry.private_to,
        size=entry.size,
        used=entry.used,
        hits=entry.hits,
        varies=entry.varies,
    )


def has_text(entry: CacheEntry, text: str) -> bool:
    """Return whether the pipeline, path or program of an entry has a text."""
    source = entry.source
    return text.casefold() in f"{source.pipeline} {source.path} {entry.program}".casefold()
