"""Two clocks: the time of day, which may be changed, and a monotonic one."""

import time
from collections.abc import Callable
from dataclasses import dataclass

# On macOS, unlike `time.monotonic`, CLOCK_MONOTONIC includes the time asleep.
_CLOCK: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def steady() -> float:
    """Return seconds of a monotonic clock that includes the time asleep, if the system has one."""
    try:
        return time.clock_gettime(_CLOCK)
    except OSError:
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
