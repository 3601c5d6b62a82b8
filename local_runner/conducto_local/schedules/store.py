"""The schedules of an agent, in its store."""

import json
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from conducto_core.events.model import REMEMBERED_SECONDS, StoredEvent
from conducto_core.schedules.model import DAY, Firing, Schedule
from conducto_core.schedules.rules import schedules as rules

Transaction = Callable[[], AbstractContextManager[sqlite3.Connection]]
Select = Callable[..., list[tuple[Any, ...]]]

# A claim that comes late must not reset a firing that was executed.
_PUT_NEW = """INSERT INTO firings VALUES (?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET pending=excluded.pending, record=excluded.record WHERE pending"""
#: Number of the newest firings of a schedule that are kept.
_KEPT = 1000
_PRUNE = """DELETE FROM firings WHERE schedule=? AND id<? AND id<=(
    SELECT id FROM firings WHERE schedule=? ORDER BY id DESC LIMIT 1 OFFSET ?
    ) AND id NOT IN (SELECT value FROM json_each(?))"""


class SqliteSchedules:
    """A `conducto_core.schedules.port.Schedules`; an agent has one organisation, ``""``.

    Args:
        select: Executes a query with parameters, and returns its rows.
    """

    def __init__(self, transaction: Transaction, select: Select) -> None:
        self._transaction = transaction
        self._select = select

    def list_by_name(self, _org: str) -> Sequence[Schedule]:
        found = self._select("SELECT name, CAST(record AS BLOB) FROM schedules ORDER BY name")
        return [rules.listed(*row) for row in found]

    def get(self, _org: str, name: str) -> Schedule | None:
        found = self._select("SELECT CAST(record AS BLOB) FROM schedules WHERE name=?", name)
        return rules.parsed(name, found[0][0]) if found else None

    def create(self, _org: str, schedule: Schedule, template: bytes | None = None) -> bool:
        row = (*_columns(schedule), template)
        with self._transaction() as connection:
            added = connection.execute("INSERT OR IGNORE INTO schedules VALUES (?,?,?,?,?)", row)
            return bool(added.rowcount)

    def change(
        self,
        _org: str,
        old: Schedule,
        new: Schedule,
        firings: Sequence[Firing] = (),
        template: bytes | None = None,
    ) -> Schedule | None:
        stored = new.model_copy(update={"revision": old.revision + 1})
        name, *columns = _columns(stored)
        with self._transaction() as connection:
            changed = connection.execute(
                "UPDATE schedules SET wakes=?, revision=?, record=?, template=coalesce(?, template)"
                " WHERE name=? AND revision=?",
                (*columns, template, name, old.revision),
            )
            if not changed.rowcount:
                return None
            connection.executemany(_PUT_NEW, [firing_row(new.name, one) for one in firings])
            if firings:
                _prune(connection, stored, max(one.due for one in firings))
        return stored

    def delete(self, _org: str, name: str) -> bool:
        with self._transaction() as connection:
            for table in ("firings", "events"):
                connection.execute(f"DELETE FROM {table} WHERE schedule=?", (name,))  # noqa: S608
            deleted = connection.execute("DELETE FROM schedules WHERE name=?", (name,))
            return bool(deleted.rowcount)

    def template(self, _org: str, name: str) -> bytes | None:
        found = self._select("SELECT template FROM schedules WHERE name=?", name)
        template: bytes | None = found[0][0] if found else None
        return template

    def firing(self, _org: str, name: str, firing_id: str) -> Firing | None:
        found = self._select(
            "SELECT CAST(record AS BLOB) FROM firings WHERE schedule=? AND id=?", name, firing_id
        )
        return rules.parsed_firing(firing_id, found[0][0]) if found else None

    def put_firing(self, _org: str, name: str, firing: Firing) -> None:
        with self._transaction() as connection:
            row = firing_row(name, firing)
            connection.execute("INSERT OR REPLACE INTO firings VALUES (?, ?, ?, ?)", row)

    def firings(
        self, _org: str, name: str, before: str | None = None, limit: int = 50
    ) -> Sequence[Firing]:
        found = self._select(
            "SELECT id, CAST(record AS BLOB) FROM firings WHERE schedule=? "
            "AND (? IS NULL OR id<?) ORDER BY id DESC LIMIT ?",
            name,
            before,
            before,
            limit,
        )
        return [rules.parsed_firing(_legible(key), record) for key, record in found]

    def add_event(self, _org: str, name: str, event: StoredEvent) -> StoredEvent:
        with self._transaction() as connection:
            connection.execute(
                "DELETE FROM events WHERE time<?", (event.time - REMEMBERED_SECONDS,)
            )
            row = (name, event.origin.mark, event.time, event.model_dump_json())
            connection.execute("INSERT OR IGNORE INTO events VALUES (?,?,?,?)", row)
        return self.event("", name, event.origin.mark) or event

    def event(self, _org: str, name: str, mark: str) -> StoredEvent | None:
        found = self._select(
            "SELECT CAST(record AS BLOB) FROM events WHERE schedule=? AND mark=?", name, mark
        )
        return StoredEvent.model_validate_json(found[0][0]) if found else None

    def due(self, now: float) -> Sequence[tuple[str, str]]:
        found = self._select("SELECT name FROM schedules WHERE wakes<=? ORDER BY wakes", now)
        return [("", str(name)) for (name,) in found]

    def next_wake(self, now: float) -> float | None:
        ((found,),) = self._select("SELECT min(wakes) FROM schedules WHERE wakes>?", now)
        return None if found is None else float(found)


def _legible(stored: str | bytes) -> str:
    """Return a text of the store; damaged bytes are replaced."""
    return stored if isinstance(stored, str) else stored.decode(errors="replace")


def _prune(connection: sqlite3.Connection, schedule: Schedule, now: float) -> None:
    """Delete old firings that are closed; those of two days show which chains have fired."""
    oldest, name = rules.firing_id(now - 2 * DAY), schedule.name
    connection.execute(_PRUNE, (name, oldest, name, _KEPT, json.dumps(schedule.open)))


def _columns(schedule: Schedule) -> tuple[Any, ...]:
    return schedule.name, rules.wakes(schedule), schedule.revision, schedule.model_dump_json()


def firing_row(name: str, firing: Firing) -> tuple[Any, ...]:
    """Return the columns of a firing; one that did nothing yet may be replaced by a claim."""
    return name, firing.id, not rules.is_executed(firing), firing.model_dump_json()
