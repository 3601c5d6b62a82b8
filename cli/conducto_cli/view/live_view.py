"""The live picture on a terminal, with keys."""

import os
import select
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TextIO

from conducto_cli.text.text import Line, Role, TextSpan, coloured_lines, marks_for, printable
from conducto_cli.view.key_bindings import HELP, HINT, KeyBindings
from conducto_cli.view.model import PipelineModel
from conducto_cli.view.screen import Frame, Painter, page, render
from conducto_client import Client
from conducto_core.run.model.requests import EventBatch, NodeView

# ----------------------------------------------------------------------------------------
# Keys of a terminal, one by one, read in a thread.


#: Seconds after which a lone Escape is the key and not the start of a sequence.
ESCAPE_SECONDS = 0.05
_ESCAPE = b"\x1b"
#: Sequences of keys that are not characters (ECMA-48, and xterm's keypad variants).
_SEQUENCES = {
    b"\x1b[A": "up",
    b"\x1bOA": "up",
    b"\x1b[B": "down",
    b"\x1bOB": "down",
    b"\x1b[C": "right",
    b"\x1bOC": "right",
    b"\x1b[D": "left",
    b"\x1bOD": "left",
    b"\x1b[H": "home",
    b"\x1bOH": "home",
    b"\x1b[1~": "home",
    b"\x1b[F": "end",
    b"\x1bOF": "end",
    b"\x1b[4~": "end",
    b"\x1b[5~": "page up",
    b"\x1b[6~": "page down",
}
_NAMED = {"\r": "enter", "\n": "enter", " ": "space", "\x04": "q"}


class Decoder:
    """Turns bytes of a terminal into names of keys; a sequence may come in parts."""

    def __init__(self) -> None:
        self._open = b""

    @property
    def is_waiting(self) -> bool:
        """Whether the received bytes may begin a sequence."""
        return bool(self._open)

    def feed(self, data: bytes) -> Iterator[str]:
        """Yield the keys that are complete now: ``up``, ``enter``, ``j``."""
        self._open += data
        while self._open:
            if not self._open.startswith(_ESCAPE):
                yield from self._character()
                continue
            size = _sequence_size(self._open)
            if size is None:
                return
            sequence, self._open = self._open[:size], self._open[size:]
            if sequence in _SEQUENCES:
                yield _SEQUENCES[sequence]

    def flush(self) -> Iterator[str]:
        """Yield Escape, which looked like the beginning of a sequence."""
        if self._open.startswith(_ESCAPE):
            yield "escape"
        self._open = b""

    def _character(self) -> Iterator[str]:
        byte, self._open = self._open[:1], self._open[1:]
        char = byte.decode("ascii", "ignore")
        if char in _NAMED:
            yield _NAMED[char]
        elif char.isprintable() and char:
            yield char


def _sequence_size(data: bytes) -> int | None:
    """Return the length of the sequence at the start; None while it is incomplete."""
    if len(data) == 1:
        return None
    if data[1:2] == b"O":
        return None if len(data) < 3 else 3  # noqa: PLR2004 - ESC O and one letter
    if data[1:2] != b"[":
        return 1  # Alt and a key: the Escape is dropped, the key counts
    for place, byte in enumerate(data[2:], 2):
        if 0x40 <= byte <= 0x7E:  # noqa: PLR2004 - the final byte of ECMA-48
            return place + 1
    return None


@contextmanager
def keys_of(descriptor: int, pressed: Callable[[str], None]) -> Iterator[None]:
    """Call ``pressed`` for each key, from a thread of its own, until the block is left."""
    stop_reading, stop_writing = os.pipe()
    source = _unblocked(descriptor)
    thread = threading.Thread(
        target=_read, args=(source, stop_reading, pressed), name="keys", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        os.close(stop_writing)
        thread.join()
        os.close(stop_reading)
        os.close(source)


def _unblocked(descriptor: int) -> int:
    """Return a descriptor of the same terminal that never waits.

    Ctrl-C discards typed keys: a key that `select` has seen may be lost before it is read, and
    reading would wait for the next one. The terminal is opened again, since the shell shares the
    flag of the descriptor itself.
    """
    try:
        return os.open(os.ttyname(descriptor), os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:  # no terminal, or one whose device is not here
        return os.dup(descriptor)


def _read(descriptor: int, stop: int, pressed: Callable[[str], None]) -> None:
    decoder = Decoder()
    while True:
        timeout = ESCAPE_SECONDS if decoder.is_waiting else None
        ready, _, _ = select.select([descriptor, stop], [], [], timeout)
        if stop in ready:
            return
        if not ready:
            _tell(decoder.flush(), pressed)
            continue
        try:
            data = os.read(descriptor, 1024)
        except BlockingIOError:  # it was dropped meanwhile
            continue
        except OSError:  # the terminal was closed
            return
        if not data:
            return
        _tell(decoder.feed(data), pressed)


def _tell(keys: Iterator[str], pressed: Callable[[str], None]) -> None:
    for key in keys:
        pressed(key)


#: Lines of the picture that stays at the end.
FINAL_ROWS = 20
_NO_KEYS = "Ctrl-C detaches, the pipeline continues"
_BACK = "escape: back to the tree"


class LiveView:
    """A picture of the tree, repainted in place; see `conducto_cli.view.watch.View`."""

    def __init__(self, stream: TextIO, *, colour: bool, clock: Callable[[], float]) -> None:
        self._painter = Painter(stream, colour=colour)
        self._marks = marks_for(stream.encoding)
        self._clock = clock
        self._bindings: KeyBindings | None = None

    @contextmanager
    def session(
        self, client: Client, pipeline_id: str, pressed: Callable[[str], None]
    ) -> Iterator[KeyBindings | None]:
        keys: AbstractContextManager[None] = nullcontext()
        if sys.stdin.isatty():
            self._bindings = KeyBindings(client, pipeline_id)
            keys = keys_of(sys.stdin.fileno(), pressed)
        with self._painter.live(), keys:
            yield self._bindings

    def added(self, model: PipelineModel, views: Sequence[NodeView]) -> None:
        """Leave it to the next refresh."""

    def changed(self, model: PipelineModel, batch: EventBatch) -> None:
        """Leave it to the next refresh."""

    def refresh(self, model: PipelineModel) -> None:
        columns, rows = self._painter.size()
        frame = Frame(columns, rows, self._clock(), self._marks)
        self._painter.paint(self._picture(model, frame))

    def _picture(self, model: PipelineModel, frame: Frame) -> list[Line]:
        keys = self._bindings
        if keys is None:
            return render(model, frame, footer=_NO_KEYS)
        if keys.helping:
            return page("keys", list(_help()), frame, _BACK)
        if keys.reading is not None:
            body = [line for each in keys.reading.lines.items() for line in _output(*each, frame)]
            return page(printable(keys.reading.path), body, frame, _BACK)
        space = "pause" if model.summary.pipeline.armed else "run"
        return render(model, frame, keys.note or HINT.format(space=space), keys.browser)

    def finish(self, model: PipelineModel) -> None:
        """Paint the tree for the last time, no larger than it needs to be."""
        columns, rows = self._painter.size()
        frame = Frame(columns, min(rows, FINAL_ROWS), self._clock(), self._marks)
        self._painter.paint(render(model, frame))


def _help() -> Iterator[Line]:
    for keys, meaning in HELP:
        yield (TextSpan(f"  {keys:14}", Role.STRONG), TextSpan(meaning))


def _output(stream: str, lines: list[str], frame: Frame) -> Iterator[Line]:
    """Yield the lines of one stream; stderr is set off where it has any."""
    if stream == "stderr" and lines:
        yield (TextSpan("stderr", Role.FAINT),)
    for line in list(coloured_lines(lines))[-frame.rows :]:
        yield (TextSpan(f"{frame.marks.output} ", Role.FAINT), *line)
