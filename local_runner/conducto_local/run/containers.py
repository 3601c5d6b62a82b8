"""The containers of the pipelines: their assignment to commands, and their removal.

A free container goes to the next command of its pool; if none is free, a new one is started at
once, because no start is ever delayed for reuse. An idle container is removed after `IDLE_SECONDS`,
which is longer than any gap between two siblings, that of a ``new`` group after `CONTEXT_IDLE`, or
earlier if too many are idle.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass

from conducto_core.run.model.requests import Workers
from conducto_core.run.rules.contexts import CONTEXT_IDLE, LATE, Hold
from conducto_core.tree.rules.callbacks import PoolKind, kind_of
from conducto_local.engine.port import Worker

logger = logging.getLogger(__name__)

#: Pipeline, pool of the tree (`conducto_core.tree.rules.callbacks`), and further properties that a
#: container must match for reuse: placement, built image, attempt.
PoolKey = tuple[Hashable, ...]
Owner = tuple[str, str]

IDLE_SECONDS = 60.0
MAX_IDLE = 16


@dataclass(slots=True, eq=False)
class Container:
    """A worker and its history.

    Attributes:
        pool: The pool it serves.
        used: Number of commands it has run.
        completed: Number of those that ended while it was running.
    """

    worker: Worker
    pool: PoolKey
    used: int = 0
    completed: int = 0
    idle_since: float = 0.0


class Containers:
    """The containers of one agent.

    Attributes:
        idle_seconds: Seconds after which an idle container is removed.
        context_seconds: The same for the container of a ``new`` group that does not continue.
        when_lost: Called with each container that was lost while its pool may need it, and the
            reason.
    """

    def __init__(
        self,
        *,
        idle_seconds: float = IDLE_SECONDS,
        context_seconds: float = CONTEXT_IDLE,
        max_idle: int = MAX_IDLE,
    ) -> None:
        self.idle_seconds = idle_seconds
        self.context_seconds = context_seconds
        self.when_lost: Callable[[Container, str], None] | None = None
        self._max_idle = max_idle
        self._idle: dict[PoolKey, list[Container]] = {}
        self._busy: Counter[Hashable] = Counter()
        self._starting: Counter[Hashable] = Counter()
        self._kept: set[Owner] = set()
        self._closing: set[asyncio.Task[None]] = set()
        self._stuck: list[Container] = []
        self._sweeper: asyncio.TimerHandle | None = None

    async def get(self, pool: PoolKey, start: Callable[[], Awaitable[Worker]]) -> Container:
        """Return a free container of the pool, or a new one."""
        while idle := self._idle.get(pool):
            container = idle.pop()
            if not idle:
                del self._idle[pool]
            if not container.worker.lost:  # died or was removed while it was idle
                self._busy[pool[0]] += 1
                return container
            self._leave(container, "it was removed or died")
        self._starting[pool[0]] += 1
        try:
            container = Container(await start(), pool)
        finally:
            _less(self._starting, pool[0])
        self._busy[pool[0]] += 1
        self._close_stuck()
        return container

    def put(self, container: Container, *, reuse: bool, lost: str | None = None) -> None:
        """Return a container to its pool, or remove it.

        Args:
            container: A container from `get`.
            reuse: Whether it may run another command.
            lost: Reason why it cannot, although its pool still needs it.
        """
        _less(self._busy, container.pool[0])
        if not reuse:
            self._leave(container, lost)
            return
        container.idle_since = asyncio.get_running_loop().time()
        self._idle.setdefault(container.pool, []).append(container)
        self._make_room()
        self._sweep_later()

    def pool_workers(self, pipeline_id: str) -> Workers:
        return Workers(
            busy=self._busy[pipeline_id],
            idle=len(self._all(lambda pool: pool[0] == pipeline_id)),
            starting=self._starting[pipeline_id],
        )

    def keep_idle(self, owner: Owner, *, kept: bool) -> None:
        """Keep the idle containers of a pool without a time limit, or no longer."""
        if kept:
            self._kept.add(owner)
        elif owner in self._kept:
            self._kept.discard(owner)
            now = asyncio.get_running_loop().time()
            for container in self._all(lambda pool: pool[:2] == owner):
                container.idle_since = now
            self._sweep_later()

    def has_idle(self, owner: Owner) -> bool:
        return bool(self._all(lambda pool: pool[:2] == owner))

    def drop(self, belongs: Callable[[PoolKey], bool], lost: str | None = None) -> None:
        for container in self._all(belongs):
            self._remove(container, lost)

    async def closed(self) -> None:
        """Wait until all removed containers are closed."""
        await asyncio.gather(*self._closing, return_exceptions=True)

    async def close(self) -> None:
        """Remove all idle containers and wait until they are closed."""
        self.drop(lambda _pool: True)
        self._close_stuck()
        if self._sweeper is not None:
            self._sweeper.cancel()
        await self.closed()

    def _all(self, belongs: Callable[[PoolKey], bool]) -> list[Container]:
        return [c for pool, idle in self._idle.items() if belongs(pool) for c in idle]

    def _may_leave(self, pool: PoolKey) -> bool:
        return pool[:2] not in self._kept

    def _make_room(self) -> None:
        idle = self._all(self._may_leave)
        if len(idle) > self._max_idle:
            self._remove(min(idle, key=lambda c: c.idle_since), "too many containers were idle")

    def idle_left(self, pipeline_id: str) -> float:
        """Return the seconds until the last idle container of a pipeline is removed."""
        return max(map(self._left, self._all(lambda pool: pool[0] == pipeline_id)), default=0.0)

    def _left(self, container: Container) -> float:
        is_context = kind_of(str(container.pool[1])) is PoolKind.CONTEXT
        limit = self.context_seconds if is_context else self.idle_seconds
        return limit - (asyncio.get_running_loop().time() - container.idle_since)

    def _sweep_later(self) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        left = min(map(self._left, self._all(self._may_leave)), default=None)
        if left is not None:
            self._sweeper = asyncio.get_running_loop().call_later(left, self._sweep)

    def _sweep(self) -> None:
        for container in self._all(self._may_leave):
            if self._left(container) <= 0:
                is_context = kind_of(str(container.pool[1])) is PoolKind.CONTEXT
                why = LATE[Hold.SPARE] if is_context else f"it was idle for {self.idle_seconds:g} s"
                self._remove(container, why)
        self._sweep_later()

    def _remove(self, container: Container, lost: str | None) -> None:
        idle = self._idle[container.pool]
        idle.remove(container)
        if not idle:
            del self._idle[container.pool]
        self._leave(container, lost)

    def _close_stuck(self) -> None:
        stuck, self._stuck = self._stuck, []
        for container in stuck:
            self._leave(container)

    def _leave(self, container: Container, lost: str | None = None) -> None:
        if lost is not None and self.when_lost is not None:
            self.when_lost(container, lost)
        task = asyncio.get_running_loop().create_task(self._close_one(container))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _close_one(self, container: Container) -> None:
        try:
            await container.worker.close()
        except Exception:
            # A failure with one container must not end the agent. Often the engine is unreachable;
            # the next container that starts shows that it is back.
            self._stuck.append(container)
            logger.exception(
                "cannot remove a container", extra={"container": container.worker.name}
            )


def _less(numbers: Counter[Hashable], key: Hashable) -> None:
    numbers[key] -= 1
    if not numbers[key]:
        del numbers[key]
