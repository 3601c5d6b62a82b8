"""Single commands of assistants in containers like those of failures, on workers of their own."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from tests.functions.remote.test_remote_shells import COLLEAGUE, Desk

from chalicelib.debug.commands import MAX_CONTAINERS, FailureCommands
from chalicelib.debug.sessions import COMMAND_SECONDS
from chalicelib.people.port import Identity
from chalicelib.secrets.injection import user_scope
from conducto_core.api.operation import Permission
from conducto_core.api.problems import ProblemError
from conducto_core.assistants.model import ExecRequest, ExecResult
from conducto_core.debug.model import RemoteShell, RemoteShellParams
from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.run.model.params import PipelineParams
from conducto_core.workers.model import Heartbeat, SingleCommand, SingleCommandEnd
from support.cloud.world import ME, STRANGER, World


class Room(Desk):
    """A pipeline with a failure, and commands for its container."""

    def execute(self, command: str = "ls", me: Identity = ME, **more: object) -> ExecResult:
        request = ExecRequest(**{"path": "/build", "command": command, **more})
        commands = FailureCommands(
            self.world.shells, lambda: self.world.now, self.world.services.shells, wait=0.0
        )
        return commands.execute(me, self.id, request)

    def opened(self) -> RemoteShell:
        (shell,) = self.world.shells.of_pipeline(self.id)
        return RemoteShell(
            id=shell.id, pipeline=self.id, path=shell.path, image="", until=shell.until
        )

    def beat(self, ended: SingleCommandEnd | None = None) -> SingleCommand | None:
        beat = Heartbeat(path="/build", attempt=1, ended=ended)
        return self.desk.heartbeat(self.agent(self.opened()), beat).command


@pytest.fixture
def room() -> Room:
    world = World()
    world.vault.write(user_scope(ME.org, ME.user), {"TOKEN": {"value": "of-ann"}})
    return Room(world)


def test_command_runs_once_its_worker_has_started(room: Room) -> None:
    launched = room.execute()
    starting = room.execute()
    instructions = room.start(room.opened())
    running = room.execute()
    command = room.beat()
    assert command is not None
    still = room.execute()
    again = room.beat()
    end = SingleCommandEnd(number=command.number, code=3, stdout="a\n", stdout_size=2)
    after = room.beat(end)

    found = room.execute()

    assert "a worker for it was launched" in str(launched.waiting)
    assert "its container is starting" in str(starting.waiting)
    assert instructions.heartbeat == COMMAND_SECONDS
    assert instructions.debug is not None
    assert not instructions.debug.sessions
    assert (running.waiting, still.waiting) == ("the command still runs",) * 2
    assert (command.command, again, after) == ("ls", command, None)
    assert (found.code, found.stdout, found.waiting, found.attempt) == (3, "a\n", None, 1)
    assert found.script == "/ctl/shell/cmd.sh"
    shell = room.world.shells.find(room.id, room.opened().id)
    assert shell is not None
    assert (shell.command, shell.result) == ("", "")  # the output is not kept


def test_commands_have_secrets_only_if_they_ask_for_them(room: Room) -> None:
    room.execute()
    plain = room.start(room.opened())
    room.execute()
    command = room.beat()
    assert command is not None
    room.beat(SingleCommandEnd(number=command.number, code=0))
    withheld = room.execute().withheld
    room.world.shells.end(room.world.shells.of_pipeline(room.id)[0], "over")

    room.execute(secrets=True)
    granted = room.start(room.opened())

    assert plain.debug is not None
    assert granted.debug is not None
    assert (withheld, set(plain.debug.secrets)) == (("TOKEN",), set())
    assert set(granted.debug.secrets) == {"TOKEN"}


def test_secrets_need_the_permission_of_shells(room: Room) -> None:
    less = replace(ME, permissions=ME.permissions - {Permission.DEBUG})
    request = ExecRequest(path="/build", command="env", secrets=True)

    asked = room.world.pipelines(less).exec_in_failure(PipelineParams(id=room.id), request)
    with pytest.raises(ProblemError) as refused:
        asyncio.run(asked)

    assert refused.value.problem.status == 403
    assert room.world.shells.of_pipeline(room.id) == []


def test_another_command_waits_until_the_result_was_read_or_replaced(room: Room) -> None:
    room.execute()
    room.start(room.opened())
    room.execute()
    first = room.beat()
    assert first is not None
    with pytest.raises(RefusedError, match="another command runs in its container"):
        room.execute("pwd")
    room.beat(SingleCommandEnd(number=first.number, code=0))
    room.world.now += 1

    room.execute("pwd")  # nobody asks for the first result any more
    second = room.beat()

    assert second is not None
    assert (second.command, second.number > first.number) == ("pwd", True)


def test_container_belongs_to_its_user_and_has_no_sessions(room: Room) -> None:
    room.execute()
    shell = room.opened()
    room.start(shell)

    with pytest.raises(NotFoundError):
        room.execute(me=STRANGER)
    assert "was launched" in str(room.execute(me=COLLEAGUE).waiting)
    entering = room.world.pipelines().enter_remote_shell(
        RemoteShellParams(id=room.id, shell=shell.id)
    )
    with pytest.raises(RefusedError, match="for single commands"):
        asyncio.run(entering)


def test_worker_that_stops_is_named_once(room: Room) -> None:
    room.execute()
    arn = room.task(room.opened())[0]
    room.world.fleet.reasons[arn] = "CannotPullContainerError"
    room.world.fleet.stop(arn, "")

    with pytest.raises(RefusedError, match="CannotPullContainerError"):
        room.execute()
    assert room.world.shells.of_pipeline(room.id) == []


def test_number_of_containers_is_limited(room: Room) -> None:
    for n in range(MAX_CONTAINERS):
        room.world.now += 1
        path, secrets = ("/build", "/test")[n % 2], n > 1
        room.execute(path=path, secrets=secrets)

    with pytest.raises(RefusedError, match="containers of failures are open"):
        room.execute(path="/test", secrets=True)
