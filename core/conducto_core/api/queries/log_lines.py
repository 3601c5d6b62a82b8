"""Line lookup in output that only grows, without reading it from the start each time."""

import os
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

#: Bytes read at a time.
_CHUNK = 1 << 16
#: Maximum numbers in an index: 32 kB of memory, whatever the size of the file.
_MAX_POINTS = 4096
#: Maximum bytes that an index reads per query: a fraction of a second.
BUDGET = 256 << 20


class Stream(Protocol):
    """Output that is only appended to."""

    def pread(self, count: int, offset: int) -> bytes:
        """Return at most ``count`` bytes from ``offset``; empty only at the end."""

    def size(self) -> int:
        """Return the current number of bytes."""


class FileStream:
    """A `Stream` that is an open file; the caller closes it."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def pread(self, count: int, offset: int) -> bytes:
        """Return at most ``count`` bytes from ``offset``."""
        return os.pread(self._fd, count, offset)

    def size(self) -> int:
        """Return the current number of bytes."""
        return os.fstat(self._fd).st_size


class Lines(NamedTuple):
    r"""Some lines of a stream.

    Attributes:
        first: Number of the first one, counted from 0.
        lines: Raw lines, each with its ``\n``, which the last line of a stream may lack.
        cut: The byte limit was reached: the last line is not complete, or others are missing.
        offset: Position of the first byte of the first line; None if there are no such lines yet.
        total: Number of lines so far; None if not all have been counted yet.
        size: Bytes of the stream when it was read.
    """

    first: int
    lines: tuple[bytes, ...]
    cut: bool
    offset: int | None = None
    total: int | None = 0
    size: int = 0


class LineIndex:
    """The number of lines that end before every ``stride`` bytes, read on demand.

    If the index becomes too long, every second number is dropped and the stride doubles: the index
    of a huge file is coarser, not larger. One query reads at most `BUDGET` bytes: if that is not
    enough it returns None, and the next query continues from there.
    """

    def __init__(
        self, stride: int = _CHUNK, max_points: int = _MAX_POINTS, budget: int = BUDGET
    ) -> None:
        self._stride = stride
        self._max_points = max_points
        self._budget = budget
        self._ended = array("q", [0])

    def start_of(self, stream: Stream, line: int) -> int | None:
        """Return the offset of the first byte of a line, counted from 0.

        Returns:
            None if fewer than ``line`` lines have ended, or have been counted; the file's size if
            exactly that many have ended and nothing follows.
        """
        if line == 0:
            return 0
        end = self._covered() + self._budget
        while self._ended[-1] < line and self._covered() < end and self._read_on(stream):
            pass
        point = bisect_left(self._ended, line) - 1
        last = point == len(self._ended) - 1
        stop = (point + (2 if last else 1)) * self._stride
        return _after_line_end(stream, point * self._stride, stop, line - self._ended[point])

    def ended(self, stream: Stream, size: int) -> int | None:
        """Return the number of lines that end in the first ``size`` bytes, None if unknown yet."""
        end = self._covered() + self._budget
        while self._covered() + self._stride <= size and self._covered() < end:
            if not self._read_on(stream):
                break
        point = min(len(self._ended) - 1, size // self._stride)
        if size - point * self._stride >= 2 * self._stride:
            return None
        return self._ended[point] + _line_ends(stream, point * self._stride, size)

    def count(self, stream: Stream, size: int) -> int | None:
        """Return the number of lines in the first ``size`` bytes, including an unfinished last one.

        Returns:
            None if not all have been counted yet.
        """
        if size == 0:
            return 0
        ended = self.ended(stream, size)
        return None if ended is None else ended + (stream.pread(1, size - 1) != b"\n")

    def lines(self, stream: Stream, first: int, count: int, limit: int) -> Lines:
        """Return at most ``count`` lines and ``limit`` bytes, starting at line ``first``.

        Args:
            stream: The indexed stream.
            first: Counted from 0; a negative number counts from the end.
            count: Maximum lines; fewer are returned only at the end of the stream or at ``limit``.
            limit: Maximum bytes, so that lines of any length are safe to request.
        """
        size = stream.size()
        total = self.count(stream, size)
        if first < 0:
            if total is None:
                return Lines(first, (), cut=False, total=None, size=size)
            first = max(0, total + first)
        start = self.start_of(stream, first)
        if start is None:
            return Lines(first, (), cut=False, total=total, size=size)
        lines, cut = _read_lines(stream, start, count, limit)
        return Lines(first, lines, cut, start, total, size)

    def _covered(self) -> int:
        return (len(self._ended) - 1) * self._stride

    def _read_on(self, stream: Stream) -> bool:
        """Index one more stride; return False if the file does not have it yet."""
        start = self._covered()
        if stream.size() < start + self._stride:
            return False
        self._ended.append(self._ended[-1] + _line_ends(stream, start, start + self._stride))
        if len(self._ended) > self._max_points:
            self._ended = self._ended[::2]
            self._stride *= 2
        return True


class ChunkIndex(LineIndex):
    """An index of a stream that is stored in chunks with known numbers of line ends.

    Args:
        chunks: Returns ``(end, number of line ends within)`` of the chunks that end after a
            position, which is 0 or the end of a chunk.
    """

    def __init__(
        self, chunks: Callable[[int], Iterable[tuple[int, int]]], max_points: int = _MAX_POINTS
    ) -> None:
        super().__init__(max_points=max_points)
        self._chunks = chunks
        self._ends = array("q", [0])
        self._spacing = _CHUNK
        self._known = (0, 0)

    def start_of(self, stream: Stream, line: int) -> int | None:
        """Return the offset of the first byte of a line; None if fewer lines have ended."""
        if line == 0:
            return 0
        self._update(stream.size())
        point = bisect_left(self._ended, line) - 1
        is_last = point == len(self._ended) - 1
        stop = stream.size() if is_last else self._ends[point + 1]
        return _after_line_end(stream, self._ends[point], stop, line - self._ended[point])

    def ended(self, stream: Stream, size: int) -> int | None:
        """Return the number of lines that end in the first ``size`` bytes."""
        self._update(stream.size())
        end, ended = self._known
        if size < end:
            point = bisect_right(self._ends, size) - 1
            end, ended = self._ends[point], self._ended[point]
        return ended + _line_ends(stream, end, size)

    def _update(self, size: int) -> None:
        """Read the chunks that are new."""
        start, ended = self._known
        if start >= size:
            return
        for end, more in self._chunks(start):
            ended += more
            self._known = end, ended
            if end - self._ends[-1] >= self._spacing:
                self._ends.append(end)
                self._ended.append(ended)
            if len(self._ends) > self._max_points:
                self._ends, self._ended = self._ends[::2], self._ended[::2]
                self._spacing *= 2


class End(NamedTuple):
    """A part of a stream up to its end.

    Attributes:
        start: Position of its first byte.
        ended: Number of lines that end before it.
        total: Number of lines that end in the stream.
    """

    start: int
    ended: int
    total: int


def last_lines(stream: Stream, end: End, last: int, count: int, limit: int) -> Lines:
    """Return lines of the end of a stream, without reading what precedes it.

    Args:
        stream: The stream.
        end: Has more than ``last`` line ends, or is all of the stream.
        last: Number of the first line, counted from the end.
        count: Maximum lines.
        limit: Maximum bytes.
    """
    size = stream.size()
    total = end.total + (size > 0 and stream.pread(1, size - 1) != b"\n")
    first = max(0, total - last)
    start = _after_line_end(stream, end.start, size, first - end.ended) if first else 0
    if start is None:
        return Lines(first, (), cut=False, total=total, size=size)
    lines, cut = _read_lines(stream, start, count, limit)
    return Lines(first, lines, cut, start, total, size)


def _line_ends(stream: Stream, start: int, end: int) -> int:
    found = 0
    while start < end and (chunk := stream.pread(min(_CHUNK, end - start), start)):
        found += chunk.count(b"\n")
        start += len(chunk)
    return found


def _after_line_end(stream: Stream, start: int, stop: int, number: int) -> int | None:
    """Return the offset after the ``number``-th line end from ``start``, up to ``stop``."""
    while start < stop and (chunk := stream.pread(min(_CHUNK, stop - start), start)):
        here = chunk.count(b"\n")
        if here >= number:
            return start + len(chunk) - len(chunk.split(b"\n", number)[number])
        number -= here
        start += len(chunk)
    return None


def _read_lines(
    stream: Stream, start: int, count: int, limit: int
) -> tuple[tuple[bytes, ...], bool]:
    data = bytearray()
    ended = 0
    while ended < count and len(data) < limit:
        chunk = stream.pread(min(_CHUNK, limit - len(data)), start + len(data))
        if not chunk:
            break
        ended += chunk.count(b"\n")
        data += chunk
    lines = bytes(data).split(b"\n", count)
    behind = lines.pop()
    whole = [line + b"\n" for line in lines]
    if len(whole) < count and behind:
        whole.append(behind)
    more = ended < count and bool(stream.pread(1, start + len(data)))
    return tuple(whole), more
