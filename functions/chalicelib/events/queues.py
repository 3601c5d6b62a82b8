"""Queues of SQS that fire triggers.

Lambda reads a queue and invokes a function with batches. A message stays in its queue until its
launch is stored; Lambda deletes those that the function does not return as failed.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from chalicelib.events.port import CloudSchedules, EventPorts
from conducto_core.errors import RefusedError
from conducto_core.events.intake import EventIntake
from conducto_core.events.model import EventRule, StoredEvent
from conducto_core.events.rules.firings import event_firing, event_id
from conducto_core.events.rules.payloads import masked, origin_of, size_problem
from conducto_core.events.rules.queues import batch_event, batches, message_of
from conducto_core.schedules.model import FiringState

logger = logging.getLogger(__name__)


# ---- the subscription of a trigger ---------------------------------------------------------------


def with_queue(events: EventPorts, org: str, name: str, rule: EventRule) -> EventRule:
    """Return a rule with the ARN of its queue: without one, that of a queue of its own.

    Raises:
        RefusedError: The administrator of the installation has not allowed it to read the queue,
            or the queue fires another trigger.
    """
    queues = events.queues
    if rule.source != "sqs" or queues is None:
        return rule
    own = queues.own(org, name)
    if rule.queue not in (None, own) and (org, rule.queue) not in events.named_queues:
        raise RefusedError(
            f"{org} may not read {rule.queue}; an administrator of the installation allows it: "
            f"conducto deploy -c queues={org}={rule.queue}"
        )
    queue = rule.queue or own
    _check_free(events.schedules, org, name, queue)
    return rule.model_copy(update={"queue": queue})


def connect_queue(
    events: EventPorts, org: str, name: str, rule: EventRule | None, former: EventRule | None
) -> None:
    """Read the queue of a rule, if it has one, instead of that of the former rule.

    Raises:
        RefusedError: The queue fires another trigger, or AWS cannot read it now.
    """
    queues = events.queues
    if queues is None:
        return
    queue = None if rule is None else rule.queue
    # The record of a trigger that is deleted may be damaged.
    unknown = queues.own(org, name) if rule is None else None
    old = unknown if former is None else former.queue
    if old is not None and old != queue:
        _leave(events, org, name, old)
    if rule is None or queue is None:
        return
    _claim(events.schedules, org, name, queue)
    if queue == queues.own(org, name):
        queues.create(org, name, rule.batch_seconds)
    queues.read(queue, rule.batch, rule.batch_seconds)


def _leave(events: EventPorts, org: str, name: str, queue: str) -> None:
    queues = events.queues
    if queues is None or events.schedules.queue_trigger(queue) not in (None, (org, name)):
        return
    queues.leave(queue)
    if queue == queues.own(org, name):
        queues.delete(org, name)
    events.schedules.release_queue(queue)


def _check_free(
    schedules: CloudSchedules, org: str, name: str, queue: str
) -> tuple[str, str] | None:
    """Return the trigger that a queue fired last; it may have been deleted without its claim.

    Raises:
        RefusedError: The queue fires another trigger.
    """
    known = schedules.queue_trigger(queue)
    if known is None or known == (org, name):
        return known
    other = schedules.get(*known)
    if other is not None and other.on is not None and other.on.queue == queue:
        raise RefusedError(f"{queue} fires the trigger {known[1]}; delete it or use another queue")
    return known


def _claim(schedules: CloudSchedules, org: str, name: str, queue: str) -> None:
    known = _check_free(schedules, org, name, queue)
    if not schedules.claim_queue(queue, org, name, known):
        raise RefusedError(f"{queue} is claimed by another request; try again")


# ---- messages ------------------------------------------------------------------------------------


def take_messages(
    schedules: CloudSchedules,
    clock: Callable[[], float],
    records: Sequence[Mapping[str, Any]],
    serve: Callable[[str, str], None],
) -> list[str]:
    """Fire the trigger of a queue for messages; return the ids of those that were not stored.

    Args:
        records: Messages of one queue, as Lambda passes them.
        serve: Launches the pipelines of a trigger whose firings are stored.
    """
    queue = str(records[0]["eventSourceARN"])
    place = schedules.queue_trigger(queue)
    trigger = None if place is None else schedules.get(*place)
    if place is None or trigger is None or trigger.on is None or trigger.on.queue != queue:
        logger.warning("a queue fires no trigger", extra={"queue": queue})
        return [str(one["messageId"]) for one in records]
    failed = _Batch(schedules, clock, *place, trigger.on, queue=queue).store(
        [*map(message_of, records)]
    )
    try:
        serve(*place)
    except Exception:
        # The firing is stored: the schedule launches it within a minute.
        logger.exception("a batch waits for the schedule", extra={"trigger": place[1]})
    return failed


class _Batch:
    """Messages of a queue that arrived together.

    The first message of a part that is stored has the payload. A message that was delivered again
    has a mark, which names the firing of its part.
    """

    def __init__(
        self,
        schedules: CloudSchedules,
        clock: Callable[[], float],
        org: str,
        name: str,
        rule: EventRule,
        *,
        queue: str,
    ) -> None:
        self._store, self._clock = schedules, clock
        self._intake = EventIntake(schedules, clock, lambda _org, _name: 0)
        self._org, self._name, self._rule = org, name, rule
        self._queue = queue.rpartition(":")[2]

    def store(self, messages: Sequence[Mapping[str, Any]]) -> list[str]:
        """Store the messages with their firings; return the ids of those that were not."""
        found = {str(one["id"]): one for one in messages}
        known = {one: self._stored_event(message) for one, message in found.items()}
        failed = [one for one, event in known.items() if event and not self._is_taken(event)]
        new = [found[one] for one, event in known.items() if event is None]
        visible = masked(self._rule, {"messages": new})["messages"]
        for part in batches(self._queue, visible):
            if not self._store_part(part):
                failed += [str(one["id"]) for one in part]
        return failed

    def _stored_event(self, message: Mapping[str, Any]) -> StoredEvent | None:
        mark = origin_of(batch_event(self._queue, [message])).mark
        return self._store.event(self._org, self._name, mark)

    def _is_taken(self, event: StoredEvent) -> bool:
        """Return whether a message that arrived before has its firing; store a lost one."""
        firing = self._store.firing(self._org, self._name, event.firing)
        if firing is not None:
            # A message that is too large has a firing, which failed, and no payload.
            is_first = firing.event is not None and firing.event.mark == event.origin.mark
            return event.payload is not None or not is_first
        if event.payload is None:
            return False  # the first message of its part brings the firing
        self._fire(event)
        return True

    def _store_part(self, part: Sequence[Mapping[str, Any]]) -> bool:
        """Store a part with its firing; return False if messages of it stay in the queue."""
        event, now = batch_event(self._queue, part), self._clock()
        origin = origin_of(event).model_copy(update={"count": len(part)})
        firing = event_id(origin, now)
        problem = size_problem(event.payload)
        payload = None if problem else event.payload
        first = StoredEvent(origin=origin, firing=firing, time=now, payload=payload)
        others = (origin_of(batch_event(self._queue, [one])) for one in part[1:])
        marks = [StoredEvent(origin=one, firing=firing, time=now) for one in others]
        if not self._store.add_events(self._org, self._name, [first, *marks]):
            return False  # another invocation got one of them at the same time
        self._fire(first, problem)
        return problem is None

    def _fire(self, event: StoredEvent, problem: str | None = None) -> None:
        firing = event_firing(event.origin, event.firing, self._clock())
        if problem is not None:
            firing = firing.model_copy(update={"state": FiringState.FAILED, "why": problem})
        self._intake.fire(self._org, self._name, firing)
