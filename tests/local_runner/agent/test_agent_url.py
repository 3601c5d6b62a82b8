"""Commands receive the agent's address."""

from pathlib import Path

from conducto_local.agent.files import AgentFiles, AgentState
from conducto_local.agent.runner import AgentUrl


def state(port: int) -> AgentState:
    return AgentState(1, f"http://127.0.0.1:{port}", "1.2.3", 5.0)


def test_the_address_is_that_of_the_newest_agent(tmp_path: Path) -> None:
    files = AgentFiles(tmp_path)
    url = AgentUrl(files)

    assert url.now() == ""
    files.write_state(state(1))
    assert [url.now(), url.now()] == ["http://127.0.0.1:1"] * 2
    files.write_state(state(2))
    assert url.now() == "http://127.0.0.1:2"
    files.remove_state()
    assert url.now() == ""
