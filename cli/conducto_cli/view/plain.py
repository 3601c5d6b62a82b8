"""One line for each thing worth knowing, for logs, pipes and dumb terminals.

Quiet enough for 10,000 nodes: after `LOUD` lines on nodes that are done, only the counts are
printed, each time another tenth of the tree is done; after `FAILED` failures likewise, since the
report at the end groups them.
"""

import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zlib import crc32

from conducto_cli.text.text import (
    Role,
    TextSpan,
    coloured_lines,
    count_of,
    pad,
    printable,
    shorten,
    text_of,
    width,
)
from conducto_cli.view.model import OutputLine, PipelineModel, Row, total
from conducto_cli.view.rows import approve_command, counts_line, elapsed, place, why_failed
from conducto_cli.view.screen import coloured
from conducto_core.run.model.labels import cause_text, duration
from conducto_core.run.model.records import ImageRecord, ImageState, NodeChange
from conducto_core.run.model.requests import EventBatch, NodeView
from conducto_core.run.model.states import FINISHED, State
from conducto_core.secrets.rules import withheld

if TYPE_CHECKING:
    import re

LOUD = 100
FAILED = 100
_WORD_COLUMNS = 7
_STEPS = tuple(ImageState)
_UNSAID = {ImageState.PENDING, ImageState.QUEUED}


class PlainPrinter:
    """Turns events into lines.

    Args:
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
        self.images(model)
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


# ----------------------------------------------------------------------------------------
# Lines of output with the path of their node in front, for terminals, pipes and CI systems.


#: Colours of paths: those that are readable on light and dark terminals, without red.
_PATH_COLOURS = ("36", "33", "35", "32", "34", "96", "93", "95", "92", "94")
#: Part of a terminal's width that a path may take.
_PATH_PART = 3
#: Number of paths in front of lines that are kept ready.
_PREFIXES = 10_000


@dataclass(slots=True)
class LineStyle:
    """How lines are written.

    Attributes:
        colour: Write colours, those of the output too.
        columns: Width of the terminal, whose lines have aligned paths; None if it is not one.
        path_columns: Width of the longest path.
        paths: Write the path of the node.
        stamps: Write the time: as ISO 8601, or relative to ``origin``; None leaves it out.
        origin: The start of the pipeline.
        as_json: Write an object for each line instead.
    """

    colour: bool = False
    columns: int | None = None
    path_columns: int = 0
    paths: bool = True
    stamps: str | None = None
    origin: float = 0.0
    as_json: bool = False


class LinePrinter:
    """Writes lines of output.

    Args:
        pattern: Only lines with a match.
        since: Only lines that were read at this time or later.

    Attributes:
        number: Number of lines written.
    """

    def __init__(
        self,
        write: Callable[[str], object],
        style: LineStyle,
        *,
        pattern: "re.Pattern[str] | None" = None,
        since: float = 0.0,
    ) -> None:
        self.number = 0
        self._write = write
        self._style = style
        self._pattern = pattern
        self._since = since
        self._prefixes: dict[tuple[str, int, str], str] = {}
        self._room = style.path_columns
        if style.columns is not None:
            self._room = min(self._room, max(8, style.columns // _PATH_PART))

    def wants(self, line: OutputLine) -> bool:
        if line.time < self._since:
            return False
        return self._pattern is None or self._pattern.search(_plain(line)) is not None

    def show(self, line: OutputLine) -> None:
        """Write a line, if it is wanted."""
        if self.wants(line):
            self.number += 1
            self._write(f"{self.text(line)}\n")

    def text(self, line: OutputLine) -> str:
        """Return a line as it is written."""
        style = self._style
        if style.as_json:
            return json.dumps(
                {
                    "time": line.time,
                    "path": line.path,
                    "attempt": line.attempt,
                    "stream": line.stream,
                    "text": line.data.decode(errors="replace"),
                }
            )
        stamp = self._write_spans(self._stamp(line)) if style.stamps else ""
        key = (line.path, line.attempt, line.stream)
        if key not in self._prefixes:
            if len(self._prefixes) >= _PREFIXES:
                self._prefixes.clear()
            self._prefixes[key] = self._write_spans(self._path(line))
        text = _simple(line.data)
        if text is None:
            text = self._write_spans(_content(line))
        return f"{stamp}{self._prefixes[key]}{text}"

    def _write_spans(self, spans: Sequence[TextSpan]) -> str:
        return coloured(tuple(spans)) if self._style.colour else text_of(tuple(spans))

    def _stamp(self, line: OutputLine) -> list[TextSpan]:
        style = self._style
        if style.stamps is None:
            return []
        relative = style.stamps == "relative"
        text = f"{line.time - style.origin:+9.1f}s" if relative else iso_time(line.time)
        return [TextSpan(f"{text} ", Role.FAINT)]

    def _path(self, line: OutputLine) -> list[TextSpan]:
        if not self._style.paths:
            return []
        text = source_name(line.path, line.attempt)
        if self._style.columns is not None:
            text = pad(shorten(text, self._room), self._room)
        colour = _PATH_COLOURS[crc32(line.path.encode(errors="replace")) % len(_PATH_COLOURS)]
        bar = TextSpan(" | ", Role.BAD if line.stream == "stderr" else Role.FAINT)
        return [TextSpan(text, sgr=colour), bar]


def source_name(path: str, attempt: int) -> str:
    """Return the name of an attempt in front of its lines; the first one is the node's."""
    return printable(path) if attempt == 1 else f"{printable(path)} #{attempt}"


def source_columns(path: str, attempt: int) -> int:
    return width(source_name(path, attempt))


def iso_time(seconds: float) -> str:
    """Return a time with its zone, to a tenth of a second: ``2026-11-27T17:04:05.3+00:00``."""
    tenths = int(seconds * 10)
    moment = time.localtime(tenths // 10)
    zone = time.strftime("%z", moment)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', moment)}.{tenths % 10}{zone[:3]}:{zone[3:]}"


def _simple(data: bytes) -> str | None:
    """Return a line that needs no changes, as most do; None for any other."""
    if not data.isascii():
        return None
    text = data.decode()
    return text if text.isprintable() else None


def _content(line: OutputLine) -> tuple[TextSpan, ...]:
    return next(coloured_lines([line.data.decode(errors="replace")]))


def _plain(line: OutputLine) -> str:
    text = _simple(line.data)
    return "".join(span.text for span in _content(line)) if text is None else text
