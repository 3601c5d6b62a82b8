"""The files of cached commands: patterns of their names, their order, and their stored form.

A *mark* identifies an entry of the data: ``d`` is a directory, ``l`` and a target a symbolic link,
and ``-`` or, if it is executable, ``x``, with the SHA-256 of its content, a file. The names of
directories end with a slash.
"""

import json
import posixpath
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final

from conducto.errors import raise_found
from conducto_core.errors import invalid
from conducto_core.run.model.states import NodeType
from conducto_core.tree.model import Caching, NodeSpec, parent_of

DIRECTORY: Final = "d"
#: Marks a pipe, a socket or a device, and an entry that cannot be read.
UNKNOWN: Final = "?"
#: Maximum number of entries that one command reads or writes.
MAX_ENTRIES: Final = 100_000
_WILD: Final = frozenset("*?[")


# ---- patterns -----------------------------------------------------------------------------------


def names_file(patterns: Collection[str], name: str) -> bool:
    """Return whether patterns name a file: ``a/`` everything below, ``*`` no slash, ``**`` any."""
    return any(_matches(pattern, name) for pattern in patterns)


def _matches(pattern: str, name: str) -> bool:
    parts = _parts(pattern)
    if not pattern.endswith("/"):
        return _parts_match(parts, name.split("/"))
    names = _parts(name)
    is_below = len(names) > len(parts) or name.endswith("/")
    return is_below and _parts_match((*parts, "**"), names)


def _parts(pattern: str) -> Sequence[str]:
    return pattern.rstrip("/").split("/")


def _parts_match(patterns: Sequence[str], names: Sequence[str]) -> bool:
    if not patterns or not names:
        return not names and all(each == "**" for each in patterns)
    if patterns[0] == "**":
        return _parts_match(patterns[1:], names) or _parts_match(patterns, names[1:])
    return fnmatchcase(names[0], patterns[0]) and _parts_match(patterns[1:], names[1:])


def fixed_parts(pattern: str) -> tuple[str, ...]:
    """Return the first parts of a pattern that have no wildcard."""
    found: list[str] = []
    for part in _parts(pattern):
        if not _WILD.isdisjoint(part):
            break
        found.append(part)
    return tuple(found)


def is_directory(pattern: str) -> bool:
    """Return whether a pattern names one directory."""
    return pattern.endswith("/") and _WILD.isdisjoint(pattern)


def overlap(one: str, other: str) -> bool:
    """Return whether two patterns may name the same file; True if that is hard to know."""
    return _overlap(_all_parts(one), _all_parts(other))


def _all_parts(pattern: str) -> Sequence[str]:
    return (*_parts(pattern), "**") if pattern.endswith("/") else _parts(pattern)


def _overlap(one: Sequence[str], other: Sequence[str]) -> bool:
    if "**" in {*one[:1], *other[:1]}:
        return True
    if not one or not other:
        return not one and not other
    return _may_be_equal(one[0], other[0]) and _overlap(one[1:], other[1:])


def _may_be_equal(one: str, other: str) -> bool:
    if _WILD.isdisjoint(one):
        return fnmatchcase(one, other)
    if _WILD.isdisjoint(other):
        return fnmatchcase(other, one)
    ends = [_fixed_end(each) for each in (one, other)]
    starts = [_fixed_end(each[::-1]) for each in (one, other)]
    return all(a.endswith(b) or b.endswith(a) for a, b in (ends, starts))


def _fixed_end(part: str) -> str:
    """Return the characters after the last wildcard; a set of characters counts as one."""
    last = max(part.rfind(each) for each in ("*", "?", "[", "]"))
    return part[last + 1 :]


# ---- the tree -----------------------------------------------------------------------------------


@dataclass(slots=True)
class _Place:
    """A directory that patterns name.

    Attributes:
        users: ``(node, pattern, whether it writes)`` of the patterns whose fixed parts end here.
    """

    users: list[tuple[NodeSpec, str, bool]] = field(default_factory=list)
    below: "dict[str, _Place]" = field(default_factory=dict)

    def everything(self) -> Iterator[tuple[NodeSpec, str, bool]]:
        yield from self.users
        for place in self.below.values():
            yield from place.everything()


def check_files(nodes: Mapping[str, NodeSpec], others: Mapping[str, NodeSpec]) -> None:
    """Check that no cached command writes files that another one uses at the same time.

    Args:
        nodes: The nodes to check.
        others: Further nodes of the tree.

    Raises:
        DefinitionError: two commands that may run at the same time use the same file.
    """
    given = {**others, **nodes}
    top = _Place()
    users = [
        (node, pattern, writes)
        for node in given.values()
        if node.type is NodeType.EXEC and node.cache is not None and node.cache.has_files
        for writes, patterns in ((False, node.cache.reads), (True, node.cache.writes))
        for pattern in patterns
    ]
    for user in users:
        place = top
        for part in fixed_parts(user[1]):
            place = place.below.setdefault(part, _Place())
        place.users.append(user)
    conflicts = (
        (node, pattern, other)
        for node, pattern, writes in users
        if writes and node.path in nodes
        for other in _near(top, pattern)
        if other[0] is not node and overlap(pattern, other[1])
        if not is_ordered(node.path, other[0].path, given)
    )
    seen: set[str] = set()
    found = []
    for node, pattern, (other, theirs, writes) in conflicts:
        if node.path not in seen and other.path not in seen:
            seen.add(node.path)
            does = "writes" if writes else "reads"
            reason = (
                f"writes {pattern} while {other.path}, which may run at the same time, {does} "
                f"{theirs}; put them into a Serial, or name other files"
            )
            found.append(invalid(node.path, reason))
    raise_found(found)


def _near(top: _Place, pattern: str) -> Iterator[tuple[NodeSpec, str, bool]]:
    """Yield the users of the directories above and below that of a pattern."""
    place = top
    for part in fixed_parts(pattern):
        yield from place.users
        place = place.below[part]
    yield from place.everything()


def is_ordered(one: str, other: str, nodes: Mapping[str, NodeSpec]) -> bool:
    """Return whether two nodes never run at the same time, because one is before the other."""
    above = parent_of(one) or "/"
    while above != "/" and not other.startswith(above + "/"):
        above = parent_of(above) or "/"
    return nodes[above].type is NodeType.SERIAL


# ---- the stored form ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FileUse:
    """The files of one attempt.

    Attributes:
        read: Marks of those that it saw.
        wrote: Marks of those that it wrote.
    """

    read: Mapping[str, str] = field(default_factory=dict)
    wrote: Mapping[str, str] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """Return the stored form."""
        return json.dumps({"read": dict(self.read), "wrote": dict(self.wrote)}).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> "FileUse":
        """Return the files of a stored form; none if it is empty.

        Raises:
            ValueError: it is damaged.
        """
        if not data:
            return cls()
        given = json.loads(data)
        try:
            return cls(dict(given["read"]), dict(given["wrote"]))
        except (KeyError, TypeError) as error:
            raise ValueError(f"damaged list of files: {error!r}") from error

    def contents(self) -> set[str]:
        """Return the SHA-256 of the written files."""
        return {mark[1:] for mark in self.wrote.values() if mark[0] in "-x"}


def is_inner(name: str, target: str) -> bool:
    """Return whether a link of the data leads to another entry of the data."""
    end = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
    return not target.startswith("/") and end != ".." and not end.startswith("../")


def files_not_stored(
    cache: Caching, wrote: Mapping[str, str], problem: str | None, *, changed: bool
) -> str | None:
    """Return why a successful attempt with these files is not stored, or None.

    Args:
        cache: Its cache.
        wrote: Marks of the files that it wrote, and of the directories that ``writes`` names.
        problem: An entry that cannot be stored.
        changed: The files that it saw changed while it ran.
    """
    if problem is not None:
        return problem
    if changed:
        return "its files changed while it ran"
    stray = next((name for name in sorted(wrote) if not names_file(cache.writes, name)), None)
    if stray is not None:
        return f"it wrote {stray}, which writes= does not name"
    if len(wrote) > MAX_ENTRIES:
        return f"it wrote more than {MAX_ENTRIES:,} files"
    missing = next((each for each in cache.writes if not _is_written(each, wrote)), None)
    return None if missing is None else f"it did not write {missing}"


def _is_written(pattern: str, wrote: Iterable[str]) -> bool:
    return not _WILD.isdisjoint(pattern) or any(_matches(pattern, name) for name in wrote)
