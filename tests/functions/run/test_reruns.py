"""A rerun or rebuild resets nodes and runs the pipeline, in one request."""

from __future__ import annotations

import pytest

from conducto_core.run.model.requests import Action
from conducto_core.run.model.states import Cause, State
from support.cloud.world import World
from support.trees import leaf, serial


@pytest.fixture
def world() -> World:
    return World()


def failed(world: World) -> str:
    """Return a pipeline of which the first of two commands failed, and which is paused."""
    pipeline = world.launch(serial(leaf("a"), leaf("b")))
    world.serve()
    world.running()["/a"].finish(Cause.EXIT_CODE)
    world.run_out()
    world.control(pipeline, Action.PAUSE)
    return pipeline


@pytest.mark.parametrize("action", [Action.RERUN, Action.REBUILD])
def test_rerun_and_rebuild_run_a_paused_pipeline(world: World, action: Action) -> None:
    pipeline = failed(world)

    would = world.control(pipeline, action, "/a", preview=True)
    paused = world.get(pipeline).pipeline.armed
    result = world.control(pipeline, action, "/a")

    assert would.notes == ("the pipeline is paused; 1 other pending Exec will also run",)
    assert (paused, world.get(pipeline).pipeline.armed) == (False, True)
    assert (result.affected, result.notes, result.idle) == (1, (), None)
    world.run_out()
    assert world.nodes(pipeline)["/b"].state is State.DONE
    assert len(world.attempts(pipeline, "/a")) == 2


def test_reset_starts_nothing_in_a_paused_pipeline(world: World) -> None:
    pipeline = failed(world)

    would = world.control(pipeline, Action.RESET, "/a", preview=True)
    world.control(pipeline, Action.RESET, "/a")

    assert would.notes == ()
    assert world.get(pipeline).pipeline.armed is False


def test_rerun_of_a_node_behind_a_failure_says_that_nothing_starts(world: World) -> None:
    pipeline = failed(world)

    result = world.control(pipeline, Action.RERUN, "/b")

    why = f"nothing to run: /a failed; rerun: conducto rerun {pipeline} --failed"
    assert (result.affected, result.idle, result.notes) == (0, why, (why,))


def test_rerun_of_failures_without_any_does_not_run_the_pipeline(world: World) -> None:
    pipeline = world.launch(serial(leaf("a")))
    world.run_out()
    world.control(pipeline, Action.PAUSE)

    result = world.control(pipeline, Action.RERUN, failed=True)

    assert (result.affected, result.notes) == (0, ())
    assert world.get(pipeline).pipeline.armed is False
