"""Rich output from a node: ``co.nb``.

The web app shows output between ``<ConductoMarkdown>`` and ``</ConductoMarkdown>``, on stdout or
stderr, as markdown:

    with co.nb.cell():
        # ## The raw data
        # One row per flight.
        print(table.to_markdown())

``co.nb.report`` also shows markdown at the top of the pipeline's page.
"""

from __future__ import annotations

import importlib
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Optional, Type

BEGIN = "<ConductoMarkdown>"
END = "</ConductoMarkdown>"

IN_MARKDOWN = False
"""Whether output is now inside of a ``cell``, and so needs no tags of its own."""


class _Cell:
    def __enter__(self) -> None:
        global IN_MARKDOWN  # noqa: PLW0603 - one output stream, so one state per process
        self._outer = IN_MARKDOWN
        frame = sys._getframe(1)  # noqa: SLF001 - the only way to the caller's own source
        print(self._heading(frame.f_code.co_filename, frame.f_lineno), flush=True)  # noqa: T201
        IN_MARKDOWN = True

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        global IN_MARKDOWN  # noqa: PLW0603 - see above
        IN_MARKDOWN = self._outer
        if not self._outer:
            print(f"\n{END}", flush=True)  # noqa: T201 - this is the output

    def _heading(self, filename: str, line: int) -> str:
        from conducto.inspection import source_finder  # noqa: PLC0415 - needs the parser, slow to import

        body = source_finder.find_with(filename, line)
        comment, code = source_finder.split_comment("" if body is None else body)
        parts = [] if self._outer else [BEGIN]
        parts += [f"{comment}\n"] if comment else []
        parts += [f"{source_finder.fence(code)}\n"] if code.strip() else []
        return "\n".join(parts)


def cell() -> _Cell:
    """Return a context manager that shows its own block, and its output, as markdown.

    The comments at the start of the block come first, as prose, then its code, then its output. The
    tag is closed even if the block fails. If the source is not available (a REPL), only the output
    is shown.
    """
    return _Cell()


def show_markdown(text: str) -> None:
    """Print ``text`` so that the web app shows it as markdown, even within a ``cell``."""
    print(text if IN_MARKDOWN else f"{BEGIN}\n{text}\n{END}", flush=True)  # noqa: T201


def report(markdown: str, name: Optional[str] = None) -> None:
    """Show markdown with the output of this node, and at the top of its pipeline's page.

    It stays there until the pipeline is deleted, as ``reports/<name>.md`` of the pipeline's data;
    an earlier report with the same name is replaced. Any program may write such files.

    Args:
        markdown: The text.
        name: Its heading; by default the node's path, as a link to the node.

    Raises:
        EnvironmentError: Not in a node of a pipeline.
        ValueError: ``name`` is not a valid file name.
    """
    node = os.environ.get("CONDUCTO_NODE")
    if not os.environ.get("CONDUCTO_PIPELINE_ID") or not node:
        raise OSError(
            "co.nb.report() works in a node of a pipeline only: there is no pipeline here to "
            "report to. Use co.nb.show_markdown(...) to print markdown."
        )
    from conducto.data import pipeline  # noqa: PLC0415 - whoever only prints does not need it
    from conducto.nb.report_files import file_name  # noqa: PLC0415

    file = file_name(name, node)
    show_markdown(markdown)
    pipeline.puts(file, markdown.encode())


def matplotlib_inline() -> None:
    """Make ``plt.show()`` save each new figure to the pipeline's data and show it as an image.

    Raises:
        EnvironmentError: Not in a node of a pipeline.
        ImportError: matplotlib is not installed in this image.
    """
    if not os.environ.get("CONDUCTO_PIPELINE_ID"):
        raise OSError(
            "co.nb.matplotlib_inline() works in a node of a pipeline only: there is no "
            "pipeline data here to save figures to. Use plt.savefig(...) instead."
        )
    try:
        matplotlib = importlib.import_module("matplotlib")
    except ImportError as error:
        raise ImportError(
            "matplotlib is not installed in this image; add install_pip=['matplotlib']"
        ) from error
    matplotlib.use("module://conducto.nb.matplotlib_backend")
