"""Linking a machine: its token, its policy, and the service that starts the agent."""

import json
import os
import plistlib
import stat
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from conducto.errors import UsageError
from conducto_cli.main import main
from conducto_cli.remote import machine_link
from conducto_cli.remote.service import UserService, launchd_plist, systemd_unit
from conducto_cli.target import account as cloud_account
from conducto_cli.target.account import SignedInAccount
from conducto_core.api.operation import LinkClass
from conducto_local.agent.files import AgentFiles
from conducto_local.agent.state_dir import open_state_dir
from conducto_local.remote.policy import config_file, read_settings
from conducto_local.remote.summaries import LinkFiles, LinkStatus

Output = pytest.CaptureFixture[str]


class Installation:
    """The operations of an installation that linking needs.

    Attributes:
        tokens: ``{id: name}`` of valid tokens.
        forgotten: Ids of agents that were removed from the lists.
    """

    def __init__(self) -> None:
        self.tokens: dict[str, str] = {}
        self.forgotten: list[str] = []
        self.permissions: list[object] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def _reply(self, document: object) -> None:
                data = json.dumps(document).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_GET(self) -> None:
                self._reply(outer.read(self.path.partition("?")[0].rpartition("/")[2]))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self._reply(outer.create(json.loads(body)))

            def do_DELETE(self) -> None:
                self._reply(outer.delete(*self.path.split("/")[-2:]))

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def read(self, name: str) -> object:
        """Respond to a GET."""
        if name == "whoami":
            who = {"org": "acme", "user": "ada", "permissions": ["agent"], "plan": "free"}
            return {**who, "version": "1.0"}
        if name == "agent":
            status = {"pid": 1, "url": self.url, "version": "1.0", "started": 1.0}
            return {**status, "socket": "wss://live.invalid/prod"}
        return {"tokens": [self._token(one, name) for one, name in self.tokens.items()]}

    def create(self, request: dict[str, object]) -> object:
        """Create a token."""
        one = f"{len(self.tokens) + len(self.permissions):016x}"
        self.tokens[one] = str(request["name"])
        self.permissions.append(request["permissions"])
        return {"token": f"cdo_agent_{one}", "info": self._token(one, self.tokens[one])}

    def delete(self, kind: str, one: str) -> object:
        """Revoke a token, or forget an agent."""
        if kind == "agents":
            self.forgotten.append(one)
            return {"id": one}
        del self.tokens[one]
        return {"revoked": 1}

    def _token(self, one: str, name: str) -> dict[str, object]:
        return {
            "id": one,
            "user": "ada",
            "name": name,
            "kind": "token",
            "permissions": ["agent"],
            "created": 1.0,
            "expires": 2e9,
            "current": False,
        }

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("CONDUCTO_URL", "CONDUCTO_TOKEN", "CONDUCTO_PROFILE", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CONDUCTO_BASE_DIR", str(tmp_path / "conducto"))
    return tmp_path


@pytest.fixture
def installation(home: Path) -> Iterator[Installation]:
    made = Installation()
    cloud_account.save_login(SignedInAccount(made.url, "cdo_me", "acme", "ada"))
    yield made
    made.close()


def _files() -> LinkFiles:
    return LinkFiles(open_state_dir(None).agent)


def test_link_stores_a_token_for_agents_only(installation: Installation) -> None:
    link = machine_link.link(None, allow=None, who=None, new=False)

    assert installation.permissions == [["agent"]]
    assert next(iter(installation.tokens.values())).startswith(f"agent {link.agent} on ")
    assert read_settings("default") == link
    assert (link.socket, link.user) == ("wss://live.invalid/prod", "ada")
    assert link.policy.allow == (LinkClass.READ, LinkClass.CONTROL)
    assert link.policy.who == "me"
    assert link.token not in repr(link)
    assert stat.S_IMODE(config_file("default").stat().st_mode) == 0o600


def test_policy_changes_without_a_new_token(installation: Installation) -> None:
    first = machine_link.link(None, allow=None, who=None, new=False)
    _files().write_status(LinkStatus("connected", 1.0))
    second = machine_link.link(None, allow="author, control,read", who="org", new=False)
    third = machine_link.link(None, allow="read", who=None, new=False)

    assert (second.token, second.agent) == (first.token, first.agent)
    assert second.policy.allow == (LinkClass.READ, LinkClass.CONTROL, LinkClass.AUTHOR)
    assert (third.policy.allow, third.policy.who) == ((LinkClass.READ,), "org")


def test_rejected_link_gets_a_new_token_and_keeps_its_identity(
    installation: Installation,
) -> None:
    first = machine_link.link(None, allow=None, who=None, new=False)
    before = _files().next_epoch()
    _files().write_status(LinkStatus("rejected", 1.0, "the token was revoked"))
    second = machine_link.link(None, allow=None, who=None, new=False)
    copy = machine_link.link(None, allow=None, who=None, new=True)

    assert second.agent == first.agent
    assert second.token != first.token
    assert _files().next_epoch() > before + 1000
    assert copy.agent != first.agent
    assert len(installation.tokens) == 2  # of the two identities; the first one is revoked


def test_unlink_revokes_the_token_and_forgets_the_agent(installation: Installation) -> None:
    link = machine_link.link(None, allow=None, who=None, new=False)

    note = machine_link.unlink(None)

    assert note == f"not linked to {installation.url} any more"
    assert (installation.tokens, installation.forgotten) == ({}, [link.agent])
    assert read_settings("default") is None
    assert cloud_account.account_of() is not None
    assert machine_link.unlink(None) is None


def test_unlink_without_the_installation_names_the_token(installation: Installation) -> None:
    machine_link.link(None, allow=None, who=None, new=False)
    installation.close()

    note = machine_link.unlink(None)

    assert note is not None
    assert "conducto tokens revoke" in note
    assert read_settings("default") is None


@pytest.mark.parametrize(
    ("allow", "said"),
    [
        ("control", "lacks 'read'"),
        ("read,secrets", "'secrets' cannot be allowed; choose from read, control, author, debug"),
        ("all", "'all' cannot be allowed"),
    ],
)
def test_policy_that_is_not_valid_is_rejected(
    installation: Installation, allow: str, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        machine_link.link(None, allow=allow, who=None, new=False)

    assert not installation.tokens


def test_invalid_section_is_reported_with_the_remedy(home: Path, capsys: Output) -> None:
    config_file("default").parent.mkdir(parents=True)
    config_file("default").write_text("[link]\nagent = abcd2345\n")

    code = main(["agent", "status"])

    assert code == 2
    assert "[link] lacks url, socket, org, user, token" in capsys.readouterr().err


def test_status_without_an_agent_shows_the_link(installation: Installation, capsys: Output) -> None:
    machine_link.link(None, allow=None, who=None, new=False)

    code = main(["agent", "status"])
    said = capsys.readouterr().out

    assert code == 1
    assert "start it with: conducto agent start" in said
    assert "allowed through the link: read, control, for ada only" in said
    assert "cdo_" not in said


def test_state_of_an_agent_that_was_killed_is_not_shown(
    installation: Installation, capsys: Output
) -> None:
    machine_link.link(None, allow=None, who=None, new=False)
    files = AgentFiles(open_state_dir(None).agent)
    _files().write_status(LinkStatus("connected", 5.0, pid=1))
    with files.held_by_agent():
        killed = machine_link.status_of(None)
        _files().write_status(LinkStatus("connected", 5.0, pid=os.getpid()))
        unchanged = machine_link.wait_until_connected(None, 0.0)

    assert killed is None
    assert unchanged is not None
    assert unchanged.since == 5.0


def test_link_needs_a_login(home: Path, capsys: Output) -> None:
    assert main(["agent", "link"]) == 2
    assert "conducto login" in capsys.readouterr().err


# ---- the service ---------------------------------------------------------------------------------


def test_unit_restarts_a_crashed_agent_and_quotes_its_words() -> None:
    unit = systemd_unit(["/opt/a b/python", "-c", 'x = "50%"; $HOME'], {"HTTPS_PROXY": "http://p"})

    assert 'ExecStart="/opt/a b/python" "-c" "x = \\"50%%\\"; $$HOME"' in unit
    assert 'Environment="HTTPS_PROXY=http://p"' in unit
    assert "Restart=on-failure" in unit
    assert "WantedBy=default.target" in unit


def test_property_list_names_the_program() -> None:
    found = plistlib.loads(launchd_plist("conducto", ["python", "-m", "x"], {"PATH": "/bin"}))

    assert found["ProgramArguments"] == ["python", "-m", "x"]
    assert found["EnvironmentVariables"] == {"PATH": "/bin"}
    assert found["KeepAlive"] == {"SuccessfulExit": False}


def test_enable_and_disable_use_the_services_of_the_user(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = home / "calls"
    for tool in ("systemctl", "loginctl"):
        script = home / "bin" / tool
        script.parent.mkdir(exist_ok=True)
        script.write_text(f'#!/bin/sh\necho {tool} "$@" >>{calls}\n')
        script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{home}/bin:/bin:/usr/bin")
    monkeypatch.setenv("HTTPS_PROXY", "http://ada:secret@proxy")
    service = UserService(open_state_dir(None), platform="linux")

    said = service.enable(start=True)
    text = service.path.read_text()
    mode = stat.S_IMODE(service.path.stat().st_mode)
    removed = service.disable()

    assert "before you log in" in said[-1]
    assert f"CONDUCTO_BASE_DIR={home}/conducto" in text
    assert "HTTPS_PROXY=http://ada:secret@proxy" in text
    assert mode == 0o600
    assert removed
    assert not service.path.exists()
    assert not service.disable()
    assert calls.read_text().splitlines() == [
        "systemctl --user daemon-reload",
        "systemctl --user enable --now conducto-agent-default.service",
        "loginctl enable-linger",
        "systemctl --user disable conducto-agent-default.service",
    ]


def test_machine_without_services_says_how_to_start_the_agent(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(home))
    service = UserService(open_state_dir(None), platform="linux")

    with pytest.raises(UsageError, match="has no systemctl"):
        service.enable(start=False)

    assert not service.path.exists()
