"""Schedules of a real agent: launches, restarts, scripts and chains."""

import asyncio
import getpass
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

import conducto as co
from conducto.errors import DefinitionError
from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.run.model.params import ListParams
from conducto_core.schedules import model as s
from conducto_core.schedules.handlers import ScheduleOperations
from conducto_local.agent.runner import open_parts
from conducto_local.agent.state_dir import StateDir
from conducto_local.run.clock import Clock
from conducto_local.schedules.timer import ScheduleTimer
from support.disks import fill, small_disk
from support.local import Local, Run, eventually

HOURLY = {"name": "hourly", "cron": "0 * * * *"}


class Agent:
    """An agent with a clock that a test sets, and its schedules."""

    def __init__(self, local: Local, schedules: ScheduleOperations, clock: list[float]) -> None:
        self.local, self.schedules, self._clock = local, schedules, clock

    async def source(self, command: str = "true") -> s.TemplateSource:
        done: Run = await self.local.launch(co.Exec(command), run=False, title="Load")
        return s.TemplateSource(kind="template", pipeline=done.id)

    async def create(self, **fields: object) -> s.ScheduleView:
        return await self.schedules.create_schedule(s.NewSchedule(**{**HOURLY, **fields}))

    def advance(self, seconds: float) -> None:
        """Move the clock, and let the timer look at it, as it does once a minute."""
        self._clock[0] += seconds
        self.schedules._caller.changed()

    async def firings(self, name: str = "hourly") -> list[s.Firing]:
        found = await self.schedules.list_firings(s.FiringsParams(name=name))
        return list(reversed(found.firings))

    async def until(self, check: Callable[[list[s.Firing]], bool], name: str = "hourly") -> None:
        async def there() -> bool:
            return check(await self.firings(name))

        await eventually(there, 60)


@asynccontextmanager
async def agent(base: Path, clock: list[float]) -> AsyncIterator[Agent]:
    home = StateDir(base, "test")
    async with open_parts(home, clock=Clock(wall=lambda: clock[0])) as parts:
        assert isinstance(parts.pipelines.schedules, ScheduleOperations)
        local = Local(parts.pipelines, home, "process")
        yield Agent(local, parts.pipelines.schedules, clock)


@pytest.fixture
def clock() -> list[float]:
    return [time.time() // 3600 * 3600 + 3590]  # 10 seconds before it is due


def ended(number: int) -> Callable[[list[s.Firing]], bool]:
    return lambda found: [one.outcome for one in found] == ["done"] * number


async def test_due_times_launch_the_template_also_after_a_restart(
    tmp_path: Path, clock: list[float]
) -> None:
    async with agent(tmp_path, clock) as first:
        made = await first.create(what=await first.source(), title="Hourly load")
        assert (made.schedule.owner, len(made.times)) == (getpass.getuser(), 5)
        first.advance(20)
        await first.until(ended(1))
    clock[0] += 7800  # the agent was off at two due times
    async with agent(tmp_path, clock) as second:
        second.advance(0)
        await second.until(lambda found: len(found) == 3 and found[-1].outcome == "done")
        listed = await second.local.pipelines.list_pipelines(
            ListParams(tag="conducto/schedule/hourly")
        )
        states = [(one.cause.value, one.state.value) for one in await second.firings()]

    assert states == [("schedule", "launched"), ("schedule", "missed"), ("catch_up", "launched")]
    assert {one.pipeline.title for one in listed.pipelines} == {"Hourly load"}
    assert len(listed.pipelines) == 2


async def test_clock_that_was_ahead_for_a_moment_silences_no_schedule(
    tmp_path: Path, clock: list[float]
) -> None:
    async with agent(tmp_path, clock) as one:
        await one.create(what=await one.source())
        one.advance(400 * s.DAY)
        # A time seems to be missed, and the last of a year is made up for.
        await one.until(lambda found: len(found) == 2 and found[1].outcome == "done")
        one.advance(-400 * s.DAY)

        async def is_planned() -> bool:
            view = await one.schedules.get_schedule(s.ScheduleParams(name="hourly"))
            return view.schedule.next == view.times[0] and view.last is None

        await eventually(is_planned)
        one.advance(20)
        await one.until(lambda found: found[0].outcome == "done")


async def test_schedule_on_a_full_disk_is_tried_once_a_minute_and_fires_with_room(
    tmp_path: Path, clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    with small_disk(tmp_path / "disk", 8) as disk:
        async with agent(disk, clock) as one:
            await one.create(what=await one.source())
            filler = fill(disk)
            one.advance(20)

            async def has_failed() -> bool:
                return "a schedule was not served" in caplog.messages

            await eventually(has_failed)
            for _ in range(100):  # iterations of the event loop, each with a look
                one.advance(0.01)
                await asyncio.sleep(0)
            assert caplog.messages.count("a schedule was not served") == 1
            filler.unlink()
        async with agent(disk, clock) as one:
            await one.until(ended(1))


async def test_damaged_schedule_is_named_and_affects_no_other(
    tmp_path: Path, clock: list[float]
) -> None:
    broken = s.ScheduleParams(name="broken")
    async with agent(tmp_path, clock) as one:
        what = await one.source()
        await one.create(name="broken", what=what)
        await one.create(what=what)
    with sqlite3.connect(tmp_path / "test/agent/store.sqlite") as store:
        damaged = "CAST(x'7bff' AS TEXT)"
        store.execute(f"UPDATE schedules SET record={damaged} WHERE name='broken'")
    store.close()
    async with agent(tmp_path, clock) as one:
        listed = (await one.schedules.list_schedules()).schedules
        assert [(each.schedule.name, each.schedule.paused) for each in listed] == [
            ("broken", True),
            ("hourly", False),
        ]
        with pytest.raises(RefusedError, match="'broken' is damaged, and it fires no more"):
            await one.schedules.resume_schedule(broken)
        one.advance(20)
        await one.until(ended(1))
        await one.schedules.delete_schedule(broken)
        await one.create(name="broken", what=what)


async def test_schedules_are_paused_resumed_fired_and_backfilled(
    tmp_path: Path, clock: list[float]
) -> None:
    hourly = s.ScheduleParams(name="hourly")
    async with agent(tmp_path, clock) as one:
        await one.create(what=await one.source(), paused=True)
        one.advance(7200)
        fired = await one.schedules.fire_schedule(hourly, "key")
        again = await one.schedules.fire_schedule(hourly, "key", repeated=True)
        assert fired.pipeline is not None
        assert (again.id, again.pipeline) == (fired.id, fired.pipeline)
        await one.until(ended(1))
        resumed = await one.schedules.resume_schedule(hourly)
        assert resumed.times[0] > clock[0]
        past = s.Backfill(start=clock[0] - 3 * 3600, end=clock[0])
        filled = await one.schedules.backfill_schedule(hourly, past)
        assert len({firing.pipeline for firing in filled.firings}) == 3
        await one.until(ended(4))
        await one.schedules.delete_schedule(hourly)
        with pytest.raises(NotFoundError, match="no schedule 'hourly'"):
            await one.schedules.get_schedule(hourly)


async def test_script_launches_a_pipeline_until_it_is_deleted(
    tmp_path: Path, clock: list[float]
) -> None:
    script = tmp_path / "nightly.py"
    script.write_text(
        "import json, os\nwith open(os.environ['CONDUCTO_RECEIPT'], 'w') as file:\n"
        "    json.dump({'pipeline': os.environ['CONDUCTO_LAUNCH_KEY'][:15]}, file)\n"
    )
    source = s.ScriptSource(
        kind="script", command=(sys.executable, script.name), directory=str(tmp_path)
    )
    async with agent(tmp_path / "home", clock) as one:
        await one.create(what=source)
        one.advance(3600)
        await one.until(lambda found: bool(found) and found[0].state == "launched")
        script.unlink()
        one.advance(3600)
        await one.until(lambda found: len(found) > 1 and found[1].state == "failed")
        launched, failed = await one.firings()
        with pytest.raises(DefinitionError, match="does not exist"):
            await one.create(name="other", what=source)

    assert launched.pipeline == "schedule:hourly"
    assert failed.why == (f"its script {script} does not exist; create it, or change the schedule")


async def test_chain_follows_a_pipeline_and_overlap_skips(
    tmp_path: Path, clock: list[float]
) -> None:
    clock[0] = time.time()
    async with agent(tmp_path, clock) as one:
        what = await one.source("sleep 60")
        await one.create(cron=None, after=s.Chain(title="Extract"), what=what)
        for _ in range(2):
            await one.local.run(co.Exec("true"), title="Extract")
        await one.until(lambda found: len(found) == 2 and all(f.state != "pending" for f in found))
        first, second = await one.firings()
        assert (first.cause, first.state, first.depth) == ("chain", "launched", 1)
        assert (second.state, second.pipeline) == ("skipped", None)
        assert f"pipeline {first.pipeline} of" in str(second.why)


class SlowRunner:
    """A runner of one schedule that is always due, each service of which waits for a release."""

    def __init__(self, *, succeeds: bool = True) -> None:
        self.store = self
        self.served = 0
        self.release = asyncio.Semaphore(0)
        self._succeeds = succeeds

    def list_by_name(self, _org: str) -> list[SimpleNamespace]:
        return [SimpleNamespace(name="hourly")]

    def due(self, _now: float) -> list[tuple[str, str]]:
        return [("", "hourly")]

    def next_wake(self, _now: float) -> None:
        return None

    async def serve(self, _org: str, _name: str) -> bool:
        self.served += 1
        await self.release.acquire()
        return self._succeeds


async def test_pipeline_that_ends_during_a_launch_is_followed_after_it() -> None:
    runner = SlowRunner()
    timer = ScheduleTimer(cast("Any", runner), cast("Any", SimpleNamespace(when_settled=[])))
    timer.begin()
    for served in (1, 2):
        await eventually(partial(is_true, lambda served=served: runner.served == served))
        if served == 1:
            timer.wake()
            await asyncio.sleep(0.01)
        runner.release.release()
    await asyncio.sleep(0.05)
    await timer.close()

    assert runner.served == 2


async def test_schedule_that_cannot_be_served_waits_a_minute() -> None:
    runner, now = SlowRunner(succeeds=False), [1000.0]
    runner.release = asyncio.Semaphore(10)
    clock = Clock(wall=lambda: now[0], steady=lambda: now[0])
    scheduler = cast("Any", SimpleNamespace(when_settled=[]))
    timer = ScheduleTimer(cast("Any", runner), scheduler, clock)
    timer.begin()
    served = []
    for seconds in (0, 1, 1, 57, 1, 1):
        now[0] += seconds
        timer.wake()
        for _ in range(10):  # iterations of the event loop, more than a look needs
            await asyncio.sleep(0)
        served.append(runner.served)
    await timer.close()

    assert served == [1, 1, 1, 1, 2, 2]


async def is_true(condition: Callable[[], bool]) -> bool:
    return condition()


async def test_names_and_settings_are_checked(tmp_path: Path, clock: list[float]) -> None:
    async with agent(tmp_path, clock) as one:
        what = await one.source()
        await one.create(what=what)
        with pytest.raises(RefusedError, match="there is a schedule 'hourly'"):
            await one.create(what=what)
        with pytest.raises(NotFoundError):
            await one.create(name="new", what=s.TemplateSource(kind="template", pipeline="zzz-zzz"))
        changed = await one.schedules.change_schedule(
            s.ScheduleParams(name="hourly"), s.ScheduleSettings(cron="@daily", what=what)
        )
        times = await one.schedules.schedule_times(s.TimesParams(cron="@weekly"))
    assert (changed.schedule.cron, times.cron, len(times.times)) == ("0 0 * * *", "0 0 * * 0", 5)
    await asyncio.sleep(0)
