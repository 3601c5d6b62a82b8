"""Memory by history in the cloud: earlier launches of a program decide about the next one."""

from __future__ import annotations

import asyncio

import pytest

from conducto_core.run.model.params import PipelineParams, ProgramParams
from conducto_core.run.model.requests import LaunchRequest
from conducto_core.run.model.states import Cause, State
from support.cloud.world import World
from support.trees import form, leaf, serial

GB = 2**30
TREE = serial(leaf("a"), mem="auto")


@pytest.fixture
def world() -> World:
    return World()


def launched(world: World, title: str = "sized") -> str:
    pipeline = world.launch(TREE, title=title)
    world.serve()
    return pipeline


def test_next_launch_has_the_memory_of_the_first_and_doubles_it_if_needed(world: World) -> None:
    first = launched(world)
    world.running()["/a"].finish(peak_memory=round(2.1 * GB))
    world.serve()
    world.minute()
    second = launched(world)
    world.running()["/a"].finish(Cause.OUT_OF_MEMORY, peak_memory=round(2.75 * GB))
    world.serve()
    world.minute()
    world.serve()
    world.running()["/a"].finish(peak_memory=3 * GB)
    world.serve()

    sizes = [[one.mem for one in world.attempts(each, "/a")] for each in (first, second)]
    assert sizes == [[2.0], [2.75, 5.5]]
    assert world.get(second).state is State.DONE
    used = asyncio.run(world.pipelines().memory_history(ProgramParams(title="sized")))
    assert [(one.path, one.gb, one.attempts) for one in used.nodes] == [("/a", 3.0, 3)]
    assert used.most is not None


def test_sizes_are_in_the_definition_and_the_part_of_a_client_is_ignored(world: World) -> None:
    tree = {**form(TREE), "memory": {"most": 100.0, "uses": {"/a": [50.0, 9]}}}
    request = LaunchRequest(tree=tree, title="sized", run=True)
    pipeline = asyncio.run(world.pipelines().launch(request)).pipeline.id
    stored = asyncio.run(world.pipelines().get_definition(PipelineParams(id=pipeline)))

    assert world.nodes(pipeline)["/a"].mem == 2.0
    assert stored.tree["memory"]["uses"] == {}
