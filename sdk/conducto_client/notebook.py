"""The live view of a pipeline in a notebook."""

import sys
import time
from typing import TYPE_CHECKING, Any

from conducto_core.model.requests import PipelineSummary

if TYPE_CHECKING:
    from conducto_client.pipeline import Pipeline

#: Seconds between two updates of the view.
_UPDATE_SECONDS = 1.0


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
        if newest != self._newest and (due or summary.settled):
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
