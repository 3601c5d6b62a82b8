"""Repaints a block of lines in place on a terminal.

The block always ends in the line above the cursor. Nothing scrolls as long as it is lower than
the terminal; earlier output stays above it.
"""

import os
import shutil
import signal
import sys
import termios
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import TextIO

from conducto_cli.text.text import Line, Role, printable_line, text_of, width

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
    """Return a line with the terminal's codes for its roles."""
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
        """Return the columns and lines there are for a frame."""
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
