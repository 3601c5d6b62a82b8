"""The operation on running and waiting commands, on both targets."""

import asyncio
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from conducto_core.activity import operations
from conducto_core.activity.model import (
    MAX_LINE,
    WITH_LAST_LINE,
    Activity,
    ActivityParams,
    RunningCommand,
)
from conducto_core.activity.rules import Found, activity_of, running_command
from conducto_core.api.serve import serves
from conducto_core.errors import NotFoundError
from conducto_core.run.model import params as p
from conducto_core.run.model.requests import NodeView, PipelineSummary
from conducto_core.run.model.responses import LogLines
from conducto_core.run.model.states import State
from conducto_core.run.port import PipelineReader

#: Maximum number of pipelines in progress that are read, and of their waiting commands.
MAX_PIPELINES = 50
MAX_WAITING = 200
#: Pipelines that are read at once.
_AT_ONCE = 8


class Activities(PipelineReader):
    """Executes the operation."""

    @abstractmethod
    async def read_log_lines(self, query: p.LogLinesParams) -> LogLines:
        """Return lines of an output stream."""

    @serves(operations.GET_ACTIVITY)
    async def get_activity(self, params: ActivityParams) -> Activity:
        """Return the running and the waiting commands of all pipelines, and the reasons."""
        summaries: list[PipelineSummary] = []
        for state in (State.RUNNING, State.QUEUED):
            page = await self.list_pipelines(p.ListParams(state=state, limit=MAX_PIPELINES + 1))
            summaries += page.pipelines
        complete = len(summaries) <= MAX_PIPELINES
        read = summaries[:MAX_PIPELINES]
        gate = asyncio.Semaphore(_AT_ONCE)

        async def nodes(summary: PipelineSummary, limit: int, **only: Any) -> list[Found]:
            async with gate:
                return [(summary, node) for node in await self._nodes(summary, limit, only)]

        running = await asyncio.gather(
            *(
                nodes(each, params.limit, state=State.RUNNING)
                for each in read
                if each.counts.running
            )
        )
        queued = await asyncio.gather(  # a command that waits for a retry is pending
            *(
                nodes(each, MAX_WAITING, waiting=True)
                for each in read
                if each.counts.queued or each.counts.pending
            )
        )
        begun = (running_command(*found) for each in running for found in each)
        started = [each for each in begun if each is not None]
        waiting = [found for each in queued for found in each]
        found = activity_of(summaries, started, waiting, params.limit, complete=complete)
        if not params.last_lines:
            return found
        longest = found.commands[:WITH_LAST_LINE]
        first = await asyncio.gather(*(self._with_last_line(each, gate) for each in longest))
        commands = (*first, *found.commands[WITH_LAST_LINE:])
        return found.model_copy(update={"commands": commands})

    async def _with_last_line(
        self, command: RunningCommand, gate: asyncio.Semaphore
    ) -> RunningCommand:
        query = p.LogLinesParams(id=command.pipeline, path=command.path, first=-1, count=1)
        try:
            async with gate:
                lines = (await self.read_log_lines(query)).lines
        except NotFoundError:  # it was deleted meanwhile
            return command
        line = lines[-1][-MAX_LINE:] if lines else None
        return command.model_copy(update={"last_line": line})

    async def _nodes(
        self, summary: PipelineSummary, limit: int, only: Mapping[str, Any]
    ) -> list[NodeView]:
        """Return the first commands of a pipeline that a search finds; none if it was deleted."""
        found: list[NodeView] = []
        query = p.TreeParams(id=summary.pipeline.id, limit=limit, attempts="newest", **only)
        while True:
            try:
                page = await self.get_tree(query)
            except NotFoundError:
                return []
            found += page.nodes
            if page.next is None or len(found) >= limit:
                return found[:limit]
            query = query.model_copy(update={"after": page.next})
