"""The operations of `CloudPipelines` that read pipelines."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from heapq import merge
from itertools import islice

from chalicelib.api.caller import CloudCaller
from chalicelib.errors import Timing
from chalicelib.images.builds import chunk_of
from chalicelib.limits.named_limits import NamedLimits, lease_of
from chalicelib.logs.port import LogKey, Stream
from chalicelib.people.port import Share
from chalicelib.records import Records
from chalicelib.remote.handlers import created, reported_summaries
from chalicelib.run.effects import batch_after
from chalicelib.run.rules.pipeline import CloudPipeline
from chalicelib.workers.rules import WorkerEntry, WorkerStatus
from conducto_core.api.serve import serves
from conducto_core.errors import no_image
from conducto_core.images.build_plan import MAX_STEPS, steps_in
from conducto_core.limits.rules import LeasedLimits
from conducto_core.logs.lines import with_tail
from conducto_core.notifications.model import NotificationRecord
from conducto_core.programs.comparison import facts_of
from conducto_core.programs.relaunch import launch_request
from conducto_core.programs.rules.comparison import RunFacts
from conducto_core.run import handlers as listing
from conducto_core.run import handlers as queries
from conducto_core.run import operations as run_operations
from conducto_core.run import views
from conducto_core.run.model.params import (
    ImageLogParams,
    ListParams,
    NodeParams,
    PipelineParams,
    StatesParams,
    TreeParams,
)
from conducto_core.run.model.records import (
    AttemptRecord,
    ImageRecord,
    ImageState,
    Lifecycle,
    Period,
    Wait,
)
from conducto_core.run.model.requests import (
    EventBatch,
    LaunchRequest,
    NodeStates,
    NodeView,
    PipelineSummary,
    TreePage,
)
from conducto_core.run.model.responses import (
    AttemptList,
    ImageLog,
    ImageStep,
    NodeDetail,
    PipelineList,
)
from conducto_core.run.model.states import State
from conducto_core.run.rules import waits
from conducto_core.run.rules.live_nodes import LiveExec, LiveGroup, LiveNode
from conducto_core.tree.rules.callbacks import PoolKind, owner_of
from conducto_core.workers.rules.placement import max_wait, place, rungs_of
from conducto_core.workers.rules.pools import Pool
from conducto_core.workers.rules.start_failures import OF_RUNG

# ----------------------------------------------------------------------------------------
# Queries on one pipeline: build steps, times of groups, and reasons for waiting.


#: Attempts that can be read in about the time of one more query.
_PER_QUERY = 20
_OVER = frozenset({ImageState.DONE, ImageState.ERROR})


def steps_of(output: bytes, record: ImageRecord) -> tuple[ImageStep, ...]:
    """Return the steps of an image's latest build, including the wait for a build machine.

    Args:
        output: The progress that the build has reported so far.
        record: The image's state in the pipeline. A build that was stopped from outside cannot
            report its end, so its unfinished steps end with the image.
    """
    steps = steps_in(output.decode(errors="replace"))
    steps = _wait(record, steps) + steps
    if record.state in _OVER:
        steps = tuple(_ended(step, record) for step in steps)
    return steps[:MAX_STEPS]


def _wait(record: ImageRecord, steps: tuple[ImageStep, ...]) -> tuple[ImageStep, ...]:
    """Return the time in the queue; none if the build started before this pipeline requested it."""
    if record.started is None:
        return ()
    waiting = ImageStep(name=ImageState.QUEUED.value, started=record.started)
    if not steps:
        return (waiting,) if record.state is ImageState.QUEUED else ()
    began = steps[0].started
    if began is None or began < record.started:
        return ()
    return (waiting.model_copy(update={"ended": began}),)


def _ended(step: ImageStep, record: ImageRecord) -> ImageStep:
    if step.ended is not None:
        return step
    why = None if record.error is None else record.error.partition("\n")[0]
    return step.model_copy(update={"ended": record.ended, "error": why})


class CloudReadModel:
    """A `conducto_core.run.handlers.ReadModel` over the store.

    The named limits and the shares of pipelines are read at most once per second, because all nodes
    of a page may need them.
    """

    def __init__(self, records: Records, timing: Timing) -> None:
        self._records = records
        self._timing = timing
        self._store = records.store
        self._limits: tuple[str, float, LeasedLimits] | None = None
        self._lines: tuple[str, float, Mapping[str, Share], int] | None = None

    def attempts(self, live: CloudPipeline, paths: Collection[str]) -> Iterable[AttemptRecord]:
        """Return the attempts of nodes, with one query if they are many."""
        if len(paths) == 1 or len(paths) * _PER_QUERY < len(live.times):
            stored: Iterator[AttemptRecord] = (
                one for path in paths for one in self._store.attempts(live.id, path)
            )
        else:
            stored = self._store.attempts(live.id)
        return live.with_running(stored, paths)

    def notifications(self, live: CloudPipeline) -> Iterable[NotificationRecord]:
        return (one for sent in self._store.outgoing(live.id) for one in sent.notifications)

    def periods(self, live: CloudPipeline, groups: Sequence[LiveGroup]) -> Mapping[str, Period]:
        return live.periods(groups)

    def wait(self, live: CloudPipeline, node: LiveNode) -> Wait | None:
        """Return why a node does not run."""
        if isinstance(node, LiveExec) and node.state is State.QUEUED:
            since, reasons = live.in_flight.queued_at(node.path), self._reasons(live, node)
            return waits.why_queued(live.record, node, since, reasons)
        lost = live.lost_contexts.get(node.spec.pool)
        misses = node.state is State.PENDING or owner_of(node.spec.pool) == node.path
        asleep = live.record.lifecycle is not Lifecycle.ACTIVE
        if lost is not None and misses and not asleep:
            return waits.lost_context(live.record, node.spec.pool, lost)
        return waits.why_pending(live.record, live.tree.nodes, node, self._timing.clock())

    def _reasons(self, live: CloudPipeline, node: LiveExec) -> Iterator[Wait | None]:
        """Yield the reasons why a queued Exec does not run."""
        if node.path in live.same_commands:
            yield waits.same_command(live.same_commands[node.path][0])
        pool = live.pool_at(node)
        image = live.images[pool.image].record
        if image.state is not ImageState.DONE:
            yield waits.image(live.record, image)
        full = live.full_group(node.path)
        over = None if full is None else live.why_over_budget(full)
        if full is not None and over is not None:
            yield waits.budget(live.record, full, over)
        elif full is not None:
            yield waits.full_group(full, live.tree.nodes[full].spec.max_concurrent or 0)
        if node.spec.limits:
            yield self._limits_of(live.org).reason(lease_of(live, node))
        short = _why_without_worker(live, node.path, pool)
        yield self._in_line(live, short) if short is not None and short == live.limited else short
        pool_workers = live.registry.pool_workers().get(pool.name)
        if pool_workers is not None and pool_workers.starting:
            starts = live.starts_of(pool.name)
            if starts.since:
                rung = _rung_of(
                    pool, next(iter(live.registry.in_pool(pool.name, WorkerStatus.STARTING)))
                )
                yield waits.starting_after(rung, starts.reason)
            yield waits.starting_worker(starts.rounds, starts.reason)

    def _in_line(self, live: CloudPipeline, why: Wait) -> Wait:
        """Return a wait for a worker with the place of the pipeline in line."""
        if not live.share.wanted:
            return why
        shares, maximum = self._shares_of(live.org)
        claimants = {name: share.claimant() for name, share in shares.items()}
        return waits.shared_workers(why, claimants, live.id, maximum)

    def _shares_of(self, org: str) -> tuple[Mapping[str, Share], int]:
        now = self._timing.clock()
        if self._lines is None or self._lines[0] != org or now - self._lines[1] >= 1:
            orgs = self._records.orgs
            self._lines = org, now, orgs.shares(org), orgs.plan(org).max_workers
        _, _, shares, maximum = self._lines
        return shares, maximum

    def _limits_of(self, org: str) -> LeasedLimits:
        now = self._timing.clock()
        if self._limits is None or self._limits[0] != org or now - self._limits[1] >= 1:
            self._limits = org, now, NamedLimits(self._records, self._timing).reader(org)
        return self._limits[2]


def _why_without_worker(live: CloudPipeline, path: str, pool: Pool) -> Wait | None:
    starts = live.starts_of(pool.name)
    if starts.until > live.now and starts.failure in OF_RUNG:
        rungs = rungs_of(pool.spot, pool.machine, in_share=False)
        rung = place(rungs, starts.histories, starts.until)
        fails = None if starts.contended else starts.since + max_wait(pool.machine)
        about = waits.next_rung(pool.machine, rung, pool.hour(rung))
        return waits.no_capacity(starts.reason, about, starts.until, fails)
    if starts.until > live.now:
        return waits.refused_worker(starts.reason, starts.until)
    if pool.kind is not PoolKind.CONTEXT:
        return None if _has_worker(live, path, pool) else live.limited
    if any(live.registry.in_pool(pool.name, WorkerStatus.BUSY)):
        return waits.busy_container(pool.key)
    if any(live.registry.in_pool(pool.name, WorkerStatus.IDLE, WorkerStatus.STARTING)):
        return None
    return live.withheld or live.limited


def _rung_of(pool: Pool, worker: WorkerEntry) -> str:
    return waits.next_rung(pool.machine, worker.rung, pool.hour(worker.rung))


def _has_worker(live: CloudPipeline, path: str, pool: Pool) -> bool:
    free = sum(
        1 for _ in live.registry.in_pool(pool.name, WorkerStatus.IDLE, WorkerStatus.STARTING)
    )
    return path in islice(live.queue.get(pool.name, ()), free)


#: Seconds between two polls while a request waits for changes.
LOOK_EVERY = 0.5
#: Maximum number of output ends that are read in parallel.
_READERS = 8


class CloudQueries(CloudCaller):
    """Queries on pipelines and their nodes."""

    @cached_property
    def _read_model(self) -> CloudReadModel:
        return CloudReadModel(self._records, self._timing)

    @serves(run_operations.LIST)
    async def list_pipelines(self, params: ListParams) -> PipelineList:
        own = map(views.stored_summary, self._all_records())
        of_agents = reported_summaries(self._records, self._timing.clock, self._me)
        summaries = merge(own, of_agents, key=created, reverse=True)
        return await asyncio.to_thread(listing.page, summaries, params)

    @serves(run_operations.GET)
    async def get_pipeline(self, params: PipelineParams) -> PipelineSummary:
        """Return one pipeline by its id or an unambiguous prefix of it."""
        id_ = await asyncio.to_thread(self._looked_at, params.id)
        return await self._read(id_, views.summary)

    async def stored_launch(self, pipeline_id: str) -> LaunchRequest:
        """Return the definition as it was launched."""

        def read_launch(live: CloudPipeline) -> LaunchRequest:
            launch = launch_request(live.record, live.form)
            return launch.model_copy(update={"sources": live.sources})

        return await self._read(pipeline_id, read_launch)

    @serves(run_operations.TREE)
    async def get_tree(self, params: TreeParams) -> TreePage:
        """Return the nodes of a subtree down to a depth, or those that match a search."""
        page = await self._read(params.id, lambda live: self._page(live, params))
        if not params.tails:
            return page
        return page.model_copy(update={"nodes": await self.with_tails(params.id, page.nodes)})

    def _page(self, live: CloudPipeline, params: TreeParams) -> TreePage:
        if params.order == "definition":
            return queries.tree_page(self._read_model, live, params)
        paths = queries.ranking(self.stored_attempts(live.id), params, self._timing.clock())
        return queries.ranked_page(self._read_model, live, params, paths)

    async def with_tails(self, pipeline_id: str, nodes: Sequence[NodeView]) -> tuple[NodeView, ...]:
        """Add the end of the output to the nodes that failed."""
        id_ = await asyncio.to_thread(self._owned, pipeline_id)
        logs = self._storage.logs

        def end(path: str, number: int, stream: Stream, count: int) -> bytes:
            key = LogKey(id_, path, number, stream)
            size = logs.size(key)
            return logs.read(key, max(0, size - count), min(size, count)) if size else b""

        def read() -> tuple[NodeView, ...]:
            with ThreadPoolExecutor(_READERS) as readers:
                return tuple(readers.map(lambda node: with_tail(node, end), nodes))

        return await asyncio.to_thread(read)

    @serves(run_operations.STATES)
    async def get_states(self, params: StatesParams) -> NodeStates:
        """Return the state of each Exec of a subtree, one letter each."""
        return await self._read(params.id, lambda live: queries.node_states(live, params))

    @serves(run_operations.NODE)
    async def get_node(self, params: NodeParams) -> NodeDetail:
        return await self._read(
            params.id, lambda live: queries.node_detail(self._read_model, live, params.path)
        )

    @serves(run_operations.ATTEMPTS)
    async def list_attempts(self, params: NodeParams) -> AttemptList:
        """Return every attempt of a node, oldest first."""
        return AttemptList(attempts=await self._attempts_at(params.id, params.path))

    async def _attempts_at(self, pipeline_id: str, path: str) -> tuple[AttemptRecord, ...]:
        return await self._read(
            pipeline_id, lambda live: queries.attempts_of(self._read_model, live, path)
        )

    async def run_facts(self, pipeline_id: str) -> RunFacts:
        return await self._read(pipeline_id, facts_of)

    async def changed_files(self, before: str, now: str) -> Sequence[str]:
        manifests = self._builds.manifests(self._me.org)
        return await asyncio.to_thread(manifests.changed, before, now)

    def node_attempts(self, pipeline_id: str, path: str) -> Iterator[AttemptRecord]:
        """Yield the attempts of a node, in order."""
        return self._records.store.attempts(pipeline_id, path)

    def stored_attempts(self, pipeline_id: str) -> Iterator[AttemptRecord]:
        """Yield all attempts of a pipeline; those of a node in order."""
        with self._engine.reading(self._me.org, pipeline_id) as live:
            return live.with_running(self._records.store.attempts(pipeline_id))

    @serves(run_operations.IMAGE_LOG)
    async def read_image_log(self, query: ImageLogParams) -> ImageLog:
        """Return a chunk of the log of an image's latest build."""
        end = self._timing.clock() + query.wait
        while True:
            chunk = await asyncio.to_thread(self._image_log, query)
            if chunk.text or chunk.complete or self._timing.clock() >= end:
                return chunk
            await asyncio.sleep(LOOK_EVERY)

    def _image_log(self, query: ImageLogParams) -> ImageLog:
        id_ = self._looked_at(query.id)
        with self._engine.reading(self._me.org, id_) as live:
            known = live.images.get(query.image)
            if known is None:
                raise no_image(id_, query.image, live.images)
            built, record = known.built, known.record
        complete = record.state in (ImageState.DONE, ImageState.ERROR)
        if built is None or built.tag is None:
            return chunk_of(b"", query.offset, query.limit, complete=complete)
        steps = steps_of(self._builds.output(self._me.org, built), record)
        log = self._builds.log(self._me.org, built)
        return chunk_of(log, query.offset, query.limit, complete=complete, steps=steps)

    async def changes(self, pipeline_id: str, cursor: int) -> AsyncIterator[EventBatch]:
        """Yield the changes after ``cursor``, then new ones as they occur."""
        seen = -1
        while True:
            batch, seen = await asyncio.to_thread(self._batch, pipeline_id, cursor, seen)
            if batch is not None:
                yield batch
                cursor = batch.changes[-1].seq if batch.changes else cursor
            else:
                await asyncio.sleep(LOOK_EVERY)

    def _batch(self, pipeline_id: str, cursor: int, seen: int) -> tuple[EventBatch | None, int]:
        with self._engine.reading(self._me.org, pipeline_id) as live:
            return batch_after(self._records, live, cursor, seen), live.number
