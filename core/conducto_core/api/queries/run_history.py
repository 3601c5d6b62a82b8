"""The history of a pipeline.

An earlier launch is another pipeline; pipelines with the same title and program are runs of the
same history. Only this module implements that rule.
"""

import statistics
from collections.abc import Iterable, Sequence

from conducto_core.model.params import MAX_HISTORY
from conducto_core.model.requests import PipelineSummary
from conducto_core.model.responses import PipelineRun, RunHistory
from conducto_core.model.states import FINISHED, State
from conducto_core.semantics.activity import active_time

#: Key of a history: title and program.
_Sort = tuple[str, str | None]


def histories_of(
    pipelines: Iterable[PipelineSummary], known: Iterable[PipelineSummary]
) -> tuple[RunHistory, ...]:
    """Return the newest runs of these pipelines, one history for each title and program."""
    runs: dict[_Sort, list[PipelineRun]] = {_sort_of(one): [] for one in pipelines}
    wanting = len(runs)
    rest = iter(known)
    while wanting and (one := next(rest, None)) is not None:
        found = runs.get(_sort_of(one))
        if found is None or len(found) == MAX_HISTORY:
            continue
        found.append(_run_of(one))
        wanting -= len(found) == MAX_HISTORY
    return tuple(_history(sort, found) for sort, found in runs.items())


def _sort_of(summary: PipelineSummary) -> _Sort:
    return summary.pipeline.title, summary.pipeline.program


def _run_of(summary: PipelineSummary) -> PipelineRun:
    return PipelineRun(
        id=summary.pipeline.id,
        state=summary.state,
        settled=summary.settled,
        execs=summary.counts.total,
        started=summary.started,
        ended=summary.ended,
        active_seconds=summary.active_seconds,
        active_since=summary.active_since,
    )


def _history(sort: _Sort, runs: Sequence[PipelineRun]) -> RunHistory:
    ended = [run for run in runs if run.settled and run.state in FINISHED]
    passed = [run for run in ended if run.state is State.DONE]
    times = (active_time(run, run.ended) for run in passed if run.ended is not None)
    seconds = [time for time in times if time is not None]
    title, program = sort
    return RunHistory(
        title=title,
        program=program,
        runs=tuple(runs),
        ended=len(ended),
        passed=len(passed),
        median_seconds=statistics.median(seconds) if seconds else None,
    )
