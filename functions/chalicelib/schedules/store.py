"""Schedules and their firings, in the table; their templates are in the bucket."""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from chalicelib.aws import table_keys
from chalicelib.aws.dynamodb import NEW, DynamoTable, Item, Value, compress, decompress
from chalicelib.run.port import Blobs
from conducto_core.events.model import REMEMBERED_SECONDS, StoredEvent
from conducto_core.installation.names import OPEN, STATE_PREFIX
from conducto_core.schedules.model import Firing, Schedule, TemplateSource
from conducto_core.schedules.rules import schedules as rules

_WAITING = "schedules"
#: Attempts to read a template that is being replaced.
_READS = 3
#: Seconds for which firings are kept after their latest change.
_FIRING_SECONDS = 400 * 86_400
#: Later than any time: the index is read backwards, and the earliest schedule must come first.
_END_OF_TIME = 10**11


class TableSchedules:
    """A `conducto_core.schedules.port.Schedules`."""

    def __init__(self, table: DynamoTable, blobs: Blobs) -> None:
        self._table = table
        self._blobs = blobs

    def list_by_name(self, org: str) -> Sequence[Schedule]:
        first = table_keys.schedule(org, "")
        found = self._table.range(first.partition, " ", table_keys.LAST)
        return [rules.listed(key, str(item["schedule"])) for key, item in found]

    def get(self, org: str, name: str) -> Schedule | None:
        item = self._table.get(table_keys.schedule(org, name))
        return None if item is None else rules.parsed(name, str(item["schedule"]))

    def create(self, org: str, schedule: Schedule, template: bytes | None = None) -> bool:
        place = self._put_template(org, schedule.name, template)
        item = _item(org, schedule, place)
        stored = self._table.put_if(table_keys.schedule(org, schedule.name), item)
        if not stored:
            self._drop_template(place)
        return stored

    def change(
        self,
        org: str,
        old: Schedule,
        new: Schedule,
        firings: Sequence[Firing] = (),
        template: bytes | None = None,
    ) -> Schedule | None:
        """Replace a schedule, and add firings; see `Schedules.change`.

        The firings come first: they have no effect before the schedule names them.
        """
        key = table_keys.schedule(org, new.name)
        known = self._table.get(key)
        if known is None or known["revision"] != old.revision:
            return None
        for firing in firings:
            self._add_firing(org, new.name, firing)
        stored = new.model_copy(update={"revision": old.revision + 1})
        place = self._put_template(org, new.name, template)
        old_place = known.get("template")
        kept = old_place if isinstance(new.what, TemplateSource) else None
        item = _item(org, stored, place or kept)
        same = {":revision": old.revision}
        if not self._table.put_if(key, item, "#revision = :revision", same):
            self._drop_template(place)
            return None
        if place is not None or kept is None:
            self._drop_template(old_place)
        return stored

    def _add_firing(self, org: str, name: str, firing: Firing) -> None:
        # A late claim must not reset a firing that was executed.
        key = table_keys.firing(org, name, firing.id)
        self._table.put_if(key, _firing_item(firing), f"{NEW} OR #pending = :yes", {":yes": 1})

    def _put_template(self, org: str, name: str, template: bytes | None) -> str | None:
        if template is None:
            return None
        # Equal templates have different keys, so that the deletion of one never affects another.
        place = f"{STATE_PREFIX}schedules/{org}/{name}/{uuid4().hex}"
        self._blobs.put(place, template)
        return place

    def _drop_template(self, place: Value | None) -> None:
        if place is not None:
            self._blobs.delete(str(place))

    def delete(self, org: str, name: str) -> bool:
        key = table_keys.schedule(org, name)
        known = self._table.get(key)
        if known is None or not self._table.delete_once(key):
            return False
        first = table_keys.event(org, name, "")
        found = self._table.range(first.partition, first.sort, table_keys.LAST)
        self._table.delete_all([table_keys.firing(org, name, one) for one, _ in found])
        self._drop_template(known.get("template"))
        return True

    def template(self, org: str, name: str) -> bytes | None:
        for _ in range(_READS):
            item = self._table.get(table_keys.schedule(org, name))
            if item is None or "template" not in item:
                return None
            found = self._blobs.get(str(item["template"]))
            if found is not None:
                return found
        return None

    def firing(self, org: str, name: str, firing_id: str) -> Firing | None:
        item = self._table.get(table_keys.firing(org, name, firing_id))
        return None if item is None else rules.parsed_firing(firing_id, str(item["firing"]))

    def put_firing(self, org: str, name: str, firing: Firing) -> None:
        self._table.put(table_keys.firing(org, name, firing.id), _firing_item(firing))

    def firings(
        self, org: str, name: str, before: str | None = None, limit: int = 50
    ) -> Sequence[Firing]:
        first = table_keys.firing(org, name, "0")
        last = table_keys.LAST if before is None else before
        found = self._table.range(
            first.partition, first.sort, last, reverse=True, limit=limit + (before is not None)
        )
        kept = [one for one in found if one[0] != before][:limit]
        return [rules.parsed_firing(key, str(item["firing"])) for key, item in kept]

    def add_event(self, org: str, name: str, event: StoredEvent) -> StoredEvent:
        mark = event.origin.mark
        if self._table.put_if(table_keys.event(org, name, mark), _event_item(event)):
            return event
        return self.event(org, name, mark) or event

    def event(self, org: str, name: str, mark: str) -> StoredEvent | None:
        item = self._table.get(table_keys.event(org, name, mark))
        if item is None:
            return None
        return StoredEvent.model_validate_json(decompress(item["event"]))

    def add_events(self, org: str, name: str, events: Sequence[StoredEvent]) -> bool:
        items = [
            self._table.put_operation(
                table_keys.event(org, name, event.origin.mark), _event_item(event), new=True
            )
            for event in events
        ]
        return not self._table.try_transact(items)

    def queue_trigger(self, queue: str) -> tuple[str, str] | None:
        item = self._table.get(table_keys.queue(queue))
        return None if item is None else (str(item["org"]), str(item["trigger"]))

    def claim_queue(
        self, queue: str, org: str, name: str, former: tuple[str, str] | None = None
    ) -> bool:
        before = (org, name) if former is None else former
        where = f"{NEW} OR (#org = :org AND #trigger = :trigger)"
        values = {":org": before[0], ":trigger": before[1]}
        item: Item = {"org": org, "trigger": name}
        return self._table.put_if(table_keys.queue(queue), item, where, values)

    def release_queue(self, queue: str) -> None:
        self._table.delete(table_keys.queue(queue))

    def due(self, now: float) -> Sequence[tuple[str, str]]:
        """Return ``(organisation, name)`` of the schedules that need attention, the oldest first.

        The index may be some moments behind: the next call returns the others.
        """
        last, found = _place(now), []
        for key, item in self._table.index(OPEN, _WAITING):
            if str(item[OPEN.sort_key]).partition("#")[0] < last:
                break
            found.append((key.partition.partition("#")[2], key.sort))
        return found

    def next_wake(self, _now: float) -> float | None:
        """Return None: the cloud looks at schedules every minute."""
        return None


def _place(time: float) -> str:
    """Return a text that sorts the other way round than the time."""
    return f"{_END_OF_TIME - time:016.3f}"


def _item(org: str, schedule: Schedule, template: Value | None) -> dict[str, Any]:
    item: dict[str, Any] = {"schedule": schedule.model_dump_json(), "revision": schedule.revision}
    if template is not None:
        item["template"] = template
    time = rules.wakes(schedule)
    if time is not None:
        item[OPEN.partition_key] = _WAITING
        item[OPEN.sort_key] = f"{_place(time)}#{org}#{schedule.name}"
    return item


def _event_item(event: StoredEvent) -> Item:
    record = compress(event.model_dump_json().encode())
    return {"event": record, "expires": int(event.time) + REMEMBERED_SECONDS}


def _firing_item(firing: Firing) -> dict[str, Any]:
    pending = int(not rules.is_executed(firing))
    expires = int(firing.at) + _FIRING_SECONDS
    return {"firing": firing.model_dump_json(), "pending": pending, "expires": expires}
