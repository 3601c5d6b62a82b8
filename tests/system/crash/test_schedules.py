"""An agent is killed at its writes while it fires a schedule: one pipeline for each due time."""

import contextlib
import shutil
import sys
import time
from itertools import count
from pathlib import Path

import pytest

from conducto_client import AgentUnreachableError, Client, HttpTransport
from conducto_core.run.model.params import NoParams
from conducto_core.run.model.requests import LaunchRequest
from conducto_core.schedules import model as s
from conducto_core.schedules.operations import CREATE_SCHEDULE, LIST_FIRINGS
from conducto_core.schedules.rules.schedules import started
from conducto_local.agent.files import AgentFiles
from conducto_local.agent.launcher import (
    AgentStartError,
    agent_command,
    ensure_agent,
    find_agent,
    stop_agent,
)
from conducto_local.agent.state_dir import StateDir
from conducto_local.store.sqlite import SqliteStore
from support import mortal_agent
from support.local import wait_for
from support.trees import form, leaf, serial

NAME = "hourly"
SCRIPT = """import conducto as co


def main() -> co.Serial:
    root = co.Serial()
    root["a"] = co.Exec("true")
    return root


co.main(default=main)
"""
#: Due times that the schedule has missed when the first agent starts.
MISSED = 2


def prepared(base: Path, kind: str) -> StateDir:
    """Return a home with a schedule that is due, and no agent."""
    home = StateDir(base / "home", "schedules")
    with Client(HttpTransport(ensure_agent(home))) as client:
        minute = int(time.time() / 60 - 20) % 60  # not due while the test runs
        client.call(
            CREATE_SCHEDULE,
            NoParams(),
            s.NewSchedule(
                name=NAME,
                cron=f"{minute} * * * *",
                what=source(client, base, kind),
                overlap=s.Overlap.ALLOW,
                catch_up=s.CatchUp.ALL,
            ),
        )
    stop_agent(home)
    store = SqliteStore.open(home.store)
    made = store.schedules.get("", NAME)
    assert made is not None
    rewound = started(made, time.time() - 3600 * MISSED)
    assert store.schedules.change("", made, rewound) is not None
    store.close()
    return home


def source(client: Client, base: Path, kind: str) -> s.TemplateSource | s.ScriptSource:
    if kind == "script":
        (base / "nightly.py").write_text(SCRIPT)
        command = (sys.executable, "nightly.py", "--engine=process")
        return s.ScriptSource(kind="script", command=command, directory=str(base))
    request = LaunchRequest(tree=form(serial(leaf("a", command="true"))), engine="process")
    pipeline = client.launch(request).pipeline.id
    return s.TemplateSource(kind="template", pipeline=pipeline)


def firings(client: Client) -> tuple[s.Firing, ...]:
    return client.call(LIST_FIRINGS, s.FiringsParams(name=NAME)).firings


class Machine:
    """A home and its agents, of which some die."""

    def __init__(self, home: StateDir) -> None:
        self.home = home
        self.mark = home.base.parent / "died"

    def dies_at(self, write: int) -> bool:
        """Let an agent run that dies before a write; return whether it made so many writes."""
        self.mark.unlink(missing_ok=True)
        mortal = [str(Path(mortal_agent.__file__)), str(write), str(self.mark)]
        command = agent_command(self.home)
        with contextlib.suppress(AgentStartError):  # it dies too early
            ensure_agent(self.home, command=[*command[:2], *mortal, *command[2:]])
        wait_for(lambda: bool(self.dead()) or self.ended(), 60)
        if not self.dead():
            stop_agent(self.home)
            return False
        files = AgentFiles(self.home.agent)
        # The script of the schedule may have started another agent.
        wait_for(lambda: not files.is_running() or str(files.holder()) != self.dead(), 60)
        return True

    def dead(self) -> str:
        """Return the process id of the agent that died."""
        return self.mark.read_text() if self.mark.exists() else ""

    def ended(self) -> bool:
        """Return whether all pipelines have ended; start no agent."""
        endpoint = find_agent(self.home)
        if endpoint is None:
            return False
        try:
            with Client(HttpTransport(endpoint)) as client:
                found = firings(client)
        except AgentUnreachableError:
            return False
        return len(found) == MISSED and all(one.outcome is not None for one in found)

    def check(self) -> None:
        """Check after the last agent that each due time has one pipeline."""
        with Client(HttpTransport(ensure_agent(self.home))) as client:
            wait_for(self.ended, 60)
            found = firings(client)
            pipelines = client.list(tag=f"conducto/schedule/{NAME}")
        launched = sorted(one.pipeline.id for one in pipelines)
        assert launched == sorted(str(one.pipeline) for one in found)
        assert len(set(launched)) == MISSED
        stop_agent(self.home)


@pytest.fixture
def machine(tmp_path: Path, request: pytest.FixtureRequest):
    made = Machine(prepared(tmp_path, request.param))
    yield made
    stop_agent(made.home)


@pytest.mark.parametrize("machine", ["template"], indirect=True)
def test_agents_that_die_one_after_the_other_launch_once(machine: Machine) -> None:
    deaths = [machine.dies_at(write) for write in (2, 3, 4)]
    machine.check()

    assert all(deaths)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("machine", ["template", "script"], indirect=True)
def test_death_at_any_write_leaves_one_pipeline_for_each_due_time(machine: Machine) -> None:
    before = machine.home.base.with_name("before")
    shutil.copytree(machine.home.base, before, symlinks=True)
    for write in count(1):
        if not machine.dies_at(write):
            break
        machine.check()
        shutil.rmtree(machine.home.base)
        shutil.copytree(before, machine.home.base, symlinks=True)
    assert write > 10  # a claim, two launches and their ends
