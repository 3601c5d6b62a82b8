"""The default title of a pipeline: the command that created it."""

# ruff: noqa: PLC0415, PTH119
# imports wait until they are needed; pathlib is a heavy import.

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional, Sequence


def _quoted(word: str) -> str:
    import shlex

    return shlex.quote(word)


def title_of(program: str, words: Sequence[str], default: Optional[str] = None) -> str:
    """Return e.g. ``"hello.py pipeline"``.

    Args:
        program: The script, or the program that started it (Python and conducto are left out).
        words: The command line without Conducto's own flags.
        default: Name of the method that was called because the command line names none.
    """
    parts: List[str] = []
    base = os.path.basename(program)
    if base not in ("conducto", "__main__.py") and not base.startswith("python"):
        parts.append(program)
    if default is not None:
        parts.append(default)
    parts.extend(words)
    return " ".join(_quoted(part) for part in parts)


def title_of_process() -> str:
    """Return a title from this process's command line."""
    return title_of(sys.argv[0] if sys.argv else "", sys.argv[1:])
