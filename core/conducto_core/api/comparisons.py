"""The operations that compare pipelines, and what they need of a target."""

from abc import ABC, abstractmethod
from collections.abc import Iterator

from conducto_core.api.queries import metric_comparison, node_history, run_differences
from conducto_core.model import params as p
from conducto_core.model.outputs import CompareParams, MetricComparison, OutputParams, OutputStream
from conducto_core.model.records import AttemptRecord
from conducto_core.model.requests import TreePage
from conducto_core.model.responses import PipelineList
from conducto_core.model.run_history import (
    ComparisonParams,
    NodeHistory,
    NodeHistoryParams,
    PipelineComparison,
)
from conducto_core.semantics.run_differences import RunFacts


class Comparisons(ABC):
    """Comparisons of pipelines, the same for every target."""

    @abstractmethod
    async def list_pipelines(self, params: p.ListParams) -> PipelineList:
        """Return a page of pipelines, the newest first."""

    @abstractmethod
    async def get_tree(self, params: p.TreeParams) -> TreePage:
        """Return nodes of a subtree, down to a depth, or those that a search finds.

        Its cost is proportional to the page (for a search, to `MAX_TREE_SCAN` at most), not to the
        tree.
        """

    @abstractmethod
    async def run_facts(self, pipeline_id: str) -> RunFacts:
        """Return the facts of a pipeline that its definition and states determine."""

    @abstractmethod
    def stored_attempts(self, pipeline_id: str) -> Iterator[AttemptRecord]:
        """Yield all stored attempts of a pipeline by its full id; those of a node in order."""

    @abstractmethod
    async def attempt_output(
        self, params: OutputParams, stream: OutputStream
    ) -> tuple[int | None, bytes]:
        """Return an output stream of an attempt, and the attempt's number (None: no attempt)."""

    async def compare_metrics(self, params: CompareParams) -> MetricComparison:
        """Return the metrics of the newest pipelines of a program."""
        return await metric_comparison.compare(self, params)

    async def compare_pipelines(self, params: ComparisonParams) -> PipelineComparison:
        """Return the differences of a pipeline from another one."""
        return await run_differences.compare_pipelines(self, params)

    async def node_history(self, params: NodeHistoryParams) -> NodeHistory:
        """Return the flaky and the slowest nodes of a program."""
        return await node_history.history(self, params)
