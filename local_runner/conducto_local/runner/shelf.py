"""Which pipelines are in memory: those that somebody asks for or that are under way, and a few."""

from conducto.model.records import PipelineRecord
from conducto.running.finding import whole_id
from conducto_local.runner import loading
from conducto_local.runner.live import LivePipeline
from conducto_local.runner.scheduler import Scheduler
from conducto_local.store.port import Store

#: Settled pipelines that stay in memory.
KEPT_LOADED = 8


class Shelf:
    """The pipelines of one profile, loaded from the store when they are asked for."""

    def __init__(self, store: Store, scheduler: Scheduler) -> None:
        self._store = store
        self._scheduler = scheduler

    def find(self, pipeline_id: str) -> LivePipeline:
        """Return a pipeline, loaded; an unambiguous beginning of its id is enough.

        Raises:
            NotFoundError: there is none.
            RefusedError: there are several.
        """
        found = self._scheduler.live.get(pipeline_id)
        if found is not None:
            return found
        record = self.record(pipeline_id)
        found = self._scheduler.live.get(record.id)
        return found if found is not None else self.load(record)

    def record(self, pipeline_id: str) -> PipelineRecord:
        """Return a pipeline's record. Raises like `find`."""
        found = self._scheduler.live.get(pipeline_id)
        if found is not None:
            return found.record
        records = {record.id: record for record in self._store.records()}
        return records[whole_id(pipeline_id, records)]

    def load(self, record: PipelineRecord) -> LivePipeline:
        """Take a pipeline into memory."""
        live = loading.load(self._store, record)
        self._scheduler.add(live)
        return live

    async def make_room(self, but: LivePipeline) -> None:
        """Let go of settled pipelines that nobody looks at, the longest settled first."""
        idle = [live for live in self._scheduler.live.values() if _may_leave(live, but)]
        idle.sort(key=lambda live: live.ended or live.record.created)
        for live in idle[: max(0, len(idle) - KEPT_LOADED)]:
            await self._scheduler.cool_down(live)
            if _may_leave(live, but):  # somebody may have come while its network went
                self._scheduler.unload(live)


def _may_leave(live: LivePipeline, but: LivePipeline) -> bool:
    busy = live.subscribers or live.flights or not live.settled()
    return live is not but and not busy
