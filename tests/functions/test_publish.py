"""Frames to the followers of a pipeline: small enough for API Gateway, and complete."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chalicelib import publish
from chalicelib.ports import FRAME_LIMIT
from conducto.model.records import ImageRecord, ImageState, NodeChange
from conducto.model.states import NodeType, State
from conducto.running import views
from support.cloud.world import ME, World
from support.trees import leaf, parallel, serial


@pytest.fixture
def world() -> World:
    return World()


def test_frames_of_long_paths_are_within_the_limit_of_api_gateway(world: World) -> None:
    names = [f"{'long' * 100}-{n}" for n in range(40)]
    pipeline = world.launch(parallel(*names), run=False)
    world.connections.put("c1", ME.org, pipeline, 0)

    world.control(pipeline, "run")
    world.control(pipeline, "skip", "/")

    frames = world.connections.sent["c1"]  # the fake refuses what AWS would
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
        whole = views.batch(live, [change], 0)
        large = whole.model_copy(update={"images": tuple(images)})

        ((frame, last),) = publish.frames(live, large)

    assert last == 1
    assert len(frame) <= publish.MAX_FRAME < len(large.model_dump_json())
    shown = json.loads(frame)
    assert shown["changes"][0]["path"] == change.path
    assert shown["counts"]["/"]["pending"] == 1


def test_follower_that_cannot_be_reached_delays_no_other(world: World) -> None:
    pipeline = world.launch(leaf(), run=False)
    for connection in ("c1", "c2"):
        world.connections.put(connection, ME.org, pipeline, 0)
    world.connections.broken.add("c1")

    world.control(pipeline, "run")

    assert world.connections.sent["c2"]
    world.connections.broken.clear()
    world.run_out()
    for frames in world.connections.sent.values():
        seqs = [change["seq"] for frame in frames for change in json.loads(frame)["changes"]]
        assert seqs == list(range(1, world.get(pipeline).seq + 1))
