"""The operations of the API over the scheduler."""

import asyncio
import os
import shutil
import time

from conducto_core.api.action_checks import check_deletable
from conducto_core.api.pipelines import Pipelines
from conducto_core.images.sdk_wheel import package_version
from conducto_core.model.debug import DebugPlan, DebugRequest
from conducto_core.model.gc import GcReport, GcRequest
from conducto_core.model.params import PipelineParams
from conducto_core.model.records import Lifecycle
from conducto_core.model.requests import WHOLE, Action, AgentStatus, ControlRequest, ControlResult
from conducto_core.model.responses import DeletedPipeline
from conducto_local.api.approvals import LocalApprovals, current_decider
from conducto_local.api.children import LocalChildren
from conducto_local.api.data import LocalData
from conducto_local.api.debug_containers import DebugContainers
from conducto_local.api.logs import LocalLogs
from conducto_local.api.programs import LocalPrograms
from conducto_local.api.secrets import LocalSecrets
from conducto_local.lifecycle.deletion import PipelineDeleter
from conducto_local.lifecycle.gc import GarbageCollector
from conducto_local.programs.starts import ProgramStarts
from conducto_local.scheduling.actions import Actions
from conducto_local.scheduling.engine_context import EngineContext
from conducto_local.scheduling.scheduler import Scheduler
from conducto_local.state_dir import StateDir
from conducto_local.store.errors import StoreFullError
from conducto_local.store.port import Store

#: Actions that are executed even if they cannot be stored: they stop what fills the disk.
_STOPPING = frozenset({Action.PAUSE, Action.CANCEL, Action.KILL})


class LocalPipelines(
    LocalPrograms, LocalApprovals, LocalSecrets, LocalChildren, LocalLogs, LocalData, Pipelines
):
    """All pipelines of one profile."""

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

    async def delete_pipeline(self, params: PipelineParams) -> DeletedPipeline:
        """Delete a pipeline with all its resources."""
        async with self._deleting:
            live = self.live(params.id)
            check_deletable(live)
            if live.record.lifecycle is not Lifecycle.ARCHIVED:  # nothing may start it meanwhile
                archive = ControlRequest(action=Action.ARCHIVE)
                await self.control(PipelineParams(id=live.id), archive)
            if not await self._deleter.delete(live):
                raise StoreFullError(f"{live.id}: cannot be deleted while the disk is full")
            return DeletedPipeline(id=live.id)

    async def control(self, params: PipelineParams, request: ControlRequest) -> ControlResult:
        """Perform an action on a set of nodes, all or nothing."""
        live = self.live(params.id)
        if request.action not in _STOPPING and not request.preview:
            self._store.check_room()
        if request.action in WHOLE and not request.preview:
            self._start_times.cancel(live)
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

    async def debug(self, params: PipelineParams, request: DebugRequest) -> DebugPlan:
        """Return the container of a debug shell."""
        live = self.live(params.id)
        with live.in_use():
            return await self._debug.plan(live, request)

    async def collect_garbage(self, request: GcRequest) -> GcReport:
        """Free the resources that no live pipeline needs."""
        return await self._collector.collect(request)

    async def get_agent(self) -> AgentStatus:
        """Return the status of this process."""
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
