"""Small rules on text: indentation, colours, suggestions."""

# ruff: noqa: PLC0415
# imports wait until they are needed.

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable

_COLORS = {"blue": "1;34", "cyan": "1;36", "magenta": "1;35", "bold": "1", "dim": "1;2"}


def unindent(text: str) -> str:
    r"""Return ``text`` without the indentation its place in a source file gave it.

    Tabs become four spaces. The smallest indentation of the lines after the first is taken off
    these lines, and the whole is stripped. A text of a single line with content is returned as
    it is, but for its tabs.

    >>> unindent("\n    set -e\n      echo hi\n    ")
    'set -e\n  echo hi'
    """
    if "\n" not in text and "\t" not in text:
        return text
    text = text.replace("\t", "    ")
    first, *rest = text.split("\n")
    margins = [len(line) - len(line.lstrip()) for line in rest if line.strip()]
    if not margins:
        return text
    margin = min(margins)
    return "\n".join([first, *(line[margin:] for line in rest)]).strip()


def colors_wanted() -> bool:
    """Return whether the terminal shows colours: TERM is set and NO_COLOR is not."""
    import os

    return bool(os.environ.get("TERM")) and not os.environ.get("NO_COLOR")


def paint(text: str, color: str, *, on: bool = True) -> str:
    """Return ``text`` in an ANSI colour (blue, cyan, magenta, bold, dim), or as it is if not on."""
    return f"\x1b[{_COLORS[color]}m{text}\x1b[0m" if on else text


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the nearest of ``known``, or an empty text."""
    import difflib

    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else ""


def count(number: int, noun: str) -> str:
    """Return e.g. ``"1 node"`` or ``"3 nodes"``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
