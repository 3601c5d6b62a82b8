"""Folds the inputs of requests into an entry of a journal, and applies entries. No I/O, no clock.

A request decides on an input after it has read the journal up to some entry. The input may be
folded into a later entry, together with the inputs of other requests. It then takes effect only if
the decision is still valid; otherwise the entry records that it was refused, and its request
decides again. Each input takes effect once: a pipeline keeps the ids of the inputs of its last
entries, and refuses inputs that are older.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from chalicelib.domain.events import (
    Claimed,
    Input,
    JournalEntry,
    OutputsArrived,
    Reported,
    Submitted,
    WorkerLost,
    WorkerStarted,
)
from chalicelib.domain.pipeline import CloudPipeline
from chalicelib.domain.pipeline_changes import PipelineChanges
from conducto_core.model.states import State

#: Number of entries for which a pipeline keeps the ids of inputs.
WINDOW = 500
STALE = "it is older than the inputs whose ids are known; retry"
CHANGED = "the pipeline has changed since it was submitted"
FAILED = "it could not be applied"


@dataclass(slots=True)
class Folded:
    """The inputs of an entry.

    Attributes:
        inputs: Those that took effect, in this order.
        refused: ``{id: reason}`` of the others.
        changes: ``{id: results}`` of those that took effect.
    """

    inputs: list[Submitted] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    changes: dict[str, PipelineChanges] = field(default_factory=dict)


def fresh(live: CloudPipeline, waiting: Iterable[Submitted]) -> list[Submitted]:
    """Return the inputs that are not in the journal yet."""
    return [each for each in waiting if each.id not in live.taken]


def fold(
    live: CloudPipeline,
    own: Submitted | None,
    waiting: Sequence[Submitted],
    failing: Collection[str] = (),
) -> Folded:
    """Begin the next entry and apply its inputs.

    Args:
        live: The pipeline after the latest entry.
        own: An input that was decided on this state.
        waiting: Inputs of other requests.
        failing: Ids of waiting inputs that raise an error when they are applied.

    Raises:
        FoldError: A waiting input raised an error; the state of ``live`` is no longer valid.
    """
    folded = Folded()
    seen = live.number
    _begin(live)
    if own is not None:
        _take(live, folded, own)
    for each in fresh(live, waiting):
        reason = FAILED if each.id in failing else _objection(live, each, seen)
        if reason is not None:
            folded.refused[each.id] = reason
            live.taken[each.id] = live.number
            continue
        try:
            _take(live, folded, each)
        except Exception as error:
            raise FoldError(each.id) from error
    return folded


def add(live: CloudPipeline, folded: Folded, consequence: Submitted) -> PipelineChanges:
    """Add an input to an entry that is decided on the state after its other inputs."""
    _take(live, folded, consequence)
    return folded.changes[consequence.id]


class FoldError(Exception):
    """A waiting input cannot be applied.

    Attributes:
        id: Its id.
    """

    def __init__(self, submitted: str) -> None:
        super().__init__(f"the input {submitted} cannot be applied")
        self.id = submitted


def replay(live: CloudPipeline, entry: JournalEntry) -> dict[str, PipelineChanges]:
    """Apply an entry that was written; return ``{id: results}`` of its inputs."""
    _begin(live)
    if entry.warm is not None:
        live.warm = entry.warm
    folded = Folded()
    for each in entry.inputs:
        _take(live, folded, each)
    live.taken.update(dict.fromkeys(entry.refused, live.number))
    live.pool_workers(entry)
    return folded.changes


def _begin(live: CloudPipeline) -> None:
    live.number += 1
    for known in list(live.taken):
        if live.taken[known] > live.number - WINDOW:
            break  # they are in the order of their entries
        del live.taken[known]


def _take(live: CloudPipeline, folded: Folded, each: Submitted) -> None:
    folded.changes[each.id] = live.apply(each.input)
    folded.inputs.append(Submitted(id=each.id, input=each.input))
    live.taken[each.id] = live.number


def _objection(live: CloudPipeline, each: Submitted, latest: int) -> str | None:
    """Return why a waiting input does not take effect, or None.

    An id from before the window is unknown, but its input had not seen its own entry.
    """
    if each.seen <= latest - WINDOW:
        return STALE
    if each.seen < live.disturbed or not _is_valid(live, each.input):
        return CHANGED
    return None


def _is_valid(live: CloudPipeline, happened: Input) -> bool:
    """Return whether the request would decide on the same input now."""
    match happened:
        case Claimed():
            return live.is_current(happened)
        case Reported():
            worker = live.registry.workers.get(happened.worker)
            return worker is not None and worker.runs(happened.path, happened.attempt)
        case OutputsArrived():
            return live.exec_in(happened.path, happened.attempt, State.RUNNING) is not None
        case WorkerStarted() | WorkerLost():
            explains = isinstance(happened, WorkerLost) and happened.ended is not None
            gone = explains and happened.worker in live.registry.ended
            return gone or happened.worker in live.registry.workers
        case _:
            return False
