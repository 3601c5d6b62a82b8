"""Throttles the emulated DynamoDB for tests."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from moto.core.exceptions import AWSError
from moto.dynamodb.responses import DynamoHandler

_THROTTLED = "ProvisionedThroughputExceededException"
#: The operations that can be throttled, by moto's names.
OPERATIONS = ("put_item", "transact_write_items")
_MARK = "_conducto_refusable"


class Throttling:
    """The calls to throttle."""

    def __init__(self) -> None:
        self._left: dict[str, int] = {}
        self._refused: dict[str, list[str]] = {}
        self._lock = threading.Lock()

    @contextmanager
    def of(self, operation: str, count: int) -> Iterator[list[str]]:
        """Throttle the next calls of an operation; yield a list with an entry for each."""
        with self._lock:
            self._left[operation] = count
            refused = self._refused[operation] = []
        try:
            yield refused
        finally:
            with self._lock:
                self._left.pop(operation)

    def meet(self, operation: str) -> None:
        """Raise AWS's error if a call is to be throttled."""
        with self._lock:
            if self._left.get(operation, 0) == 0:
                return
            self._left[operation] -= 1
            self._refused[operation].append(operation)
        raise AWSError("slow down", _THROTTLED)


REFUSALS = Throttling()


def install() -> None:
    """Make moto's server in this process consult `REFUSALS`."""
    for name in OPERATIONS:
        call = getattr(DynamoHandler, name)
        if not hasattr(call, _MARK):
            setattr(DynamoHandler, name, _refusable(name, call))


def _refusable(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(call)
    def refusable(*given: Any) -> Any:
        REFUSALS.meet(name)
        return call(*given)

    setattr(refusable, _MARK, True)
    return refusable
