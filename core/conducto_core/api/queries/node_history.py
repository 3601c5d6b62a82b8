"""The history of a program's nodes, from the attempts of its newest finished pipelines."""

import asyncio
import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Protocol

from conducto_core.api.queries.program_pipelines import Lister, PipelinesOfProgram
from conducto_core.model.params import MAX_HISTORY_SCAN
from conducto_core.model.records import AttemptRecord
from conducto_core.model.run_history import NodeHistory, NodeHistoryParams
from conducto_core.semantics.node_history import NodeRuns, flaky_nodes, node_runs, slowest_nodes

#: Maximum attempts that are read for one response, and seconds after which no more are read.
MAX_ATTEMPTS_READ = 200_000
MAX_SECONDS = 10.0


class Reader(Lister, Protocol):
    """The operations that a history uses."""

    def stored_attempts(self, pipeline_id: str) -> Iterator[AttemptRecord]:
        """Yield the attempts of a pipeline."""


async def history(
    reader: Reader, params: NodeHistoryParams, clock: Callable[[], float] = time.monotonic
) -> NodeHistory:
    """Return the flaky and the slowest nodes of a program's newest finished pipelines."""
    until = clock() + MAX_SECONDS
    runs: dict[str, NodeRuns] = {}
    left = MAX_ATTEMPTS_READ
    complete = True
    summaries = PipelinesOfProgram(reader, params, lambda: clock() < until)
    async for summary in summaries.newest(MAX_HISTORY_SCAN):
        if not summary.settled or summary.started is None:
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
    return await asyncio.to_thread(_history, dict(reversed(runs.items())), params.limit, complete)


def _history(runs: dict[str, NodeRuns], limit: int, complete: bool) -> NodeHistory:
    flaky = flaky_nodes([*runs.values()])
    return NodeHistory(
        pipelines=tuple(runs),
        flaky=tuple(flaky[:limit]),
        flaky_count=len(flaky),
        slowest=tuple(slowest_nodes([*runs.values()], limit)),
        complete=complete,
    )
