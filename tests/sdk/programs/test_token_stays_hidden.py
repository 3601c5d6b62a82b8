"""The token is in no process list, environment, log or address: proved on a real agent."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import conducto as co
from conducto.tree.launch_form import to_launch_form
from conducto_client import ApiError, Client, Endpoint, HttpTransport
from conducto_core.run.model.params import LogFileParams
from conducto_core.run.model.requests import LaunchRequest
from conducto_local.agent.files import AgentFiles
from conducto_local.agent.launcher import agent_command, ensure_agent, stop_agent
from conducto_local.agent.state_dir import StateDir, open_state_dir


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StateDir]:
    monkeypatch.setenv("CONDUCTO_BASE_DIR", str(tmp_path / "base"))
    made = open_state_dir("tests")
    yield made
    pid = AgentFiles(made.agent).holder()
    stop_agent(made)
    if pid is not None:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)


def run_something(client: Client) -> str:
    """Let a command print all that it finds around it; return what it printed."""
    root = co.Serial(image="debian")
    root["a"] = co.Exec("env; cat /proc/*/cmdline | tr '\\0' ' '")
    request = LaunchRequest(tree=to_launch_form(root), engine="process", run=True)
    pipeline = client.launch(request).pipeline.id
    events = client.events(pipeline)
    next(batch for batch in events if batch.pipeline.settled)
    events.close()

    query = LogFileParams(id=pipeline, path="/a")
    return b"".join(client.download_log(query)).decode(errors="replace")


def test_a_token_is_where_it_belongs_and_nowhere_else(home: StateDir) -> None:
    endpoint = ensure_agent(home, command=agent_command(home), warn=print)
    files = AgentFiles(home.agent)
    with Client(HttpTransport(endpoint)) as client:
        url = client.login().model_dump_json()
        printed = run_something(client)
    with (
        Client(HttpTransport(Endpoint(endpoint.url, "wrong-token-of-the-test"))) as stranger,
        pytest.raises(ApiError, match="neither a valid token"),
    ):
        stranger.status()
    process = Path("/proc") / str(files.holder())
    told = {
        "address": url,
        "what a command sees": printed,
        "command line": (process / "cmdline").read_text(),
        "environment": (process / "environ").read_text(errors="replace"),
        **{
            str(file.relative_to(home.base)): file.read_bytes().decode(errors="replace")
            for file in home.base.rglob("*")
            if file.is_file() and file.name != "token"
        },
    }

    holding = [where for where, text in told.items() if endpoint.token in text]

    assert holding == []
    assert any(where.endswith(".log") for where in told)
    assert not any("wrong-token-of-the-test" in text for text in told.values())
    assert (home.agent / "token").stat().st_mode & 0o777 == 0o600
