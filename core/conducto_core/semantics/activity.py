"""How long a pipeline has been at work: the time between its runs does not count.

It is at work from the first command that begins until nothing runs, is queued or will start by
itself. A reset the next morning begins the next stretch; the night between is in neither.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from conducto_core.model.records import NodeChange, PipelineStatus
from conducto_core.model.states import NodeType, State
from conducto_core.semantics.machine import settled
from conducto_core.semantics.tree_state import Change, TreeState


@dataclass(frozen=True, slots=True)
class Activity:
    """What has been counted so far.

    Attributes:
        seconds: Of the stretches that are over.
        since: When the current one began; None while there is none.
    """

    seconds: float = 0.0
    since: float | None = None

    def after(
        self, changes: Iterable[Change | NodeChange], tree: TreeState, now: float
    ) -> "Activity":
        """Return it after an event that made these changes, at ``now``."""
        begins = any(c.type is NodeType.EXEC and c.state is State.RUNNING for c in changes)
        since = now if self.since is None and begins else self.since
        if since is None or not settled(tree):
            return Activity(self.seconds, since)
        return Activity(self.seconds + max(0.0, now - since))


def stored(standing: PipelineStatus, seen: float) -> Activity:
    """Return what a record says; a stretch that was open when it was ``seen`` last ends there.

    A record of an older version knows the first start and the last end only.
    """
    if standing.active_seconds is None:
        begun, ended = standing.started, standing.ended
        return Activity(0.0 if begun is None or ended is None else max(0.0, ended - begun))
    if standing.active_since is None:
        return Activity(standing.active_seconds)
    return Activity(standing.active_seconds + max(0.0, seen - standing.active_since))


class Timed(Protocol):
    """What tells its times: a pipeline's summary, or one run of a history."""

    @property
    def settled(self) -> bool:
        """Whether nothing goes on."""

    @property
    def started(self) -> float | None:
        """First start."""

    @property
    def ended(self) -> float | None:
        """Last end."""

    @property
    def active_seconds(self) -> float | None:
        """Seconds of the stretches that are over; None of an older agent or cloud."""

    @property
    def active_since(self) -> float | None:
        """When the current stretch began."""


def active_time(one: Timed, now: float) -> float | None:
    """Return for how many seconds it has been at work by ``now``; None when it never began."""
    if one.started is None:
        return None
    if one.active_seconds is None:
        return _wall(one, now)
    current = 0.0 if one.active_since is None else max(0.0, now - one.active_since)
    return one.active_seconds + current


def wall_time(one: Timed, now: float) -> float | None:
    """Return the time from the first start to the last end, where it differs from the active one.

    None where there was no idle time worth a word.
    """
    active = active_time(one, now)
    if active is None:
        return None
    wall = _wall(one, now)
    return wall if wall - active >= max(_LEAST_IDLE, active / 10) else None


#: Shorter idle times are not told, in seconds.
_LEAST_IDLE = 60.0


def _wall(one: Timed, now: float) -> float:
    end = one.ended if one.settled and one.ended is not None else now
    return max(0.0, end - (one.started or 0.0))  # a clock may have been set in between
