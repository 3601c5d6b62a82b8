"""IDs and paths as users type them."""

import difflib
from collections.abc import Iterable, Sequence

from conducto.errors import UsageError
from conducto.wire.node_patterns import has_wildcard, matches, node_path

#: `difflib` is slow on more names than this.
_NAMES_COMPARED = 3000


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
        matching = [path for path in paths if matches(pattern, path)]
        if not matching:
            raise UsageError(_no_node(pattern, paths))
        chosen.update(matching)
    return [path for path in paths if path in chosen]


def _no_node(pattern: str, paths: Sequence[str]) -> str:
    what = "matches no node" if has_wildcard(pattern) else "no such node"
    hint = suggestion(pattern, paths) or "; 'conducto tree ID' lists them"
    return f"{pattern}: {what}{hint}"


def suggestion(wrong: str, known: Iterable[str], *, prefix: str = "", cutoff: float = 0.5) -> str:
    """Return ``; did you mean '/tests/login'?``, or nothing when nothing is near.

    Args:
        known: The words that it may stand for.
        cutoff: Similarity from which a word is near, 0 to 1.
    """
    names = [name for name in known if name != "/"]  # short, so it is near to much
    if len(names) > _NAMES_COMPARED:
        last = wrong.rpartition("/")[2]
        names = [name for name in names if name.endswith(last)] or names
    near = difflib.get_close_matches(wrong, names[:_NAMES_COMPARED], n=1, cutoff=cutoff)
    return f"; did you mean {prefix + near[0]!r}?" if near else ""
