"""Work that many want and one does."""

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


@dataclass(slots=True)
class SingleFlight(Generic[T]):
    """Runs one piece of work per key at a time; who asks meanwhile waits for that one."""

    _flying: dict[str, _Flight[T]] = field(default_factory=dict)

    async def join(
        self, key: str, log: BuildLog, work: Callable[[BuildLogWriter], Coroutine[None, None, T]]
    ) -> T:
        """Return the result of the work under way for ``key``, or start it.

        The work is cancelled only when all who waited for it are.
        """
        flight = self._flying.get(key)
        if flight is None:
            transcript = BuildLogWriter()
            flight = _Flight(asyncio.create_task(work(transcript)), transcript)
            self._flying[key] = flight
            flight.task.add_done_callback(lambda _task: self._land(key, flight))
        flight.transcript.join(log)
        flight.passengers += 1
        try:
            return await asyncio.shield(flight.task)
        except asyncio.CancelledError:
            if flight.passengers == 1 and not flight.task.done():
                self._land(key, flight)
                flight.task.cancel()
            raise
        finally:
            flight.passengers -= 1
            flight.transcript.leave(log)

    def _land(self, key: str, flight: _Flight[T]) -> None:
        # After a cancelled flight the next one of the same key may be in the air already.
        if self._flying.get(key) is flight:
            del self._flying[key]
