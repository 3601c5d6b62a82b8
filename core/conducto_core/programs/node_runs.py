"""How one node behaved in the newest pipelines of its program."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

from conducto_core.errors import NotFoundError
from conducto_core.programs.history import HistoryOfNode, NodeRunsParams, RunOfNode
from conducto_core.programs.relaunch import PipelinesOfProgram
from conducto_core.programs.rules.comparison import seconds_of
from conducto_core.programs.rules.node_runs import usual_times, with_changes
from conducto_core.programs.rules.programs import program_of
from conducto_core.run.model import params as p
from conducto_core.run.model.records import AttemptRecord
from conducto_core.run.model.requests import NodeView, PipelineSummary
from conducto_core.run.port import PipelineReader

#: Seconds after which no more pipelines are read, and the number of pipelines read at once.
MAX_SECONDS = 10.0
_AT_ONCE = 8


async def node_runs(
    reader: PipelineReader, params: NodeRunsParams, clock: Callable[[], float] = time.monotonic
) -> HistoryOfNode:
    """Return the history of a node.

    Raises:
        NotFoundError: The pipeline does not exist, or has no such node.
    """
    until = clock() + MAX_SECONDS
    summary = await reader.get_pipeline(p.PipelineParams(id=params.id))
    current = await _node(reader, summary, params.path)
    gate = asyncio.Semaphore(_AT_ONCE)

    async def read(one: PipelineSummary) -> NodeView | None:
        async with gate:
            if clock() < until:
                with suppress(NotFoundError):  # it has no such node, or has been deleted
                    return await _node(reader, one, params.path)
        return None

    program = program_of(summary.pipeline)
    pipelines = PipelinesOfProgram(reader, program, lambda: clock() < until)
    created = summary.pipeline.created
    found = [each async for each in pipelines.newest(params.limit, created)]
    nodes = await asyncio.gather(*map(read, found))
    rows = [
        (_run(one, node), node.attempts[-1] if node.attempts else None)
        for one, node in zip(found, nodes, strict=True)
        if node is not None
    ]
    ran = [each for each in rows if each[0].started is not None or each[0].from_cache]
    runs = with_changes([run for run, _ in ran], [attempt for _, attempt in ran])
    return HistoryOfNode(
        path=current.path,
        type=current.type,
        runs=tuple(runs),
        **usual_times(runs, summary.pipeline.id)._asdict(),
        complete=clock() < until and not pipelines.has_more,
    )


async def _node(reader: PipelineReader, pipeline: PipelineSummary, path: str) -> NodeView:
    query = p.TreeParams(id=pipeline.pipeline.id, root=path, depth=0, attempts="newest")
    return (await reader.get_tree(query)).nodes[0]


def _run(summary: PipelineSummary, node: NodeView) -> RunOfNode:
    record = summary.pipeline
    attempt = node.attempts[-1] if node.attempts else None
    origin = record.git or record.commit
    return RunOfNode(
        pipeline=record.id,
        created=record.created,
        state=node.state if attempt is None else attempt.state,
        cause=node.cause if attempt is None else attempt.cause,
        exit_code=None if attempt is None else attempt.exit_code,
        started=node.started if attempt is None else attempt.started,
        seconds=_seconds(node, attempt),
        attempts=0 if attempt is None else attempt.number,
        peak_memory=None if attempt is None else attempt.peak_memory,
        from_cache=None
        if attempt is None or attempt.from_cache is None
        else attempt.from_cache.pipeline,
        commit=None if origin is None else origin.sha,
    )


def _seconds(node: NodeView, attempt: AttemptRecord | None) -> float | None:
    if attempt is not None:
        return seconds_of(attempt)
    if node.started is None or node.ended is None:
        return None
    return max(0.0, node.ended - node.started - node.idle)
