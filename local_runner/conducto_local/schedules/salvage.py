"""Corrects the damaged schedules and firings of a store."""

import sqlite3
from collections.abc import Collection
from dataclasses import dataclass, field

from pydantic import ValidationError

from conducto_core.schedules.model import Firing, FiringCause, FiringState, Schedule
from conducto_core.schedules.rules.schedules import wakes
from conducto_local.store import rows
from conducto_local.store.salvage import correct, object_of

#: Fields without which another command could be launched, or at another time.
_NEEDED = tuple(Schedule.model_fields.keys() - {"title", "paused", "paused_why", "next", "open"})
_PAUSED = "repaired by 'conducto agent repair'; check it, then resume it"
_LOST = "its record was damaged; whether it launched a pipeline is unknown"


@dataclass(slots=True)
class SalvagedSchedules:
    """The result of a correction.

    Attributes:
        corrected: ``{name: what was lost}``.
        left: ``{name: cause}`` of schedules that cannot be corrected and are as they were.
    """

    corrected: dict[str, str] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)


def salvage_schedules(connection: sqlite3.Connection) -> SalvagedSchedules:
    found = SalvagedSchedules()
    unknown = _correct_firings(connection, found)
    query = "SELECT name, wakes, revision, record FROM schedules ORDER BY name"
    names = set()
    for row in rows.fetch(connection, query):
        name = _correct_schedule(connection, row, unknown, found)
        names.add(name)
    fired = rows.fetch(connection, "SELECT DISTINCT schedule FROM firings")
    for name in sorted({str(name) for (name,) in fired} - names):
        found.left[name] = "only its firings are left; add it again"
    return found


def _correct_schedule(
    connection: sqlite3.Connection,
    row: rows.Row,
    unknown: Collection[tuple[str, str]],
    found: SalvagedSchedules,
) -> str:
    """Correct one schedule, if it is damaged; return its name."""
    name, *columns, text = row
    try:
        schedule: Schedule | None = Schedule.model_validate_json(text)
        lost, cause = "", ""
    except (ValidationError, TypeError) as error:
        lost, cause = "parts of its record; it is paused", rows.cause_of_damage(error)
        fields = object_of(text)
        schedule = None if fields is None else correct(Schedule, fields, _NEEDED)
        if schedule is not None:
            schedule = schedule.model_copy(update={"paused": True, "paused_why": _PAUSED})
    if schedule is None:
        found.left[str(name)] = f"{cause}; delete it and add it again"
        return str(name)
    known = name if isinstance(name, str) else schedule.name
    named = schedule.name
    open_ = tuple(each for each in schedule.open if (known, each) not in unknown)
    schedule = schedule.model_copy(update={"name": known, "open": open_})
    if not lost and columns != [wakes(schedule), schedule.revision]:
        lost = "its next time, which was computed again"
    if lost or name != known or named != known:
        found.corrected[known] = lost or "its name"
        connection.execute(
            "UPDATE schedules SET name=?, wakes=?, revision=?, record=? "
            "WHERE name IN (?, CAST(? AS TEXT))",
            (known, wakes(schedule), schedule.revision, schedule.model_dump_json(), name, name),
        )
    return known


def _correct_firings(
    connection: sqlite3.Connection, found: SalvagedSchedules
) -> set[tuple[str, str]]:
    """Correct damaged firings; return schedule and id of those that count as failed."""
    unknown = set()
    for row in rows.fetch(connection, "SELECT schedule, id, pending, record FROM firings"):
        schedule, firing_id, pending, text = row
        firing = _firing_of(text)
        is_pending = firing is not None and firing.state is FiringState.PENDING
        if firing is not None and firing.id == firing_id and is_pending == pending:
            continue
        connection.execute(
            "DELETE FROM firings WHERE schedule IN (?, CAST(? AS TEXT)) "
            "AND id IN (?, CAST(? AS TEXT))",
            (schedule, schedule, firing_id, firing_id),
        )
        if firing is None and isinstance(firing_id, str):
            due = firing_id.partition("-")[0]
            firing = Firing(
                id=firing_id,
                due=float(due) if due.isdigit() else 0.0,
                cause=FiringCause.SCHEDULE,
                state=FiringState.FAILED,
                why=_LOST,
            )
            unknown.add((schedule, firing_id))
        found.corrected[str(schedule)] = "parts of its firings"
        if firing is not None and isinstance(schedule, str):
            values = (firing.id, firing.state is FiringState.PENDING, firing.model_dump_json())
            connection.execute(
                "INSERT OR REPLACE INTO firings VALUES (?,?,?,?)", (schedule, *values)
            )
    return unknown


def _firing_of(text: str | bytes) -> Firing | None:
    try:
        return Firing.model_validate_json(text)
    except (ValidationError, TypeError):
        fields = object_of(text)
        return None if fields is None else correct(Firing, fields, ("id", "due", "cause", "state"))
