"""Errors of the ports, independent of AWS error codes."""

import gc
import random
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import TypeVar

from conducto_core.run.model.records import Wait
from conducto_core.workers.rules.start_failures import DENIED_REMEDY


class ConflictError(Exception):
    """Another writer was first: read again and decide again."""


class ThrottledError(Exception):
    """The service throttled the call; nothing was done. Retry later."""


class PlanLimitError(Exception):
    """The organisation's plan does not allow it; the message has the remedy.

    Attributes:
        wait: The message of commands that wait for the plan.
    """

    def __init__(self, wait: Wait) -> None:
        super().__init__(str(wait))
        self.wait = wait


class CapacityError(Exception):
    """AWS has no capacity for another task now; the message is from AWS."""


class AccessDeniedError(Exception):
    """AWS denied a call to one of Conducto's roles; the message is from AWS."""

    remedy = DENIED_REMEDY


class TaskGoneError(Exception):
    """The execution no longer waits for this task."""


# ----------------------------------------------------------------------------------------
# Retries of throttled calls.


R = TypeVar("R")
#: Number of attempts of a contended write, and the first pause in seconds.
_TRIES = 6
_PAUSE = 0.05


def retry_throttled(
    do: Callable[[], R], pauses: Iterable[float], sleep: Callable[[float], None]
) -> R:
    """Call a function, again after each pause (seconds) while it raises `ThrottledError`."""
    for pause in pauses:
        try:
            return do()
        except ThrottledError:
            sleep(pause)
    return do()


@dataclass(frozen=True)
class Timing:
    """The clock, and how competing writers wait.

    Attributes:
        clock: Seconds since the epoch.
        sleep: Sleeps for a number of seconds.
        jitter: Returns a number from 0 to 1, so that writers retry at different times.
    """

    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random

    def retry(self, write: Callable[[], R]) -> R:
        """Write a contended record, such as an organisation's counters; see `retry_throttled`."""
        pauses = (self.jitter() * _PAUSE * 2**attempt for attempt in range(_TRIES))
        return retry_throttled(write, pauses, self.sleep)


# ----------------------------------------------------------------------------------------
# Python's cyclic garbage collector, during work that makes millions of objects that stay.


_lock = Lock()
_pauses = 0


@contextmanager
def paused_collection() -> Iterator[None]:
    """Pause the collector, which would visit all nodes of a large tree again and again.

    That is a quarter of the CPU time of the launch of 100,000 Execs. The collector continues after
    the last pause of any thread; one that was disabled before stays disabled.
    """
    global _pauses  # noqa: PLW0603  the collector is one per process, too
    with _lock:
        paused = bool(_pauses) or gc.isenabled()
        if paused:
            _pauses += 1
            gc.disable()
    try:
        yield
    finally:
        with _lock:
            if paused:
                _pauses -= 1
                if not _pauses:
                    gc.enable()
