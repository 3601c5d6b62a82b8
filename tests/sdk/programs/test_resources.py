"""The times at which an engine measures an attempt, and the stored part of its measurements."""

import asyncio

import pytest
from tests.fakes.engine import FakeEngine, FakeWorker

from conducto_core.command.model import Resources
from conducto_core.command.usage import Reading, resources_in
from conducto_local.engine.port import EngineError, WorkerSpec
from conducto_local.run.usage import ContainerSampler

MB = 1_000_000


class Slow(FakeWorker):
    """A worker whose engine does not answer."""

    async def reading(self) -> Reading | None:
        await asyncio.sleep(60)
        return None


class Broken(FakeWorker):
    """A worker whose engine went away."""

    async def reading(self) -> Reading | None:
        raise EngineError("gone")


async def sampled(worker: FakeWorker, seconds: float, *, fresh: bool = True) -> Resources:
    lines: list[bytes] = []
    sampler = ContainerSampler(
        worker, lines.append, limits=(2.0, 1.0), fresh=fresh, first=0.1, every=0.1
    )
    await asyncio.sleep(seconds)
    sampler.end()
    before = len(lines)
    await asyncio.sleep(0.15)
    assert len(lines) == before
    return resources_in(b"".join(lines))


def worker(*readings: Reading, kind: type[FakeWorker] = FakeWorker) -> FakeWorker:
    engine = FakeEngine(readings=list(readings))
    return kind(engine, WorkerSpec("w", "x", "/bin/sh", 2.0, 1.0))


async def test_a_fresh_container_counts_from_the_start() -> None:
    used = await sampled(worker(Reading(0.1, 5 * MB), Reading(0.3, 7 * MB)), 0.45)

    assert used.memory == (5 * MB, 7 * MB)
    assert used.cpu == (pytest.approx(1.0, rel=0.3), pytest.approx(2.0, rel=0.3))
    assert (used.cpu_limit, used.mem_limit) == (2.0, 2**30)


async def test_earlier_use_of_a_container_is_not_counted() -> None:
    used = await sampled(worker(Reading(900.0, MB), Reading(900.1, MB)), 0.45, fresh=False)

    assert used.cpu == (pytest.approx(1.0, rel=0.3),)


async def test_quick_attempt_is_not_measured() -> None:
    asked = worker(Reading(1.0, MB))

    assert await sampled(asked, 0.02) == Resources()
    assert await asked.reading() == Reading(1.0, MB)


@pytest.mark.parametrize("kind", [FakeWorker, Slow, Broken])
async def test_engine_without_a_size_is_unlimited(kind: type[FakeWorker]) -> None:
    assert await sampled(worker(kind=kind), 0.3) == Resources()


class Stubborn(FakeWorker):
    """A worker that responds after its request was cancelled, as `asyncio.wait_for` allows."""

    async def reading(self) -> Reading | None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return Reading(1.0, MB)
        return None


async def test_measurement_after_the_end_is_not_written() -> None:
    lines: list[bytes] = []
    reported: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    sampler = ContainerSampler(
        worker(kind=Stubborn), lines.append, limits=(2.0, 1.0), fresh=True, first=0.0, every=0.1
    )
    await asyncio.sleep(0.05)
    task = sampler._task
    assert task is not None

    sampler.end()
    await asyncio.wait([task])

    assert lines == []
    assert task.cancelled()
    assert reported == []
