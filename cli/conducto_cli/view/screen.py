"""The whole screen as lines, made to fit: a pure function of the model, the size and the time.

Groups that are done, or that wait as a whole, are one line; running and failed ones are open. A
wide group shows its running nodes, then its failures, and counts the rest, so a tree of any size
fits the terminal.
"""

import os
import shutil
import signal
import sys
import termios
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from types import FrameType
from typing import TextIO

from conducto_cli.text.text import (
    Line,
    Marks,
    Role,
    TextSpan,
    fit,
    printable,
    printable_line,
    text_of,
    width,
    wrap,
)
from conducto_cli.view.key_bindings import Browser
from conducto_cli.view.model import Interest, PipelineModel, Row
from conducto_cli.view.rows import (
    approval_lines,
    counts_line,
    exec_line,
    group_line,
    header_line,
    image_line,
    name_of,
    problem_lines,
)
from conducto_core.run.model.records import ImageState

#: A group of at most this many children shows them all, in order, when there is room.
NARROW = 8
#: Names of siblings are aligned up to this many columns.
NAME_COLUMNS = 32
MAX_IMAGES = 3
#: Failures of one wide group that are shown, and nodes that run.
MAX_FAILURES = 8
MAX_BUSY = 20
_OPEN = {Interest.RUNNING, Interest.FAILING}
_REST = (
    (Interest.RUNNING, "running"),
    (Interest.FAILING, "failed"),
    (Interest.QUEUED, "queued"),
    (Interest.DONE, "done"),
    (Interest.PENDING, "pending"),
    (Interest.SKIPPED, "skipped"),
)


@dataclass(frozen=True, slots=True)
class Frame:
    """What a screen is made for.

    Attributes:
        columns: Width.
        rows: Most lines.
        now: Seconds since the epoch.
    """

    columns: int
    rows: int
    now: float
    marks: Marks


def render(
    model: PipelineModel, frame: Frame, footer: str = "", browser: Browser | None = None
) -> list[Line]:
    """Return the lines that show a pipeline now, at most ``frame.rows``.

    With a cursor in ``browser``, the tree around it; else what a reader should see.
    """
    head = [header_line(model, frame.now, frame.marks), counts_line(model.summary.counts)]
    head += problem_lines(model, frame.columns)
    head += approval_lines(model)
    head += _image_lines(model, frame)
    foot = footer_lines(footer, frame)
    head = head[: max(0, frame.rows - len(foot))]
    room = frame.rows - len(head) - len(foot)
    if browser is not None and browser.row(model) is not None:
        body = _around(model, browser, room, frame)
    else:
        body = _body(model.root, room, frame) if room > 0 else []
    lines = [*(head + body)[: frame.rows - len(foot)], *foot]
    return [fit(line, frame.columns, frame.marks.more) for line in lines]


def footer_lines(footer: str, frame: Frame) -> list[Line]:
    """Return the last lines of a screen, whole: they may hold a command that is to be copied."""
    lines = [(TextSpan(line, Role.FAINT),) for line in footer.split("\n") if line]
    wrapped = [part for line in lines for part in wrap(line, frame.columns)]
    return wrapped[: frame.rows]


def _around(model: PipelineModel, browser: Browser, room: int, frame: Frame) -> list[Line]:
    here = browser.row(model)
    lines: list[Line] = []
    for row in browser.window(model, room):
        opened = browser.is_open(row)
        pointer = TextSpan(f"{frame.marks.cursor} " if row is here else "  ", Role.STRONG)
        indent = TextSpan("  " * depth_of(row.path))
        lines.append((pointer, indent, *_own_line(row, 0, frame, opened=opened)))
    return lines


def page(title: str, body: list[Line], frame: Frame, footer: str = "") -> list[Line]:
    """Return a page that is shown instead of the tree: the last lines of ``body`` that fit."""
    wrapped = [part for line in body[-frame.rows :] for part in wrap(line, frame.columns)]
    room = max(0, frame.rows - 2)
    shown = wrapped[-room:] if room else []
    lines: list[Line] = [(TextSpan(title, Role.STRONG),), *shown, (TextSpan(footer, Role.FAINT),)]
    return [fit(line, frame.columns, frame.marks.more) for line in lines[: frame.rows]]


def depth_of(path: str) -> int:
    return 0 if path == "/" else path.count("/")


def _image_lines(model: PipelineModel, frame: Frame) -> list[Line]:
    failed = [image for image in model.summary.images if image.state is ImageState.ERROR]
    shown = [*failed, *model.building][:MAX_IMAGES]
    return [
        image_line(image, model.build_lines.get(image.name, ""), frame.now, frame.marks)
        for image in shown
    ]


def _body(root: Row | None, room: int, frame: Frame) -> list[Line]:
    if root is None:
        return [(TextSpan("reading the tree", Role.FAINT),)]
    if root.is_exec or not root.children:
        return [_own_line(root, 0, frame, opened=False)]
    return _children(root, room, frame)


def _subtree(row: Row, room: int, name_columns: int, frame: Frame) -> list[Line]:
    """Return a node's line and, if it is worth it and there is room, those below."""
    opened = not row.is_exec and row.interest in _OPEN and bool(row.children) and room > 1
    lines = [_own_line(row, name_columns, frame, opened=opened)]
    if opened:
        lines += [(TextSpan("  "), *line) for line in _children(row, room - 1, frame)]
    return lines


def _own_line(row: Row, name_columns: int, frame: Frame, *, opened: bool) -> Line:
    if row.is_exec:
        return exec_line(row, name_of(row, name_columns), frame.now, frame.marks)
    return group_line(row, name_of(row, name_columns), frame.now, frame.marks, opened=opened)


def _children(group: Row, room: int, frame: Frame) -> list[Line]:
    """Return the lines below a group: the children worth seeing, and one for the rest."""
    shown = _chosen(group, room)
    rest = _rest_line(group, shown, frame.marks)
    left = room - len(shown) - (rest is not None)
    align = min(NAME_COLUMNS, max((width(printable(row.name)) for row in shown), default=0))
    extra = _shares(shown, left)
    lines: list[Line] = []
    for row in shown:
        used = _subtree(row, 1 + extra.get(row.path, 0), align, frame)
        lines += used
    if rest is not None:
        lines.append(rest)
    return lines


def _shares(shown: list[Row], left: int) -> dict[str, int]:
    """Share the lines left over among the open groups: ``{path: lines}``."""
    shares: dict[str, int] = {}
    for interest in sorted(_OPEN):  # running nodes come before details of failures
        groups = [row for row in shown if not row.is_exec and row.interest is interest]
        wants = sorted((_want(row, left), row.path) for row in groups)
        for number, (want, path) in enumerate(wants):  # small groups first: others get their rest
            shares[path] = min(want, left // (len(wants) - number))
            left -= shares[path]
    return shares


def _want(row: Row, maximum: int) -> int:
    """Return how many lines below a node there would be, counted no further than ``maximum``."""
    if row.is_exec or row.interest not in _OPEN:
        return 0
    want = 0
    for child in _urgent_first(row) if len(row.children) > NARROW else row.children.values():
        want += 1
        if want >= maximum:
            return maximum
        want += _want(child, maximum - want)
    return min(maximum, want + (len(row.children) > NARROW))


def _urgent_first(group: Row) -> Iterator[Row]:
    return chain.from_iterable(group.among(interest).values() for interest in sorted(_OPEN))


def _chosen(group: Row, room: int) -> list[Row]:
    """Return the children to show, at most ``room`` or one less than it when some are left out."""
    if len(group.children) <= min(room, NARROW):
        return list(group.children.values())
    maximum = max(0, room - 1)
    busy, failing = group.among(Interest.RUNNING), group.among(Interest.FAILING)
    # Running nodes come first, but leave a third of the lines to failures; the report at the end
    # tells them all, by kind.
    failures = min(len(failing), MAX_FAILURES, max(maximum - len(busy), maximum // 3))
    chosen = list(islice(busy.values(), min(MAX_BUSY, maximum - failures)))
    chosen += islice(failing.values(), failures)
    return chosen + list(_waiting(group, min(maximum, NARROW) - len(chosen)))


def _waiting(group: Row, room: int) -> Iterator[Row]:
    """Yield Execs that are next, where there is room; groups of them say no more than a count."""
    queued = (row for row in group.among(Interest.QUEUED).values() if row.is_exec)
    return islice(queued, max(0, room))


def _rest_line(group: Row, shown: list[Row], marks: Marks) -> Line | None:
    """Return ``… 8,412 more done, 3 pending``, or None when all are shown."""
    hidden = {interest: len(group.among(interest)) for interest, _ in _REST}
    for row in shown:
        hidden[row.interest] -= 1
    parts = [f"{hidden[interest]:,} {word}" for interest, word in _REST if hidden[interest]]
    if not parts:
        return None
    if shown:
        parts[0] = parts[0].replace(" ", " more ", 1)
    return (TextSpan(f"{marks.more} {', '.join(parts)}", Role.FAINT),)


# ----------------------------------------------------------------------------------------
# Repaints a block of lines in place on a terminal.
#
# The block always ends in the line above the cursor. Nothing scrolls as long as it is lower than
# the terminal; earlier output stays above it.


_SGR = {
    Role.STRONG: "1",
    Role.FAINT: "2",
    Role.GOOD: "32",
    Role.BAD: "31",
    Role.BUSY: "36",
    Role.WAITING: "33",
}
_HIDE, _SHOW = "\x1b[?25l", "\x1b[?25h"
_NO_WRAP, _WRAP = "\x1b[?7l", "\x1b[?7h"
_CLEAR_LINE, _CLEAR_BELOW = "\x1b[K", "\x1b[J"


def wants_colour(environ: Mapping[str, str]) -> bool:
    """Return whether to use colours (https://no-color.org)."""
    return not environ.get("NO_COLOR")


def is_live_terminal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Return whether a stream is a terminal on which lines can be repainted."""
    return stream.isatty() and environ.get("TERM", "dumb") not in {"dumb", ""}


def coloured(line: Line) -> str:
    return "".join(
        f"\x1b[{style}m{span.text}\x1b[0m" if style and span.text else span.text
        for span in printable_line(line)
        for style in (span.sgr or _SGR.get(span.role, ""),)
    )


class Painter:
    """Writes frames to a terminal, each over the one before."""

    def __init__(self, stream: TextIO, *, colour: bool) -> None:
        self._stream = stream
        self._colour = colour
        self._shown: list[Line] = []
        self._columns = self.size()[0]

    def size(self) -> tuple[int, int]:
        columns, lines = shutil.get_terminal_size()
        return max(1, columns - 1), max(1, lines - 1)

    def paint(self, lines: list[Line]) -> None:
        """Show ``lines`` in place of the last frame."""
        columns = self.size()[0]
        if lines == self._shown and columns == self._columns:
            return
        text = [_NO_WRAP, self._to_top(columns)]
        for line in lines:
            text += [coloured(line) if self._colour else text_of(line), _CLEAR_LINE, "\r\n"]
        text += [_CLEAR_BELOW, _WRAP]
        self._stream.write("".join(text))
        self._stream.flush()
        self._shown, self._columns = lines, columns

    def _to_top(self, columns: int) -> str:
        """Move to the first line of the last frame, which a resize may have wrapped."""
        up = sum(max(1, -(-width(text_of(line)) // (columns + 1))) for line in self._shown)
        clear = _CLEAR_BELOW if columns != self._columns else ""
        return ("\r" if up == 0 else f"\r\x1b[{up}A") + clear

    def forget(self, *_: object) -> None:
        """Start below whatever is on the screen now: something else wrote there."""
        self._shown = []

    @contextmanager
    def live(self) -> Iterator[None]:
        """Hide the cursor and take keys one by one, unseen, while frames are painted."""
        self._stream.write(_HIDE)
        self._stream.flush()
        with _quiet_keys() as again, _resumed(self, again):
            try:
                yield
            finally:
                self._stream.write(_SHOW)
                self._stream.flush()


@contextmanager
def _quiet_keys() -> Iterator[Callable[[], None]]:
    """Have keys come at once, and neither them nor ^C move the block; yield the setter."""
    if not sys.stdin.isatty():
        yield lambda: None
        return
    before = termios.tcgetattr(sys.stdin)
    quiet = [*before]
    quiet[3] = before[3] & ~(termios.ECHO | termios.ICANON)
    quiet[6] = [*before[6]]
    quiet[6][termios.VMIN], quiet[6][termios.VTIME] = 1, 0

    def apply() -> None:
        if os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp():  # else it would stop us
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, quiet)

    try:
        apply()
        yield apply
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


@contextmanager
def _resumed(painter: Painter, again: Callable[[], None]) -> Iterator[None]:
    """After a stop (Ctrl-Z) the shell has written below the block and set the terminal its way."""

    def resume(_number: int, _frame: FrameType | None) -> None:
        again()
        painter.forget()

    before = signal.signal(signal.SIGCONT, resume)
    try:
        yield
    finally:
        signal.signal(signal.SIGCONT, before)
