"""The firings of events: which events launch, wait for others, or replace those that wait."""

from conducto_core.events.model import EventOrigin
from conducto_core.schedules.model import Firing, FiringCause, FiringState, Schedule
from conducto_core.schedules.rules.schedules import (
    Due,
    firing_id,
    fitted,
    is_open,
    manual,
    with_open,
)


def event_firing(origin: EventOrigin, identity: str, now: float) -> Firing:
    """Return the firing of an event."""
    return Firing(id=identity, due=now, cause=FiringCause.EVENT, at=now, event=origin)


def event_id(origin: EventOrigin, now: float) -> str:
    """Return the id of the firing of an event that arrives now."""
    return firing_id(now, f"{int(now % 1 * 1000):03}-{origin.mark[:8]}")


def replay(known: Firing, key: str, now: float) -> Firing:
    """Return a firing that repeats another one with its payload."""
    changes = {"cause": FiringCause.REPLAY, "event": known.event}
    return manual(key, now).model_copy(update=changes)


def with_event(schedule: Schedule, firing: Firing, now: float) -> Due:
    """Return a trigger with the firing of an event, and the firings that change."""
    if schedule.paused:
        changes = {"state": FiringState.SKIPPED, "why": "the trigger is paused"}
        return Due(schedule, (firing.model_copy(update=changes),))
    pause = 0.0 if schedule.on is None else schedule.on.debounce
    if not pause or not is_open(firing):
        fitting = fitted(schedule, (firing,))
        return Due(with_open(schedule, fitting), fitting)
    earlier = schedule.held
    count = 1 if earlier is None or earlier.event is None else earlier.event.count + 1
    event = None if firing.event is None else firing.event.model_copy(update={"count": count})
    why = f"it fires when no event has arrived for {pause:g} seconds"
    held = firing.model_copy(update={"event": event, "why": why})
    changed = schedule.model_copy(update={"held": held, "next": now + pause})
    if earlier is None:
        return Due(changed, (held,))
    why = f"the event of {held.id} arrived within {pause:g} seconds"
    skipped = earlier.model_copy(update={"state": FiringState.SKIPPED, "why": why, "at": now})
    return Due(changed, (skipped, held))
