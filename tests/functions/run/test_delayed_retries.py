"""Retries with a delay in the cloud: the worker is released, and another run continues."""

from __future__ import annotations

import pytest

import conducto as co
from conducto.errors import DefinitionError
from conducto_core.run.model.requests import Changes
from conducto_core.run.model.states import Cause, State
from support.cloud.world import World
from support.trees import leaf, serial

WAITS = {"number": 1, "delay": 90, "on": [75]}


@pytest.fixture
def world() -> World:
    return World()


def launched(world: World) -> str:
    pipeline = world.launch(serial(leaf("a", retry=WAITS), leaf("b")))
    world.serve()
    world.running()["/a"].finish(Cause.EXIT_CODE, exit_code=75)
    world.serve()
    return pipeline


def test_worker_is_released_while_a_command_waits_for_its_retry(world: World) -> None:
    pipeline = launched(world)

    node = world.nodes(pipeline)["/a"]
    assert (node.state, node.wait_kind) == (State.PENDING, "retry")
    assert node.waits_for == "retries in 1m 30s"
    assert len(world.fleet.stopped) == len(world.fleet.tasks) == 1
    assert world.get(pipeline).settled is False

    world.minute()
    assert world.nodes(pipeline)["/a"].state is State.PENDING

    world.minute()
    world.serve()
    world.run_out()
    assert world.get(pipeline).state is State.DONE
    assert [a.cause for a in world.attempts(pipeline, "/a")] == [Cause.EXIT_CODE, None]


def test_worker_stays_for_a_retry_within_a_minute(world: World) -> None:
    soon = {"number": 1, "delay": 10}
    pipeline = world.launch(serial(leaf("a", retry=soon), leaf("b")))
    world.serve()

    world.running()["/a"].finish(Cause.EXIT_CODE, exit_code=75)
    world.serve()
    assert world.fleet.stopped == []

    world.minute(15)
    world.serve()
    world.run_out()
    assert world.get(pipeline).state is State.DONE
    assert len(world.fleet.tasks) == 1


def test_rerun_starts_the_retry_at_once(world: World) -> None:
    pipeline = launched(world)

    world.control(pipeline, "reset", "/a")
    world.serve()

    assert set(world.running()) == {"/a"}
    world.run_out()
    assert world.get(pipeline).state is State.DONE


def test_command_waits_for_no_retry_of_another_exit_code(world: World) -> None:
    pipeline = world.launch(serial(leaf("a", retry=WAITS)))
    world.serve()

    world.running()["/a"].finish(Cause.EXIT_CODE, exit_code=1)

    assert world.get(pipeline).state is State.ERROR


def test_policy_can_be_modified(world: World) -> None:
    pipeline = world.launch(leaf(), run=False)
    changes = Changes.model_validate({"retry": co.retry(2, delay=300).to_wire()})
    world.control(pipeline, "modify", "/", changes=changes)
    world.control(pipeline, "run")
    world.serve()

    world.running()["/"].finish(Cause.EXIT_CODE, exit_code=1)

    assert world.nodes(pipeline)["/"].state is State.PENDING
    bad = Changes.model_validate({"retry": {"number": -1}})
    with pytest.raises(DefinitionError, match="retry: number must be a whole number"):
        world.control(pipeline, "modify", "/", changes=bad)
