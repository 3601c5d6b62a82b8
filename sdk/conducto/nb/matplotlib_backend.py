"""A matplotlib backend: draws with Agg; ``show`` saves to the pipeline's data and prints a link.

``co.nb.matplotlib_inline()`` selects it; nothing else imports this module.
"""

# pathlib is slow to import, and this runs at every call in a container.
# ruff: noqa: PTH118

from __future__ import annotations

import importlib
import os
import tempfile
import uuid

import conducto.nb
from conducto.data import pipeline

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# By name: Conducto does not depend on matplotlib and has no types for it.
FigureCanvas: Any = importlib.import_module("matplotlib.backends.backend_agg").FigureCanvasAgg
FigureManager: Any = importlib.import_module("matplotlib.backend_bases").FigureManagerBase
_Figure: Any = importlib.import_module("matplotlib.figure").Figure
_open_figures: Any = importlib.import_module("matplotlib._pylab_helpers").Gcf
_DIRECTORY = ".mpl_plots"


def new_figure_manager(num: int, *args: object, **kwargs: Any) -> Any:
    """Return the manager of a new figure; releases of matplotlib before 3.6 need this."""
    figure_class = kwargs.pop("FigureClass", _Figure)
    return new_figure_manager_given_figure(num, figure_class(*args, **kwargs))


def new_figure_manager_given_figure(num: int, figure: Any) -> Any:
    """Return the manager of an existing figure."""
    return FigureManager(FigureCanvas(figure), num)


def draw_if_interactive() -> None:
    """Do nothing: there is no window to draw in."""


def show(*_args: object, **_kwargs: object) -> None:
    """Save every figure that changed since the last call, and print it as a markdown image."""
    for manager in _open_figures.get_all_fig_managers():
        figure = manager.canvas.figure
        if figure.stale:
            conducto.nb.show_markdown(f"![figure]({_save(figure)})")
            figure.stale = False


def _save(figure: Any) -> str:
    name = f"{_DIRECTORY}/{uuid.uuid4()}.png"
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "figure.png")
        figure.savefig(path, format="png")
        pipeline.put(name, path)
    return pipeline.url(name)
