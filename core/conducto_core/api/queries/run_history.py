"""The history of a pipeline.

An earlier launch is another pipeline; the pipelines of a program are runs of the same history.
"""

import statistics
from collections.abc import Iterable, Sequence

from conducto_core.model.params import MAX_HISTORY
from conducto_core.model.records import PipelineRecord
from conducto_core.model.requests import PipelineSummary
from conducto_core.model.responses import PipelineRun, RunHistory
from conducto_core.model.states import FINISHED, State
from conducto_core.semantics.activity import active_time
from conducto_core.semantics.program_identity import ProgramKey, program_key


def histories_of(
    pipelines: Iterable[PipelineSummary], known: Iterable[PipelineSummary]
) -> tuple[RunHistory, ...]:
    """Return the newest runs of the programs of these pipelines."""
    newest: dict[ProgramKey, PipelineRecord] = {}
    for listed in pipelines:
        newest.setdefault(program_key(listed.pipeline), listed.pipeline)
    runs: dict[ProgramKey, list[PipelineRun]] = {key: [] for key in newest}
    wanting = len(runs)
    rest = iter(known)
    while wanting and (one := next(rest, None)) is not None:
        found = runs.get(program_key(one.pipeline))
        if found is None or len(found) == MAX_HISTORY:
            continue
        found.append(_run_of(one))
        wanting -= len(found) == MAX_HISTORY
    return tuple(_history(newest[key], key.function, found) for key, found in runs.items())


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


def _history(
    newest: PipelineRecord, function: str | None, runs: Sequence[PipelineRun]
) -> RunHistory:
    ended = [run for run in runs if run.settled and run.state in FINISHED]
    passed = [run for run in ended if run.state is State.DONE]
    times = (active_time(run, run.ended) for run in passed if run.ended is not None)
    seconds = [time for time in times if time is not None]
    return RunHistory(
        title=newest.title,
        program=newest.program,
        function=function,
        runs=tuple(runs),
        ended=len(ended),
        passed=len(passed),
        median_seconds=statistics.median(seconds) if seconds else None,
    )
