"""An agent is killed at its writes while a map is expanded: once, and all of its items run."""

import contextlib
import json
from base64 import b64decode
from itertools import count
from pathlib import Path

import pytest

from conducto_client import AgentUnreachableError, Client, HttpTransport
from conducto_core.run.model.requests import Action, ControlRequest, LaunchRequest
from conducto_local.agent.files import AgentFiles
from conducto_local.agent.launcher import (
    AgentStartError,
    agent_command,
    ensure_agent,
    find_agent,
    stop_agent,
)
from conducto_local.agent.state_dir import StateDir
from support import mortal_agent
from support.local import wait_for
from support.trees import form, leaf, mapped, serial

NAMES = ["a", "b", "c"]
PLAN = f"""printf '%s' '{json.dumps(NAMES)}' >"$CONDUCTO_RUN_DIR/result" """


def launched(home: StateDir) -> str:
    """Return a pipeline that was launched and does not run, without an agent."""
    tree = serial(leaf("plan", command=PLAN), mapped("m"), leaf("use", results=["/m"]))
    tree["children"][1][1]["map"] = {"missing": "none"}
    tree["retry_lost"] = 5
    request = LaunchRequest(tree=form(tree), engine="process")
    with Client(HttpTransport(ensure_agent(home))) as client:
        pipeline = client.launch(request).pipeline.id
    stop_agent(home)
    return pipeline


class Machine:
    """A home with a pipeline, and its agents, of which some die."""

    def __init__(self, base: Path) -> None:
        self.home = StateDir(base / "home", "maps")
        self.mark = base / "died"
        self.pipeline = launched(self.home)

    def dies_at(self, write: int) -> bool:
        """Run the pipeline with an agent that dies before a write; return whether it did."""
        mortal = [str(Path(mortal_agent.__file__)), str(write), str(self.mark)]
        command = agent_command(self.home)
        with contextlib.suppress(AgentStartError, AgentUnreachableError):  # it dies too early
            endpoint = ensure_agent(self.home, command=[*command[:2], *mortal, *command[2:]])
            with Client(HttpTransport(endpoint)) as client:
                client.control(self.pipeline, ControlRequest(action=Action.RUN))
        wait_for(lambda: self.mark.exists() or self.ended(), 60)
        died = self.mark.exists()
        if died:
            files = AgentFiles(self.home.agent)
            wait_for(lambda: not files.is_running(), 60)
        return died

    def ended(self) -> bool:
        endpoint = find_agent(self.home)
        if endpoint is None:
            return False
        with contextlib.suppress(AgentUnreachableError), Client(HttpTransport(endpoint)) as client:
            return client.get(self.pipeline).settled and bool(client.get(self.pipeline).ended)
        return False

    def check(self) -> None:
        """Check after the last agent that the map was expanded once."""
        with Client(HttpTransport(ensure_agent(self.home))) as client:
            if not client.get(self.pipeline).pipeline.armed:
                client.control(self.pipeline, ControlRequest(action=Action.RUN))
            wait_for(self.ended, 60)
            states = {node.path: str(node.state) for node in client.tree(self.pipeline)}
            attempts = client.attempts(self.pipeline, "/m/Generate")
            output = b64decode(client.log(self.pipeline, "/m/Generate").data)
        items = {f"/m/Execute/{name}": "done" for name in NAMES}
        rest = ("/", "/plan", "/m", "/m/Generate", "/m/Execute", "/use")
        assert states == {**dict.fromkeys(rest, "done"), **items}
        assert [(one.number, str(one.state)) for one in attempts] == [(1, "done")]
        assert output == b"3 items\n"
        stop_agent(self.home)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_death_at_any_write_expands_once(tmp_path: Path) -> None:
    for write in count(1):
        folder = tmp_path / str(write)
        folder.mkdir()
        machine = Machine(folder)
        died = machine.dies_at(write)
        machine.check()
        if not died:
            break
    assert write > 8
