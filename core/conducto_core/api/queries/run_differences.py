"""The comparison of two pipelines: their facts, and the results of their functions."""

import asyncio
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

from conducto_core.api.queries import views
from conducto_core.errors import NotFoundError
from conducto_core.images.urls import without_password
from conducto_core.model.images import ImageSpec
from conducto_core.model.nodes import Pipeline
from conducto_core.model.outputs import OutputParams, OutputStream
from conducto_core.model.records import AttemptRecord
from conducto_core.model.run_history import (
    ComparisonParams,
    Difference,
    DifferenceKind,
    DifferenceList,
    PipelineComparison,
)
from conducto_core.model.states import NodeType
from conducto_core.semantics.node_history import seconds_of
from conducto_core.semantics.run_differences import (
    Change,
    Differences,
    ExecFacts,
    RunFacts,
    both_done,
    differences,
    shortened,
)

#: Maximum number of commands whose results are compared.
MAX_RESULTS_READ = 200
_AT_ONCE = 8


class Reader(Protocol):
    """The operations that a comparison uses."""

    async def run_facts(self, pipeline_id: str) -> RunFacts:
        """Return the facts of a pipeline that its definition and states determine."""

    def stored_attempts(self, pipeline_id: str) -> Iterator[AttemptRecord]:
        """Yield the attempts of a pipeline."""

    async def attempt_output(
        self, params: OutputParams, stream: OutputStream
    ) -> tuple[int | None, bytes]:
        """Return an output stream of an attempt."""


def facts_of(live: views.Viewed) -> RunFacts:
    """Return the facts of a pipeline in memory, without times."""
    execs = {
        path: ExecFacts(node.state, views.command_of(live, node.spec), node.spec.placement.image)
        for path, node in live.tree.nodes.items()
        if node.spec.type is NodeType.EXEC
    }
    return RunFacts(live.id, execs, _images(live.pipeline, live), live.record.arguments)


def _images(pipeline: Pipeline, live: views.Viewed) -> dict[str, str]:
    built = {name: image.record.reference for name, image in live.images.items()}
    return {
        name: " ".join(filter(None, (_described(spec), built.get(name))))
        for name, spec in pipeline.images.items()
    }


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


async def compare_pipelines(reader: Reader, params: ComparisonParams) -> PipelineComparison:
    """Return the differences of a pipeline from another one."""
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


async def _timed(reader: Reader, pipeline_id: str) -> tuple[RunFacts, dict[str, _Newest]]:
    facts = await reader.run_facts(pipeline_id)
    newest = await asyncio.to_thread(_newest, reader.stored_attempts(facts.id))
    execs = {
        path: ExecFacts(one.state, one.command, one.image, newest[path].seconds)
        if path in newest
        else one
        for path, one in facts.execs.items()
    }
    timed = RunFacts(facts.id, execs, facts.images, facts.parameters)
    return timed, newest


def _newest(attempts: Iterable[AttemptRecord]) -> dict[str, _Newest]:
    return {
        one.path: _Newest(seconds_of(one), None if one.outputs is None else one.outputs.result)
        for one in attempts  # ordered by number: the newest one stays
    }


async def _results(reader: Reader, ids: tuple[str, str], paths: Iterable[str]) -> list[Change]:
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
