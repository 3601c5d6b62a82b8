"""Debug shells on the machines of linked agents, between a page and the agent."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.people.port import Identity
from chalicelib.remote.links import SILENT_SECONDS
from chalicelib.remote.model import AgentKey
from conducto_core.api.dispatch import Service
from conducto_core.api.serve import serves
from conducto_core.debug.operations import SHELL
from conducto_core.debug.terminal import MAX_INPUT, ShellEnd, ShellParams
from conducto_core.people.model import AuditParams
from conducto_core.remote.model import Ack, LinkPolicy, ShellInput, ShellOutput
from conducto_core.remote.operations import FORGET_AGENT
from conducto_core.remote.rules import ALLOWABLE
from conducto_local.remote.asks import Policy
from conducto_local.remote.connection import Channel
from conducto_local.remote.policy import LinkSettings
from conducto_local.remote.shells import RemoteShells
from conducto_local.remote.summaries import LinkFiles
from support.cloud.linked_agent import LinkedAgent, RelayWorld
from support.cloud.world import ME

if TYPE_CHECKING:
    from pathlib import Path

SHELLS = LinkPolicy(allow=ALLOWABLE)
KEY = AgentKey(ME.org, "laptop")
ANN = replace(ME, permissions=frozenset({"read", "debug", "change_state", "secrets"}))
OPEN = {
    "terminal": "open",
    "agent": "laptop",
    "pipeline": "p1",
    "path": "/a b",
    "params": {"ticket": "t1", "lines": 30, "columns": 90},
}


class Page:
    """A page with a shell.

    Attributes:
        name: Of its connection.
    """

    def __init__(self, world: RelayWorld, agent: LinkedAgent, name: str = "page") -> None:
        self.name = name
        self.world = world
        self._agent = agent

    def sign_in(self, caller: Identity = ANN) -> None:
        token = f"token of {self.name}"
        self.world.tokens.put(token, caller, expires=None)
        self.world.connections.opened(self.name, token)

    def send(self, message: dict[str, Any] | str) -> None:
        text = message if isinstance(message, str) else json.dumps(message)
        self._agent.sockets.message(self.name, text)

    def type(self, seq: int, data: bytes) -> None:
        self.send({"terminal": "input", "seq": seq, "b64": base64.b64encode(data).decode()})

    @property
    def received(self) -> list[dict[str, Any]]:
        return [json.loads(one) for one in self.world.gateway.sent.get(self.name, [])]

    @property
    def end(self) -> str | None:
        """The reason with which the shell has ended."""
        last = self.received[-1] if self.received else {}
        return str(last["end"]["reason"]) if last.get("terminal") == "ended" else None


@pytest.fixture
def world() -> RelayWorld:
    return RelayWorld()


@pytest.fixture
def agent(world: RelayWorld) -> LinkedAgent:
    return world.agent(policy=SHELLS)


@pytest.fixture
def page(world: RelayWorld, agent: LinkedAgent) -> Page:
    page = Page(world, agent)
    page.sign_in()
    return page


def inputs(agent: LinkedAgent) -> list[ShellInput]:
    agent.look()
    return [one for one in agent.frames if isinstance(one, ShellInput)]


def opened(agent: LinkedAgent, page: Page) -> str:
    """Open a shell and return its id."""
    page.send(OPEN)
    return inputs(agent)[-1].id


def printed(agent: LinkedAgent, shell: str, seq: int, data: bytes) -> None:
    b64 = base64.b64encode(data).decode()
    agent.send(ShellOutput(n=1, id=shell, seq=seq, b64=b64))


def audited(world: RelayWorld) -> list[tuple[str, str, int]]:
    entries = world.audit.page(ME.org, AuditParams()).entries
    assert {(one.user, one.subject, one.paths) for one in entries} <= {
        ("ann", "a/laptop/p1", ("/a b",))
    }
    return sorted((one.user, one.operation, one.status or 0) for one in entries)


def test_input_and_output_pass_until_the_shell_ends(
    world: RelayWorld, agent: LinkedAgent, page: Page
) -> None:
    shell = opened(agent, page)
    page.type(2, b"second")
    page.type(1, b"first")
    page.send({"terminal": "input", "seq": 3, "note": {"lines": 4, "columns": 5}})
    page.send({"terminal": "input", "seq": 4})
    printed(agent, shell, 0, b"hello")
    ack = agent.last()
    agent.send(ShellOutput(n=1, id=shell, seq=1, end=ShellEnd(code=7)))

    first, *typed = inputs(agent)
    assert (first.seq, first.caller.user) == (0, "ann")
    assert first.open is not None
    assert (first.open.ticket, first.open.lines, first.open.columns) == ("t1", 30, 90)
    assert [(one.seq, base64.b64decode(one.b64)) for one in typed] == [
        (2, b"second"),
        (1, b"first"),
        (3, b""),
        (4, b""),
    ]
    assert typed[2].note is not None
    assert isinstance(ack, Ack)
    kinds = [(one["terminal"], one["seq"]) for one in page.received]
    assert kinds == [
        ("opened", 0),
        *(("acked", seq) for seq in (2, 1, 3, 4)),
        ("output", 0),
        ("ended", 0),
    ]
    assert page.received[-1]["end"] == {"code": 7, "reason": None}
    assert world.agents.shells(KEY) == []
    page.type(5, b"late")
    assert page.end == "the shell is not open"
    assert audited(world) == [("ann", "shell", 200), ("ann", "shell_ended", 200)]


class Typed:
    """The shell of a machine: a stream without output, which notes its input."""

    def __init__(self) -> None:
        self.heard_input: list[str | bytes] = []

    @serves(SHELL)
    async def shell(self, params: ShellParams) -> Typed:
        return self

    def receive(self, message: str | bytes) -> None:
        self.heard_input.append(message)

    def __aiter__(self) -> Typed:
        return self

    async def __anext__(self) -> ShellEnd:
        await asyncio.Event().wait()
        raise StopAsyncIteration


def test_input_reaches_the_machine_after_a_message_without_content(
    agent: LinkedAgent, page: Page, tmp_path: Path
) -> None:
    """Such a message keeps the connection open, and has a number, too."""
    opened(agent, page)
    page.type(1, b"before")
    page.send({"terminal": "input", "seq": 2})
    page.type(3, b"after")
    machine = Typed()

    async def receive() -> None:
        link = LinkSettings("laptop", "http://x", "ws://x", ME.org, "ann", "t", SHELLS)
        policy = Policy(lambda: link, LinkFiles(tmp_path))
        shells = RemoteShells(Service(machine), policy, Channel())
        for frame in inputs(agent):
            shells.handle(frame)
        for _ in range(100):  # rounds of the loop
            await asyncio.sleep(0)
        await shells.close()

    asyncio.run(receive())

    assert machine.heard_input == [b"before", b"after"]


def test_shell_ends_on_the_machine_when_its_page_is_closed(
    world: RelayWorld, agent: LinkedAgent, page: Page
) -> None:
    shell = opened(agent, page)
    agent.sockets.disconnect(page.name)
    agent.sockets.disconnect(page.name)

    (_, closing) = inputs(agent)
    assert (closing.id, closing.close) == (shell, True)
    printed(agent, shell, 0, b"for nobody")
    assert page.received[-1]["terminal"] == "opened"
    assert [one.close for one in inputs(agent)] == [False, True, True], (
        "the agent gets another close"
    )
    assert audited(world) == [("ann", "shell", 200), ("ann", "shell_ended", 200)]


@pytest.mark.parametrize(
    ("caller", "policy", "reason"),
    [
        (replace(ANN, permissions=ANN.permissions - {"debug"}), SHELLS, "lacks: debug"),
        (replace(ANN, permissions=ANN.permissions - {"secrets"}), SHELLS, "lacks: secrets"),
        (
            replace(ANN, user="bob"),
            SHELLS.model_copy(update={"who": "org"}),
            "other members may not request on this machine; ask ann",
        ),
        (replace(ANN, org="other"), SHELLS, "no linked agent"),
        (ANN, LinkPolicy(), "conducto agent link --allow read,control,debug"),
    ],
)
def test_shell_needs_the_role_the_person_and_the_policy(
    world: RelayWorld, caller: Identity, policy: LinkPolicy, reason: str
) -> None:
    agent = world.agent(policy=policy)
    page = Page(world, agent)
    page.sign_in(caller)

    page.send(OPEN)

    assert reason in (page.end or "")
    assert inputs(agent) == []
    (entry,) = world.audit.page(caller.org, AuditParams()).entries
    assert (entry.user, entry.operation, entry.status) == (caller.user, "shell", 403)


def test_each_message_is_checked_again(world: RelayWorld, agent: LinkedAgent, page: Page) -> None:
    """A role, a session or a policy that has changed ends the shell, in both directions."""
    opened(agent, page)
    world.tokens.put("token of page", replace(ANN, permissions=frozenset({"read"})), expires=None)
    page.type(1, b"a")
    assert "lacks" in (page.end or "")

    other = Page(world, agent, "other")
    other.sign_in()
    shell = opened(agent, other)
    world.tokens.revoke_once("token of other")
    printed(agent, shell, 0, b"secret")
    assert other.end == "the session has ended"

    third = Page(world, agent, "third")
    third.sign_in()
    opened(agent, third)
    world.tokens.revoke_once("token of third")
    third.type(1, b"b")
    assert "third" in world.gateway.closed

    assert [one.b64 for one in inputs(agent) if one.b64] == []
    assert world.agents.shells(KEY) == []
    assert sum(one.close for one in inputs(agent)) == 3


def test_connection_that_takes_another_token_loses_its_shell(
    world: RelayWorld, agent: LinkedAgent, page: Page
) -> None:
    opened(agent, page)
    page.sign_in(replace(ANN, user="bob"))
    page.type(1, b"rm")

    assert page.end == "the shell is not open"
    assert [one.b64 for one in inputs(agent) if one.b64] == []


@pytest.mark.parametrize("how", ["disconnect", "forget", "policy", "lost", "silent token"])
def test_shells_end_with_the_link(
    world: RelayWorld, agent: LinkedAgent, page: Page, how: str
) -> None:
    opened(agent, page)
    match how:
        case "disconnect":
            agent.disconnect()
        case "forget":
            world.call(FORGET_AGENT, id="laptop")
        case "policy":
            LinkedAgent(world, epoch=2, policy=LinkPolicy())
        case "lost":  # the end of the older connection has not been noticed
            LinkedAgent(world, epoch=2, policy=SHELLS)
        case _:
            world.tokens.revoke_once(world.connections.token_of(agent.connection) or "")
            agent.ping()

    assert page.end is not None
    assert world.agents.shells(KEY) == []
    entries = world.audit.page(ME.org, AuditParams()).entries
    assert "shell_ended" in [one.operation for one in entries]


def test_shell_survives_the_renewal_of_the_connection(
    world: RelayWorld, agent: LinkedAgent, page: Page
) -> None:
    shell = opened(agent, page)
    again = LinkedAgent(world, epoch=2, policy=SHELLS, shells=(shell,))
    agent.disconnect()
    page.type(1, b"still here")
    printed(again, shell, 0, b"yes")

    assert [one["terminal"] for one in page.received] == ["opened", "acked", "output"]
    assert base64.b64decode(inputs(again)[-1].b64) == b"still here"


def test_offline_agent_ends_the_shell(world: RelayWorld, agent: LinkedAgent, page: Page) -> None:
    opened(agent, page)
    world.gateway.gone.add(agent.connection)
    page.type(1, b"a")

    assert page.end == "the machine is offline"
    world.now += SILENT_SECONDS


@pytest.mark.parametrize(
    "message",
    [
        {"terminal": "input", "seq": 0},
        {"terminal": "input", "seq": 1, "b64": "x" * (2 * MAX_INPUT)},
        {"terminal": "input", "seq": 1, "more": 1},
        {"terminal": "run"},
        {**OPEN, "agent": "../x"},
        {**OPEN, "params": {"ticket": "t", "lines": 10_000}},
        OPEN,
    ],
)
def test_invalid_message_or_second_shell_ends_the_first(
    agent: LinkedAgent, page: Page, message: dict[str, Any]
) -> None:
    opened(agent, page)
    page.send(message)

    assert page.end is not None
    assert inputs(agent)[-1].close


def test_agent_reaches_the_pages_of_its_own_shells_only(
    world: RelayWorld, agent: LinkedAgent, page: Page
) -> None:
    shell = opened(agent, page)
    other = world.agent("desktop", user="bob", policy=SHELLS)
    printed(other, shell, 0, b"evil")
    printed(agent, "unknown", 0, b"evil")
    agent.send(ShellOutput(n=1, id=shell, seq=0, b64="no base64!"))

    assert [one["terminal"] for one in page.received] == ["opened", "output"]
    assert isinstance(other.last(), Ack)
