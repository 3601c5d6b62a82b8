"""The metrics of the newest pipelines of one program, side by side."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from conducto_core.errors import NotFoundError
from conducto_core.model.outputs import (
    ComparedMetric,
    ComparedPipeline,
    CompareParams,
    MetricComparison,
    MetricSeries,
    OutputParams,
    OutputStream,
)
from conducto_core.model.params import MAX_HISTORY_SCAN, MAX_TEXT, ListParams, TreeParams
from conducto_core.model.records import AttemptRecord
from conducto_core.model.requests import PipelineSummary, TreePage
from conducto_core.model.responses import PipelineList
from conducto_core.runtime.attempt_outputs import metrics_in, shortened

#: Maximum attempts whose metrics are read for one response, and nodes that are read of a pipeline.
MAX_ATTEMPTS_READ = 300
MAX_NODES_READ = 10_000
_AT_ONCE = 8
_PAGE = 100


class Reader(Protocol):
    """The operations that a comparison uses."""

    async def list_pipelines(self, params: ListParams) -> PipelineList:
        """Return pipelines, the newest first."""

    async def get_tree(self, params: TreeParams) -> TreePage:
        """Return a page of a tree."""

    async def attempt_output(
        self, params: OutputParams, stream: OutputStream
    ) -> tuple[int | None, bytes]:
        """Return an output stream of an attempt."""


async def compare(reader: Reader, params: CompareParams) -> MetricComparison:
    """Return the metrics of the newest attempts in the newest pipelines of a program."""
    found: list[ComparedPipeline] = []
    left = MAX_ATTEMPTS_READ
    complete = True
    async for summary in _pipelines(reader, params):
        attempts = await _attempts(reader, summary.pipeline.id, params)
        complete = complete and len(attempts) <= left
        metrics = await _metrics(reader, summary.pipeline.id, attempts[:left], params)
        left -= min(left, len(attempts))
        found.append(
            ComparedPipeline(
                id=summary.pipeline.id,
                created=summary.pipeline.created,
                state=summary.state,
                metrics=metrics,
            )
        )
    return MetricComparison(pipelines=tuple(found), complete=complete)


async def _pipelines(reader: Reader, params: CompareParams) -> AsyncIterator[PipelineSummary]:
    """Yield the pipelines of the program, the newest first."""
    query = ListParams(text=params.title[:MAX_TEXT], lifecycle="all", limit=_PAGE)
    left = params.limit
    for _ in range(MAX_HISTORY_SCAN // _PAGE):
        page = await reader.list_pipelines(query)
        for summary in page.pipelines:
            if _fits(summary, params):
                yield summary
                left -= 1
            if left == 0:
                return
        if page.next is None:
            return
        query = query.model_copy(update={"after": page.next})


def _fits(summary: PipelineSummary, params: CompareParams) -> bool:
    record = summary.pipeline
    return record.title == params.title and params.program in (None, record.program)


async def _attempts(reader: Reader, id_: str, params: CompareParams) -> list[AttemptRecord]:
    """Return the newest attempts with a metric, in definition order."""
    depth = None if params.path is None else 0
    query = TreeParams(
        id=id_, root=params.path or "/", depth=depth, attempts="newest", limit=MAX_NODES_READ
    )
    try:
        page = await reader.get_tree(query)
    except NotFoundError:  # it has no such node, or has been deleted
        return []
    newest = (node.attempts[-1] for node in page.nodes if node.attempts)
    return [each for each in newest if each.outputs is not None and _names(each, params)]


def _names(attempt: AttemptRecord, params: CompareParams) -> list[str]:
    names = () if attempt.outputs is None else attempt.outputs.metrics
    return [name for name in names if params.name in (None, name)]


async def _metrics(
    reader: Reader, id_: str, attempts: Sequence[AttemptRecord], params: CompareParams
) -> tuple[ComparedMetric, ...]:
    gate = asyncio.Semaphore(_AT_ONCE)

    async def read(attempt: AttemptRecord) -> list[ComparedMetric]:
        query = OutputParams(id=id_, path=attempt.path, attempt=attempt.number)
        async with gate:
            try:
                _, data = await reader.attempt_output(query, "metrics")
            except NotFoundError:  # it has been deleted
                return []
        wanted = _names(attempt, params)
        return [_metric(attempt, one, params) for one in metrics_in(data) if one.name in wanted]

    found = await asyncio.gather(*map(read, attempts))
    return tuple(metric for metrics in found for metric in metrics)


def _metric(attempt: AttemptRecord, series: MetricSeries, params: CompareParams) -> ComparedMetric:
    values = [value for value in series.values if value is not None]
    drawn = shortened(series, params.points) if params.points else MetricSeries(name=series.name)
    return ComparedMetric(
        path=attempt.path,
        attempt=attempt.number,
        name=series.name,
        last=series.values[-1] if series.values else None,
        minimum=min(values, default=None),
        maximum=max(values, default=None),
        count=series.count,
        values=drawn.values,
        steps=drawn.steps,
    )
