"""The rate at which all functions together launch workers."""

import random
import time
from collections.abc import Callable

from chalicelib.adapters import table_keys
from chalicelib.adapters.dynamodb import DynamoTable
from chalicelib.domain.retry import retry_throttled
from chalicelib.ports.errors import ConflictError, ThrottledError

#: RunTask on Fargate allows 20 calls per second in an account, and as many at once.
PER_SECOND = 20.0
BURST = 20
#: Pauses in seconds before a contended reservation is repeated, without their jitter.
_PAUSES = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32)


class LaunchPace:
    """A token bucket in one item of the table: ``full`` is the time at which it is full again."""

    def __init__(self, table: DynamoTable, clock: Callable[[], float]) -> None:
        self._table = table
        self._clock = clock

    def reserve(self, number: int) -> float:
        """Reserve a number of launches, and return the seconds until they are allowed.

        If the item stays contended, the launches are not counted: AWS rejects those that are too
        many, and they are repeated later.
        """
        pauses = (pause * (0.5 + random.random()) for pause in _PAUSES)  # noqa: S311  only jitter
        try:
            return retry_throttled(lambda: self._reserve(number), pauses, time.sleep)
        except ThrottledError:
            return 0.0

    def _reserve(self, number: int) -> float:
        key = table_keys.launch_pace()
        found = self._table.get(key)
        now = self._clock()
        known = 0.0 if found is None else float(found["full"])
        full = max(known, now) + number / PER_SECOND
        try:
            if found is None:
                self._table.put_where(key, {"full": full})
            else:
                before = {":before": found["full"]}
                self._table.put_where(key, {"full": full}, "#full = :before", before)
        except ConflictError as error:
            raise ThrottledError(str(error)) from error
        return max(0.0, full - now - BURST / PER_SECOND)
