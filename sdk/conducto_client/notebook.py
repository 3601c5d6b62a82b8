"""The live view of a pipeline in a notebook."""

import atexit
import contextlib
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from conducto.errors import ClientError
from conducto_core.model.requests import PipelineSummary

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
            self._display()
            self._newest = newest

    def close(self) -> None:
        """Do nothing: the last view stays."""

    def _display(self) -> None:
        # Notebooks have it.
        from IPython.display import HTML, display  # type: ignore[import-not-found]  # noqa: PLC0415

        html = HTML(self._html())
        if self._handle is None:
            self._handle = display(html, display_id=True)
        else:
            self._handle.update(html)


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
