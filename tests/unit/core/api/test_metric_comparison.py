"""A comparison of metrics that reaches one of its limits."""

import asyncio
from itertools import count

from conducto_core.api.queries.metric_comparison import compare
from conducto_core.model.outputs import CompareParams, OutputParams, OutputStream, OutputSummary
from conducto_core.model.params import ListParams, TreeParams
from conducto_core.model.records import AttemptRecord, PipelineRecord, PipelineStatus
from conducto_core.model.requests import NodeView, PipelineSummary, TreePage
from conducto_core.model.responses import PipelineList
from conducto_core.model.states import State

LINE = b'{"name":"loss","value":1}\n'


class Reader:
    """Pipelines with one node each; ``more_…``: a tree, or the list, has another page."""

    def __init__(self, *, more_nodes: bool = False, more_pipelines: bool = False) -> None:
        self._more_nodes = "/z" if more_nodes else None
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

    async def get_tree(self, _: TreeParams) -> TreePage:
        outputs = OutputSummary(metrics=("loss",))
        attempt = AttemptRecord(path="/a", number=1, state=State.DONE, outputs=outputs)
        node = NodeView.model_construct(path="/a", attempts=(attempt,))
        return TreePage.model_construct(nodes=(node,), next=self._more_nodes)

    async def attempt_output(self, _: OutputParams, __: OutputStream) -> tuple[int | None, bytes]:
        return 1, LINE


def compared(reader: Reader, step: float = 0.0) -> tuple[int, bool]:
    """Return the number of metrics, and whether they are all; each look at the clock takes time."""
    ticks = count(0.0, step)
    found = asyncio.run(compare(reader, CompareParams(title="t"), lambda: next(ticks)))
    return sum(len(each.metrics) for each in found.pipelines), found.complete


def test_comparison_is_complete_within_its_limits() -> None:
    assert compared(Reader()) == (2, True)


def test_comparison_is_not_complete_if_nodes_or_pipelines_were_not_read() -> None:
    assert compared(Reader(more_nodes=True)) == (2, False)
    assert compared(Reader(more_pipelines=True)) == (2, False)


def test_comparison_ends_when_its_time_is_over() -> None:
    metrics, complete = compared(Reader(), step=2.0)

    assert metrics < 2
    assert not complete
