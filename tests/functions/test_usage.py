"""What commands took and cost in the cloud: by month, pipeline and node."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from chalicelib.ports import ThrottledError
from chalicelib.retention import Retention
from conducto.model.usage import Usage, UsageParams
from conducto.semantics.fargate import PRICES, Size
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
    return asyncio.run(world.pipelines(identity).usage(UsageParams(**query)))


def run(world: World, seconds: dict[str, float], **more: Any) -> str:
    """Run a Serial whose commands take so long."""
    pipeline = world.launch(serial(*(leaf(name, cpu=2, mem=4) for name in seconds)), **more)
    for name, each in seconds.items():
        world.serve()
        world.now += each
        world.running()[f"/{name}"].finish(seconds=each)
    world.serve()
    return pipeline


def test_a_command_costs_what_its_worker_costs_while_it_runs(world: World) -> None:
    pipeline = run(world, {"a": 1800.0}, title="Train")

    (spent,) = usage(world).pipelines
    assert (spent.id, spent.title, spent.month) == (pipeline, "Train", "2026-10")
    assert (spent.attempts, spent.seconds, spent.cpu_seconds) == (1, 1800.0, 3600.0)
    assert spent.dollars == pytest.approx(PRICES.worker_hour(Size(2.0, 5.0)) / 2)


def test_what_is_metered_while_others_meter_is_not_lost(world: World) -> None:
    add, left = world.orgs.add_usage, [ThrottledError("another transaction was under way")] * 2

    def add_usage(*given: Any, **more: Any) -> None:
        if left:
            raise left.pop()
        add(*given, **more)

    world.orgs.add_usage = add_usage  # type: ignore[method-assign]
    run(world, {"a": 60.0})

    assert not left
    assert [p.seconds for p in usage(world).pipelines] == [60.0]


def test_months_are_told_apart_by_when_a_command_ended(world: World) -> None:
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


def test_what_a_pipeline_took_is_known_when_it_is_gone(world: World) -> None:
    pipeline = run(world, {"a": 60.0}, title="Gone", retention=1)
    world.minute(100)
    for _ in range(2):
        world.now += 2 * DAY
        Retention(world.engine).run()
    assert world.cloud.store.record(ME.org, pipeline) is None

    (spent,) = usage(world, nodes=5).pipelines
    assert (spent.id, spent.title, spent.seconds, spent.nodes) == (pipeline, "Gone", 60.0, ())


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
