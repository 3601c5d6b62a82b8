"""An unused agent stops by itself, if this is configured."""

import asyncio

import pytest

from conducto_local.server.idle_shutdown import IdleShutdown, idle_seconds, stop_when_idle

HTTP = {"type": "http"}


class Summary:
    def __init__(self, *, settled):
        self.settled = settled


class Page:
    def __init__(self, pipelines):
        self.pipelines = pipelines


class Machine:
    """A runner of pipelines."""

    def __init__(self, *settled):
        self.summaries = [Summary(settled=each) for each in settled]
        self.asked = asyncio.Event()

    async def list_pipelines(self, _params):
        self.asked.set()
        return Page(self.summaries)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


async def visit(scope, receive, send):
    """A request that lasts until the test ends it."""
    await receive()


async def at_once(_scope, _receive, _send):
    """A request that takes no time."""


@pytest.mark.parametrize(
    ("text", "seconds"), [("", None), ("0", None), ("2", 7200.0), ("0.5", 1800.0)]
)
def test_hours_become_seconds_and_none_is_never(text, seconds):
    assert idle_seconds({"CONDUCTO_AGENT_IDLE_HOURS": text}) == seconds


@pytest.mark.parametrize("text", ["soon", "-1", "inf", "nan"])
def test_invalid_idle_hours_are_rejected(text):
    with pytest.raises(ValueError, match="must be a number of hours"):
        idle_seconds({"CONDUCTO_AGENT_IDLE_HOURS": text})


async def test_time_counts_from_when_the_last_one_left():
    clock = Clock()
    attendance = IdleShutdown(visit, clock)
    leave = asyncio.Event()
    inside = asyncio.create_task(attendance(HTTP, leave.wait, None))
    await asyncio.sleep(0)
    clock.now = 100.0
    while_inside = attendance.empty_for()
    leave.set()
    await inside
    clock.now = 130.0

    assert (while_inside, attendance.empty_for()) == (0.0, 30.0)


async def test_lifespan_events_do_not_count_as_requests():
    clock = Clock()
    attendance = IdleShutdown(at_once, clock)
    clock.now = 10.0

    await attendance({"type": "lifespan"}, None, None)

    assert attendance.empty_for() == 10.0


async def test_unused_agent_stops():
    clock, stop = Clock(), asyncio.Event()
    attendance = IdleShutdown(at_once, clock)
    clock.now = 1.0

    async with asyncio.timeout(10):
        await stop_when_idle(Machine(True), attendance, 0.01, stop)

    assert stop.is_set()


async def test_an_agent_with_a_pipeline_under_way_stays():
    clock, stop, machine = Clock(), asyncio.Event(), Machine(True, False)
    attendance = IdleShutdown(at_once, clock)
    clock.now = 1.0
    leaving = asyncio.create_task(stop_when_idle(machine, attendance, 0.01, stop))

    async with asyncio.timeout(10):
        await machine.asked.wait()
    stays = not stop.is_set()
    leaving.cancel()

    assert stays


async def test_without_a_limit_an_agent_stays():
    stop = asyncio.Event()

    await stop_when_idle(Machine(), IdleShutdown(at_once), None, stop)

    assert not stop.is_set()


async def test_a_needed_agent_stays() -> None:
    attendance, stop, looks = IdleShutdown(at_once), asyncio.Event(), 0

    def is_needed() -> bool:
        nonlocal looks
        looks += 1
        return looks < 3

    await asyncio.sleep(0.02)
    await stop_when_idle(Machine(), attendance, 0.01, stop, is_needed)

    assert looks == 3
