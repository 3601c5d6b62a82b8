"""Emulates EventBridge: delivers events and schedules to the app's functions."""

import threading
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from conducto_emulator.asynchronous import AsyncCalls
from conducto_emulator.limits import Dice
from conducto_emulator.strict import Strictness

Function = Callable[[dict[str, Any], Any], Any]
#: Event patterns and the functions that they trigger.
Rules = Iterable[tuple[Mapping[str, Any], Function]]


def matches(pattern: Mapping[str, Any], event: Mapping[str, Any]) -> bool:
    """Return whether an event matches a pattern.

    Only exact values and prefixes are supported.
    """
    return all(_field_matches(wanted, event.get(name)) for name, wanted in pattern.items())


def _field_matches(wanted: object, value: object) -> bool:
    if isinstance(wanted, Mapping):
        return isinstance(value, Mapping) and matches(wanted, value)
    if not isinstance(wanted, Sequence):
        raise TypeError(f"a field of a pattern must be a list or an object, got {wanted!r}")
    return any(_value_matches(each, value) for each in wanted)


def _value_matches(wanted: object, value: object) -> bool:
    if isinstance(wanted, Mapping):
        if list(wanted) != ["prefix"]:
            raise ValueError(f"the emulator does not support this pattern: {dict(wanted)}")
        return isinstance(value, str) and value.startswith(str(wanted["prefix"]))
    return bool(wanted == value)


class EventBus:
    """Calls functions for events and schedules.

    Attributes:
        copies: Number of deliveries of every event.
    """

    def __init__(
        self,
        rules: Rules,
        region: str,
        account: str,
        calls: AsyncCalls,
        strictness: Strictness | None = None,
    ) -> None:
        self.copies = 1
        self._calls = calls
        self._strictness = strictness
        self._dice = Dice(strictness.seed if strictness else 0)
        self._rules = tuple(rules)
        self._region = region
        self._account = account
        self._leaving = threading.Event()
        self._clocks: list[threading.Thread] = []

    def publish(self, source: str, kind: str, detail: Mapping[str, Any]) -> None:
        """Deliver an event, possibly later."""
        event = self._event(source, kind, detail)
        for function in [each for pattern, each in self._rules if matches(pattern, event)]:
            for _ in range(self.copies + self._duplicates()):
                self._call(function, event, self._delay())

    def every(self, seconds: float, function: Function) -> None:
        """Call a function at an interval."""

        def run() -> None:
            while not self._leaving.wait(seconds):
                # One at a time: on a busy machine the number of calls in progress would grow.
                self.call_scheduled(function)

        self._clocks.append(threading.Thread(target=run, daemon=True, name="schedule"))
        self._clocks[-1].start()

    def call_scheduled(self, function: Function) -> None:
        """Call a function as its schedule does, and wait for its end."""
        event = self._event("aws.events", "Scheduled Event", {})
        for _ in range(1 + self._duplicates()):
            self._calls.execute("Scheduled Event", partial(function, event, None))

    def close(self) -> None:
        """Stop delivering."""
        self._leaving.set()
        self._calls.close()
        for each in self._clocks:
            each.join()

    def _event(self, source: str, kind: str, detail: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": kind,
            "source": source,
            "account": self._account,
            "time": datetime.now(UTC).isoformat(),
            "region": self._region,
            "resources": [],
            "detail": dict(detail),
        }

    def _duplicates(self) -> int:
        strictness = self._strictness
        return int(
            strictness is not None and self._dice.happens("duplicate", strictness.duplicates)
        )

    def _delay(self) -> float:
        strictness = self._strictness
        if strictness is None or not self._dice.happens("late", strictness.late):
            return 0.0
        return strictness.late_seconds * self._dice.draw("how late")

    def _call(self, function: Function, event: dict[str, Any], delay: float) -> None:
        if not self._leaving.is_set():
            self._calls.submit(str(event["detail-type"]), partial(function, event, None), delay)
