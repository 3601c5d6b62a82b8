"""Workers that stay for the next run of their pipeline, and their end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from chalicelib.run.rules import snapshots
from chalicelib.services import Services
from chalicelib.workers.handlers import NO_COMMAND
from chalicelib.workers.port import TaskEnd
from conducto_core.billing.model import UsageParams
from conducto_core.billing.rules import BillingPlan
from conducto_core.run.model.states import Cause, State
from conducto_core.workers.model import WarmPool, WorkerEnd
from conducto_core.workers.rules.fargate import PRICES, Size
from support.cloud.world import LARGE, ME, World
from support.trees import leaf, parallel, serial

TWO = WarmPool(workers=2, seconds=600)
FREE = BillingPlan(max_workers=2, max_pipelines=100, exec_minutes=None)


def warm_world(plan: BillingPlan = LARGE, pool: WarmPool = TWO) -> World:
    return World(plan, warm=pool)


def ran(world: World, tree: dict[str, Any] | None = None, cause: Cause | None = None) -> str:
    run = world.launch(serial("a", "b") if tree is None else tree)
    world.run_out(lambda _path: cause)
    return run


def living(world: World, run: str) -> set[str]:
    """Return the ids of a pipeline's workers that were not asked to stop."""
    with world.engine.reading(ME.org, run) as live:
        return {worker.id for worker in live.registry.staying()}


def container(world: World, run: str, path: str) -> str | None:
    return world.attempts(run, path)[-1].container


@pytest.mark.parametrize("cause", [None, Cause.EXIT_CODE])
def test_a_rerun_uses_the_worker_of_the_run_before(cause: Cause | None) -> None:
    world = warm_world()
    run = ran(world, cause=cause)
    (worker,) = living(world, run)
    for _ in range(9):
        world.minute()

    world.control(run, "reset", "/")
    world.control(run, "run")
    world.serve()

    assert {hand.id for hand in world.running().values()} == {worker}
    assert len(world.hands) == 1
    world.run_out()
    assert world.get(run).state is State.DONE
    assert living(world, run) == {worker}


def test_a_continuation_uses_the_worker_of_the_run_before() -> None:
    world = warm_world()
    run = ran(world)

    world.continue_with(run, serial(leaf("a", command="echo changed"), "b"), run=True)
    world.run_out()

    assert world.get(run).state is State.DONE
    assert len(world.attempts(run, "/a")) == 2
    assert len(world.hands) == 1


def test_a_continuation_with_another_shell_gets_a_new_worker() -> None:
    world = warm_world()

    def image(shell: str) -> dict[str, Any]:
        return {"i": {"image": "busybox", "shell": shell}}

    def tree(command: str) -> dict[str, Any]:
        return serial(leaf("a", command=command), image_name="i")

    run = world.launch(tree("echo 1"), images=image("/bin/bash"))
    world.run_out()

    world.continue_with(run, tree("echo 2"), images=image("/bin/sh"), run=True)
    world.serve()

    (hand,) = world.running().values()
    assert hand.instructions.shell == "/bin/sh"


def test_a_warm_worker_leaves_after_its_time_and_its_idle_time_is_charged() -> None:
    world = warm_world()
    run = ran(world)
    (hand,) = world.living()
    world.reported.add(hand.arn)  # below, with times
    began = world.now
    while hand.alive:
        assert world.now - began <= TWO.seconds + 60
        world.minute()

    assert world.now - began >= TWO.seconds
    assert world.orgs.in_use(ME.org).workers == 0
    assert world.orgs.shares(ME.org) == {}
    end = TaskEnd("left", began=began, ended=world.now)
    world.reconciler().task_stopped(run, hand.id, end)
    (spent,) = asyncio.run(world.pipelines().get_usage(UsageParams())).pipelines
    hours = (world.now - began) / 3600
    assert spent.dollars == pytest.approx(PRICES.worker_hour(Size(1.0, 3.0)) * hours)


def test_without_a_warm_pool_nothing_changes() -> None:
    world = warm_world(pool=WarmPool())
    run = ran(world)

    assert living(world, run) == set()
    entries = world.store.news(run, 0).entries
    assert not any({"warm", "warm_since"} & _keys(entry) for entry in entries)


def _keys(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value).union(*(_keys(each) for each in value.values()))
    if isinstance(value, (list, tuple)):
        return set().union(*(_keys(each) for each in value))
    return set()


def test_an_organisation_keeps_the_workers_of_its_newest_runs() -> None:
    world = warm_world()
    wide = parallel("a", "b", "c")
    first = ran(world, wide)
    assert len(living(world, first)) == 2
    world.now += 5
    second = ran(world)

    assert (len(living(world, first)), len(living(world, second))) == (1, 1)
    world.now += 5
    third = ran(world, wide)
    assert [len(living(world, run)) for run in (first, second, third)] == [0, 0, 2]


def test_warm_workers_leave_at_once_for_a_pipeline_that_needs_a_worker() -> None:
    world = warm_world(FREE)
    first = ran(world, parallel("a", "b"))
    assert len(living(world, first)) == 2
    began = world.now

    second = world.launch(parallel("a", "b"))
    world.serve()

    assert world.now == began
    assert {hand.task.pipeline_id for hand in world.running().values()} == {second}
    assert len(world.running()) == 2
    assert living(world, first) == set()


def test_a_pipeline_gives_its_own_warm_workers_to_its_other_commands() -> None:
    world = warm_world(FREE)
    run = world.launch(serial(parallel("a", "b"), parallel(leaf("c", mem=4), leaf("d", mem=4))))
    world.run_out()
    assert world.get(run).state is State.DONE


def test_a_rerun_does_not_stop_a_warm_worker_that_it_needs_next() -> None:
    world = warm_world(pool=WarmPool(workers=1, seconds=600))

    def end_commands() -> None:
        world.serve()
        while running := world.running():
            world.now += 5  # the worker that is warm for longer would stop first
            running[min(running)].finish()
            world.serve()

    run = world.launch(serial(leaf("b", mem=4), leaf("a", mem=8)))
    end_commands()
    (worker,) = living(world, run)
    assert container(world, run, "/a") == worker

    world.control(run, "reset", "/")
    world.control(run, "run")
    end_commands()

    assert container(world, run, "/a") == worker


@pytest.mark.parametrize("warm", [0, 1, 3])
def test_workers_of_a_failed_pool_stay_for_a_minute_and_then_those_of_the_warm_pool(
    warm: int,
) -> None:
    world = warm_world(pool=WarmPool(workers=warm, seconds=600))
    run = world.launch(parallel("a", "b", "c", "d", "e"))
    world.run_out(lambda _path: Cause.EXIT_CODE)
    assert len(living(world, run)) == 5  # a rerun of the five begins at once

    for hand in world.living():
        hand.desk.end(hand.identity, WorkerEnd(reason=NO_COMMAND))

    assert len(living(world, run)) == warm


def test_workers_of_a_failed_pool_stay_instead_of_those_of_another_pool() -> None:
    world = warm_world()
    failing = parallel("x", "y", "z", name="failing")
    run = world.launch(serial(parallel(leaf("a", mem=8), leaf("b", mem=8)), failing))
    world.run_out(lambda path: Cause.EXIT_CODE if path.endswith("x") else None)

    workers = {container(world, run, f"/failing/{name}") for name in "xyz"}
    assert living(world, run) <= workers


@pytest.mark.parametrize("action", ["sleep", "archive"])
def test_a_pipeline_that_sleeps_keeps_no_worker(action: str) -> None:
    world = warm_world()
    run = ran(world)
    world.control(run, action)

    assert living(world, run) == set()


def test_containers_of_groups_are_not_kept() -> None:
    world = warm_world()
    new = {"container_reuse_context": "new"}
    once = ran(world, leaf(**new))
    context = ran(world, serial("a", "b", **new))

    assert living(world, once) | living(world, context) == set()


def test_another_user_with_a_change_gets_no_worker_with_the_secrets_of_the_owner() -> None:
    world = warm_world()
    run = ran(world)
    (worker,) = living(world, run)
    world.engine.note_change(ME.org, run, "modify", "eve")
    world.control(run, "reset", "/")
    world.control(run, "run")
    world.serve()

    assert worker not in {hand.id for hand in world.running().values()}


def test_a_redeployment_without_a_warm_pool_ends_it() -> None:
    world = warm_world()
    run = ran(world)
    world.cloud = world.over()
    world.services = Services(world.cloud)
    world.minute()

    assert living(world, run) == set()


def test_a_snapshot_has_the_warm_workers() -> None:
    world = warm_world()
    run = ran(world)
    with world.engine.reading(ME.org, run) as live:
        taken = snapshots.snapshot_of(live)
        assert live.warm_workers()
    definition = world.store.definition(run)
    restored = snapshots.restore(ME.org, definition, taken, lambda *_: b"")

    assert snapshots.snapshot_of(restored) == taken


def test_a_late_stop_signal_of_a_warm_worker_loses_no_task() -> None:
    world = warm_world()
    run = ran(world)
    (hand,) = world.living()
    world.control(run, "sleep")

    assert not hand.desk.end(hand.identity, WorkerEnd(reason="stopping", polling=True)).wait
