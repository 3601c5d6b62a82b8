"""Named limits across pipelines: `Limit`, and the checks of its wire form.

Standard library only, Python 3.8 and later.
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, Mapping

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}\Z")
MAX_NUMBER = 10_000
MAX_PRIORITY = 100
#: Maximum number of limits that a command counts in, with those of the nodes above it.
MAX_LIMITS = 10


class Limit:
    """A named limit: at most ``number`` commands with it run at once, over all pipelines.

    Attributes:
        name: Its name, the same for all pipelines of the organisation or machine.
        number: Maximum number of commands that run at once.
        priority: A command with a higher priority waits shorter: each point counts as a minute of
            waiting.
    """

    __slots__ = ("name", "number", "priority")

    def __init__(self, name: str, number: int, priority: int = 0) -> None:
        """Create a limit.

        Raises:
            ValueError: a value is invalid.
        """
        self.name = _check_name(name)
        self.number = _check_whole("number", number, 1, MAX_NUMBER)
        self.priority = _check_whole("priority", priority, -MAX_PRIORITY, MAX_PRIORITY)

    def __repr__(self) -> str:
        more = f", priority={self.priority}" if self.priority else ""
        return f"Limit({self.name!r}, {self.number}{more})"

    def to_wire(self) -> Dict[str, Any]:
        """Return the wire form."""
        return {"name": self.name, "number": self.number, "priority": self.priority}


def to_limits(value: Any) -> List[Limit]:
    """Return a limit, a list of limits or their wire form as a list; None is an empty list.

    Raises:
        ValueError: it is anything else, or names a limit twice.
    """
    given = [] if value is None else [value] if isinstance(value, (Limit, Mapping)) else value
    if not isinstance(given, (list, tuple)):
        raise ValueError(  # noqa: TRY004  the caller adds the node's path to a ValueError
            f"limits must be a co.Limit or a list of them, got {value!r}"
        )
    found = [_to_limit(each) for each in given]
    names = [limit.name for limit in found]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"limits names {name!r} twice; give it once")
    return found


def _to_limit(value: Any) -> Limit:
    if isinstance(value, Limit):
        return value
    if not isinstance(value, Mapping) or not {"name", "number"} <= set(value):
        raise ValueError(f"limits must be a co.Limit or a list of them, got {value!r}")
    return Limit(value["name"], value["number"], value.get("priority", 0))


def _check_name(name: Any) -> str:
    if not isinstance(name, str) or not _NAME.match(name):
        raise ValueError(
            f"the name of a limit has letters, digits and . _ - (at most 63), got {name!r}"
        )
    return name


def _check_whole(what: str, value: Any, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError(
            f"the {what} of a limit must be a whole number from {least} to {most:,}, got {value!r}"
        )
    return value
