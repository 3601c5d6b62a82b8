"""Finding, starting and stopping the agent process: real processes, fake pipelines."""

import contextlib
import os
import select
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from conducto_cli.app.parser import build_parser
from conducto_cli.target import account as cloud_account
from conducto_cli.target import target
from conducto_cli.target.account import SignedInAccount
from conducto_client import Client, Endpoint, HttpTransport
from conducto_local.agent.files import AgentFiles, AgentState, code_mark, own_groups
from conducto_local.agent.launcher import (
    AgentStartError,
    agent_command,
    ensure_agent,
    find_agent,
    stop_agent,
)
from conducto_local.agent.state_dir import StateDir, open_state_dir
from support.local import wait_for

FAKE_AGENT = Path(__file__).parents[2] / "support" / "fake_agent.py"
COMMAND = [sys.executable, str(FAKE_AGENT), "agent", "run"]


class Setting:
    """A home of its own and the agents that were started in it."""

    def __init__(self, home: StateDir, notes: Path) -> None:
        self.home = home
        self.files = AgentFiles(home.agent)
        self._notes = notes
        self.warnings: list[str] = []

    def ensure(self, *, launching: bool = False) -> Endpoint:
        return ensure_agent(
            self.home, command=COMMAND, warn=self.warnings.append, launching=launching
        )

    def notes(self) -> list[str]:
        return self._notes.read_text().splitlines() if self._notes.exists() else []

    def opened(self) -> list[int]:
        return [int(line.split()[1]) for line in self.notes() if line.startswith("opened")]

    def state(self) -> AgentState:
        state = self.files.read_state()
        assert state is not None
        return state

    def pretend_version(self, version: str) -> None:
        self.files.write_state(replace(self.state(), version=version))

    def pretend_code(self, mark: str) -> None:
        self.files.write_state(replace(self.state(), code=mark))

    def kill(self) -> int:
        pid = self.state().pid
        os.kill(pid, signal.SIGKILL)
        while self.files.is_running():
            time.sleep(0.005)
        return pid


@pytest.fixture
def setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Setting]:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    monkeypatch.setenv("CONDUCTO_BASE_DIR", str(tmp_path / "base"))
    monkeypatch.setenv("FAKE_AGENT_NOTES", str(tmp_path / "notes"))
    made = Setting(open_state_dir("tests"), tmp_path / "notes")
    yield made
    stop_agent(made.home)
    for pid in made.opened():
        with contextlib.suppress(ChildProcessError):  # not all are children of this process
            os.waitpid(pid, 0)


def status_pid(endpoint: Endpoint) -> int:
    with Client(HttpTransport(endpoint)) as client:
        return client.status().pid


def test_an_agent_is_started_and_answers(setting: Setting) -> None:
    endpoint = setting.ensure()

    assert status_pid(endpoint) == setting.state().pid
    assert setting.opened() == [setting.state().pid]
    assert setting.notes() == [f"opened {setting.state().pid} tests"]


def test_a_living_agent_is_found_again(setting: Setting) -> None:
    first = setting.ensure()

    second = setting.ensure()

    assert second == first == find_agent(setting.home)
    assert len(setting.opened()) == 1


def test_many_launches_at_once_start_one_agent(setting: Setting) -> None:
    with ThreadPoolExecutor(6) as pool:
        endpoints = list(pool.map(lambda _: setting.ensure(), range(6)))

    assert len(set(endpoints)) == 1
    assert len(setting.opened()) == 1


def test_two_programs_at_once_start_one_agent(setting: Setting) -> None:
    program = (
        "import sys; from conducto_local.agent.state_dir import open_state_dir; "
        "from conducto_local.agent.launcher import ensure_agent; "
        "print(ensure_agent(open_state_dir('tests'), command=sys.argv[1:]).url)"
    )
    launches = [
        subprocess.Popen([sys.executable, "-c", program, *COMMAND], stdout=subprocess.PIPE)
        for _ in range(2)
    ]

    urls = {launch.communicate(timeout=30)[0] for launch in launches}

    assert urls == {f"{setting.state().url}\n".encode()}
    assert len(setting.opened()) == 1


def test_after_a_kill_a_new_agent_is_started(setting: Setting) -> None:
    setting.ensure()
    killed = setting.kill()

    endpoint = setting.ensure()

    assert find_agent(setting.home) == endpoint
    assert setting.opened() == [killed, status_pid(endpoint)]


def test_the_token_goes_to_no_program_that_took_the_port(setting: Setting) -> None:
    port = int(setting.ensure().url.rpartition(":")[2])
    setting.kill()

    with socket.create_server(("127.0.0.1", port)) as stranger:
        endpoint = setting.ensure()
        visitors, _, _ = select.select([stranger], [], [], 0)

    assert visitors == []
    assert not endpoint.url.endswith(f":{port}")


def test_stopped_agent_shuts_down_cleanly(setting: Setting) -> None:
    setting.ensure()
    pid = setting.state().pid

    stopped = stop_agent(setting.home)

    assert stopped
    assert find_agent(setting.home) is None
    assert setting.files.read_state() is None
    assert setting.notes()[-1] == f"closed {pid}"


@pytest.mark.parametrize("is_replaced", [False, True])
def test_agent_whose_directory_was_removed_stops(setting: Setting, is_replaced: bool) -> None:
    setting.ensure()
    first = setting.state().pid
    shutil.rmtree(setting.home.root)
    if is_replaced:
        setting.home.make()
        setting.ensure()

    wait_for(lambda: os.waitpid(first, os.WNOHANG)[0] == first, 30)
    assert setting.files.is_running() == is_replaced
    assert not is_replaced or setting.state().pid != first


def test_stopping_without_an_agent_is_reported(setting: Setting) -> None:
    assert stop_agent(setting.home) is False


def test_sigterm_is_an_orderly_stop(setting: Setting) -> None:
    setting.ensure()
    pid = setting.state().pid

    os.kill(pid, signal.SIGTERM)
    _, status = os.waitpid(pid, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert setting.notes()[-1] == f"closed {pid}"


def test_an_agent_that_refuses_the_token_is_stopped_by_a_signal(setting: Setting) -> None:
    setting.ensure()
    pid = setting.state().pid
    (setting.home.agent / "token").write_text("another")

    with pytest.raises(AgentStartError, match="rejected the token with status 401"):
        setting.ensure()
    stopped = stop_agent(setting.home)

    assert stopped
    assert setting.notes()[-1] == f"closed {pid}"


def test_a_damaged_token_of_a_running_agent_is_named_with_the_remedy(setting: Setting) -> None:
    setting.ensure()
    (setting.home.agent / "token").write_bytes(b"\xff\xfe")

    with pytest.raises(AgentStartError, match=r"token, is missing or damaged.*conducto agent stop"):
        setting.ensure()
    assert stop_agent(setting.home)
    setting.ensure()

    assert len(setting.opened()) == 2


def test_agent_is_independent_of_the_launching_process(setting: Setting) -> None:
    setting.ensure()
    process = Path("/proc") / str(setting.state().pid)

    assert os.getsid(setting.state().pid) == setting.state().pid
    assert (process / "cwd").readlink() == Path("/")
    assert (process / "fd/0").readlink() == Path(os.devnull)
    assert (process / "fd/1").readlink() == setting.files.log
    assert (process / "fd/2").readlink() == setting.files.log


def test_files_of_the_agent_are_private(setting: Setting) -> None:
    setting.ensure()

    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in setting.home.agent.iterdir()}

    assert stat.S_IMODE(setting.home.agent.stat().st_mode) == 0o700
    assert set(modes.values()) == {0o600}
    assert {"agent.json", "agent.log", "token", "agent.lock", "start.lock"} <= set(modes)


def test_the_token_is_not_among_the_process_arguments(setting: Setting) -> None:
    endpoint = setting.ensure()
    process = Path("/proc") / str(setting.state().pid)

    seen = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()

    assert endpoint.token.encode() not in seen
    assert endpoint.token not in setting.files.log.read_text()
    assert len(endpoint.token) >= 43


def test_agent_that_fails_to_start_is_reported_with_its_last_lines(setting: Setting) -> None:
    dying = [sys.executable, "-c", "import sys; print('no luck'); sys.exit(3)"]

    with pytest.raises(AgentStartError, match="ended with code 3") as caught:
        ensure_agent(setting.home, command=dying)
    assert str(setting.files.log) in str(caught.value)
    assert str(caught.value).endswith("ends:\n  no luck")


def test_runner_that_cannot_open_is_reported(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_AGENT_BROKEN", "1")

    with pytest.raises(AgentStartError, match="RuntimeError: the runner is broken"):
        setting.ensure()
    assert find_agent(setting.home) is None


@pytest.mark.parametrize("name", ["CONDUCTO_MAX_SNAPSHOTS", "CONDUCTO_AGENT_IDLE_HOURS"])
def test_invalid_number_in_a_setting_is_reported_in_a_line(
    setting: Setting, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "many")

    with pytest.raises(AgentStartError, match=f"{name} must be a number .*, got 'many'") as caught:
        ensure_agent(setting.home, command=agent_command(setting.home))
    assert "Traceback" not in str(caught.value)


@pytest.mark.parametrize(("word", "allowed"), [("on", True), ("off", False)])
def test_shells_in_pages_can_be_disabled(
    setting: Setting, monkeypatch: pytest.MonkeyPatch, word: str, allowed: bool
) -> None:
    monkeypatch.setenv("CONDUCTO_WEB_SHELL", word)

    with Client(HttpTransport(setting.ensure())) as client:
        assert client.status().shell is allowed


def test_a_second_agent_in_the_foreground_is_refused(setting: Setting) -> None:
    setting.ensure()

    second = subprocess.run(
        [*COMMAND, "--profile", "tests"], capture_output=True, text=True, timeout=30, check=False
    )

    assert second.returncode == 1
    assert f"profile 'tests' has an agent (pid {setting.state().pid}," in second.stderr
    assert len(setting.opened()) == 1


def test_an_idle_agent_of_another_version_is_replaced(setting: Setting) -> None:
    setting.ensure()
    setting.pretend_version("0.9")

    setting.ensure()

    assert len(setting.opened()) == 2
    assert setting.state().version != "0.9"
    assert setting.warnings == []


def test_an_idle_agent_of_older_code_is_replaced_though_the_version_is_the_same(
    setting: Setting,
) -> None:
    setting.ensure()
    assert setting.state().code == code_mark()
    setting.pretend_code("1-2")

    setting.ensure()

    assert len(setting.opened()) == 2
    assert setting.state().code == code_mark()


def test_a_busy_agent_of_another_version_is_used_with_a_warning(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_AGENT_BUSY", "1")
    first = setting.ensure()
    setting.pretend_version("0.9")

    second = setting.ensure()

    assert second == first
    assert len(setting.opened()) == 1
    assert ["version is 0.9" in text for text in setting.warnings] == [True]


def test_warning_about_a_busy_agent_is_printed_once_by_a_process(
    setting: Setting, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FAKE_AGENT_BUSY", "1")
    setting.ensure()
    setting.pretend_version("0.9.once")

    for _ in range(2):
        ensure_agent(setting.home, command=COMMAND)

    assert capsys.readouterr().err.count("its version is 0.9.once") == 1


def test_a_launch_replaces_an_idle_agent_that_looks_for_another_engine(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///wrong.sock")
    first = setting.ensure(launching=True)
    monkeypatch.delenv("DOCKER_HOST")

    assert setting.ensure() == first, "a look at pipelines leaves it alone"
    setting.ensure(launching=True)

    assert len(setting.opened()) == 2
    assert setting.state().docker_host == ""
    assert setting.warnings == []


def test_a_launch_tells_of_a_busy_agent_that_looks_for_another_engine(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_AGENT_BUSY", "1")
    monkeypatch.setenv("DOCKER_HOST", "unix:///wrong.sock")
    first = setting.ensure(launching=True)
    monkeypatch.delenv("DOCKER_HOST")

    assert setting.ensure(launching=True) == first
    (warning,) = setting.warnings
    assert "DOCKER_HOST is unix:///wrong.sock, which here is not set" in warning


def test_a_launch_replaces_an_idle_agent_with_other_groups(setting: Setting) -> None:
    first = setting.ensure(launching=True)
    setting.files.write_state(replace(setting.state(), groups=(12345,)))

    assert setting.ensure() == first, "a look at pipelines leaves it alone"
    setting.ensure(launching=True)

    assert len(setting.opened()) == 2
    assert setting.state().groups == own_groups()
    assert setting.warnings == []


def test_a_launch_tells_of_a_busy_agent_with_other_groups(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_AGENT_BUSY", "1")
    first = setting.ensure(launching=True)
    setting.files.write_state(replace(setting.state(), groups=(12345,)))

    assert setting.ensure(launching=True) == first
    (warning,) = setting.warnings
    assert "its groups differ (12345; here " in warning


def test_a_launch_replaces_an_idle_agent_that_could_not_open_its_engine(setting: Setting) -> None:
    first = setting.ensure(launching=True)
    (setting.home.agent / "engine-failed").write_text(str(setting.state().pid))

    assert setting.ensure() == first
    setting.ensure(launching=True)
    setting.ensure(launching=True)

    assert len(setting.opened()) == 2, "only the one that failed is replaced"


def test_our_own_agent_is_found_from_any_directory(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = agent_command(setting.home)
    monkeypatch.delenv("PYTHONPATH")

    helped = subprocess.run(
        [*command, "--help"], cwd="/", capture_output=True, text=True, timeout=30, check=False
    )

    assert helped.returncode == 0
    assert "the profile to serve" in helped.stdout


def test_log_records_the_address_and_the_stop(setting: Setting) -> None:
    setting.ensure()
    url = setting.state().url
    stop_agent(setting.home)

    lines = setting.files.log.read_text().splitlines()

    assert [line for line in lines if 'event="agent listens"' in line and f"url={url}" in line]
    assert lines[-1].split(" event=")[1].startswith('"agent has stopped"')


def test_usage_of_a_pipeline_on_this_machine_is_found_here(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_AGENT_BUSY", "1")
    account = SignedInAccount("https://a.invalid/api", "cdo_x", "acme", "ann")
    profile = cloud_account.save_login(account)
    home = open_state_dir(profile)
    home.make()
    home.store.touch()
    ensure_agent(home, command=COMMAND)
    try:
        arguments = build_parser().parse_args(["--profile", profile, "usage", "busy"])

        with target.opener_for(arguments)() as client:
            found = client.get("busy")

        assert found.pipeline.id == "busy"
        months = build_parser().parse_args(["--profile", profile, "usage"])
        assert getattr(target.opener_for(months), "__self__", None) == account
    finally:
        stop_agent(home)
