"""The agent's link: requests, the list of pipelines, changes, shells, and lost connections."""

import asyncio
import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fakes.relay_cloud import RelayCloud
from tests.local_runner.remote.conftest import QUICK, LinkedAgent
from tests.support.bucket import HttpBucket

from conducto_core.api.operation import LinkClass
from conducto_core.debug.terminal import ShellNote, ShellParams
from conducto_core.remote import model as relay
from conducto_core.remote.model import LinkPolicy
from conducto_core.remote.rules import ALLOWABLE
from conducto_core.run.model.params import PipelineParams
from conducto_core.run.model.requests import Action, NodeView
from conducto_core.run.model.states import NodeType, State
from conducto_local.agent.state_dir import StateDir
from conducto_local.remote.link import is_linked, keep_linked

ADA = relay.Caller(user="ada")
EVERYTHING = LinkPolicy(allow=ALLOWABLE, who="org")


@pytest.fixture
def bucket() -> Iterator[HttpBucket]:
    made = HttpBucket(b"x" * 50_000)
    yield made
    made.close()


async def test_link_greets_and_lists_pipelines(agent: LinkedAgent, cloud: RelayCloud) -> None:
    agent.configure(cloud)
    async with agent.linked():
        await cloud.until(lambda: "p1" in cloud.pipelines)
        agent.pipelines.finish("p1", "/")
        await cloud.until(lambda: cloud.pipelines["p1"].state is State.DONE)
        status = agent.files.read_status()

    assert (cloud.hellos[0].agent, cloud.hellos[0].epoch) == ("abcd2345", 1)
    assert cloud.hellos[0].policy == LinkPolicy()
    assert status is not None
    assert (status.state, status.problem) == ("connected", None)


async def test_acknowledged_summaries_are_not_sent_again(
    agent: LinkedAgent, cloud: RelayCloud
) -> None:
    agent.configure(cloud)
    async with agent.linked():
        await cloud.until(lambda: "p1" in cloud.pipelines)
        assert (await cloud.ask("get_pipeline", params={"id": "p1"})).status == 200
    sent = len([frame for frame in cloud.frames if isinstance(frame, relay.Summaries)])
    async with agent.linked():
        await cloud.until(lambda: len(cloud.hellos) == 2)
        assert (await cloud.ask("get_pipeline", params={"id": "p1"})).status == 200
        again = len([frame for frame in cloud.frames if isinstance(frame, relay.Summaries)])

    assert again == sent


async def test_summaries_replace_the_list_of_a_cloud_that_lost_it(
    agent: LinkedAgent, cloud: RelayCloud
) -> None:
    agent.configure(cloud)
    async with agent.linked():
        await cloud.until(lambda: "p1" in cloud.pipelines)
    cloud.pipelines = {"old": None}
    cloud.cursor = 77
    async with agent.linked():
        await cloud.until(lambda: set(cloud.pipelines) == {"p1"})

    assert cloud.cursor > 77


async def test_requests_run_through_the_service_of_the_agent(
    agent: LinkedAgent, cloud: RelayCloud
) -> None:
    agent.configure(cloud)
    run = {"action": Action.RUN}
    async with agent.linked():
        await cloud.until(lambda: bool(cloud.hellos))
        found = await cloud.ask("get_tree", params={"id": "p1"})
        missing = await cloud.ask("get_pipeline", params={"id": "nowhere"})
        invalid = await cloud.ask("control", params={"id": "p1"}, body={"action": "explode"})
        done = await cloud.ask("control", params={"id": "p1"}, body=run)

    assert found.json()["nodes"][0]["path"] == "/"
    assert missing.status == 404
    assert invalid.status == 403  # an unreadable action has the highest class
    assert done.status == 200
    assert [request.action for _, request in agent.pipelines.actions] == [Action.RUN]


async def test_repeated_request_is_executed_once(agent: LinkedAgent, cloud: RelayCloud) -> None:
    agent.configure(cloud)
    run = {"action": Action.RUN}
    key = relay.AskHeaders(idempotency_key="k1")
    async with agent.linked():
        await cloud.until(lambda: bool(cloud.hellos))
        await cloud.ask("control", id="one", params={"id": "p1"}, body=run)
        b64 = base64.b64encode(json.dumps(run).encode()).decode()
        repeated = {"id": "one", "caller": ADA, "operation": "control", "b64": b64}
        await cloud.send(relay.Ask, params={"id": "p1"}, **repeated)
        await cloud.ask("control", id="two", params={"id": "p1"}, body=run, headers=key)
        await cloud.ask("control", id="three", params={"id": "p1"}, body=run, headers=key)

    assert len(agent.pipelines.actions) == 2
    assert cloud.executed["one"] == 1


async def test_large_response_comes_in_parts_or_at_the_storage(
    agent: LinkedAgent, cloud: RelayCloud, bucket: HttpBucket
) -> None:
    agent.configure(cloud, url=bucket.url)
    agent.pipelines.change("p1", "/", State.RUNNING)
    agent.pipelines.write("p1", "/", os.urandom(60_000).hex().encode())
    cloud.upload = relay.Upload(key="answers/1", url=f"{bucket.url}/answers/1")
    log = {"params": {"id": "p1"}, "query": "path=%2F&attempt=1&stream=stdout"}
    async with agent.linked():
        await cloud.until(lambda: bool(cloud.hellos))
        large = await cloud.ask("download_log", **log)
        part = relay.AskHeaders(range="bytes=0-69999")
        smaller = await cloud.ask("download_log", **log, headers=part)

    assert (large.status, large.key) == (200, "answers/1")
    assert len(bucket.taken["/answers/1"]) == 120_000
    assert (smaller.status, len(smaller.body)) == (206, 70_000)


async def test_large_body_is_read_from_the_storage_only(
    agent: LinkedAgent, cloud: RelayCloud, bucket: HttpBucket
) -> None:
    agent.configure(cloud, EVERYTHING, url=bucket.url)
    write = {"params": {"id": "p1"}, "query": "name=a"}
    stranger = HttpBucket(b"x", host="127.0.0.2")
    async with agent.linked():
        await cloud.until(lambda: bool(cloud.hellos))
        written = await cloud.ask("write_data", **write, url=f"{bucket.url}/body")
        refused = await cloud.ask("write_data", **write, url=f"{stranger.url}/body")
    stranger.close()

    assert (written.status, written.json()["size"]) == (200, 50_000)
    assert refused.status == 502
    assert "127.0.0.2" in refused.json()["detail"]


async def test_followed_pipeline_sends_changes_until_stopped(
    agent: LinkedAgent, cloud: RelayCloud
) -> None:
    agent.configure(cloud)
    async with agent.linked():
        await cloud.until(lambda: bool(cloud.hellos))
        await cloud.send(relay.Follow, caller=relay.Caller(user="eve"), pipeline="p1")
        await cloud.send(relay.Follow, caller=ADA, pipeline="p1")
        agent.pipelines.finish("p1", "/")
        await cloud.until(lambda: any(b.pipeline.state is State.DONE for b in cloud.batches["p1"]))
        await cloud.send(relay.Follow, caller=ADA, pipeline="p1", stop=True)
        await cloud.ask("get_pipeline", params={"id": "p1"})
        readers = agent.pipelines.readers("p1")

    assert readers == 0


async def test_shell_reorders_input_and_ends_with_its_code(
    agent: LinkedAgent, cloud: RelayCloud
) -> None:
    agent.configure(cloud, LinkPolicy(allow=ALLOWABLE))
    agent.pipelines.finish("p1", "/")

    def typed(text: bytes) -> str:
        return base64.b64encode(text).decode()

    async with agent.linked():
        await cloud.until(lambda: bool(cloud.hellos))
        ticket = await cloud.ask("open_shell", params={"id": "p1"}, body={"path": "/"})
        opened = ShellParams(ticket=ticket.json()["ticket"], lines=30, columns=90)
        shell = {"id": "s1", "caller": ADA}
        await cloud.send(relay.ShellInput, **shell, seq=1, b64=typed(b"echo 1\r"))
        await cloud.send(relay.ShellInput, **shell, seq=0, open=opened)
        await cloud.send(relay.ShellInput, **shell, seq=3, b64=typed(b"exit 7\r"))
        await cloud.send(relay.ShellInput, **shell, seq=2, note=ShellNote(lines=40, columns=100))
        await cloud.until(lambda: any(one.end for one in cloud.shells["s1"]))

    output = b"".join(base64.b64decode(one.b64) for one in cloud.shells["s1"])
    assert cloud.shells["s1"][-1].end is not None
    assert cloud.shells["s1"][-1].end.code == 7
    assert b"echo 1" in output
    assert agent.shell.sizes[-1] == (40, 100)


async def test_frames_out_of_order_are_processed_in_order(
    agent: LinkedAgent, cloud: RelayCloud
) -> None:
    agent.configure(cloud)
    agent.pipelines.add("p2", [NodeView(path="/", type=NodeType.EXEC, state=State.PENDING)])
    async with agent.linked():
        await cloud.until(lambda: bool(cloud.pipelines))
        cloud.delay = True
        await cloud.send(relay.Follow, caller=ADA, pipeline="p1")
        await cloud.send(relay.Follow, caller=ADA, pipeline="p1", stop=True)
        cloud.delay = False
        await cloud.ask("get_pipeline", params={"id": "p1"})
        stopped = agent.pipelines.readers("p1")
        cloud.delay = True
        await cloud.send(relay.Follow, caller=ADA, pipeline="p1")
        await cloud.send(relay.Follow, caller=ADA, pipeline="p2")
        cloud.delay = False
        await cloud.until(lambda: all(agent.pipelines.readers(one) for one in ("p1", "p2")))

    assert stopped == 0


async def test_policy_change_on_the_machine_applies_at_once(
    agent: LinkedAgent, cloud: RelayCloud
) -> None:
    agent.configure(cloud)
    data = {"params": {"id": "p1"}, "query": "name=a", "body": b"1"}
    run = {"params": {"id": "p1"}, "body": {"action": "run"}}
    async with agent.linked():
        await cloud.until(lambda: bool(cloud.pipelines))
        refused = await cloud.ask("write_data", **data)
        agent.configure(cloud, LinkPolicy(allow=ALLOWABLE))
        allowed = await cloud.ask("write_data", **data)
        await cloud.until(lambda: len(cloud.hellos) == 2)
        agent.configure(cloud, LinkPolicy(allow=(LinkClass.READ, LinkClass.CONTROL)))
        withdrawn = await cloud.ask("control", **run)
        other = await cloud.ask("get_pipeline", user="bob", params={"id": "p1"})

    assert refused.status == 403
    assert refused.json()["remedy"].endswith("conducto agent link --allow read,control,author")
    assert allowed.status == 200
    assert withdrawn.status == 403  # a change through the link needs author
    assert other.status == 403
    assert cloud.hellos[1].policy.allow == ALLOWABLE


async def test_renewed_connection_replaces_the_old_one_without_a_gap(
    agent: LinkedAgent, cloud: RelayCloud
) -> None:
    agent.configure(cloud)
    quick = type(QUICK)(tick=0.01, renew=0.1, ping=0.03, grace=0.05, stable=0.05)
    async with agent.linked(quick):
        await cloud.until(lambda: len(cloud.hellos) == 3)
        await cloud.until(cloud.peers[0].closed.is_set)
        answer = await cloud.ask("get_pipeline", params={"id": "p1"})

    assert answer.status == 200
    assert [hello.epoch for hello in cloud.hellos][:3] == [1, 2, 3]
    assert any(isinstance(frame, relay.Ping) for frame in cloud.frames)


async def test_superseded_agent_stops_until_it_is_linked_again(
    agent: LinkedAgent, cloud: RelayCloud
) -> None:
    agent.configure(cloud)
    async with agent.linked():
        await cloud.until(lambda: bool(cloud.pipelines))
        await cloud.send(relay.Closing, reason="superseded")
        await cloud.until(cloud.peer.closed.is_set)
        agent.configure(cloud, agent="other234")
        await cloud.until(lambda: len(cloud.hellos) == 2)

    assert cloud.hellos[1].agent == "other234"


async def test_machine_that_is_linked_again_leaves_the_old_identity_at_once(
    agent: LinkedAgent, cloud: RelayCloud
) -> None:
    agent.configure(cloud)
    slow = agent.timing(grace=60.0)
    async with agent.linked(slow):
        await cloud.until(lambda: bool(cloud.pipelines))
        agent.configure(cloud, agent="other234")
        await cloud.until(cloud.peers[0].closed.is_set)
        await cloud.until(lambda: len(cloud.hellos) == 2)
        agent.files.take_over()
        await cloud.peer.socket.close()
        await cloud.until(lambda: len(cloud.hellos) == 3)

    assert [hello.epoch for hello in cloud.hellos] == [1, 2, 1003]


async def test_rejected_token_is_reported_and_tried_again(
    agent: LinkedAgent, cloud: RelayCloud
) -> None:
    agent.configure(cloud, token="old")
    async with agent.linked():
        await cloud.until(lambda: _state(agent) == "rejected")
        status = agent.files.read_status()
        cloud.token = "old"
        await cloud.until(lambda: _state(agent) == "connected")

    assert status is not None
    assert status.problem is not None
    assert "conducto agent link" in status.problem


def _state(agent: LinkedAgent) -> str | None:
    status = agent.files.read_status()
    return None if status is None else status.state


async def test_sleep_of_the_machine_is_noticed_by_the_clock(
    agent: LinkedAgent, cloud: RelayCloud
) -> None:
    agent.configure(cloud)
    woken = agent.timing(jump=0.0)  # as if the clock had jumped between any two ticks
    async with agent.linked(woken):
        await cloud.until(lambda: any(isinstance(frame, relay.Ping) for frame in cloud.frames))


async def test_link_starts_once_the_profile_is_linked(
    agent: LinkedAgent, cloud: RelayCloud, tmp_path: Path
) -> None:
    home = StateDir(tmp_path, "default")
    starting = asyncio.create_task(keep_linked(home, agent.service(), agent.pipelines, 0.01))
    try:
        before = is_linked(home)
        agent.configure(cloud)
        await cloud.until(lambda: "p1" in cloud.pipelines)
        after = is_linked(home)
    finally:
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)

    assert (before, after) == (False, True)


async def test_changes_of_a_day_offline_are_complete_and_bounded(
    agent: LinkedAgent, cloud: RelayCloud
) -> None:
    """An hour of attempts to connect is ten here, at most 5 ms apart instead of five minutes."""
    agent.configure(cloud)
    day = agent.timing(first_backoff=0.0005, longest_backoff=0.005)
    async with agent.linked(day):
        await cloud.until(lambda: "p1" in cloud.pipelines)
        agent.pipelines.finish("p1", "/")
        await cloud.send(relay.Follow, caller=ADA, pipeline="p1")
        await cloud.until(lambda: bool(cloud.batches["p1"]))
        cloud.down = True
        await cloud.peer.socket.close(1001)
        for hour in range(24):
            attempts = cloud.refused
            for _ in range(20):
                agent.pipelines.finish("p1", "/")
            agent.pipelines.add(
                f"h{hour}", [NodeView(path="/", type=NodeType.EXEC, state=State.PENDING)]
            )
            await cloud.until(lambda attempts=attempts: cloud.refused >= attempts + 10)  # type: ignore[misc]
        last = (await agent.pipelines.get_pipeline(PipelineParams(id="p1"))).seq
        before = len(cloud.frames)
        cloud.down = False
        await cloud.until(lambda: len(cloud.hellos) == 2)
        await cloud.send(relay.Follow, caller=ADA, pipeline="p1", cursor=0)  # as after a hello

        def seen() -> list[int]:
            return [one.seq for batch in cloud.batches["p1"] for one in batch.changes]

        await cloud.until(lambda: bool(seen()) and seen()[-1] == last)
        await cloud.until(lambda: {f"h{hour}" for hour in range(24)} <= set(cloud.pipelines))
        await cloud.until(lambda: cloud.pipelines["p1"].seq == last)

    assert sorted(set(seen())) == list(range(1, last + 1))
    assert last >= 24 * 20
    assert len(cloud.frames) - before < 60, "the changes are sent once, and states only as they are"
