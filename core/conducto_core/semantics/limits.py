"""Named limits across pipelines: the next command to start. No I/O, no clock.

A command acquires all its limits together when it starts, and releases them when it ends. A command
that runs waits for no limit, so limits cannot deadlock. The requests for a limit form a line, in
the order of their turns: a request's turn is the time at which it began to wait, earlier by
`AGE` seconds for each point of priority. So priorities age: a request that has waited long enough
precedes every new one. None overtakes the first in a line, even if the first waits for another
limit: it gets its turn when the holders end.

If nodes give different numbers for one name, the smallest of the holders and of the request counts:
no holder ever runs beside more commands than its own node allows.
"""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from heapq import heappop, heappush

from conducto_core.model.nodes import NamedLimit
from conducto_core.model.wait_phases import Wait
from conducto_core.semantics import waits

#: Seconds of waiting that one point of priority is worth.
AGE = 60.0
#: Maximum number of holders named in a reason.
_NAMED = 3


@dataclass(frozen=True, slots=True)
class LimitRequest:
    """A command that needs limits.

    Attributes:
        label: The command for people: ``abc-def /load``.
        since: When it began to wait, in seconds.
    """

    key: Hashable
    label: str
    limits: tuple[NamedLimit, ...]
    since: float

    @property
    def turn(self) -> float:
        """Its place in the lines."""
        return self.since - AGE * max(limit.priority for limit in self.limits)


_Entry = tuple[float, int, LimitRequest]


class LimitTable:
    """The holders and the lines of all limits."""

    def __init__(self) -> None:
        self._holders: dict[str, dict[Hashable, LimitRequest]] = {}
        self._lines: dict[str, list[_Entry]] = {}
        self._waiting: dict[Hashable, _Entry] = {}
        self._changed: dict[str, None] = {}
        self._number = 0

    def check(self, request: LimitRequest) -> Wait | None:
        """Return why a request cannot start now, or None; it waits in line from now on."""
        if request.key not in self._waiting:
            self._number += 1
            entry = self._waiting[request.key] = (request.turn, self._number, request)
            for limit in request.limits:
                heappush(self._lines.setdefault(limit.name, []), entry)
        return self._blocker(self._waiting[request.key][2])

    def reason(self, key: Hashable) -> Wait | None:
        """Return why a waiting request cannot start now; None if it can, or does not wait."""
        entry = self._waiting.get(key)
        return None if entry is None else self._blocker(entry[2])

    def hold(self, request: LimitRequest) -> None:
        """Let a request that `check` accepted hold its limits, until `end`."""
        self._leave(request.key)
        for limit in request.limits:
            self._holders.setdefault(limit.name, {})[request.key] = request

    def end(self, key: Hashable) -> None:
        """Release the limits of a holder, or take a waiting request out of the lines."""
        self._leave(key)
        for name in [name for name, holders in self._holders.items() if key in holders]:
            del self._holders[name][key]
            self._changed[name] = None
            if not self._holders[name]:
                del self._holders[name]

    def ready(self) -> list[Hashable]:
        """Return the requests that became able to start since the last call."""
        found: dict[Hashable, None] = {}
        changed, self._changed = self._changed, {}
        for name in changed:
            first = self._first(name)
            if first is not None and self._blocker(first) is None:
                found[first.key] = None
        return list(found)

    def holders(self, name: str) -> Iterator[LimitRequest]:
        """Yield the holders of a limit."""
        yield from self._holders.get(name, {}).values()

    def _leave(self, key: Hashable) -> None:
        entry = self._waiting.pop(key, None)
        if entry is not None:
            self._changed.update(dict.fromkeys(limit.name for limit in entry[2].limits))

    def _first(self, name: str) -> LimitRequest | None:
        """Return the first request of a line; drop entries that left it."""
        line = self._lines.get(name, [])
        while line and self._waiting.get(line[0][2].key) is not line[0]:
            heappop(line)
        if not line:
            self._lines.pop(name, None)
            return None
        return line[0][2]

    def _blocker(self, request: LimitRequest) -> Wait | None:
        for limit in request.limits:
            holders = list(self.holders(limit.name))
            room = min([limit.number, *(_number_of(each, limit.name) for each in holders)])
            if len(holders) >= room:
                return waits.limit_held(limit.name, _named(holders))
            first = self._first(limit.name)
            if first is not None and first.key != request.key:
                return waits.limit_line(limit.name, first.label)
        return None


def _number_of(request: LimitRequest, name: str) -> int:
    return next(limit.number for limit in request.limits if limit.name == name)


def _named(holders: list[LimitRequest]) -> str:
    shown = ", ".join(each.label for each in holders[:_NAMED])
    more = len(holders) - _NAMED
    return f"{shown} and {more:,} more" if more > 0 else shown


def merged(above: tuple[NamedLimit, ...], own: tuple[NamedLimit, ...]) -> tuple[NamedLimit, ...]:
    """Return the limits of a node: its own and those above it.

    Of two with the same name, the smaller number and the higher priority count.
    """
    found = {limit.name: limit for limit in above}
    for limit in own:
        other = found.get(limit.name, limit)
        number = min(limit.number, other.number)
        found[limit.name] = NamedLimit(limit.name, number, max(limit.priority, other.priority))
    return tuple(found.values())
