"""The cost of stored objects, files and records: measured daily, charged by month."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.functions.workers.test_usage import DAY, OCTOBER, run, usage

from chalicelib.billing.metering import StorageMetering
from conducto_core.billing.model import CostParams, PipelineCost
from conducto_core.billing.rules import GB, Stored, month_shares, storage_dollars
from conducto_core.installation.names import pipeline_directory
from support.cloud.world import ME, World
from support.trees import leaf

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(folder=tmp_path)
    made.now = OCTOBER
    return made


def cost(world: World, pipeline: str, nodes: int = 5) -> PipelineCost:
    return asyncio.run(world.pipelines().get_cost(CostParams(id=pipeline, nodes=nodes)))


def write(world: World, pipeline: str, size: int) -> None:
    world.data.write(pipeline_directory(pipeline), "model.bin", b"x" * size)


def measure(world: World, days: float) -> int:
    world.now += days * DAY
    return StorageMetering(world.cloud.records, world.cloud.storage, world.cloud.timing.clock).run(
        60.0
    )


def test_months_are_billed_by_their_seconds() -> None:
    assert dict(month_shares(OCTOBER, OCTOBER + 3600 + 15 * DAY)) == pytest.approx(
        {"2026-10": 1 / 24 / 31, "2026-11": 0.5}
    )
    stored = Stored(objects=GB, files=2 * GB)
    whole = storage_dollars(stored, stored, OCTOBER + 3600, OCTOBER + 3600 + 30 * DAY)
    assert whole == pytest.approx({"2026-11": 0.023 + 2 * 0.16})
    assert storage_dollars(stored, stored, OCTOBER, OCTOBER - 1) == {}


def test_files_are_charged_from_launch_to_deletion(world: World) -> None:
    pipeline = run(world, {"a": 60.0}, program="/src/train.py")
    write(world, pipeline, 4 << 20)
    at_once = cost(world, pipeline)
    world.minute(100)
    world.minute(100)

    assert measure(world, 2) == 1
    assert measure(world, 0.1) == 0  # once a day
    assert measure(world, 8) == 1

    files = (4 << 20) / GB * 0.16 * 10.1 / 30
    found = cost(world, pipeline)
    assert found.storage_dollars == pytest.approx(files, rel=0.02)
    assert (found.file_bytes, at_once.file_bytes) == (4 << 20, 4 << 20)
    months = {spent.month: spent.storage_dollars for spent in usage(world).months}
    assert list(months) == ["2026-11", "2026-10"]
    assert sum(months.values()) == pytest.approx(found.storage_dollars)
    assert [(p.program, p.pipelines) for p in usage(world).programs] == [("/src/train.py", 1)] * 2

    world.now += 10 * DAY
    world.services.deletion.request(ME.org, pipeline, ME.user)
    deleted = sum(spent.storage_dollars for spent in usage(world).months)
    assert deleted == pytest.approx(2 * files, rel=0.03)


def test_a_run_that_reaches_its_time_limit_is_continued_by_the_next_one(world: World) -> None:
    """One that ends the process is skipped, so that the pipelines after it are measured."""
    pipelines = [world.launch(leaf()) for _ in range(5)]
    fatal, *rest = sorted(pipelines)

    class _KilledError(BaseException):
        pass

    def slow(directory: str, _seconds: float) -> int:
        world.now += 100.0
        if directory == pipeline_directory(fatal):
            raise _KilledError
        return 7

    world.data.total = slow  # type: ignore[method-assign]
    metering = StorageMetering(world.cloud.records, world.cloud.storage, world.cloud.timing.clock)
    with pytest.raises(_KilledError):
        metering.run(150.0)
    assert metering.run(150.0) == 2
    assert metering.run(150.0) == 2
    assert all(world.orgs.measured(name) for name in rest)
    world.now += DAY
    with pytest.raises(_KilledError):
        metering.run(150.0)
    assert metering.run(350.0) == 4


def test_a_measurement_that_was_overtaken_charges_nothing(world: World) -> None:
    pipeline = run(world, {"a": 60.0})
    write(world, pipeline, 1000)
    measured, world.orgs.measured = world.orgs.measured, lambda _id: None  # type: ignore[method-assign]
    assert measure(world, 1) == 1
    once = usage(world).months
    assert measure(world, 0.1) == 1

    world.orgs.measured = measured  # type: ignore[method-assign]
    assert usage(world).months == once


def test_cost_of_a_pipeline_has_lines_that_add_up(world: World) -> None:
    pipeline = run(world, {"a": 60.0, "b": 300.0, "c": 120.0})
    found = cost(world, pipeline, nodes=2)

    assert [node.path for node in found.nodes] == ["/b", "/c"]
    inside = sum(node.dollars for node in found.nodes) + found.more_dollars
    assert (found.more_nodes, found.free, found.running) == (1, False, 0)
    assert found.dollars == pytest.approx(inside + found.idle_dollars)
    (spent,) = usage(world).pipelines
    assert found.total_dollars - found.storage_dollars == pytest.approx(spent.total_dollars)
