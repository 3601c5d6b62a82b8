"""Retries of throttled calls."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from chalicelib.ports.errors import ThrottledError

R = TypeVar("R")


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
