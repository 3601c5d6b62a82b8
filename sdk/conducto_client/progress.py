"""The progress of a wait: a line on a terminal, or the live tree in a notebook."""

import sys
import time
from collections.abc import Callable
from typing import Protocol, TextIO

from conducto_client import notebook
from conducto_core.model.requests import PipelineSummary

_COLUMNS = 79


class Progress(Protocol):
    """Shows a pipeline while it is waited for."""

    def show(self, summary: PipelineSummary) -> None:
        """Show the current state."""

    def close(self) -> None:
        """Finish the output."""


class NoProgress:
    """Shows nothing."""

    def show(self, summary: PipelineSummary) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class TerminalProgress:
    """A line that is repainted."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._line = ""

    def show(self, summary: PipelineSummary) -> None:
        """Repaint the line if it has changed."""
        line = _printable(progress_text(summary, time.time()))[:_COLUMNS]
        if line != self._line:
            self._stream.write(f"\r{line:<{len(self._line)}}")
            self._stream.flush()
            self._line = line

    def close(self) -> None:
        """End the line."""
        if self._line:
            self._stream.write("\n")
            self._stream.flush()
            self._line = ""


def progress_for(html: Callable[[], str], wanted: bool | None) -> Progress:
    """Return the progress for where this process shows output; None decides by itself.

    Args:
        html: Returns the current view for a notebook.
        wanted: Show it, or not.
    """
    if wanted is False:
        return NoProgress()
    if notebook.is_active():
        return notebook.NotebookProgress(html)
    if wanted or sys.stderr.isatty():
        return TerminalProgress(sys.stderr)
    return NoProgress()


def progress_text(summary: PipelineSummary, now: float) -> str:
    """Return e.g. ``grid abc-def: running, 3/10 done, 1 failed, 12 s``."""
    counts = summary.counts
    failed = counts.error + counts.killed
    parts = [summary.state.value, f"{counts.done:,}/{counts.total:,} done"]
    parts += [f"{failed:,} failed"] if failed else []
    parts += [f"{counts.running:,} running"] if counts.running else []
    if summary.started is not None:
        ended = now if summary.ended is None else summary.ended
        parts.append(f"{max(0.0, ended - summary.started):.0f} s")
    return f"{summary.pipeline.title} {summary.pipeline.id}: {', '.join(parts)}"


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)
