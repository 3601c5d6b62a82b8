"""What an attempt waited for before it ran: its image, its turn, its container."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from conducto_core.model.records import AttemptRecord

WaitKind = Literal["image", "turn", "start", "unknown"]
"""``start`` is that of its container; ``unknown`` where nobody noted what it waited for."""


class Wait(NamedTuple):
    """Why a node does not run.

    Attributes:
        text: As a sentence.
        kind: Of an attempt that is queued; None of a node that is pending.
    """

    text: str
    kind: WaitKind | None = None


class Phase(NamedTuple):
    """A part of a wait, in seconds since the epoch."""

    kind: WaitKind
    begin: float
    end: float


def phases_of(attempt: AttemptRecord, until: float) -> Iterator[Phase]:
    """Yield the parts of an attempt's wait in order of time; those that took no time are left out.

    Args:
        attempt: It may not have begun.
        until: When the wait of one that has not begun is over.
    """
    begin = attempt.queued
    if begin is None:
        return
    steps: tuple[tuple[WaitKind, float | None], ...] = (
        ("image", attempt.image_ready),
        ("turn", attempt.admitted),
        (_last(attempt), until if attempt.started is None else attempt.started),
    )
    for kind, end in steps:
        if end is not None and end > begin:
            yield Phase(kind, begin, end)
            begin = end


def _last(attempt: AttemptRecord) -> WaitKind:
    """Return what it waited for since the last moment that is known."""
    if attempt.admitted is not None:
        return "start"
    return "turn" if attempt.image_ready is not None and attempt.started is None else "unknown"
