"""Two clocks: the time of day, which may be set, and one that nobody sets."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass


def steady() -> float:
    """Return seconds that no one sets and that go on while the machine sleeps, where it knows."""
    # On macOS the second one counts the time asleep, which `time.monotonic` does not.
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    with suppress(OSError):
        return time.clock_gettime(clock)
    return time.monotonic()


@dataclass(frozen=True, slots=True)
class Clock:
    """What time it is.

    Attributes:
        wall: Seconds since the epoch, as the machine says.
        steady: Seconds since some moment.
    """

    wall: Callable[[], float] = time.time
    steady: Callable[[], float] = steady
