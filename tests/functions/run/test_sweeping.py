"""Leftovers at AWS of ended pipelines are deleted, and none of a pipeline that continues."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chalicelib.errors import ThrottledError
from chalicelib.run.deletion import LONGEST
from chalicelib.services import Services
from conducto_core.run.model.states import Cause
from support.cloud.world import ME, SITE, World, with_ports
from support.trees import form, lazy, leaf, parallel, serial

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.cloud import FakeMachines

DAY = 86_400.0


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(folder=tmp_path)


def runs(world: World) -> list[str]:
    return sorted(run for run, _ in world.machines.runs())


def leaving_a_machine(world: World) -> str:
    """Return a pipeline that is over, whose machine was created once more by a late process."""
    pipeline = world.launch(serial("a"), retention=1)
    (machine,) = (m for m in world.machines.machines.values() if pipeline in m.name)
    world.run_out()
    assert runs(world).count(f"{pipeline}-1") == 0
    world.machines.create(machine, "acme", pipeline)
    return pipeline


def finished(world: World) -> str:
    pipeline = world.launch(serial("a"), retention=1)
    world.run_out()
    world.minute(100)
    return pipeline


def test_a_machine_says_which_run_it_is_of(world: World) -> None:
    pipeline = world.launch(serial("a"))
    names = [machine.name for machine in world.machines.machines.values()]
    assert [SITE.run_of(name) for name in names] == [f"{pipeline}-1"]
    assert all(len(name) <= 80 for name in names)


def test_the_machine_of_a_run_goes_when_the_run_is_halted(world: World) -> None:
    pipeline = world.launch(serial("a", "b"))
    world.serve()
    world.control(pipeline, "pause")
    assert runs(world) == []
    world.control(pipeline, "run")
    assert runs(world) == [f"{pipeline}-2"]
    world.run_out()
    assert world.states(pipeline)["/"] == "done"


def test_sweep_keeps_everything_of_a_running_pipeline(world: World) -> None:
    pipeline = world.launch(serial("a", "b"))
    world.serve()
    assert world.services.orphan_cleanup.run() == 0
    assert runs(world) == [f"{pipeline}-1"]
    world.run_out()
    assert world.states(pipeline)["/"] == "done"


def test_sweep_finds_leftovers_of_a_run(world: World) -> None:
    pipeline = world.launch(serial("a", "b"))
    world.serve()
    stray = next(iter(world.machines.machines.values()))
    world.control(pipeline, "pause")
    world.control(pipeline, "run")
    world.machines.create(stray, "acme", "abc")  # by a process that was late
    assert world.services.orphan_cleanup.run() == 1
    assert runs(world) == [f"{pipeline}-2"]
    assert world.services.orphan_cleanup.run() == 0


def test_settled_pipeline_needs_no_machines_and_a_reset_creates_its_own(world: World) -> None:
    pipeline = finished(world)
    assert runs(world) == []
    assert world.services.orphan_cleanup.run() == 0
    world.control(pipeline, "reset", "/a")
    world.run_out()
    assert world.states(pipeline)["/"] == "done"


def test_machines_of_generated_trees_go_with_their_run(world: World) -> None:
    pipeline = world.launch(lazy("l"))
    world.serve()
    ((_, hand),) = world.running().items()
    hand.finish(tree=form(serial("x", "y")))
    world.serve()
    assert runs(world) == [f"{pipeline}-1"] * 2
    world.control(pipeline, "pause")
    world.services.orphan_cleanup.run()
    assert runs(world) == []


def test_an_archive_gives_back_activities_and_the_next_run_has_others(world: World) -> None:
    pipeline = finished(world)
    (before,) = world.machines.activities
    world.control(pipeline, "archive")
    assert world.machines.activities == []

    world.control(pipeline, "wake")
    world.control(pipeline, "reset", "/a")
    world.control(pipeline, "run")
    (after,) = world.machines.activities
    world.run_out()

    assert after != before
    assert world.states(pipeline)["/"] == "done"


def test_archive_deletes_nothing_before_its_workers_have_stopped(world: World) -> None:
    pipeline = world.launch(parallel("a", "b"))
    world.serve()
    world.control(pipeline, "archive")
    assert len(world.machines.activities) == 1

    for hand in world.living():
        if hand.job is not None:
            hand.finish()
    world.retire()
    world.minute(100)

    assert world.machines.activities == []


def test_an_archived_pipelines_task_definitions_are_swept(world: World) -> None:
    archived, resting = finished(world), finished(world)
    world.control(archived, "archive")
    world.services.orphan_cleanup.run()
    assert set(world.fleet.defined) == {resting}


def test_retention_leaves_nothing_at_aws(world: World) -> None:
    pipeline = finished(world)
    for _ in range(2):
        world.now += 2 * DAY
        world.services.retention.run()
    world.services.orphan_cleanup.run()
    assert world.store.org_of(pipeline) is None
    assert (world.machines.activities, runs(world), world.fleet.defined) == ([], [], {})


def test_a_definition_that_was_deleted_by_half_is_swept(world: World) -> None:
    archived = finished(world)
    world.fleet.halfway.add(world.fleet.defined[archived])
    world.control(archived, "archive")
    assert world.services.orphan_cleanup.run() > 0
    assert (world.fleet.defined, world.fleet.halfway) == ({}, set())
    assert world.services.orphan_cleanup.run() == 0


class Busy:
    """Machines whose deletion AWS throttles at first.

    Attributes:
        asked: ARNs of the requested deletions, in order.
    """

    def __init__(self, machines: FakeMachines, refusals: int) -> None:
        self._machines = machines
        self.refusals = refusals
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._machines, name)

    def forget(self, arn: str) -> None:
        self._ask(arn)
        self._machines.forget(arn)

    def forget_activity(self, arn: str) -> None:
        self._ask(arn)
        self._machines.forget_activity(arn)

    def _ask(self, arn: str) -> None:
        self.asked.append(arn)
        if self.refusals > 0:
            self.refusals -= 1
            raise ThrottledError("Rate exceeded")


def test_throttled_deletions_are_swept_the_next_time(world: World) -> None:
    for _ in range(3):
        leaving_a_machine(world)
    world.services = Services(world.over(machines=Busy(world.machines, refusals=1)))
    assert world.services.orphan_cleanup.run() == 2
    assert world.services.orphan_cleanup.run() == 1
    assert runs(world) == []


def with_three_activities(world: World) -> str:
    tree = parallel(*(leaf(f"n{cpu}", cpu=cpu) for cpu in (1, 2, 4)))
    pipeline = world.launch(tree, retention=1)
    world.run_out()
    world.minute(100)
    assert len(world.machines.activities) == 3
    return pipeline


def test_archive_does_not_wait_for_throttled_deletions(world: World) -> None:
    pipeline = with_three_activities(world)
    busy = Busy(world.machines, refusals=100)
    world.services = Services(world.over(machines=busy))

    world.control(pipeline, "archive")

    assert sum(":activity:" in arn for arn in busy.asked) == 1
    assert len(world.machines.activities) == 3


def test_retention_waits_until_aws_has_deleted_all_activities(world: World) -> None:
    pipeline = with_three_activities(world)
    busy = Busy(world.machines, refusals=100)
    world.services = Services(world.over(machines=busy))
    world.control(pipeline, "archive")

    busy.refusals = 5
    world.now += 2 * DAY
    world.services.retention.run()

    assert world.machines.activities == []
    assert world.store.org_of(pipeline) is None


def test_a_sweep_ends_in_time_for_the_function_that_runs_it(world: World) -> None:
    for _ in range(3):
        leaving_a_machine(world)

    def sleep(_: float) -> None:
        world.now += LONGEST

    busy = world.over(machines=Busy(world.machines, refusals=1))
    world.services = Services(with_ports(busy, sleep=sleep))
    assert world.services.orphan_cleanup.run() == 0
    assert len(runs(world)) == 3


def test_a_sweep_that_finds_nothing_to_delete_ends_in_time_as_well(world: World) -> None:
    for _ in range(3):
        world.launch(serial("a"))
    looked, org_of = [], world.store.org_of

    def slowly(pipeline_id: str) -> str | None:
        looked.append(pipeline_id)
        world.now += LONGEST
        return org_of(pipeline_id)

    world.store.org_of = slowly  # type: ignore[method-assign]
    assert world.services.orphan_cleanup.run() == 0
    assert len(looked) == 1


def test_pipeline_woken_while_its_commands_end_continues(world: World) -> None:
    pipeline = world.launch(serial("a", "b"))
    world.serve()
    (hand,) = world.living()
    world.control(pipeline, "archive")
    world.control(pipeline, "wake")
    world.control(pipeline, "reset", "/")
    world.control(pipeline, "run")
    world.serve()
    assert hand.heartbeat()
    hand.finish(Cause.EXIT_CODE)
    world.run_out()
    world.minute(100)
    world.run_out()
    assert world.states(pipeline)["/"] == "done"
    with world.engine.reading(ME.org, pipeline) as live:
        assert live.epoch == 1
        assert {worker.pool for worker in live.registry.workers.values()} <= live.pools.keys()


def test_a_snapshot_keeps_from_which_archive_a_pipeline_came(world: World) -> None:
    world.services = Services(world.cloud, snapshot_every=1)
    pipeline = finished(world)
    world.control(pipeline, "archive")
    world.control(pipeline, "wake")
    world.services = Services(world.cloud)
    world.control(pipeline, "reset", "/a")
    world.control(pipeline, "run")
    world.run_out()
    assert world.states(pipeline)["/"] == "done"
    with world.engine.reading(ME.org, pipeline) as live:
        assert live.epoch == 1


def test_machine_of_a_small_run_is_deleted_without_listing_all_machines(world: World) -> None:
    pipeline = world.launch(serial("a"))
    (machine,) = world.machines.machines.values()

    def runs() -> object:
        raise AssertionError("all machines of the account were listed")

    world.machines.runs = runs  # type: ignore[assignment,method-assign]
    world.reconciler().execution_ended(f"{pipeline}-1", "ABORTED", machine.arn)

    assert machine.arn not in world.machines.machines
