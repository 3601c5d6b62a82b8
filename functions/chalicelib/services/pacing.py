"""The pauses of a request that competes with others, and when it gives up."""

from chalicelib.services.dependencies import Dependencies

#: First and longest pause in seconds between reads of the journal, and how the pause grows.
FIRST_PAUSE = 0.012
LONGEST_PAUSE = 0.15
GROWTH = 1.5
#: Longest pause in seconds after AWS throttled a call.
THROTTLED_PAUSE = 1.2
#: Seconds after which a request gives up; API Gateway ends a request after 29 seconds.
LONGEST_WAIT = 15.0


class Pace:
    """The pauses of one request.

    Attributes:
        idle: Seconds for which nothing has happened, at least.
    """

    def __init__(self, cloud: Dependencies) -> None:
        self._cloud = cloud
        self._began = cloud.clock()
        self._pause = FIRST_PAUSE
        self._slept = 0.0
        self._seen: object = None
        self.idle = 0.0

    def is_over(self) -> bool:
        """Return whether the request must give up."""
        # A clock may be set back; the pauses are a lower limit.
        return max(self._slept, self._cloud.clock() - self._began) >= LONGEST_WAIT

    def pause(self, *, throttled: bool = False) -> None:
        """Sleep, longer each time, and at other times than other requests."""
        longest = THROTTLED_PAUSE if throttled else LONGEST_PAUSE
        gap = min(self._pause, longest) * (0.5 + self._cloud.jitter())
        self._pause = min(self._pause * GROWTH, longest)
        self._cloud.sleep(gap)
        self._slept += gap
        self.idle += gap

    def notice(self, seen: object) -> None:
        """Begin to count ``idle`` again if something else is seen than before."""
        if seen != self._seen:
            self._seen, self.idle = seen, 0.0
