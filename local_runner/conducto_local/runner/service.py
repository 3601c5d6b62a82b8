"""What the API asks of the local runner: the `Pipelines` port over the scheduler."""

import asyncio
import base64
import os
import resource
import time
from collections.abc import AsyncIterator

from conducto.model.api import (
    WHOLE,
    AgentStatus,
    ControlRequest,
    ControlResult,
    EventBatch,
    LaunchRequest,
    LogChunk,
    PipelineSummary,
    TreePage,
)
from conducto.model.debug import DebugPlan, DebugRequest
from conducto.model.records import AttemptRecord, Lifecycle, PipelineRecord
from conducto.model.secret_calls import DeleteSecrets, PutSecrets, SecretList
from conducto.model.states import FINISHED, State
from conducto.semantics import events as ev
from conducto.semantics.resolve import check_sizes, resolve
from conducto.service.port import NotFoundError, RefusedError
from conducto_local.home import Home
from conducto_local.ports import Stream
from conducto_local.runner import builds, loading, views
from conducto_local.runner.control import Control
from conducto_local.runner.debug_plans import DebugPlans
from conducto_local.runner.flights import pack_form
from conducto_local.runner.kit import Kit
from conducto_local.runner.live import LivePipeline
from conducto_local.runner.scheduler import Scheduler
from conducto_local.secrets import answers
from conducto_local.store.port import Store
from conducto_local.version import package_version

#: Seconds between two batches to one subscriber, and changes in one of them.
BATCH_EVERY = 0.1
BATCH_SIZE = 5000
#: Settled pipelines that stay in memory.
KEPT_LOADED = 8
_RESTARTED = "the agent was stopped while this ran"


class LocalPipelines:
    """Every pipeline of one profile."""

    def __init__(
        self, *, home: Home, store: Store, kits: dict[str, Kit], scheduler: Scheduler
    ) -> None:
        self._home = home
        self._store = store
        self._kits = kits
        self._scheduler = scheduler
        self._control = Control(scheduler, store)
        self._debug = DebugPlans(home, store, scheduler)
        self._started = time.time()
        self._run_at: dict[str, asyncio.TimerHandle] = {}

    async def recover(self) -> None:
        """Load what was under way when the last agent ended, and go on with it.

        What ran then is gone with its container: it is marked so, never run again in silence.
        """
        active = [r for r in self._store.records() if r.lifecycle is Lifecycle.ACTIVE]
        for engine in dict.fromkeys(record.engine for record in active):
            self._scheduler.tidy(self._kits[engine])
        for record in active:
            if record.standing.settled:
                continue
            live = self._load(record)
            for path, attempt in loading.interrupted(live):
                self._scheduler.lose(live, path, attempt, _RESTARTED)
            if record.armed:
                self._scheduler.apply(live, ev.Armed())
            elif record.run_at is not None:
                self._arm_at(live, record.run_at)
            self._scheduler.restart_timers(live)

    async def launch(self, request: LaunchRequest) -> PipelineSummary:
        """Validate, resolve, store and (if asked) arm a pipeline."""
        kit = self._kits[request.engine]
        await kit.open()
        pipeline, definition = await asyncio.to_thread(
            lambda: (resolve(request.tree), pack_form(request.tree))
        )
        check_sizes(pipeline.nodes, kit.limits())
        taken = {record.id for record in self._store.records()}
        record = loading.new_record(loading.new_id(taken), request, pipeline)
        self._home.make_pipeline(record.id)
        self._store.create(record, definition)
        live = loading.begin(record, pipeline)
        self._scheduler.add(live)
        if request.run:
            self._scheduler.apply(live, ev.Armed())
        elif request.run_at is not None:
            self._arm_at(live, request.run_at)
        await self._unload(but=live)
        await self._scheduler.saved()  # what was answered is not forgotten
        return views.summary(live)

    async def list(self) -> tuple[PipelineSummary, ...]:
        """Every pipeline that is not archived, the newest first."""
        return tuple(
            self._summary(record)
            for record in sorted(self._store.records(), key=lambda r: -r.created)
            if record.lifecycle is not Lifecycle.ARCHIVED
        )

    async def get(self, pipeline_id: str) -> PipelineSummary:
        """One pipeline. An unambiguous beginning of its id is enough."""
        return views.summary(self.live(pipeline_id))

    async def tree(
        self, pipeline_id: str, *, root: str = "/", after: str | None = None, limit: int = 1000
    ) -> TreePage:
        """Nodes of a subtree with all their attempts."""
        live = self.live(pipeline_id)
        await self._scheduler.saved()
        try:
            nodes, more = views.page(live, root, after, limit)
        except KeyError as error:
            raise self._no_node(live, str(error.args[0])) from error
        whole = len(nodes) == len(live.tree.nodes)
        found: dict[str, list[AttemptRecord]] = {}
        if whole:
            for attempt in self._store.attempts(live.id):
                found.setdefault(attempt.path, []).append(attempt)
        else:
            for node in nodes:
                if node.attempt:
                    found[node.path] = [*self._store.attempts(live.id, node.path)]
        return TreePage.model_construct(
            seq=live.seq,
            next=more,
            nodes=tuple(
                views.node_view(live, n, found.get(n.path, ()), self._waits_for(live, n.path))
                for n in nodes
            ),
        )

    async def attempts(self, pipeline_id: str, path: str) -> tuple[AttemptRecord, ...]:
        """Every attempt of a node, the first one first."""
        live = self.live(pipeline_id)
        await self._scheduler.saved()
        found = tuple(self._store.attempts(live.id, path))
        if not found and path not in live.tree.nodes:
            raise self._no_node(live, path)
        return found

    async def log(
        self,
        pipeline_id: str,
        path: str,
        *,
        attempt: int | None = None,
        stream: str = "stdout",
        offset: int = 0,
        limit: int = 1 << 20,
    ) -> LogChunk:
        """A piece of an output stream; a negative ``offset`` counts from the end."""
        live = self.live(pipeline_id)
        attempts = await self.attempts(pipeline_id, path)
        numbers = [a.number for a in attempts]
        number = attempt if attempt is not None else max(numbers, default=None)
        if number is not None and number not in numbers:
            known = ", ".join(map(str, numbers)) or "none"
            raise NotFoundError(f"{path}: no attempt {number} (there are: {known})")
        if number is None:
            return LogChunk(data="", offset=0, size=0, complete=False)
        record = next(a for a in attempts if a.number == number)
        reader = self._scheduler.logs(live.id).reader(path, number)
        complete = record.state in FINISHED  # asked before the bytes: none can come after it
        piece = reader.read(_stream(stream), offset, limit)
        return LogChunk(
            data=base64.b64encode(piece.data).decode(),
            offset=piece.offset,
            size=piece.size,
            complete=complete,
        )

    async def image_log(self, pipeline_id: str, image: str) -> str:
        """What the build of an image printed so far."""
        live = self.live(pipeline_id)
        if image not in live.images:
            known = ", ".join(sorted(live.images)) or "none"
            raise NotFoundError(f"{live.id}: no image {image!r} (there are: {known})")
        reader = self._scheduler.logs(live.id).reader(builds.log_name(image), builds.BUILD_ATTEMPT)
        return reader.read("stdout", 0, 64 << 20).data.decode(errors="replace")

    async def control(self, pipeline_id: str, request: ControlRequest) -> ControlResult:
        """Carry out an order on a set of nodes, all or nothing."""
        live = self.live(pipeline_id)
        if request.action in WHOLE and not request.preview:
            self._cancel_run_at(live)
        result = await self._control.carry_out(live, request)
        await self._scheduler.saved()
        return result

    async def debug(self, pipeline_id: str, request: DebugRequest) -> DebugPlan:
        """The container of a debug shell."""
        return await self._debug.plan(self.live(pipeline_id), request)

    async def events(self, pipeline_id: str, cursor: int) -> AsyncIterator[EventBatch]:
        """Changes after ``cursor``, then live ones."""
        live = self.live(pipeline_id)
        if cursor > live.seq:
            raise RefusedError(
                f"{live.id}: cursor {cursor} is beyond the newest change {live.seq}; read the tree"
            )
        live.subscribers += 1
        seen = 0
        try:
            while True:
                await live.news(seen)
                await self._scheduler.saved()
                version = live.version
                changes = self._store.changes(live.id, cursor, BATCH_SIZE)
                yield views.batch(live, changes, seen)
                cursor = changes[-1].seq if changes else cursor
                if len(changes) < BATCH_SIZE:
                    seen = version
                    await asyncio.sleep(BATCH_EVERY)
        finally:
            live.subscribers -= 1

    async def secrets(self) -> SecretList:
        """Every secret, without values."""
        return await asyncio.to_thread(answers.listing, self._scheduler.secrets.store)

    async def put_secrets(self, request: PutSecrets) -> SecretList:
        """Store secrets; commands that start from now on see them."""
        return await asyncio.to_thread(answers.put, self._scheduler.secrets.store, request)

    async def delete_secrets(self, request: DeleteSecrets) -> SecretList:
        """Delete secrets; commands that start from now on do not see them."""
        return await asyncio.to_thread(answers.delete, self._scheduler.secrets.store, request)

    async def status(self) -> AgentStatus:
        """The process itself."""
        infos = [kit.info for kit in self._kits.values() if kit.info is not None]
        info = infos[0] if infos else None
        return AgentStatus(
            pid=os.getpid(),
            url="",
            version=package_version(),
            started=self._started,
            engine=None if info is None else f"{info.name} {info.version}",
            cpus=None if info is None else info.cpus,
            mem=None if info is None else info.memory,
            pipelines=len(self._store.records()),
            memory=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        )

    # ---- helpers ----------------------------------------------------------------------------

    def _summary(self, record: PipelineRecord) -> PipelineSummary:
        live = self._scheduler.live.get(record.id)
        return views.stored_summary(record) if live is None else views.summary(live)

    def live(self, pipeline_id: str) -> LivePipeline:
        """Return a pipeline, loaded; an unambiguous beginning of its id is enough.

        Raises:
            NotFoundError: there is none, or there are several.
        """
        found = self._scheduler.live.get(pipeline_id)
        if found is not None:
            return found
        records = {record.id: record for record in self._store.records()}
        matching = [i for i in records if i == pipeline_id or i.startswith(pipeline_id)]
        if pipeline_id in records:
            matching = [pipeline_id]
        if not matching or not pipeline_id:
            raise NotFoundError(
                f"no pipeline {pipeline_id!r}; 'conducto list' shows those there are"
            )
        if len(matching) > 1:
            raise NotFoundError(f"{pipeline_id!r} could be any of {', '.join(sorted(matching))}")
        found = self._scheduler.live.get(matching[0])
        return found if found is not None else self._load(records[matching[0]])

    def _load(self, record: PipelineRecord) -> LivePipeline:
        live = loading.load(self._store, record)
        self._scheduler.add(live)
        return live

    async def _unload(self, but: LivePipeline) -> None:
        """Let go of settled pipelines that nobody looks at, the longest settled first."""
        idle = [live for live in self._scheduler.live.values() if _may_be_unloaded(live, but)]
        idle.sort(key=lambda live: live.ended or live.record.created)
        for live in idle[: max(0, len(idle) - KEPT_LOADED)]:
            await self._scheduler.cool_down(live)
            if _may_be_unloaded(live, but):  # somebody may have come while its network went
                self._scheduler.unload(live)

    def _waits_for(self, live: LivePipeline, path: str) -> str | None:
        flight = live.flights.get(path)
        node = live.tree.nodes[path]
        if flight is not None and node.state is State.QUEUED:
            return self._scheduler.reason(flight)
        return views.why_pending(live, node)

    def _no_node(self, live: LivePipeline, path: str) -> NotFoundError:
        return NotFoundError(
            f"{path}: no such node in {live.id}; 'conducto show {live.id}' lists them"
        )

    def _arm_at(self, live: LivePipeline, when: float) -> None:
        delay = max(0.0, when - time.time())

        def arm() -> None:
            self._run_at.pop(live.id, None)
            live.set_record(run_at=None)
            self._scheduler.apply(live, ev.Armed())

        self._run_at[live.id] = asyncio.get_running_loop().call_later(delay, arm)

    def _cancel_run_at(self, live: LivePipeline) -> None:
        timer = self._run_at.pop(live.id, None)
        if timer is not None:
            timer.cancel()
            live.set_record(run_at=None)


def _stream(name: str) -> Stream:
    if name == "stdout":
        return "stdout"
    if name == "stderr":
        return "stderr"
    raise RefusedError(f"stream must be stdout or stderr, got {name!r}")


def _may_be_unloaded(live: LivePipeline, but: LivePipeline) -> bool:
    busy = live.subscribers or live.flights or not live.settled()
    return live is not but and not busy
