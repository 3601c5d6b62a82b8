"""Retention: puts inactive pipelines to sleep, archives and deletes them.

A pipeline that was launched with ``--sleep-when-done`` sleeps once its root is done. A pipeline
without activity for its ``retention`` days is archived, and deleted after as many days again;
``conducto wake`` restores it until then. A retention of 0 keeps a pipeline forever.
"""

import asyncio
import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Any, Protocol

from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.run.model.params import PipelineParams
from conducto_core.run.model.records import Lifecycle, PipelineRecord
from conducto_core.run.model.requests import Action, ControlRequest
from conducto_core.run.model.states import State
from conducto_local.agent.state_dir import StateDir
from conducto_local.engine.port import EngineError
from conducto_local.run.clock import Clock
from conducto_local.run.deletion import PipelineDeleter
from conducto_local.run.live_pipeline import LivePipeline
from conducto_local.run.scheduler import Scheduler
from conducto_local.store.port import Store, StoreError

# ----------------------------------------------------------------------------------------
# Idle time of pipelines that survives clock changes.
#
# The time of day may jump: a battery is empty, a virtual machine resumes, or somebody sets it by
# hand. That must not delete anything early. So the agent counts time itself: while it runs, the
# lesser of the advances of the time of day and of a monotonic clock; while no agent runs, the
# advance of the time of day, but at most a day per absence. The count is kept in a file, with the
# time at which each pipeline was last active. It may be late, never early.


logger = logging.getLogger(__name__)

#: Maximum number of seconds counted for an absence of the agent.
LONGEST_ABSENCE = 86400.0


@dataclass
class IdleClock:
    """Counts for how long each pipeline has been idle.

    Attributes:
        path: File with the counts; if it is missing or damaged, counting starts again.
    """

    path: Path
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self._now, self._wall, self._since = _read(self.path)
        self._steady: float | None = None

    def count(self, marks: Mapping[str, float | None]) -> dict[str, float]:
        """Return ``{pipeline id: seconds without activity}`` and save the counts.

        Args:
            marks: For each pipeline a value that changes with its activity; None while it is
                active.
        """
        self._now += self._elapsed()
        since = {}
        for pipeline_id, mark in marks.items():
            before = self._since.get(pipeline_id)
            same = before is not None and before[0] == mark and mark is not None
            since[pipeline_id] = before if before is not None and same else (mark, self._now)
        self._since = since
        self._write()
        return {pipeline_id: self._now - start for pipeline_id, (_, start) in since.items()}

    def _elapsed(self) -> float:
        wall, steady = self.clock.wall(), self.clock.steady()
        passed = LONGEST_ABSENCE if self._steady is None else steady - self._steady
        passed = 0.0 if self._wall is None else min(wall - self._wall, passed)
        self._wall, self._steady = wall, steady
        return max(0.0, passed)

    def _write(self) -> None:
        document = {"now": self._now, "wall": self._wall, "pipelines": self._since}
        partial = self.path.with_name(f"{self.path.name}.partial")
        try:
            partial.write_text(json.dumps(document))
            partial.replace(self.path)
        except OSError as error:  # disk full: unsaved time is counted later
            logger.warning("cannot save idle times", extra={"why": str(error)})


_Since = dict[str, tuple[float | None, float]]


def _read(path: Path) -> tuple[float, float | None, _Since]:
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
        since = {
            str(pipeline_id): (None if mark is None else float(mark), float(start))
            for pipeline_id, (mark, start) in found["pipelines"].items()
        }
        wall = found["wall"]
        return float(found["now"]), None if wall is None else float(wall), since
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return 0.0, None, {}


#: Seconds between two checks.
EVERY = 3600.0
_DAY = 86400.0


class RetentionStep(Enum):
    """The step that is due for a pipeline."""

    ARCHIVE = auto()
    DELETE = auto()


def due(
    records: Iterable[PipelineRecord], idle: Mapping[str, float]
) -> Iterator[tuple[str, RetentionStep]]:
    """Yield ``(pipeline id, step)`` for each pipeline with a step that is due."""
    for record in records:
        kept = record.retention * _DAY
        if record.retention > 0 and idle.get(record.id, 0.0) >= kept:
            archived = record.lifecycle is Lifecycle.ARCHIVED
            yield record.id, RetentionStep.DELETE if archived else RetentionStep.ARCHIVE


class RetainedPipelines(Protocol):
    """The part of the API that retention uses."""

    def live(self, pipeline_id: str) -> LivePipeline:
        """Return a pipeline, loaded."""

    async def control(self, params: PipelineParams, request: ControlRequest) -> object:
        """Execute an action."""


class RetentionScheduler:
    """Performs retention every hour."""

    def __init__(
        self,
        home: StateDir,
        store: Store,
        scheduler: Scheduler,
        pipelines: RetainedPipelines,
        clock: Clock | None = None,
    ) -> None:
        self.remover = PipelineDeleter(home, store, scheduler)
        self._home = home
        self._store = store
        self._scheduler = scheduler
        self._pipelines = pipelines
        self._idle = IdleClock(home.agent / "idle.json", Clock() if clock is None else clock)
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Start: check now and then every hour."""
        self._scheduler.when_settled.append(self._settled)
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        if self._task is not None:
            self._scheduler.when_settled.remove(self._settled)
            self._task.cancel()
            await asyncio.wait([self._task])

    async def run_due_steps(self) -> None:
        await asyncio.to_thread(self.remover.sweep)
        await self._scheduler.trim_cache()
        records = self._store.records()
        for record in records:
            if _is_to_sleep(record):
                await self._request_action(record.id, Action.SLEEP)
        idle = self._idle.count({record.id: self._mark(record) for record in records})
        for pipeline_id, step in list(due(records, idle)):
            if step is RetentionStep.ARCHIVE:
                await self._request_action(pipeline_id, Action.ARCHIVE)
            else:
                await self._delete(pipeline_id)

    async def _delete(self, pipeline_id: str) -> None:
        try:
            await self.remover.delete(self._pipelines.live(pipeline_id))
        except Exception:
            # One failure must not keep the other pipelines from being handled.
            logger.exception("cannot delete the pipeline", extra={"pipeline": pipeline_id})

    async def _run(self) -> None:
        while True:
            try:
                await self.run_due_steps()
            except Exception:
                # The next check may succeed, and the agent must continue to run pipelines.
                logger.exception("retention failed")
            await asyncio.sleep(EVERY)

    def _mark(self, record: PipelineRecord) -> float | None:
        live = self._scheduler.live.get(record.id)
        if live is not None and (live.subscribers or live.active_attempts or not live.settled()):
            return None
        return record.touched

    async def _request_action(self, pipeline_id: str, action: Action) -> None:
        try:
            await self._pipelines.control(
                PipelineParams(id=pipeline_id), ControlRequest(action=action)
            )
        except (NotFoundError, RefusedError, EngineError, StoreError) as error:
            about = {"pipeline": pipeline_id, "action": action.value, "why": str(error)}
            logger.warning("action failed; it is retried at the next check", extra=about)
        except Exception:
            # One failure must not keep the other pipelines from being handled.
            about = {"pipeline": pipeline_id, "action": action.value}
            logger.exception("action failed; it is retried at the next check", extra=about)
        else:
            logger.info("automatic action", extra={"pipeline": pipeline_id, "action": action.value})

    def _settled(self, live: LivePipeline) -> None:
        if live.falls_asleep():
            self._scheduler.spawn(self._sleep(live))

    async def _sleep(self, live: LivePipeline) -> None:
        if live.falls_asleep():  # unless a user's action came first
            await self._request_action(live.id, Action.SLEEP)


def _is_to_sleep(record: PipelineRecord) -> bool:
    status = record.status
    done = status.settled and status.state is State.DONE
    active = record.lifecycle is Lifecycle.ACTIVE and record.armed
    return record.sleep_when_done and active and done
