"""Finding lines in a file that only grows, without reading it from the start each time."""

import os
from array import array
from bisect import bisect_left

#: Bytes read at a time.
_CHUNK = 1 << 16
#: Numbers an index may hold: 32 kB of memory, whatever the size of the file.
_MAX_POINTS = 4096


class LineIndex:
    """How many lines end before every ``stride`` bytes; read as far as somebody asked.

    When it has grown too long, every second number is dropped and the stride doubles: one of a
    huge file is coarser, not larger.
    """

    def __init__(self, stride: int = _CHUNK, max_points: int = _MAX_POINTS) -> None:
        self._stride = stride
        self._max_points = max_points
        self._ended = array("q", [0])

    def start_of(self, fd: int, line: int) -> int | None:
        """Return the offset of the first byte of a line, counted from 0.

        Returns:
            None where fewer than ``line`` lines have ended; the file's size where exactly so
            many have and nothing follows.
        """
        if line == 0:
            return 0
        while self._ended[-1] < line and self._read_on(fd):
            pass
        point = bisect_left(self._ended, line) - 1
        return _after_line_end(fd, point * self._stride, line - self._ended[point])

    def count(self, fd: int, size: int) -> int:
        """Return the number of lines in the first ``size`` bytes; a last one may be open."""
        if size == 0:
            return 0
        while len(self._ended) * self._stride <= size and self._read_on(fd):
            pass
        point = min(len(self._ended) - 1, size // self._stride)
        ended = self._ended[point] + _line_ends(fd, point * self._stride, size)
        return ended + (os.pread(fd, 1, size - 1) != b"\n")

    def _read_on(self, fd: int) -> bool:
        """Index one more stride; return False where the file does not have it yet."""
        start = (len(self._ended) - 1) * self._stride
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


def _after_line_end(fd: int, start: int, number: int) -> int | None:
    """Return the offset behind the ``number``-th line end from ``start`` on."""
    while chunk := os.pread(fd, _CHUNK, start):
        here = chunk.count(b"\n")
        if here >= number:
            return start + len(chunk) - len(chunk.split(b"\n", number)[number])
        number -= here
        start += len(chunk)
    return None
