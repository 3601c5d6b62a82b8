"""The live view of a pipeline in a notebook."""

import atexit
import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterable
from html import escape
from typing import Any, Protocol, TextIO

from conducto.errors import ClientError
from conducto_client.target import Target
from conducto_core.run.model.params import TreeParams
from conducto_core.run.model.requests import NodeView, PipelineSummary
from conducto_core.run.model.states import State
from conducto_core.run.rules.activity import active_time

#: Seconds between two updates of the view.
_UPDATE_SECONDS = 1.0
_ended = threading.Event()


def is_active() -> bool:
    """Return whether this process is the kernel of a notebook."""
    python = sys.modules.get("IPython")
    shell = None if python is None else python.get_ipython()
    return shell is not None and hasattr(shell, "kernel")


class NotebookProgress:
    """The tree below the cell, updated in place.

    Args:
        html: Returns the current view.
    """

    def __init__(self, html: Callable[[], str]) -> None:
        self._html = html
        self._handle: Any = None
        self._newest: tuple[int, bool] | None = None
        self._updated_at = 0.0

    def show(self, summary: PipelineSummary) -> None:
        """Update the view, as `update`; keep the last one if it cannot be read."""
        with contextlib.suppress(ClientError):
            self.update(summary)

    def update(self, summary: PipelineSummary) -> None:
        """Update the view if the pipeline has changed, at most once a second.

        Raises:
            ClientError: the view cannot be read.
        """
        newest = (summary.seq, summary.settled)
        due = time.monotonic() - self._updated_at >= _UPDATE_SECONDS
        if newest != self._newest and (self._handle is None or due or summary.settled):
            self._updated_at = time.monotonic()
            # Notebooks have it.
            from IPython.display import HTML, display  # type: ignore[import-not-found]  # noqa: PLC0415

            html = HTML(self._html())
            if self._handle is None:
                self._handle = display(html, display_id=True)
            else:
                self._handle.update(html)
            self._newest = newest

    def close(self) -> None:
        """Do nothing: the last view stays."""


def show_live(read: Callable[[], PipelineSummary], html: Callable[[], str]) -> None:
    """Display a pipeline, and update the view in the background until it has settled.

    Args:
        read: Returns the current summary.
        html: Returns the current view.
    """
    view = NotebookProgress(html)
    summary = read()
    view.update(summary)
    if not summary.settled and is_active():
        thread = threading.Thread(target=_update, args=(read, view), daemon=True)
        thread.start()
        atexit.register(_join, thread)


def _update(read: Callable[[], PipelineSummary], view: NotebookProgress) -> None:
    settled = False
    while not (settled or _ended.wait(_UPDATE_SECONDS)):
        try:
            summary = read()
            view.update(summary)
        except ClientError:
            return  # the last view stays
        settled = summary.settled


def _join(thread: threading.Thread) -> None:
    """End a thread before Python does, which would end it in the middle of anything."""
    _ended.set()
    thread.join()


# ----------------------------------------------------------------------------------------
# The progress of a wait: a line on a terminal, or the live tree in a notebook.


_COLUMNS = 79


class WaitProgress(Protocol):
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


def progress_for(html: Callable[[], str], wanted: bool | None) -> WaitProgress:
    """Return the progress for where this process shows output; None decides by itself.

    Args:
        html: Returns the current view for a notebook.
        wanted: Show it, or not.
    """
    if wanted is False:
        return NoProgress()
    if is_active():
        return NotebookProgress(html)
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
    seconds = active_time(summary, now)
    if seconds is not None:
        parts.append(f"{seconds:.0f} s")
    return f"{summary.pipeline.title} {summary.pipeline.id}: {', '.join(parts)}"


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)


# ----------------------------------------------------------------------------------------
# A pipeline as HTML, for notebooks.


#: Maximum number of nodes that are shown.
MAX_NODES = 200
_COLOURS = {
    State.PENDING: "#888",
    State.QUEUED: "#888",
    State.RUNNING: "#06c",
    State.DONE: "#080",
    State.ERROR: "#c00",
    State.KILLED: "#c00",
}


def html_of(target: Target, pipeline_id: str) -> str:
    """Return a pipeline's state and tree."""
    query = TreeParams(id=pipeline_id, limit=MAX_NODES, attempts="none")
    summary, page = target.read(lambda client: (client.get(pipeline_id), client.nodes(query)))
    return "".join(_parts(summary, page.nodes, is_complete=page.next is None))


def _parts(
    summary: PipelineSummary, nodes: Iterable[NodeView], *, is_complete: bool
) -> Iterable[str]:
    heading = escape(progress_text(summary, time.time()))
    yield f'<div style="font-family:monospace;white-space:pre"><b>{heading}</b>\n'
    for node in nodes:
        yield _line(node)
    if not is_complete:
        yield f"… the first {MAX_NODES} nodes\n"
    yield "</div>"


def _line(node: NodeView) -> str:
    depth = 0 if node.path == "/" else node.path.count("/")
    name = node.path.rpartition("/")[2] or "/"
    note = " (skipped)" if node.skipped else ""
    if node.counts is not None:
        note += f" {node.counts.done:,}/{node.counts.total:,}"
    text = escape(f"{name}  {node.state.value}{note}")
    colour = _COLOURS[node.state]
    return f'{"  " * depth}<span style="color:{colour}">●</span> {text}\n'
