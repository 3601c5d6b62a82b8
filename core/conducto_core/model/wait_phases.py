"""The waits of an attempt before it runs: for its image, its turn, its container."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from conducto_core.model.records import AttemptRecord

WaitKind = Literal["image", "turn", "limit", "start", "approval", "unknown"]
"""``turn`` is the wait for a place on the machine or a worker, ``limit`` that for a named limit,
``start`` that for its container, ``approval`` that for a person; ``unknown`` a wait of which no
details are recorded."""


class Wait(NamedTuple):
    """The reason why a node does not run.

    Attributes:
        kind: For a queued attempt; None for a pending node.
    """

    text: str
    kind: WaitKind | None = None


class Phase(NamedTuple):
    """A part of a wait, in seconds since the epoch."""

    kind: WaitKind
    begin: float
    end: float


def phases_of(attempt: AttemptRecord, until: float) -> Iterator[Phase]:
    """Yield the parts of an attempt's wait in order of time, without those that took no time.

    Args:
        attempt: It may not have started.
        until: End of the wait of an attempt that has not started.
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
    if attempt.admitted is not None:
        return "start"
    return "turn" if attempt.image_ready is not None and attempt.started is None else "unknown"
