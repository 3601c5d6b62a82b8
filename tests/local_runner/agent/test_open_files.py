"""An agent that may open few files: commands wait, clients are answered, the log stays small."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from conducto_client import Client, HttpTransport
from conducto_core.run.model.requests import LaunchRequest
from conducto_core.run.model.states import State
from conducto_local.agent.files import AgentFiles
from conducto_local.agent.launcher import agent_command, ensure_agent, stop_agent
from conducto_local.agent.state_dir import StateDir
from support.local import wait_for
from support.trees import form, leaf, parallel

FILES = 256
COMMANDS = 56


@pytest.fixture
def home(tmp_path: Path) -> Iterator[StateDir]:
    home = StateDir(tmp_path / "base", "files")
    limited = ["sh", "-c", f'ulimit -n {FILES} && exec "$@"', "sh", *agent_command(home)]
    ensure_agent(home, command=limited)
    yield home
    stop_agent(home)


def open_connections(home: StateDir, number: int) -> list[socket.socket]:
    where = urlsplit(ensure_agent(home).url)
    return [socket.create_connection((where.hostname, where.port)) for _ in range(number)]


def test_commands_wait_for_open_files_and_spend_no_retries(home: StateDir) -> None:
    children = [leaf(f"n{number}", command="sleep 0.3", cpu=0.01) for number in range(COMMANDS)]
    request = LaunchRequest(tree=form(parallel(*children)), run=True, engine="process")
    held = open_connections(home, FILES)
    with Client(HttpTransport(ensure_agent(home), timeout=20)) as client:
        pipeline = client.launch(request).pipeline.id
        wait_for(lambda: client.get(pipeline).settled, 60)
        summary = client.get(pipeline)
        attempts = client.attempts(pipeline, "/n0")
    for connection in held:
        connection.close()

    assert (summary.state, summary.counts.done) == (State.DONE, COMMANDS)
    assert len(attempts) == 1
    assert "Traceback" not in AgentFiles(home.agent).log.read_text()


def test_status_of_an_agent_that_does_not_respond_is_reported_soon(home: StateDir) -> None:
    state = AgentFiles(home.agent).read_state()
    assert state is not None
    os.kill(state.pid, signal.SIGSTOP)
    variables = {"CONDUCTO_BASE_DIR": str(home.base), "CONDUCTO_PROFILE": home.profile}
    command = [str(Path(sys.executable).with_name("conducto")), "agent", "status"]
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=45,  # three attempts of 5 seconds
        )
    finally:
        os.kill(state.pid, signal.SIGCONT)

    assert done.returncode == 1
    assert "does not answer (timed out)" in done.stderr
