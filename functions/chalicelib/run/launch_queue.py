"""The queue of an organisation's launches: those of triggers and schedules that met a full plan.

The table has a place for each launch that waits. Its trigger or schedule tries it again every
minute, which keeps the place; one that is not kept is given up, so that a deleted schedule or a
function that was killed delays nobody for long.
"""

from collections.abc import Callable
from typing import TypeVar

from chalicelib.records import Records
from conducto_core.errors import PlanFullError
from conducto_core.triggers.model import QueuedLaunch

R = TypeVar("R")

#: Seconds after which a place that was not kept is given up.
PLACE_SECONDS = 300.0


def turn_of(since: float, key: str) -> str:
    """Return the turn of a launch that waits since a time; turns sort by time."""
    return f"{int(since * 1000):014d}.{key}"


def in_turn(
    records: Records, clock: Callable[[], float], org: str, turn: str, launch: Callable[[int], R]
) -> R:
    """Launch, given the number of launches that wait before this one.

    Raises:
        PlanFullError: There is no room for it; it has a place in the queue now.
    """
    now, ahead, waited = clock(), 0, False
    for place in records.queue.list_by_name(org):
        if place.name == turn:
            waited = True
        elif now - place.kept > PLACE_SECONDS:
            records.queue.delete(org, place.name)
        else:
            ahead += place.name < turn
    try:
        launched = launch(ahead)
    except PlanFullError:
        records.queue.put(org, QueuedLaunch(name=turn, kept=now))
        raise
    if waited:
        records.queue.delete(org, turn)
    return launched
