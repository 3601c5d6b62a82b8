"""A cloud that breaks the rules, loses connections, or tries everything."""

import asyncio
import base64
from typing import Any

import pytest
from tests.fakes.pipelines import MemoryPipelines
from tests.fakes.relay_cloud import RelayCloud
from tests.local_runner.remote.conftest import LinkedAgent

from conducto_core.api.common_operations import OPERATIONS
from conducto_core.api.operation import LinkClass
from conducto_core.approvals.model import DecideApproval
from conducto_core.approvals.rules import Decider
from conducto_core.debug.terminal import ShellParams
from conducto_core.errors import RefusedError
from conducto_core.people.model import Role
from conducto_core.remote import model as relay
from conducto_core.remote.model import LINK_TAG, LinkPolicy
from conducto_core.remote.rules import ALLOWABLE
from conducto_core.run.model.params import PipelineParams
from conducto_core.run.model.records import AttemptRecord, ParentAttempt, PipelineRecord
from conducto_core.run.model.requests import Action, ControlRequest, ControlResult, NodeView
from conducto_core.run.model.states import NodeType, State
from conducto_core.run.operations import CONTROL
from conducto_local.approvals.handlers import DECIDER, current_decider
from conducto_local.server.agent_operations import LOCAL_OPERATIONS

_LARGE = "x" * relay.MAX_FRAME
ADA = relay.Caller(user="ada")


@pytest.mark.parametrize(
    "allow", [ALLOWABLE[:1], ALLOWABLE[:2], ALLOWABLE], ids=["read", "control", "all"]
)
async def test_only_operations_of_allowed_classes_are_executed(
    agent: LinkedAgent, cloud: RelayCloud, allow: tuple[LinkClass, ...]
) -> None:
    agent.configure(cloud, LinkPolicy(allow=allow, who="org"))
    refused: dict[tuple[str, str], bool] = {}
    async with agent.linked():
        await cloud.until(lambda: bool(cloud.hellos))
        for number, operation in enumerate(LOCAL_OPERATIONS):
            params = {"id": f"x{number:03}"}  # some requests change the class of later requests
            body = {"action": "run"} if operation.name == CONTROL.name else {}
            for user in ("ada", "bob"):
                answer = await cloud.ask(operation.name, user=user, params=params, body=body)
                is_policy = answer.status == 403 and "link-policy" in answer.json()["type"]
                refused[operation.name, user] = is_policy

    for operation in LOCAL_OPERATIONS:
        assert refused[operation.name, "ada"] is (operation.link_class not in allow)
        shared = operation.link_class in set(allow) & {LinkClass.READ, LinkClass.CONTROL}
        assert refused[operation.name, "bob"] is not shared
    assert not agent.pipelines.launches or LinkClass.AUTHOR in allow


async def test_each_action_is_checked_by_its_own_class(
    agent: LinkedAgent, cloud: RelayCloud
) -> None:
    agent.configure(cloud)
    async with agent.linked():
        await cloud.until(lambda: bool(cloud.hellos))
        for action in Action:
            paths = ["/"] if action in (Action.RESET, Action.SKIP, Action.MODIFY) else []
            body = {"action": action, "paths": paths, "preview": True}
            await cloud.ask("control", params={"id": "p1"}, body=body)
        disguised = {"action": "reset", "paths": ["/"], "changes": {"command": "evil"}}
        answer = await cloud.ask("control", params={"id": "p1"}, body=disguised)

    done = {request.action for _, request in agent.pipelines.actions}
    assert not done & {Action.MODIFY, Action.REBUILD, Action.ARCHIVE}
    assert answer.status == 403


class _Approvals(MemoryPipelines):
    """Pipelines that name the person who decides."""

    async def decide_approval(
        self, params: PipelineParams, request: DecideApproval
    ) -> AttemptRecord:
        raise RefusedError(f"{request.path} of {params.id}: {current_decider()} decides")

    async def control(self, params: PipelineParams, request: ControlRequest) -> ControlResult:
        raise RefusedError(f"{request.paths} of {params.id}: {current_decider()} skips")


async def test_approval_is_decided_by_the_person_of_the_request(
    agent: LinkedAgent, cloud: RelayCloud
) -> None:
    agent.configure(cloud, LinkPolicy(allow=ALLOWABLE))
    agent.pipelines = _Approvals()
    body = {"path": "/ask", "approve": True}
    async with agent.linked():
        await cloud.until(lambda: bool(cloud.hellos))
        answer = await cloud.ask("decide_approval", params={"id": "p1"}, body=body)

    decider = Decider("ada", Role.OWNER)
    assert answer.json()["detail"] == f"/ask of p1: {decider} decides"
    assert DECIDER.get() is None


@pytest.mark.parametrize(
    ("allow", "caller", "role"),
    [
        (ALLOWABLE, ADA, Role.OWNER),
        (ALLOWABLE, relay.Caller(user="ada", program=True), None),
        (ALLOWABLE, relay.Caller(user="ada", program=True, assistant="Claude Code"), None),
        (ALLOWABLE, relay.Caller(user="bob"), Role.VIEWER),
        ((LinkClass.READ, LinkClass.CONTROL), ADA, Role.VIEWER),
    ],
    ids=[
        "owner",
        "program of the owner",
        "assistant of the owner",
        "other member",
        "without author",
    ],
)
async def test_action_through_the_link_has_the_right_to_decide_only_of_its_sender(
    agent: LinkedAgent,
    cloud: RelayCloud,
    allow: tuple[LinkClass, ...],
    caller: relay.Caller,
    role: Role | None,
) -> None:
    agent.configure(cloud, LinkPolicy(allow=allow, who="org"))
    agent.pipelines = _Approvals()
    body = {"action": "skip", "paths": ["/ask"]}
    async with agent.linked():
        await cloud.until(lambda: bool(cloud.hellos))
        answer = await cloud.ask("control", caller=caller, params={"id": "p1"}, body=body)

    decider = Decider(caller.user, role, caller.assistant)
    assert answer.json()["detail"] == f"('/ask',) of p1: {decider} skips"


async def test_schedules_of_the_cloud_start_no_script_and_their_pipelines_need_author(
    agent: LinkedAgent, cloud: RelayCloud
) -> None:
    agent.configure(cloud, LinkPolicy(allow=ALLOWABLE))
    script = {"kind": "script", "command": ["sh", "-c", "evil"], "directory": "/"}
    nightly = {"name": "nightly", "cron": "0 2 * * *"}
    git = {"kind": "git", "url": "https://git.example/a", "command": "python pipeline.py"}
    root = NodeView(path="/", type=NodeType.EXEC, state=State.PENDING)
    tagged = PipelineRecord(id="p2", title="p2", tags=("conducto/schedule/nightly",))
    agent.pipelines.add("p2", [root], tagged)
    async with agent.linked():
        await cloud.until(lambda: bool(cloud.hellos))
        refused = await cloud.ask("create_schedule", body={**nightly, "what": script})
        hidden = await cloud.ask("create_schedule", url="http://127.0.0.1:1/body")
        unknown = await cloud.ask("start_program", params={"id": "p2"}, body={})
        created = await cloud.ask("create_schedule", body={**nightly, "what": git})
        started = await cloud.ask("start_program", params={"id": "p2"}, body={})
        agent.configure(cloud)
        withdrawn = await cloud.ask("control", params={"id": "p2"}, body={"action": "run"})

    assert (refused.status, hidden.status) == (403, 400)
    assert "on the machine itself" in refused.json()["remedy"]
    assert unknown.status != 403
    assert created.status == 200
    assert (started.status, withdrawn.status) == (403, 403)
    assert agent.files.remote_schedules() == ["nightly"]


async def test_pipelines_of_programs_of_the_link_need_author_before_their_start_is_read(
    agent: LinkedAgent, cloud: RelayCloud
) -> None:
    agent.configure(cloud)
    root = NodeView(path="/", type=NodeType.EXEC, state=State.PENDING)
    above = ParentAttempt(pipeline="p2", path="/", attempt=1, depth=1)
    below = ParentAttempt(pipeline="p3", path="/", attempt=1, depth=2)
    agent.pipelines.add("p2", [root], PipelineRecord(id="p2", title="p2", tags=(LINK_TAG,)))
    agent.pipelines.add("p3", [root], PipelineRecord(id="p3", title="p3", parent=above))
    agent.pipelines.add("p4", [root], PipelineRecord(id="p4", title="p4", parent=below))
    body = {"action": "run"}
    async with agent.linked():
        await cloud.until(lambda: bool(cloud.hellos))
        statuses = {
            id_: (await cloud.ask("control", params={"id": id_}, body=body)).status
            for id_ in ("p4", "p3", "p2", "p1")
        }

    assert statuses == {"p4": 403, "p3": 403, "p2": 403, "p1": 200}
    assert [name for name, _ in agent.pipelines.actions] == ["p1"]


@pytest.mark.parametrize(
    "text",
    [
        "not JSON",
        "[]",
        '{"kind":"ask","id":"a"}',
        '{"kind":"format-disk","n":%N}',
        '{"kind":"ack","n":0,"of":1}',
        '{"kind":"ack","n":%N,"of":1,"extra":true}',
        '{"kind":"ack","n":99999,"of":1}',
        '{"kind":"shell","n":%N,"id":"s","seq":0,"caller":{"user":"ada"},"b64":"' + _LARGE + '"}',
        '{"kind":"welcome","n":%N,"protocol":1,"org":"o","user":"u"}',
        "\x00\ud7ff",
    ],
    ids=range(10),
)
async def test_invalid_frame_closes_the_connection_with_1008(
    agent: LinkedAgent, cloud: RelayCloud, text: str
) -> None:
    agent.configure(cloud)
    async with agent.linked():
        await cloud.until(lambda: bool(cloud.hellos))
        first = cloud.peer
        await cloud.until(lambda: agent.files.read_known()[0] > 0)  # nothing else is sent
        await cloud.send_text(text.replace("%N", str(first.sent + 1)), first)
        await cloud.until(first.closed.is_set)
        await cloud.until(lambda: len(cloud.hellos) > 1)

    assert first.socket.close_code == relay.VIOLATION


async def _opened_shell(cloud: RelayCloud, name: str, **changes: Any) -> None:
    """Open a shell with the ticket of an honest person, with changes by the cloud."""
    ticket = await cloud.ask("open_shell", params={"id": "p1"}, body={"path": "/"})
    opened = {"id": name, "caller": ADA, "seq": 0}
    params = ShellParams(ticket=ticket.json()["ticket"])
    await cloud.send(relay.ShellInput, **{**opened, "open": params, **changes})


def _end_of(cloud: RelayCloud, name: str) -> str | None:
    ends = [one.end.reason or "" for one in cloud.shells[name] if one.end is not None]
    return ends[-1] if ends else None


async def test_shell_frames_that_break_the_rules_end_their_shell_only(
    agent: LinkedAgent, cloud: RelayCloud
) -> None:
    agent.configure(cloud, LinkPolicy(allow=ALLOWABLE, who="org"))
    bob = relay.Caller(user="bob")
    typed = base64.b64encode(b"echo evil\r").decode()
    async with agent.linked():
        await cloud.until(lambda: bool(cloud.hellos))
        await _opened_shell(cloud, "stranger", caller=bob)
        await _opened_shell(cloud, "forged", open=ShellParams(ticket="guessed"))
        await cloud.send(relay.ShellInput, id="first", caller=ADA, seq=0, b64=typed)
        await _opened_shell(cloud, "taken")
        await cloud.send(relay.ShellInput, id="taken", caller=bob, seq=1, b64=typed)
        await cloud.until(lambda: _end_of(cloud, "taken") is not None)  # four may be open
        await _opened_shell(cloud, "letters")
        await cloud.send(relay.ShellInput, id="letters", caller=ADA, seq=1, b64="?")
        await cloud.until(lambda: _end_of(cloud, "letters") is not None)
        await _opened_shell(cloud, "gap")
        for seq in range(2, 210):
            await cloud.send(relay.ShellInput, id="gap", caller=ADA, seq=seq, b64=typed)
        names = ("stranger", "forged", "first", "taken", "letters", "gap")
        await cloud.until(lambda: all(_end_of(cloud, name) is not None for name in names))
        alive = await cloud.ask("list_pipelines")

    ends = {name: _end_of(cloud, name) or "" for name in names}
    assert "other members may not request on this machine. ask ada" in ends["stranger"]
    assert "ticket" in ends["forged"]
    assert "must open it" in ends["first"]
    assert "another person" in ends["taken"]
    assert "base64" in ends["letters"]
    assert "is missing" in ends["gap"]
    assert not any(b"evil" in base64.b64decode(one.b64) for one in cloud.shells["taken"])
    assert (alive.status, len(cloud.hellos)) == (200, 1)


@pytest.mark.parametrize("how", ["closed", "withdrawn"])
async def test_shell_is_closed_at_once_by_the_cloud_and_by_a_new_policy(
    agent: LinkedAgent, cloud: RelayCloud, how: str
) -> None:
    agent.configure(cloud, LinkPolicy(allow=ALLOWABLE))
    async with agent.linked():
        await cloud.until(lambda: bool(cloud.hellos))
        await _opened_shell(cloud, "s1")
        await cloud.until(lambda: agent.shell.open == 1)
        if how == "closed":  # whatever input is missing
            await cloud.send(relay.ShellInput, id="s1", caller=ADA, seq=99, close=True)
        else:
            agent.configure(cloud)
            await cloud.until(lambda: _end_of(cloud, "s1") is not None)
            assert "conducto agent link --allow" in (_end_of(cloud, "s1") or "")
        await cloud.until(lambda: agent.shell.open == 0)
        await cloud.send(relay.ShellInput, id="never", caller=ADA, seq=0, close=True)

    assert not cloud.shells["never"]


async def test_unknown_operation_gets_404_and_the_connection_stays(
    agent: LinkedAgent, cloud: RelayCloud
) -> None:
    agent.configure(cloud)
    async with agent.linked():
        await cloud.until(lambda: bool(cloud.hellos))
        unknown = [await cloud.ask(name) for name in ("format_disk", "list_triggers")]
        known = await cloud.ask("list_pipelines")

    assert [each.status for each in unknown] == [404, 404]
    assert unknown[0].json()["detail"] == "the agent has no operation 'format_disk'"
    assert known.status == 200
    assert len(cloud.hellos) == 1


async def test_connection_lost_at_each_frame_loses_and_repeats_nothing(
    agent: LinkedAgent, cloud: RelayCloud
) -> None:
    """Every frame of the agent is lost with its connection once, in turn."""
    agent.configure(cloud)
    lost: set[str] = set()

    def drops(frame: relay.AgentFrame) -> bool:
        part = frame.index if isinstance(frame, relay.Part) else 0
        which = f"{frame.kind} {part}"
        if which in lost or frame.kind == "hello":
            return False
        lost.add(which)
        return True

    agent.pipelines.finish("p1", "/")
    agent.pipelines.write("p1", "/", bytes(50_000))
    query = "path=%2F&attempt=1&stream=stdout"
    async with agent.linked():
        cloud.drops = drops
        await cloud.until(lambda: "p1" in cloud.pipelines)
        log = await cloud.ask("download_log", params={"id": "p1"}, query=query)
        run = {"action": "run"}
        done = await cloud.ask("control", params={"id": "p1"}, body=run)
        await cloud.send(relay.Follow, caller=ADA, pipeline="p1")
        await cloud.until(lambda: "batch 0" in lost)
        await cloud.until(lambda: bool(cloud.hellos) and not cloud.peer.closed.is_set())
        await cloud.send(relay.Follow, caller=ADA, pipeline="p1")  # as a cloud does after hello
        await cloud.until(lambda: bool(cloud.batches["p1"]))

    assert lost >= {"summaries 0", "part 0", "part 1", "part 2", "batch 0"}
    assert (log.status, len(log.body)) == (200, 50_000)
    assert done.status == 200
    assert len(agent.pipelines.actions) == 1
    epochs = [hello.epoch for hello in cloud.hellos]
    assert epochs == sorted(set(epochs))


async def test_cloud_that_stays_silent_is_left(agent: LinkedAgent, cloud: RelayCloud) -> None:
    agent.configure(cloud)
    cloud.acks = False
    quick = agent.timing(ack=0.1)
    async with agent.linked(quick):
        await cloud.until(lambda: len(cloud.hellos) > 1)
        cloud.acks = True
        await cloud.until(lambda: "p1" in cloud.pipelines)
        await cloud.until(lambda: agent.files.read_known()[0] > 0)


async def test_too_many_requests_are_refused(agent: LinkedAgent, cloud: RelayCloud) -> None:
    agent.configure(cloud)
    agent.pipelines.change("p1", "/", agent.RUNNING)
    follow = "path=%2F&attempt=1&stream=stdout&wait=30"
    async with agent.linked():
        await cloud.until(lambda: bool(cloud.hellos))
        asks = [
            asyncio.create_task(cloud.ask("read_log", params={"id": "p1"}, query=follow))
            for _ in range(20)
        ]
        await cloud.until(lambda: sum(ask.done() for ask in asks) == 12)
        refused = [ask.result().status for ask in asks if ask.done()]
        agent.pipelines.write("p1", "/", b"released")
        statuses = [(await ask).status for ask in asks]

    assert set(refused) == {429}
    assert statuses.count(200) == 8


async def test_refusals_and_actions_are_logged_with_the_person(
    agent: LinkedAgent, cloud: RelayCloud, caplog: pytest.LogCaptureFixture
) -> None:
    agent.configure(cloud)
    caplog.set_level("INFO")
    async with agent.linked():
        await cloud.until(lambda: bool(cloud.hellos))
        await cloud.ask("control", params={"id": "p1"}, body={"action": "run"})
        await cloud.ask("delete_pipeline", user="eve", params={"id": "p1"})

    logged = {
        (record.message, record.operation, record.user, record.pipeline)
        for record in caplog.records
        if record.name == "conducto_local.remote.asks"
    }
    assert ("request of the cloud executed", "control", "ada", "p1") in logged
    assert ("request of the cloud refused", "delete_pipeline", "eve", "p1") in logged


def test_no_operation_changes_the_link() -> None:
    assert not [one.name for one in OPERATIONS if "link" in one.name]
