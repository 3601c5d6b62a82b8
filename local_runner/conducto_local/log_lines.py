"""Finding lines in a file that only grows, without reading it from the start each time."""

import os
from array import array
from bisect import bisect_left

#: Bytes read at a time.
_CHUNK = 1 << 16
#: Numbers an index may hold: 32 kB of memory, whatever the size of the file.
_MAX_POINTS = 4096
#: Bytes that one question makes an index read on: a fraction of a second.
BUDGET = 256 << 20


class LineIndex:
    """How many lines end before every ``stride`` bytes; read as far as somebody asked.

    When it has grown too long, every second number is dropped and the stride doubles: one of a
    huge file is coarser, not larger. One question reads `BUDGET` bytes at most: where that is
    not enough the answer is None, and the next question goes on from there.
    """

    def __init__(
        self, stride: int = _CHUNK, max_points: int = _MAX_POINTS, budget: int = BUDGET
    ) -> None:
        self._stride = stride
        self._max_points = max_points
        self._budget = budget
        self._ended = array("q", [0])

    def start_of(self, fd: int, line: int) -> int | None:
        """Return the offset of the first byte of a line, counted from 0.

        Returns:
            None where fewer than ``line`` lines have ended, or not so many were counted yet; the
            file's size where exactly so many have and nothing follows.
        """
        if line == 0:
            return 0
        end = self._covered() + self._budget
        while self._ended[-1] < line and self._covered() < end and self._read_on(fd):
            pass
        point = bisect_left(self._ended, line) - 1
        last = point == len(self._ended) - 1
        stop = (point + (2 if last else 1)) * self._stride
        return _after_line_end(fd, point * self._stride, stop, line - self._ended[point])

    def ended(self, fd: int, size: int) -> int | None:
        """Return the number of lines that end in the first ``size`` bytes, None if unknown yet."""
        end = self._covered() + self._budget
        while self._covered() + self._stride <= size and self._covered() < end:
            if not self._read_on(fd):
                break
        point = min(len(self._ended) - 1, size // self._stride)
        if size - point * self._stride >= 2 * self._stride:
            return None
        return self._ended[point] + _line_ends(fd, point * self._stride, size)

    def count(self, fd: int, size: int) -> int | None:
        """Return the number of lines in the first ``size`` bytes; a last one may be open.

        Returns:
            None where they are too many to have been counted yet.
        """
        if size == 0:
            return 0
        ended = self.ended(fd, size)
        return None if ended is None else ended + (os.pread(fd, 1, size - 1) != b"\n")

    def _covered(self) -> int:
        return (len(self._ended) - 1) * self._stride

    def _read_on(self, fd: int) -> bool:
        """Index one more stride; return False where the file does not have it yet."""
        start = self._covered()
        if os.fstat(fd).st_size < start + self._stride:
            return False
        self._ended.append(self._ended[-1] + _line_ends(fd, start, start + self._stride))
        if len(self._ended) > self._max_points:
            self._ended = self._ended[::2]
            self._stride *= 2
        return True


def _line_ends(fd: int, start: int, end: int) -> int:
    found = 0
    while start < end and (chunk := os.pread(fd, min(_CHUNK, end - start), start)):
        found += chunk.count(b"\n")
        start += len(chunk)
    return found


def _after_line_end(fd: int, start: int, stop: int, number: int) -> int | None:
    """Return the offset behind the ``number``-th line end from ``start`` on, up to ``stop``."""
    while start < stop and (chunk := os.pread(fd, min(_CHUNK, stop - start), start)):
        here = chunk.count(b"\n")
        if here >= number:
            return start + len(chunk) - len(chunk.split(b"\n", number)[number])
        number -= here
        start += len(chunk)
    return None
