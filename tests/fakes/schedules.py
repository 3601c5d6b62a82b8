"""Schedules in memory."""

from bisect import bisect_left
from collections.abc import Sequence

from conducto_core.model.schedules import Firing, FiringState, Schedule
from conducto_core.semantics.schedules import wakes


class MemorySchedules:
    """A `conducto_core.ports.schedules.Schedules`."""

    def __init__(self) -> None:
        self._schedules: dict[tuple[str, str], Schedule] = {}
        self._templates: dict[tuple[str, str], bytes] = {}
        self._firings: dict[tuple[str, str], dict[str, Firing]] = {}

    def all_of(self, org: str) -> Sequence[Schedule]:
        return [self._schedules[key] for key in sorted(self._schedules) if key[0] == org]

    def get(self, org: str, name: str) -> Schedule | None:
        return self._schedules.get((org, name))

    def create(self, org: str, schedule: Schedule, template: bytes | None = None) -> bool:
        key = org, schedule.name
        if key in self._schedules:
            return False
        self._schedules[key] = schedule
        self._firings[key] = {}
        if template is not None:
            self._templates[key] = template
        return True

    def change(
        self,
        org: str,
        old: Schedule,
        new: Schedule,
        firings: Sequence[Firing] = (),
        template: bytes | None = None,
    ) -> Schedule | None:
        key = org, new.name
        stored = self._schedules.get(key)
        if stored is None or stored.revision != old.revision:
            return None
        self._schedules[key] = new.model_copy(update={"revision": old.revision + 1})
        for firing in firings:
            known = self._firings[key].get(firing.id)
            if known is None or known.state is FiringState.PENDING:
                self._firings[key][firing.id] = firing
        if template is not None:
            self._templates[key] = template
        return self._schedules[key]

    def delete(self, org: str, name: str) -> bool:
        self._firings.pop((org, name), None)
        self._templates.pop((org, name), None)
        return self._schedules.pop((org, name), None) is not None

    def template(self, org: str, name: str) -> bytes | None:
        return self._templates.get((org, name))

    def firing(self, org: str, name: str, firing_id: str) -> Firing | None:
        return self._firings.get((org, name), {}).get(firing_id)

    def put_firing(self, org: str, name: str, firing: Firing) -> None:
        self._firings[org, name][firing.id] = firing

    def firings(
        self, org: str, name: str, before: str | None = None, limit: int = 50
    ) -> Sequence[Firing]:
        known = self._firings.get((org, name), {})
        ids = sorted(known)
        last = len(ids) if before is None else bisect_left(ids, before)
        return [known[one] for one in reversed(ids[:last])][:limit]

    def due(self, now: float) -> Sequence[tuple[str, str]]:
        times = {key: wakes(one) for key, one in self._schedules.items()}
        found = [(time, key) for key, time in times.items() if time is not None and time <= now]
        return [key for _, key in sorted(found)]

    def next_wake(self) -> float | None:
        times = (wakes(one) for one in self._schedules.values())
        return min((time for time in times if time), default=None)
