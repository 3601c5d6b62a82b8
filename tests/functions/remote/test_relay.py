"""Requests that the cloud relays to linked agents, and the frames of agents."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.api.store import TableConnections
from chalicelib.aws.clients import Clients
from chalicelib.aws.dynamodb import DynamoTable
from chalicelib.people.port import Identity
from chalicelib.people.store.members import TableTokens
from chalicelib.remote.followers import topic
from chalicelib.remote.links import SILENT_SECONDS
from chalicelib.remote.model import AgentKey
from chalicelib.remote.relay import MAX_STORED
from chalicelib.remote.store import TableAgents
from chalicelib.services import Services
from conducto_core.api.cloud_operations import WHO_AM_I
from conducto_core.api.operation import LinkClass
from conducto_core.approvals.operations import DECIDE_APPROVAL
from conducto_core.logs.operations import LOG, LOG_FILE
from conducto_core.people.model import AuditParams, Member, Role
from conducto_core.people.operations import REMOVE_MEMBER
from conducto_core.remote.model import (
    PING_SECONDS,
    Ack,
    Batch,
    Closing,
    Follow,
    LinkPolicy,
    Stored,
    Summaries,
    Welcome,
)
from conducto_core.remote.model import ResponseHead as Head
from conducto_core.remote.operations import FORGET_AGENT, LINKED_AGENT, LIST_AGENTS
from conducto_core.run import views
from conducto_core.run.operations import CONTROL, GET, LIST, TREE
from support.cloud.aws import TABLE, aws
from support.cloud.linked_agent import JSON, LinkedAgent, RelayWorld
from support.cloud.throttle import calls_of
from support.cloud.world import ME, with_ports
from support.trees import leaf, serial

BOB = replace(ME, user="bob")
LAPTOP = {"agent": "laptop"}


@pytest.fixture
def world() -> RelayWorld:
    return RelayWorld()


def _problem(response: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(response.body)
    return found


def _summary(world: RelayWorld, **changes: Any) -> Any:
    """Return the summary of a pipeline, as an agent would report it."""
    pipeline = world.launch(leaf(), run=False)
    with world.engine.reading(ME.org, pipeline) as live:
        found = views.summary(live)
    record = found.pipeline.model_copy(update={"id": "local-1", "title": "local", **changes})
    return found.model_copy(update={"pipeline": record})


def test_agent_is_welcomed_and_pings_are_acknowledged(world: RelayWorld) -> None:
    agent = world.agent()
    agent.ping()

    welcome, ack = agent.frames[0], agent.last()
    assert isinstance(welcome, Welcome)
    assert (welcome.org, welcome.user, welcome.summaries_cursor) == (ME.org, ME.user, 0)
    assert isinstance(ack, Ack)
    assert (ack.n, ack.of) == (2, 2)


def test_request_reaches_the_agent_and_its_response_the_client(world: RelayWorld) -> None:
    agent = world.agent()

    response = world.call(TREE, id="p1", query={**LAPTOP, "root": "/a b&c"})

    assert (response.status, response.media_type) == (200, JSON)
    assert _problem(response) == {"asked": "get_tree"}
    (ask,) = agent.asks
    assert (ask.operation, ask.params, ask.query) == (
        "get_tree",
        {"id": "p1"},
        "root=%2Fa+b%26c",
    )
    assert ask.caller.user == ME.user
    assert ask.headers.idempotency_key == "k1"


def test_response_in_several_frames_is_put_together(world: RelayWorld) -> None:
    agent = world.agent()
    body = json.dumps({"long": "ü" * 12_000}).encode()
    agent.respond = lambda _: (200, JSON, body)

    assert world.call(GET, id="p1", query=LAPTOP).body == body


def test_large_request_and_response_pass_through_the_bucket(world: RelayWorld) -> None:
    agent = world.agent()

    def respond(ask: Any) -> None:
        world.blobs.put(ask.upload.key, b'{"large": true}')
        head = Head(status=200, media_type=JSON)
        agent.send(Stored(n=1, id=ask.id, key=ask.upload.key, head=head))

    agent.respond = respond
    paths = [f"/{'x' * 100}{n}" for n in range(400)]

    response = world.call(CONTROL, id="p1", query=LAPTOP, body={"action": "skip", "paths": paths})

    assert response.body == b'{"large": true}'
    (ask,) = agent.asks
    assert ask.b64 == ""
    assert ask.url is not None
    key = ask.url.removeprefix("https://blobs.invalid/").partition("?")[0]
    assert json.loads(world.blobs.get(key) or b"") == {"action": "skip", "paths": paths}


@pytest.mark.parametrize("stored", [True, False])
def test_download_is_a_redirect_to_the_bucket(world: RelayWorld, *, stored: bool) -> None:
    agent = world.agent()
    disposition = ("content-disposition", "attachment; filename*=UTF-8''a%20b.log")

    def respond(ask: Any) -> tuple[int, str, bytes] | None:
        if not stored:
            return 200, "application/octet-stream", b"output"
        world.blobs.put(ask.upload.key, b"output")
        head = Head(status=200, media_type="application/octet-stream", headers=(disposition,))
        agent.send(Stored(n=1, id=ask.id, key=ask.upload.key, head=head))
        return None

    agent.respond = respond

    response = world.call(LOG_FILE, id="p1", query={**LAPTOP, "path": "/a"})

    place = dict(response.headers)["location"]
    key, _, name = place.removeprefix("https://blobs.invalid/").partition("?as=")
    assert response.status == 303
    assert world.blobs.get(key) == b"output"
    assert name == ("a b.log" if stored else "file")


@pytest.mark.parametrize(
    ("status", "media_type"), [(302, JSON), (200, "text/html"), (404, "text/html")]
)
def test_response_that_a_browser_could_run_or_follow_is_refused(
    world: RelayWorld, status: int, media_type: str
) -> None:
    world.agent().respond = lambda _: (status, media_type, b"<script>")

    response = world.call(GET, id="p1", query=LAPTOP)

    assert response.status == 502
    assert b"script" not in response.body


def test_refusal_of_the_machine_reaches_the_client(world: RelayWorld) -> None:
    problem = {
        "title": "not allowed",
        "status": 403,
        "detail": "conducto agent link --allow author",
    }
    world.agent().respond = lambda _: (
        403,
        "application/problem+json",
        json.dumps(problem).encode(),
    )

    response = world.call(GET, id="p1", query=LAPTOP)
    assert (response.status, _problem(response)) == (403, problem)


def test_commands_in_sentences_have_the_address_of_the_pipeline(world: RelayWorld) -> None:
    agent = world.agent()
    node = {
        "waits_for": "not running",
        "wait_remedy": "start it: conducto run p123",
        "command": "conducto run p123",
        "notes": [
            "conducto data get p123 NAME",
            "conducto logs p123 --image a",
            "conducto wake q1",
        ],
    }
    agent.respond = lambda _: (200, JSON, json.dumps({"nodes": [node]}).encode())
    (found,) = _problem(world.call(TREE, id="p1", query=LAPTOP))["nodes"]

    assert found == {
        "waits_for": "not running",
        "wait_remedy": "start it: conducto run a/laptop/p123",
        "command": "conducto run p123",
        "notes": [
            "conducto data get a/laptop/p123 NAME",
            "conducto logs a/laptop/p123 --image a",
            "conducto wake q1",
        ],
    }
    problem = {"status": 404, "detail": "/x: no such node in p1; 'conducto show p1' lists them"}
    media_type = "application/problem+json"
    agent.respond = lambda _: (404, media_type, json.dumps(problem).encode())
    detail = _problem(world.call(GET, id="p1", query=LAPTOP))["detail"]
    assert detail == "/x: no such node in p1; 'conducto show a/laptop/p1' lists them"


def test_offline_agent_says_since_when_and_how_to_start_it(world: RelayWorld) -> None:
    agent = world.agent()
    agent.disconnect()

    response = world.call(GET, id="p1", query=LAPTOP)

    assert response.status == 503
    assert _problem(response)["detail"] == "laptop.local is offline since 1970-01-12 13:46 UTC"
    assert _problem(response)["remedy"] == "Start it with: conducto agent start"
    assert agent.asks == []


def test_agent_that_vanished_is_offline_at_the_next_request(world: RelayWorld) -> None:
    agent = world.agent()
    world.gateway.gone.add(agent.connection)

    assert world.call(GET, id="p1", query=LAPTOP).status == 503
    found = world.agents.find(AgentKey(ME.org, "laptop"))
    assert found is not None
    assert found.connection == ""


def test_silent_agent_is_offline(world: RelayWorld) -> None:
    world.agent()
    world.now += SILENT_SECONDS

    assert world.call(GET, id="p1", query=LAPTOP).status == 503


def test_request_without_a_response_ends_after_twenty_seconds(world: RelayWorld) -> None:
    world.agent().respond = lambda _: None
    before = world.now

    response = world.call(CONTROL, id="p1", query=LAPTOP, body={"action": "run", "paths": ["/"]})

    assert response.status == 504
    assert "check whether it completed" in _problem(response)["remedy"]
    assert 20 <= world.now - before < 21


def test_agent_has_at_most_four_requests_at_once(world: RelayWorld) -> None:
    agent = world.agent()
    for _ in range(4):
        world.relays.reserve(AgentKey(ME.org, "laptop"), world.now, world.now + 3.0)

    response = world.call(GET, id="p1", query=LAPTOP)
    assert response.status == 200, "a request waits for its turn"

    for _ in range(4):
        world.relays.reserve(AgentKey(ME.org, "laptop"), world.now, world.now + 60.0)
    response = world.call(GET, id="p1", query=LAPTOP)
    assert response.status == 429
    assert dict(response.headers)["retry-after"] == "1"
    assert len(agent.asks) == 1


@pytest.mark.parametrize(
    ("operation", "query", "status"),
    [(GET, {"agent": "unknown"}, 404), (WHO_AM_I, LAPTOP, 422), (LIST_AGENTS, LAPTOP, 422)],
)
def test_request_that_no_agent_can_respond_to_is_refused(
    world: RelayWorld, operation: Any, query: dict[str, str], status: int
) -> None:
    agent = world.agent()
    assert world.call(operation, query=query).status == status
    assert agent.asks == []


def test_caller_needs_the_permission_in_the_cloud_and_its_organisation(world: RelayWorld) -> None:
    agent = world.agent()
    viewer = replace(ME, user="vi", permissions=frozenset({"read"}))
    stranger = replace(ME, org="other")
    body = {"action": "run", "paths": ["/"]}

    assert world.call(CONTROL, caller=viewer, id="p1", query=LAPTOP, body=body).status == 403
    assert world.call(CONTROL, caller=stranger, id="p1", query=LAPTOP, body=body).status == 404
    assert agent.asks == []


def test_program_decides_no_approval_of_an_agent(world: RelayWorld) -> None:
    agent = world.agent()
    body = {"path": "/ask", "approve": True}
    program = replace(ME, user="ci@ci")
    assert (
        world.call(DECIDE_APPROVAL, caller=program, id="p1", query=LAPTOP, body=body).status == 200
    )

    world.people.join(ME.org, Member(user=ME.user, role=Role.OWNER, joined=0.0))
    response = world.call(DECIDE_APPROVAL, caller=program, id="p1", query=LAPTOP, body=body)

    assert (response.status, len(agent.asks)) == (409, 1)
    assert "p1: a person decides, not a program's token" in _problem(response)["detail"]


def test_agent_learns_whether_a_program_requests_an_action(world: RelayWorld) -> None:
    agent = world.agent()
    body = {"action": "skip", "paths": ["/ask"]}

    program = replace(ME, user="ci@ci")
    world.call(CONTROL, caller=program, id="p1", query=LAPTOP, body=body)
    world.people.join(ME.org, Member(user=ME.user, role=Role.OWNER, joined=0.0))
    world.call(CONTROL, caller=program, id="p1", query=LAPTOP, body=body)

    assert [ask.caller.program for ask in agent.asks] == [False, True]


def test_stored_response_that_is_too_large_is_not_read(world: RelayWorld) -> None:
    agent = world.agent()

    def respond(ask: Any) -> None:
        world.blobs.put(ask.upload.key, b" " * (MAX_STORED + 1))
        head = Head(status=200, media_type=JSON)
        agent.send(Stored(n=1, id=ask.id, key=ask.upload.key, head=head))

    agent.respond = respond

    response = world.call(GET, id="p1", query=LAPTOP)
    assert response.status == 502
    assert f"at most {MAX_STORED}" in _problem(response)["detail"]


def test_long_poll_of_a_client_is_shortened(world: RelayWorld) -> None:
    agent = world.agent()
    world.call(LOG, id="p1", query={**LAPTOP, "path": "/a", "wait": "30"})

    assert "wait=5.0" in agent.asks[0].query


def test_remote_action_is_in_the_audit_log_with_the_agent(world: RelayWorld) -> None:
    world.agent()
    world.call(CONTROL, id="p1", query=LAPTOP, body={"action": "run", "paths": ["/a"]})
    world.call(GET, id="p1", query=LAPTOP)

    (entry,) = world.audit.page(ME.org, AuditParams()).entries
    assert (entry.user, entry.operation, entry.subject, entry.paths) == (
        ME.user,
        "control",
        "a/laptop/p1",
        ("/a",),
    )


def test_summaries_are_listed_with_their_agent_and_its_age(world: RelayWorld) -> None:
    agent = world.agent()
    agent.send(Summaries(n=1, cursor=7, pipelines=(_summary(world, created=9e9),)))

    (first, *_) = json.loads(world.call(LIST).body)["pipelines"]
    assert first["pipeline"]["id"] == "local-1"
    assert first["agent"] == {
        "id": "laptop",
        "host": "laptop.local",
        "online": True,
        "seen": world.now,
    }
    agent.disconnect()
    world.now += 100
    (first, *_) = json.loads(world.call(LIST).body)["pipelines"]
    assert (first["agent"]["online"], first["agent"]["seen"]) == (False, world.now - 100)

    again = LinkedAgent(world, epoch=2)
    welcome = again.frames[0]
    assert isinstance(welcome, Welcome)
    assert welcome.summaries_cursor == 7
    again.send(Summaries(n=1, cursor=8, removed=("local-1",)))
    assert all(one["agent"] is None for one in json.loads(world.call(LIST).body)["pipelines"])


@pytest.mark.parametrize(
    ("policy", "sees"),
    [
        (LinkPolicy(), {"ann"}),
        (LinkPolicy(who="org"), {"ann", "bob"}),
        (LinkPolicy(allow=(LinkClass.CONTROL,), who="org"), set()),
    ],
)
def test_policy_decides_who_sees_the_pipelines_of_an_agent(
    world: RelayWorld, policy: LinkPolicy, sees: set[str]
) -> None:
    agent = world.agent(policy=policy)
    agent.send(Summaries(n=1, cursor=1, pipelines=(_summary(world),)))

    found = set()
    for caller in (ME, BOB):
        world.follow("page", "nothing")
        world.tokens.put("token of page", caller, expires=None)
        agent.sockets.message("page", '{"subscribe": "local-1", "agent": "laptop"}')
        listed = json.loads(world.call(LIST, caller=caller).body)["pipelines"]
        if any(one["agent"] for one in listed):
            found.add(caller.user)
            assert isinstance(agent.last(), Follow)
        else:
            assert json.loads(world.gateway.sent["page"][-1])["status"] == 404
    assert found == sees


def _follower(
    world: RelayWorld, agent: LinkedAgent, name: str, cursor: int, caller: Identity = ME
) -> None:
    world.tokens.put(f"token of {name}", caller, expires=None)
    world.connections.opened(name, f"token of {name}")
    message = {"subscribe": "local-1", "agent": "laptop", "cursor": cursor}
    agent.sockets.message(name, json.dumps(message))


def _batches(world: RelayWorld) -> list[Any]:
    """Return the event batches of a pipeline, one change each."""
    pipeline = world.launch(serial("a", "b"))
    world.run_out()
    with world.engine.reading(ME.org, pipeline) as live:
        changes = world.store.changes(pipeline, 0, 100)
        return [views.batch(live, [change], 0, live.periods) for change in changes]


def _seen_by(world: RelayWorld, name: str) -> list[int]:
    frames = world.gateway.sent.get(name, [])
    return [change["seq"] for frame in frames for change in json.loads(frame)["changes"]]


def test_changes_reach_all_followers_without_a_gap(world: RelayWorld) -> None:
    agent = world.agent()
    first, second, third, *_ = _batches(world)
    _follower(world, agent, "c1", 0)
    assert isinstance(agent.last(), Follow)
    agent.send(Batch(n=1, pipeline="local-1", batch=first))
    agent.send(Batch(n=1, pipeline="local-1", batch=second))
    _follower(world, agent, "c2", 1)
    agent.send(Batch(n=1, pipeline="local-1", batch=third))
    assert (_seen_by(world, "c1"), _seen_by(world, "c2")) == ([1, 2, 3], [])

    follows = [one for one in agent.frames if isinstance(one, Follow)]
    agent.look()
    follows = [one for one in agent.frames if isinstance(one, Follow)]
    assert [one.cursor for one in follows] == [0, 1, 1], "it is asked again for what is missing"
    for batch in (second, third):
        agent.send(Batch(n=1, pipeline="local-1", batch=batch))
    assert (_seen_by(world, "c1"), _seen_by(world, "c2")) == ([1, 2, 3], [2, 3])


def test_agent_stops_sending_changes_after_the_last_follower_left(world: RelayWorld) -> None:
    agent = world.agent()
    batch, *_ = _batches(world)
    _follower(world, agent, "c1", 0)
    agent.sockets.disconnect("c1")
    agent.send(Batch(n=1, pipeline="local-1", batch=batch))

    agent.look()
    (stop,) = [one for one in agent.frames if isinstance(one, Follow) and one.stop]
    assert stop.pipeline == "local-1"
    assert world.agents.followed(AgentKey(ME.org, "laptop"), world.now) == []


def test_new_connection_of_an_agent_continues_to_send_changes(world: RelayWorld) -> None:
    agent = world.agent()
    _follower(world, agent, "c1", 3)
    again = LinkedAgent(world, epoch=2)

    (follow,) = [one for one in again.frames if isinstance(one, Follow)]
    assert (follow.pipeline, follow.cursor, follow.caller.user) == ("local-1", 3, ME.user)
    closing = agent.last()
    assert isinstance(closing, Closing)
    assert closing.reason == "superseded"
    agent.ping()
    assert world.gateway.closed == [agent.connection]
    assert world.call(GET, id="p1", query=LAPTOP).status == 504, "the newer one is asked"


def test_followers_are_closed_once_the_policy_excludes_them(world: RelayWorld) -> None:
    agent = world.agent()
    first, second, *_ = _batches(world)
    for name, caller in (("mine", ME), ("theirs", BOB)):
        _follower(world, agent, name, 0, caller)
    agent.send(Batch(n=1, pipeline="local-1", batch=first))
    assert _seen_by(world, "theirs") == [1]

    again = LinkedAgent(world, epoch=2, policy=LinkPolicy())
    assert world.gateway.closed == ["theirs"]
    _follower(world, again, "mine", 1)
    world.follow("late", topic(AgentKey(ME.org, "laptop"), "local-1"))
    world.tokens.put("token of late", BOB, expires=None)
    again.send(Batch(n=1, pipeline="local-1", batch=second))

    assert "late" in world.gateway.closed
    assert [_seen_by(world, name) for name in ("mine", "theirs", "late")] == [[1, 2], [1], []]


def test_lower_epoch_and_the_agent_of_another_member_are_refused(world: RelayWorld) -> None:
    agent = world.agent(epoch=5)
    older = LinkedAgent(world, epoch=4)
    other = LinkedAgent(world, user="bob", epoch=9)

    for refused, words in ((older, "higher epoch"), (other, "ann, has linked")):
        closing = refused.last()
        assert isinstance(closing, Closing)
        assert closing.reason == "superseded"
        assert words in closing.detail
    assert world.call(GET, id="p1", query=LAPTOP).status == 200
    assert len(agent.asks) == 1


@pytest.mark.parametrize(
    "text",
    [
        '{"kind": "welcome", "n": 1}',
        '{"kind": "ping"}',
        '{"kind": "ping", "n": 3, "more": 1}',
        json.dumps(
            {"kind": "part", "n": 2, "id": "r", "index": 0, "last": True, "b64": "x" * 33_000}
        ),
        json.dumps(
            {"kind": "hello", "n": 2, "protocol": 1, "agent": "laptop", "epoch": 9}
            | {"host": "h", "version": "1", "policy": {}}
        ),
    ],
)
def test_frame_that_breaks_the_protocol_ends_the_connection(world: RelayWorld, text: str) -> None:
    agent = world.agent()
    agent.send_text(text)

    closing = agent.last()
    assert isinstance(closing, Closing)
    assert closing.reason == "violation"
    assert world.gateway.closed == [agent.connection]
    assert world.call(GET, id="p1", query=LAPTOP).status == 503


def test_follower_cannot_send_frames_and_an_agent_cannot_follow(world: RelayWorld) -> None:
    agent = world.agent()
    pipeline = world.launch(leaf(), run=False)
    world.follow("page", pipeline)
    world.tokens.put("token of page", replace(ME, permissions=frozenset({"read"})), expires=None)
    agent.sockets.message("page", '{"kind": "ping", "n": 1}')
    agent.sockets.message(agent.connection, json.dumps({"subscribe": pipeline}))

    assert world.gateway.closed == ["page", agent.connection]


def test_revoked_token_ends_the_link_at_its_next_message(world: RelayWorld) -> None:
    agent = world.agent()
    world.tokens.revoke_once(world.connections.token_of(agent.connection) or "")
    agent.ping()

    closing = agent.last()
    assert isinstance(closing, Closing)
    assert closing.reason == "revoked"


def test_agents_are_listed_and_forgotten_by_their_owner_or_an_administrator(
    world: RelayWorld,
) -> None:
    agent = world.agent()
    agent.send(Summaries(n=1, cursor=1, pipelines=(_summary(world),)))
    member = replace(BOB, permissions=BOB.permissions - {"manage_organisation"})

    (listed,) = json.loads(world.call(LIST_AGENTS).body)["agents"]
    assert (listed["id"], listed["host"], listed["online"]) == ("laptop", "laptop.local", True)
    assert json.loads(world.call(LINKED_AGENT, id="laptop").body) == listed
    assert world.call(FORGET_AGENT, caller=member, id="laptop").status == 403
    assert world.call(FORGET_AGENT, id="laptop").status == 200
    assert world.call(LINKED_AGENT, id="laptop").status == 404
    assert world.gateway.closed == [agent.connection]
    assert all(one["agent"] is None for one in json.loads(world.call(LIST).body)["pipelines"])


def test_agents_of_a_removed_member_are_forgotten(world: RelayWorld) -> None:
    agent = world.agent(user="bob")
    world.agent("desktop")
    owner = replace(ME, permissions=ME.permissions | {"manage_billing"})
    for user in ("ann", "bob"):
        member = Member(user=user, role=Role.OWNER, joined=0.0)
        world.people.join(ME.org, member)

    assert world.call(REMOVE_MEMBER, caller=owner, user="bob").status == 200
    assert [one["id"] for one in json.loads(world.call(LIST_AGENTS).body)["agents"]] == ["desktop"]
    assert agent.connection in world.gateway.closed


#: Prices in dollars, in us-east-1: a message and a minute of a WebSocket; a request and a GB-second
#: of Lambda; a consistent read and a write of at most 1 kB.
_MESSAGE, _MINUTE, _INVOCATION, _GB_SECOND = 1e-6, 0.25e-6, 0.2e-6, 16.67e-6
_READ, _WRITE = 0.125e-6, 0.625e-6
_MONTH = 30 * 86_400
#: Seconds of a Lambda function of 1 GB for one ping: calls of 6 ms each, and its own work.
_LAMBDA_SECONDS = 0.035


def test_idle_agent_costs_less_than_five_cents_a_month() -> None:
    with aws() as clients:
        table = DynamoTable(clients, TABLE)
        world = RelayWorld(
            agents=TableAgents(table), connections=(sockets := _TableSockets(table, clients))
        )
        world.tokens = TableTokens(table, lambda: world.now)  # type: ignore[assignment]
        world.cloud = with_ports(world.cloud, tokens=world.tokens)
        world.services = Services(world.cloud)
        world.connections = sockets  # type: ignore[assignment]
        agent = LinkedAgent(world)
        with calls_of(clients.get("dynamodb")) as calls:
            agent.ping()
    reads = sum(name in {"GetItem", "Query"} for name in calls)
    writes = len(calls) - reads
    assert (reads, writes) == (3, 1), calls
    ping = 2 * _MESSAGE + _INVOCATION + _LAMBDA_SECONDS * _GB_SECOND
    ping += (reads + 1) * _READ + writes * _WRITE  # the token of an agent has a parent as well
    assert ping * _MONTH / PING_SECONDS + _MINUTE * _MONTH / 60 < 0.05


class _TableSockets(TableConnections):
    """The connections in the table; frames are kept instead of sent."""

    def __init__(self, table: DynamoTable, clients: Clients) -> None:
        super().__init__(table, clients, str, lambda: 1_000_000.0)
        self.sent: dict[str, list[bytes]] = {}

    def send(self, connection: str, data: bytes) -> bool:
        self.sent.setdefault(connection, []).append(data)
        return True
