"""Active time: the periods in which commands run; idle time between them does not count."""

import pytest

from conducto_core.model.records import PipelineStatus
from conducto_core.model.responses import PipelineRun
from conducto_core.model.states import State
from conducto_core.semantics import events as ev
from conducto_core.semantics.activity import Activity, active_time, stored, wall_time
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
            changes = self.driver.tree.take_changes()
            self.activity = self.activity.after(changes, self.driver.tree, now)
        return self.activity


def test_the_night_between_two_runs_does_not_count() -> None:
    clocked = Clocked()

    assert clocked.at(100, "start /a") == Activity(0, 100)
    assert clocked.at(103, "finish /a", "start /b") == Activity(0, 100)
    assert clocked.at(105, "finish /b") == Activity(5, None)
    clocked.at(105 + NIGHT, "reset /b", "start /b")
    assert clocked.at(107 + NIGHT, "finish /b") == Activity(7, None)


def test_pause_ends_the_period_when_running_commands_end() -> None:
    clocked = Clocked()
    clocked.at(0, "start /a")

    assert clocked.at(1, "pause").since == 0
    assert clocked.at(4, "finish /a") == Activity(4, None)
    clocked.at(NIGHT, "run", "start /b")
    assert clocked.at(NIGHT + 1, "finish /b") == Activity(5, None)


def test_clock_set_back_does_not_shorten_the_time() -> None:
    clocked = Clocked()
    clocked.at(100, "start /a", "finish /a", "start /b")

    assert clocked.at(50, "finish /b") == Activity(0, None)


@pytest.mark.parametrize(
    ("status", "activity"),
    [
        (PipelineStatus(), Activity()),
        (PipelineStatus(active_seconds=5), Activity(5)),
        (PipelineStatus(active_seconds=5, active_since=100), Activity(12)),
        (PipelineStatus(started=10, ended=40), Activity(30)),
        (PipelineStatus(started=10), Activity()),
    ],
    ids=["new", "settled", "open when its agent died", "older", "older and under way"],
)
def test_stored_activity_is_continued(status: PipelineStatus, activity: Activity) -> None:
    assert stored(status, seen=107) == activity


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
