"""The waits of an attempt before it runs: for its image, its turn, its container."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from conducto_core.model.records import AttemptRecord

WaitKind = Literal[
    "image",
    "turn",
    "limit",
    "start",
    "approval",
    "workers",
    "plan",
    "spend_limit",
    "schedule",
]
"""The kinds of waits of nodes, for all clients; `conducto_core.semantics.waits` has the sentence of
each. ``turn`` is the wait for an earlier node, a place in a group or on the machine; ``limit`` that
for a named limit, ``start`` that for its container, ``approval`` that for a person, ``workers``
that for workers which others have or AWS did not start, ``plan`` that for an allowance of the plan,
and ``schedule`` that for the time at which the pipeline starts."""

PhaseKind = Literal["image", "turn", "start", "unknown"]
"""The kinds of recorded waits of an attempt; ``unknown`` is a wait of which no details are
recorded."""


class Wait(NamedTuple):
    """The reason why a node does not run.

    Attributes:
        text: The reason as a sentence.
        kind: None for a node that a user stopped or skipped, or whose pipeline does not run.
        since: Since when it waits, in seconds since the epoch; None if unknown.
        holder: The node, person, plan or other commands that it waits for; None if there is none.
        remedy: How to end the wait, maybe with a command; None if nothing ends it sooner.
    """

    text: str
    kind: WaitKind | None = None
    since: float | None = None
    holder: str | None = None
    remedy: str | None = None

    def __str__(self) -> str:
        """Return the sentence with its remedy."""
        return self.text if self.remedy is None else f"{self.text}; {self.remedy}"


class Phase(NamedTuple):
    """A part of a wait, in seconds since the epoch."""

    kind: PhaseKind
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
    steps: tuple[tuple[PhaseKind, float | None], ...] = (
        ("image", attempt.image_ready),
        ("turn", attempt.admitted),
        (_last(attempt), until if attempt.started is None else attempt.started),
    )
    for kind, end in steps:
        if end is not None and end > begin:
            yield Phase(kind, begin, end)
            begin = end


def _last(attempt: AttemptRecord) -> PhaseKind:
    if attempt.admitted is not None:
        return "start"
    return "turn" if attempt.image_ready is not None and attempt.started is None else "unknown"
