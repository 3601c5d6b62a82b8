"""The live view of a pipeline in a notebook."""

import atexit
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from conducto.errors import ClientError
from conducto_core.model.requests import PipelineSummary

if TYPE_CHECKING:
    from conducto_client.pipeline import Pipeline

#: Seconds between two updates of the view.
_UPDATE_SECONDS = 1.0
_ended = threading.Event()


def is_active() -> bool:
    """Return whether this process is the kernel of a notebook."""
    python = sys.modules.get("IPython")
    shell = None if python is None else python.get_ipython()
    return shell is not None and hasattr(shell, "kernel")


class NotebookProgress:
    """The tree below the cell, updated in place."""

    def __init__(self, pipeline: "Pipeline") -> None:
        self._pipeline = pipeline
        self._handle: Any = None
        self._newest: tuple[int, bool] | None = None
        self._updated_at = 0.0

    def show(self, summary: PipelineSummary) -> None:
        """Update the view if the pipeline has changed, at most once a second."""
        newest = (summary.seq, summary.settled)
        due = time.monotonic() - self._updated_at >= _UPDATE_SECONDS
        if newest != self._newest and (self._handle is None or due or summary.settled):
            self._newest, self._updated_at = newest, time.monotonic()
            self._display()

    def close(self) -> None:
        """Do nothing: the last view stays."""

    def _display(self) -> None:
        # Notebooks have it.
        from IPython.display import HTML, display  # type: ignore[import-not-found]  # noqa: PLC0415

        html = HTML(self._pipeline._repr_html_())
        if self._handle is None:
            self._handle = display(html, display_id=True)
        else:
            self._handle.update(html)


def show_live(pipeline: "Pipeline") -> None:
    """Display a pipeline, and update the view in the background until it has settled."""
    view = NotebookProgress(pipeline)
    summary = pipeline.summary
    view.show(summary)
    if not summary.settled and is_active():
        thread = threading.Thread(target=_update, args=(pipeline, view), daemon=True)
        thread.start()
        atexit.register(_join, thread)


def _update(pipeline: "Pipeline", view: NotebookProgress) -> None:
    settled = False
    while not (settled or _ended.wait(_UPDATE_SECONDS)):
        try:
            summary = pipeline.summary
            view.show(summary)
        except ClientError:
            return  # the last view stays
        settled = summary.settled


def _join(thread: threading.Thread) -> None:
    """End a thread before Python does, which would end it in the middle of anything."""
    _ended.set()
    thread.join()
