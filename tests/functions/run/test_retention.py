"""Inactive pipelines are archived, and later deleted with all they have."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from chalicelib.logs.port import LogKey
from chalicelib.run.deletion import REQUEST_SECONDS, DeletionRunningError
from chalicelib.services import Services
from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.installation.names import pipeline_directory
from conducto_core.run.model.params import PipelineParams
from conducto_core.run.model.records import Lifecycle
from conducto_core.run.model.states import Cause
from support.cloud.world import ME, World, with_ports
from support.trees import leaf, serial

if TYPE_CHECKING:
    from pathlib import Path

DAY = 86_400.0


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(folder=tmp_path)


def lifecycle(world: World, pipeline_id: str) -> Lifecycle:
    return world.get(pipeline_id).pipeline.lifecycle


def finished(world: World, **options: int) -> str:
    """Launch a pipeline and run it to its end, until no worker is left."""
    pipeline_id = world.launch(serial(leaf("a")), **options)
    world.run_out()
    world.minute(100)
    return pipeline_id


def test_pipeline_that_fell_asleep_is_paused_after_it_is_woken(world: World) -> None:
    pipeline_id = world.launch(serial(leaf("a")), sleep_when_done=True)
    world.run_out()
    assert lifecycle(world, pipeline_id) is Lifecycle.SLEEPING

    world.control(pipeline_id, "wake")
    world.control(pipeline_id, "reset", "/a")
    world.run_out()

    assert lifecycle(world, pipeline_id) is Lifecycle.ACTIVE
    assert world.states(pipeline_id)["/a"] == "pending"
    world.control(pipeline_id, "run")
    world.run_out()
    assert world.states(pipeline_id)["/a"] == "done"


def test_old_pipelines_are_archived_and_deleted_at_twice_the_age(world: World) -> None:
    pipeline_id = finished(world, retention=2)
    where = pipeline_directory(pipeline_id)
    world.data.write(where, "x", b"content")
    world.logs.append(LogKey(pipeline_id, "/a", 1, "stdout"), 0, b"output")
    retention = world.services.retention

    world.now += 2 * DAY - 200
    assert retention.run() == 0
    world.now += 200
    assert retention.run() == 1
    assert lifecycle(world, pipeline_id) is Lifecycle.ARCHIVED
    world.now += 2 * DAY - 10
    assert retention.run() == 0
    world.now += 10
    assert retention.run() == 1

    with pytest.raises(NotFoundError):
        world.get(pipeline_id)
    assert world.data.entries(where, "", None, 10).entries == ()
    assert world.logs.size(LogKey(pipeline_id, "/a", 1, "stdout")) == 0
    assert world.store.record(ME.org, pipeline_id) is None
    assert pipeline_id in world.fleet.released
    assert retention.run() == 0


def test_unarchived_pipeline_is_kept(world: World) -> None:
    pipeline_id = finished(world, retention=1)
    retention = world.services.retention
    world.now += DAY
    retention.run()

    world.now += DAY - 10
    world.control(pipeline_id, "wake")
    world.now += 20

    assert retention.run() == 0
    assert lifecycle(world, pipeline_id) is Lifecycle.ACTIVE


def test_running_pipelines_and_those_without_retention_are_kept(world: World) -> None:
    for_ever = finished(world, retention=0)
    running = world.launch(serial(leaf("a", max_time=10**7)), retention=1)
    world.serve()

    world.now += DAY + 10
    world.beat()
    assert world.services.retention.run() == 0

    assert lifecycle(world, for_ever) is Lifecycle.ACTIVE
    assert lifecycle(world, running) is Lifecycle.ACTIVE
    assert set(world.running()) == {"/a"}


def test_failed_deletion_does_not_block_the_others(world: World) -> None:
    first, second = finished(world, retention=1), finished(world, retention=1)

    class Stubborn:
        def forget(self, directory: str, seconds: float) -> None:
            if directory == pipeline_directory(first):
                raise OSError("the file system is unreachable")
            world.data.forget(directory, seconds)

    world.now += DAY
    world.services.retention.run()
    world.now += DAY
    world.services = Services(world.over(data=Stubborn()))

    world.services.retention.run()

    assert world.store.record(ME.org, second) is None
    assert world.store.record(ME.org, first) is not None
    world.services = Services(world.cloud)
    assert world.services.retention.run() == 1
    assert world.store.record(ME.org, first) is None


# ---- deletion on request -------------------------------------------------------------------------


def delete(world: World, pipeline_id: str) -> str:
    return asyncio.run(world.pipelines().delete_pipeline(PipelineParams(id=pipeline_id))).id


def test_a_finished_pipeline_is_deleted_on_request(world: World) -> None:
    pipeline_id, other = finished(world), finished(world)
    where = pipeline_directory(pipeline_id)
    world.data.write(where, "x", b"content")
    world.logs.append(LogKey(pipeline_id, "/a", 1, "stdout"), 0, b"output")

    assert delete(world, pipeline_id) == pipeline_id

    with pytest.raises(NotFoundError):
        world.get(pipeline_id)
    with pytest.raises(NotFoundError):
        delete(world, pipeline_id)
    assert world.data.entries(where, "", None, 10).entries == ()
    assert world.logs.size(LogKey(pipeline_id, "/a", 1, "stdout")) == 0
    assert pipeline_id in world.fleet.released
    assert lifecycle(world, other) is Lifecycle.ACTIVE


def test_an_archived_pipeline_is_deleted_on_request(world: World) -> None:
    pipeline_id = finished(world)
    world.control(pipeline_id, "archive")

    delete(world, pipeline_id)

    assert world.store.record(ME.org, pipeline_id) is None


def test_a_running_pipeline_is_not_deleted(world: World) -> None:
    pipeline_id = world.launch(serial(leaf("a")))
    world.serve()

    with pytest.raises(RefusedError, match=f"stop it first: conducto archive {pipeline_id}"):
        delete(world, pipeline_id)

    assert set(world.running()) == {"/a"}


def test_a_pipeline_of_another_organisation_is_not_deleted(world: World) -> None:
    pipeline_id = finished(world)

    with pytest.raises(NotFoundError):
        asyncio.run(
            world.pipelines(replace(ME, org="other")).delete_pipeline(
                PipelineParams(id=pipeline_id)
            )
        )

    assert lifecycle(world, pipeline_id) is Lifecycle.ACTIVE


def test_deletion_waits_until_the_workers_have_stopped(world: World) -> None:
    pipeline_id = world.launch(serial(leaf("a")))
    world.run_out(lambda _path: Cause.EXIT_CODE)  # its worker stays for a minute

    with pytest.raises(DeletionRunningError, match="its workers are stopping"):
        delete(world, pipeline_id)
    world.minute(100)

    assert delete(world, pipeline_id) == pipeline_id


def test_a_long_deletion_continues_with_the_next_request(world: World) -> None:
    pipeline_id = finished(world)
    times = iter((0.0, 1.0))
    world.services = Services(with_ports(world.cloud, clock=lambda: next(times, 1000.0)))
    with pytest.raises(DeletionRunningError, match="it has much output or history"):
        delete(world, pipeline_id)
    world.services = Services(world.cloud)

    assert delete(world, pipeline_id) == pipeline_id
    assert world.store.record(ME.org, pipeline_id) is None


def test_deletion_of_many_files_gets_the_rest_of_the_request_and_continues(world: World) -> None:
    pipeline_id = finished(world)
    given = []

    class Slow:
        def forget(self, directory: str, seconds: float) -> None:
            given.append(seconds)
            raise TimeoutError(directory)

    world.services = Services(world.over(data=Slow()))
    with pytest.raises(DeletionRunningError, match="it has many files"):
        delete(world, pipeline_id)
    world.services = Services(world.cloud)

    assert given == [REQUEST_SECONDS]
    assert delete(world, pipeline_id) == pipeline_id
