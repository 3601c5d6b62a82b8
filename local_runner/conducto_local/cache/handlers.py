"""The operations on the agent's cache, and on the files of cached commands."""

import asyncio
from collections.abc import Sequence

from conducto_core.cache.files import FileUse
from conducto_core.cache.handlers import CacheEntries
from conducto_core.cache.lineage import AttemptFiles, stale_paths
from conducto_core.cache.rules import files_of
from conducto_core.errors import RefusedError
from conducto_core.run.model.records import AttemptRecord
from conducto_core.run.model.requests import ControlRequest
from conducto_core.run.model.states import State
from conducto_core.run.rules.tree_state import LiveExec
from conducto_core.tree.model import Caching
from conducto_local.run.access import LocalAccess
from conducto_local.run.live_pipeline import LivePipeline


class LocalCache(LocalAccess):
    """The entries of the cache.

    Attributes:
        cache: The entries; None: the agent has no cache.
    """

    cache: CacheEntries | None = None

    def cache_entries(self) -> CacheEntries:
        if self.cache is None:
            raise RefusedError("this agent has no cache")
        return self.cache

    async def files_of_commands(self, pipeline_id: str) -> Sequence[AttemptFiles]:
        return await self._files_of(self.live(pipeline_id))

    async def with_stale_paths(
        self, live: LivePipeline, request: ControlRequest
    ) -> ControlRequest | None:
        """Return a request for stale commands with their paths; None if there are none."""
        paths = stale_paths(await self._files_of(live), request.paths)
        return request.model_copy(update={"paths": paths, "stale": False}) if paths else None

    async def _files_of(self, live: LivePipeline) -> list[AttemptFiles]:
        caches = {
            node.path: cache
            for node in live.tree.subtree(live.tree.root)
            if isinstance(node, LiveExec) and (cache := files_of(node.spec, live.record))
        }
        if not caches:  # a large tree has many attempts
            return []
        newest = {
            each.path: each
            for each in self._store.attempts(live.id)
            if each.path in caches and each.state is State.DONE
        }
        found = [(newest[path], cache) for path, cache in caches.items() if path in newest]
        return await asyncio.to_thread(
            lambda: [self._attempt_files(live.id, attempt, cache) for attempt, cache in found]
        )

    def _attempt_files(
        self, pipeline_id: str, attempt: AttemptRecord, cache: Caching
    ) -> AttemptFiles:
        scheduler = self._scheduler
        reader = scheduler.logs(pipeline_id).reader(attempt.path, attempt.number)
        data = reader.read("files", 0, reader.size("files")).data
        now, _ = scheduler.cached_files.marks(self._home.pipeline(pipeline_id).data, cache.reads)
        about = attempt.path, attempt.number, attempt.ended or 0.0, attempt.from_cache
        return AttemptFiles(*about, FileUse.from_bytes(data), now)
