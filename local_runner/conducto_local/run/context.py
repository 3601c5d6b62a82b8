"""The state that the parts of the scheduler share."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from conducto.integrations.http import DeliveryError
from conducto_core.diagnosis.handlers import Diagnoses
from conducto_core.limits.rules import LimitTable
from conducto_core.notifications.model import NotificationRecord
from conducto_core.run.model import events as ev
from conducto_core.run.model.requests import Action
from conducto_core.run.rules.admission import AdmissionQueue
from conducto_core.tree.rules.checks import Limits
from conducto_local.agent.state_dir import StateDir
from conducto_local.engine.port import Engine, EngineError, EngineInfo, ImageBuilder
from conducto_local.logs.store import LogDirectory
from conducto_local.run.live_pipeline import LivePipeline

# ----------------------------------------------------------------------------------------
# The port through which the scheduler sends notifications.


class Notifier(Protocol):
    """Sends notifications, each once, including those of earlier agents.

    `conducto_local.notifications.outbox.Outbox` implements it.

    Attributes:
        diagnoses: Explains failures in messages; None before the agent's pipelines are open.
    """

    diagnoses: Diagnoses | None

    def put(self, live: LivePipeline, command: ev.Notify) -> None:
        """Record a notification together with its cause and send it soon; return at once."""

    def recover(self) -> None:
        """Send the pending notifications of earlier agents."""

    async def send_now(
        self, pipeline_id: str, notification: NotificationRecord
    ) -> DeliveryError | None:
        """Send a notification once; return the error, without values of secrets, or None."""

    async def close(self) -> None:
        """Finish those that are being sent; the rest stays in the store."""


#: Makes a notifier; the argument waits until all changes so far are in the store.
MakeNotifier = Callable[[Callable[[], Awaitable[None]]], Notifier]


# ----------------------------------------------------------------------------------------
# An engine and its queue and builder, opened when the first pipeline needs it.


@dataclass(slots=True)
class EngineContext:
    """An engine, the builder of its images, and the queue for its machine.

    Attributes:
        labels: ``{name: value}`` of all resources of this state directory. Leftovers of a dead
            agent are removed by them before the first use.
        make_builder: Makes the builder, once the engine is open.
        table: The named limits, the same for all engines of the agent.
        note: Called with whether opening the engine failed.
        info: Description of the engine; None until `open`.
        dispatcher: The queue; None until `open`.
    """

    engine: Engine
    labels: Mapping[str, str]
    make_builder: Callable[[], ImageBuilder]
    note: Callable[[bool], None] = lambda _failed: None
    info: EngineInfo | None = None
    dispatcher: AdmissionQueue | None = None
    table: LimitTable = field(default_factory=LimitTable)
    _builder: ImageBuilder | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def open(self) -> EngineInfo:
        """Connect to the engine, or reconnect after a loss."""
        async with self._lock:
            if self.info is None:
                try:
                    info = await self.engine.open()
                except EngineError:
                    self.note(True)
                    raise
                self.note(False)
                if self.dispatcher is None:
                    await self.engine.remove_labelled(self.labels)
                    self.dispatcher = AdmissionQueue(
                        cpu=info.cpus, mem=info.memory, gpu=info.gpus, table=self.table
                    )
                self._builder = self.make_builder()
                self.info = info
            return self.info

    def builder(self) -> ImageBuilder:
        """Return a builder for one launch; call `open` first."""
        if self._builder is None:
            raise RuntimeError("the engine was never opened")
        return self._builder.for_launch()

    def lost(self) -> None:
        """Note that the engine was unreachable: reconnect before the next use."""
        self.info = None

    def limits(self) -> Limits:
        """Return the maximum size of a command; call `open` first."""
        if self.info is None:
            raise RuntimeError("the engine is not open")
        info = self.info
        return Limits(
            *(info.cpus, info.memory, info.gpus),
            arch=info.arch,
            emulates=info.emulates,
            services=info.has_services,
        )

    def limits_or_none(self) -> Limits | None:
        """Return the limits, or None before the engine was opened."""
        return None if self.info is None else self.limits()

    def queue(self) -> AdmissionQueue:
        """Return the queue; call `open` first."""
        if self.dispatcher is None:
            raise RuntimeError("the engine was never opened")
        return self.dispatcher


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
        return self.engine_contexts[live.record.engine]

    def logs(self, pipeline_id: str) -> LogDirectory:
        """Return the logs of a pipeline; always the same object, because it caches readers."""
        found = self._logs.get(pipeline_id)
        if found is None:
            root = self.home.pipeline(pipeline_id).logs
            found = self._logs[pipeline_id] = LogDirectory(root)
        return found

    def forget(self, pipeline_id: str) -> None:
        self.live.pop(pipeline_id, None)
        self._logs.pop(pipeline_id, None)
