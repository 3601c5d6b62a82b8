"""Pipelines that run at a time they were told."""

import asyncio
import time

from conducto_core.semantics import events as ev
from conducto_local.scheduling.live_pipeline import LivePipeline
from conducto_local.scheduling.scheduler import Scheduler

#: Seconds between two looks whether it is time: clocks are set now and then.
LOOK_EVERY = 60.0


class ScheduledStarts:
    """The timers of pipelines that are to run later."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def set(self, live: LivePipeline, when: float) -> None:
        """Run a pipeline at ``when``, in seconds since the epoch."""
        delay = min(max(0.0, when - time.time()), LOOK_EVERY)
        loop = asyncio.get_running_loop()
        self._timers[live.id] = loop.call_later(delay, lambda: self._look(live, when))

    def cancel(self, live: LivePipeline) -> None:
        """Run a pipeline at no time, if it was to."""
        timer = self._timers.pop(live.id, None)
        if timer is not None:
            timer.cancel()
            live.set_record(run_at=None)

    def _look(self, live: LivePipeline, when: float) -> None:
        if time.time() < when:  # or the clock was set meanwhile
            self.set(live, when)
            return
        self._timers.pop(live.id, None)
        live.set_record(run_at=None)
        self._scheduler.apply(live, ev.Armed())
