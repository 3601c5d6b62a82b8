"""Labelled resources are found and removed: on an engine with containers, and in the fake."""

import os
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from tests.fakes.engine import FakeEngine

from conducto_local.engine.docker.engine import DockerEngine
from conducto_local.engine.port import Engine, LabelledResource, Worker, WorkerSpec
from conducto_local.engine.process.engine import ProcessEngine
from support.stand_ins import ensure

LABEL = "com.conducto.test"


@dataclass
class Bench:
    """An engine with a worker, a network and a snapshot of the worker, all of one label."""

    engine: Engine
    worker: Worker
    mark: str
    snapshot: str

    async def found(self) -> list[LabelledResource]:
        return await self.engine.find(LABEL, self.mark)

    async def one(self, kind: str) -> LabelledResource:
        (belonging,) = [each for each in await self.found() if each.kind == kind]
        return belonging


@pytest.fixture(params=["fake", pytest.param("docker", marks=pytest.mark.docker)])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    mark = f"belongings-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    labels = {LABEL: mark}
    if request.param == "docker":
        ensure(["conducto-test/busybox:latest"])
    engine: Engine = FakeEngine() if request.param == "fake" else DockerEngine(grace=0.3)
    await engine.open()
    await engine.ensure_network(mark, labels)
    spec = WorkerSpec(
        mark, "conducto-test/busybox", "/bin/sh", cpu=1, mem=0.25, network="none", labels=labels
    )
    worker = await engine.start_worker(spec)
    snapshot = f"conducto-test-snapshot:{mark}"
    try:
        await worker.snapshot(snapshot, labels)
        yield Bench(engine, worker, mark, snapshot)
    finally:
        await worker.close()
        await engine.remove_labelled({LABEL: mark})
        await engine.remove_image(snapshot)
        await engine.close()


async def test_everything_with_the_label_is_found(bench: Bench) -> None:
    found = {(each.kind, each.name) for each in await bench.found()}

    assert found == {
        ("container", bench.mark),
        ("network", bench.mark),
        ("image", bench.snapshot),
    }


async def test_nothing_with_another_value_is_found(bench: Bench) -> None:
    assert await bench.engine.find(LABEL, f"{bench.mark}-other") == []


async def test_each_kind_can_be_removed(bench: Bench) -> None:
    for kind in ("container", "network", "image"):
        assert await bench.engine.discard(await bench.one(kind))

    assert await bench.found() == []


async def test_deleted_resource_is_not_removed_again(bench: Bench) -> None:
    image = await bench.one("image")
    await bench.engine.discard(image)

    assert not await bench.engine.discard(image)


async def test_plain_processes_own_no_resources() -> None:
    engine = ProcessEngine(grace=0.3)

    assert await engine.find(LABEL, "any") == []
    assert not await engine.discard(LabelledResource("container", "x", "x"))
