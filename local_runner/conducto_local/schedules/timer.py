"""The timer of schedules on this machine."""

import asyncio
import logging
import math
from contextlib import suppress

from conducto_core.schedules.runner import ScheduleRunner
from conducto_local.run.clock import Clock
from conducto_local.run.live_pipeline import LivePipeline
from conducto_local.run.scheduler import Scheduler

logger = logging.getLogger(__name__)

#: Maximum seconds between two looks at the schedules, because clocks may be changed. A schedule
#: that could not be served, because the disk is full or its record is damaged, waits as long.
LOOK_EVERY = 60.0
#: Maximum number of schedules that are served at once.
MAX_SERVED = 16


class ScheduleTimer:
    """Serves schedules when they are due, when a pipeline ends, and when they are changed.

    A schedule whose script takes long does not delay the others.
    """

    def __init__(
        self, runner: ScheduleRunner, scheduler: Scheduler, clock: Clock | None = None
    ) -> None:
        self._runner = runner
        self._scheduler = scheduler
        self._clock = Clock() if clock is None else clock
        self._latest = math.inf  # the time of day of the last look
        self._next_look = 0.0
        self._failed: dict[str, float] = {}
        self._changed = asyncio.Event()
        self._free = asyncio.Semaphore(MAX_SERVED)
        self._served: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    def begin(self) -> None:
        """Start: look at the schedules now, and then whenever it is time."""
        self._scheduler.when_settled.append(self._settled)
        self._task = asyncio.get_running_loop().create_task(self._run())

    def wake(self) -> None:
        self._changed.set()

    async def close(self) -> None:
        """Stop; firings that are being launched continue with the next agent."""
        if self._task is None:
            return
        self._scheduler.when_settled.remove(self._settled)
        # Not by cancelling it: Python 3.11's wait_for() may lose a cancellation.
        self._closed = True
        self.wake()
        await self._task
        served = list(self._served.values())
        for task in served:
            task.cancel()
        await asyncio.gather(*served, return_exceptions=True)

    def _settled(self, _live: LivePipeline) -> None:
        self.wake()

    async def _run(self) -> None:
        while not self._closed:
            self._changed.clear()
            delay = LOOK_EVERY
            try:
                delay = self._serve_due()
            except Exception:
                # The next look may succeed, and the agent must continue to run pipelines.
                logger.exception("the schedules were not looked at")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), delay)

    def _serve_due(self) -> float:
        """Serve the schedules that need attention; return the seconds until the next look."""
        now, steady = self._clock.wall(), self._clock.steady()
        for name in self._names(now):
            if name in self._served:
                self._again.add(name)  # it may have read the state before the latest change
            elif steady >= self._failed.get(name, -math.inf):
                self._serve(name)
        self._latest = now
        self._next_look = self._time_of_next_look(now)
        return self._next_look - now

    def _names(self, now: float) -> list[str]:
        """Return the schedules that need attention: all, if a clock that was ahead set them."""
        if now < self._latest:
            return [one.name for one in self._runner.store.list_by_name("")]
        return [name for _, name in self._runner.store.due(now)]

    def _time_of_next_look(self, now: float) -> float:
        following = self._runner.store.next_wake(now)
        return now + LOOK_EVERY if following is None else min(following, now + LOOK_EVERY)

    def _serve(self, name: str) -> None:
        task = asyncio.get_running_loop().create_task(self._serve_one(name))
        self._served[name] = task
        task.add_done_callback(lambda _: self._end(name))

    def _end(self, name: str) -> None:
        del self._served[name]
        is_due_again = name in self._again
        self._again.discard(name)
        # Looking without a reason would serve schedules with open firings without a pause.
        if self._closed:
            return
        if is_due_again or self._time_of_next_look(self._clock.wall()) < self._next_look:
            self.wake()

    async def _serve_one(self, name: str) -> None:
        async with self._free:
            if await self._runner.serve("", name):
                self._failed.pop(name, None)
            else:
                self._failed[name] = self._clock.steady() + LOOK_EVERY
