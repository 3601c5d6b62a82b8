"""The rules of ``.dockerignore``.

Source of the rules: Docker's reference of the file. Patterns are relative to the context's root; a
pattern that matches a directory covers everything below it; ``!`` makes an exception; the last
pattern that matches decides.
"""

import posixpath
import re
from dataclasses import dataclass
from typing import Self

_WILDCARD = re.compile(r"[*?\[\\]")


@dataclass(frozen=True, slots=True)
class _Pattern:
    regex: re.Pattern[str]
    takes_back: bool
    literal: str
    """The pattern up to its first wildcard."""


@dataclass(frozen=True, slots=True)
class Ignore:
    """The files that a context leaves out."""

    patterns: tuple[_Pattern, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the rules of a file's text.

        Raises:
            ValueError: a pattern is invalid; the message names it.
        """
        lines = (line.strip() for line in text.removeprefix("\ufeff").splitlines())
        wanted = [line for line in lines if line and not line.startswith("#")]
        return cls(tuple(pattern for pattern in map(_pattern, wanted) if pattern is not None))

    def with_lines(self, *lines: str) -> "Ignore":
        """Return the rules with more lines appended."""
        return Ignore((*self.patterns, *Ignore.parse("\n".join(lines)).patterns))

    def excludes(self, path: str) -> bool:
        """Return whether a path (relative, ``/`` between names) is left out."""
        excluded = False
        for pattern in self.patterns:
            # Only a pattern that would change the result is worth matching.
            if pattern.takes_back == excluded and pattern.regex.match(path):
                excluded = not pattern.takes_back
        return excluded

    def prunes(self, directory: str) -> bool:
        """Return whether no exception can apply below an excluded directory."""
        below = directory + "/"
        return not any(
            pattern.literal.startswith(below) or below.startswith(pattern.literal)
            for pattern in self.patterns
            if pattern.takes_back
        )


def _pattern(line: str) -> _Pattern | None:
    takes_back = line.startswith("!")
    body = line[1:].strip() if takes_back else line
    clean = posixpath.normpath("/" + body).lstrip("/")
    if not clean:
        return None
    try:
        regex = re.compile(f"(?:{_translate(clean)})(?:/.*)?\\Z", re.DOTALL)
    except re.error as error:
        raise ValueError(f"cannot read the pattern {line!r}: {error}") from error
    wildcard = _WILDCARD.search(clean)
    literal = clean if wildcard is None else clean[: wildcard.start()]
    return _Pattern(regex, takes_back, literal)


def _translate(pattern: str) -> str:
    result = []
    position = 0
    while position < len(pattern):
        rest = pattern[position:]
        if rest.startswith("**/"):
            part, length = "(?:.*/)?", 3
        elif rest.startswith("**"):
            part, length = ".*", 2
        elif rest[0] == "*":
            part, length = "[^/]*", 1
        elif rest[0] == "?":
            part, length = "[^/]", 1
        elif rest[0] == "[" and "]" in rest[2:]:
            length = rest.index("]", 2) + 1
            part = rest[:length].replace("\\", "\\\\")
        elif rest[0] == "[" or rest == "\\":  # Docker refuses them, too
            raise re.error(f"nothing closes {rest!r}" if rest[0] == "[" else "'\\' ends it")
        elif rest[0] == "\\":
            part, length = re.escape(rest[1]), 2
        else:
            part, length = re.escape(rest[0]), 1
        result.append(part)
        position += length
    return "".join(result)
