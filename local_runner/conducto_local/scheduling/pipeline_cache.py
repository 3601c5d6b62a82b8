"""The pipelines in memory: those in use or active, and a few more."""

import asyncio
import logging

from conducto_core.api.queries.lookup import resolve_id
from conducto_core.model.records import PipelineRecord
from conducto_local.scheduling import pipeline_loader
from conducto_local.scheduling.live_pipeline import LivePipeline
from conducto_local.scheduling.scheduler import Scheduler
from conducto_local.store.errors import REPAIR, SET_ASIDE, DamagedError, UnknownPipelineError
from conducto_local.store.port import Store
from conducto_local.store.rows import cause_of_damage

logger = logging.getLogger(__name__)

#: Number of settled pipelines kept in memory.
KEPT_LOADED = 8


class PipelineCache:
    """The pipelines of one profile, loaded from the store on demand."""

    def __init__(self, store: Store, scheduler: Scheduler) -> None:
        self._store = store
        self._scheduler = scheduler
        self._aside: dict[str, str] = {}
        self._making_room = asyncio.Lock()

    def set_aside(self) -> dict[str, str]:
        """Return ``{pipeline id: cause}`` of the pipelines that cannot be read."""
        return self._aside | self._store.damaged()

    def find(self, pipeline_id: str) -> LivePipeline:
        """Return a pipeline, loaded; an unambiguous prefix of its id is enough.

        Raises:
            NotFoundError: There is no such pipeline.
            RefusedError: There are several.
        """
        found = self._scheduler.live.get(pipeline_id)
        if found is not None:
            return found
        record = self.record(pipeline_id)
        found = self._scheduler.live.get(record.id)
        return found if found is not None else self.load(record)

    def record(self, pipeline_id: str) -> PipelineRecord:
        """Return a pipeline's record. Raises the errors of `find`."""
        found = self._scheduler.live.get(pipeline_id)
        if found is not None:
            return found.record
        records = {record.id: record for record in self._store.records()}
        damaged = self._store.damaged()
        found_id = resolve_id(pipeline_id, [*records, *damaged])
        if found_id in damaged:
            raise unreadable(found_id, damaged[found_id])
        return records[found_id]

    def load(self, record: PipelineRecord) -> LivePipeline:
        """Load a pipeline into memory.

        Raises:
            DamagedError: It cannot be read, and is set aside.
        """
        try:
            live = pipeline_loader.load(self._store, record)
        except UnknownPipelineError:
            raise
        except Exception as error:
            # Corrupt data may raise anything; the other pipelines must continue.
            raise self.put_aside(record.id, error) from error
        self._aside.pop(record.id, None)
        self._scheduler.add(live)
        self._scheduler.contexts.recall(live)
        return live

    def put_aside(self, pipeline_id: str, error: Exception) -> DamagedError:
        """Set a damaged pipeline aside; return the error for clients."""
        self._scheduler.drop(pipeline_id)
        cause = cause_of_damage(error)
        refusal = unreadable(pipeline_id, cause)
        if self._aside.get(pipeline_id) != cause:
            logger.error("pipeline set aside", exc_info=error, extra={"why": str(refusal)})
        self._aside[pipeline_id] = cause
        return refusal

    async def evict(self, but: LivePipeline) -> None:
        """Unload settled pipelines that are not in use, the longest settled first.

        Many launches may call it at the same time; the calls are serialised.
        """
        async with self._making_room:
            idle = [live for live in self._scheduler.live.values() if _may_leave(live, but)]
            idle.sort(key=lambda live: live.ended or live.record.created)
            for live in idle[: max(0, len(idle) - KEPT_LOADED)]:
                await self._scheduler.cool_down(live)
                if _may_leave(live, but):  # a request may have come while its network was removed
                    self._scheduler.unload(live)


def set_aside_record(record: PipelineRecord, cause: str) -> PipelineRecord:
    """Return the record of a damaged pipeline for lists."""
    status = record.status.model_copy(update={"settled": True})
    problem = str(unreadable(record.id, cause))
    return record.model_copy(update={"armed": False, "problem": problem, "status": status})


def unreadable(pipeline_id: str, cause: str) -> DamagedError:
    """Return the error about a damaged pipeline, with the remedy."""
    reason = cause.splitlines()[0]
    return DamagedError(
        f"pipeline {pipeline_id} {SET_ASIDE}, because it cannot be read ({reason}). {REPAIR}"
    )


def _may_leave(live: LivePipeline, but: LivePipeline) -> bool:
    used = live.subscribers or live.users or live.active_attempts or live.kept
    busy = used or not live.settled()
    return live is not but and not busy
