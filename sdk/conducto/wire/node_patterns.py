"""Patterns of node paths: ``*`` and ``?`` within a name, ``**`` for any number of names."""

from __future__ import annotations

import re
from functools import lru_cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Pattern

_MAGIC = re.compile(r"[*?\[]")


def node_path(text: str) -> str:
    """Return the path that a text means: ``tests/login`` and ``/tests/login/`` are the same."""
    return "/" + text.strip("/")


def has_wildcard(text: str) -> bool:
    """Return whether a path is a pattern."""
    return _MAGIC.search(text) is not None


def matches(pattern: str, path: str) -> bool:
    """Return whether a pattern, which starts with a slash, matches a whole path."""
    return _compiled(pattern).fullmatch(path) is not None


def fixed_part(pattern: str) -> str:
    """Return the path of the deepest node above everything that a pattern can match."""
    names = []
    for name in pattern.strip("/").split("/"):
        if has_wildcard(name):
            break
        names.append(name)
    return "/" + "/".join(names)


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> Pattern[str]:
    names = pattern.split("/")[1:]
    # A name may hold anything but "/", so the wildcards of one name never cross it.
    parts = ("(?:/[^/]+)*" if name == "**" else "/" + _one_name(name) for name in names)
    return re.compile("".join(parts), re.DOTALL)


def _one_name(pattern: str) -> str:
    chunks = re.split(r"(\*|\?|\[[^\]]+\])", pattern)
    some = "(?=[^/])" if has_wildcard(pattern) else ""  # the name of the root is empty
    return some + "".join(_chunk(chunk) for chunk in chunks)


def _chunk(chunk: str) -> str:
    if chunk == "*":
        return "[^/]*"
    if chunk == "?":
        return "[^/]"
    if len(chunk) > 2 and chunk.startswith("[") and chunk.endswith("]"):  # noqa: PLR2004 - "[a]"
        inside = chunk[1:-1].replace("\\", "\\\\").replace("[", "\\[")
        return f"[^{inside[1:]}]" if inside.startswith("!") else f"[{inside}]"
    return re.escape(chunk)
