"""Debug shells of the cloud as their users find them, in real containers of three shells."""

from __future__ import annotations

import itertools
import json
import subprocess
import threading
from typing import TYPE_CHECKING, Any

import pexpect
import pytest
from pydantic import SecretStr
from tests.fakes.worker import FakeApi

from conducto_core.command.task_layout import CTL, ECS_VARIABLES, ENTER, SHELL, user_entry
from conducto_core.workers.model import ShellInstructions, WorkerInstructions
from conducto_worker.agent.__main__ import SignalClock
from conducto_worker.agent.debug_shell import DebugShell
from conducto_worker.agent.fifo_channel import FifoCommands
from support.stand_ins import call, ensure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.docker

DASH = "conducto-test/debian:latest"
BUSYBOX = "busybox:latest"
BASH = "bash:latest"
ARGV = {DASH: ("/bin/sh",), BUSYBOX: ("/bin/sh",), BASH: ("/usr/local/bin/bash", "--norc")}
LABEL = "com.conducto.test.cloud-debug"
KEY = "/v2/key-to-the-role"
SECRET = "it's a\nsecret"
_numbers = itertools.count()


class Room:
    """A container of an image, and the agent of a shell in it."""

    def __init__(self, folder: Path, image: str, seconds: float = 60.0) -> None:
        self.api = FakeApi()
        self.clock = SignalClock()
        self.folder = folder
        self.commands = FifoCommands(folder)
        instructions = WorkerInstructions(
            activity="",
            region="us-east-1",
            policy="debug",
            workdir="/tmp",
            debug=ShellInstructions(
                path="/bad",
                attempt=2,
                argv=ARGV[image],
                script="#!/bin/sh\necho $GREETING; exit 3\n",
                env={"GREETING": "it's $me", "TOKEN": "not this"},
                secrets={"TOKEN": SecretStr(SECRET)},
                seconds=seconds,
            ),
        )
        self._shell = DebugShell(
            folder / SHELL, instructions, api=self.api, commands=self.commands, clock=self.clock
        )
        self.id = ""
        self.thread = threading.Thread(target=self._shell.run)

    def open(self, image: str, user: str) -> Room:
        self.commands.open()
        body = {
            "User": user,
            "Env": [f"{name}={KEY}" for name in ECS_VARIABLES],
            "Image": image,
            "Entrypoint": user_entry(),
            "Cmd": [],
            "Labels": {LABEL: "1"},
            "HostConfig": {
                "Binds": [f"{self.folder}:{CTL}"],
                "NetworkMode": "none",
                "Tmpfs": {"/conducto/data/pipeline": ""},
            },
        }
        status, response = call(
            "POST", "/containers/create", body=json.dumps(body).encode(), kind="application/json"
        )
        assert status == 201, response
        self.id = json.loads(response)["Id"]
        call("POST", f"/containers/{self.id}/start")
        self.thread.start()
        return self

    def enter(self) -> pexpect.spawn:
        """Come in as ECS Exec does: as root, on a terminal."""
        argv = ["exec", "-it", "-u", "0", self.id, *ENTER.split()]
        return pexpect.spawn(
            "docker", argv, timeout=20, encoding="utf-8", echo=False, dimensions=(24, 200)
        )

    def until_up(self) -> None:
        for _ in range(200):
            if self.api.pulses:
                return
            self.clock.wait(0.1)
        raise AssertionError("the shell does not come up")

    def close(self) -> None:
        self.clock.stop()
        self.thread.join(20)
        self.commands.close()
        call("DELETE", f"/containers/{self.id}", {"force": "1", "v": "1"})


@pytest.fixture
def rooms(tmp_path: Path) -> Iterator[Any]:
    made: list[Room] = []

    def make(image: str = BUSYBOX, user: str = "", **given: Any) -> Room:
        ensure([image])
        folder = tmp_path / f"ctl{next(_numbers)}"
        folder.mkdir()
        made.append(Room(folder, image, **given))
        room = made[-1].open(image, user)
        room.until_up()
        return room

    yield make
    for room in made:
        room.close()


def says(child: pexpect.spawn, command: str) -> str:
    """Return the output of a command."""
    child.sendline(f"echo; {command}; echo; echo en''d")
    child.expect(r"\r\nend\r\n")
    lines = str(child.before).replace("\x1b[?2004l", "").split("\r\n")
    return "\n".join(line for line in lines if "en''d" not in line).strip()


@pytest.mark.parametrize("image", [BUSYBOX, DASH, BASH], ids=["busybox", "dash", "bash"])
@pytest.mark.parametrize("user", ["", "4321:4321"], ids=["root", "nobody"])
def test_shell_has_the_command_environment_and_secrets(rooms: Any, image: str, user: str) -> None:
    room = rooms(image, user)
    child = room.enter()

    assert says(child, "/conducto/cmd.sh").splitlines()[-1] == "it's $me"
    assert says(child, "sh /cmd.conducto; echo code $?").splitlines()[-1] == "code 3"
    assert says(child, "pwd; id -u").splitlines()[-2:] == ["/tmp", "0"]
    assert says(child, 'printf "<%s>" "$TOKEN"').endswith("<it's a\nsecret>")
    child.sendline("exit 7")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 7

    room.thread.join(20)
    assert [end.reason for end in room.api.ends] == ["all sessions ended"]
    assert (room.api.pulses[0].path, room.api.pulses[0].attempt) == ("/bad", 2)


def test_secrets_are_in_no_file_and_in_no_command_line(rooms: Any) -> None:
    room = rooms(DASH)
    child = room.enter()
    assert says(child, "echo here").endswith("here")

    lines = says(child, "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    files = {path.name: path.read_text() for path in room.folder.rglob("*") if path.is_file()}

    assert {"enter", "cmd.sh"} <= set(files)
    assert [name for name, text in files.items() if "secret" in text and name != "enter"] == []
    assert "it's a" not in files["enter"]
    assert "/ctl/shell/enter" in lines
    assert "it's a" not in lines
    child.close()


def test_environment_of_the_shell_itself_lacks_the_variables_of_ecs(rooms: Any) -> None:
    child = rooms().enter()

    assert KEY not in says(child, "env; echo 1")
    child.close()


def test_disconnect_ends_the_shell_and_its_programs(rooms: Any) -> None:
    room = rooms()
    child = room.enter()
    says(child, "(sleep 1000 >/dev/null 2>&1 &)")
    session = says(child, "echo $PPID").splitlines()[-1]
    # As ECS Exec ends a session whose client left; docker would leave it there.
    subprocess.run(["docker", "exec", room.id, "/bin/sh", "-c", f"kill -9 {session}"], check=True)

    room.thread.join(20)
    assert [end.reason for end in room.api.ends] == ["all sessions ended"]
    child.close()


def test_two_sessions_share_a_shell(rooms: Any) -> None:
    room = rooms()
    first, second = room.enter(), room.enter()

    assert says(first, "echo $GREETING").endswith("it's $me")
    assert says(second, "echo $GREETING").endswith("it's $me")
    first.sendline("exit")
    first.expect(pexpect.EOF)
    assert says(second, "echo still").endswith("still")
    second.close()


def test_a_shell_ends_when_its_time_is_over(rooms: Any) -> None:
    room = rooms(seconds=1.0)
    child = room.enter()

    room.thread.join(20)
    assert [end.reason for end in room.api.ends] == ["the time limit was reached"]
    child.close()
