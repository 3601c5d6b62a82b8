"""Time and cost of commands in the cloud: by month, pipeline and node."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from chalicelib.errors import ThrottledError
from chalicelib.workers.port import TaskEnd
from conducto_core.billing.model import Usage, UsageParams
from conducto_core.run.model.states import Cause
from conducto_core.workers.rules.fargate import PRICES, Size
from support.cloud.world import ME, STRANGER, World
from support.trees import leaf, serial

#: Seconds from the epoch to 2026-10-31 23:00 UTC.
OCTOBER = 1_793_487_600.0
DAY = 86_400.0


@pytest.fixture
def world() -> World:
    made = World()
    made.now = OCTOBER
    return made


def usage(world: World, identity: Any = ME, **query: Any) -> Usage:
    return asyncio.run(world.pipelines(identity).get_usage(UsageParams(**query)))


def run(world: World, seconds: dict[str, float], *, last: Cause | None = None, **more: Any) -> str:
    """Run a Serial whose commands take so long; the worker stays after a failure."""
    pipeline = world.launch(serial(*(leaf(name, cpu=2, mem=4) for name in seconds)), **more)
    for name, each in seconds.items():
        world.serve()
        world.now += each
        cause = last if name == list(seconds)[-1] else None
        world.running()[f"/{name}"].finish(cause, seconds=each)
    world.serve()
    return pipeline


def test_command_costs_as_much_as_its_worker_while_it_runs(world: World) -> None:
    pipeline = run(world, {"a": 1800.0}, title="Train")

    (spent,) = usage(world).pipelines
    assert (spent.id, spent.title, spent.month) == (pipeline, "Train", "2026-10")
    assert (spent.attempts, spent.seconds, spent.cpu_seconds) == (1, 1800.0, 3600.0)
    assert spent.dollars == pytest.approx(PRICES.worker_hour(Size(2.0, 5.0)) / 2)


def test_usage_metered_concurrently_is_not_lost(world: World) -> None:
    add, left = world.orgs.add_usage, [ThrottledError("another transaction was under way")] * 2

    def add_usage(*given: Any, **more: Any) -> None:
        if left:
            raise left.pop()
        add(*given, **more)

    world.orgs.add_usage = add_usage  # type: ignore[method-assign]
    run(world, {"a": 60.0})

    assert not left
    assert [p.seconds for p in usage(world).pipelines] == [60.0]


def test_usage_is_assigned_to_the_month_of_the_commands_end(world: World) -> None:
    run(world, {"a": 60.0, "b": 3600.0})

    report = usage(world)
    assert [(m.month, m.seconds) for m in report.months] == [("2026-11", 3600.0), ("2026-10", 60.0)]
    assert [p.seconds for p in usage(world, month="2026-10").pipelines] == [60.0]
    assert usage(world, month="2026-09").months == ()
    assert (report.priced, report.region) == (PRICES.date, PRICES.region)


def test_the_dearest_nodes_are_named_and_the_rest_is_counted(world: World) -> None:
    run(world, {"a": 60.0, "b": 300.0, "c": 120.0})

    (spent,) = usage(world, month="2026-10", nodes=2).pipelines
    assert [(node.path, node.seconds) for node in spent.nodes] == [("/b", 300.0), ("/c", 120.0)]
    assert spent.more_nodes == 1
    assert usage(world).pipelines[0].nodes == ()


def test_usage_of_a_deleted_pipeline_is_known(world: World) -> None:
    pipeline = run(world, {"a": 60.0}, title="Gone", retention=1)
    world.minute(100)
    world.minute(100)
    for _ in range(2):
        world.now += 2 * DAY
        world.services.retention.run()
    assert world.cloud.records.store.record(ME.org, pipeline) is None

    *_, spent = usage(world, nodes=5).pipelines
    assert (spent.id, spent.title, spent.seconds, spent.nodes) == (pipeline, "Gone", 60.0, ())


def test_usage_of_one_program_has_only_its_pipelines(world: World) -> None:
    nightly = run(world, {"a": 60.0}, title="Nightly")
    run(world, {"b": 300.0}, title="Weekly")

    found = usage(world, title="Nightly", month="2026-10")
    assert [one.id for one in found.pipelines] == [nightly]
    assert [one.seconds for one in found.months] == [60.0]


def test_another_organisation_does_not_see_it(world: World) -> None:
    run(world, {"a": 60.0})

    assert usage(world, STRANGER).pipelines == ()


def test_a_report_that_comes_twice_is_paid_for_once(world: World) -> None:
    world.launch(leaf("a"))
    world.serve()
    (hand,) = world.running().values()
    job, identity = hand.job, hand.identity
    hand.finish(seconds=60.0)
    hand.job = job
    assert hand.identity == identity
    hand.finish(seconds=60.0)

    (spent,) = usage(world).pipelines
    assert (spent.attempts, spent.seconds) == (1, 60.0)


def _end(world: World, seconds: float | None) -> TaskEnd:
    """Return how ECS tells of a task that it has charged for so long."""
    began = None if seconds is None else world.now - seconds
    return TaskEnd("stopped", began=began, ended=world.now)


def test_worker_is_charged_from_the_pull_of_its_image_to_its_stop(world: World) -> None:
    pipeline = run(world, {"a": 300.0, "b": 100.0}, last=Cause.EXIT_CODE)
    (hand,) = world.living()
    hand.leave("idle")
    world.now += 20
    for _ in range(3):  # whatever comes late, or twice
        world.reconciler().task_stopped(pipeline, hand.id, _end(world, 500.0))
        world.now += 5
    world.minute(400)

    (spent,) = usage(world, nodes=5).pipelines
    assert (spent.attempts, spent.seconds, spent.cpu_seconds) == (2, 500.0, 1000.0)
    assert spent.dollars == pytest.approx(PRICES.worker_hour(Size(2.0, 5.0)) * 500 / 3600)
    assert sum(node.seconds for node in spent.nodes) == 400.0
    assert world.orgs.usage(ME.org, "2026-10")["exec_seconds"] == 500.0


@pytest.mark.parametrize("lost", [True, False])
def test_worker_whose_command_is_lost_or_killed_is_charged(world: World, *, lost: bool) -> None:
    pipeline = world.launch(leaf("a"))
    world.serve()
    (hand,) = world.living()
    world.now += 600
    if not lost:
        world.control(pipeline, "kill", "/")
        hand.finish(Cause.KILLED_BY_USER, seconds=590.0)
    hand.vanish()
    world.reconciler().task_stopped(pipeline, hand.id, _end(world, 640.0))

    (spent,) = usage(world).pipelines
    assert spent.seconds == 640.0


def test_worker_that_runs_no_command_is_charged_a_minute_at_least(world: World) -> None:
    pipeline = world.launch(leaf("a"))
    (hand,) = world.start_workers()
    hand.vanish()
    world.reconciler().task_stopped(pipeline, hand.id, _end(world, 3.0))
    assert usage(world).pipelines == ()

    world.now += 10
    world.reconciler().run()
    assert [p.seconds for p in usage(world).pipelines] == [60.0]


def test_task_that_aws_never_began_is_not_charged(world: World) -> None:
    pipeline = world.launch(leaf("a"))
    (hand,) = world.start_workers()
    hand.vanish()
    world.reconciler().task_stopped(pipeline, hand.id, _end(world, None))

    assert usage(world).pipelines == ()


def test_worker_whose_stop_event_is_missing_is_looked_up_and_charged_once(world: World) -> None:
    pipeline = run(world, {"a": 100.0}, last=Cause.EXIT_CODE)
    (hand,) = world.living()
    world.reported.add(hand.arn)  # its event does not come
    hand.leave("idle")
    assert list(world.store.open_pipelines()) == [(ME.org, pipeline)]
    world.fleet.times[hand.arn] = (world.now - 170.0, world.now)
    world.minute(200)
    world.minute(200)
    world.reconciler().task_stopped(pipeline, hand.id, _end(world, 900.0))

    assert [p.seconds for p in usage(world).pipelines] == [170.0]
    assert list(world.store.open_pipelines()) == []
