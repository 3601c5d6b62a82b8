"""Every policy decision, each a small total function.

Rules for editors:

1. A policy (the meaning of a stop, a skip, a suppressed error, a retry) is decided here and nowhere
   else. Both drivers call these functions; neither contains an ``if stop_on_error``.
2. A function here maps values of finite domains to a value. It knows no tree, no driver and no
   container.
3. Changing one changes both drivers: run the conformance suite. The truth tables in
   ``tests/core/run/test_rules.py`` are the specification: edit them first.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from fractions import Fraction
from hashlib import blake2b
from heapq import heappop, heappush
from math import ceil
from typing import Final, NamedTuple

from conducto.wire.maps import MapOptions
from conducto.wire.retries import Retry
from conducto_core.record import trusted
from conducto_core.results.model import OutputSummary
from conducto_core.run.model import events as ev
from conducto_core.run.model.records import ApprovalDecision, AttemptRecord, FirstError
from conducto_core.run.model.states import FAILED, IN_FLIGHT, STATE_OF_CAUSE, Cause, State
from conducto_core.tree.model import Callback


class Outcome(Enum):
    """The outcome of a child for its parent."""

    UNFINISHED = auto()
    OK = auto()
    FAILED = auto()


def seen_by_parent(state: State, *, skipped: bool) -> Outcome:
    """Return the outcome of a child in ``state``.

    A skipped child counts as done in any state, but its running Execs are awaited.
    """
    if state in IN_FLIGHT:
        return Outcome.UNFINISHED
    if skipped or state is State.DONE:
        return Outcome.OK
    return Outcome.FAILED if state in FAILED else Outcome.UNFINISHED


def holds_back_siblings(child: Outcome, *, stop_on_error: bool) -> bool:
    """Return whether a Serial's later children wait for this child."""
    match child:
        case Outcome.UNFINISHED:
            return True
        case Outcome.FAILED:
            return stop_on_error
        case Outcome.OK:
            return False


def group_outcome(holding: Outcome | None, *, any_unfinished: bool, any_failed: bool) -> Outcome:
    """Return the outcome of a group from those of its children.

    Args:
        holding: Outcome of the first child that holds back its siblings; None if there is none, and
            always for a Parallel.
        any_unfinished: Some child is unfinished; only used for a Parallel.
        any_failed: Some child failed.
    """
    if holding is not None:
        return holding
    if any_unfinished:
        return Outcome.UNFINISHED
    return Outcome.FAILED if any_failed else Outcome.OK


def tolerated_failures(total: int, map_options: MapOptions | None) -> int:
    """Return how many children of a group may fail; others than of a map: none.

    The share is the decimal number that the user wrote; a float of 0.95 is a little less.
    """
    if map_options is None:
        return 0
    needed = Fraction(str(map_options.min_done)) * total
    return total - ceil(needed)


def group_state(children: Outcome, *, in_flight: bool, expired: bool) -> State:
    """Return a group's own state, before suppression."""
    if in_flight:
        return State.RUNNING
    if expired:
        return State.KILLED
    match children:
        case Outcome.UNFINISHED:
            return State.PENDING
        case Outcome.OK:
            return State.DONE
        case Outcome.FAILED:
            return State.ERROR


def suppress(state: State, *, suppress_errors: bool) -> tuple[State, bool]:
    """Return the state a node shows, and whether the node itself has a warning."""
    if suppress_errors and state in FAILED:
        return State.DONE, True
    return state, False


def group_warns(state: State, *, own: bool, any_child_warns: bool) -> bool:
    """Return whether a group is done with a suppressed error in it or below it."""
    return state is State.DONE and (own or any_child_warns)


def cause_of_exit(exit_code: int | None, oom_kills: int = 0) -> Cause | None:
    """Return the cause that an exit code shows; None is success.

    Args:
        exit_code: The exit code.
        oom_kills: Processes that the kernel killed for memory while the command ran.
    """
    if exit_code == 0:
        return None
    return Cause.OUT_OF_MEMORY if oom_kills > 0 else Cause.EXIT_CODE


def out_of_memory(mem: float | None) -> str:
    """Return the message of a command that ran out of ``mem`` GB; None: the limit is unknown."""
    limit = "the node's limit" if mem is None else f"the node's limit of {mem:g} GB"
    return f"out of memory: the kernel killed it at {limit}; raise mem= on the node"


def state_of(cause: Cause | None) -> State:
    """Return the final state of an attempt."""
    return STATE_OF_CAUSE[cause]


class FailureDecision(Enum):
    """The decision about a failure, before the parent sees it."""

    FAIL = auto()
    RETRY = auto()
    SKIP = auto()


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision, and what a retry requests.

    Attributes:
        mem: GB for the next attempt; None for no change.
        delay: Seconds before the next attempt.
    """

    kind: FailureDecision
    mem: float | None = None
    delay: float = 0.0


FAIL = Decision(FailureDecision.FAIL)

#: Causes that a user decided, or that the next attempt would have as well: nothing retries them.
_FINAL_CAUSES = frozenset(
    {
        Cause.KILLED_BY_USER,
        Cause.IMAGE,
        Cause.NO_WORKER,
        Cause.NO_CAPACITY,
        Cause.SPEND_LIMIT,
        Cause.BUDGET,
        Cause.REJECTED,
        Cause.APPROVAL_TIMEOUT,
    }
)
#: Callbacks that decide about a failure; all others send notifications.
RETRIES = frozenset(
    {
        "retry",
        "retry_then_skip",
        "retry_with_double_mem",
        "skip_some_errors",
        "handle_memory_errors",
    }
)


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure to decide about.

    Attributes:
        state: ``error`` or ``killed``.
        tries: Attempts since the node was created or reset by a user, including this one, without
            those that `retries_loss` repeated.
        seconds: Running time of the attempt.
        max_mem: Maximum GB of the next attempt; None for no limit.
        failed_below: Number of Execs below that failed and are not skipped; 1 for an Exec.
        final_below: One of these has a final cause (`is_final`).
        exit_code: Exit code of the command, if it ended with one.
    """

    state: State
    cause: Cause | None
    tries: int
    mem: float
    seconds: float
    failed_below: int = 1
    final_below: bool = False
    max_mem: float | None = None
    exit_code: int | None = None


#: How often an Exec is retried automatically if its container was lost before the command started:
#: nothing has run, so nothing can run twice.
MAX_LOST_STARTS = 3


def retries_loss(retried: int, retry_lost: int, *, started: bool) -> bool:
    """Return whether an Exec whose container was lost is retried, whatever its callbacks say.

    Args:
        retried: Number of such retries since it was created or reset by a user.
        retry_lost: The node's parameter.
        started: Its command had started, so that it may run twice.
    """
    return retried < (retry_lost if started else MAX_LOST_STARTS)


def is_final(cause: Cause | None) -> bool:
    """Return whether a cause is final, so that no callback retries the failure.

    A kill by a user is final, and so is an image that cannot be built: the next attempt would use
    the same one.
    """
    return cause in _FINAL_CAUSES


def decide_retry(retry: Retry | None, failure: Failure, seed: str) -> Decision:
    """Return the decision of the node parameter ``retry`` about a failed Exec.

    `FAIL` leaves the decision to the callbacks.

    Args:
        retry: The policy; None for none.
        failure: The failure.
        seed: Decides about the jitter; it should differ for each attempt of each pipeline.
    """
    if retry is None or is_final(failure.cause) or failure.tries > retry.number:
        return FAIL
    if retry.on is not None and not _is_named(retry.on, failure):
        return FAIL
    return Decision(FailureDecision.RETRY, delay=retry_delay(retry, failure.tries, seed))


def retry_delay(retry: Retry, tries: int, seed: str) -> float:
    """Return the seconds after the attempt number ``tries``, the first being 1.

    >>> retry_delay(Retry(3, 10, 2, 0, 15, None), 1, ""), retry_delay(
    ...     Retry(3, 10, 2, 0, 15, None), 2, ""
    ... )
    (10.0, 15.0)
    """
    delay = min(retry.delay * retry.backoff ** (tries - 1), retry.max_delay)
    if retry.jitter:
        number = int.from_bytes(blake2b(seed.encode(), digest_size=8).digest(), "big")
        delay *= 1 + retry.jitter * (2 * number / 2**64 - 1)
    return float(min(delay, retry.max_delay))


def replaces_retry_lost(retry: Retry | None) -> bool:
    """Return whether a policy, not ``retry_lost``, decides about a command whose worker is lost."""
    return retry is not None and retry.on is not None and Cause.WORKER_LOST.value in retry.on


def _is_named(on: Sequence[int | str], failure: Failure) -> bool:
    cause = None if failure.cause is None else failure.cause.value
    if failure.cause is Cause.SPOT:  # a way to lose a worker
        cause = Cause.WORKER_LOST.value
    return cause in on or (failure.cause is Cause.EXIT_CODE and failure.exit_code in on)


def decide_failure(callbacks: Sequence[Callback], failure: Failure) -> Decision:
    """Return the decision about a failed node; the first callback that acts decides.

    A callback on ``error`` applies to every failure, one on ``killed`` to kills only: users who
    request retries also mean lost workers and time limits. A final failure is not retried, and
    neither is a group that contains one.
    """
    if is_final(failure.cause):
        return FAIL
    for callback in callbacks:
        if callback.event in ("error", failure.state.value):
            decision = _decide(callback, failure)
            if decision is not FAIL:
                return decision
    return FAIL


def _decide(callback: Callback, failure: Failure) -> Decision:
    match callback.name:
        case "retry":
            return _retry(callback, failure, otherwise=FAIL)
        case "retry_then_skip":
            return _retry(callback, failure, otherwise=Decision(FailureDecision.SKIP))
        case "retry_with_double_mem":
            mem = _at_most(failure, failure.mem * 2)
            return _retry(callback, failure, otherwise=FAIL, mem=mem)
        case "skip_some_errors":
            few = 1 <= failure.failed_below <= _number(callback, "max_num_errors")
            return Decision(FailureDecision.SKIP) if few else FAIL
        case "handle_memory_errors":
            return _more_memory(callback, failure)
        case _:
            return FAIL


def _retry(
    callback: Callback, failure: Failure, *, otherwise: Decision, mem: float | None = None
) -> Decision:
    if failure.final_below:
        return FAIL
    if failure.tries <= _number(callback, "max_num_retries"):
        return Decision(FailureDecision.RETRY, mem=mem)
    return otherwise


def _more_memory(callback: Callback, failure: Failure) -> Decision:
    """Retry with the next limit if the attempt ran out of memory within ``max_duration``."""
    limits = callback.arguments.get("mem_limits", (8, 32))
    longest = float(str(callback.arguments.get("max_duration", 3600)))
    if failure.cause is not Cause.OUT_OF_MEMORY or failure.seconds > longest:
        return FAIL
    possible = [_at_most(failure, m) for m in limits] if isinstance(limits, (list, tuple)) else []
    higher = [mem for mem in possible if mem > failure.mem]
    return Decision(FailureDecision.RETRY, mem=min(higher)) if higher else FAIL


def _at_most(failure: Failure, mem: float) -> float:
    return float(mem if failure.max_mem is None else min(mem, failure.max_mem))


def _number(callback: Callback, name: str) -> int:
    return int(str(callback.arguments[name]))


# ----------------------------------------------------------------------------------------
# The summary of a group's children, updated one child at a time.
#
# `Rollup` holds the summary. Recording one child's change costs O(log n) of the group's width, so
# that an event costs the depth of the tree and never its size.


#: Order of the numbers in a count of Execs by state; the last two count the skipped, and those of
#: them that are pending.
COUNTED = tuple(State)
SKIPPED = len(COUNTED)
LEFT_OUT = SKIPPED + 1
INDEX = {state: index for index, state in enumerate(COUNTED)}
PENDING = INDEX[State.PENDING]
QUEUED = INDEX[State.QUEUED]
RUNNING = INDEX[State.RUNNING]


class Rollup:
    """The summary of a group's children.

    Attributes:
        seen: The outcome of each child, by position.
        unfinished: ``{position: None}`` of the unfinished children, as an ordered set.
        warned: Positions of children that are done with a warning.
        tolerated: Number of children that may fail.
    """

    __slots__ = (
        "_held",
        "_holding",
        "_serial",
        "_stop",
        "failed",
        "seen",
        "tolerated",
        "unfinished",
        "warned",
    )

    def __init__(
        self,
        children: list[Outcome],
        *,
        serial: bool,
        stop_on_error: bool,
        warned: Iterable[int] = (),
        tolerated: int = 0,
    ) -> None:
        self.seen = children
        self.tolerated = tolerated
        self.unfinished = {i: None for i, seen in enumerate(children) if seen is _UNFINISHED}
        self.failed = sum(1 for seen in children if seen is Outcome.FAILED)
        self.warned = set(warned)
        self._serial = serial
        self._stop = stop_on_error
        # Positions that hold back their later siblings: a heap that is cleaned when read, so
        # that a reset in the middle of a long Serial need not walk it again.
        self._holding: list[int] = []
        self._held: set[int] = set()
        if serial:
            self._holding = [i for i, seen in enumerate(children) if self._holds(seen)]
            self._held = set(self._holding)

    def record(self, position: int, seen: Outcome, *, warns: bool) -> None:
        """Record the current outcome of one child."""
        if warns:
            self.warned.add(position)
        else:
            self.warned.discard(position)
        before = self.seen[position]
        if before is seen:
            return
        self.seen[position] = seen
        self.failed += (seen is Outcome.FAILED) - (before is Outcome.FAILED)
        if seen is _UNFINISHED:
            self.unfinished[position] = None
        elif before is _UNFINISHED:
            del self.unfinished[position]
        if self._serial and self._holds(seen) and position not in self._held:
            heappush(self._holding, position)
            self._held.add(position)

    def first_holding(self) -> int | None:
        """Return the position of a Serial's first child that holds back the others, or None."""
        while self._holding and not self._holds(self.seen[self._holding[0]]):
            self._held.discard(heappop(self._holding))
        return self._holding[0] if self._holding else None

    def outcome(self) -> Outcome:
        """Return the outcome of the group."""
        first = self.first_holding()
        return group_outcome(
            None if first is None else self.seen[first],
            any_unfinished=bool(self.unfinished),
            any_failed=not self.can_succeed,
        )

    @property
    def can_succeed(self) -> bool:
        """Whether the group is done if the unfinished children succeed; only for a Parallel."""
        return self.failed <= self.tolerated

    def may_run(self, position: int) -> bool:
        """Return whether the order of a Serial lets this child run now."""
        return not self._serial or self.first_holding() == position

    def next_to_run(self) -> list[int]:
        """Return the positions of unfinished children that may run, by the group's order."""
        if not self._serial:
            return list(self.unfinished)
        first = self.first_holding()
        return [] if first is None or self.seen[first] is not _UNFINISHED else [first]

    def _holds(self, seen: Outcome) -> bool:
        return holds_back_siblings(seen, stop_on_error=self._stop)


_UNFINISHED = Outcome.UNFINISHED


# ----------------------------------------------------------------------------------------
# The end of an attempt.


#: One set for all records: killing 100,000 queued nodes makes as many records at once.
_FIELDS = set(AttemptRecord.model_fields)


class AttemptEnd(NamedTuple):
    """The facts that only the driver of an attempt knows, for its record."""

    exit_code: int | None = None
    message: str | None = None
    peak_memory: int | None = None
    output_bytes: int | None = None
    outputs: OutputSummary | None = None
    interpreter: str | None = None
    decision: ApprovalDecision | None = None
    first_error: FirstError | None = None


#: No such facts.
UNKNOWN: Final = AttemptEnd()


def ended_record(
    record: AttemptRecord, command: ev.EndAttempt, end: AttemptEnd, now: float
) -> AttemptRecord:
    """Return the record of an attempt that has ended, given its last one."""
    reason = ": ".join(filter(None, (end.message, command.note)))
    more = {
        **end._asdict(),
        "state": command.state,
        "cause": command.cause,
        "message": "\n".join(filter(None, (record.message, reason))) or None,
        "outputs": end.outputs or record.outputs,  # those that arrived before it was lost
        "ended": max(now, record.started or 0.0),  # the clock may have been set back
    }
    return changed_record(record, **more)


def changed_record(record: AttemptRecord, **changes: object) -> AttemptRecord:
    """Return a record with other values of some fields, which must be valid."""
    return trusted(AttemptRecord, {**record.__dict__, **changes}, _FIELDS)
