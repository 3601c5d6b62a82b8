"""Work that several callers wait for and that runs once."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from conducto_local.images.build_log import BuildLogWriter
from conducto_local.ports import BuildLog

T = TypeVar("T")


@dataclass(slots=True)
class _Flight(Generic[T]):
    task: asyncio.Task[T]
    transcript: BuildLogWriter
    passengers: int = 0


class WorkNeededError(Exception):
    """Work would start that is not allowed."""


@dataclass(slots=True)
class SingleFlight(Generic[T]):
    """Runs one task per key at a time; further callers wait for its result.

    Attributes:
        is_open: Work may start.
    """

    is_open: bool = True
    _flying: dict[str, _Flight[T]] = field(default_factory=dict)

    async def join(
        self, key: str, log: BuildLog, work: Callable[[BuildLogWriter], Coroutine[None, None, T]]
    ) -> T:
        """Return the result of the running task for ``key``, or start it.

        The task is cancelled only when all its callers are cancelled.

        Raises:
            WorkNeededError: No work may start.
        """
        if not self.is_open:
            raise WorkNeededError(key)
        active = self._flying.get(key)
        if active is None:
            transcript = BuildLogWriter()
            active = _Flight(asyncio.create_task(work(transcript)), transcript)
            self._flying[key] = active
            active.task.add_done_callback(lambda _task: self._land(key, active))
        active.transcript.join(log)
        active.passengers += 1
        try:
            return await asyncio.shield(active.task)
        except asyncio.CancelledError:
            if active.passengers == 1 and not active.task.done():
                self._land(key, active)
                active.task.cancel()
            raise
        finally:
            active.passengers -= 1
            active.transcript.leave(log)

    def _land(self, key: str, active: _Flight[T]) -> None:
        # After a cancellation, another task with the same key may already be running.
        if self._flying.get(key) is active:
            del self._flying[key]
