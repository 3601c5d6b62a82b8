"""The functions of a script that can be called from the command line."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Mapping

    Method = Callable[..., Any]


def discover(variables: Mapping[str, Any]) -> Dict[str, Method]:
    """Return the methods among a script's names: callable, no class, no leading underscore.

    If there is ``__all__``, only the names in it count. ``List`` and other names of `typing` are
    left out.
    """
    listed = variables.get("__all__")
    return {
        name: value
        for name, value in variables.items()
        if not name.startswith("_")
        and (listed is None or name in listed)
        and callable(value)
        and not isinstance(value, type)
        and type(value).__module__ != "typing"
    }
