"""The operations on the agent's cache, and on the files of cached commands."""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence

from conducto_core.cache.files import FileUse
from conducto_core.cache.handlers import CacheEntries
from conducto_core.cache.lineage import AttemptFiles, Readers, files_of_attempts, stale_paths
from conducto_core.cache.model import CachePlan
from conducto_core.cache.rules import is_isolated
from conducto_core.errors import RefusedError
from conducto_core.run.launching import ids_for, new_record
from conducto_core.run.model.records import AttemptRecord
from conducto_core.run.model.requests import ControlRequest, LaunchRequest
from conducto_core.tree.rules.resolve import resolve
from conducto_local.run.access import LocalAccess
from conducto_local.run.command import results_in
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

    async def forecast(self, request: LaunchRequest) -> CachePlan:
        pipeline = await asyncio.to_thread(resolve, request.tree)
        record = new_record(next(ids_for(None)), request, pipeline)
        used = {
            each.placement.image
            for each in pipeline.execs()
            if is_isolated(each, record) or each.expansion is not None
        }
        engine_context = self._engine_contexts[request.engine]
        if used:
            await engine_context.open()
        builder = engine_context.builder()
        images = {name: await builder.lookup(pipeline.images[name]) for name in used}
        found = await self._scheduler.forecast_cache(record, pipeline, images)
        return CachePlan(nodes=tuple(found))

    async def files_of_commands(self, pipeline_id: str) -> Sequence[AttemptFiles]:
        return await self._files_of(self.live(pipeline_id))

    async def with_stale_paths(
        self, live: LivePipeline, request: ControlRequest
    ) -> ControlRequest | None:
        """Return a request for stale commands with their paths; None if there are none."""
        paths = stale_paths(await self._files_of(live), request.paths)
        return request.model_copy(update={"paths": paths, "stale": False}) if paths else None

    async def _files_of(self, live: LivePipeline) -> list[AttemptFiles]:
        logs, files = self._scheduler.logs(live.id), self._scheduler.cached_files
        data = self._home.pipeline(live.id).data

        def use(attempt: AttemptRecord) -> FileUse:
            reader = logs.reader(attempt.path, attempt.number)
            return FileUse.from_bytes(reader.read("files", 0, reader.size("files")).data)

        def now(patterns: Collection[str]) -> Mapping[str, str]:
            return files.marks(data, patterns).found

        def attempts() -> Iterable[AttemptRecord]:
            return self._store.attempts(live.id)

        read = Readers(attempts, use, now, results_in(logs))
        return await asyncio.to_thread(files_of_attempts, live.tree, live.record, read)
