"""``conducto debug --remote`` up to AWS's program, and the state that it leaves behind."""

from __future__ import annotations

import io
import json
import os
import signal
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr
from tests.fakes.pipelines import MemoryPipelines
from tests.fakes.transport import InProcessTransport

from conducto.errors import UsageError
from conducto_cli.app.parser import build_parser
from conducto_cli.debug.command import run as debug
from conducto_cli.debug.shell import check_time, find_plugin, remote_shell
from conducto_cli.target import connection
from conducto_client import AgentUnreachableError, ApiError, Client
from conducto_core.api.dispatch import Service
from conducto_core.debug.model import (
    RemoteShell,
    RemoteShellEntry,
    RemoteShellRequest,
    ShellSession,
)
from conducto_core.run.model.requests import Problem
from support.cli_trees import record, small_tree

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = "the-key-to-the-session"
SESSION = ShellSession(
    session_id="s-1",
    stream_url="wss://aws.invalid/s-1",
    token=SecretStr(KEY),
    target="ecs:cluster_task_container",
    region="eu-west-1",
    endpoint="https://aws.invalid",
)
READY = RemoteShellEntry(state="ready", message="", session=SESSION)
REQUEST = RemoteShellRequest(path="/build", seconds=600)


def starting(message: str) -> RemoteShellEntry:
    return RemoteShellEntry(state="starting", message=message)


def refusal(status: int, detail: str) -> ApiError:
    return ApiError(Problem(title="x", status=status, detail=detail))


class Cloud:
    """Implements the used part of a client; returns ``entries`` in turn."""

    def __init__(self, *entries: RemoteShellEntry | Exception) -> None:
        self.entries = deque(entries)
        self.asked: list[RemoteShellRequest] = []
        self.ended: list[str] = []
        self.away = False
        self.until = time.time() + 600

    def open_remote_shell(self, pipeline_id: str, request: RemoteShellRequest) -> RemoteShell:
        self.asked.append(request)
        return RemoteShell(
            id="s1",
            pipeline=pipeline_id,
            path=request.path,
            attempt=2,
            image="busybox",
            until=self.until,
            notes=("mind it",),
        )

    def enter_remote_shell(self, shell: RemoteShell) -> RemoteShellEntry:
        del shell
        entry = self.entries.popleft()
        if isinstance(entry, Exception):
            raise entry
        return entry

    def end_remote_shell(self, shell: RemoteShell) -> None:
        if self.away:
            raise AgentUnreachableError("nobody answers")
        self.ended.append(shell.id)


def visit(cloud: Any, enter: Callable[[ShellSession], int] = lambda _: 0, **more: Any) -> Any:
    """Return the exit code and the printed messages."""
    told = io.StringIO()
    given = {"wait": lambda _: None, "tell": told, **more}
    return remote_shell(cloud, "abc-def", REQUEST, enter, **given), told.getvalue()


def test_it_waits_for_the_worker_and_enters_once() -> None:
    cloud = Cloud(starting("pulling the image"), starting("pulling the image"), READY)
    entered: list[ShellSession] = []

    code, told = visit(cloud, lambda session: entered.append(session) or 0)

    assert (code, entered, cloud.ended) == (0, [SESSION], ["s1"])
    assert told.count("starting a worker: pulling the image\n") == 1
    assert "note: mind it\n" in told
    assert "/build (attempt 2) on a worker with busybox\n" in told
    assert KEY not in told


def test_a_busy_api_is_asked_again() -> None:
    cloud = Cloud(refusal(503, "busy"), READY)

    assert visit(cloud)[0] == 0


def test_an_api_that_stays_busy_is_asked_until_the_shell_would_be_over() -> None:
    cloud = Cloud(refusal(503, "busy"), READY)
    cloud.until = time.time() - 1

    with pytest.raises(ApiError, match="busy"):
        visit(cloud)
    assert cloud.ended == ["s1"]


def test_a_shell_that_is_over_before_it_began_says_why_and_is_ended() -> None:
    cloud = Cloud(starting("x"), refusal(409, "/build: the shell has ended: no such image"))

    with pytest.raises(ApiError, match="no such image"):
        visit(cloud)
    assert cloud.ended == ["s1"]


def test_ctrl_c_while_it_starts_ends_the_worker() -> None:
    cloud = Cloud(starting("x"), READY)

    def wait(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        visit(cloud, wait=wait)
    assert cloud.ended == ["s1"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_worker_and_this_process(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    cloud = Cloud(READY)

    def enter(_: ShellSession) -> int:
        signal.raise_signal(number)
        return 0

    assert visit(cloud, enter)[0] == 128 + number
    assert cloud.ended == ["s1"]
    assert signal.getsignal(number) is before


def test_a_plugin_that_fails_is_named() -> None:
    code, told = visit(Cloud(READY), lambda _: 255)

    assert code == 1
    assert "session-manager-plugin ended with exit code 255" in told


def test_expired_shell_reports_its_time_limit() -> None:
    cloud = Cloud(READY)
    cloud.until = time.time()

    _, told = visit(cloud, lambda _: 255)

    assert "its time was over; --time-limit" in told


def test_time_limit_is_printed_at_the_start() -> None:
    assert "It ends by itself in 10m 00s" in visit(Cloud(READY))[1]


def test_unstoppable_worker_is_reported_to_end_by_itself() -> None:
    cloud = Cloud(READY)
    cloud.away = True

    code, told = visit(cloud)

    assert code == 0
    assert "nobody answers" in told
    assert "ends by itself" in told


# ---- AWS's program ---------------------------------------------------------------------------


def plugin_in(folder: Path, version: str = "1.2.707.0") -> dict[str, str]:
    """Put a plugin into a directory; return the environment that finds it."""
    script = folder / "session-manager-plugin"
    script.write_text(
        "#!/bin/sh\n"
        f'[ "$1" != --version ] || {{ echo {version}; exit; }}\n'
        f'printf "%s\\n" "$@" >{folder}/words\n'
        f'printf "%s" "$AWS_SSM_START_SESSION_RESPONSE" >{folder}/response\n'
        "exit 4\n"
    )
    script.chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}", "KEPT": "1"}


def test_plugin_receives_the_same_arguments_as_from_the_aws_cli(tmp_path: Path) -> None:
    enter = find_plugin(plugin_in(tmp_path))

    assert enter(SESSION) == 4
    assert (tmp_path / "words").read_text().split("\n")[:-1] == [
        "AWS_SSM_START_SESSION_RESPONSE",
        "eu-west-1",
        "StartSession",
        "",
        '{"Target": "ecs:cluster_task_container"}',
        "https://aws.invalid",
    ]
    assert json.loads((tmp_path / "response").read_text()) == {
        "SessionId": "s-1",
        "StreamUrl": "wss://aws.invalid/s-1",
        "TokenValue": KEY,
    }


def test_the_key_is_in_no_argument(tmp_path: Path) -> None:
    find_plugin(plugin_in(tmp_path))(SESSION)

    assert KEY not in (tmp_path / "words").read_text()


def test_ctrl_c_in_the_session_is_the_sessions(tmp_path: Path) -> None:
    env = plugin_in(tmp_path)
    script = tmp_path / "session-manager-plugin"
    script.write_text(script.read_text().replace("exit 4", "kill -INT $PPID; exit 5"))
    before = signal.getsignal(signal.SIGINT)

    assert find_plugin(env)(SESSION) == 5
    assert signal.getsignal(signal.SIGINT) is before


def test_an_old_plugin_would_show_the_key_and_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"is version 1\.2\.463\.0; .* 1\.2\.497 or newer"):
        find_plugin(plugin_in(tmp_path, "1.2.463.0"))


def test_unreadable_version_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="version unknown"):
        find_plugin(plugin_in(tmp_path, "hello"))


@pytest.mark.parametrize(
    ("seconds", "fits"), [(60, True), (59, False), (28_800, True), (28_801, False)]
)
def test_a_time_limit_has_bounds(seconds: float, *, fits: bool) -> None:
    if fits:
        assert check_time(seconds) == seconds
    else:
        with pytest.raises(UsageError, match="from 1m 00s to 8h 00m"):
            check_time(seconds)


# ---- the command -----------------------------------------------------------------------------


def conducto(*words: str) -> int:
    """Run a command about pipelines of this machine."""
    fake = MemoryPipelines()
    fake.add("abc-def", small_tree(), record())
    with InProcessTransport(Service(fake)) as transport:
        arguments = build_parser().parse_args(words)
        return connection.guarded(lambda: debug(arguments, lambda: Client(transport)))


def test_without_the_plugin_nothing_is_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert conducto("debug", "abc", "/build", "--remote") == 2
    said = capsys.readouterr().err
    assert "session-manager-plugin" in said
    assert "Systems Manager's user guide" in said


def test_a_pipeline_of_this_machine_has_no_workers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", plugin_in(tmp_path)["PATH"])

    assert conducto("debug", "abc", "/build", "--remote") == 2
    assert "runs on this machine, not in the cloud; leave out --remote" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--remote", "--snapshot"), "--snapshot: workers of the cloud make none"),
        (("--time-limit", "2h"), "add --remote"),
    ],
)
def test_conflicting_options_are_rejected(
    words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert conducto("debug", "abc", "/build", *words) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ("debug", "a", "/b", "--remote", "--print"),
        ("debug", "a", "/b", "--remote", "--time-limit", "soon"),
        ("livedebug", "a", "/b", "--remote"),
    ],
)
def test_unsupported_options_are_rejected_by_the_parser(words: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit):
        build_parser().parse_args(words)
