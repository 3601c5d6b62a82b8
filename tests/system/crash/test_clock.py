"""The time of day is set while a pipeline runs: by hand, by NTP, by a machine that wakes."""

from pathlib import Path

import pytest

from conducto_client import Client, HttpTransport
from conducto_core.run.model.requests import LaunchRequest
from conducto_core.run.model.states import State
from conducto_core.schedules.model import NewSchedule, TemplateSource
from conducto_local.agent.launcher import ensure_agent, stop_agent
from conducto_local.agent.state_dir import StateDir
from support.local import wait_for
from support.trees import form, leaf, serial

LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
HOUR = 3600


@pytest.fixture
def clock(tmp_path, monkeypatch):
    """Sets the time of day of processes that begin from now on: ``clock("-2h")``."""
    if LIBRARY is None:
        pytest.skip("faketime is not installed")
    file, new = tmp_path / "clock", tmp_path / "clock.new"

    def set_to(time: str) -> None:
        new.write_text(time)
        new.replace(file)  # a reader of a half-written file would end with an error

    set_to("+0")
    monkeypatch.setenv("LD_PRELOAD", str(LIBRARY))
    monkeypatch.setenv("FAKETIME_TIMESTAMP_FILE", str(file))
    monkeypatch.setenv("FAKETIME_NO_CACHE", "1")
    monkeypatch.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
    return set_to


@pytest.fixture
def client(clock, tmp_path):
    home = StateDir(tmp_path / "home", "clocks")
    with Client(HttpTransport(ensure_agent(home))) as client:
        yield client
    stop_agent(home)


def tree_states(client, pipeline):
    return {node.path: str(node.state) for node in client.tree(pipeline)}


@pytest.mark.parametrize("jump", ["-2h", "+1d"])
def test_a_clock_that_is_set_ends_nothing_and_lengthens_nothing(client, clock, jump):
    group = serial(
        leaf("a", command="sleep 1"), leaf("b", command="sleep 1"), name="g", max_time=30
    )
    request = LaunchRequest(tree=form(serial(group)), run=True, engine="process")
    pipeline = client.launch(request).pipeline.id

    wait_for(lambda: tree_states(client, pipeline)["/g/a"] == "running")
    clock(jump)
    wait_for(lambda: client.get(pipeline).settled)

    assert client.get(pipeline).state is State.DONE
    for path in ("/g/a", "/g/b"):
        (attempt,) = client.attempts(pipeline, path)
        assert 1 <= attempt.ended - attempt.started < HOUR
    first, second = (client.attempts(pipeline, path)[0].started for path in ("/g/a", "/g/b"))
    assert abs(second - first) > HOUR  # the agent did see the jump


def test_clock_that_is_ahead_for_a_moment_silences_no_schedule(client, clock):
    pipeline = client.launch(LaunchRequest(tree=form(serial(leaf("a"))), engine="process"))
    what = TemplateSource(kind="template", pipeline=pipeline.pipeline.id)
    yearly = client.create_schedule(NewSchedule(name="yearly", cron="@yearly", what=what))
    client.create_schedule(NewSchedule(name="other", cron="@yearly", what=what))
    planned = yearly.schedule.next

    clock("+400d")
    client.pause_schedule("other")  # the agent looks at its schedules
    wait_for(lambda: client.schedule("yearly").schedule.next > planned)
    clock("+0")
    client.resume_schedule("other")

    wait_for(lambda: client.schedule("yearly").schedule.next == planned)
