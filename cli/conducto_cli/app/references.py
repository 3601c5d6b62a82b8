"""IDs and paths as users type them."""

from collections.abc import Sequence

from conducto.errors import UsageError
from conducto.wire.node_patterns import has_wildcard, matches, node_path
from conducto.wire.printable import suggestion


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
