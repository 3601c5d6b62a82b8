"""Queries on pipelines, their nodes and their output."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from functools import partial

from conducto_core.api.serve import serves
from conducto_core.billing import operations as billing_operations
from conducto_core.billing.handlers import cost_of, is_requested, usage_of
from conducto_core.billing.model import CostParams, PipelineCost, Usage, UsageParams
from conducto_core.logs.lines import with_tail
from conducto_core.partitions.handlers import facts_of as partitions_of
from conducto_core.partitions.rules import PartitionFacts
from conducto_core.programs.comparison import facts_of
from conducto_core.programs.relaunch import launch_request
from conducto_core.programs.rules.comparison import RunFacts
from conducto_core.run import handlers as listing
from conducto_core.run import handlers as queries
from conducto_core.run import operations as run_operations
from conducto_core.run import views
from conducto_core.run.model.params import (
    ListParams,
    NodeParams,
    PipelineParams,
    StatesParams,
    TreeParams,
)
from conducto_core.run.model.records import AttemptRecord, PipelineRecord
from conducto_core.run.model.requests import (
    EventBatch,
    LaunchRequest,
    NodeStates,
    PipelineSummary,
    TreePage,
)
from conducto_core.run.model.responses import AttemptList, NodeDetail, PipelineList
from conducto_core.tree.model import unpack_form
from conducto_local.engine.port import Stream
from conducto_local.partitions.store import PartitionFiles
from conducto_local.run.access import LocalAccess
from conducto_local.run.live_pipeline import LivePipeline
from conducto_local.run.pipelines import set_aside_record
from conducto_local.store.port import DamagedError

#: Seconds between two batches to one subscriber, unless the pipeline settles meanwhile.
BATCH_EVERY = 0.1
#: Maximum number of changes in a batch.
BATCH_SIZE = 5000


class LocalQueries(LocalAccess):
    """Operations that read pipelines."""

    @serves(run_operations.LIST)
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

    @serves(run_operations.GET)
    async def get_pipeline(self, params: PipelineParams) -> PipelineSummary:
        return views.summary(self.live(params.id))

    def _summary(self, record: PipelineRecord) -> PipelineSummary:
        live = self._scheduler.live.get(record.id)
        return views.stored_summary(record) if live is None else views.summary(live)

    def current_record(self, pipeline_id: str) -> PipelineRecord:
        """Return the record of a pipeline with its current status; raises `NotFoundError`."""
        return self._with_status(self._cache.record(pipeline_id))

    def current_records(self) -> Iterator[PipelineRecord]:
        """Yield the readable records of all pipelines with their current status."""
        return map(self._with_status, self._store.records())

    def _with_status(self, record: PipelineRecord) -> PipelineRecord:
        live = self._scheduler.live.get(record.id)
        if live is None:
            return record
        return live.record.model_copy(update={"status": live.status()})

    async def stored_launch(self, pipeline_id: str) -> LaunchRequest:
        record = self._cache.record(pipeline_id)
        packed = self._store.definition(record.id)
        return launch_request(record, await asyncio.to_thread(unpack_form, packed))

    async def stored_plan(self, pipeline_id: str) -> bytes | None:
        record = self._cache.record(pipeline_id)
        return await asyncio.to_thread(self._store.plan, record.id)

    @serves(run_operations.TREE)
    async def get_tree(self, params: TreeParams) -> TreePage:
        live = await self._current(params.id)
        page = await self._page(live, params)
        if not params.tails:
            return page
        logs = self._scheduler.logs(live.id)

        def end(path: str, number: int, stream: Stream, count: int) -> bytes:
            return logs.reader(path, number).read(stream, -count, count).data

        nodes = await asyncio.to_thread(lambda: tuple(with_tail(node, end) for node in page.nodes))
        return page.model_copy(update={"nodes": nodes})

    async def _page(self, live: LivePipeline, params: TreeParams) -> TreePage:
        if params.order == "definition":
            return queries.tree_page(self._read_model, live, params)
        attempts = self.stored_attempts(live.id)
        paths = await asyncio.to_thread(queries.ranking, attempts, params, time.time())
        return queries.ranked_page(self._read_model, live, params, paths)

    @serves(run_operations.STATES)
    async def get_states(self, params: StatesParams) -> NodeStates:
        """Return the state of each Exec of a subtree as one letter."""
        return queries.node_states(self.live(params.id), params)

    @serves(run_operations.NODE)
    async def get_node(self, params: NodeParams) -> NodeDetail:
        return queries.node_detail(self._read_model, await self._current(params.id), params.path)

    @serves(run_operations.ATTEMPTS)
    async def list_attempts(self, params: NodeParams) -> AttemptList:
        """Return every attempt of a node, oldest first."""
        live = await self._current(params.id)
        return AttemptList(attempts=queries.attempts_of(self._read_model, live, params.path))

    async def changes(self, pipeline_id: str, cursor: int) -> AsyncIterator[EventBatch]:
        """Yield the changes after ``cursor``, then live ones."""
        live = self.live(pipeline_id)
        periods = partial(self._read_model.periods, live)
        live.subscribers += 1
        seen = 0
        try:
            while True:
                await live.news(seen)
                version = live.version  # later changes may not be written in time
                is_whole = await self._caught_up()
                changes = self._store.changes(live.id, cursor, BATCH_SIZE)
                yield views.batch(live, changes, seen, periods)
                cursor = changes[-1].seq if changes else cursor
                if len(changes) < BATCH_SIZE:
                    seen = version if is_whole else seen
                    await live.pause(BATCH_EVERY)
        finally:
            live.subscribers -= 1

    @serves(billing_operations.USAGE)
    async def get_usage(self, query: UsageParams) -> Usage:
        """Return the run time of commands; on this machine they cost nothing."""
        return await asyncio.to_thread(self._usage, query)

    def _usage(self, query: UsageParams) -> Usage:
        requested = (one for one in self._store.records() if is_requested(one, query))
        return usage_of(((one, self.stored_attempts(one.id)) for one in requested), query)

    @serves(billing_operations.COST)
    async def get_cost(self, params: CostParams) -> PipelineCost:
        """Return the run time of a pipeline's commands; on this machine they cost nothing."""
        live = await self._current(params.id)
        attempts = self.stored_attempts(live.id)
        return await asyncio.to_thread(cost_of, live.record, attempts, params.nodes)

    async def changed_files(self, before: str, now: str) -> Sequence[str]:
        return await asyncio.to_thread(self._scheduler.manifests.changed, before, now)

    def node_attempts(self, pipeline_id: str, path: str) -> list[AttemptRecord]:
        """Return the stored attempts of a node, in order; none if they are damaged."""
        with suppress(DamagedError):
            return list(self._store.attempts(pipeline_id, path))
        return []

    async def run_facts(self, pipeline_id: str) -> RunFacts:
        return facts_of(await self._current(pipeline_id))

    async def partition_facts(self, pipeline_id: str) -> PartitionFacts:
        return partitions_of(await self._current(pipeline_id))

    def partition_store(self) -> PartitionFiles:
        return PartitionFiles(self._home)

    def stored_attempts(self, pipeline_id: str) -> Iterator[AttemptRecord]:
        """Yield all readable attempts of a pipeline; those of a node in order."""
        with suppress(DamagedError):
            yield from self._store.attempts(pipeline_id)
