"""What a reader knows of a pipeline: fed with node views and events, asked by the screen.

No I/O and no clock. The cost of a change is constant, whatever the tree's size: a group keeps
its children in buckets by their interest to a reader, so that the screen takes the few that it
shows from the front and the length of the rest.
"""

import base64
import heapq
import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import count, takewhile
from typing import TYPE_CHECKING, NamedTuple

from conducto_client import Client
from conducto_core.run.model.labels import EXPLAINED
from conducto_core.run.model.params import Stream
from conducto_core.run.model.records import Counts, ImageRecord, ImageState, NodeChange
from conducto_core.run.model.requests import EventBatch, NodeView, PipelineSummary
from conducto_core.run.model.states import FAILED, FINISHED, Cause, NodeType, State
from conducto_core.tree.model import ancestors, parent_of

if TYPE_CHECKING:
    from conducto_core.command.output import LineTime


class Interest(IntEnum):
    """What a node means to a reader, the most urgent first."""

    RUNNING = 0
    FAILING = 1
    QUEUED = 2
    PENDING = 3
    DONE = 4
    SKIPPED = 5


def failures(counts: Counts) -> int:
    return counts.error + counts.killed


def total(counts: Counts) -> int:
    return counts.total


@dataclass(slots=True, eq=False)
class Row:
    """One node.

    Attributes:
        max_time: Its time limit in seconds, where it is known.
        waits_for: Why it did not run when it was read last, as a sentence of the server.
        message: What the runner says of its failure, where that is known.
        stopped_by: Path of the group above whose time limit ended its newest attempt. A change does
            not tell it: until the node is read again, the groups above do.
        counts: A group's; None for an Exec.
        started: When it began to run, in seconds since the epoch; None before that.
        ended: When it ended; None while it has not.
        idle: Seconds in between in which a group's pipeline was not active.
        buckets: Children by interest: ``{interest: {path: row}}``.
    """

    path: str
    name: str
    type: NodeType
    state: State = State.PENDING
    skipped: bool = False
    cause: Cause | None = None
    warning: bool = False
    attempt: int = 0
    exit_code: int | None = None
    started: float | None = None
    ended: float | None = None
    idle: float = 0.0
    file: str | None = None
    line: int | None = None
    max_time: float | None = None
    waits_for: str | None = None
    message: str | None = None
    stopped_by: str | None = None
    counts: Counts | None = None
    parent: "Row | None" = None
    children: "dict[str, Row]" = field(default_factory=dict)
    buckets: "dict[Interest, dict[str, Row]]" = field(default_factory=dict)
    interest: Interest = Interest.PENDING

    @property
    def is_exec(self) -> bool:
        return self.type is NodeType.EXEC

    @property
    def failed(self) -> bool:
        return self.state in FAILED and not self.skipped

    @property
    def timed_out(self) -> bool:
        return not self.is_exec and self.failed and self.cause is Cause.TIMEOUT

    @property
    def is_failure(self) -> bool:
        """Whether it failed by itself; see `conducto_core.run.rules.failures`."""
        return self.timed_out or (self.is_exec and self.failed and self.stopped_by is None)

    def among(self, interest: Interest) -> "dict[str, Row]":
        """Return the children of this interest, ``{path: row}``."""
        return self.buckets.get(interest, {})


def _interest_of(row: Row) -> Interest:
    if row.skipped:
        return Interest.SKIPPED
    if row.state is State.DONE:
        return Interest.DONE
    if row.counts is not None:
        return _interest_of_group(row, row.counts)
    if row.failed:
        return Interest.FAILING
    if row.state is State.RUNNING:
        return Interest.RUNNING
    return Interest.QUEUED if row.state is State.QUEUED else Interest.PENDING


def _interest_of_group(row: Row, counts: Counts) -> Interest:
    """A group counts as running while a command in it runs, not while all wait for their turn."""
    if counts.running:
        return Interest.RUNNING
    if row.failed or failures(counts):
        return Interest.FAILING
    return Interest.QUEUED if counts.queued else Interest.PENDING


class PipelineModel:
    """Everything known of one pipeline.

    Attributes:
        summary: The newest summary.
        rows: ``{path: row}``, parents before children.
        seq: The newest change that is known.
        build_lines: ``{image name: last line its build printed}``.
        unexplained: Execs whose failure only their attempt's message explains: to be fetched
            and `add`-ed.
        grown: Groups that were given a new tree, whose nodes are to be fetched and `add`-ed.
    """

    def __init__(self, summary: PipelineSummary) -> None:
        self.summary = summary
        self.rows: dict[str, Row] = {}
        self.seq = summary.seq
        self.build_lines: dict[str, str] = {}
        self.unexplained: list[str] = []
        self.grown: list[str] = []
        self._waiting: dict[str, list[Row]] = {}

    @property
    def root(self) -> Row | None:
        """The root's row; None until it is known."""
        return self.rows.get("/")

    @property
    def building(self) -> tuple[ImageRecord, ...]:
        over = {ImageState.PENDING, ImageState.DONE, ImageState.ERROR}
        return tuple(image for image in self.summary.images if image.state not in over)

    @property
    def images_ended(self) -> bool:
        over = {ImageState.DONE, ImageState.ERROR}
        return all(image.state in over for image in self.summary.images)

    @property
    def is_settled(self) -> bool:
        """Whether the pipeline has settled, as of the newest known change."""
        return self.summary.settled and self.summary.seq >= self.seq

    def failures(self) -> Iterator[Row]:
        """Nodes that failed by themselves, in definition order."""
        return (row for row in self.rows.values() if row.is_failure)

    def add(self, views: Iterable[NodeView]) -> None:
        """Take nodes as the API lists them, parents before children."""
        for view in views:
            row = self._row(view.path, view.type)
            row.state, row.skipped, row.cause = view.state, view.skipped, view.cause
            row.warning, row.counts = view.warning, view.counts
            row.file, row.line = view.file, view.line
            row.max_time, row.stopped_by = view.max_time, view.stopped_by
            row.waits_for = view.waits_for if view.wait_kind is not None else None
            if row.waits_for is not None and row.state is State.PENDING:
                self._waiting.setdefault(view.wait_holder or "", []).append(row)
            if not row.is_exec:  # all below it may not be fetched
                row.started, row.ended, row.idle = view.started, view.ended, view.idle
            if view.attempts:
                last = view.attempts[-1]
                row.attempt, row.exit_code = last.number, last.exit_code
                row.message = last.message
                row.started, row.ended = last.started, last.ended
            self._file(row)

    def explain(self, views: Iterable[NodeView]) -> None:
        """Take the reasons why nodes are queued."""
        for view in views:
            row = self.rows.get(view.path)
            if row is not None and row.state is view.state:
                row.waits_for = view.waits_for

    def apply(self, batch: EventBatch) -> None:
        """Take a batch of changes."""
        if batch.pipeline.pipeline.armed is not self.summary.pipeline.armed:
            for holder in list(self._waiting):
                self._forget_waits(holder)
        for change in batch.changes:
            self._change(change)
        for path, counts in batch.counts.items():
            row = self._row(path, NodeType.PARALLEL)
            row.counts = counts
            self._file(row)
        for path, time in batch.times.items():
            row = self._row(path, NodeType.PARALLEL)
            row.started, row.ended, row.idle = time.started, time.ended, time.idle
        self.summary = batch.pipeline
        self.seq = max(self.seq, batch.pipeline.seq)

    def _forget_waits(self, holder: str) -> None:
        """Forget why pending nodes wait, if it is for this node: it ended or was reset."""
        for row in self._waiting.pop(holder, ()):
            if row.state is State.PENDING:
                row.waits_for = None

    def _change(self, change: NodeChange) -> None:
        row = self._row(change.path, change.type)
        if (row.state in FINISHED) is not (change.state in FINISHED):
            self._forget_waits(row.path)
        _stamp(row, change)
        row.type, row.state, row.skipped = change.type, change.state, change.skipped
        row.cause, row.warning = change.cause, change.warning
        if change.exit_code is not None or change.attempt != row.attempt:
            row.exit_code = change.exit_code  # a skip or an edit does not repeat it
        row.attempt = change.attempt
        row.stopped_by = row.message = row.waits_for = None
        if row.cause in EXPLAINED and row.is_exec:
            self.unexplained.append(row.path)
        if row.timed_out:
            _blame(row)
        self._file(row)
        if row.name == "Generate" and row.is_exec:
            self._follow_lazy(row)
        self.seq = max(self.seq, change.seq)

    def _row(self, path: str, kind: NodeType) -> Row:
        """Return a node's row; make it, and those above it, if they are not known."""
        if (known := self.rows.get(path)) is not None:
            return known
        missing = [path, *takewhile(lambda above: above not in self.rows, ancestors(path))]
        row = self.rows.get(parent_of(missing[-1]) or "")
        for each in reversed(missing):
            row = self._new_row(each, kind if each == path else NodeType.PARALLEL, row)
        return self.rows[path]

    def _new_row(self, path: str, kind: NodeType, parent: Row | None) -> Row:
        row = Row(path, path.rpartition("/")[2], kind, parent=parent)
        self.rows[path] = row
        if parent is not None:
            parent.children[path] = row
            parent.buckets.setdefault(row.interest, {})[path] = row
        return row

    def _file(self, row: Row) -> None:
        """Put a row into the bucket it belongs into now."""
        interest = _interest_of(row)
        if interest is row.interest:
            return
        if row.parent is not None:
            del row.parent.buckets[row.interest][row.path]
            row.parent.buckets.setdefault(interest, {})[row.path] = row
        row.interest = interest

    def _follow_lazy(self, generate: Row) -> None:
        """Keep up with the tree that a Lazy's Generate prints: new when done, gone when reset."""
        execute = self.rows.get(f"{generate.path.rpartition('/')[0]}/Execute")
        if execute is None:
            return
        if generate.state is State.DONE:
            self.grown.append(execute.path)
        elif generate.state not in FINISHED:
            below = list(execute.children.values())
            while below:
                row = below.pop()
                below.extend(row.children.values())
                del self.rows[row.path]
            execute.children.clear()
            execute.buckets.clear()


def _blame(group: Row) -> None:
    """Note of the Execs that ended for lack of time with a group that the group ended them."""
    below = list(group.children.values())
    while below:
        row = below.pop()
        below.extend(row.children.values())
        if row.is_exec and row.cause is Cause.TIMEOUT and not _had_its_time(row, group):
            row.stopped_by = row.stopped_by or group.path


def _had_its_time(row: Row, group: Row) -> bool:
    if row.max_time is None or row.started is None or row.ended is None:
        return False
    is_shorter = group.max_time is None or row.max_time < group.max_time
    return is_shorter and row.ended - row.started >= row.max_time


def _stamp(row: Row, change: NodeChange) -> None:
    """Set the times that a change of state tells."""
    restarts = row.state in FINISHED or row.is_exec
    if change.state in FINISHED:
        if row.state is not change.state or row.ended is None:
            row.ended = change.time
        return
    row.ended = None
    if change.state is not State.RUNNING:
        # Between two children a group may wait for a moment; its clock continues.
        row.started = None if restarts else row.started
    elif row.started is None or (restarts and row.state is not State.RUNNING):
        row.started = change.time


# ----------------------------------------------------------------------------------------
# The output of many attempts as one sequence of lines, ordered by time.
#
# A line's time is the moment at which it was read from the command's pipe, to a tenth of a second.
# The streams of attempts that run at the same time are read in small parts, so memory does not grow
# with their size; an attempt is opened when the lines before it have been returned.


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
