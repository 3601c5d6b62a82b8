"""Debug shells on workers, as a person has them: the command on a terminal, a real shell in it."""

from __future__ import annotations

import os
import sys
import time
import uuid
from typing import TYPE_CHECKING

import pexpect
import pytest

import conducto as co
from conducto_client import ApiError
from conducto_core.assistants.model import ExecRequest, ExecResult
from conducto_core.assistants.operations import EXEC
from conducto_core.debug.model import RemoteShellRequest
from conducto_core.run.model.params import PipelineParams
from conducto_core.run.model.requests import Action
from conducto_core.secrets.model import PutSecrets, SecretValue
from conducto_emulator.tasks.tasks import Knobs
from support.cloud.emulated import Cloud, Run
from support.cloud.start_failures import TaskStartFailure
from support.running import Person, person_at

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.docker, pytest.mark.cloud]

TIMEOUT = 60
SECRET = "a-secret-of-the-tests"
KEYS = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "ECS_CONTAINER_METADATA_URI_V4")


@pytest.fixture
def failed(me: Cloud) -> Run:
    """A pipeline with a node that has failed, and data and secrets beside it."""
    me.client.put_secrets(PutSecrets(secrets=(SecretValue(key="TOKEN", value=SECRET),)))
    root = co.Serial(image="busybox:latest", cpu=0.25, mem=0.5, env={"GREETING": "it's $me"})
    root["look"] = co.Exec("env; cat /proc/1/environ")
    root["bad"] = co.Exec("echo kept >/conducto/data/pipeline/file; echo $GREETING; exit 3")
    run = me.run(root)
    assert run.state("/bad") == "error"
    return run


@pytest.fixture
def person(me: Cloud, tmp_path: Path) -> Iterator[Person]:
    home = tmp_path / "home"
    home.mkdir()
    with person_at(home) as made:
        made.conducto("login", "--url", me.emulator.url, "--token", "-", given=me.token + "\n")
        yield made


class Shell:
    """``conducto debug --remote`` on a terminal, until its prompt."""

    def __init__(self, me: Cloud, person: Person, *words: str) -> None:
        code = "import sys; from conducto.tools.entry import main; sys.exit(main())"
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("CONDUCTO_")}
        self.child = pexpect.spawn(
            sys.executable,
            ["-c", code, "debug", "--cloud", *words, "--remote"],
            env={
                **inherited,
                "CONDUCTO_BASE_DIR": str(person.base),
                "CONDUCTO_PROFILE": person.profile,
                "PATH": f"{me.emulator.programs}:{inherited['PATH']}",
                "TERM": "xterm",
            },
            dimensions=(24, 200),
            timeout=TIMEOUT,
            encoding="utf-8",
            echo=False,
        )

    def entered(self) -> Shell:
        self.child.expect("Starting session with SessionId")
        return self

    def says(self, command: str) -> list[str]:
        """Return the lines that a command prints."""
        first, last = uuid.uuid4().hex, uuid.uuid4().hex
        # Typed, a mark is broken up, so that the echo of the line is not taken for it.
        said = [f"echo {mark[:8]}''{mark[8:]}" for mark in (first, last)]
        self.child.sendline(f"{said[0]}; {command}; {said[1]}")
        self.child.expect(f"{first}\r\n")
        self.child.expect(f"{last}\r\n")
        return str(self.child.before).split("\r\n")[:-1]

    def leave(self) -> int:
        self.child.sendline("exit 7")
        self.child.expect(pexpect.EOF)
        self.child.close()
        return int(self.child.exitstatus)


def tasks(me: Cloud) -> list[str]:
    """Return the groups of this org's tasks that have not stopped."""
    found = me.emulator.board.list(started_by=None, stopped=False)
    groups = [str(task.parameters.get("group")) for task in found]
    return [group for group in groups if group.startswith(f"conducto:{me.org}:")]


def shells(me: Cloud) -> list[str]:
    return [group for group in tasks(me) if group.startswith(f"conducto:{me.org}:s")]


def workers(me: Cloud) -> int:
    """Return the number of workers counted for the org."""
    return int(me.admin(kind="show_plan")["plan"]["workers"])


def nothing_is_left(me: Cloud) -> None:
    """Wait until there is no shell, and none is counted."""
    end = time.monotonic() + TIMEOUT
    while shells(me) or workers(me) > len(tasks(me)):
        assert time.monotonic() < end, (tasks(me), workers(me))
        time.sleep(0.2)


def test_a_person_looks_into_a_failed_node_on_its_worker(
    me: Cloud, failed: Run, person: Person
) -> None:
    shell = Shell(me, person, failed.id, "/bad").entered()

    assert shell.says("/conducto/cmd.sh; echo code $?") == ["it's $me", "code 3"]
    assert shell.says('echo "$TOKEN $CONDUCTO_NODE $CONDUCTO_EXECUTION_ENV"') == [
        f"{SECRET} /bad worker_cloud"
    ]
    assert shell.says("cat /conducto/data/pipeline/file") == ["kept"]
    assert shell.says("stty size") == ["24 200"]
    assert not [line for line in shell.says("env") if line.startswith(KEYS)]
    assert shell.leave() == 0  # AWS does not pass the shell's own code on

    nothing_is_left(me)
    assert failed.state("/bad") == "error"
    assert len(failed.attempts("/bad")) == 1


def test_a_command_has_no_key_to_the_role_of_its_worker(failed: Run) -> None:
    seen = failed.output("/look").decode()

    assert "CONDUCTO_NODE=/look" in seen
    assert not [key for key in KEYS if key in seen]


def test_secrets_are_in_no_request_to_aws(me: Cloud, failed: Run, person: Person) -> None:
    shell = Shell(me, person, failed.id, "/bad").entered()
    assert shell.says("echo $TOKEN") == [SECRET]

    told = me.emulator.board.list(started_by=failed.id, stopped=False)
    assert any(task.parameters["enableExecuteCommand"] for task in told)
    assert SECRET not in str([(task.parameters, task.definition) for task in told])
    shell.leave()
    logs = me.aws("logs")
    for stream in logs.describe_log_streams(logGroupName="/conducto/workers")["logStreams"]:
        name = stream["logStreamName"]
        events = logs.get_log_events(logGroupName="/conducto/workers", logStreamName=name)
        assert SECRET not in str(events["events"])


def test_ctrl_c_while_it_starts_leaves_nothing(me: Cloud, failed: Run, person: Person) -> None:
    me.emulator.board.knobs.delay = 600.0
    try:
        shell = Shell(me, person, failed.id, "/bad")
        shell.child.expect("starting a worker: AWS is preparing a machine")
        shell.child.sendintr()
        shell.child.expect(pexpect.EOF)
        shell.child.close()
    finally:
        me.emulator.board.knobs.delay = 0.0

    assert shell.child.exitstatus == 130
    nothing_is_left(me)


def test_ctrl_c_in_the_shell_is_the_shells(me: Cloud, failed: Run, person: Person) -> None:
    shell = Shell(me, person, failed.id, "/bad").entered()
    assert shell.says("echo here") == ["here"]
    shell.child.sendline("echo beg''un; sleep 100")
    shell.child.expect("begun")
    shell.child.sendintr()

    assert shell.says("echo still here") == ["still here"]
    shell.leave()
    nothing_is_left(me)


def test_a_terminal_that_is_closed_leaves_nothing(me: Cloud, failed: Run, person: Person) -> None:
    shell = Shell(me, person, failed.id, "/bad").entered()
    shell.says("true")
    shell.child.close(force=True)

    nothing_is_left(me)


def test_an_archive_ends_it(me: Cloud, failed: Run) -> None:
    shell = me.client.open_remote_shell(failed.id, RemoteShellRequest(path="/bad"))
    assert len(shells(me)) == 1

    failed.control(Action.ARCHIVE)

    nothing_is_left(me)
    with pytest.raises(ApiError, match="its pipeline was archived"):
        me.client.enter_remote_shell(shell)


def test_shell_beyond_the_limit_is_rejected(me: Cloud, failed: Run) -> None:
    me.admin(kind="set_plan", max_workers=1, max_pipelines=50)  # idle workers make room for it
    shell = me.client.open_remote_shell(failed.id, RemoteShellRequest(path="/bad"))

    with pytest.raises(ApiError, match="workers at once") as refused:
        me.client.open_remote_shell(failed.id, RemoteShellRequest(path="/bad"))
    assert refused.value.status == 409
    assert len(shells(me)) == 1
    me.client.end_remote_shell(shell)
    nothing_is_left(me)


def test_image_that_cannot_be_pulled_is_reported(me: Cloud, failed: Run, person: Person) -> None:
    reason = "CannotPullContainerError: no such image"
    me.emulator.board.knobs = Knobs(fails=TaskStartFailure("TaskFailedToStart", reason).end)
    try:
        shell = Shell(me, person, failed.id, "/bad")
        shell.child.expect("the shell has ended: CannotPullContainerError: no such image")
        shell.child.expect(pexpect.EOF)
    finally:
        me.emulator.board.knobs = Knobs()
    nothing_is_left(me)


def test_assistant_runs_commands_in_the_container_of_a_failure(me: Cloud, failed: Run) -> None:
    def execute(command: str, **more: object) -> ExecResult:
        request = ExecRequest.model_validate({"path": "/bad", "command": command, **more})
        end = time.monotonic() + TIMEOUT
        while True:
            found: ExecResult = me.client.call(EXEC, PipelineParams(id=failed.id), request)
            if found.waiting is None:
                return found
            assert time.monotonic() < end, found.waiting

    first = execute("echo $GREETING; echo ${TOKEN:-no token}; cat /conducto/data/pipeline/file")
    again = execute(f"sh {first.script}; echo code $?", timeout=30)
    late = execute("sleep 100", timeout=1)
    granted = execute("echo ${#TOKEN}", secrets=True)

    assert (first.code, first.stdout) == (0, "it's $me\nno token\nkept\n")
    assert (first.withheld, first.kept, first.attempt) == (("TOKEN",), False, 1)
    assert (again.stdout, again.kept) == ("it's $me\ncode 3\n", True)
    assert late.timed_out
    assert granted.stdout == f"{len(SECRET)}\n"
    failed.control(Action.ARCHIVE)
    nothing_is_left(me)
