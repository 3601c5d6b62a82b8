"""EventBridge: brings events and schedules to the app's functions, each perhaps more than once."""

import logging
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

logger = logging.getLogger(__name__)

Function = Callable[[dict[str, Any], Any], Any]
#: How often an asynchronous call of a Lambda is tried.
_TRIES = 3


class Rules:
    """Which functions want which events.

    Args:
        patterns: Event patterns and the functions behind them.
    """

    def __init__(self, patterns: Iterable[tuple[Mapping[str, Any], Function]]) -> None:
        self._patterns = tuple(patterns)

    def wanting(self, event: Mapping[str, Any]) -> Sequence[Function]:
        """Return the functions whose pattern an event matches."""
        return [function for pattern, function in self._patterns if matches(pattern, event)]


def matches(pattern: Mapping[str, Any], event: Mapping[str, Any]) -> bool:
    """Return whether an event matches a pattern.

    Of the language of patterns, exact values and prefixes are known.
    """
    return all(_field_matches(wanted, event.get(name)) for name, wanted in pattern.items())


def _field_matches(wanted: object, value: object) -> bool:
    if isinstance(wanted, Mapping):
        return isinstance(value, Mapping) and matches(wanted, value)
    if not isinstance(wanted, Sequence):
        raise TypeError(f"a field of a pattern is a list or an object, not {wanted!r}")
    return any(_value_matches(each, value) for each in wanted)


def _value_matches(wanted: object, value: object) -> bool:
    if isinstance(wanted, Mapping):
        if list(wanted) != ["prefix"]:
            raise ValueError(f"the emulator does not know this pattern: {dict(wanted)}")
        return isinstance(value, str) and value.startswith(str(wanted["prefix"]))
    return bool(wanted == value)


class EventBus:
    """Calls functions in threads of its own.

    Attributes:
        copies: How many times every event is delivered.
    """

    def __init__(self, rules: Rules, region: str, account: str) -> None:
        self.copies = 1
        self._rules = rules
        self._region = region
        self._account = account
        self._pool = ThreadPoolExecutor(max_workers=8, thread_name_prefix="events")
        self._leaving = threading.Event()
        self._clocks: list[threading.Thread] = []

    def publish(self, source: str, kind: str, detail: Mapping[str, Any]) -> None:
        """Deliver an event, some time soon."""
        event = self._event(source, kind, detail)
        for function in self._rules.wanting(event):
            for _ in range(self.copies):
                self._call(function, event)

    def every(self, seconds: float, function: Function) -> None:
        """Call a function again and again."""

        def run() -> None:
            while not self._leaving.wait(seconds):
                _invoke(function, self._event("aws.events", "Scheduled Event", {}))

        self._clocks.append(threading.Thread(target=run, daemon=True, name="schedule"))
        self._clocks[-1].start()

    def close(self) -> None:
        """Deliver nothing more."""
        self._leaving.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
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

    def _call(self, function: Function, event: dict[str, Any]) -> None:
        if not self._leaving.is_set():
            self._pool.submit(_invoke, function, event)


def _invoke(function: Function, event: dict[str, Any]) -> None:
    for attempt in range(_TRIES):
        try:
            function(event, None)
        except Exception:
            logger.exception("%s failed (%s)", event.get("detail-type"), attempt + 1)
        else:
            return
