"""Trying again what AWS asks to come back for, or what others were in the way of."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from chalicelib.cloud import Cloud
from chalicelib.ports import ThrottledError

#: How often a write is tried before its error counts, and seconds before the first time again.
_TRIES = 6
_PAUSE = 0.05

R = TypeVar("R")


def patiently(do: Callable[[], R], pauses: Iterable[float], sleep: Callable[[float], None]) -> R:
    """Do something, again after each pause (seconds) until it works; return what it returns.

    Raises:
        ThrottledError: it was asked to come back later after the last pause, too.
    """
    for pause in pauses:
        try:
            return do()
        except ThrottledError:
            sleep(pause)
    return do()


def written(cloud: Cloud, write: Callable[[], R]) -> R:
    """Write what many write, such as an organisation's counts; raises as `patiently`."""
    pauses = (cloud.jitter() * _PAUSE * 2**attempt for attempt in range(_TRIES))
    return patiently(write, pauses, cloud.sleep)
