"""Writing again what others were in the way of: what an organisation counts is written by many."""

from collections.abc import Callable
from typing import TypeVar

from chalicelib.cloud import Cloud
from chalicelib.ports import ThrottledError

#: How often a write is tried before its error counts, and seconds before the first time again.
_TRIES = 6
_PAUSE = 0.05

R = TypeVar("R")


def written(cloud: Cloud, write: Callable[[], R]) -> R:
    """Write, and return what the write returns; raises `ThrottledError` after some seconds."""
    for attempt in range(_TRIES):
        try:
            return write()
        except ThrottledError:
            cloud.sleep(cloud.jitter() * _PAUSE * 2**attempt)
    return write()
