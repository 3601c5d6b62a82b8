"""Admission to a shell in a page, and its limits."""

import asyncio
import http.client
import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest
from tests.fakes.debug_shell import FakeShell
from tests.fakes.pipelines import MemoryPipelines
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from conducto_client import ApiError, Client, HttpTransport
from conducto_core.debug.model import DebugPlan, DebugRequest, ShellTicket
from conducto_core.debug.operations import MAX_SHELLS
from conducto_core.errors import RefusedError
from conducto_core.run.model.params import PipelineParams
from conducto_core.run.model.requests import NodeView
from conducto_core.run.model.states import NodeType, State
from conducto_local.agent.state_dir import AgentSettingError
from conducto_local.debug.page import PageShells, ShellLimits, allowed_shells
from conducto_local.server.auth import SCRIPT_HEADER
from support.api_server import TOKEN, RunningServer, running_server
from support.debug_plans import SECRET, plan
from support.local import wait_for

PIPELINE = PipelineParams(id="p")
REQUEST = DebugRequest(path="/")
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}


class Planning(MemoryPipelines):
    """Pipelines whose debug shells are planned."""

    refuses = False

    async def debug(self, params: PipelineParams, request: DebugRequest) -> DebugPlan:
        await super().debug(params, request)
        if self.refuses:
            raise RefusedError("/: image a is building; try again when it is built")
        return plan(path=request.path, notes=("know this",))


@pytest.fixture
def pipelines() -> Planning:
    fake = Planning()
    fake.add("p", [NodeView(path="/", type=NodeType.EXEC, state=State.PENDING)])
    return fake


@pytest.fixture
def shell() -> FakeShell:
    return FakeShell()


@pytest.fixture
def server(pipelines: Planning, shell: FakeShell) -> Iterator[RunningServer]:
    with running_server(pipelines, shells=PageShells(pipelines, hold=shell)) as running:
        yield running


def ticket(server: RunningServer, request: DebugRequest = REQUEST) -> ShellTicket:
    with Client(HttpTransport(server.endpoint)) as client:
        return client.open_shell(PIPELINE.id, request)


def dial(
    server: RunningServer, code: str, headers: dict[str, str] = AUTHORIZED, **options: Any
) -> ClientConnection:
    url = f"ws://127.0.0.1:{server.port}/api/v1/shell?ticket={code}&lines=40&columns=100"
    return connect(url, additional_headers=headers, proxy=None, **options)


def refusal(server: RunningServer, code: str, headers: dict[str, str] = AUTHORIZED) -> int:
    with pytest.raises(InvalidStatus) as caught:
        dial(server, code, headers)
    return caught.value.response.status_code


def test_a_ticket_opens_the_shell_that_it_was_asked_for(
    server: RunningServer, pipelines: Planning, shell: FakeShell
) -> None:
    request = DebugRequest(path="/", snapshot=True)
    given = ticket(server, request)
    with dial(server, given.ticket) as socket:
        socket.send(b"exit 3\r")
        frames = list(socket)

    assert pipelines.shells == [("p", request)]
    assert (shell.plans[0].path, shell.sizes) == ("/", [(40, 100)])
    assert frames[:-1] == [b"exit 3\r"]
    assert json.loads(frames[-1]) == {"code": 3, "reason": None}
    assert (given.attempt, given.notes) == (1, ("know this",))
    assert socket.close_code == 1000


def test_a_ticket_is_good_once(server: RunningServer) -> None:
    code = ticket(server).ticket

    with dial(server, code):
        assert refusal(server, code) == 409


@pytest.mark.parametrize("code", ["x", "x" * 90])
def test_guessed_ticket_is_rejected(server: RunningServer, shell: FakeShell, code: str) -> None:
    ticket(server)

    assert refusal(server, code) == 409
    assert shell.plans == []


def test_a_ticket_does_not_stand_for_the_token(server: RunningServer) -> None:
    assert refusal(server, ticket(server).ticket, {}) == 401
    assert refusal(server, ticket(server).ticket, {"Authorization": "Bearer no"}) == 401


@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1:1", "null"])
def test_a_page_of_another_origin_opens_nothing_even_with_ticket_and_token(
    server: RunningServer, shell: FakeShell, origin: str
) -> None:
    code = ticket(server).ticket

    assert refusal(server, code, {**AUTHORIZED, "Origin": origin}) == 403
    assert shell.plans == []


def cookie(server: RunningServer) -> dict[str, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    try:
        connection.request("POST", "/session", b"", AUTHORIZED)
        return {"Cookie": connection.getresponse().headers["set-cookie"].partition(";")[0]}
    finally:
        connection.close()


def test_cookie_opens_the_websocket_from_our_own_page_only(server: RunningServer) -> None:
    ours = f"http://127.0.0.1:{server.port}"
    code = ticket(server).ticket

    without = refusal(server, code, cookie(server))
    other_site = {**cookie(server), "Origin": ours, "Sec-Fetch-Site": "same-site"}
    elsewhere = refusal(server, code, other_site)

    assert (without, elsewhere) == (401, 401)
    with dial(server, code, {**cookie(server), "Origin": ours}) as socket:
        socket.send(b"exit 0\r")
        assert json.loads(list(socket)[-1])["code"] == 0


def test_cookie_gets_a_ticket_for_our_own_script_only(
    server: RunningServer, shell: FakeShell
) -> None:
    def ask(headers: dict[str, str]) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
        try:
            body = REQUEST.model_dump_json()
            given = {"Content-Type": "application/json", **cookie(server), **headers}
            connection.request("POST", "/api/v1/pipelines/p/shell", body, given)
            return connection.getresponse().status
        finally:
            connection.close()

    ours = {"Origin": f"http://127.0.0.1:{server.port}"}

    assert ask({}) == 401
    assert ask(ours) == 401
    assert ask({SCRIPT_HEADER: "1"}) == 401
    assert ask({**ours, SCRIPT_HEADER: "1"}) == 200


def test_no_more_shells_than_allowed_are_open_and_each_that_ends_makes_room(
    server: RunningServer, pipelines: Planning
) -> None:
    with ExitStack() as stack:
        for _ in range(MAX_SHELLS - 1):
            stack.enter_context(dial(server, ticket(server).ticket))
        with dial(server, ticket(server).ticket):
            with pytest.raises(ApiError, match=r"the maximum \(p /, p /, p /, p /\)") as caught:
                ticket(server)
            asked = len(pipelines.shells)

        wait_for(lambda: can_be_asked(server))
    assert (caught.value.status, asked) == (409, MAX_SHELLS)


def can_be_asked(server: RunningServer) -> bool:
    try:
        ticket(server)
    except ApiError:
        return False
    return True


def test_unused_ticket_expires_and_frees_its_slot(pipelines: Planning, shell: FakeShell) -> None:
    shells = PageShells(pipelines, replace(ShellLimits(), shells=1, ticket=0.05), shell)
    with running_server(pipelines, shells=shells) as server:
        code = ticket(server).ticket
        wait_for(lambda: can_be_asked(server))

        assert refusal(server, code) == 409


def test_a_shell_that_cannot_be_planned_takes_no_room(
    pipelines: Planning, shell: FakeShell
) -> None:
    pipelines.refuses = True
    with running_server(
        pipelines, shells=PageShells(pipelines, ShellLimits(shells=1), shell)
    ) as server:
        for _ in range(2):
            with pytest.raises(ApiError, match="image a is building"):
                ticket(server)
        pipelines.refuses = False

        assert ticket(server).ticket


def test_closing_a_page_ends_its_shell(server: RunningServer, shell: FakeShell) -> None:
    with dial(server, ticket(server).ticket) as socket:
        socket.send(b"x")
        assert socket.recv(timeout=5) == b"x"
        opened = shell.open

    wait_for(lambda: shell.open == 0)
    assert opened == 1


def test_an_agent_that_stops_ends_its_shells(pipelines: Planning, shell: FakeShell) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(
            running_server(pipelines, shells=PageShells(pipelines, hold=shell))
        )
        opened = ExitStack()
        socket = opened.enter_context(dial(server, ticket(server).ticket))
        socket.send(b"x")
        assert socket.recv(timeout=5) == b"x"

        stack.close()

        with opened, pytest.raises(ConnectionClosed):
            socket.recv(timeout=5)
    assert shell.open == 0


def test_nonsense_ends_the_connection_and_the_shell(
    server: RunningServer, shell: FakeShell
) -> None:
    with dial(server, ticket(server).ticket) as socket:
        socket.send("nonsense")
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=5)

    assert socket.close_code == 1008
    wait_for(lambda: shell.open == 0)


def test_page_that_reads_nothing_blocks_no_other(server: RunningServer, shell: FakeShell) -> None:
    with dial(server, ticket(server).ticket, max_queue=1, close_timeout=0.1) as socket:
        for _ in range(40):
            socket.send(b"x" * 60_000)
        wait_for(lambda: shell.waits)

        with Client(HttpTransport(server.endpoint)) as client:
            assert client.status().shell


def test_agent_without_shells_names_the_command(pipelines: Planning) -> None:
    with running_server(pipelines) as server:
        with pytest.raises(ApiError, match="in a terminal, run: conducto debug p '/a b'") as caught:
            ticket(server, DebugRequest(path="/a b"))
        with Client(HttpTransport(server.endpoint)) as client:
            status = client.status()

        assert (caught.value.status, status.shell) == (409, False)
        assert refusal(server, "x") == 409


@pytest.mark.parametrize(
    ("env", "allowed"),
    [
        ({}, True),
        ({"CONDUCTO_WEB_SHELL": ""}, True),
        ({"CONDUCTO_WEB_SHELL": "on"}, True),
        ({"CONDUCTO_WEB_SHELL": "OFF"}, False),
    ],
)
def test_the_agents_environment_says_whether_pages_may(env: dict[str, str], allowed: bool) -> None:
    assert (allowed_shells(MemoryPipelines(), env) is not None) is allowed


def test_invalid_environment_value_is_rejected() -> None:
    with pytest.raises(AgentSettingError, match="CONDUCTO_WEB_SHELL must be on or off, got 'no'"):
        allowed_shells(MemoryPipelines(), {"CONDUCTO_WEB_SHELL": "no"})


async def test_secrets_are_deleted_with_their_ticket(pipelines: Planning) -> None:
    shells = PageShells(pipelines, replace(ShellLimits(), ticket=0.01), FakeShell())
    await shells.open_shell(PIPELINE, REQUEST)
    held = [one.secrets["TOKEN"].get_secret_value() for one in shells.planned()]

    await asyncio.sleep(0.05)

    assert (held, shells.planned()) == ([SECRET], ())
