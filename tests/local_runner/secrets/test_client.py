"""A script declares secrets: through a running agent, or straight into the store."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from tests.fakes.pipelines import MemoryPipelines

from conducto.api import NotAvailableError, Secret, SecretKey, Secrets
from conducto.api import calls as target
from conducto.api.calls import Launching
from conducto_client import Endpoint
from conducto_core.api.pipelines import Pipelines
from conducto_core.secrets.port import SecretName
from conducto_local.agent.files import AgentFiles, AgentState
from conducto_local.agent.state_dir import StateDir
from conducto_local.secrets.store import CHOICE, LocalSecrets
from support.api_server import TOKEN, running_server

VALUE = "a-very-secret-value"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StateDir:
    for name in list(os.environ):
        if name.startswith(("CONDUCTO_", "__RUN_BY")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("CONDUCTO_BASE_DIR", str(tmp_path / "base"))
    monkeypatch.setenv(CHOICE, "file")
    return StateDir(tmp_path / "base", "default")


def kept(home: StateDir) -> dict[str, str]:
    return {f"{n.scope}:{n.key}": s.value for n, s in LocalSecrets(home).read().items()}


class AgentOf:
    """Lets an agent seem to run whose address is ``endpoint``."""

    def __init__(self, home: StateDir, endpoint: Endpoint, token: str = TOKEN) -> None:
        self.files = AgentFiles(home.agent)
        self.held = self.files.held_by_agent()
        self.state = AgentState(os.getpid(), endpoint.url, "1.2.3", 0.0)
        self.token = token

    def __enter__(self) -> None:
        self.held.__enter__()
        self.files.write_state(self.state)
        (self.files.directory / "token").write_text(self.token)

    def __exit__(self, *error: object) -> None:
        self.held.__exit__(None, None, None)


def test_secrets_are_stored_without_an_agent(
    home: StateDir, capfd: pytest.CaptureFixture[str]
) -> None:
    Secrets().put_user_secrets({"A": VALUE})
    Secrets().put_org_secrets({"A": "of the org"})
    Secrets().put([Secret("B", "x", mask=False)])

    assert kept(home) == {"user:A": VALUE, "org:A": "of the org", "user:B": "x"}
    assert capfd.readouterr() == ("", "")


def test_a_running_agent_stores_them(home: StateDir) -> None:
    fake = MemoryPipelines()
    with running_server(fake) as server, AgentOf(home, server.endpoint):
        Secrets().put_user_secrets({"A": VALUE, "B": VALUE})
        Secrets().delete_user_secrets(["B"])

    assert fake.secret_store.read()[SecretName("user", "A")].value == VALUE
    assert list(fake.secret_store.read()) == [SecretName("user", "A")]
    assert kept(home) == {}


@pytest.mark.parametrize("token", [TOKEN, "of another agent"])
def test_agent_without_the_feature_is_skipped(home: StateDir, token: str) -> None:
    pipelines: Pipelines = MemoryPipelines()
    with running_server(pipelines) as server:
        endpoint = server.endpoint if token != TOKEN else Endpoint("http://127.0.0.1:1", TOKEN)
        with AgentOf(home, endpoint, token):
            Secrets().put_user_secrets({"A": VALUE})

    assert kept(home) == {"user:A": VALUE}


def test_agent_errors_are_printed_and_the_script_continues(
    home: StateDir, capfd: pytest.CaptureFixture[str]
) -> None:
    fake = MemoryPipelines()
    many = {f"A{i}": "x" * (64 << 10) for i in range(17)}
    with running_server(fake) as server, AgentOf(home, server.endpoint):
        Secrets().put_user_secrets(many)

    assert "secrets were not stored: all secrets together would have" in capfd.readouterr().err
    assert fake.secret_store.read() == kept(home) == {}


def test_unwritable_store_is_reported_once(
    home: StateDir, capfd: pytest.CaptureFixture[str]
) -> None:
    home.base.write_text("in the way")

    Secrets().put_user_secrets({"A": VALUE})
    Secrets().put_user_secrets({"B": VALUE})

    said = capfd.readouterr().err
    assert said.count("conducto: secrets were not stored: ") == 1
    assert VALUE not in said


def test_values_are_read_with_their_scopes(home: StateDir) -> None:
    Secrets().put_user_secrets({"A": VALUE})
    Secrets().put_org_secrets({"A": "of the org", "B": "too"})
    Secrets().put([Secret("OPEN", "x", mask=False)])

    secrets = Secrets()

    assert secrets.get_user_secrets() == {"A": VALUE, "OPEN": "x"}
    assert secrets.get_org_secrets() == {"A": "of the org", "B": "too"}
    assert secrets.get_user_secrets(obfuscate=True) == {"A": "********", "OPEN": "x"}
    assert secrets.get_user_secrets(include_org_secrets=True) == {
        "A": VALUE,
        "B": "too",
        "OPEN": "x",
    }
    assert [(s.scope, s.key, s.mask) for s in secrets.get()] == [
        ("org", "A", True),
        ("org", "B", True),
        ("user", "A", True),
        ("user", "OPEN", False),
    ]


def test_secrets_are_deleted_by_scope(home: StateDir) -> None:
    Secrets().put_user_secrets({"A": VALUE, "B": VALUE})
    Secrets().put_org_secrets({"A": VALUE, "B": VALUE})

    Secrets().delete_user_secrets(["A", "NOT_THERE"])
    Secrets().delete_org_secrets(["A"])
    Secrets().delete([SecretKey("B", "org")])

    assert kept(home) == {"user:B": VALUE}


def test_secrets_of_a_launch_are_those_of_its_profile(home: StateDir) -> None:
    other = StateDir(home.base, "other")
    with Launching("local", "other"):
        Secrets().put_user_secrets({"A": VALUE, "B": VALUE})
        Secrets().delete_user_secrets(["B"])
        assert Secrets().get_user_secrets() == {"A": VALUE}

    assert (kept(other), kept(home)) == ({"user:A": VALUE}, {})
    assert Secrets().get_user_secrets() == {}


def test_launches_of_two_threads_do_not_mix() -> None:
    seen = []
    with Launching("cloud", "other"):
        thread = threading.Thread(target=lambda: seen.append(target.profile_of_launch()))
        thread.start()
        thread.join()
        seen.append(target.profile_of_launch())

    assert seen == [None, "other"]
    assert target.profile_of_launch() is None


@pytest.mark.parametrize("variable", ["__RUN_BY_WORKER__", "CONDUCTO_EXECUTION_ENV"])
def test_inside_a_node_nothing_is_stored_and_nothing_said(
    home: StateDir,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    variable: str,
) -> None:
    monkeypatch.setenv(variable, "1")

    Secrets().put_user_secrets({"A": VALUE})

    assert kept(home) == {}
    assert capfd.readouterr().err == ""
    with pytest.raises(NotAvailableError, match="A node finds them in its environment"):
        Secrets().get()
