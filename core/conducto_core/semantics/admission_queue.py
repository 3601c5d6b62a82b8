"""Which queued Exec starts next: capacity groups and the machine's size.

Tickets are taken in the order they were queued. One that a full capacity group holds up
(``max_concurrent`` of a group above it, or the one container of a ``new`` context) steps aside
until that group has room, so it delays nobody else. One that only the machine's size holds up
stays at the head and nothing passes it: an Exec that needs the whole machine gets it as soon as
what runs has ended, however many small ones are queued behind.
"""

import math
from collections.abc import Hashable
from dataclasses import dataclass, field
from heapq import heappop, heappush


@dataclass(frozen=True, slots=True)
class Limit:
    """A capacity group.

    Attributes:
        key: Its identity.
        room: Execs that may run in it at once.
        reason: The sentence to show to who waits for it.
    """

    key: Hashable
    room: int
    reason: str


@dataclass(slots=True, eq=False)
class QueuedAttempt:
    """An attempt that waits to start, or runs.

    Attributes:
        key: The caller's name for it.
        cpu: CPUs it takes.
        mem: GB it takes.
        gpu: GPUs it takes.
        limits: Capacity groups it counts in.
        waits_for: The full one it has stepped aside for.
    """

    key: Hashable
    cpu: float = 0.0
    mem: float = 0.0
    gpu: int = 0
    limits: tuple[Limit, ...] = ()
    number: int = 0
    withdrawn: bool = False
    waits_for: Limit | None = None


@dataclass(slots=True)
class _Use:
    used: int = 0
    aside: list[tuple[int, QueuedAttempt]] = field(default_factory=list)


class AdmissionQueue:
    """The queue of one machine, over all its pipelines.

    Attributes:
        cpu: CPUs that are free.
        mem: GB that are free.
        gpu: GPUs that are free.
    """

    def __init__(self, *, cpu: float, mem: float, gpu: int = 0) -> None:
        self.cpu, self.mem, self.gpu = cpu, mem, gpu
        self.size = (cpu, mem, gpu)
        self._queue: list[tuple[int, QueuedAttempt]] = []
        self._uses: dict[Hashable, _Use] = {}
        self._added = 0

    def add(self, ticket: QueuedAttempt) -> None:
        """Queue a ticket behind all others."""
        self._added += 1
        ticket.number = self._added
        heappush(self._queue, (ticket.number, ticket))

    def withdraw(self, ticket: QueuedAttempt) -> None:
        """Take a queued ticket back."""
        ticket.withdrawn = True
        if ticket.waits_for is not None:
            return  # forgotten when its turn would have come
        self._let_next_in(ticket)

    def take(self) -> QueuedAttempt | None:
        """Return the ticket that starts now, with its room reserved, or None."""
        while self._queue:
            ticket = self._queue[0][1]
            if ticket.withdrawn:
                heappop(self._queue)
                continue
            full = next((x for x in ticket.limits if not self._has_room(x)), None)
            if full is not None:
                heappop(self._queue)
                self._step_aside(ticket, full)
                continue
            if not self._fits(ticket):
                return None
            heappop(self._queue)
            self._reserve(ticket)
            return ticket
        return None

    def release(self, ticket: QueuedAttempt) -> None:
        """Give back what a taken ticket had reserved."""
        self.cpu += ticket.cpu
        self.mem += ticket.mem
        self.gpu += ticket.gpu
        for limit in ticket.limits:
            self._uses[limit.key].used -= 1
        self._let_next_in(ticket)
        for limit in ticket.limits:
            use = self._uses[limit.key]
            if not use.used and not use.aside:
                del self._uses[limit.key]

    def reason(self, ticket: QueuedAttempt) -> str:
        """Return why a queued ticket does not run, as a sentence."""
        if ticket.waits_for is not None:
            return ticket.waits_for.reason
        if not self._fits(ticket):
            return (
                f"needs {ticket.cpu:g} cpu and {ticket.mem:g} GB; "
                f"{_few_digits(self.cpu)} cpu and {_few_digits(self.mem)} GB are free"
            )
        return "next in the queue"

    def _has_room(self, limit: Limit) -> bool:
        use = self._uses.get(limit.key)
        return use is None or use.used < limit.room

    def _fits(self, ticket: QueuedAttempt) -> bool:
        slack = 1e-9  # sums of fractions such as 0.1
        return (
            ticket.cpu <= self.cpu + slack
            and ticket.mem <= self.mem + slack
            and ticket.gpu <= self.gpu
        )

    def _reserve(self, ticket: QueuedAttempt) -> None:
        self.cpu -= ticket.cpu
        self.mem -= ticket.mem
        self.gpu -= ticket.gpu
        for limit in ticket.limits:
            self._uses.setdefault(limit.key, _Use()).used += 1

    def _step_aside(self, ticket: QueuedAttempt, full: Limit) -> None:
        ticket.waits_for = full
        heappush(self._uses[full.key].aside, (ticket.number, ticket))
        # It may have been let in by another group, which still has room for the next one.
        self._let_next_in(ticket)

    def _let_next_in(self, ticket: QueuedAttempt) -> None:
        """Of each group that ``ticket`` counts in and that has room, put one ticket back."""
        for limit in ticket.limits:
            use = self._uses.get(limit.key)
            while use is not None and use.aside:
                number, waiting = use.aside[0]
                # By the room that the waiting one knows of: it may have been raised since.
                if waiting.waits_for is None or not self._has_room(waiting.waits_for):
                    break
                heappop(use.aside)
                if waiting.withdrawn:
                    continue
                waiting.waits_for = None
                heappush(self._queue, (number, waiting))
                break


def _few_digits(free: float) -> str:
    """Return an amount that is free with two decimals, never more than there is."""
    return f"{math.floor(round(free * 100, 6)) / 100:g}"
