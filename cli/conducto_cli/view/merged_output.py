"""The output of many attempts as one sequence of lines, ordered by time.

A line's time is the moment at which it was read from the command's pipe, to a tenth of a second.
The streams of attempts that run at the same time are read in small parts, so memory does not grow
with their size; an attempt is opened when the lines before it have been returned.
"""

import base64
import heapq
import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from conducto_client import Client
from conducto_core.model.params import Stream

if TYPE_CHECKING:
    from conducto_core.runtime.line_times import LineTime

#: Bytes of all open streams in memory, and the bounds of one request.
_BUFFERED = 8 << 20
_MAX_REQUEST = 256 << 10
_MIN_REQUEST = 4 << 10
#: A longer line, in bytes, is returned in parts.
MAX_LINE = 64 << 10


@dataclass(frozen=True, slots=True)
class AttemptOutput:
    """An attempt whose output is read.

    Attributes:
        started: Time of its lines where no times are recorded.
        silent: It has ended, and printed nothing.
    """

    path: str
    number: int
    started: float
    silent: bool = False


class OutputLine(NamedTuple):
    """A line of output, without its end."""

    time: float
    path: str
    attempt: int
    stream: Stream
    data: bytes


class _Tail:
    """The part of a stream that has not been returned yet.

    Attributes:
        source: The attempt.
        number: Position of its lines among those of other streams with the same time.
        complete: No more output will come.
        other_empty: The attempt has ended without output on its other stream.
    """

    def __init__(self, source: AttemptOutput, stream: Stream, number: int) -> None:
        self.number = number
        self.complete = False
        self.other_empty = False
        self.source = source
        self._stream = stream
        self._data = b""
        self._at = 0
        self._offset = 0
        self._times: deque[LineTime] = deque()
        self._time = source.started

    def fill(self, client: Client, pipeline_id: str, limit: int) -> bool:
        """Request the next part; return whether there was any."""
        source = self.source
        chunk = client.log(
            pipeline_id,
            source.path,
            attempt=source.number,
            stream=self._stream,
            offset=self._offset,
            limit=limit,
            times=True,
        )
        data = base64.b64decode(chunk.data)
        self._data = self._data[self._at :] + data
        self._at = 0
        self._offset = chunk.offset + len(data)
        known = self._times[-1][0] if self._times else -1
        self._times.extend(each for each in chunk.times if each[0] > known)
        self.complete = chunk.complete and self._offset >= chunk.size
        self.other_empty = chunk.complete and chunk.other_size == 0
        return bool(data)

    def next_line(self, *, final: bool) -> OutputLine | None:
        """Return the next line that has been read; an unfinished one only if it is the last."""
        end = self._data.find(b"\n", self._at)
        skipped = 1
        if end < 0:
            left = len(self._data) - self._at
            if left == 0 or not (self.complete or final or left >= MAX_LINE):
                return None
            end, skipped = len(self._data), 0
        end, skipped = (self._at + MAX_LINE, 0) if end > self._at + MAX_LINE else (end, skipped)
        time = self._time_at(self._offset - len(self._data) + self._at)
        data = self._data[self._at : end]
        self._at = end + skipped
        return OutputLine(time, self.source.path, self.source.number, self._stream, data)

    def _time_at(self, offset: int) -> float:
        while self._times and self._times[0][0] <= offset:
            # Not less: a clock that was set back must not move a line in front of the one before.
            self._time = max(self._time, self._times.popleft()[1])
        return self._time


class MergedOutput:
    """The output of the attempts of a pipeline, as far as it exists."""

    def __init__(self, client: Client, pipeline_id: str, streams: Sequence[Stream]) -> None:
        self._client = client
        self._id = pipeline_id
        self._streams = streams
        self._known: set[tuple[str, int]] = set()
        self._silent: set[tuple[str, int]] = set()
        self._waiting: list[tuple[float, int, AttemptOutput]] = []
        self._open: dict[int, _Tail] = {}
        self._numbers = count()

    def add(self, source: AttemptOutput) -> None:
        """Add an attempt; if it is known, only note that it is silent."""
        key = (source.path, source.number)
        if source.silent:
            self._silent.add(key)
        elif key not in self._known:
            heapq.heappush(self._waiting, (source.started, next(self._numbers), source))
        self._known.add(key)

    def lines(self, *, final: bool = False) -> Iterator[OutputLine]:
        """Yield the lines since the last call, ordered by time.

        Args:
            final: Also return unfinished lines at the ends of streams.
        """
        heap: list[tuple[float, int, OutputLine, _Tail]] = []
        for tail in [*self._open.values()]:
            self._push(heap, tail, final=final)
        while heap or self._waiting:
            while self._waiting and (not heap or self._waiting[0][0] <= heap[0][0]):
                source = heapq.heappop(self._waiting)[2]
                for stream in () if self._is_silent(source) else self._streams:
                    tail = _Tail(source, stream, next(self._numbers))
                    self._open[tail.number] = tail
                    self._push(heap, tail, final=final)
                    if tail.other_empty:  # as of most commands: one request is enough
                        break
            if heap:
                _, number, line, tail = heapq.heappop(heap)
                yield line
                # Lines of a chunk mainly follow each other: they need not go through the heap.
                limit = self._limit(heap, number)
                while (following := tail.next_line(final=False)) is not None:
                    if (following.time, number) > limit:
                        heapq.heappush(heap, (following.time, number, following, tail))
                        break
                    yield following
                else:
                    self._push(heap, tail, final=final)

    def _limit(
        self, heap: list[tuple[float, int, OutputLine, _Tail]], number: int
    ) -> tuple[float, int]:
        """Return the last moment whose lines are ahead of all other streams."""
        first = (heap[0][0], heap[0][1]) if heap else (math.inf, number)
        return min(first, (self._waiting[0][0], -1)) if self._waiting else first

    def _push(
        self, heap: list[tuple[float, int, OutputLine, _Tail]], tail: _Tail, *, final: bool
    ) -> None:
        line = tail.next_line(final=False)
        while line is None and not tail.complete and self._fill(tail):
            line = tail.next_line(final=False)
        if line is None:  # there is no more now
            line = tail.next_line(final=final)
        if line is not None:
            heapq.heappush(heap, (line.time, tail.number, line, tail))
        elif tail.complete:
            del self._open[tail.number]

    def _is_silent(self, source: AttemptOutput) -> bool:
        return (source.path, source.number) in self._silent

    def _fill(self, tail: _Tail) -> bool:
        if self._is_silent(tail.source):
            tail.complete = True
            return False
        limit = min(_MAX_REQUEST, max(_MIN_REQUEST, _BUFFERED // len(self._open)))
        return tail.fill(self._client, self._id, limit)
