"""Users' actions on a loaded pipeline."""

import asyncio
from collections.abc import Iterable

from conducto_core.api.action_checks import check_action, edits_of, preview_of_whole
from conducto_core.model.requests import WHOLE, Action, ControlRequest, ControlResult
from conducto_core.semantics import events as ev
from conducto_core.semantics.actions import events_of, events_of_modify, preview
from conducto_core.semantics.approvals import Decider
from conducto_core.semantics.pipeline_state import LIFECYCLES
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

    async def execute(
        self, live: LivePipeline, request: ControlRequest, decider: Decider
    ) -> ControlResult:
        """Execute an action, all or nothing; return the affected nodes.

        Args:
            live: The pipeline.
            request: The action.
            decider: The caller.

        Raises:
            NotFoundError: A path is not in the tree.
            RefusedError: The action is not possible in the current state.
            DefinitionError: A modification makes the tree invalid.
            EngineError: ``run`` or ``wake`` without an engine.
        """
        request = check_action(live, request, lambda: decider)
        if request.action in WHOLE:
            return await self._whole(live, request)
        if not request.paths:  # nothing failed
            return ControlResult(preview=request.preview)
        result = preview(live.tree, request.action, request.paths)
        if request.action is Action.MODIFY:
            async with live.modifying:
                # The tree may have changed meanwhile.
                await self._modify(live, check_action(live, request, lambda: decider), decider)
        elif not request.preview:
            if request.action in (Action.RESET, Action.REBUILD):
                self._scheduler.contexts.forget(live, request.paths)
                self._scheduler.retry_failed_images(live)
            if request.action is Action.REBUILD:
                self._scheduler.forget_images(live, request.paths)
            self._apply(live, events_of(live.tree, request.action, request.paths, decider.user))
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
        await self._scheduler.landed(live)
        await self._scheduler.cool_down(live)
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
            self._apply(live, events_of_modify(live.tree, modified, request.paths, decider.user))
