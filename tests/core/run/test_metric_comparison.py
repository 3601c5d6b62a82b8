"""A comparison of metrics that reaches one of its limits."""

import asyncio
from collections.abc import Iterator
from itertools import count

from conducto_core.programs.rules.comparison import ExecFacts, RunFacts
from conducto_core.results.handlers import compare
from conducto_core.results.model import CompareParams, OutputParams, OutputStream, OutputSummary
from conducto_core.run.model.params import ListParams, TreeParams
from conducto_core.run.model.records import AttemptRecord, PipelineRecord, PipelineStatus
from conducto_core.run.model.requests import NodeView, PipelineSummary, TreePage
from conducto_core.run.model.responses import PipelineList
from conducto_core.run.model.states import State

LINE = b'{"name":"loss","value":1}\n'


def attempt(path: str, number: int, *metrics: str) -> AttemptRecord:
    outputs = OutputSummary(metrics=metrics) if metrics else None
    return AttemptRecord(path=path, number=number, state=State.DONE, outputs=outputs)


class Reader:
    """Pipelines with the same attempts; ``more_pipelines``: the list has another page."""

    def __init__(
        self,
        *attempts: AttemptRecord,
        paths: tuple[str, ...] = ("/a",),
        more_pipelines: bool = False,
    ) -> None:
        self._attempts = attempts or (attempt("/a", 1, "loss"),)
        self._paths = paths
        self._more_pipelines = "next" if more_pipelines else None
        self.lists = 0

    async def list_pipelines(self, _: ListParams) -> PipelineList:
        self.lists += 1
        records = [PipelineRecord(id=f"p{n}", title="t") for n in range(2)]
        found = tuple(
            PipelineSummary.model_construct(pipeline=each, **dict(PipelineStatus()))
            for each in (records if self.lists == 1 else [])
        )
        return PipelineList.model_construct(pipelines=found, next=self._more_pipelines)

    async def get_tree(self, query: TreeParams) -> TreePage:
        attempts = tuple(each for each in self._attempts if each.path == query.root)
        node = NodeView.model_construct(path=query.root, attempts=attempts[-1:])
        return TreePage.model_construct(nodes=(node,), next=None)

    async def run_facts(self, pipeline_id: str) -> RunFacts:
        facts = ExecFacts(State.DONE, "true", "busybox")
        return RunFacts(id=pipeline_id, execs=dict.fromkeys(self._paths, facts))

    def stored_attempts(self, _: str) -> Iterator[AttemptRecord]:
        return iter(self._attempts)

    async def attempt_output(self, _: OutputParams, __: OutputStream) -> tuple[int | None, bytes]:
        return 1, LINE


def compared(reader: Reader, step: float = 0.0) -> tuple[int, bool]:
    """Return the number of metrics, and whether they are all; each look at the clock takes time."""
    ticks = count(0.0, step)
    found = asyncio.run(compare(reader, CompareParams(title="t"), lambda: next(ticks)))
    return sum(len(each.metrics) for each in found.pipelines), found.complete


def test_comparison_is_complete_within_its_limits() -> None:
    assert compared(Reader()) == (2, True)


def test_comparison_is_not_complete_if_pipelines_were_not_read() -> None:
    assert compared(Reader(more_pipelines=True)) == (2, False)


def test_comparison_has_the_newest_attempts_of_the_tree_in_definition_order() -> None:
    attempts = [
        attempt("/a", 1, "loss"),
        attempt("/b", 1, "loss"),
        attempt("/b", 2),
        attempt("/c", 1, "loss"),
        attempt("/c", 2, "loss"),
        attempt("/removed", 1, "loss"),
    ]
    reader = Reader(*attempts, paths=("/c", "/b", "/a"))

    found = asyncio.run(compare(reader, CompareParams(title="t"))).pipelines[0]
    (alone,) = (
        asyncio.run(compare(Reader(*attempts), CompareParams(title="t", path="/c")))
        .pipelines[0]
        .metrics
    )

    assert [(each.path, each.attempt) for each in found.metrics] == [("/c", 2), ("/a", 1)]
    assert (alone.path, alone.attempt) == ("/c", 2)


def test_comparison_ends_when_its_time_is_over() -> None:
    metrics, complete = compared(Reader(), step=2.0)

    assert metrics < 2
    assert not complete


def test_comparison_says_how_many_points_were_kept() -> None:
    class Long(Reader):
        async def attempt_output(self, *_: object) -> tuple[int | None, bytes]:
            return 1, LINE * 25_000

    found = asyncio.run(compare(Long(), CompareParams(title="t", points=100)))
    (metric,) = found.pipelines[0].metrics

    assert (metric.count, metric.kept, len(metric.values)) == (25_000, 8_334, 100)
