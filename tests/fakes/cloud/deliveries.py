"""The webhooks that triggers received, in memory."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from conducto_core.triggers.model import OPEN_RESULTS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from conducto_core.triggers.model import Delivery


class FakeDeliveries:
    """A fake `Deliveries`."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._watched: set[str] = set()
        self._counts: Counter[tuple[str, str, int]] = Counter()
        self._deliveries: dict[tuple[str, str, str], Delivery] = {}
        self._known: set[tuple[str, str, str]] = set()

    def add(self, org: str, trigger: str, delivery: Delivery, identity: str) -> bool:
        if (org, trigger, identity) in self._known:
            return False
        self._known.add((org, trigger, identity))
        self.put(org, trigger, delivery)
        return True

    def count(self, org: str, hook: str) -> int:
        place = (org, hook, int(self._clock() // 60))
        self._counts[place] += 1
        return self._counts[place]

    def watch(self, org: str, *, on: bool) -> None:
        (self._watched.add if on else self._watched.discard)(org)

    def watched(self) -> Sequence[str]:
        return sorted(self._watched)

    def get(self, org: str, trigger: str, delivery: str) -> Delivery | None:
        return self._deliveries.get((org, trigger, delivery))

    def put(self, org: str, trigger: str, delivery: Delivery) -> None:
        self._deliveries[org, trigger, delivery.id] = delivery

    def latest(self, org: str, trigger: str, limit: int) -> Sequence[Delivery]:
        found = [each for (o, t, _), each in self._deliveries.items() if (o, t) == (org, trigger)]
        return sorted(found, key=lambda each: each.id, reverse=True)[:limit]

    def open(self) -> Sequence[tuple[str, str, str]]:
        known = self._deliveries.items()
        found = [place for place, each in known if each.result in OPEN_RESULTS]
        return sorted(found, key=lambda place: place[2])
