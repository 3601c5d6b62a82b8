"""Users' actions on a loaded pipeline."""

import asyncio

from conducto_core.api.action_checks import check_action, edits_of, preview_of_whole
from conducto_core.model.records import Lifecycle
from conducto_core.model.requests import WHOLE, Action, ControlRequest, ControlResult
from conducto_core.semantics import events as ev
from conducto_core.semantics.actions import EVENTS, named, preview
from conducto_local.scheduling import pipeline_loader
from conducto_local.scheduling.admission import check_nodes
from conducto_local.scheduling.live_pipeline import LivePipeline
from conducto_local.scheduling.scheduler import Scheduler
from conducto_local.store.port import Store


class Actions:
    """Executes actions."""

    def __init__(self, scheduler: Scheduler, store: Store) -> None:
        self._scheduler = scheduler
        self._store = store

    async def execute(self, live: LivePipeline, request: ControlRequest) -> ControlResult:
        """Execute an action, all or nothing; return the affected nodes.

        Raises:
            NotFoundError: A path is not in the tree.
            RefusedError: The action is not possible in the current state.
            DefinitionError: A modification makes the tree invalid.
            EngineError: ``run`` or ``wake`` without an engine.
        """
        check_action(live, request)
        if request.action in WHOLE:
            return await self._whole(live, request)
        request = named(live.tree, request)
        if not request.paths:  # nothing failed
            return ControlResult(preview=request.preview)
        result = preview(live.tree, request.action, request.paths)
        if request.action is Action.MODIFY:
            async with live.modifying:
                check_action(live, request)  # the tree may have changed meanwhile
                await self._modify(live, request)
        elif not request.preview:
            if request.action in (Action.RESET, Action.REBUILD):
                self._scheduler.contexts.forget(live, request.paths)
            if request.action is Action.REBUILD:
                self._scheduler.forget_images(live, request.paths)
            self._scheduler.apply(live, EVENTS[request.action](request.paths))
        return result.model_copy(update={"preview": request.preview})

    async def _whole(self, live: LivePipeline, request: ControlRequest) -> ControlResult:
        result = preview_of_whole(live, request.action)
        if request.preview:
            return result
        match request.action:
            case Action.RUN:
                await self.run(live)
            case Action.PAUSE:
                self._scheduler.apply(live, ev.Disarmed())
            case Action.CANCEL:
                self._cancel(live)
            case Action.WAKE:
                live.set_record(lifecycle=Lifecycle.ACTIVE)
            case Action.SLEEP:
                await self._rest(live, Lifecycle.SLEEPING)
            case _:
                await self._rest(live, Lifecycle.ARCHIVED)
        return result.model_copy(update={"preview": False})

    async def run(self, live: LivePipeline) -> None:
        """Run a pipeline; wake it if it sleeps."""
        await self._scheduler.engine_context(live).open()
        live.set_record(problem=None, lifecycle=Lifecycle.ACTIVE)
        self._scheduler.apply(live, ev.Armed())

    def _cancel(self, live: LivePipeline) -> None:
        self._scheduler.apply(live, ev.Disarmed())
        self._scheduler.apply(live, ev.NodesKilled(("/",)))

    async def _rest(self, live: LivePipeline, lifecycle: Lifecycle) -> None:
        """Stop commands, remove containers and the network, and keep everything else."""
        self._cancel(live)
        await self._scheduler.landed(live)
        await self._scheduler.cool_down(live)
        if lifecycle is Lifecycle.ARCHIVED:
            await self._scheduler.snapshots.forget(live, self._scheduler.engine_context(live))
        live.set_record(lifecycle=lifecycle)

    async def _modify(self, live: LivePipeline, request: ControlRequest) -> None:
        edits = edits_of(live, request)
        await self._scheduler.saved()
        laid_over = {**live.edits, **edits}
        pipeline = await asyncio.to_thread(
            pipeline_loader.resolve_stored, self._store, live.id, laid_over
        )
        check_nodes(pipeline.nodes, self._scheduler.engine_context(live).limits_or_none())
        if not request.preview:
            self._scheduler.apply(live, ev.NodesModified(live.edit(edits, pipeline)))
