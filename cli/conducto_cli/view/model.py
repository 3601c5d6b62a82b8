"""What a reader knows of a pipeline: fed with node views and events, asked by the screen.

No I/O and no clock. The cost of a change is constant, whatever the tree's size: a group keeps
its children in buckets by their interest to a reader, so that the screen takes the few that it
shows from the front and the length of the rest.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import takewhile

from conducto_core.model.labels import EXPLAINED
from conducto_core.model.nodes import ancestors, parent_of
from conducto_core.model.records import Counts, ImageRecord, ImageState, NodeChange
from conducto_core.model.requests import EventBatch, NodeView, PipelineSummary
from conducto_core.model.states import FAILED, FINISHED, Cause, NodeType, State


class Interest(IntEnum):
    """What a node means to a reader, the most urgent first."""

    RUNNING = 0
    FAILING = 1
    QUEUED = 2
    PENDING = 3
    DONE = 4
    SKIPPED = 5


def failures(counts: Counts) -> int:
    """Return how many Execs of a subtree failed."""
    return counts.error + counts.killed


def total(counts: Counts) -> int:
    """Return how many Execs a subtree has."""
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
        """Whether it is an Exec."""
        return self.type is NodeType.EXEC

    @property
    def failed(self) -> bool:
        """Whether it failed and that counts."""
        return self.state in FAILED and not self.skipped

    @property
    def timed_out(self) -> bool:
        """Whether it is a group whose time limit ran out."""
        return not self.is_exec and self.failed and self.cause is Cause.TIMEOUT

    @property
    def is_failure(self) -> bool:
        """Whether it failed by itself; see `conducto_core.semantics.failures`."""
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
        """Images on their way."""
        over = {ImageState.PENDING, ImageState.DONE, ImageState.ERROR}
        return tuple(image for image in self.summary.images if image.state not in over)

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
            self._drop_below(execute)

    def _drop_below(self, group: Row) -> None:
        below = list(group.children.values())
        while below:
            row = below.pop()
            below.extend(row.children.values())
            del self.rows[row.path]
        group.children.clear()
        group.buckets.clear()


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
