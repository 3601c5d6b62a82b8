"""Resource usage of running attempts, stored beside their output.

A container runs one command at a time, so its usage is that of the command. Only the sampling task
waits for the engine; an error ends the sampling of the attempt.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress

from conducto_core.command.usage import Reading, ResourceWriter
from conducto_local.engine.port import EngineError, Worker

logger = logging.getLogger(__name__)

#: Seconds until the first sample, and between two samples.
FIRST_SECONDS = 2.0
EVERY_SECONDS = 2.0
_TIMEOUT = 5.0


class ContainerSampler:
    """Samples the usage of one attempt, from its start until `end`.

    Args:
        write: Appends a line to the stored samples.
        limits: Maximum CPUs and GB of the container.
        fresh: Whether nothing ran in the container before, so that its whole usage is the
            attempt's; otherwise the first sample is only the baseline.
        first: Seconds until the first sample.
        every: Seconds between two samples at first.
    """

    def __init__(
        self,
        worker: Worker,
        write: Callable[[bytes], None],
        *,
        limits: tuple[float, float],
        fresh: bool,
        first: float = FIRST_SECONDS,
        every: float = EVERY_SECONDS,
    ) -> None:
        self._worker = worker
        self._keep = write
        self._ended = False
        self._limits = limits
        self._every = every
        self._loop = asyncio.get_running_loop()
        self._from = (self._loop.time(), time.time(), Reading(0.0, 0)) if fresh else None
        self._task: asyncio.Task[None] | None = None
        self._timer = self._loop.call_later(first, self._begin)

    def end(self) -> None:
        self._ended = True
        self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    def _begin(self) -> None:
        self._task = self._loop.create_task(self._follow())
        self._task.add_done_callback(_log_failure)

    def _write(self, line: bytes) -> None:
        # Before Python 3.12, wait_for() may return a result instead of raising a cancellation.
        if self._ended:
            raise asyncio.CancelledError
        self._keep(line)

    async def _follow(self) -> None:
        with suppress(EngineError):
            if self._from is None:
                self._from = await self._first()
            if self._from is not None:
                await self._sample(*self._from)

    async def _first(self) -> tuple[float, float, Reading] | None:
        reading, at = await self._ask()
        await asyncio.sleep(self._every)
        return None if reading is None else (at, time.time() - (self._loop.time() - at), reading)

    async def _sample(self, begin: float, since: float, before: Reading) -> None:
        writer = ResourceWriter(self._write, interval=self._every, since=since, limits=self._limits)
        last = begin
        while True:
            reading, at = await self._ask()
            if reading is None:
                return
            cpu = (reading.cpu_seconds - before.cpu_seconds) / max(at - last, 0.001)
            writer.add(at - begin, cpu, reading.memory)
            before, last = reading, at
            await asyncio.sleep(writer.interval)

    async def _ask(self) -> tuple[Reading | None, float]:
        """Return a reading, and the middle of the time that it took."""
        asked = self._loop.time()
        try:
            reading = await asyncio.wait_for(self._worker.reading(), _TIMEOUT)
        except TimeoutError:
            reading = None
        return reading, (asked + self._loop.time()) / 2


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.warning("resource usage of an attempt is unknown", exc_info=error)
