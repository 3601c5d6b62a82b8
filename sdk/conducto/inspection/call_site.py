"""The place in the user's own files from which a call came.

An explicit walk over the frames: the first one that does not belong to this package is the user's,
however many of the package's frames are in between.
"""

# ruff: noqa: PTH100, PTH109, PTH110, PTH119, PTH120, SLF001
# pathlib is a heavy import; the modules of the tree share its nodes' slots.

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Dict, List, Optional, Tuple

    Site = Tuple[Optional[str], Optional[int]]

#: The commands of the host also create nodes (``conducto discover``).
_COMMANDS = f"{os.sep}conducto_cli{os.sep}"
#: Code that is not the user's: the standard library, and installed packages.
_STANDARD = os.path.dirname(os.__file__) + os.sep
#: Debian's Python has packages in ``dist-packages``.
_INSTALLED = tuple(f"{os.sep}{name}{os.sep}" for name in ("site-packages", "dist-packages"))
PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep

#: Maximum number of calls that are recorded for a node.
_MAX_CALLS = 5

# {file name of a code object: absolute path, "" for code without a file, None for Conducto's own}
_files: Dict[str, Optional[str]] = {}


def _classify(name: str) -> Optional[str]:
    if name.startswith("<frozen "):
        return None
    if name.startswith("<"):
        return ""
    path = os.path.abspath(name)
    return None if path.startswith(PACKAGE) or _COMMANDS in path else path


def is_ours(filename: str) -> bool:
    """Return whether a code object with that file name belongs to this package."""
    if filename not in _files:
        _files[filename] = _classify(filename)
    return _files[filename] is None


def caller() -> Tuple[Optional[str], Optional[int]]:
    """Return ``(file, line)`` of the user's call.

    The file is absolute, or None for code without one (``python -c``, a prompt).
    """
    return callers()[0]


def callers() -> Tuple[Site, ...]:
    """Return `caller`, and the calls of the user's own functions that led to it, the nearest first.

    They end where Conducto or another library called the user's code, and after `_MAX_CALLS`.
    """
    frame: Optional[FrameType] = sys._getframe(1)
    while frame is not None and is_ours(frame.f_code.co_filename):
        frame = frame.f_back
    found: List[Site] = []
    while frame is not None and len(found) < _MAX_CALLS:
        name = frame.f_code.co_filename
        if is_ours(name) or (found and _is_library(name)):
            break
        found.append((_files[name] or None, frame.f_lineno))
        frame = frame.f_back
    return tuple(found) or ((None, None),)


def _is_library(name: str) -> bool:
    return name.startswith(_STANDARD) or any(part in name for part in _INSTALLED)


def is_top_level() -> bool:
    """Return whether the user's call is at the top level of a file, outside of functions."""
    frame = sys._getframe(1)
    while is_ours(frame.f_code.co_filename) and frame.f_back is not None:
        frame = frame.f_back
    return frame.f_code.co_name == "<module>"


def is_cell(file: str) -> bool:
    """Return whether a code object's absolute file name is that of a notebook cell.

    IPython invents a name for each cell; the file exists only while Jupyter's debugger is used.
    """
    folder, name = os.path.split(file)
    return os.path.basename(folder).startswith("ipykernel_") or name.startswith("<ipython-input-")


def caller_directory() -> str:
    """Return the directory of the calling file, or the current one if the code has no file."""
    file, _ = caller()
    if file is None or is_cell(file) or not os.path.exists(file):
        return os.getcwd()
    return os.path.dirname(file)
