"""The patterns of ``paths``, ``branches`` and ``tags`` of a section of ``.conducto.cfg``.

A name is chosen if it matches a pattern and none that begins with ``!``. If all begin with ``!``,
every other name is chosen. ``*`` stands for any characters: of a path, of one directory. ``**``
stands for any number of directories. Nothing backtracks, whatever a commit or its files are named.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pydantic_core import from_json

from conducto_core.events.rules.patterns import matches_words

#: Maximum number of patterns of a key, and characters of one.
MAX_PATTERNS = 50
MAX_LENGTH = 200
_ANY = "**"


class NamePatternError(ValueError):
    """Patterns are invalid; the message has the pattern and the reason."""


@dataclass(frozen=True, slots=True)
class NamePatterns:
    """Patterns of names.

    Attributes:
        are_paths: A slash separates directories.
    """

    included: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    are_paths: bool = False

    def accept(self, name: str) -> bool:
        """Return whether the patterns choose a name."""
        if not self._is_one_of(self.included or ("**" if self.are_paths else "*",), name):
            return False
        return not self._is_one_of(self.excluded, name)

    def accept_one(self, names: Iterable[str]) -> bool:
        """Return whether the patterns choose at least one of the names."""
        return any(map(self.accept, names))

    def _is_one_of(self, patterns: Sequence[str], name: str) -> bool:
        if not self.are_paths:
            return any(matches_words(each.split("*"), name) for each in patterns)
        parts = name.split("/")
        return any(_path_matches(each.split("/"), parts) for each in patterns)


def parse_patterns(text: str, *, are_paths: bool = False) -> NamePatterns:
    """Return the patterns in a value: words, or a JSON list.

    Raises:
        NamePatternError: They are invalid.
    """
    patterns = _words(text)
    if not patterns:
        raise NamePatternError("there is no pattern; leave the key out")
    if len(patterns) > MAX_PATTERNS:
        raise NamePatternError(f"there are {len(patterns)} patterns, the maximum is {MAX_PATTERNS}")
    included: list[str] = []
    excluded: list[str] = []
    for pattern in patterns:
        name = pattern.removeprefix("!")
        _check(pattern, name, are_paths=are_paths)
        if are_paths and name.endswith("/"):
            name += _ANY
        if are_paths and name.split("/")[-1] == _ANY:
            name += "/*"  # contents of a directory, not a file of its name
        (excluded if pattern.startswith("!") else included).append(name)
    return NamePatterns(tuple(included), tuple(excluded), are_paths)


def _words(text: str) -> list[str]:
    if not text.startswith("["):
        return text.split()
    try:
        found = from_json(text)
    except ValueError:
        raise NamePatternError(f"{text!r} is not valid JSON") from None
    if not all(isinstance(each, str) for each in found):
        raise NamePatternError(f"{text!r} is not a list of texts")
    return list(found)


def _check(pattern: str, name: str, *, are_paths: bool) -> None:
    if not name or len(name) > MAX_LENGTH:
        raise NamePatternError(f"{pattern!r} must have 1 to {MAX_LENGTH} characters")
    if any(sign in name for sign in "?[]{}"):
        raise NamePatternError(f"{pattern!r}: the only special characters are '*' and a first '!'")
    parts = name.split("/")
    if are_paths and any(_ANY in part and part != _ANY for part in parts):
        raise NamePatternError(f"{pattern!r}: '**' stands for whole directories; write '**/*.py'")
    if are_paths and (name.startswith("/") or "." in parts or ".." in parts):
        raise NamePatternError(f"{pattern!r} must be relative to the root of the repository")


def _path_matches(pattern: list[str], path: list[str]) -> bool:
    """Return whether the parts of a path match; after ``**``, the first place that fits is used."""
    groups: list[list[str]] = [[]]
    for part in pattern:
        if part == _ANY:
            groups.append([])
        else:
            groups[-1].append(part)
    head, tail = groups[0], groups[-1]
    if len(groups) == 1:
        return len(path) == len(head) and _fits(head, path)
    at, end = len(head), len(path) - len(tail)
    if at > end or not _fits(head, path) or not _fits(tail, path[end:]):
        return False
    for group in groups[1:-1]:
        last = end - len(group)
        found = next((n for n in range(at, last + 1) if _fits(group, path[n:])), None)
        if found is None:
            return False
        at = found + len(group)
    return True


def _fits(group: Sequence[str], parts: Sequence[str]) -> bool:
    """Return whether the first parts match the patterns of a group."""
    return all(
        matches_words(pattern.split("*"), part) for pattern, part in zip(group, parts, strict=False)
    )
