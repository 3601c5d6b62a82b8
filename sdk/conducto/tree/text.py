"""Small rules on text: indentation, colors, suggestions, shortened paths."""

# ruff: noqa: PLC0415, PTH100, PTH109
# imports wait until they are needed.

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

_COLORS = {"blue": "1;34", "cyan": "1;36", "magenta": "1;35", "bold": "1", "dim": "1;2"}
_TAB = 4  # columns of indentation


def unindent(text: str) -> str:
    r"""Return ``text`` without the indentation of its place in a source file.

    The smallest indentation of the lines after the first is removed from these lines, and the whole
    is stripped; nothing else changes. A tab counts as four columns. A text of a single line is
    returned unchanged.

    >>> unindent("\n    set -e\n      echo hi\n    ")
    'set -e\n  echo hi'
    >>> unindent("\n    all:\n    \techo hi\n    ")
    'all:\n\techo hi'
    """
    if "\n" not in text:
        return text
    first, *rest = text.split("\n")
    margins = [_columns(line) for line in rest if line.strip()]
    if not margins:
        return text
    margin = min(margins)
    return "\n".join([first, *(_without_margin(line, margin) for line in rest)]).strip()


def _columns(line: str) -> int:
    indentation = line[: len(line) - len(line.lstrip())]
    return len(indentation) + indentation.count("\t") * (_TAB - 1)


def _without_margin(line: str, margin: int) -> str:
    """Remove ``margin`` columns of white space; a tab that goes beyond them is kept."""
    if "\t" not in line:
        return line[margin:]
    columns = 0
    for at, character in enumerate(line):
        columns += _TAB if character == "\t" else 1
        if columns > margin or not character.isspace():
            return line[at:]
    return ""


def wants_color(stream: TextIO) -> bool:
    """Return whether to write colours to ``stream``: a terminal, and NO_COLOR is not set."""
    import os

    if os.environ.get("NO_COLOR") or os.environ.get("TERM", "dumb") in ("dumb", ""):
        return False
    isatty = getattr(stream, "isatty", None)
    return isatty is not None and bool(isatty())


def paint(text: str, color: str, *, on: bool = True) -> str:
    """Return ``text`` in an ANSI colour, or unchanged if not ``on``."""
    return f"\x1b[{_COLORS[color]}m{text}\x1b[0m" if on else text


def count(number: int, noun: str) -> str:
    """Return e.g. ``"1 node"`` or ``"3 nodes"``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def shown(path: str) -> str:
    """Return ``path`` relative to the current directory if it lies below it."""
    full, here = os.path.abspath(path), os.getcwd()
    return os.path.relpath(full, here) if full.startswith(here.rstrip("/") + "/") else full
