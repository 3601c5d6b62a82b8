"""Workers of machine classes in the cloud."""

from __future__ import annotations

import asyncio

import pytest

from chalicelib.services import Services
from conducto.errors import DefinitionError
from conducto_core.billing.rules import use_of
from conducto_core.debug.model import RemoteShellRequest
from conducto_core.machines.rules import FEE, read_machines
from conducto_core.run.model.requests import LaunchRequest
from conducto_core.run.model.states import Cause, State
from support.cloud.world import ME, World
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
    world.services = Services(world.cloud)

    world.run_out()

    assert world.get(pipeline).state is State.DONE
    assert {task.size.machine for task in world.fleet.tasks.values()} == {"m7i.2xlarge"}


def test_clients_cannot_declare_classes_of_their_own() -> None:
    world = World()
    tree = form(leaf(machine="big")) | {"machines": {"big": "big=m7i.large"}}

    with pytest.raises(DefinitionError, match="declares no machine classes"):
        asyncio.run(world.pipelines().launch(LaunchRequest(tree=tree)))


@pytest.mark.parametrize(("rungs", "spot"), [("spot,ondemand", False), ("spot", True)])
def test_shell_of_a_class_has_its_machine_and_gpus_and_costs_as_much(
    rungs: str, spot: bool
) -> None:
    world = with_classes(f"gpu=g6.xlarge:{rungs}")
    pipeline = world.launch(serial(leaf("a", machine="gpu", gpu=1)))
    world.serve()
    world.running()["/a"].finish(Cause.EXIT_CODE, exit_code=1)
    world.serve()
    world.fleet.tasks.clear()

    sessions = world.services.shells
    opened = sessions.open(ME, pipeline, RemoteShellRequest(path="/a", seconds=3600))
    (task,) = world.fleet.tasks.values()
    shell = world.shells.find(pipeline, opened.id)

    assert task.shell
    assert task.machine is not None
    assert (task.machine.name, task.gpu, task.spot) == ("gpu", 1, spot)
    assert shell is not None
    assert shell.size == task.size
    assert shell.size.hour == pytest.approx(0.8048 * (1 + FEE))


def test_shell_of_a_command_on_fargate_has_no_class() -> None:
    world = with_classes("gpu=g6.xlarge")
    pipeline = world.launch(serial(leaf("a")))
    world.serve()
    world.running()["/a"].finish(Cause.EXIT_CODE, exit_code=1)
    world.serve()
    world.fleet.tasks.clear()

    world.services.shells.open(ME, pipeline, RemoteShellRequest(path="/a"))
    (task,) = world.fleet.tasks.values()

    assert (task.machine, task.gpu, task.size.machine) == (None, 0, "")
