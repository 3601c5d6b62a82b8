"""The active time of a pipeline, without the time between its runs.

A pipeline is active from its first command until nothing runs, is queued or will start by itself. A
reset on the next morning starts a new period; the night between does not count.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import Protocol

from conducto_core.model.records import NodeChange, Period, PipelineStatus, Round
from conducto_core.model.states import NodeType, State
from conducto_core.semantics.machine import settled
from conducto_core.semantics.tree_state import Change, TreeState

#: Maximum number of rounds that are kept; the newest ones.
MAX_ROUNDS = 50


@dataclass(frozen=True, slots=True)
class Activity:
    """The active time counted so far.

    Attributes:
        seconds: Total of the finished periods.
        since: Start of the current period; None if there is none.
        finished: The newest finished periods, oldest first.
    """

    seconds: float = 0.0
    since: float | None = None
    finished: tuple[Round, ...] = ()

    @property
    def rounds(self) -> tuple[Round, ...]:
        """The newest periods, oldest first, with the current one."""
        current = () if self.since is None else (Round(started=self.since),)
        return (*self.finished, *current)

    @property
    def truncated(self) -> bool:
        """Whether older periods may be missing in `finished`."""
        return len(self.finished) == MAX_ROUNDS

    @property
    def forgotten(self) -> float:
        """Total of the finished periods that are not kept."""
        kept = sum(one.ended - one.started for one in self.finished if one.ended is not None)
        return max(0.0, self.seconds - kept)

    def after(
        self, changes: Iterable[Change | NodeChange], tree: TreeState, now: float
    ) -> "Activity":
        """Return the activity after an event that made these changes at ``now``."""
        begins = any(c.type is NodeType.EXEC and c.state is State.RUNNING for c in changes)
        since = now if self.since is None and begins else self.since
        if since is None or not settled(tree):
            return Activity(self.seconds, since, self.finished)
        return Activity(self.seconds, since, self.finished).ended(now)

    def ended(self, now: float) -> "Activity":
        """Return the activity after the end of the current period."""
        if self.since is None:
            return self
        end = max(now, self.since)  # a clock may have been set back
        rounds = (*self.finished, Round(started=self.since, ended=end))[-MAX_ROUNDS:]
        return Activity(self.seconds + end - self.since, None, rounds)


def stored(status: PipelineStatus, seen: float) -> Activity:
    """Return the activity of a stored status; an open period ends when it was last ``seen``.

    A record of an older version has only the first start and the last end.
    """
    if status.active_seconds is None:
        begun, ended = status.started, status.ended
        return Activity(0.0 if begun is None or ended is None else max(0.0, ended - begun))
    finished = tuple(one for one in status.rounds if one.ended is not None)
    return Activity(status.active_seconds, status.active_since, finished).ended(seen)


def idle_seconds(period: Period, activity: Activity) -> float:
    """Return the seconds of a period between the rounds of its pipeline.

    Of the time before the oldest round that is kept, all but the `forgotten` seconds was idle.
    """
    rounds = activity.rounds
    if period.started is None or not rounds:
        return 0.0
    older = 0.0
    if activity.truncated:
        older = rounds[0].started - period.started - activity.forgotten
    end = inf if period.ended is None else period.ended
    gaps = (
        min(after.started, end) - max(before.ended, period.started)
        for before, after in pairwise(rounds)
        if before.ended is not None
    )
    return max(0.0, older) + sum(max(0.0, gap) for gap in gaps)


class Timed(Protocol):
    """The times of a pipeline's summary, or of one run of a history."""

    @property
    def settled(self) -> bool:
        """Whether nothing runs or will start by itself."""

    @property
    def started(self) -> float | None:
        """First start."""

    @property
    def ended(self) -> float | None:
        """Last end."""

    @property
    def active_seconds(self) -> float | None:
        """Seconds of the finished periods; None from an older agent or cloud."""

    @property
    def active_since(self) -> float | None:
        """Start of the current period."""


def active_time(one: Timed, now: float) -> float | None:
    """Return the active seconds until ``now``; None if it never started."""
    if one.started is None:
        return None
    if one.active_seconds is None:
        return _wall(one, now)
    current = 0.0 if one.active_since is None else max(0.0, now - one.active_since)
    return one.active_seconds + current


def wall_time(one: Timed, now: float) -> float | None:
    """Return the time from the first start to the last end, or None if little of it was idle."""
    active = active_time(one, now)
    if active is None:
        return None
    wall = _wall(one, now)
    return wall if wall - active >= max(_LEAST_IDLE, active / 10) else None


#: Shorter idle times are not reported, in seconds.
_LEAST_IDLE = 60.0


def _wall(one: Timed, now: float) -> float:
    end = one.ended if one.settled and one.ended is not None else now
    return max(0.0, end - (one.started or 0.0))  # a clock may have been set in between
