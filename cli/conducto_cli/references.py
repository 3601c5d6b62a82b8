"""IDs and paths as users type them."""

import difflib
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from conducto.errors import UsageError

_MAGIC = re.compile(r"[*?\[]")
#: `difflib` is slow on more names than this.
_NAMES_COMPARED = 3000


def node_path(text: str) -> str:
    """Return the path that a person meant: ``tests/login`` and ``/tests/login/`` are the same."""
    return "/" + text.strip("/")


def has_wildcard(text: str) -> bool:
    """Return whether a path is a pattern."""
    return _MAGIC.search(text) is not None


def expand(patterns: Sequence[str], paths: Sequence[str]) -> list[str]:
    """Return the paths that the patterns mean, in the tree's order, each once.

    ``*`` and ``?`` stand for characters of one name, ``**`` for any number of names. A path that
    exists is itself, whatever characters it holds.

    Raises:
        UsageError: a pattern matches nothing; names the nearest path.
    """
    known = set(paths)
    chosen: set[str] = set()
    for pattern in map(node_path, patterns):
        if pattern in known:
            chosen.add(pattern)
            continue
        matching = [path for path in paths if _matches(pattern, path)]
        if not matching:
            raise UsageError(_no_node(pattern, paths))
        chosen.update(matching)
    return [path for path in paths if path in chosen]


def _matches(pattern: str, path: str) -> bool:
    return _compiled(pattern).fullmatch(path) is not None


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> re.Pattern[str]:
    names = pattern.split("/")[1:]
    # A name may hold anything but "/", so the wildcards of one name never cross it.
    parts = ("(?:/[^/]+)*" if name == "**" else "/" + _one_name(name) for name in names)
    return re.compile("".join(parts), re.DOTALL)


def _one_name(pattern: str) -> str:
    chunks = re.split(r"(\*|\?|\[[^\]]+\])", pattern)
    return "".join(_chunk(chunk) for chunk in chunks)


def _chunk(chunk: str) -> str:
    if chunk == "*":
        return "[^/]*"
    if chunk == "?":
        return "[^/]"
    if len(chunk) > 2 and chunk.startswith("[") and chunk.endswith("]"):  # noqa: PLR2004 - "[a]"
        inside = chunk[1:-1].replace("\\", "\\\\").replace("[", "\\[")
        return f"[^{inside[1:]}]" if inside.startswith("!") else f"[{inside}]"
    return re.escape(chunk)


def _no_node(pattern: str, paths: Sequence[str]) -> str:
    what = "matches no node" if has_wildcard(pattern) else "no such node"
    hint = suggestion(pattern, paths) or "; 'conducto tree ID' lists them"
    return f"{pattern}: {what}{hint}"


def suggestion(wrong: str, known: Iterable[str]) -> str:
    """Return ``; did you mean '/tests/login'?``, or nothing when nothing is near."""
    names = [name for name in known if name != "/"]  # short, so it is near to much
    if len(names) > _NAMES_COMPARED:
        last = wrong.rpartition("/")[2]
        names = [name for name in names if name.endswith(last)] or names
    near = difflib.get_close_matches(wrong, names[:_NAMES_COMPARED], n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""
