"""The history of a program's nodes: flaky and slow ones."""

import heapq
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from conducto_core.model.records import AttemptRecord
from conducto_core.model.run_history import FlakyNode, SlowNode
from conducto_core.model.states import FAILED, State

PASSED, RETRIED, FAILURE, ABSENT = "p", "r", "f", "-"


@dataclass(frozen=True, slots=True)
class NodeRun:
    """The attempts of an Exec in one pipeline.

    Attributes:
        state: Of the newest attempt, like ``command`` and ``seconds``.
        retried: An earlier attempt failed with the same command.
        lost_seconds: Total time of the failed attempts.
    """

    state: State
    command: str
    seconds: float | None
    retried: bool = False
    lost_seconds: float = 0.0

    @property
    def outcome(self) -> str:
        """The letter of its outcome."""
        if self.state in FAILED:
            return FAILURE
        return RETRIED if self.retried else PASSED if self.state is State.DONE else ABSENT


#: ``{path: attempts}`` of one pipeline.
NodeRuns = Mapping[str, NodeRun]


def node_runs(attempts: Iterable[AttemptRecord]) -> NodeRuns:
    """Reduce the attempts of a pipeline, which are in the order of their numbers."""
    found: dict[str, NodeRun] = {}
    for attempt in attempts:
        found[attempt.path] = _with_attempt(found.get(attempt.path), attempt)
    return found


def _with_attempt(before: NodeRun | None, attempt: AttemptRecord) -> NodeRun:
    seconds = seconds_of(attempt)
    lost = (seconds or 0.0) if attempt.state in FAILED else 0.0
    run = NodeRun(attempt.state, attempt.command, seconds, lost_seconds=lost)
    if before is None:
        return run
    same = before.command == attempt.command
    return replace(
        run,
        retried=same and (before.retried or before.state in FAILED),
        lost_seconds=before.lost_seconds + lost,
    )


def seconds_of(attempt: AttemptRecord) -> float | None:
    """Return the time of an attempt that has ended."""
    if attempt.started is None or attempt.ended is None:
        return None
    return max(0.0, attempt.ended - attempt.started)


def ranked_paths(
    attempts: Iterable[AttemptRecord],
    limit: int,
    now: float,
    fits: Callable[[AttemptRecord], bool],
    *,
    by_memory: bool = False,
) -> list[str]:
    """Return the paths of the nodes whose newest attempts took longest, or used most memory.

    Args:
        attempts: Those of a pipeline, in the order of their numbers.
        limit: Maximum number of paths.
        now: The end of attempts that have not ended.
        fits: Whether the node of an attempt is wanted.
        by_memory: Rank by the memory that they used.
    """
    newest: dict[str, float] = {}
    for attempt in filter(fits, attempts):
        value = attempt.peak_memory if by_memory else _running_seconds(attempt, now)
        newest[attempt.path] = value or 0.0
    ranked = heapq.nsmallest(limit, newest.items(), key=lambda each: (-each[1], each[0]))
    return [path for path, value in ranked if value]


def _running_seconds(attempt: AttemptRecord, now: float) -> float | None:
    if attempt.started is None:
        return None
    return max(0.0, (now if attempt.ended is None else attempt.ended) - attempt.started)


def flaky_nodes(runs: Sequence[NodeRuns]) -> list[FlakyNode]:
    """Return the flaky nodes of pipelines, the oldest first; the most often flaky nodes first.

    A node is flaky if it passed only after a retry, or if it passed, failed and passed again with
    the same command. One change is not enough: the node broke or was fixed.
    """
    found = (_flaky(path, runs) for path in _paths_with_failures(runs))
    flaky = [node for node in found if node is not None]
    return sorted(flaky, key=lambda node: (-node.flaked / node.runs, -node.flaked, node.path))


def _paths_with_failures(runs: Sequence[NodeRuns]) -> Iterable[str]:
    return dict.fromkeys(
        path for run in runs for path, node in run.items() if node.outcome in (FAILURE, RETRIED)
    )


def _flaky(path: str, runs: Sequence[NodeRuns]) -> FlakyNode | None:
    of_node = [run.get(path) for run in runs]
    outcomes = "".join(ABSENT if one is None else one.outcome for one in of_node)
    ran = [one for one in of_node if one is not None and one.outcome != ABSENT]
    if RETRIED not in outcomes and not _alternates(ran):
        return None
    return FlakyNode(
        path=path,
        outcomes=outcomes,
        flaked=outcomes.count(RETRIED) + outcomes.count(FAILURE),
        runs=len(ran),
        lost_seconds=sum(one.lost_seconds for one in ran),
    )


def _alternates(runs: Sequence[NodeRun]) -> bool:
    """Return whether the outcome changed at least twice while the command stayed the same."""
    changed_before = False
    for before, after in pairwise(runs):
        same = before.command == after.command
        changed = same and (before.state in FAILED) != (after.state in FAILED)
        if changed and changed_before:
            return True
        changed_before = same and (changed or changed_before)
    return False


def slowest_nodes(runs: Sequence[NodeRuns], limit: int) -> list[SlowNode]:
    """Return the slowest nodes of pipelines, the oldest first, by the median of their times."""
    times: dict[str, list[float]] = {}
    for run in runs:
        for path, node in run.items():
            if node.state is State.DONE and node.seconds is not None:
                times.setdefault(path, []).append(node.seconds)
    medians = {path: statistics.median(seconds) for path, seconds in times.items()}
    total = sum(medians.values())
    ranked = sorted(medians, key=lambda path: (-medians[path], path))[:limit]
    return [
        SlowNode(
            path=path,
            median_seconds=medians[path],
            share=medians[path] / total if total else 0.0,
            newest_seconds=times[path][-1],
            runs=len(times[path]),
        )
        for path in ranked
    ]
