"""What the shared handlers need of the pipelines of a target."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

from conducto_core.programs.rules.comparison import RunFacts
from conducto_core.results.model import OutputParams, OutputStream
from conducto_core.run.model import params as p
from conducto_core.run.model.records import AttemptRecord
from conducto_core.run.model.requests import LaunchRequest, LogChunk, PipelineSummary, TreePage
from conducto_core.run.model.responses import PipelineList


class PipelineReader(ABC):
    """Reads the pipelines that a caller may see; raises `NotFoundError` for others."""

    @abstractmethod
    async def list_pipelines(self, params: p.ListParams) -> PipelineList:
        """Return a page of pipelines, the newest first."""

    @abstractmethod
    async def get_pipeline(self, params: p.PipelineParams) -> PipelineSummary:
        """Return one pipeline, by its id or an unambiguous prefix."""

    @abstractmethod
    async def get_tree(self, params: p.TreeParams) -> TreePage:
        """Return nodes of a subtree, down to a depth, or those that a search finds.

        Its cost is proportional to the page (for a search, to `MAX_TREE_SCAN` at most), not to the
        tree.
        """

    @abstractmethod
    async def read_log(self, params: p.LogParams) -> LogChunk:
        """Return a part of an output stream.

        If it would be empty and more may come, wait for output, at most ``params.wait`` seconds.
        """

    @abstractmethod
    async def attempt_output(
        self, params: OutputParams, stream: OutputStream
    ) -> tuple[int | None, bytes]:
        """Return an output stream of an attempt, and the attempt's number (None: no attempt)."""

    @abstractmethod
    def stored_attempts(self, pipeline_id: str) -> Iterator[AttemptRecord]:
        """Yield all stored attempts of a pipeline by its full id; those of a node in order."""

    @abstractmethod
    async def stored_launch(self, pipeline_id: str) -> LaunchRequest:
        """Return the launch request of a pipeline, not armed; addresses may have passwords."""

    @abstractmethod
    async def run_facts(self, pipeline_id: str) -> RunFacts:
        """Return the facts of a pipeline that its definition and states determine."""

    @abstractmethod
    async def changed_files(self, before: str, now: str) -> Sequence[str]:
        """Return the files that differ between two identities of copied code, if known."""

    @abstractmethod
    def time_now(self) -> float:
        """Return the seconds since the epoch."""
