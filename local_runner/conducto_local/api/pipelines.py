"""The `Pipelines` port over the scheduler."""

import asyncio
import logging
import os
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

from conducto_core.api.action_checks import check_deletable
from conducto_core.api.data_files import DataDirectory
from conducto_core.api.launching import TRIED_IDS, ids_for, is_of_launch, new_record
from conducto_core.api.pipelines import Pipelines
from conducto_core.api.queries import listing, views
from conducto_core.api.queries import pipelines as queries
from conducto_core.api.queries import secret_queries as answers
from conducto_core.api.queries.relaunch import launch_request
from conducto_core.api.queries.usage_reports import usage_of
from conducto_core.images.sdk_wheel import package_version
from conducto_core.model.debug import DebugPlan, DebugRequest
from conducto_core.model.form_codec import pack_form, unpack_form
from conducto_core.model.gc import GcReport, GcRequest
from conducto_core.model.node_detail import NodeDetail
from conducto_core.model.nodes import Pipeline
from conducto_core.model.outputs import OutputParams, OutputStream
from conducto_core.model.params import (
    ChangedDataParams,
    ImageLogParams,
    ListParams,
    ListUserDataParams,
    LogFileParams,
    LogLinesParams,
    LogParams,
    LogSearchParams,
    NodeParams,
    PipelineParams,
    StatesParams,
    TreeParams,
    UserDataParams,
)
from conducto_core.model.records import AttemptRecord, Lifecycle, PipelineRecord
from conducto_core.model.requests import (
    WHOLE,
    Action,
    AgentStatus,
    ControlRequest,
    ControlResult,
    EventBatch,
    LaunchRequest,
    LogChunk,
    NodeStates,
    PipelineSummary,
    TreePage,
)
from conducto_core.model.resources import Resources, ResourcesParams
from conducto_core.model.responses import (
    AttemptList,
    ChangedData,
    DataEntry,
    DataList,
    Deleted,
    DeletedPipeline,
    ImageLog,
    LogLines,
    LogMatches,
    PipelineList,
)
from conducto_core.model.secrets import DeleteSecrets, PutSecrets, SecretList
from conducto_core.model.usage import Usage, UsageParams
from conducto_core.ports.downloads import Download, Span
from conducto_core.semantics import events as ev
from conducto_core.semantics.resolve import resolve
from conducto_local.api.debug_containers import DebugContainers
from conducto_local.api.file_downloads import download
from conducto_local.api.log_queries import LogQueries
from conducto_local.api.read_model import LocalReadModel
from conducto_local.lifecycle.deletion import PipelineDeleter
from conducto_local.lifecycle.gc import GarbageCollector
from conducto_local.scheduling import pipeline_loader
from conducto_local.scheduling.actions import Actions
from conducto_local.scheduling.admission import check_nodes
from conducto_local.scheduling.engine_context import EngineContext
from conducto_local.scheduling.live_pipeline import LivePipeline
from conducto_local.scheduling.pipeline_cache import PipelineCache, set_aside_record
from conducto_local.scheduling.scheduled_starts import ScheduledStarts
from conducto_local.scheduling.scheduler import Scheduler
from conducto_local.state_dir import StateDir
from conducto_local.store.errors import DamagedError, StoreFullError
from conducto_local.store.port import Store

logger = logging.getLogger(__name__)

#: Seconds between two batches to one subscriber, and the maximum number of changes in a batch.
BATCH_EVERY = 0.1
BATCH_SIZE = 5000
#: Seconds that a reader waits for pending writes: reads must work while the store cannot write.
READ_TIMEOUT = 1.0
_RESTARTED = "the agent was stopped while this ran"


class LocalPipelines(Pipelines):
    """All pipelines of one profile."""

    def __init__(
        self,
        *,
        home: StateDir,
        store: Store,
        engine_contexts: dict[str, EngineContext],
        scheduler: Scheduler,
    ) -> None:
        self._home = home
        self._store = store
        self._engine_contexts = engine_contexts
        self._scheduler = scheduler
        self._control = Actions(scheduler, store)
        self._debug = DebugContainers(home, store, scheduler)
        self._deleter = PipelineDeleter(home, store, scheduler)
        self._deleting = asyncio.Lock()
        self._collector = GarbageCollector(home, store, engine_contexts, scheduler)
        self._outputs = LogQueries(scheduler.logs)
        self._read_model = LocalReadModel(store, scheduler)
        self._started = time.time()
        self._cache = PipelineCache(store, scheduler)
        self._start_times = ScheduledStarts(scheduler)

    async def recover(self) -> None:
        """Load the pipelines that were active when the last agent stopped, and continue them.

        Their running attempts lost their containers: they are marked as lost and never rerun
        silently.
        """
        active = [r for r in self._store.records() if r.lifecycle is Lifecycle.ACTIVE]
        for engine in dict.fromkeys(record.engine for record in active):
            self._scheduler.tidy(self._engine_contexts[engine])
        for record in active:
            if not record.status.settled or record.run_at is not None:
                self._resume(record)
        for pipeline_id, cause in self._store.damaged().items():
            logger.error("pipeline set aside", extra={"pipeline": pipeline_id, "why": cause})

    def _resume(self, record: PipelineRecord) -> None:
        """Load and continue a pipeline; set it aside if it is damaged."""
        try:
            live = self._cache.load(record)
        except DamagedError:
            return
        try:
            for path, attempt in pipeline_loader.interrupted(live):
                self._scheduler.lose(live, path, attempt, _RESTARTED)
            if record.armed:
                self._scheduler.apply(live, ev.Armed())
            elif record.run_at is not None:
                self._start_times.set(live, record.run_at)
            self._scheduler.restart_timers(live)
        except DamagedError as error:
            self._cache.put_aside(record.id, error)

    async def launch(
        self, request: LaunchRequest, key: str | None = None, *, repeated: bool = False
    ) -> PipelineSummary:
        """Validate, resolve, store and (if requested) run a pipeline. Clears the request's tree."""
        if repeated and (live := self._launched(request, key)) is not None:
            if request.run and live.started is None and not live.record.armed:
                self._begin(live, request)
            await self._scheduler.saved()
            return views.summary(live)
        engine_context = self._engine_contexts[request.engine]
        await engine_context.open()
        pipeline, definition = await asyncio.to_thread(_take_tree, request)
        check_nodes(pipeline.nodes, engine_context.limits())
        taken = {*self._home.pipeline_ids(), *self._store.damaged()}
        taken.update(record.id for record in self._store.records())
        chosen = next(one for one in ids_for(key) if one not in taken)
        record = new_record(chosen, request, pipeline)
        self._home.make_pipeline(record.id)
        live = pipeline_loader.begin(record, pipeline)
        self._store.create(live.record, definition)
        pipeline_loader.keep(self._home, live.record, definition)
        self._scheduler.add(live)
        self._begin(live, request)
        self._scheduler.spawn(self._cache.evict(but=live))
        await self._scheduler.saved()  # before the response, so that it is durable
        return views.summary(live)

    def _launched(self, request: LaunchRequest, key: str | None) -> LivePipeline | None:
        known = {record.id: record for record in self._store.records()}
        for pipeline_id in islice(ids_for(key), TRIED_IDS):
            record = known.get(pipeline_id)
            if record is not None and is_of_launch(record, request.owner, time.time()):
                return self.live(record.id)
        return None

    def _begin(self, live: LivePipeline, request: LaunchRequest) -> None:
        """Run or schedule a pipeline if requested; errors must not hide its id from the client."""
        try:
            if request.run:
                self._scheduler.apply(live, ev.Armed())
            elif request.run_at is not None:
                self._start_times.set(live, request.run_at)
        except Exception as error:
            logger.exception("pipeline could not be started", extra={"pipeline": live.id})
            live.set_record(problem=f"the start failed (details in agent.log): {error!r}")

    async def list_pipelines(self, params: ListParams) -> PipelineList:
        """Return a page of pipelines, newest first."""
        records = self._store.records()
        damaged = [PipelineRecord(id=one, title=one) for one in self._store.damaged()]
        aside = self._cache.set_aside()
        listed = (
            set_aside_record(record, aside[record.id]) if record.id in aside else record
            for record in (*damaged, *reversed(records))
        )
        return listing.page(map(self._summary, listed), params)

    async def get_pipeline(self, params: PipelineParams) -> PipelineSummary:
        """Return one pipeline, by its id or an unambiguous prefix."""
        return views.summary(self.live(params.id))

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

    async def get_definition(self, params: PipelineParams) -> LaunchRequest:
        """Return the pipeline as it was launched."""
        record = self._cache.record(params.id)
        packed = self._store.definition(record.id)
        return launch_request(record, await asyncio.to_thread(unpack_form, packed))

    async def get_tree(self, params: TreeParams) -> TreePage:
        """Return nodes of a subtree, or those that a search finds."""
        live = await self._current(params.id)
        page = queries.tree_page(self._read_model, live, params)
        if not params.tails:
            return page
        return page.model_copy(update={"nodes": await self._outputs.with_tails(live, page.nodes)})

    async def get_states(self, params: StatesParams) -> NodeStates:
        """Return the state of each Exec of a subtree as one letter."""
        return queries.node_states(self.live(params.id), params)

    async def get_node(self, params: NodeParams) -> NodeDetail:
        """Return all details of one node."""
        return queries.node_detail(self._read_model, await self._current(params.id), params.path)

    async def list_attempts(self, params: NodeParams) -> AttemptList:
        """Return every attempt of a node, oldest first."""
        return AttemptList(attempts=await self._attempts_at(params.id, params.path))

    async def _attempts_at(self, pipeline_id: str, path: str) -> tuple[AttemptRecord, ...]:
        return queries.attempts_of(self._read_model, await self._current(pipeline_id), path)

    async def _current(self, pipeline_id: str) -> LivePipeline:
        """Return a pipeline whose pending changes are stored, unless the store cannot write."""
        live = self.live(pipeline_id)
        await self._caught_up()
        return live

    async def read_log(self, query: LogParams) -> LogChunk:
        """Return a chunk of an output stream."""
        live = self.live(query.id)
        return await self._outputs.chunk(
            live, query, lambda: self._attempts_at(live.id, query.path)
        )

    async def read_log_lines(self, query: LogLinesParams) -> LogLines:
        """Return lines of an output stream."""
        return await self._outputs.lines(
            self.live(query.id), query, await self._attempts_at(query.id, query.path)
        )

    async def search_log(self, query: LogSearchParams) -> LogMatches:
        """Return the lines of an output stream that match."""
        return await self._outputs.search(
            self.live(query.id), query, await self._attempts_at(query.id, query.path)
        )

    async def download_log(self, query: LogFileParams, span: Span | None = None) -> Download:
        """Return an output stream as it is now."""
        attempts = await self._attempts_at(query.id, query.path)
        return self._outputs.file(self.live(query.id), query, attempts, span)

    async def get_resources(self, query: ResourcesParams) -> Resources:
        """Return the resource usage of an attempt."""
        attempts = await self._attempts_at(query.id, query.path)
        return await self._outputs.resources(self.live(query.id), query, attempts)

    async def attempt_output(
        self, params: OutputParams, stream: OutputStream
    ) -> tuple[int | None, bytes]:
        """Return an output stream of an attempt, besides stdout and stderr."""
        attempts = await self._attempts_at(params.id, params.path)
        return await self._outputs.kept(self.live(params.id), params, attempts, stream)

    async def read_image_log(self, query: ImageLogParams) -> ImageLog:
        """Return a chunk of the log of an image build."""
        return await self._outputs.build(self.live(query.id), query)

    async def list_data(self, query: ListUserDataParams) -> DataList:
        """Return the entries of a data directory."""
        directory = self._data(query.pipeline)
        return await asyncio.to_thread(directory.entries, query.name, query.after, query.limit)

    async def list_changed_data(self, query: ChangedDataParams) -> ChangedData:
        """Return the data files that were written within a period."""
        directory = self._data(query.id)
        return await asyncio.to_thread(directory.changed, query.since, query.until, query.limit)

    async def read_data(self, params: UserDataParams, span: Span | None = None) -> Download:
        """Return a data file, or a part of it."""
        file = self._data(params.pipeline).open(params.name)
        return download(file, params.name.rpartition("/")[2], span)

    async def write_data(self, params: UserDataParams, content: AsyncIterator[bytes]) -> DataEntry:
        """Write a data file."""
        return await self._data(params.pipeline).write(params.name, content)

    async def delete_data(self, params: UserDataParams) -> Deleted:
        """Delete data."""
        return await asyncio.to_thread(self._data(params.pipeline).delete, params.name)

    def _data(self, pipeline_id: str | None) -> DataDirectory:
        return DataDirectory(self._data_root(pipeline_id), StoreFullError)

    def _data_root(self, pipeline_id: str | None) -> Path:
        if pipeline_id is None:
            return self._home.user_data
        return self._home.pipeline(self._cache.record(pipeline_id).id).data

    async def control(self, params: PipelineParams, request: ControlRequest) -> ControlResult:
        """Perform an action on a set of nodes, all or nothing."""
        live = self.live(params.id)
        if request.action in WHOLE and not request.preview:
            self._start_times.cancel(live)
        with live.in_use():
            result = await self._control.execute(live, request)
            await self._scheduler.saved()
        return result

    async def debug(self, params: PipelineParams, request: DebugRequest) -> DebugPlan:
        """Return the container of a debug shell."""
        live = self.live(params.id)
        with live.in_use():
            return await self._debug.plan(live, request)

    async def changes(self, pipeline_id: str, cursor: int) -> AsyncIterator[EventBatch]:
        """Yield the changes after ``cursor``, then live ones."""
        live = self.live(pipeline_id)
        live.subscribers += 1
        seen = 0
        try:
            while True:
                await live.news(seen)
                version = live.version  # later changes may not be written in time
                is_whole = await self._caught_up()
                changes = self._store.changes(live.id, cursor, BATCH_SIZE)
                yield views.batch(live, changes, seen)
                cursor = changes[-1].seq if changes else cursor
                if len(changes) < BATCH_SIZE:
                    seen = version if is_whole else seen
                    await asyncio.sleep(BATCH_EVERY)
        finally:
            live.subscribers -= 1

    async def list_secrets(self) -> SecretList:
        """Return every secret, without values."""
        return await asyncio.to_thread(answers.listing, self._scheduler.secrets.store)

    async def put_secrets(self, request: PutSecrets) -> SecretList:
        """Store secrets; commands that start from now on receive them."""
        return await asyncio.to_thread(answers.put, self._scheduler.secrets.store, request)

    async def delete_secrets(self, request: DeleteSecrets) -> SecretList:
        """Delete secrets; commands that start from now on do not receive them."""
        return await asyncio.to_thread(answers.delete, self._scheduler.secrets.store, request)

    async def collect_garbage(self, request: GcRequest) -> GcReport:
        """Free the resources that no live pipeline needs."""
        return await self._collector.collect(request)

    async def get_usage(self, query: UsageParams) -> Usage:
        """Return the run time of commands; on this machine they cost nothing."""
        return await asyncio.to_thread(self._usage, query)

    def _usage(self, query: UsageParams) -> Usage:
        return usage_of(((r, self._attempts_of(r)) for r in self._store.records()), query)

    def _attempts_of(self, record: PipelineRecord) -> Iterator[AttemptRecord]:
        with suppress(DamagedError):
            yield from self._store.attempts(record.id)

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

    # ---- helpers ----------------------------------------------------------------------------

    def _summary(self, record: PipelineRecord) -> PipelineSummary:
        live = self._scheduler.live.get(record.id)
        return views.stored_summary(record) if live is None else views.summary(live)

    def live(self, pipeline_id: str) -> LivePipeline:
        """Return a pipeline, loaded, as `PipelineCache.find` does."""
        return self._cache.find(pipeline_id)

    async def _caught_up(self) -> bool:
        """Wait until everything is written, at most `READ_TIMEOUT`; return whether it is."""
        try:
            await asyncio.wait_for(self._scheduler.saved(), READ_TIMEOUT)
        except TimeoutError:
            return False
        return True


def _take_tree(request: LaunchRequest) -> tuple[Pipeline, bytes]:
    """Return the resolved tree of a request, and its definition as stored.

    The form is cleared: with 100,000 nodes it takes more memory than everything that follows, and
    the callers still hold the request.
    """
    taken = resolve(request.tree), pack_form(request.tree)
    request.tree.clear()
    return taken
