"""The operations of `CloudPipelines` that read pipelines."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from heapq import merge

from chalicelib.api.agents import created, reported_summaries
from chalicelib.api.caller import CloudCaller
from chalicelib.api.read_model import CloudReadModel, steps_of
from chalicelib.domain.pipeline import CloudPipeline
from chalicelib.ports.identity import Identity
from chalicelib.ports.logs import LogKey, Stream
from chalicelib.services.costs import cost, customer_rates
from chalicelib.services.event_push import batch_after
from chalicelib.services.image_builds import chunk_of
from chalicelib.services.processor import CommandProcessor
from conducto_core.api.queries import listing, views
from conducto_core.api.queries import pipelines as queries
from conducto_core.api.queries.output_tails import with_tail
from conducto_core.api.queries.relaunch import launch_request
from conducto_core.api.queries.run_differences import facts_of
from conducto_core.api.queries.usage_reports import (
    dearest,
    months_before,
    usage_report,
    uses_by_node,
    with_nodes,
    with_prices,
)
from conducto_core.errors import no_image
from conducto_core.model.node_detail import NodeDetail
from conducto_core.model.params import (
    ImageLogParams,
    ListParams,
    NodeParams,
    PipelineParams,
    StatesParams,
    TreeParams,
)
from conducto_core.model.records import AttemptRecord, ImageState
from conducto_core.model.requests import (
    EventBatch,
    LaunchRequest,
    NodeStates,
    NodeView,
    PipelineSummary,
    TreePage,
)
from conducto_core.model.responses import AttemptList, ImageLog, PipelineList
from conducto_core.model.usage import CostParams, PipelineCost, PipelineSpent, Usage, UsageParams
from conducto_core.semantics.run_differences import RunFacts

#: Seconds between two polls while a request waits for changes.
LOOK_EVERY = 0.5
#: Maximum number of output ends that are read in parallel.
_READERS = 8


class CloudQueries(CloudCaller):
    """Queries on pipelines and their nodes."""

    def __init__(self, engine: CommandProcessor, identity: Identity) -> None:
        super().__init__(engine, identity)
        self._read_model = CloudReadModel(engine.cloud)

    async def list_pipelines(self, params: ListParams) -> PipelineList:
        """Return a page of pipelines, the newest first."""
        own = map(views.stored_summary, self._records())
        of_agents = reported_summaries(self._cloud, self._me)
        summaries = merge(own, of_agents, key=created, reverse=True)
        return await asyncio.to_thread(listing.page, summaries, params)

    async def get_pipeline(self, params: PipelineParams) -> PipelineSummary:
        """Return one pipeline by its id or an unambiguous prefix of it."""
        id_ = await asyncio.to_thread(self._looked_at, params.id)
        return await self._read(id_, views.summary)

    async def stored_launch(self, pipeline_id: str) -> LaunchRequest:
        """Return the definition as it was launched."""

        def look(live: CloudPipeline) -> LaunchRequest:
            launch = launch_request(live.record, live.form)
            return launch.model_copy(update={"sources": live.sources})

        return await self._read(pipeline_id, look)

    async def get_tree(self, params: TreeParams) -> TreePage:
        """Return the nodes of a subtree down to a depth, or those that match a search."""
        page = await self._read(params.id, lambda live: self._page(live, params))
        if not params.tails:
            return page
        return page.model_copy(update={"nodes": await self.with_tails(params.id, page.nodes)})

    def _page(self, live: CloudPipeline, params: TreeParams) -> TreePage:
        if params.order == "definition":
            return queries.tree_page(self._read_model, live, params)
        paths = queries.ranking(self.stored_attempts(live.id), params, self._cloud.clock())
        return queries.ranked_page(self._read_model, live, params, paths)

    async def with_tails(self, pipeline_id: str, nodes: Sequence[NodeView]) -> tuple[NodeView, ...]:
        """Add the end of the output to the nodes that failed."""
        id_ = await asyncio.to_thread(self._owned, pipeline_id)
        logs = self._cloud.logs

        def end(path: str, number: int, stream: Stream, count: int) -> bytes:
            key = LogKey(id_, path, number, stream)
            size = logs.size(key)
            return logs.read(key, max(0, size - count), min(size, count)) if size else b""

        def read() -> tuple[NodeView, ...]:
            with ThreadPoolExecutor(_READERS) as readers:
                return tuple(readers.map(lambda node: with_tail(node, end), nodes))

        return await asyncio.to_thread(read)

    async def get_states(self, params: StatesParams) -> NodeStates:
        """Return the state of each Exec of a subtree, one letter each."""
        return await self._read(params.id, lambda live: queries.node_states(live, params))

    async def get_node(self, params: NodeParams) -> NodeDetail:
        """Return the details of one node."""
        return await self._read(
            params.id, lambda live: queries.node_detail(self._read_model, live, params.path)
        )

    async def list_attempts(self, params: NodeParams) -> AttemptList:
        """Return every attempt of a node, oldest first."""
        return AttemptList(attempts=await self._attempts_at(params.id, params.path))

    async def _attempts_at(self, pipeline_id: str, path: str) -> tuple[AttemptRecord, ...]:
        return await self._read(
            pipeline_id, lambda live: queries.attempts_of(self._read_model, live, path)
        )

    async def run_facts(self, pipeline_id: str) -> RunFacts:
        """Return the facts of a pipeline that its definition and states determine."""
        return await self._read(pipeline_id, facts_of)

    def stored_attempts(self, pipeline_id: str) -> Iterator[AttemptRecord]:
        """Yield all attempts of a pipeline; those of a node in order."""
        return self._cloud.store.attempts(pipeline_id)

    async def read_image_log(self, query: ImageLogParams) -> ImageLog:
        """Return a chunk of the log of an image's latest build."""
        end = self._cloud.clock() + query.wait
        while True:
            chunk = await asyncio.to_thread(self._image_log, query)
            if chunk.text or chunk.complete or self._cloud.clock() >= end:
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
            return batch_after(self._cloud, live, cursor, seen), live.number

    async def get_usage(self, query: UsageParams) -> Usage:
        """Return the run time and cost of commands, including those of deleted pipelines."""
        return await asyncio.to_thread(self._usage, query)

    def _usage(self, query: UsageParams) -> Usage:
        org, orgs = self._me.org, self._cloud.orgs
        months = months_before(self._cloud.clock()) if query.month is None else (query.month,)
        report = usage_report(spent for month in months for spent in orgs.spent(org, month))
        if query.nodes:
            named = [self._with_nodes(spent, query.nodes) for spent in dearest(report)]
            report = usage_report([*named, *report.pipelines[len(named) :]])
        return with_prices(report, customer_rates(self._cloud, org))

    async def get_cost(self, params: CostParams) -> PipelineCost:
        """Return the cost of a pipeline since its launch."""
        id_ = await asyncio.to_thread(self._owned, params.id)
        return await asyncio.to_thread(cost, self._cloud, self._me.org, id_, params.nodes)

    def _with_nodes(self, spent: PipelineSpent, maximum: int) -> PipelineSpent:
        if self._cloud.store.record(self._me.org, spent.id) is None:
            return spent  # the pipeline was deleted
        nodes = uses_by_node(self._cloud.store.attempts(spent.id), month=spent.month)
        return with_nodes(spent, nodes, maximum)
