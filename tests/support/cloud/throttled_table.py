"""Simulated throttling of moto's DynamoDB, for callers in other processes."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from moto.core.exceptions import AWSError
from moto.dynamodb.responses import DynamoHandler

from support.cloud.throttle import THROTTLED

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def throttled_table(operation: str, count: int) -> Iterator[list[str]]:
    """Reject the next calls of the emulated DynamoDB, from any client.

    Args:
        operation: Moto's name, e.g. ``put_item``.
        count: Number of calls to reject.

    Yields:
        A list with an entry for each rejected call.
    """
    call = getattr(DynamoHandler, operation)
    refused: list[str] = []
    lock = threading.Lock()

    def refusable(*given: Any) -> Any:
        with lock:
            if len(refused) < count:
                refused.append(operation)
                raise AWSError("slow down", THROTTLED)
        return call(*given)

    setattr(DynamoHandler, operation, refusable)
    try:
        yield refused
    finally:
        setattr(DynamoHandler, operation, call)
