"""Frames to the followers of a pipeline: small enough for API Gateway, and complete."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.api.followers import Followers
from chalicelib.api.websocket import FORBIDDEN
from chalicelib.people.admin import Administration
from chalicelib.people.port import FRAME_LIMIT
from chalicelib.run import effects as event_push
from conducto_core.run import views
from conducto_core.run.model.records import ImageRecord, ImageState, NodeChange
from conducto_core.run.model.states import NodeType, State
from support.cloud.world import ME, World
from support.trees import leaf, parallel, serial


@pytest.fixture
def world() -> World:
    return World()


def test_frames_of_long_paths_are_within_the_limit_of_api_gateway(world: World) -> None:
    names = [f"{'long' * 100}-{n}" for n in range(40)]
    pipeline = world.launch(parallel(*names), run=False)
    world.follow("c1", pipeline)

    world.control(pipeline, "run")
    world.control(pipeline, "skip", "/")

    frames = world.gateway.sent["c1"]  # the fake refuses what AWS would
    changes = [json.loads(frame)["changes"] for frame in frames]
    assert max(map(len, changes)) > 1
    seqs = [change["seq"] for some in changes for change in some]
    assert seqs == list(range(1, world.get(pipeline).seq + 1))
    assert len(frames) > len(seqs) * 400 // FRAME_LIMIT


def test_deep_change_and_long_image_errors_fit_into_a_frame(world: World) -> None:
    deep: Any = "leaf"
    for number in range(40):
        deep = serial(deep, name=f"{'x' * 90}{number}")
    pipeline = world.launch(serial(deep), run=False)
    with world.engine.reading(ME.org, pipeline) as live:
        error = "\n".join(["no such package " * 10] * 20)
        images = [ImageRecord(name=f"i{n}", state=ImageState.ERROR, error=error) for n in range(20)]
        path = max(live.tree.nodes, key=len)
        change = NodeChange(seq=1, time=1.0, path=path, type=NodeType.EXEC, state=State.DONE)
        whole = views.batch(live, [change], 0, live.periods)
        large = whole.model_copy(update={"images": tuple(images)})

        ((frame, last),) = event_push.frames(live, large)

    assert last == 1
    assert len(frame) <= event_push.MAX_FRAME < len(large.model_dump_json())
    shown = json.loads(frame)
    assert shown["changes"][0]["path"] == change.path
    assert shown["counts"]["/"]["pending"] == 1


def test_follower_that_cannot_be_reached_delays_no_other(world: World) -> None:
    pipeline = world.launch(leaf(), run=False)
    for connection in ("c1", "c2"):
        world.follow(connection, pipeline)
    world.gateway.broken.add("c1")

    world.control(pipeline, "run")

    assert world.gateway.sent["c2"]
    world.gateway.broken.clear()
    world.run_out()
    for frames in world.gateway.sent.values():
        seqs = [change["seq"] for frame in frames for change in json.loads(frame)["changes"]]
        assert seqs == list(range(1, world.get(pipeline).seq + 1))


def _seqs(world: World, connection: str) -> list[int]:
    frames = world.gateway.sent.get(connection, [])
    return [change["seq"] for frame in frames for change in json.loads(frame)["changes"]]


@pytest.mark.parametrize("how", ["revoked", "expired", "permission"])
def test_follower_that_lost_access_gets_nothing_more_and_is_closed(world: World, how: str) -> None:
    pipeline = world.launch(serial("a", "b"), run=False)
    for connection in ("c1", "c2"):
        world.follow(connection, pipeline)
    world.control(pipeline, "run")
    before = _seqs(world, "c1")
    if how == "revoked":
        world.tokens.revoke_once("token of c1")
    else:
        may = frozenset({"read"} if how == "expired" else {"launch"})
        until = world.now if how == "expired" else None
        world.tokens.put("token of c1", replace(ME, permissions=may), expires=until)
    world.run_out()

    assert before
    assert _seqs(world, "c1") == before
    assert world.gateway.closed == ["c1"]
    assert _seqs(world, "c2")[-1] == world.get(pipeline).seq


def test_message_is_answered_even_if_its_connection_cannot_be_closed(world: World) -> None:
    pipeline = world.launch(leaf(), run=False)
    world.follow("c1", pipeline)
    world.tokens.revoke_once("token of c1")
    world.gateway.broken.add("c1")

    response = world.services.sockets.message("c1", f'{{"subscribe": "{pipeline}"}}')

    assert response == FORBIDDEN


def test_minute_rule_closes_a_connection_to_which_nothing_is_sent(world: World) -> None:
    pipeline = world.launch(leaf(), run=False)
    followers = Followers(world.connections, world.tokens)
    for connection in ("c1", "c2"):
        world.follow(connection, pipeline)
    world.connections.opened("c3", "token of c1")  # it has not said what it follows
    followers.close_expired()
    assert world.gateway.closed == []

    world.tokens.revoke_once("token of c1")
    followers.close_expired()
    assert sorted(world.gateway.closed) == ["c1", "c3"]
    assert world.connections.followers(pipeline) == [("c2", 0)]


def test_revoking_a_token_closes_its_connections_and_those_of_its_sessions(world: World) -> None:
    pipeline = world.launch(leaf(), run=False)
    for connection in ("c1", "c2", "c3"):
        world.follow(connection, pipeline)
    world.connections.opened("c2", "a session", "token of c1")
    close = Followers(world.connections, world.tokens).close_of
    admin = Administration(world.tokens, world.orgs, lambda: world.now, close)

    response = admin.respond({"kind": "revoke_token", "org": ME.org, "token": "token of c1"})
    assert response["error"] is None
    assert sorted(world.gateway.closed) == ["c1", "c2"]


def test_ending_a_session_closes_its_connections(world: World) -> None:
    pipeline = world.launch(leaf(), run=False)
    parent = world.follow("c1", pipeline)
    world.tokens.put("a session", ME, expires=None, parent=parent.token, kind="session")
    world.connections.opened("c2", "a session", parent.token)

    session = replace(ME, token="a session", parent=parent.token, kind="session")
    asyncio.run(world.services.sign_in(session).end_session())
    assert world.gateway.closed == ["c2"]
