"""Retries of throttled calls."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from chalicelib.ports import ThrottledError

R = TypeVar("R")


def retry_throttled(
    do: Callable[[], R], pauses: Iterable[float], sleep: Callable[[float], None]
) -> R:
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
