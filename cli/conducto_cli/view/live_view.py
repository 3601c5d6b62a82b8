"""The live picture on a terminal, with keys."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TextIO

from conducto_cli.text.ansi import coloured_lines
from conducto_cli.text.text import Line, Role, Span, marks_for, printable
from conducto_cli.view.key_bindings import HELP, HINT, KeyBindings
from conducto_cli.view.keyboard import keys_of
from conducto_cli.view.model import PipelineModel
from conducto_cli.view.painter import Painter
from conducto_cli.view.screen import Frame, page, render
from conducto_client import Client
from conducto_core.model.requests import EventBatch, NodeView

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
        """Hide the cursor and read keys."""
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
        """Paint the current frame."""
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
        yield (Span(f"  {keys:14}", Role.STRONG), Span(meaning))


def _output(stream: str, lines: list[str], frame: Frame) -> Iterator[Line]:
    """Yield the lines of one stream; stderr is set off where it has any."""
    if stream == "stderr" and lines:
        yield (Span("stderr", Role.FAINT),)
    for line in list(coloured_lines(lines))[-frame.rows :]:
        yield (Span(f"{frame.marks.output} ", Role.FAINT), *line)
