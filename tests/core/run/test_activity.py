"""Active time: the periods in which commands run; idle time between them does not count."""

import pytest

from conducto_core.run.model import events as ev
from conducto_core.run.model.records import Counts, Period, PipelineStatus, Round
from conducto_core.run.model.responses import PipelineRun
from conducto_core.run.model.states import State
from conducto_core.run.rules.activity import (
    MAX_ROUNDS,
    Activity,
    active_time,
    shown_period,
    stored,
    wall_time,
)
from support.trees import Driver, serial

NIGHT = 14 * 3600


class Clocked:
    """A driven tree whose activity follows its events."""

    def __init__(self) -> None:
        self.driver = Driver(serial("a", "b"))
        self.activity = Activity()

    def at(self, now: float, *steps: str) -> Activity:
        """Do the steps (``start /a``, ``finish /a``, ``reset /``, ``pause``), all at ``now``."""
        for step in steps:
            verb, _, path = step.partition(" ")
            match verb:
                case "start":
                    self.driver.start(path)
                case "finish":
                    self.driver.finish(path)
                case "reset":
                    self.driver.send(ev.NodesReset((path,)))
                case _:
                    self.driver.send(ev.Armed() if verb == "run" else ev.Disarmed())
            tree = self.driver.tree
            self.activity = self.activity.after(tree.counts(tree.root), 0, now)
        return self.activity


def test_the_night_between_two_runs_does_not_count() -> None:
    clocked = Clocked()

    assert clocked.at(100, "start /a") == Activity(0, 100)
    assert clocked.at(103, "finish /a", "start /b") == Activity(0, 100)
    first = Round(started=100, ended=105)
    assert clocked.at(105, "finish /b") == Activity(5, None, (first,))
    begun = clocked.at(105 + NIGHT, "reset /b", "start /b")
    assert begun.rounds == (first, Round(started=105 + NIGHT))
    second = Round(started=105 + NIGHT, ended=107 + NIGHT)
    assert clocked.at(107 + NIGHT, "finish /b") == Activity(7, None, (first, second))


def test_pause_ends_the_period_when_running_commands_end() -> None:
    clocked = Clocked()
    clocked.at(0, "start /a")

    assert clocked.at(1, "pause").since == 0
    assert clocked.at(4, "finish /a").seconds == 4
    clocked.at(NIGHT, "run", "start /b")
    ended = clocked.at(NIGHT + 1, "finish /b")
    assert (ended.seconds, ended.since) == (5, None)


def test_clock_set_back_does_not_shorten_the_time() -> None:
    clocked = Clocked()
    clocked.at(100, "start /a", "finish /a", "start /b")

    assert clocked.at(50, "finish /b") == Activity(0, None, (Round(started=100, ended=100),))


@pytest.mark.parametrize(
    ("status", "activity"),
    [
        (PipelineStatus(), Activity()),
        (PipelineStatus(active_seconds=5), Activity(5)),
        (
            PipelineStatus(active_seconds=5, active_since=100, rounds=(Round(started=100),)),
            Activity(12, None, (Round(started=100, ended=107),)),
        ),
        (PipelineStatus(started=10, ended=40), Activity(30)),
        (PipelineStatus(started=10), Activity()),
    ],
    ids=["new", "settled", "open when its agent died", "older", "older and under way"],
)
def test_stored_activity_is_continued(status: PipelineStatus, activity: Activity) -> None:
    assert stored(status, seen=107) == activity


def idle_seconds(period: Period, activity: Activity) -> float:
    return shown_period(period, activity)[1]


def test_idle_time_within_a_period_is_between_rounds() -> None:
    rounds = Activity(20, 200, (Round(started=0, ended=10), Round(started=100, ended=110)))

    assert idle_seconds(Period(2, 8), rounds) == 0
    assert idle_seconds(Period(2, 105), rounds) == 90
    assert idle_seconds(Period(105), rounds) == 90  # it runs in the last round
    assert idle_seconds(Period(2), rounds) == 180
    assert idle_seconds(Period(203), rounds) == 0
    assert idle_seconds(Period(), rounds) == 0
    assert idle_seconds(Period(2), Activity()) == 0


def test_time_after_the_agent_was_killed_is_idle() -> None:
    died = Activity(10, None, (Round(started=0, ended=10),))

    assert shown_period(Period(2, 500), died) == (Period(2, 500), 490)


def test_wait_for_an_approval_does_not_count() -> None:
    queued, running, asked = Counts(queued=1), Counts(running=1), Counts(queued=1)
    begun = Activity().after(queued, 0, 100)
    assert begun.since == 100  # waiting for a slot counts
    waits = begun.after(running, 0, 103).after(asked, 1, 110)
    assert (waits.seconds, waits.since) == (10, None)
    assert shown_period(Period(100), waits) == (Period(100, 110), 0)

    decided = waits.after(asked, 1, 500).after(queued, 0, 1000)
    assert decided.rounds[-1] == Round(started=1000, continues=True)
    assert shown_period(Period(100), decided) == (Period(100), 890)
    done = decided.after(Counts(done=2), 0, 1003)
    assert (done.seconds, done.since) == (13, None)
    assert shown_period(Period(100, 1003), done) == (Period(100, 1003), 890)
    again = done.after(queued, 0, 2000)
    assert again.rounds[-1] == Round(started=2000)


def test_time_before_the_oldest_kept_round_is_idle_except_for_the_forgotten_seconds() -> None:
    starts = [100.0 * number for number in range(1, MAX_ROUNDS + 1)]
    finished = tuple(Round(started=start, ended=start + 10) for start in starts)
    activity = Activity(10 * MAX_ROUNDS + 5, None, finished)
    end = starts[-1] + 10

    assert activity.forgotten == 5
    assert idle_seconds(Period(0, end), activity) == end - activity.seconds
    assert idle_seconds(Period(0, end - 100), activity) == end - 100 - activity.seconds + 10


def test_only_the_newest_rounds_are_kept() -> None:
    activity = Activity()
    for number in range(MAX_ROUNDS + 5):
        activity = Activity(activity.seconds, number, activity.finished).ended(number + 0.5)

    assert len(activity.rounds) == MAX_ROUNDS
    assert activity.rounds[-1] == Round(started=MAX_ROUNDS + 4, ended=MAX_ROUNDS + 4.5)
    assert activity.seconds == (MAX_ROUNDS + 5) / 2


def run(**fields: object) -> PipelineRun:
    given = {"id": "p", "state": State.DONE, "settled": True, "started": 0, "ended": NIGHT}
    return PipelineRun.model_validate({**given, **fields})


def test_wall_time_is_shown_if_it_differs() -> None:
    assert active_time(run(active_seconds=5), now=NIGHT) == 5
    assert wall_time(run(active_seconds=5), now=2 * NIGHT) == NIGHT
    assert wall_time(run(active_seconds=NIGHT - 10), now=NIGHT) is None
    assert active_time(run(active_seconds=5, active_since=NIGHT, settled=False), NIGHT + 3) == 8


def test_older_agent_reports_only_start_and_end() -> None:
    assert active_time(run(), now=2 * NIGHT) == NIGHT
    assert wall_time(run(), now=2 * NIGHT) is None
    assert active_time(run(started=None), now=NIGHT) is None
