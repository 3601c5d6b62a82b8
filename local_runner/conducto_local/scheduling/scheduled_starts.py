"""Pipelines that start at a given time."""

import asyncio
import time

from conducto_core.model.requests import Action
from conducto_local.scheduling.live_pipeline import LivePipeline
from conducto_local.scheduling.scheduler import Scheduler

#: Maximum seconds between two checks of the time, because clocks may be changed.
LOOK_EVERY = 60.0


class ScheduledStarts:
    """The timers of pipelines that start later."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def set(self, live: LivePipeline, when: float) -> None:
        """Run a pipeline at ``when``, in seconds since the epoch."""
        delay = min(max(0.0, when - time.time()), LOOK_EVERY)
        loop = asyncio.get_running_loop()
        self._timers[live.id] = loop.call_later(delay, lambda: self._look(live, when))

    def cancel(self, live: LivePipeline) -> None:
        """Cancel the scheduled start of a pipeline, if it has one."""
        timer = self._timers.pop(live.id, None)
        if timer is not None:
            timer.cancel()
            live.set_record(run_at=None)

    def _look(self, live: LivePipeline, when: float) -> None:
        if time.time() < when:  # not yet, or the clock was changed meanwhile
            self.set(live, when)
            return
        self._timers.pop(live.id, None)
        self._scheduler.perform(live, Action.RUN)
