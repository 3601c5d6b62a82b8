"""The node parameters ``junit`` and ``coverage``: patterns of files that a command writes.

Standard library only, Python 3.8 and later.
"""

from __future__ import annotations

from typing import Any, List, Mapping

#: Environment variable of a node that has the parameter: its patterns, one on a line.
VARIABLE = "CONDUCTO_JUNIT"
#: That of a node with ``coverage``.
COVERAGE = "CONDUCTO_COVERAGE"
MAX_PATTERNS = 20
_MAX_LENGTH = 300


def check_patterns(value: Any, name: str = "junit") -> List[str]:
    """Return patterns as a list; a text is one pattern, and an empty list means none.

    Raises:
        TypeError: It is neither a text nor a list of texts.
        ValueError: A pattern is invalid.
    """
    patterns = [value] if isinstance(value, str) else value
    if not isinstance(patterns, (list, tuple)) or not all(isinstance(p, str) for p in patterns):
        raise TypeError(
            f"{name} must be a pattern such as 'reports/*.xml' or a list, got {value!r}"
        )
    if len(patterns) > MAX_PATTERNS:
        raise ValueError(f"{name} has at most {MAX_PATTERNS} patterns, got {len(patterns)}")
    for pattern in patterns:
        if not pattern.strip() or len(pattern) > _MAX_LENGTH or not pattern.isprintable():
            raise ValueError(
                f"{name}: a pattern has 1 to {_MAX_LENGTH} printable characters, got {pattern!r}"
            )
        if "**" in pattern:
            raise ValueError(
                f"{name}: ** is not supported, got {pattern!r}; name each level, as in 'a/*/*.xml'"
            )
    return list(patterns)


def patterns_in(env: Mapping[str, str], variable: str = VARIABLE) -> List[str]:
    """Return the patterns in the environment of a command."""
    return [line for line in env.get(variable, "").split("\n") if line]
