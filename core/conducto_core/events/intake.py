"""Takes events: each one is stored once, and becomes a firing of its trigger."""

from collections.abc import Callable, Mapping
from secrets import token_hex
from typing import Any

from conducto_core.api.dispatch import read_json
from conducto_core.api.problems import ProblemError, too_large
from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.events.model import MAX_PAYLOAD, Event, StoredEvent
from conducto_core.events.rules.firings import event_firing, event_id, with_event
from conducto_core.events.rules.payloads import masked, origin_of, size_problem, webhook_event
from conducto_core.run.model.requests import Problem
from conducto_core.schedules.model import Firing, FiringState, Schedule
from conducto_core.schedules.port import Schedules
from conducto_core.triggers.rules.providers import ID_HEADER, check_generic, has_token

#: Attempts of a change, which fails while other events of the same trigger arrive.
_TRIES = 20

#: Counts an event of a trigger, and returns the number of those in this minute.
Count = Callable[[str, str], int]


class EventIntake:
    """Takes the events of triggers; serve a trigger afterwards."""

    def __init__(self, store: Schedules, clock: Callable[[], float], count: Count) -> None:
        self._store = store
        self.clock = clock
        self._count = count

    def hook(
        self, org: str, name: str, secret: str, headers: Mapping[str, str], body: bytes
    ) -> Firing:
        """Take a webhook; headers have lower-case names.

        Raises:
            SignatureError: It has no valid signature or token, or is too old.
            NotFoundError: The trigger takes no webhooks.
            ProblemError: The body is not JSON or too large, or there were too many.
        """
        if has_token(secret, headers):
            identity = headers.get(ID_HEADER.lower()) or token_hex(16)
        else:
            identity = check_generic(secret, headers, body, self.clock())
        trigger = self._trigger(org, name)
        if trigger.on is None or trigger.on.source != "webhook":
            raise NotFoundError(f"{name} takes no webhooks")
        if len(body) > MAX_PAYLOAD:
            raise too_large(MAX_PAYLOAD)
        return self.add(org, name, webhook_event(headers, _parsed(body), identity))

    def add(self, org: str, name: str, event: Event) -> Firing:
        """Store an event with its firing; return that of an earlier one with the same identity.

        Raises:
            ProblemError: There were too many in this minute.
        """
        trigger, now = self._trigger(org, name), self.clock()
        if trigger.on is None:
            raise NotFoundError(f"{name} is not a trigger")
        origin = origin_of(event)
        known = self._store.event(org, name, origin.mark)
        if known is not None:
            first = self._store.firing(org, name, known.firing)
            if first is not None:
                return first
        elif self._count(org, name) > trigger.on.rate:
            raise _too_many(name, trigger.on.rate)
        payload = masked(trigger.on, event.payload)
        problem = size_problem(payload)
        new = StoredEvent(
            origin=origin,
            firing=event_id(origin, now),
            time=now,
            payload=None if problem else payload,
        )
        # An earlier request may have ended between the two writes: its firing is stored now.
        stored = self._store.add_event(org, name, new)
        firing = event_firing(stored.origin, stored.firing, now)
        if problem is not None:
            firing = firing.model_copy(update={"state": FiringState.FAILED, "why": problem})
        return self.fire(org, name, firing)

    def fire(self, org: str, name: str, firing: Firing) -> Firing:
        """Store a firing of an event; return it as it is stored.

        Raises:
            RefusedError: Too many others change the trigger.
        """
        for _ in range(_TRIES):
            trigger = self._trigger(org, name)
            due = with_event(trigger, firing, self.clock())
            if self._store.change(org, trigger, due.schedule, due.firings) is not None:
                return self._store.firing(org, name, firing.id) or firing
        raise RefusedError(f"{name} gets many events at the same time; send this one again")

    def _trigger(self, org: str, name: str) -> Schedule:
        found = self._store.get(org, name)
        if found is None:
            raise NotFoundError(f"no trigger {name!r}")
        return found


def _parsed(body: bytes) -> Any:
    try:
        return read_json(body)
    except ValueError as error:
        raise ProblemError(
            Problem(
                title="invalid payload",
                status=400,
                detail=f"the body is not JSON: {error}",
                remedy="send a JSON document",
            )
        ) from error


def _too_many(name: str, rate: int) -> ProblemError:
    return ProblemError(
        Problem(
            title="too many events",
            status=429,
            detail=f"{name} got more than {rate} events in a minute",
            remedy="send it again in the next minute, or store the trigger with a higher --rate",
        )
    )
