"""Labels for display, in a terminal or an exported page."""

from conducto_core.run.model.records import (
    ApprovalDecision,
    AttemptRecord,
    CacheSource,
    Counts,
    PhaseKind,
    phases_of,
)
from conducto_core.run.model.requests import NodeView
from conducto_core.run.model.states import Cause

#: Shorter waits are not shown, in seconds.
_LEAST_WAIT = 0.1
_MINUTE = 60
_WAITS: dict[PhaseKind, str] = {
    "image": " for its image",
    "turn": " for its turn",
    "start": " for its container",
    "unknown": "",
}

_CAUSES = {
    Cause.TIMEOUT: "timed out",
    Cause.OUT_OF_MEMORY: "out of memory",
    Cause.IMAGE: "not started",
    Cause.NO_WORKER: "no worker",
    Cause.NO_CAPACITY: "AWS had no machine",
    Cause.WORKER_LOST: "container lost",
    Cause.SPOT: "Spot worker interrupted",
    Cause.KILLED_BY_USER: "killed",
    Cause.LAZY: "made no valid tree",
    Cause.INPUT: "a result it uses is missing",
    Cause.SERVICE: "service failed",
    Cause.SPEND_LIMIT: "killed at the spend limit",
    Cause.BUDGET: "killed at its budget",
    Cause.REJECTED: "rejected",
    Cause.APPROVAL_TIMEOUT: "nobody approved it in time",
}


def cause_text(cause: Cause | None, exit_code: int | None) -> str:
    """Return the cause of a failure in a few words: ``exit 1``, ``out of memory``."""
    if cause is None or cause is Cause.EXIT_CODE:
        return "failed" if exit_code is None else f"exit {exit_code}"
    return _CAUSES[cause]


def timeout_text(limit: float | None, counts: Counts | None) -> str:
    """Return the label of a group that timed out: its limit, and the Execs affected.

    ``timed out: max_time 1m 30s (2 killed, 4 not run)``
    """
    words = _CAUSES[Cause.TIMEOUT]
    if limit is not None:
        words += f": max_time {f'{limit:g}s' if limit < _MINUTE else duration(limit)}"
    if counts is None:
        return words
    parts = [
        f"{number:,} {what}"
        for number, what in ((counts.killed, "killed"), (counts.pending, "not run"))
        if number
    ]
    return f"{words} ({', '.join(parts)})" if parts else words


def failure_text(node: NodeView) -> str:
    """Return the label of a failure: an Exec's newest attempt, or a group's time limit."""
    if node.counts is not None:
        return timeout_text(node.max_time, node.counts)
    if node.stopped_by is not None:
        return f"ended with {node.stopped_by}, which timed out"
    if not node.attempts:
        return cause_text(node.cause, None)
    newest = node.attempts[-1]
    return explained(cause_text(node.cause, newest.exit_code), node.cause, newest.message)


#: Causes whose label needs the message of the attempt.
EXPLAINED = frozenset(
    {Cause.INPUT, Cause.LAZY, Cause.NO_CAPACITY, Cause.NO_WORKER, Cause.SPOT, Cause.WORKER_LOST}
)


def explained(words: str, cause: Cause | None, message: str | None) -> str:
    """Return a cause's label, with the attempt's message if the label needs it."""
    if cause is Cause.REJECTED and message:  # "rejected by anna: the tests are old"
        return " ".join(message.split())
    if cause not in EXPLAINED or not message:
        return words
    return f"{words}: {' '.join(message.split())}"


def decision_text(decision: ApprovalDecision) -> str:
    """Return a decision as a sentence: ``rejected by anna: the tests are too old``."""
    words = f"{'approved' if decision.approved else 'rejected'} by {decision.by}"
    return words if decision.comment is None else f"{words}: {decision.comment}"


def duration(seconds: float) -> str:
    """Return a duration for display: ``0.8s``, ``42s``, ``3m 05s``, ``2h 03m``."""
    seconds = max(0.0, seconds)
    if seconds < 9.95:  # noqa: PLR2004 - below it a tenth still tells something
        return f"{seconds:.1f}s"
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    if minutes == 0:
        return f"{rest}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02d}m" if hours else f"{minutes}m {rest:02d}s"


def wait_text(attempt: AttemptRecord) -> str | None:
    """Return a label with the waits of a started attempt; None if they were short.

    ``waited 4.0s for its image, 1.2s for its turn``
    """
    if attempt.started is None:
        return None
    said = [
        duration(phase.end - phase.begin) + _WAITS[phase.kind]
        for phase in phases_of(attempt, attempt.started)
        if phase.end - phase.begin >= _LEAST_WAIT
    ]
    return "waited " + ", ".join(said) if said else None


def saved_text(source: CacheSource) -> str:
    """Return the time and the cost saved by the cache: ``saved 2m 05s, $0.0012``; or nothing."""
    if source.seconds is None:
        return ""
    dollars = "" if source.dollars is None else f", {in_dollars(source.dollars)}"
    return f"saved {duration(source.seconds)}{dollars}"


def in_dollars(amount: float) -> str:
    """Return an amount for people: with cents, and four digits below a dollar.

    >>> in_dollars(12.3), in_dollars(0.00123)
    ('$12.30', '$0.0012')
    """
    return f"${amount:,.2f}" if amount >= 1 or amount == 0 else f"${amount:.4f}"
