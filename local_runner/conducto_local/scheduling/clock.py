"""Two clocks: the time of day, which may be changed, and a monotonic one."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass


def steady() -> float:
    """Return seconds of a monotonic clock that includes the time asleep, if the system has one."""
    # On macOS, unlike `time.monotonic`, CLOCK_MONOTONIC includes the time asleep.
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    with suppress(OSError):
        return time.clock_gettime(clock)
    return time.monotonic()


@dataclass(frozen=True, slots=True)
class Clock:
    """The current time.

    Attributes:
        wall: Returns seconds since the epoch.
        steady: Returns seconds since an arbitrary moment.
    """

    wall: Callable[[], float] = time.time
    steady: Callable[[], float] = steady
