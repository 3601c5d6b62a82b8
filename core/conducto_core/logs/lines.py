"""Line lookup in output that only grows, without reading it from the start each time."""

import os
import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol, get_args

from conducto_core.command.output import MAX_TIMES, LineTime
from conducto_core.run.model.params import Stream as StreamOfOutputTails
from conducto_core.run.model.requests import NodeView
from conducto_core.run.model.responses import GroupKind, LogGroup, LogOutline
from conducto_core.run.model.states import FAILED, NodeType

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

    def __init__(self, chunks: Callable[[int], Iterable[tuple[int, int]]]) -> None:
        super().__init__()
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


# ----------------------------------------------------------------------------------------
# The outline of an output stream: when its lines were printed, and the groups that they form.
#
# Groups are the markers of GitHub (``::group::``, ``##[group]``) and of Buildkite (``---``,
# ``+++``, ``~~~`` and ``^^^ +++``). The header of a unified diff looks like two of the latter and
# is none.


#: Maximum bytes, groups and characters of a title in one response.
MAX_PART = 4 << 20
MAX_GROUPS = 2000
MAX_TITLE = 200
_BLOCK = 1 << 20

_COLOURS = rb"(?:\x1b\[[0-9;]*m)*"
# The pattern starts with a literal newline, so that other bytes are skipped quickly.
_MARKER = re.compile(
    rb"\n"
    + _COLOURS
    + rb"(?:(?P<closed>::group(?: [^:\n]*)?::|##\[group\]"
    + rb"|(?:--- |~~~ )(?![^\n]*\n\+\+\+ [^\n]*\n@@))"
    + rb"|(?P<end>::endgroup::|##\[endgroup\])"
    + rb"|(?P<open>\+\+\+ )"
    + rb"|(?P<expand>\^\^\^ \+\+\+))"
    + rb"(?P<title>[^\n]*)"
)
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r$")


def outline(
    read: Callable[[int, int], bytes],
    times: Callable[[int, int], Sequence[LineTime]],
    size: int,
    offset: int,
    *,
    complete: bool,
) -> LogOutline:
    """Return the outline of the part of a stream that starts at ``offset``.

    Args:
        read: Returns up to that many bytes from a position: ``(count, position)``.
        times: Returns the records of the times of a part: ``(first byte, byte after the last)``.
        size: Bytes of the stream.
        offset: Where the part starts.
        complete: The attempt has ended, so that the last line is whole.
    """
    start = min(offset, size)
    end = min(size, start + MAX_PART)
    records = times(start, end) if end > start else ()
    if len(records) == MAX_TIMES and records[-1][0] > start:
        end = records[-1][0]
    data = (read(1, start - 1) if start else b"\n") + b"".join(
        read(min(_BLOCK, end - at), at) for at in range(start, end, _BLOCK)
    )
    if not (complete and end == size):
        data = data[: data.rfind(b"\n", 1) + 1] or data
    groups, stop = _groups(data)
    data = data[:stop]
    return LogOutline(
        lines=data.count(b"\n", 1),
        times=_line_times(data, records, start),
        groups=groups,
        next=start + len(data) - 1,
        size=size,
        complete=complete,
    )


def groups_of(lines: Iterable[str]) -> tuple[LogGroup, ...]:
    """Return the markers in consecutive lines of a stream."""
    return _groups("".join(f"\n{line}" for line in lines).encode(errors="replace"))[0]


def _groups(data: bytes) -> tuple[tuple[LogGroup, ...], int]:
    """Return the markers in a part, which the byte before it precedes, and where they were cut."""
    found: list[LogGroup] = []
    line, counted = 0, 1
    for match in _MARKER.finditer(data):
        at = match.start() + 1
        if len(found) == MAX_GROUPS:
            return tuple(found), at
        if match["open"] is not None and _is_diff(data, match):
            continue
        line += data.count(b"\n", counted, at)
        counted = at
        title = _ESCAPES.sub("", match["title"].decode(errors="replace"))
        found.append(LogGroup(line=line, kind=_kind(match), title=title.strip()[:MAX_TITLE]))
    return tuple(found), len(data)


def _kind(match: re.Match[bytes]) -> GroupKind:
    return next(kind for kind in get_args(GroupKind) if match[kind] is not None)


def _is_diff(data: bytes, match: re.Match[bytes]) -> bool:
    """Return whether a line that starts with ``+++`` is the second of a diff's header."""
    previous = data.rfind(b"\n", 0, match.start()) + 1
    return data.startswith(b"--- ", previous) and data.startswith(b"\n@@", match.end())


def _line_times(
    data: bytes, records: Sequence[LineTime], start: int
) -> tuple[tuple[int, float], ...]:
    """Return ``(line, time)`` for records ``(byte, time)``; of several in a line the last one."""
    found: dict[int, float] = {}
    line, counted = 0, 1
    for byte, time in records:
        at = max(0, byte - start) + 1  # ``data`` starts with the byte before the part
        if at > len(data):
            break
        line += data.count(b"\n", counted, at)
        counted = at
        is_start = at == 1 or data[at - 1] == ord("\n")
        found[line if is_start else line + 1] = time
    return tuple(found.items())


# ----------------------------------------------------------------------------------------
# The end of the output of failed commands.


#: Bytes to read from the end of an output stream.
TAIL_BYTES = 8192

#: Returns the end of one stream of a node's attempt, with a maximum number of bytes.
ReadEnd = Callable[[str, int, StreamOfOutputTails, int], bytes]


def with_tail(node: NodeView, read: ReadEnd) -> NodeView:
    """Return a node with its tail, if it is a failed Exec with a known attempt."""
    if node.type is not NodeType.EXEC or node.state not in FAILED or not node.attempts:
        return node
    number = node.attempts[-1].number
    tail = _text(read(node.path, number, "stderr", TAIL_BYTES))
    if not tail.strip():
        tail = _text(read(node.path, number, "stdout", TAIL_BYTES))
    return node.model_copy(update={"tail": tail})


def _text(data: bytes) -> str:
    return data.decode(errors="replace")
