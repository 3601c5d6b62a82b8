"""The operations of the API over the scheduler."""

import asyncio
import os
import shutil
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence

from conducto_core.api.pipelines import Pipelines
from conducto_core.api.serve import serves
from conducto_core.approvals.rules import Decider
from conducto_core.debug import operations as debug_operations
from conducto_core.debug.model import DebugPlan, DebugRequest
from conducto_core.images.sdk_wheel import package_version
from conducto_core.installation.model import GcReport, GcRequest
from conducto_core.remote import operations as remote_operations
from conducto_core.run import operations as run_operations
from conducto_core.run.launching import (
    check_action,
    check_deletable,
    done_on_nodes,
    edits_of,
    preview_of_nodes,
    preview_of_whole,
)
from conducto_core.run.model import events as ev
from conducto_core.run.model.params import PipelineParams
from conducto_core.run.model.records import Lifecycle
from conducto_core.run.model.requests import (
    RESETS,
    STARTS,
    WHOLE,
    Action,
    AgentStatus,
    ControlRequest,
    ControlResult,
)
from conducto_core.run.model.responses import DeletedPipeline
from conducto_core.run.rules.actions import events_of, events_of_modify
from conducto_core.run.rules.pipeline_state import LIFECYCLES
from conducto_core.telemetry.rules.metrics import Point
from conducto_local.agent.state_dir import StateDir
from conducto_local.approvals.handlers import LocalApprovals, current_decider
from conducto_local.cache.handlers import LocalCache
from conducto_local.children.handlers import LocalChildren
from conducto_local.data.handlers import LocalData
from conducto_local.debug.handlers import DebugContainers
from conducto_local.events.handlers import LocalHooks
from conducto_local.logs.handlers import LocalLogs
from conducto_local.programs.handlers import LocalPrograms
from conducto_local.programs.process import ProgramStarts
from conducto_local.run import pipelines as pipeline_loader
from conducto_local.run.admission import check_nodes
from conducto_local.run.context import EngineContext
from conducto_local.run.deletion import PipelineDeleter
from conducto_local.run.gc import GarbageCollector
from conducto_local.run.live_pipeline import LivePipeline
from conducto_local.run.scheduler import Scheduler
from conducto_local.secrets.handlers import LocalSecretHandlers
from conducto_local.store.port import Store, StoreFullError
from conducto_local.test_results.handlers import LocalTests

# ----------------------------------------------------------------------------------------
# Users' actions on a loaded pipeline.


class Actions:
    """Executes actions."""

    def __init__(self, scheduler: Scheduler, store: Store) -> None:
        self._scheduler = scheduler
        self._store = store

    async def execute(
        self, live: LivePipeline, request: ControlRequest, decider: Decider
    ) -> ControlResult:
        """Execute an action, all or nothing; return the affected nodes.

        Raises:
            NotFoundError: A path is not in the tree.
            RefusedError: The action is not possible in the current state.
            DefinitionError: A modification makes the tree invalid.
            EngineError: ``run`` or ``wake`` without an engine.
        """
        asked, request = request, check_action(live, request, lambda: decider)
        if request.action in STARTS and request.paths and not request.preview:
            await self._scheduler.engine_context(live).open()
            request = check_action(live, asked, lambda: decider)  # the tree may have changed
        if request.action in WHOLE:
            return await self._whole(live, request)
        if not request.paths:  # nothing failed
            return ControlResult(preview=request.preview)
        result = preview_of_nodes(live, request)
        if request.action is Action.MODIFY:
            async with live.modifying:
                # The tree may have changed meanwhile.
                await self._modify(live, check_action(live, request, lambda: decider), decider)
        elif not request.preview:
            if request.action in RESETS:
                self._scheduler.contexts.forget(live, request.paths)
                self._scheduler.images.retry_failed(live)
            if request.action is Action.REBUILD:
                self._scheduler.images.forget(live, request.paths)
            self._apply(live, events_of(live.tree, request.action, request.paths, decider.actor))
            if request.action in STARTS:
                result = done_on_nodes(live, request, result)
                self._scheduler.perform(live, Action.RUN)
        return result.model_copy(update={"preview": request.preview})

    async def _whole(self, live: LivePipeline, request: ControlRequest) -> ControlResult:
        result = preview_of_whole(live, request.action)
        if request.preview:
            return result
        match request.action:
            case Action.RUN:
                await self.run(live)
            case Action.SLEEP | Action.ARCHIVE:
                await self._rest(live, request.action)
            case _:
                self._scheduler.perform(live, request.action)
        return result.model_copy(update={"preview": False})

    async def run(self, live: LivePipeline) -> None:
        """Run a pipeline; wake it if it sleeps."""
        await self._scheduler.engine_context(live).open()
        self._scheduler.perform(live, Action.RUN)

    async def _rest(self, live: LivePipeline, action: Action) -> None:
        """Stop commands, remove containers and the network, and keep everything else."""
        self._scheduler.perform(live, action)
        await self._scheduler.wait_idle(live)
        await self._scheduler.networks.release(live)
        if action is Action.ARCHIVE:
            await self._scheduler.snapshots.forget(live, self._scheduler.engine_context(live))
        live.set_record(lifecycle=LIFECYCLES[action])

    def _apply(self, live: LivePipeline, events: Iterable[ev.Event]) -> None:
        for event in events:
            self._scheduler.apply(live, event)

    async def _modify(self, live: LivePipeline, request: ControlRequest, decider: Decider) -> None:
        edits = edits_of(live, request)
        await self._scheduler.saved(wait=False)
        laid_over = {**live.edits, **edits}
        images = dict(live.pipeline.images)
        pipeline = await asyncio.to_thread(
            pipeline_loader.resolve_stored, self._store, live.id, laid_over, images
        )
        check_nodes(pipeline.nodes, self._scheduler.engine_context(live).limits_or_none())
        if not request.preview:
            modified = live.edit(edits, pipeline)
            self._apply(live, events_of_modify(live.tree, modified, request.paths, decider.actor))


#: Actions that are executed even if they cannot be stored: they stop what fills the disk.
_STOPPING = frozenset({Action.PAUSE, Action.CANCEL, Action.KILL})


class LocalPipelines(
    LocalPrograms,
    LocalApprovals,
    LocalCache,
    LocalSecretHandlers,
    LocalChildren,
    LocalLogs,
    LocalData,
    LocalTests,
    Pipelines,
):
    """All pipelines of one profile.

    Attributes:
        hooks: Receives the webhooks of triggers.
        metrics: Returns the current values of all instruments.
    """

    hooks: LocalHooks | None = None
    metrics: Callable[[], Awaitable[Sequence[Point]]] | None = None

    def __init__(
        self,
        *,
        home: StateDir,
        store: Store,
        engine_contexts: dict[str, EngineContext],
        scheduler: Scheduler,
    ) -> None:
        super().__init__(
            home=home, store=store, engine_contexts=engine_contexts, scheduler=scheduler
        )
        self._control = Actions(scheduler, store)
        self._debug = DebugContainers(home, store, scheduler)
        self._deleter = PipelineDeleter(home, store, scheduler)
        self._deleting = asyncio.Lock()
        self._collector = GarbageCollector(home, store, engine_contexts, scheduler)
        self._starts = ProgramStarts(home)
        self._started = time.time()
        scheduler.times_of_tests = self.times_of_tests

    @serves(run_operations.DELETE)
    async def delete_pipeline(self, params: PipelineParams) -> DeletedPipeline:
        async with self._deleting:
            live = self.live(params.id)
            check_deletable(live)
            if live.record.lifecycle is not Lifecycle.ARCHIVED:  # nothing may start it meanwhile
                self._start_times.cancel(live)
                self._scheduler.perform(live, Action.ARCHIVE)
                live.set_record(lifecycle=Lifecycle.ARCHIVED)
            await self._deleter.delete(live)
            return DeletedPipeline(id=live.id)

    @serves(run_operations.CONTROL)
    async def control(self, params: PipelineParams, request: ControlRequest) -> ControlResult:
        live = self.live(params.id)
        if request.action not in _STOPPING and not request.preview:
            self._store.check_room()
        if request.action in WHOLE and not request.preview:
            self._start_times.cancel(live)
        if request.stale:
            found = await self.with_stale_paths(live, request)
            if found is None:
                return ControlResult(preview=request.preview)
            request = found
        with live.in_use():
            result = await self._control.execute(live, request, current_decider())
            if request.preview:
                return result
            try:
                await self._scheduler.saved(wait=False)
            except StoreFullError as error:
                done = f"{live.id}: {request.action.value} was executed, but not stored yet"
                raise StoreFullError(f"{done}. {error}") from error
        return result

    @serves(debug_operations.DEBUG)
    async def debug(self, params: PipelineParams, request: DebugRequest) -> DebugPlan:
        live = self.live(params.id)
        with live.in_use():
            return await self._debug.plan(live, request)

    @serves(remote_operations.GC)
    async def collect_garbage(self, request: GcRequest) -> GcReport:
        """Free the resources that no live pipeline needs."""
        return await self._collector.collect(request)

    async def get_agent(self) -> AgentStatus:
        infos = [
            engine_context.info
            for engine_context in self._engine_contexts.values()
            if engine_context.info is not None
        ]
        info = infos[0] if infos else None
        disk = shutil.disk_usage(self._home.root)
        return AgentStatus(
            pid=os.getpid(),
            url="",
            version=package_version(),
            started=self._started,
            engine=None if info is None else f"{info.name} {info.version}",
            cpus=None if info is None else info.cpus,
            mem=None if info is None else info.memory,
            pipelines=len(self._store.records()),
            disk_free=disk.free,
            disk_total=disk.total,
            warnings=tuple(text for each in infos for text in each.warnings),
        )
