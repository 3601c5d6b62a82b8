"""The pipelines of one program."""

from collections.abc import AsyncIterator, Callable
from typing import Protocol

from conducto_core.model.params import MAX_HISTORY_SCAN, MAX_TEXT, ListParams, ProgramParams
from conducto_core.model.requests import PipelineSummary
from conducto_core.model.responses import PipelineList
from conducto_core.semantics.program_identity import is_of_program

_PAGE = 100


class Lister(Protocol):
    """The operation that lists pipelines."""

    async def list_pipelines(self, params: ListParams) -> PipelineList:
        """Return pipelines, the newest first."""


class PipelinesOfProgram:
    """Searches the list of pipelines for those of a program.

    Attributes:
        has_more: The search ended early, so that older pipelines may be missing.
    """

    def __init__(self, lister: Lister, program: ProgramParams, in_time: Callable[[], bool]) -> None:
        self._lister = lister
        self._program = program
        self._in_time = in_time
        self.has_more = False

    async def newest(self, limit: int) -> AsyncIterator[PipelineSummary]:
        """Yield at most ``limit`` pipelines, the newest first."""
        program = self._program
        text = program.title if program.function is None else program.program
        query = ListParams(text=(text or "")[:MAX_TEXT], lifecycle="all", limit=_PAGE)
        for _ in range(MAX_HISTORY_SCAN // _PAGE):
            page = await self._lister.list_pipelines(query)
            for summary in filter(self._fits, page.pipelines):
                yield summary
                limit -= 1
                if limit == 0:
                    return
            if page.next is None:
                return
            query = query.model_copy(update={"after": page.next})
            if not self._in_time():
                break
        self.has_more = True

    def _fits(self, summary: PipelineSummary) -> bool:
        return is_of_program(summary.pipeline, self._program)
