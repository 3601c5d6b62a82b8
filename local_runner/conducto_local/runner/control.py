"""Orders of a person, carried out on a loaded pipeline."""

import asyncio
from collections.abc import Callable

from conducto.model.api import WHOLE, Action, ControlRequest, ControlResult
from conducto.model.records import Lifecycle
from conducto.semantics import events as ev
from conducto.semantics.errors import DefinitionError
from conducto.semantics.orders import lay_over, named, preview
from conducto.service.port import NotFoundError, RefusedError
from conducto_local.runner import loading
from conducto_local.runner.admission import check_nodes
from conducto_local.runner.live import LivePipeline
from conducto_local.runner.scheduler import Scheduler
from conducto_local.store.port import Store

_EVENTS: dict[Action, Callable[[tuple[str, ...]], ev.Event]] = {
    Action.RESET: ev.NodesReset,
    Action.REBUILD: ev.NodesReset,
    Action.SKIP: ev.NodesSkipped,
    Action.UNSKIP: ev.NodesUnskipped,
    Action.KILL: ev.NodesKilled,
}


class Control:
    """Carries out orders."""

    def __init__(self, scheduler: Scheduler, store: Store) -> None:
        self._scheduler = scheduler
        self._store = store

    async def carry_out(self, live: LivePipeline, request: ControlRequest) -> ControlResult:
        """Do what is asked, all or nothing, and return what it touched.

        Raises:
            NotFoundError: a path is not in the tree.
            RefusedError: the order makes no sense now.
            DefinitionError: a modification makes the tree wrong.
            EngineError: ``run`` or ``wake`` and no engine.
        """
        if request.action in WHOLE:
            return await self._whole(live, request)
        self._check(live, request)
        request = named(live.tree, request)
        if not request.paths:  # nothing failed
            return ControlResult(preview=request.preview)
        result = preview(live.tree, request.action, request.paths)
        if request.action is Action.MODIFY:
            async with live.modifying:
                self._check(live, request)  # the tree may be another one by now
                await self._modify(live, request)
        elif not request.preview:
            if request.action in (Action.RESET, Action.REBUILD):
                self._scheduler.forget_contexts(live, request.paths)
            if request.action is Action.REBUILD:
                self._scheduler.forget_images(live, request.paths)
            self._scheduler.apply(live, _EVENTS[request.action](request.paths))
        return result.model_copy(update={"preview": request.preview})

    def _check(self, live: LivePipeline, request: ControlRequest) -> None:
        order = request.action.value
        for path in request.paths:
            if path not in live.tree.nodes:
                raise NotFoundError(
                    f"{path}: no such node in {live.id}; 'conducto show {live.id}' lists them"
                )
        if not request.paths and not request.failed:
            raise RefusedError(f"{live.id}: {order} needs the paths of nodes; '/' is all of them")
        _refuse_archived(live)

    async def _whole(self, live: LivePipeline, request: ControlRequest) -> ControlResult:
        ends = request.action in (Action.SLEEP, Action.ARCHIVE)
        running = live.counts().running if ends else 0
        if request.preview:
            return ControlResult(affected=running, stopped=running, preview=True)
        match request.action:
            case Action.RUN:
                await self.run(live)
            case Action.PAUSE:
                _refuse_archived(live)
                self._scheduler.apply(live, ev.Disarmed())
            case Action.WAKE:
                live.set_record(lifecycle=Lifecycle.ACTIVE)
            case Action.SLEEP:
                _refuse_archived(live)
                await self._rest(live, Lifecycle.SLEEPING)
            case _:
                await self._rest(live, Lifecycle.ARCHIVED)
        return ControlResult(affected=running, stopped=running)

    async def run(self, live: LivePipeline) -> None:
        """Arm a pipeline; one that sleeps wakes."""
        await self._scheduler.kit(live).open()
        live.set_record(problem=None, lifecycle=Lifecycle.ACTIVE)
        self._scheduler.apply(live, ev.Armed())

    async def _rest(self, live: LivePipeline, lifecycle: Lifecycle) -> None:
        """End what runs, let go of containers and network, and keep everything else."""
        self._scheduler.apply(live, ev.Disarmed())
        self._scheduler.apply(live, ev.NodesKilled(("/",)))
        await self._scheduler.landed(live)
        await self._scheduler.cool_down(live)
        if lifecycle is Lifecycle.ARCHIVED:
            await self._scheduler.snapshots.forget(live, self._scheduler.kit(live))
        live.set_record(lifecycle=lifecycle)

    async def _modify(self, live: LivePipeline, request: ControlRequest) -> None:
        changes = request.changes
        if changes is None or not changes.model_fields_set:
            raise RefusedError(f"{live.id}: modify needs changes, e.g. command or env")
        self._check_image(live, request)
        edits = {
            path: lay_over(live.edits.get(path, {}), changes, live.tree.nodes[path])
            for path in request.paths
        }
        await self._scheduler.saved()
        laid_over = {**live.edits, **edits}
        pipeline = await asyncio.to_thread(loading.resolve_stored, self._store, live.id, laid_over)
        check_nodes(pipeline.nodes, self._scheduler.kit(live).limits_or_none())
        if not request.preview:
            self._scheduler.apply(live, ev.NodesModified(live.edit(edits, pipeline)))

    def _check_image(self, live: LivePipeline, request: ControlRequest) -> None:
        name = request.changes.image if request.changes is not None else None
        if name is not None and name not in live.pipeline.images:
            known = ", ".join(sorted(live.pipeline.images))
            raise DefinitionError(
                request.paths[0],
                f"image={name!r} names no image of this pipeline; there are {known}",
            )


def _refuse_archived(live: LivePipeline) -> None:
    if live.record.lifecycle is Lifecycle.ARCHIVED:
        raise RefusedError(f"{live.id}: is archived; wake it first: conducto wake {live.id}")
