"""Delivery of events to functions, with retries."""

from __future__ import annotations

import threading
import time
from typing import Any

from conducto_emulator.faults.strict import Strictness
from conducto_emulator.lambdas.events import AsyncCalls, EventBus


class Function:
    """Fails some times, then is content."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.calls: list[dict[str, Any]] = []
        self.done = threading.Semaphore(0)

    def __call__(self, event: dict[str, Any], _context: Any) -> None:
        self.calls.append(event)
        if len(self.calls) <= self.failures:
            raise RuntimeError("not yet")
        self.done.release()


def bus(function: Function) -> EventBus:
    return bus_of(function)


def bus_of(function: Function, pauses: tuple[float, ...] = (0.0, 0.0), **chances: Any) -> EventBus:
    rules = [({"source": ["aws.ecs"]}, function)]
    none = {"duplicates": 0.0, "late": 0.0, "late_seconds": 0.2}
    strictness = Strictness(1, **{**none, **chances}) if chances else None
    return EventBus(rules, "us-east-1", "1", AsyncCalls(pauses), strictness)


def test_an_event_is_delivered_as_often_as_asked() -> None:
    function = Function()
    made = bus(function)
    made.copies = 3

    made.publish("aws.ecs", "ECS Task State Change", {"x": 1})
    arrived = [function.done.acquire(timeout=10) for _ in range(3)]
    made.close()

    assert all(arrived)
    assert [each["detail"] for each in function.calls] == [{"x": 1}] * 3
    assert len({each["id"] for each in function.calls}) == 1


def test_a_function_that_fails_is_called_again() -> None:
    function = Function(failures=2)
    made = bus(function)

    made.publish("aws.ecs", "ECS Task State Change", {})
    arrived = function.done.acquire(timeout=10)
    made.close()

    assert arrived
    assert len(function.calls) == 3


def test_failing_function_is_invoked_three_times_with_pauses_between() -> None:
    function = Function(failures=2)
    made = bus_of(function, (0.05, 0.1))
    began = time.monotonic()

    made.publish("aws.ecs", "ECS Task State Change", {})
    arrived = function.done.acquire(timeout=10)
    took = time.monotonic() - began
    made.close()

    assert arrived
    assert len(function.calls) == 3
    assert took >= 0.15


def test_strict_bus_delivers_some_events_twice_and_some_after_later_ones() -> None:
    function = Function()
    made = bus_of(function, duplicates=0.2, late=0.3)

    for number in range(40):
        made.publish("aws.ecs", "ECS Task State Change", {"number": number})
    for _ in range(41):
        assert function.done.acquire(timeout=10)
    made.close()

    numbers = [each["detail"]["number"] for each in function.calls]
    assert set(numbers) <= set(range(40))
    assert len(numbers) > len(set(numbers))
    assert numbers != sorted(numbers)


def test_nothing_is_delivered_after_the_end() -> None:
    function = Function()
    made = bus(function)
    made.close()

    made.publish("aws.ecs", "ECS Task State Change", {})

    assert function.calls == []


def test_a_schedule_calls_again_and_again() -> None:
    function = Function()
    made = bus(function)

    made.every(0.01, function)
    arrived = [function.done.acquire(timeout=10) for _ in range(3)]
    made.close()

    assert all(arrived)
    assert function.calls[0]["detail-type"] == "Scheduled Event"
