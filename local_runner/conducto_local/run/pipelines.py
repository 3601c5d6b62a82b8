"""The pipelines in memory: those in use or active, and a few more."""

import asyncio
import logging
from collections.abc import Iterable, Mapping

from conducto_core.approvals.rules import why_withdrawn
from conducto_core.images.model import ImageSpec
from conducto_core.run.handlers import resolve_id
from conducto_core.run.model.records import ImageRecord, ImageState, PipelineRecord
from conducto_core.run.model.states import State
from conducto_core.run.rules.tree_state import TreeState
from conducto_core.tree.model import Pipeline, unpack_form
from conducto_core.tree.rules.resolve import Edits, resolve_grown
from conducto_local.agent.state_dir import StateDir
from conducto_local.run.live_pipeline import LiveImage, LivePipeline
from conducto_local.run.scheduler import Scheduler
from conducto_local.store.port import (
    REPAIR,
    SET_ASIDE,
    DamagedError,
    Store,
    StoreLostError,
    UnknownPipelineError,
)
from conducto_local.store.rows import cause_of_damage
from conducto_local.store.salvage import has_held_pipelines

# ----------------------------------------------------------------------------------------
# Loading pipelines from the store.


logger = logging.getLogger(__name__)

#: Maximum number of pipelines named in a message.
_NAMED = 3


def check_store(home: StateDir) -> None:
    """Reject an empty store if there are directories of pipelines.

    Raises:
        StoreLostError: The store is empty although there are pipelines; the message names the
            repair.
    """
    if has_held_pipelines(home.store):
        return
    found = [one for one in home.pipeline_ids() if not home.pipeline(one).is_empty()]
    if found:
        named = ", ".join(found[:_NAMED]) + (", ..." if len(found) > _NAMED else "")
        raise StoreLostError(
            f"{home.store}: the store is empty, but {home.pipelines} has {len(found)} "
            f"pipelines ({named}). Put a copy of the store in its place, or rebuild it from the "
            "directories: conducto agent repair"
        )


def begin(record: PipelineRecord, pipeline: Pipeline) -> LivePipeline:
    """Return a new pipeline, with its status in its record."""
    live = LivePipeline(record, pipeline, TreeState(pipeline), images_of(pipeline))
    # A pipeline that never runs has no later change that would store it.
    live.record = record.model_copy(update={"status": live.status()})
    return live


def write_recovery_files(home: StateDir, record: PipelineRecord, definition: bytes) -> None:
    """Write the files for `conducto_local.agent.repair` into a pipeline's directory."""
    try:
        home.pipeline(record.id).write_recovery(record, definition)
    except OSError as error:  # disk full, for example: retention retries
        logger.warning(
            "cannot write the files for a repair", extra={"pipeline": record.id, "why": error}
        )


def load(store: Store, record: PipelineRecord) -> LivePipeline:
    """Return a pipeline from the store; attempts that were running still count as running."""
    edits = store.edits(record.id)
    pipeline = resolve_stored(store, record.id, edits)
    tree = TreeState(pipeline, store.nodes(record.id), armed=record.armed)
    tree.count_on(store.newest_attempts(record.id))
    live = LivePipeline(
        record,
        pipeline,
        tree,
        images_of(pipeline, store.images(record.id)),
        seq=store.last_seq(record.id),
    )
    live.edits = edits
    for node in pipeline.execs():
        if node.approval is not None:
            since = store.queued_since(record.id, node.path)
            if since is not None:
                live.asked_before[node.path] = since
            live.withdrawn[node.path] = why_withdrawn(store.attempts(record.id, node.path))
    live.notified = store.last_notification(record.id)
    return live


def resolve_stored(
    store: Store, pipeline_id: str, edits: Edits, images: Mapping[str, ImageSpec] | None = None
) -> Pipeline:
    """Return the stored tree; see `conducto_core.tree.rules.resolve.resolve_grown`."""
    trees = ((t, unpack_form(tree)) for t, tree in store.generated(pipeline_id).items())
    return resolve_grown(unpack_form(store.definition(pipeline_id)), trees, edits, images)


def interrupted(live: LivePipeline) -> list[tuple[str, int]]:
    """Return ``(path, attempt)`` of the attempts that were running at the last write."""
    return [
        (node.path, node.attempt)
        for node in live.tree.in_flight(live.tree.root)
        if node.state is State.RUNNING
    ]


def images_of(pipeline: Pipeline, stored: Iterable[ImageRecord] = ()) -> dict[str, LiveImage]:
    """Return the images of a tree, by name, with the outcomes of ``stored`` earlier builds."""
    used = dict.fromkeys(node.placement.image for node in pipeline.execs())
    ended = (ImageState.DONE, ImageState.ERROR)  # an agent that stopped left other builds
    known = {record.name: record for record in stored if record.state in ended}
    return {name: LiveImage(known.get(name) or ImageRecord(name=name)) for name in used}


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
            live = load(self._store, record)
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
                await self._scheduler.networks.release(live)
                if _may_leave(live, but):  # a request may have come while its network was removed
                    self._scheduler.unload(live)


def set_aside_record(record: PipelineRecord, cause: str) -> PipelineRecord:
    """Return the record of a damaged pipeline for lists."""
    status = record.status.model_copy(update={"settled": True})
    problem = str(unreadable(record.id, cause))
    return record.model_copy(update={"armed": False, "problem": problem, "status": status})


def unreadable(pipeline_id: str, cause: str) -> DamagedError:
    reason = cause.splitlines()[0]
    return DamagedError(
        f"pipeline {pipeline_id} {SET_ASIDE}, because it cannot be read ({reason}). {REPAIR}"
    )


def _may_leave(live: LivePipeline, but: LivePipeline) -> bool:
    used = live.subscribers or live.users or live.active_attempts or live.kept
    busy = used or not live.settled()
    return live is not but and not busy
