"""The next queued Exec to start, by capacity groups and the size of the machine.

Attempts start in the order in which they were queued. An attempt that waits for a full capacity
group (``max_concurrent`` of a group above it, or the one container of a ``new`` context) is set
aside until the group has room, so it delays no other attempt. An attempt that waits only for the
machine's resources stays at the head of the queue and none passes it: an Exec that needs the whole
machine starts when the running ones have ended, however many small ones are queued. An attempt that
waits for a named limit (`conducto_core.limits.rules`) is set aside until it is its turn.
"""

import math
from collections.abc import Hashable
from dataclasses import dataclass, field
from heapq import heappop, heappush

from conducto_core.limits.rules import LimitRequest, LimitTable
from conducto_core.run.model.records import Wait
from conducto_core.run.rules import waits
from conducto_core.tree.model import NamedLimit


@dataclass(frozen=True, slots=True)
class QueueLimit:
    """A capacity group.

    Attributes:
        room: Maximum number of Execs that run in it at once.
        reason: Wait of an attempt that waits for it.
    """

    key: Hashable
    room: int
    reason: Wait


@dataclass(slots=True, eq=False)
class QueuedAttempt:
    """An attempt that is queued or runs.

    Attributes:
        limits: Capacity groups it counts in.
        named: Named limits that it holds while it runs.
        since: When it was queued, in seconds.
        label: The attempt for people, as a holder of named limits.
        waits_for: The full group for which it was set aside.
        is_aside: It was set aside for a named limit.
        queue: The queue that it was added to.
    """

    key: Hashable
    cpu: float = 0.0
    mem: float = 0.0
    gpu: int = 0
    limits: tuple[QueueLimit, ...] = ()
    named: tuple[NamedLimit, ...] = ()
    since: float = 0.0
    label: str = ""
    number: int = 0
    withdrawn: bool = False
    waits_for: QueueLimit | None = None
    is_aside: bool = False
    queue: "AdmissionQueue | None" = None

    def request(self) -> LimitRequest:
        """Return the request for its named limits."""
        return LimitRequest(self, self.label, self.named, self.since)


@dataclass(slots=True)
class _Use:
    used: int = 0
    aside: list[tuple[int, QueuedAttempt]] = field(default_factory=list)


class AdmissionQueue:
    """The queue of one machine, for all its pipelines.

    Args:
        cpu: CPUs of the machine.
        mem: GB of the machine.
        gpu: GPUs of the machine.
        table: The named limits, which several queues may share.
    """

    def __init__(
        self, *, cpu: float, mem: float, gpu: int = 0, table: LimitTable | None = None
    ) -> None:
        self._table = LimitTable() if table is None else table
        self.cpu, self.mem, self.gpu = cpu, mem, gpu
        self.size = (cpu, mem, gpu)
        self._queue: list[tuple[int, QueuedAttempt]] = []
        self._uses: dict[Hashable, _Use] = {}
        self._added = 0

    def add(self, ticket: QueuedAttempt) -> None:
        """Add an attempt to the end of the queue."""
        self._added += 1
        ticket.queue = self
        ticket.number = self._added
        heappush(self._queue, (ticket.number, ticket))

    def withdraw(self, ticket: QueuedAttempt) -> None:
        """Remove a queued attempt."""
        ticket.withdrawn = True
        if ticket.named:
            self._table.end(ticket)
        if ticket.waits_for is not None:
            return  # next_admitted() drops it later
        self._let_next_in(ticket)

    def next_admitted(self) -> QueuedAttempt | None:
        """Return the attempt that starts now, with its room reserved, or None."""
        self._readmit()
        while self._queue:
            ticket = self._queue[0][1]
            if ticket.withdrawn:
                heappop(self._queue)
                continue
            full = next((x for x in ticket.limits if not self._has_room(x)), None)
            if full is not None:
                heappop(self._queue)
                ticket.waits_for = full
                heappush(self._uses[full.key].aside, (ticket.number, ticket))
                # Another group may have readmitted it, and still has room for its next attempt.
                self._let_next_in(ticket)
                continue
            if ticket.named and self._table.check(ticket.request()) is not None:
                heappop(self._queue)
                ticket.is_aside = True
                self._let_next_in(ticket)
                continue
            if not self._can_start(ticket):
                return None
            heappop(self._queue)
            self._reserve(ticket)
            return ticket
        return None

    def _readmit(self) -> None:
        """Queue the attempts whose turn it is for their named limits."""
        for ticket in self._table.ready():
            if isinstance(ticket, QueuedAttempt) and ticket.queue is not None:
                ticket.queue.push(ticket)

    def push(self, ticket: QueuedAttempt) -> None:
        """Queue an attempt again that was set aside, in its old place."""
        if ticket.is_aside:
            ticket.is_aside = False
            heappush(self._queue, (ticket.number, ticket))

    def release(self, ticket: QueuedAttempt) -> None:
        """Release the resources of an attempt that `next_admitted` returned."""
        self.cpu += ticket.cpu
        self.mem += ticket.mem
        self.gpu += ticket.gpu
        if ticket.named:
            self._table.end(ticket)
        for limit in ticket.limits:
            self._uses[limit.key].used -= 1
        self._let_next_in(ticket)
        for limit in ticket.limits:
            use = self._uses[limit.key]
            if not use.used and not use.aside:
                del self._uses[limit.key]

    def reason(self, ticket: QueuedAttempt) -> Wait:
        """Return why a queued attempt does not run."""
        if ticket.waits_for is not None:
            return ticket.waits_for.reason
        blocked = self._table.reason(ticket) if ticket.named else None
        if blocked is not None:
            return blocked
        if not self._can_start(ticket):
            need = f"{ticket.cpu:g} cpu and {ticket.mem:g} GB"
            free = f"{_few_digits(self.cpu)} cpu and {_few_digits(self.mem)} GB"
            return waits.full_machine(need, free)
        return waits.NEXT

    def _has_room(self, limit: QueueLimit) -> bool:
        use = self._uses.get(limit.key)
        return use is None or use.used < limit.room

    def _can_start(self, ticket: QueuedAttempt) -> bool:
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
        if ticket.named:
            self._table.acquire(ticket.request())
        for limit in ticket.limits:
            self._uses.setdefault(limit.key, _Use()).used += 1

    def _let_next_in(self, ticket: QueuedAttempt) -> None:
        """Queue one waiting attempt of each group that ``ticket`` counts in and that has room."""
        for limit in ticket.limits:
            use = self._uses.get(limit.key)
            while use is not None and use.aside:
                number, waiting = use.aside[0]
                # Use the limit that the waiting attempt knows: it may have been raised since.
                if waiting.waits_for is None or not self._has_room(waiting.waits_for):
                    break
                heappop(use.aside)
                if waiting.withdrawn:
                    continue
                waiting.waits_for = None
                heappush(self._queue, (number, waiting))
                break


def _few_digits(free: float) -> str:
    return f"{math.floor(round(free * 100, 6)) / 100:g}"
