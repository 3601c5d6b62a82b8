"""The agent of a debug shell, with real FIFOs and a clock of its own."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr
from tests.fakes.worker import FakeApi, FakeClock, FakeCommand, FakeCommands

from conducto_core.command.task_layout import ECS_VARIABLES
from conducto_core.workers.model import ShellInstructions, WorkerInstructions
from conducto_worker.agent.debug_shell import LONELY_SECONDS, DebugShell, entry_code
from conducto_worker.agent.port import WorkerGoneError

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "not-to-be-seen"


class Desk:
    """A shell, and what happens to it."""

    def __init__(self, folder: Path, seconds: float = 3600.0) -> None:
        self.folder = folder / "shell"
        self.clock = FakeClock()
        self.began = self.clock.now()
        self.api = FakeApi()
        self.commands = FakeCommands(self.clock)
        instructions = WorkerInstructions(
            activity="",
            region="us-east-1",
            policy="debug",
            debug=ShellInstructions(
                path="/bad",
                attempt=2,
                argv=("/bin/sh",),
                script="#!/bin/sh\nmake\n",
                env={"A": "1"},
                secrets={"TOKEN": SecretStr(SECRET)},
                seconds=seconds,
            ),
        )
        self.shell = DebugShell(
            self.folder, instructions, api=self.api, commands=self.commands, clock=self.clock
        )

    def run(self) -> str:
        """Return why it ended."""
        self.shell.run()
        (end,) = self.api.ends
        return end.reason

    @property
    def lasted(self) -> float:
        return self.clock.now() - self.began


class Visitor:
    """A client that connects at a time, reads the secrets, and stays for a number of seconds."""

    def __init__(self, desk: Desk, name: str = "77", *, at: float = 10.0, stays: float = 20.0):
        self.got = b""
        self._desk = desk
        self._name = name
        self._at, self._until = at, at + stays
        self._door: int | None = None
        self._hand: int | None = None
        desk.clock.meanwhile.append(self.step)

    def step(self) -> None:
        now, door = self._desk.lasted, self._desk.folder / "door"
        if self._door is None and self._at <= now < self._until and door.exists():
            self._door = os.open(door, os.O_WRONLY | os.O_NONBLOCK)
            os.write(self._door, f"{self._name}\n".encode())
        elif self._door is not None and now >= self._until:
            os.close(self._door)
            self._door = None
        if self._door is not None:
            self._take()

    def _take(self) -> None:
        hand = self._desk.folder / f"in.{self._name}"
        if self._hand is None and hand.exists() and not self.got:
            self._hand = os.open(hand, os.O_RDONLY | os.O_NONBLOCK)
        if self._hand is None:
            return
        try:
            chunk = os.read(self._hand, 65_536)
        except BlockingIOError:
            return
        self.got += chunk
        if not chunk and self.got:
            os.close(self._hand)
            self._hand = None


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_unused_shell_ends(desk: Desk) -> None:
    assert desk.run() == "no session was opened"
    assert LONELY_SECONDS <= desk.lasted <= LONELY_SECONDS + 1


def test_it_ends_some_seconds_after_the_last_has_left(desk: Desk) -> None:
    visitor = Visitor(desk, at=10.0, stays=1000.0)

    assert desk.run() == "all sessions ended"
    assert 1010 <= desk.lasted <= 1020
    assert b"TOKEN" in visitor.got


def test_each_visitor_is_handed_the_code_and_none_keeps_it(desk: Desk) -> None:
    first = Visitor(desk, "77", at=1.0, stays=30.0)
    second = Visitor(desk, "78", at=20.0, stays=30.0)

    assert desk.run() == "all sessions ended"
    assert 50 <= desk.lasted <= 60
    assert first.got == second.got
    assert SECRET.encode() in first.got
    assert sorted(path.name for path in desk.folder.iterdir()) == ["cmd.sh", "door", "enter"]
    assert SECRET not in (desk.folder / "enter").read_text()


def test_the_command_is_there_for_anybody_to_run_and_change(desk: Desk) -> None:
    desk.run()

    script = desk.folder / "cmd.sh"
    assert script.read_text() == "#!/bin/sh\nmake\n"
    assert script.stat().st_mode & 0o777 == 0o777
    assert (desk.folder / "door").stat().st_mode & 0o777 == 0o600


def test_its_time_is_over(tmp_path: Path) -> None:
    desk = Desk(tmp_path, seconds=100.0)
    Visitor(desk, stays=10_000.0)

    assert desk.run() == "the time limit was reached"
    assert 100 <= desk.lasted <= 101


def test_first_heartbeat_reports_the_shell_as_ready(desk: Desk) -> None:
    desk.run()

    assert (desk.api.pulses[0].path, desk.api.pulses[0].attempt) == ("/bad", 2)


def test_shell_ends_when_the_api_reports_its_end(desk: Desk) -> None:
    desk.api.stop = True

    assert desk.run() == "closed on request"
    assert desk.lasted < 1


def test_shell_ends_when_the_api_no_longer_knows_it(desk: Desk) -> None:
    desk.api.away = WorkerGoneError("gone")

    desk.shell.run()
    assert desk.lasted < 1


def test_agent_exits_when_its_task_is_stopped(desk: Desk) -> None:
    desk.clock.stop_at = desk.began + 30

    assert desk.run() == "the worker is stopping"
    assert desk.lasted < 31


def test_unstartable_image_is_reported(desk: Desk) -> None:
    desk.commands.broken = "there is no shell"

    assert desk.run() == "there is no shell"
    assert desk.api.ends[0].broken
    assert desk.api.pulses == []


def test_a_container_that_ends_ends_the_shell(desk: Desk) -> None:
    desk.commands.scripts["x"] = FakeCommand(dies=True)
    desk.commands.begin("x", {})

    assert desk.run() == "the container of the image ended"


def test_short_connection_does_not_block_later_ones(desk: Desk) -> None:
    Visitor(desk, "76", at=0.5, stays=60.0)
    Visitor(desk, "77", at=1.0, stays=0.3)
    last = Visitor(desk, "78", at=30.0, stays=5.0)

    desk.run()
    assert SECRET.encode() in last.got


# ---- environment of the shell ----------------------------------------------------------------


def evaluated(code: bytes) -> str:
    """Return the output of the shell that the code starts."""
    told = dict.fromkeys(ECS_VARIABLES, "x") | {"PATH": os.environ["PATH"]}
    script = "_n='\n'\n_pwd=/usr\nexec 8>/dev/null\n" + code.decode()
    done = subprocess.run(
        ["/bin/sh", "-c", script], env=told, capture_output=True, text=True, check=False
    )
    return f"{done.stdout}{done.stderr}{done.returncode}"


def test_the_code_sets_everything_up_and_ends_as_the_shell_does() -> None:
    argv = ("/bin/sh", "-c", 'echo "$A|$B"; pwd; exit 7')
    code = entry_code(argv, {"A": "it's\n$me", "B": "b"}, {"B": "secret"}, "/")

    assert evaluated(code) == "it's\n$me|secret\n/\n7"


def test_variable_with_a_name_invalid_in_shells_is_set() -> None:
    code = entry_code(("printenv", "x.y", "A"), {"x.y": "odd", "A": "plain"}, {}, None)

    assert evaluated(code) == "odd\nplain\n0"


def test_ecs_variables_are_removed_and_none_of_conducto_are_added() -> None:
    found = evaluated(entry_code(("/bin/sh", "-c", "env; cd /proc/self/fd; echo *"), {}, {}, None))

    assert not [
        line for line in found.split("\n") if line.startswith((*ECS_VARIABLES, "_n", "_code"))
    ]
    assert "PWD=/usr" in found
    assert " 8" not in found.split("\n")[-2]


def test_missing_directory_falls_back_to_the_root() -> None:
    found = evaluated(entry_code(("/bin/sh", "-c", "pwd"), {}, {}, "/not/there"))

    assert found.startswith("/\n")
    assert found.endswith("0")


@pytest.mark.parametrize("env", [{"": "x"}, {"a=b": "x"}, {"A": "x\0y"}])
def test_invalid_environment_is_rejected(env: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"."):
        entry_code(("/bin/sh",), env, {}, None)
