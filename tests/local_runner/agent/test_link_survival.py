"""Linked agents that are copied, killed or left alone: real processes, the cloud's own code."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from conducto_client import Client, HttpTransport
from conducto_core.remote.model import LinkPolicy
from conducto_core.run.model.requests import LaunchRequest
from conducto_core.run.operations import ATTEMPTS, CONTROL, GET
from conducto_local.agent.files import AgentFiles
from conducto_local.agent.launcher import ensure_agent, stop_agent
from conducto_local.agent.state_dir import StateDir, open_state_dir
from conducto_local.remote.summaries import LinkFiles
from support.cloud.live_relay import LiveRelay, wait_until
from support.trees import form, leaf, serial

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROFILE = "tests"
#: Status of a repeated request whose first execution was interrupted.
CUT_OFF = 409
#: Seconds between the request and the end of the agent.
MOMENTS = (0.0, 0.02)


class Machine:
    """A machine with an agent.

    Attributes:
        home: The state directory of its profile.
    """

    def __init__(self, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CONDUCTO_BASE_DIR", str(base))
        self.base = base
        self.home: StateDir = open_state_dir(PROFILE)
        self._client: Client | None = None

    def start(self) -> Client:
        """Start the agent, or find it; return a client."""
        self.leave()
        self._client = Client(HttpTransport(ensure_agent(self.home)))
        return self._client

    def leave(self) -> None:
        """Close the client."""
        if self._client is not None:
            self._client.close()

    def stop(self) -> None:
        """Close the client and stop the agent."""
        self.leave()
        stop_agent(self.home)

    def kill(self) -> None:
        """End the agent without a warning."""
        files = AgentFiles(self.home.agent)
        state = files.read_state()
        assert state is not None
        os.kill(state.pid, signal.SIGKILL)
        wait_until(lambda: not files.is_running())

    @property
    def link_state(self) -> str:
        status = LinkFiles(self.home.agent).read_status()
        return "" if status is None else status.state


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    made = Machine(tmp_path / "base", monkeypatch)
    yield made
    made.stop()


@pytest.fixture
def cloud() -> Iterator[LiveRelay]:
    with LiveRelay().serving() as live:
        yield live


def launch(client: Client, *commands: str) -> str:
    """Launch a pipeline of commands, one after another, without containers."""
    tree = form(serial(*(leaf(f"n{i}", command=each) for i, each in enumerate(commands))))
    request = LaunchRequest(tree=tree, run=True, engine="process")
    return client.launch(request).pipeline.id


def settled(client: Client, pipeline: str) -> bool:
    return client.get(pipeline).settled


def attempts(cloud: LiveRelay, pipeline: str) -> list[dict[str, Any]]:
    response = cloud.call(ATTEMPTS, id=pipeline, path="/n0")
    assert response.status == 200, response.body
    found: list[dict[str, Any]] = json.loads(response.body)["attempts"]
    return found


def is_online(cloud: LiveRelay, pipeline: str) -> bool:
    return cloud.call(GET, id=pipeline).status == 200


#: In a pipeline that runs, a node that was reset runs again.
RERUN = {"action": "reset", "paths": ["/n0"]}


def test_copied_machine_takes_over_and_each_action_runs_once(
    machine: Machine, cloud: LiveRelay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker = tmp_path / "marker"
    cloud.link(PROFILE, LinkPolicy())
    client = machine.start()
    pipeline = launch(client, f"echo x >> {marker}")
    wait_until(lambda: settled(client, pipeline) and is_online(cloud, pipeline))
    shutil.copytree(machine.base, tmp_path / "copy", ignore=shutil.ignore_patterns("*.sock"))
    copy = Machine(tmp_path / "copy", monkeypatch)
    other = copy.start()
    try:
        wait_until(lambda: (machine.link_state, copy.link_state) == ("stopped", "connected"))
        response = cloud.call(CONTROL, RERUN, id=pipeline)
        assert response.status == 200, response.body
        wait_until(lambda: len(other.attempts(pipeline, "/n0")) == 2 and settled(other, pipeline))

        assert marker.read_text() == "x\nx\n"
        assert len(client.attempts(pipeline, "/n0")) == 1, "the older process does not execute it"
        assert (machine.link_state, copy.link_state) == ("stopped", "connected")
    finally:
        copy.stop()


@pytest.mark.long
def test_agent_killed_during_an_action_executes_it_once(
    machine: Machine, cloud: LiveRelay, tmp_path: Path
) -> None:
    """The client repeats the request with its key, as after a lost response.

    If the agent was killed while it executed the request, its response is an error, and the client
    looks.
    """
    marker = tmp_path / "marker"
    cloud.link(PROFILE, LinkPolicy())
    client = machine.start()
    pipeline = launch(client, f"echo x >> {marker}")
    wait_until(lambda: settled(client, pipeline) and is_online(cloud, pipeline))
    for number, moment in enumerate(MOMENTS, 2):
        sent = threading.Event()
        cloud.live.on_send = lambda _, data, sent=sent: b'"ask"' in data and sent.set()
        asking = threading.Thread(  # waits for a response that is lost
            target=lambda key=f"k{number}": cloud.call(CONTROL, RERUN, key=key, id=pipeline),
            daemon=True,
        )
        asking.start()
        assert sent.wait(30)
        time.sleep(moment)
        machine.kill()
        client = machine.start()
        wait_until(lambda: is_online(cloud, pipeline))

        repeated = cloud.call(CONTROL, RERUN, key=f"k{number}", id=pipeline)
        if repeated.status == CUT_OFF and len(attempts(cloud, pipeline)) < number:
            repeated = cloud.call(CONTROL, RERUN, id=pipeline)
        wait_until(lambda client=client: settled(client, pipeline))

        assert repeated.status in {200, CUT_OFF}, repeated.body
        assert len(attempts(cloud, pipeline)) == number
    ran = [one for one in attempts(cloud, pipeline) if one["state"] == "done"]
    assert len(ran) <= len(marker.read_text().split()) <= 1 + len(MOMENTS)


def test_deployment_in_the_middle_loses_no_change_and_no_action(
    machine: Machine, cloud: LiveRelay, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    cloud.link(PROFILE, LinkPolicy())
    client = machine.start()
    waits = f"until test -e {go}; do sleep 0.05; done"
    pipeline = launch(client, waits, *["true"] * 30)
    wait_until(lambda: is_online(cloud, pipeline))
    cloud.follow("page", pipeline)
    wait_until(lambda: bool(cloud.seen("page")))

    cloud.down = True
    cloud.close_all()
    go.touch()
    wait_until(lambda: settled(client, pipeline))
    refused = cloud.call(CONTROL, RERUN, id=pipeline)
    before = len(cloud.seen("page"))
    cloud.deploy()
    cloud.down = False
    wait_until(lambda: is_online(cloud, pipeline))
    repeated = cloud.call(CONTROL, RERUN, id=pipeline)
    wait_until(lambda: len(client.attempts(pipeline, "/n0")) == 2 and settled(client, pipeline))
    last = client.get(pipeline).seq
    wait_until(lambda: bool(cloud.seen("page")) and cloud.seen("page")[-1] == last)

    assert (refused.status, repeated.status) == (503, 200)
    assert before < last
    assert cloud.seen("page") == list(range(1, last + 1))
