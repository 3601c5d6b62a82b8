"""The memory that commands of a program used, for the sizes of ``mem="auto"``."""

import asyncio
import time
from collections.abc import Iterable
from itertools import chain, islice

from conducto_core.api.serve import serves
from conducto_core.machines.model import MemoryUse, MemoryUses
from conducto_core.programs import operations as programs_operations
from conducto_core.programs.history import MemoryHistory, UsedMemory
from conducto_core.programs.relaunch import PipelinesOfProgram
from conducto_core.programs.rules.memory import (
    MAX_USES,
    MEMORY_PART,
    asks_for_history,
    memory_uses,
    written_uses,
)
from conducto_core.programs.rules.programs import call_of, title_of
from conducto_core.run.model.params import ProgramParams
from conducto_core.run.model.requests import LaunchRequest
from conducto_core.run.port import PipelineReader

#: Newest pipelines and attempts that are read, and seconds after which no more are: a launch waits.
MAX_PIPELINES = 30
MAX_ATTEMPTS = 100_000
MAX_SECONDS = 3.0


class MemoryOfPrograms(PipelineReader):
    """The use of memory by the programs of a target."""

    def most_memory(self, engine: str = "docker") -> float | None:  # noqa: ARG002  local ones differ
        """Return the GB that a command can have; None if it is not known."""
        return None

    @serves(programs_operations.MEMORY_HISTORY)
    async def memory_history(self, params: ProgramParams) -> MemoryHistory:
        """Return the memory that commands of a program used."""
        found = await self._uses(params)
        nodes = (UsedMemory(path=path, **use._asdict()) for path, use in found.items())
        return MemoryHistory(nodes=tuple(nodes), most=self.most_memory())

    async def add_memory(self, request: LaunchRequest) -> None:
        """Write the use of memory into a tree that asks for it; that of a client is ignored."""
        tree = request.tree
        tree.pop(MEMORY_PART, None)
        if not asks_for_history(tree):
            return
        call, title = call_of(tree), request.title or title_of(tree)
        found: dict[str, MemoryUse] = {}
        if title is not None or (call is not None and request.program is not None):
            function = None if call is None or request.program is None else call.function
            params = ProgramParams(title=title, program=request.program, function=function)
            found = await self._uses(params)
        tree[MEMORY_PART] = written_uses(MemoryUses(found, self.most_memory(request.engine)))

    async def _uses(self, params: ProgramParams) -> dict[str, MemoryUse]:
        until = time.monotonic() + MAX_SECONDS
        pipelines = PipelinesOfProgram(self, params, lambda: time.monotonic() < until)
        ids = [one.pipeline.id async for one in pipelines.newest(MAX_PIPELINES)]
        return await asyncio.to_thread(self._uses_in, ids, until)

    def _uses_in(self, pipelines: Iterable[str], until: float) -> dict[str, MemoryUse]:
        first = iter(pipelines)
        in_time = chain(islice(first, 1), (one for one in first if time.monotonic() < until))
        attempts = chain.from_iterable(map(self.stored_attempts, in_time))
        found = memory_uses(islice(attempts, MAX_ATTEMPTS))
        return dict(islice(found.items(), MAX_USES))
