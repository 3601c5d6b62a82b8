"""Time without activity is counted late rather than early, whatever the clocks do."""

from pathlib import Path

import pytest

from conducto_local.run.retention import LONGEST_ABSENCE, Clock, IdleClock

DAY = 86400.0
#: 2026, and a machine whose battery is empty.
NOW, NEVER_SET = 1.8e9, 0.0


class Machine:
    """A machine with a clock that is set and one that is not."""

    def __init__(self, path: Path) -> None:
        self.path = path / "idle.json"
        self.wall = NOW
        self.steady = 5.0
        self.start()

    def start(self) -> None:
        self.times = IdleClock(self.path, Clock(lambda: self.wall, lambda: self.steady))

    def goes_on(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds

    def idle(self, mark: float | None = 1.0) -> float:
        return self.times.count({"abc": mark})["abc"]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path)
    machine.idle()
    return machine


def test_a_pipeline_idles_as_long_as_the_agent_runs(machine: Machine) -> None:
    machine.goes_on(3 * DAY)

    assert machine.idle() == 3 * DAY


def test_activity_resets_the_idle_clock(machine: Machine) -> None:
    machine.goes_on(3 * DAY)

    assert machine.idle(mark=2.0) == 0


def test_a_pipeline_that_is_busy_does_not_idle(machine: Machine) -> None:
    for _ in range(3):
        machine.goes_on(DAY)
        assert machine.idle(mark=None) == 0
    machine.goes_on(DAY)

    assert machine.idle() == 0


@pytest.mark.parametrize("jump", [10 * 365 * DAY, -10 * 365 * DAY])
def test_a_clock_that_jumps_counts_nothing(machine: Machine, jump: float) -> None:
    machine.goes_on(DAY)
    machine.wall += jump

    idle = machine.idle()
    machine.goes_on(DAY)

    assert idle <= DAY
    assert machine.idle() == idle + DAY


def test_first_setting_of_a_clock_counts_nothing(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.wall = NEVER_SET
    machine.idle(mark=NEVER_SET)
    machine.goes_on(60)
    machine.wall = NOW

    assert machine.idle(mark=NEVER_SET) == 60


def test_the_next_agent_counts_on(machine: Machine) -> None:
    machine.goes_on(2 * DAY)
    machine.idle()
    machine.start()
    machine.goes_on(3600)

    assert machine.idle() == 2 * DAY + 3600


def test_an_absence_counts_a_day_at_most(machine: Machine) -> None:
    machine.wall += 30 * DAY
    machine.steady = 0.0
    machine.start()

    assert machine.idle() == LONGEST_ABSENCE


def test_clock_set_back_during_an_absence_counts_nothing(machine: Machine) -> None:
    machine.wall -= 30 * DAY
    machine.start()

    assert machine.idle() == 0


@pytest.mark.parametrize("text", ["", "{", "[]", '{"now": 1, "wall": 2, "pipelines": {"a": 3}}'])
def test_damaged_file_restarts_the_idle_clock(machine: Machine, text: str) -> None:
    machine.goes_on(9 * DAY)
    machine.path.write_text(text)
    machine.start()

    assert machine.idle() == 0


def test_deleted_pipelines_are_forgotten(machine: Machine) -> None:
    machine.times.count({})
    machine.goes_on(9 * DAY)

    assert machine.idle() == 0
