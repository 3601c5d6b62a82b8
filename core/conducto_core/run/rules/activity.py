"""The active time of a pipeline and its groups, without the time between its runs.

A pipeline is active while a command runs or waits for a slot. A reset on the next morning starts a
new period; the night between does not count, and neither does the wait for a person's approval. The
time of a group is the active time between its first and its last attempt.
"""

from dataclasses import dataclass, replace
from typing import Protocol

from conducto_core.run.model.records import Counts, Period, PipelineStatus, Round

#: Maximum number of rounds that are kept; the newest ones.
MAX_ROUNDS = 50


@dataclass(frozen=True, slots=True)
class Activity:
    """The active time counted so far.

    Attributes:
        seconds: Total of the finished periods.
        since: Start of the current period; None if there is none.
        finished: The newest finished periods, oldest first.
        continues: The current period is a part of the round before.
        waits: Since the last period, the pipeline waits only for approvals and retries.
    """

    seconds: float = 0.0
    since: float | None = None
    finished: tuple[Round, ...] = ()
    continues: bool = False
    waits: bool = False

    @property
    def rounds(self) -> tuple[Round, ...]:
        """The newest periods, oldest first, with the current one."""
        return self.finished if self.since is None else (*self.finished, self._current(None))

    def _current(self, ended: float | None) -> Round:
        return Round(started=self.since or 0.0, ended=ended, continues=self.continues)

    @property
    def truncated(self) -> bool:
        """Whether older periods may be missing in `finished`."""
        return len(self.finished) == MAX_ROUNDS

    @property
    def forgotten(self) -> float:
        """Total of the finished periods that are not kept."""
        kept = sum(one.ended - one.started for one in self.finished if one.ended is not None)
        return max(0.0, self.seconds - kept)

    def after(self, counts: Counts, waiting: int, now: float, *, retrying: int = 0) -> "Activity":
        """Return the activity after an event.

        Args:
            counts: The numbers of Execs by state after it.
            waiting: Number of queued Execs that are approvals.
            now: Time of the event.
            retrying: Number of Execs that wait for a retry; they occupy nothing meanwhile.
        """
        waiting += retrying
        in_flight = counts.queued + counts.running + retrying
        if in_flight > waiting:
            if self.since is not None:
                return self
            return replace(self, since=now, continues=self.waits, waits=False)
        ended = self.ended(now)
        return replace(ended, waits=in_flight > 0 and bool(ended.finished))

    def ended(self, now: float) -> "Activity":
        """Return the activity after the end of the current period."""
        if self.since is None:
            return self
        end = max(now, self.since)  # a clock may have been set back
        rounds = (*self.finished, self._current(end))[-MAX_ROUNDS:]
        return Activity(self.seconds + end - self.since, None, rounds)

    def extended(self, end: float) -> "Activity":
        """Return the activity whose last finished period lasted until ``end``, if that is later."""
        if not self.finished:
            return self
        *earlier, last = self.finished
        before = last.ended or last.started
        until = max(before, end)
        rounds = (*earlier, last.model_copy(update={"ended": until}))
        return replace(self, seconds=self.seconds + until - before, finished=rounds)


def stored(status: PipelineStatus, seen: float) -> Activity:
    """Return the activity of a stored status; an open period ends when it was last ``seen``.

    A record of an older version has only the first start and the last end.
    """
    if status.active_seconds is None:
        begun, ended = status.started, status.ended
        return Activity(0.0 if begun is None or ended is None else max(0.0, ended - begun))
    finished = tuple(one for one in status.rounds if one.ended is not None)
    return Activity(status.active_seconds, status.active_since, finished).ended(seen)


def shown_period(period: Period, activity: Activity) -> tuple[Period, float]:
    """Return a period for display, and its idle seconds.

    The time from its start to its end, or to the current time if it has not ended, without the idle
    seconds is the time in which something ran or waited for a slot. Of the time before the oldest
    round that is kept, all but the `Activity.forgotten` seconds was idle.
    """
    rounds = activity.rounds
    start, end = period.started, period.ended
    if start is None or not rounds:
        return period, 0.0
    if end is None and activity.since is None:  # it waits for an approval
        end = rounds[-1].ended
    until = max(start, activity.since or start) if end is None else end
    times = [(one.started, until if one.ended is None else one.ended) for one in rounds]
    active = sum(max(0.0, min(last, until) - max(first, start)) for first, last in times)
    if activity.truncated:
        active += min(activity.forgotten, max(0.0, min(rounds[0].started, until) - start))
    return Period(start, end), max(0.0, until - start - active)


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
