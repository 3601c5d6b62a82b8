"""The summary of a group's children, updated one child at a time.

`Rollup` holds the summary. Recording one child's change costs O(log n) of the group's width, so
that an event costs the depth of the tree and never its size.
"""

from collections.abc import Iterable
from heapq import heappop, heappush

from conducto_core.model.states import State
from conducto_core.semantics.rules import Outcome, group_outcome, holds_back_siblings

#: Order of the numbers in a count of Execs by state; the last two count the skipped, and those of
#: them that are pending.
COUNTED = tuple(State)
SKIPPED = len(COUNTED)
LEFT_OUT = SKIPPED + 1
INDEX = {state: index for index, state in enumerate(COUNTED)}
PENDING = INDEX[State.PENDING]
QUEUED = INDEX[State.QUEUED]
RUNNING = INDEX[State.RUNNING]


class Rollup:
    """The summary of a group's children.

    Attributes:
        seen: The outcome of each child, by position.
        unfinished: ``{position: None}`` of the unfinished children, as an ordered set.
        warned: Positions of children that are done with a warning.
    """

    __slots__ = ("_held", "_holding", "_serial", "_stop", "failed", "seen", "unfinished", "warned")

    def __init__(
        self,
        children: list[Outcome],
        *,
        serial: bool,
        stop_on_error: bool,
        warned: Iterable[int] = (),
    ) -> None:
        self.seen = children
        self.unfinished = {i: None for i, seen in enumerate(children) if seen is _UNFINISHED}
        self.failed = sum(1 for seen in children if seen is Outcome.FAILED)
        self.warned = set(warned)
        self._serial = serial
        self._stop = stop_on_error
        # Positions that hold back their later siblings: a heap that is cleaned when read, so
        # that a reset in the middle of a long Serial need not walk it again.
        self._holding: list[int] = []
        self._held: set[int] = set()
        if serial:
            self._holding = [i for i, seen in enumerate(children) if self._holds(seen)]
            self._held = set(self._holding)

    def note(self, position: int, seen: Outcome, *, warns: bool) -> None:
        """Record the current outcome of one child."""
        if warns:
            self.warned.add(position)
        else:
            self.warned.discard(position)
        before = self.seen[position]
        if before is seen:
            return
        self.seen[position] = seen
        self.failed += (seen is Outcome.FAILED) - (before is Outcome.FAILED)
        if seen is _UNFINISHED:
            self.unfinished[position] = None
        elif before is _UNFINISHED:
            del self.unfinished[position]
        if self._serial and self._holds(seen) and position not in self._held:
            heappush(self._holding, position)
            self._held.add(position)

    def first_holding(self) -> int | None:
        """Return the position of a Serial's first child that holds back the others, or None."""
        while self._holding and not self._holds(self.seen[self._holding[0]]):
            self._held.discard(heappop(self._holding))
        return self._holding[0] if self._holding else None

    def outcome(self) -> Outcome:
        """Return the outcome of the group."""
        first = self.first_holding()
        return group_outcome(
            None if first is None else self.seen[first],
            any_unfinished=bool(self.unfinished),
            any_failed=self.failed > 0,
        )

    def may_run(self, position: int) -> bool:
        """Return whether the order of a Serial lets this child run now."""
        return not self._serial or self.first_holding() == position

    def next_to_run(self) -> list[int]:
        """Return the positions of unfinished children that may run, by the group's order."""
        if not self._serial:
            return list(self.unfinished)
        first = self.first_holding()
        return [] if first is None or self.seen[first] is not _UNFINISHED else [first]

    def _holds(self, seen: Outcome) -> bool:
        return holds_back_siblings(seen, stop_on_error=self._stop)


_UNFINISHED = Outcome.UNFINISHED
