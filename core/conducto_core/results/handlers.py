"""The metrics of the newest pipelines of one program, side by side."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from conducto_core.errors import NotFoundError
from conducto_core.programs.relaunch import PipelinesOfProgram
from conducto_core.results.model import (
    ComparedMetric,
    ComparedPipeline,
    CompareParams,
    MetricComparison,
    MetricSeries,
    OutputParams,
)
from conducto_core.results.outputs import metrics_in, shortened
from conducto_core.run.model.params import TreeParams
from conducto_core.run.model.records import AttemptRecord
from conducto_core.run.port import PipelineReader

#: Maximum attempts whose metrics are read for one response.
MAX_ATTEMPTS_READ = 300
#: Seconds after which a response has only the pipelines that were read until then.
MAX_SECONDS = 10.0
_AT_ONCE = 8


@dataclass(slots=True)
class _Progress:
    """The limits of one comparison, and whether they were enough so far."""

    clock: Callable[[], float]
    until: float
    attempts_left: int = MAX_ATTEMPTS_READ
    complete: bool = True

    def in_time(self) -> bool:
        """Return whether time is left; if not, the comparison is not complete."""
        self.complete = self.complete and self.clock() < self.until
        return self.clock() < self.until

    def taken(self, attempts: list[AttemptRecord]) -> list[AttemptRecord]:
        taken = attempts[: self.attempts_left]
        self.complete = self.complete and len(taken) == len(attempts)
        self.attempts_left -= len(taken)
        return taken


async def compare(
    reader: PipelineReader, params: CompareParams, clock: Callable[[], float] = time.monotonic
) -> MetricComparison:
    """Return the metrics of the newest attempts in the newest pipelines of a program."""
    found: list[ComparedPipeline] = []
    progress = _Progress(clock, clock() + MAX_SECONDS)
    summaries = PipelinesOfProgram(reader, params, progress.in_time)
    async for summary in summaries.newest(params.limit, params.until):
        if not progress.in_time():
            break
        attempts = progress.taken(await _attempts(reader, summary.pipeline.id, params))
        metrics = await _metrics(reader, summary.pipeline.id, attempts, params, progress)
        found.append(
            ComparedPipeline(
                id=summary.pipeline.id,
                created=summary.pipeline.created,
                state=summary.state,
                metrics=metrics,
            )
        )
    complete = progress.complete and not summaries.has_more
    return MetricComparison(pipelines=tuple(found), complete=complete)


async def _attempts(reader: PipelineReader, id_: str, params: CompareParams) -> list[AttemptRecord]:
    """Return the newest attempts with a metric, in definition order."""
    try:
        if params.path is None:
            newest = await _newest(reader, id_)
        else:
            query = TreeParams(id=id_, root=params.path, depth=0, attempts="newest")
            newest = [a for node in (await reader.get_tree(query)).nodes for a in node.attempts]
    except NotFoundError:  # it has no such node, or has been deleted
        return []
    return [each for each in newest if _names(each, params)]


async def _newest(reader: PipelineReader, id_: str) -> list[AttemptRecord]:
    """Return the newest attempt of each Exec of the tree, if that attempt has outputs."""
    found = await asyncio.to_thread(_with_outputs, reader.stored_attempts(id_))
    if not found:
        return []
    execs = (await reader.run_facts(id_)).execs
    return [found[path] for path in execs if path in found]


def _with_outputs(attempts: Iterable[AttemptRecord]) -> dict[str, AttemptRecord]:
    found: dict[str, AttemptRecord] = {}
    for each in attempts:  # those of a node in order
        if each.outputs is None:
            found.pop(each.path, None)
        else:
            found[each.path] = each
    return found


def _names(attempt: AttemptRecord, params: CompareParams) -> list[str]:
    names = () if attempt.outputs is None else attempt.outputs.metrics
    return [name for name in names if params.name in (None, name)]


async def _metrics(
    reader: PipelineReader,
    id_: str,
    attempts: Sequence[AttemptRecord],
    params: CompareParams,
    progress: _Progress,
) -> tuple[ComparedMetric, ...]:
    gate = asyncio.Semaphore(_AT_ONCE)

    async def read(attempt: AttemptRecord) -> list[ComparedMetric]:
        query = OutputParams(id=id_, path=attempt.path, attempt=attempt.number)
        async with gate:
            if not progress.in_time():
                return []
            try:
                _, data = await reader.attempt_output(query, "metrics")
            except NotFoundError:  # it has been deleted
                return []
            return await asyncio.to_thread(_parsed, attempt, data, params)

    found = await asyncio.gather(*map(read, attempts))
    return tuple(metric for metrics in found for metric in metrics)


def _parsed(attempt: AttemptRecord, data: bytes, params: CompareParams) -> list[ComparedMetric]:
    wanted = _names(attempt, params)
    return [_metric(attempt, one, params) for one in metrics_in(data) if one.name in wanted]


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
        kept=len(series.values),
        values=drawn.values,
        steps=drawn.steps,
    )
