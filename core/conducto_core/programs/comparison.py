"""The operations that compare pipelines, and what they need of a target."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import NamedTuple

from conducto_core.api.serve import serves
from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.images.model import ImageSpec
from conducto_core.images.references import without_password
from conducto_core.programs import operations as programs_operations
from conducto_core.programs.history import (
    ComparisonParams,
    Difference,
    DifferenceKind,
    DifferenceList,
    HistoryOfNode,
    NodeHistory,
    NodeHistoryParams,
    NodeRunsParams,
    PipelineComparison,
    Why,
    WhyParams,
)
from conducto_core.programs.memory import MemoryOfPrograms
from conducto_core.programs.node_runs import node_runs as runs_of_node
from conducto_core.programs.relaunch import PipelinesOfProgram
from conducto_core.programs.rules.comparison import (
    Change,
    Differences,
    ExecFacts,
    NodeRuns,
    RunFacts,
    both_done,
    differences,
    flaky_nodes,
    image_advice,
    node_runs,
    seconds_of,
    shortened,
    size_advice,
    slowest_nodes,
)
from conducto_core.programs.rules.fingerprints import CODE, code_of
from conducto_core.programs.rules.programs import ProgramKey, program_key, program_of
from conducto_core.programs.rules.why import (
    changed_field,
    from_cache,
    nearest_attempt,
    not_started,
    why_of,
)
from conducto_core.results import handlers as metric_comparison
from conducto_core.results import operations as results_operations
from conducto_core.results.model import CompareParams, MetricComparison, OutputParams
from conducto_core.run import views
from conducto_core.run.model import params as p
from conducto_core.run.model.params import MAX_HISTORY, MAX_HISTORY_SCAN
from conducto_core.run.model.records import AttemptRecord, PipelineRecord
from conducto_core.run.model.requests import PipelineSummary
from conducto_core.run.model.responses import PipelineRun, RunHistory
from conducto_core.run.model.states import FINISHED, NodeType, State
from conducto_core.run.port import PipelineReader
from conducto_core.run.rules.activity import active_time

# ----------------------------------------------------------------------------------------
# The history of a pipeline.
#
# An earlier launch is another pipeline; the pipelines of a program are runs of the same history.


def histories_of(
    pipelines: Iterable[PipelineSummary], known: Iterable[PipelineSummary]
) -> tuple[RunHistory, ...]:
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


# ----------------------------------------------------------------------------------------
# The comparison of two pipelines: their facts, and the results of their functions.


#: Maximum number of commands whose results are compared.
MAX_RESULTS_READ = 200
_AT_ONCE = 8


def facts_of(live: views.Viewed) -> RunFacts:
    """Return the facts of a pipeline in memory, without times."""
    execs = {
        path: ExecFacts(node.state, views.command_of(live, node.spec), node.spec.placement.image)
        for path, node in live.tree.nodes.items()
        if node.spec.type is NodeType.EXEC
    }
    images = {name: _described(spec) for name, spec in live.pipeline.images.items()}
    references = {name: image.record.reference for name, image in live.images.items()}
    built = {name: each for name, each in references.items() if each is not None}
    return RunFacts(live.id, execs, images, live.record.arguments, built)


def _described(spec: ImageSpec) -> str:
    """Return the parts of an image that its author chose."""
    source = spec.image or spec.dockerfile or ""
    code = spec.copy_dir or (without_password(spec.copy_url) if spec.copy_url else "")
    packages = (*spec.install_pip, *spec.install_packages)
    return " ".join(filter(None, (source, code, spec.copy_branch, *packages)))


class _Newest(NamedTuple):
    """The newest attempt of a command that has ended: its seconds and the size of its result."""

    seconds: float | None
    result: int | None


async def compare_pipelines(reader: PipelineReader, params: ComparisonParams) -> PipelineComparison:
    before, old = await _timed(reader, params.other)
    after, new = await _timed(reader, params.id)
    found = await asyncio.to_thread(differences, before, after)
    with_result = [
        path for path in both_done(before, after) if old[path].result and new[path].result
    ]
    compared = with_result[:MAX_RESULTS_READ]
    found[DifferenceKind.RESULT] = await _results(reader, (before.id, after.id), compared)
    return PipelineComparison(
        before=before.id,
        after=after.id,
        nodes=sum(path in before.execs for path in after.execs),
        differences=_lists(found, params.limit),
        complete=len(compared) == len(with_result),
    )


def _lists(found: Differences, limit: int) -> tuple[DifferenceList, ...]:
    return tuple(
        DifferenceList(
            kind=kind,
            count=len(items),
            items=tuple(Difference(**each._asdict()) for each in items[:limit]),
        )
        for kind, items in found.items()
        if items
    )


async def _timed(reader: PipelineReader, pipeline_id: str) -> tuple[RunFacts, dict[str, _Newest]]:
    facts = await reader.run_facts(pipeline_id)
    newest = await asyncio.to_thread(_newest, reader.stored_attempts(facts.id))
    execs = {
        path: ExecFacts(one.state, one.command, one.image, newest[path].seconds)
        if path in newest
        else one
        for path, one in facts.execs.items()
    }
    return replace(facts, execs=execs), newest


def _newest(attempts: Iterable[AttemptRecord]) -> dict[str, _Newest]:
    return {
        one.path: _Newest(seconds_of(one), None if one.outputs is None else one.outputs.result)
        for one in attempts  # ordered by number: the newest one stays
    }


async def _results(
    reader: PipelineReader, ids: tuple[str, str], paths: Iterable[str]
) -> list[Change]:
    gate = asyncio.Semaphore(_AT_ONCE)

    async def read(id_: str, path: str) -> str | None:
        try:
            _, data = await reader.attempt_output(OutputParams(id=id_, path=path), "result")
        except NotFoundError:  # it has been deleted
            return None
        return data.decode(errors="replace")

    async def compare(path: str) -> Change | None:
        async with gate:
            before, after = [await read(id_, path) for id_ in ids]
        if before == after:
            return None
        return Change(path, shortened(before), shortened(after))

    found = await asyncio.gather(*map(compare, paths))
    return [one for one in found if one is not None]


# ----------------------------------------------------------------------------------------
# The history of a program's nodes, from the attempts of its newest finished pipelines.


#: Maximum attempts that are read for one response, and seconds after which no more are read.
MAX_ATTEMPTS_READ = 200_000
MAX_SECONDS = 10.0


async def history(
    reader: PipelineReader, params: NodeHistoryParams, clock: Callable[[], float] = time.monotonic
) -> NodeHistory:
    """Return the flaky and the slowest nodes of a program's newest finished pipelines."""
    until = clock() + MAX_SECONDS
    runs: dict[str, NodeRuns] = {}
    left = MAX_ATTEMPTS_READ
    complete = True
    summaries = PipelinesOfProgram(reader, params, lambda: clock() < until)
    async for summary in summaries.newest(MAX_HISTORY_SCAN, params.before):
        if not summary.settled or summary.started is None:
            continue
        if summary.pipeline.created == params.before:
            continue
        if len(runs) == params.runs:
            break
        # The newest pipeline is read even if it is large.
        if runs and (clock() >= until or summary.counts.total > left):
            complete = False
            break
        attempts = islice(reader.stored_attempts(summary.pipeline.id), MAX_ATTEMPTS_READ)
        found = await asyncio.to_thread(node_runs, attempts)
        runs[summary.pipeline.id] = found
        left -= len(found)
    return await asyncio.to_thread(
        _history_node_history, dict(reversed(runs.items())), params.limit, complete
    )


def _history_node_history(runs: dict[str, NodeRuns], limit: int, complete: bool) -> NodeHistory:
    flaky = flaky_nodes([*runs.values()])
    sizes = size_advice([*runs.values()])
    images = image_advice([*runs.values()])
    return NodeHistory(
        pipelines=tuple(runs),
        flaky=tuple(flaky[:limit]),
        flaky_count=len(flaky),
        slowest=tuple(slowest_nodes([*runs.values()], limit)),
        sizes=tuple(sizes[:limit]),
        sizes_count=len(sizes),
        images=tuple(images[:limit]),
        images_count=len(images),
        complete=complete,
    )


# ----------------------------------------------------------------------------------------
# The reason why a node ran.


#: Maximum number of earlier pipelines whose attempts are candidates.
MAX_CANDIDATES = 5


async def why(reader: PipelineReader, params: WhyParams) -> Why:
    """Return why the newest attempt of a node ran."""
    summary = await reader.get_pipeline(p.PipelineParams(id=params.id))
    id_ = summary.pipeline.id
    page = await reader.get_tree(p.TreeParams(id=id_, root=params.path, depth=0))
    node = page.nodes[0]
    if node.type is not NodeType.EXEC:
        raise RefusedError(f"{params.path} is a {node.type.value}; name one of its commands")
    started = [each for each in node.attempts if each.started is not None]
    if node.attempts and node.attempts[-1].from_cache is not None:
        return from_cache(node.path, node.attempts[-1])
    if not started:
        return Why(path=node.path, reason=not_started(node))
    *earlier, newest = started
    candidates = [(id_, each) for each in reversed(earlier)]
    if not candidates:
        candidates = await _candidates(reader, summary, node.path)
    nearest = nearest_attempt(newest, candidates)
    found = why_of(node.path, newest, nearest, same_pipeline=bool(earlier))
    about = {"cache": newest.cache, "not_stored": newest.not_stored}
    found = found.model_copy(update=about)
    return await _with_files(reader, found, newest, nearest)


async def _candidates(
    reader: PipelineReader, summary: PipelineSummary, path: str
) -> list[tuple[str, AttemptRecord]]:
    """Return the attempts of a node in the pipelines of its program before this one."""
    found: list[tuple[str, AttemptRecord]] = []
    async for each in earlier_pipelines(reader, summary, MAX_CANDIDATES):
        query = p.TreeParams(id=each.pipeline.id, root=path, depth=0, attempts="newest")
        with suppress(NotFoundError):
            page = await reader.get_tree(query)
            found += [
                (each.pipeline.id, attempt)
                for attempt in page.nodes[0].attempts
                if attempt.started is not None
            ]
    return found


async def earlier_pipelines(
    reader: PipelineReader, summary: PipelineSummary, limit: int
) -> AsyncIterator[PipelineSummary]:
    """Yield the pipelines of a program before one of them, the newest first."""
    record = summary.pipeline
    query = program_of(record)
    until = time.monotonic() + MAX_SECONDS
    pipelines = PipelinesOfProgram(reader, query, lambda: time.monotonic() < until)
    # Itself may be among them.
    async for each in pipelines.newest(limit + 1, record.created):
        if each.pipeline.id != record.id and limit > 0:
            yield each
            limit -= 1


async def _with_files(
    reader: PipelineReader,
    found: Why,
    newest: AttemptRecord,
    nearest: tuple[str, AttemptRecord] | None,
) -> Why:
    """Return a reason with the names of the files that differ."""
    before = None if nearest is None else nearest[1].fingerprint
    if before is None or newest.fingerprint is None:
        return found
    codes = code_of(before), code_of(newest.fingerprint)
    if codes[0] is None or codes[1] is None:
        return found
    changed = []
    for each in found.changed:
        files: Sequence[str] = ()
        if each.field == CODE:
            files = await reader.changed_files(codes[0], codes[1])
        changed.append(changed_field(each.field, files) if files else each)
    return found.model_copy(update={"changed": tuple(changed)})


class Comparisons(MemoryOfPrograms):
    """Comparisons of pipelines, the same for every target."""

    @serves(results_operations.COMPARE_METRICS)
    async def compare_metrics(self, params: CompareParams) -> MetricComparison:
        return await metric_comparison.compare(self, params)

    @serves(programs_operations.COMPARE_PIPELINES)
    async def compare_pipelines(self, params: ComparisonParams) -> PipelineComparison:
        return await compare_pipelines(self, params)

    @serves(programs_operations.GET_WHY)
    async def get_why(self, params: WhyParams) -> Why:
        return await why(self, params)

    @serves(programs_operations.NODE_HISTORY)
    async def node_history(self, params: NodeHistoryParams) -> NodeHistory:
        return await history(self, params)

    @serves(programs_operations.NODE_RUNS)
    async def list_node_runs(self, params: NodeRunsParams) -> HistoryOfNode:
        return await runs_of_node(self, params)
