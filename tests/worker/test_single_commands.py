"""The agent of a debug shell that runs single commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr
from tests.fakes.worker import FakeApi, FakeClock, FakeCommand, FakeCommands

from conducto_core.workers.model import ShellInstructions, SingleCommand, WorkerInstructions
from conducto_worker.agent.debug_shell import DebugShell
from conducto_worker.agent.port import WorkerGoneError
from conducto_worker.agent.single_commands import IDLE_SECONDS

if TYPE_CHECKING:
    from pathlib import Path

    from conducto_core.workers.model import SingleCommandEnd


class Desk:
    """A shell without sessions."""

    def __init__(self, folder: Path, scripts: dict[str, FakeCommand], seconds: float) -> None:
        self.clock = FakeClock()
        self.began = self.clock.now()
        self.api = FakeApi()
        folder.mkdir(exist_ok=True)
        self.commands = FakeCommands(self.clock, scripts)
        shell = ShellInstructions(
            path="/bad",
            attempt=2,
            argv=("/bin/sh",),
            script="#!/bin/sh\nmake\n",
            secrets={"TOKEN": SecretStr("secret")},
            seconds=seconds,
            sessions=False,
        )
        instructions = WorkerInstructions(
            activity="", region="us-east-1", policy="debug", heartbeat=2.0, debug=shell
        )
        self.shell = DebugShell(
            folder / "shell",
            instructions,
            api=self.api,
            commands=self.commands,
            clock=self.clock,
        )

    def run(self) -> str:
        """Return why it ended."""
        self.shell.run()
        (end,) = self.api.ends
        return end.reason

    def ends(self) -> list[SingleCommandEnd]:
        found = {beat.ended.number: beat.ended for beat in self.api.pulses if beat.ended}
        return list(found.values())


def desk(folder: Path, scripts: dict[str, FakeCommand], seconds: float = 3600.0) -> Desk:
    return Desk(folder, scripts, seconds)


def command(number: int, text: str, timeout: float = 60.0) -> SingleCommand:
    return SingleCommand(number=number, command=text, timeout=timeout, max_bytes=10)


def test_commands_run_in_turn_and_report_the_end_of_their_output(tmp_path: Path) -> None:
    long = FakeCommand(output=[("stdout", b"0123456789abcdef"), ("stderr", b"bad")], code=3)
    here = desk(tmp_path, {"long": long, "short": FakeCommand(seconds=5.0)})
    here.api.single = [None, command(1, "long"), command(1, "long"), command(2, "short")]

    assert here.run() == "no command was run for some minutes"

    first, second = here.ends()
    assert here.commands.began == ["long", "short"]
    assert (first.number, first.code, first.position) == (1, 3, 0)
    assert (first.stdout, first.stdout_size, first.stderr) == ("6789abcdef", 16, "bad")
    assert (second.number, second.code, second.position) == (2, 0, 1)
    assert second.seconds >= 5.0
    assert here.clock.now() - here.began >= IDLE_SECONDS


@pytest.mark.parametrize("handles", [("TERM", "KILL"), ("KILL",)])
def test_command_is_stopped_after_its_time(tmp_path: Path, handles: tuple[str, ...]) -> None:
    here = desk(tmp_path, {"hang": FakeCommand(seconds=1000.0, handles=handles)})
    here.api.single = [command(1, "hang", timeout=30.0)]

    here.run()

    (end,) = here.ends()
    assert end.timed_out
    assert end.code == (143 if "TERM" in handles else 137)


def test_container_that_a_command_cannot_leave_ends_the_shell(tmp_path: Path) -> None:
    here = desk(tmp_path, {"hang": FakeCommand(seconds=1e6, handles=())})
    here.api.single = [command(1, "hang", timeout=30.0)]

    assert here.run() == "a command could not be stopped"
    assert here.api.ends[0].broken


def test_command_that_a_shell_cannot_take_is_an_error(tmp_path: Path) -> None:
    here = desk(tmp_path, {})
    here.api.single = [command(1, "echo \0")]

    here.run()

    (end,) = here.ends()
    assert (end.code, end.stderr) == (2, "ot read it")


def test_it_ends_on_request_and_in_time(tmp_path: Path) -> None:
    stopped = desk(tmp_path / "a", {})
    stopped.api.stop = True
    gone = desk(tmp_path / "b", {})
    gone.api.away = WorkerGoneError("leave")
    late = desk(tmp_path / "c", {}, seconds=100.0)

    assert stopped.run() == "closed on request"
    gone.shell.run()
    assert gone.clock.now() - gone.began < IDLE_SECONDS
    assert late.run() == "the time limit was reached"
