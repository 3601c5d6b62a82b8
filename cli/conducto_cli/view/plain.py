"""One line for each thing worth knowing, for logs, pipes and dumb terminals.

Quiet enough for 10,000 nodes: after `LOUD` lines on nodes that are done, only the counts are
printed, each time another tenth of the tree is done; after `FAILED` failures likewise, since the
report at the end groups them.
"""

from collections.abc import Callable, Iterable

from conducto_cli.text.text import count_of, printable, text_of
from conducto_cli.view.model import PipelineModel, Row, total
from conducto_cli.view.rows import approve_command, counts_line, elapsed, place, why_failed
from conducto_core.model.labels import cause_text, duration
from conducto_core.model.records import ImageRecord, ImageState, NodeChange
from conducto_core.model.requests import EventBatch, NodeView
from conducto_core.model.states import FINISHED, State
from conducto_core.semantics.user_secrets import withheld

LOUD = 100
FAILED = 100
_WORD_COLUMNS = 7
_STEPS = tuple(ImageState)
_UNSAID = {ImageState.PENDING, ImageState.QUEUED}


class PlainPrinter:
    """Turns events into lines.

    Args:
        write: Takes a line without its end.
        since: Ends before this time (seconds since the epoch) are not printed.
    """

    def __init__(self, write: Callable[[str], None], since: float = 0.0) -> None:
        self._write = write
        self._since = since
        self._done = 0
        self._failed = 0
        self._tenths = 0
        self._printed: set[tuple[str, int]] = set()
        self._images: dict[str, tuple[float, int]] = {}
        self._expired: set[str] = set()
        self._asked: set[tuple[str, float]] = set()
        self._problem: str | None = None
        self._armed = True

    def nodes(self, model: PipelineModel, views: Iterable[NodeView]) -> None:
        """Print the Execs that had ended when the tree was read."""
        self._tell_problem(model)
        for view in views:
            row = model.rows[view.path]
            is_news = row.ended is None or row.ended >= self._since
            if is_news and row.is_exec and row.state in FINISHED:
                self._ended(row, _as_change(view))
            elif is_news and row.timed_out:
                self._timed_out(row)
        self._tell_approvals(model)
        self._summarise(model)

    def show(self, model: PipelineModel, batch: EventBatch) -> None:
        """Print the changes of a batch that is already applied to the model, causes first."""
        self._tell_problem(model)
        self.images(model)
        for change in batch.changes:
            row = model.rows.get(change.path)  # None: a later change of the batch removed it
            if row is None:
                continue
            if row.is_exec and change.state in FINISHED:
                self._ended(row, change)
            elif row.timed_out and change.state is row.state:
                self._timed_out(row)
            elif change.state not in FINISHED:
                self._expired.discard(change.path)  # it may run out of time again
        self._tell_approvals(model)
        self._summarise(model)

    def _tell_problem(self, model: PipelineModel) -> None:
        """Print why the pipeline waits, e.g. since the disk is full, and when it continues."""
        self._tell_pause(model)
        record = model.summary.pipeline
        problem = record.problem or withheld(record)
        if problem == self._problem:
            return
        self._problem = problem
        said = "it is over" if problem is None else printable(problem)
        self._write(f"{'problem':{_WORD_COLUMNS}} {said}")

    def _tell_pause(self, model: PipelineModel) -> None:
        """Print that nothing more starts, while commands still run, and when it continues."""
        armed, counts = model.summary.pipeline.armed, model.summary.counts
        if armed is self._armed or not counts.running:
            return
        self._armed = armed
        word = "running" if armed else "paused"
        still = f"{count_of(counts.running, 'Exec')} still running; nothing more starts"
        self._write(f"{word:{_WORD_COLUMNS}} {'it goes on' if armed else still}")

    def _tell_approvals(self, model: PipelineModel) -> None:
        """Print which nodes wait for a person, and how to decide, once for each time."""
        for asked in model.summary.approvals:
            if (asked.path, asked.since) in self._asked:
                continue
            self._asked.add((asked.path, asked.since))
            message = printable(" ".join(asked.message.split()))
            how = approve_command(model.summary.pipeline.id, asked)
            again = f" (asked again: {printable(asked.withdrawn[-1])})" if asked.withdrawn else ""
            said = f"{printable(asked.path)}: {message}{again}; decide it: {how}"
            self._write(f"{'waits':{_WORD_COLUMNS}} {said}")

    def images(self, model: PipelineModel) -> None:
        """Print the images whose build moved.

        A batch of events may be older than a response that was printed before it came.
        """
        for image in model.summary.images:
            step = (image.started or 0.0, _STEPS.index(image.state))
            if image.state in _UNSAID or step <= self._images.get(image.name, (0.0, -1)):
                continue
            self._images[image.name] = step
            if image.ended is None or image.ended >= self._since:
                self._write(_image_text(image))

    def _ended(self, row: Row, change: NodeChange) -> None:
        if (change.path, change.attempt) in self._printed:
            return
        self._printed.add((change.path, change.attempt))
        if change.state is State.DONE:
            self._done += 1
            loud = self._done <= LOUD
        else:
            self._failed += 1
            loud = self._failed <= FAILED
        if loud:
            self._write(_node_text(row, change))

    def _timed_out(self, row: Row) -> None:
        """Print that a group's time limit ran out, which explains the Execs that were killed.

        Of a tree of several pages, an event may repeat what a page said.
        """
        if row.path in self._expired:
            return
        self._expired.add(row.path)
        facts = [printable(row.path), why_failed(row), place(row.file, row.line)]
        self._write(f"{row.state.value:{_WORD_COLUMNS}} {'  '.join(filter(None, facts))}")

    def _summarise(self, model: PipelineModel) -> None:
        if self._done <= LOUD and self._failed <= FAILED:
            return
        counts = model.summary.counts
        finished = counts.done + counts.error + counts.killed
        tenths = 10 * finished // max(1, total(counts))
        if tenths > self._tenths:
            self._write(f"{'counts':{_WORD_COLUMNS}} {text_of(counts_line(counts)).rstrip()}")
        self._tenths = tenths


def _as_change(view: NodeView) -> NodeChange:
    last = view.attempts[-1] if view.attempts else None
    return NodeChange(
        seq=0,
        time=0.0,
        path=view.path,
        type=view.type,
        state=view.state,
        cause=view.cause,
        attempt=0 if last is None else last.number,
        exit_code=None if last is None else last.exit_code,
    )


def _node_text(row: Row, change: NodeChange) -> str:
    # A later change of the same batch may be a new attempt: then the row's times are its own.
    current = row.attempt == change.attempt and row.ended is not None
    facts = [elapsed(row, row.ended) if current and row.ended is not None else ""]
    if change.state is not State.DONE:
        same = row.attempt == change.attempt
        facts.insert(0, why_failed(row) if same else cause_text(change.cause, change.exit_code))
        facts.append(place(row.file, row.line))
    if change.attempt > 1:
        facts.append(f"attempt {change.attempt}")
    said = "  ".join(fact for fact in facts if fact)
    return f"{change.state.value:{_WORD_COLUMNS}} {printable(row.path)}  {said}".rstrip()


def _image_text(image: ImageRecord) -> str:
    took = ""
    if image.started is not None and image.ended is not None:
        took = f"  {duration(image.ended - image.started)}"
    return f"{'image':{_WORD_COLUMNS}} {printable(image.name)}  {image.state.value}{took}"
