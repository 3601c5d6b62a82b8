"""The containers of the pipelines: how many do what."""

import asyncio

import pytest
from tests.fakes.engine import FakeEngine

from conducto_core.run.model.requests import Workers
from conducto_local.engine.port import EngineError, Worker, WorkerSpec
from conducto_local.run.containers import Containers

GROUP = ("mine", "context:/group")
MINE = ("mine", "many")
OTHER = ("other", "many")


async def start() -> Worker:
    return await FakeEngine().start_worker(WorkerSpec("w", "x", "/bin/sh", 1.0, 1.0))


async def test_a_container_starts_is_busy_then_idle_and_counts_for_its_pipeline_only() -> None:
    containers = Containers()
    go = asyncio.Event()

    async def slowly() -> Worker:
        await go.wait()
        return await start()

    getting = asyncio.create_task(containers.get(MINE, slowly))
    await asyncio.sleep(0)
    starting = containers.pool_workers("mine")
    go.set()
    container = await getting
    busy = containers.pool_workers("mine")
    containers.put(container, reuse=True)

    assert (starting, busy) == (Workers(starting=1), Workers(busy=1))
    assert containers.pool_workers("mine") == Workers(idle=1)
    assert containers.pool_workers("other") == Workers()
    assert await containers.get(MINE, start) is container
    containers.put(container, reuse=False)
    assert containers.pool_workers("mine") == Workers()
    await containers.close()


async def test_a_container_that_does_not_start_counts_no_more() -> None:
    containers = Containers()

    async def fail() -> Worker:
        raise EngineError("gone")

    with pytest.raises(EngineError):
        await containers.get(OTHER, fail)

    assert containers.pool_workers("other") == Workers()


class Loop(asyncio.SelectorEventLoop):
    """An event loop whose clock is moved forward by tests."""

    offset = 0.0

    def time(self) -> float:
        return super().time() + self.offset


def test_the_container_of_a_group_that_does_not_continue_stays_for_15_minutes() -> None:
    lost: list[tuple[str, str]] = []

    async def main() -> None:
        containers = Containers()
        containers.when_lost = lambda container, why: lost.append((str(container.pool[1]), why))
        for pool in (MINE, GROUP):
            containers.put(await containers.get(pool, start), reuse=True)
        for seconds in (61, 900 - 62, 2):
            loop.offset += seconds
            await asyncio.sleep(0.01)  # of the moved clock: its timers run first
            left.append(containers.idle_left("mine"))
        await containers.close()

    left: list[float] = []
    with asyncio.Runner(loop_factory=Loop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, Loop)
        runner.run(main())

    assert lost == [
        ("many", "it was idle for 60 s"),
        ("context:/group", "no command of the group had run for 15 minutes"),
    ]
    assert left == [pytest.approx(839, abs=1), pytest.approx(1, abs=1), 0]
