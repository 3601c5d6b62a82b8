"""Workers of machine classes in the cloud."""

from __future__ import annotations

import asyncio

import pytest

from chalicelib.run.processor import CommandProcessor
from conducto.errors import DefinitionError
from conducto_core.billing.rules import use_of
from conducto_core.machines.rules import FEE, read_machines
from conducto_core.run.model.requests import LaunchRequest
from conducto_core.run.model.states import State
from support.cloud.world import World
from support.trees import form, leaf, serial


def with_classes(text: str) -> World:
    return World(machine_classes=read_machines(text))


def test_worker_of_a_class_is_launched_on_it_and_charged_at_its_price() -> None:
    world = with_classes("gpu=g6.xlarge:spot,ondemand")
    pipeline = world.launch(leaf(machine="gpu", gpu=1, spot=False))
    (task,) = world.fleet.tasks.values()

    assert task.machine is not None
    assert (task.machine.name, task.gpu, task.spot) == ("gpu", 1, False)
    assert task.size.machine == "g6.xlarge"
    world.serve()
    world.now += 3600
    world.running()["/"].finish()
    world.run_out()
    (attempt,) = world.attempts(pipeline, "/")
    assert attempt.hour == pytest.approx(0.8048 * (1 + FEE))
    assert use_of(attempt).dollars == pytest.approx(0.8048 * (1 + FEE), rel=0.01)


def test_class_of_a_pipeline_stays_as_it_was_declared_at_the_launch() -> None:
    world = with_classes("big=m7i.2xlarge")
    pipeline = world.launch(serial(leaf("a", cpu=1), leaf("b", cpu=2), machine="big"))
    world.cloud = world.over(machine_classes={})
    world.engine = CommandProcessor(world.cloud)

    world.run_out()

    assert world.get(pipeline).state is State.DONE
    assert {task.size.machine for task in world.fleet.tasks.values()} == {"m7i.2xlarge"}


def test_clients_cannot_declare_classes_of_their_own() -> None:
    world = World()
    tree = form(leaf(machine="big")) | {"machines": {"big": "big=m7i.large"}}

    with pytest.raises(DefinitionError, match="declares no machine classes"):
        asyncio.run(world.pipelines().launch(LaunchRequest(tree=tree)))
