"""The containers of the pipelines: who may use which, and when they leave.

A container that is free goes to the next command of its pool; where none is free a new one is
started at once, since no start is ever delayed in order to reuse. An idle one leaves after
`IDLE_SECONDS`, longer than any gap between two siblings, or earlier when too many idle.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field

from conducto_local.ports import Worker

logger = logging.getLogger(__name__)

IDLE_SECONDS = 60.0
MAX_IDLE = 16


@dataclass(slots=True, eq=False)
class Container:
    """A worker and its history.

    Attributes:
        pool: The pool it serves.
        used: How many commands it has run.
    """

    worker: Worker
    pool: Hashable
    used: int = 0
    idle_since: float = 0.0


@dataclass(slots=True)
class _Pool:
    idle: list[Container] = field(default_factory=list)
    kept: bool = False


class Containers:
    """Every container of one agent."""

    def __init__(self, *, idle_seconds: float = IDLE_SECONDS, max_idle: int = MAX_IDLE) -> None:
        self._idle_seconds = idle_seconds
        self._max_idle = max_idle
        self._pools: dict[Hashable, _Pool] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._sweeper: asyncio.TimerHandle | None = None

    async def get(self, pool: Hashable, start: Callable[[], Awaitable[Worker]]) -> Container:
        """Return a free container of the pool, or a new one."""
        waiting = self._pools.get(pool)
        if waiting is not None and waiting.idle:
            return waiting.idle.pop()
        return Container(await start(), pool)

    def put(self, container: Container, *, reuse: bool) -> None:
        """Take a container back; one that is not to be used again goes away."""
        if not reuse:
            self._leave(container)
            return
        container.idle_since = asyncio.get_running_loop().time()
        self._pools.setdefault(container.pool, _Pool()).idle.append(container)
        self._make_room()
        self._sweep_later()

    def keep(self, pool: Hashable, kept: bool) -> None:
        """Keep a pool's idle containers however long they idle, or no longer."""
        if kept or pool in self._pools:
            entry = self._pools.setdefault(pool, _Pool())
            if entry.kept and not kept:
                now = asyncio.get_running_loop().time()
                for container in entry.idle:
                    container.idle_since = now
            entry.kept = kept
            self._sweep_later()

    def drop(self, belongs: Callable[[Hashable], bool]) -> None:
        """Send the idle containers of these pools away."""
        for pool in [p for p in self._pools if belongs(p)]:
            for container in self._pools.pop(pool).idle:
                self._leave(container)

    async def closed(self) -> None:
        """Return when all that were sent away are gone."""
        await asyncio.gather(*self._closing, return_exceptions=True)

    async def close(self) -> None:
        """Send all idle containers away and wait until they are gone."""
        self.drop(lambda _pool: True)
        if self._sweeper is not None:
            self._sweeper.cancel()
        await self.closed()

    def _make_room(self) -> None:
        idle = [c for p in self._pools.values() if not p.kept for c in p.idle]
        if len(idle) > self._max_idle:
            self._remove(min(idle, key=lambda c: c.idle_since))

    def _sweep_later(self) -> None:
        if self._sweeper is None:
            loop = asyncio.get_running_loop()
            self._sweeper = loop.call_later(self._idle_seconds, self._sweep)

    def _sweep(self) -> None:
        self._sweeper = None
        now = asyncio.get_running_loop().time()
        waiting = [c for p in self._pools.values() if not p.kept for c in p.idle]
        for container in waiting:
            if now - container.idle_since >= self._idle_seconds:
                self._remove(container)
        if any(p.idle for p in self._pools.values() if not p.kept):
            self._sweep_later()

    def _remove(self, container: Container) -> None:
        pool = self._pools[container.pool]
        pool.idle.remove(container)
        if not pool.idle and not pool.kept:
            del self._pools[container.pool]
        self._leave(container)

    def _leave(self, container: Container) -> None:
        task = asyncio.get_running_loop().create_task(self._close_one(container))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _close_one(self, container: Container) -> None:
        try:
            await container.worker.close()
        except Exception:
            # Whatever is wrong with one container must not end the agent; gc finds it later.
            logger.exception("container did not close", extra={"container": container.worker.name})
