"""Work that several wait for."""

import asyncio

import pytest

from conducto_core.run.model.records import ImageState
from conducto_local.engine.port import BuildPart, ImageError
from conducto_local.images.base_images import SingleFlight, WorkNeededError
from conducto_local.images.progress import BuildLogWriter


class Log:
    def __init__(self) -> None:
        self.said: list[str] = []

    def step(self, state: ImageState) -> None:
        self.said.append(state)

    def part(self, part: BuildPart) -> None:
        self.said.append(part.name)

    def write(self, text: str) -> None:
        self.said.append(text)


class Work:
    def __init__(self) -> None:
        self.begun = 0
        self.cancelled = 0
        self.go_on = asyncio.Event()

    async def __call__(self, log: BuildLogWriter) -> int:
        self.begun += 1
        log.step(ImageState.BUILDING)
        log.write("begun\n")
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        log.write("ended\n")
        return self.begun


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_concurrent_equal_requests_share_the_work_and_its_log() -> None:
    active_attempts: SingleFlight[int] = SingleFlight()
    work, first, late = Work(), Log(), Log()
    one = asyncio.create_task(active_attempts.join("k", first, work))
    await turns()
    two = asyncio.create_task(active_attempts.join("k", late, work))
    await turns()
    work.go_on.set()

    assert await asyncio.gather(one, two) == [1, 1]
    assert first.said == late.said == ["building", "begun\n", "ended\n"]


async def test_work_that_is_over_is_done_again() -> None:
    active_attempts: SingleFlight[int] = SingleFlight()
    work = Work()
    work.go_on.set()

    assert await active_attempts.join("k", Log(), work) == 1
    assert await active_attempts.join("k", Log(), work) == 2


async def test_other_callers_continue_when_one_is_cancelled() -> None:
    active_attempts: SingleFlight[int] = SingleFlight()
    work = Work()
    one = asyncio.create_task(active_attempts.join("k", Log(), work))
    two = asyncio.create_task(active_attempts.join("k", Log(), work))
    await turns()
    one.cancel()
    await turns()
    work.go_on.set()

    assert await two == 1
    assert work.cancelled == 0


async def test_work_ends_when_the_last_gives_up() -> None:
    active_attempts: SingleFlight[int] = SingleFlight()
    work = Work()
    tasks = [asyncio.create_task(active_attempts.join("k", Log(), work)) for _ in range(2)]
    await turns()
    for task in tasks:
        task.cancel()
    await turns()

    assert work.cancelled == 1


async def test_all_callers_receive_the_failure() -> None:
    active_attempts: SingleFlight[int] = SingleFlight()

    async def fail(_log: BuildLogWriter) -> int:
        await asyncio.sleep(0)
        raise ImageError("no")

    results = await asyncio.gather(
        active_attempts.join("k", Log(), fail),
        active_attempts.join("k", Log(), fail),
        return_exceptions=True,
    )

    assert [str(result) for result in results] == ["no", "no"]


def test_failure_ends_with_the_last_lines() -> None:
    log = BuildLogWriter()
    log.step(ImageState.BUILDING)
    log.lines(f"line {number}" for number in range(100))

    text = str(log.failure("did not build"))

    assert text.splitlines()[0] == "did not build"
    assert text.splitlines()[1:] == [f"line {number}" for number in range(85, 100)]


def test_failure_without_output_is_one_line() -> None:
    with pytest.raises(ImageError, match=r"^did not build$"):
        raise BuildLogWriter().failure("did not build")


async def test_closed_single_flight_starts_no_work() -> None:
    started: list[str] = []

    async def work(_log: BuildLogWriter) -> None:
        started.append("work")

    closed: SingleFlight[None] = SingleFlight(is_open=False)
    with pytest.raises(WorkNeededError, match="built:1"):
        await closed.join("built:1", BuildLogWriter(), work)
    assert started == []
