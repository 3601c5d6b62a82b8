"""The state that the parts of the scheduler share."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from conducto_core.model.requests import Action
from conducto_core.semantics import events as ev
from conducto_local.scheduling.attempt_logs import LogDirectory
from conducto_local.scheduling.engine_context import EngineContext
from conducto_local.scheduling.live_pipeline import LivePipeline
from conducto_local.state_dir import StateDir

logger = logging.getLogger(__name__)


class Tasks:
    """Background tasks, whose exceptions are logged."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Start ``work`` as a task and return it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    async def ended(self, seconds: float) -> None:
        """Wait until all tasks have ended, at most ``seconds``."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("a task of the scheduler failed", exc_info=task.exception())


class Perform(Protocol):
    """Performs an action on a whole pipeline; ``problem``: the reason for a pause."""

    def __call__(self, live: LivePipeline, action: Action, problem: str | None = None) -> None:
        """Perform the action."""


@dataclass(slots=True)
class SchedulerContext:
    """The shared state of the scheduler's parts.

    Attributes:
        live: ``{pipeline id: loaded pipeline}``.
        apply: Applies an event to a pipeline and executes its effects.
        perform: Performs an action on a whole pipeline.
        wake: Schedules a start of waiting attempts and a write of changes.
        closing: The agent is stopping: nothing new starts.
    """

    home: StateDir
    engine_contexts: Mapping[str, EngineContext]
    apply: Callable[[LivePipeline, ev.Event], None]
    perform: Perform
    wake: Callable[[], None]
    live: dict[str, LivePipeline] = field(default_factory=dict)
    tasks: Tasks = field(default_factory=Tasks)
    closing: bool = False
    _logs: dict[str, LogDirectory] = field(default_factory=dict)

    def engine_context(self, live: LivePipeline) -> EngineContext:
        """Return the engine of a pipeline."""
        return self.engine_contexts[live.record.engine]

    def logs(self, pipeline_id: str) -> LogDirectory:
        """Return the logs of a pipeline; always the same object, because it caches readers."""
        found = self._logs.get(pipeline_id)
        if found is None:
            root = self.home.pipeline(pipeline_id).logs
            found = self._logs[pipeline_id] = LogDirectory(root)
        return found

    def forget(self, pipeline_id: str) -> None:
        """Forget a pipeline."""
        self.live.pop(pipeline_id, None)
        self._logs.pop(pipeline_id, None)
