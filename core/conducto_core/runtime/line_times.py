"""The times of output: when each part of a stream was read from the command's pipe.

The index has a record for each part that was read at least `RESOLUTION` seconds after the part of
the record before: the position of its first byte, and the time. So a line's time is known to within
`RESOLUTION`, and a stream has at most ten records a second, of 16 bytes each. In the cloud, where a
kilobyte has a price, it is `CLOUD_RESOLUTION`.
"""

import struct
from collections.abc import Callable, Sequence

RECORD = struct.Struct("<Qd")
#: Seconds.
RESOLUTION = 0.1
CLOUD_RESOLUTION = 0.5
#: Maximum number of records in a response; a reader requests smaller parts if it needs more.
MAX_TIMES = 20_000

#: ``(offset, time)``: bytes from this offset on were read at this time, or a moment later.
LineTime = tuple[int, float]


class LineClock:
    """Decides for each part of one stream whether the index gets a record."""

    def __init__(self, clock: Callable[[], float], resolution: float = RESOLUTION) -> None:
        self._clock = clock
        self._resolution = resolution
        self._last = float("-inf")

    def record(self, offset: int) -> LineTime | None:
        """Return the record for output that was read now; None if the last one is recent enough."""
        now = self._clock()
        if 0 <= now - self._last < self._resolution:
            return None
        self._last = now
        return offset, now


def packed(times: Sequence[LineTime]) -> bytes:
    """Return records as stored."""
    return b"".join(RECORD.pack(*each) for each in times)


def unpacked(data: bytes) -> list[LineTime]:
    """Return stored records; an incomplete one at the end is ignored."""
    whole = len(data) // RECORD.size * RECORD.size
    return [(offset, time) for offset, time in RECORD.iter_unpack(data[:whole])]


def part_of(times: Sequence[LineTime], start: int, end: int) -> tuple[LineTime, ...]:
    """Return the records for a part of a stream, with the last one in front of it, each once."""
    before = [each for each in times if each[0] <= start][-1:]
    within = dict.fromkeys(each for each in times if start < each[0] < end)
    return (*before, *within)


def times_within(
    read: Callable[[int, int], bytes], count: int, start: int, end: int
) -> tuple[LineTime, ...]:
    """Return the records for a part of a stream, with the last one in front of it.

    Args:
        read: Returns the bytes of records: their number, and the number of the first.
        count: Number of records.
        start: First byte.
        end: Byte after the last.
    """
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if _offset(read, middle) <= start else (low, middle)
    first = max(0, low - 1)
    found = unpacked(read(min(MAX_TIMES, count - first), first))
    return tuple(each for each in found if each[0] < max(end, start + 1))


def _offset(read: Callable[[int, int], bytes], number: int) -> int:
    return int(RECORD.unpack(read(1, number))[0])
