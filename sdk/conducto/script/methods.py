"""The functions of a script that can be called from the command line."""

# ruff: noqa: PLC0415
# imports wait until they are needed.

from __future__ import annotations

from conducto.errors import DefinitionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Mapping

    Method = Callable[..., Any]


def discover(variables: Mapping[str, Any]) -> Dict[str, Method]:
    """Return the methods among a script's names: callable, no class, no leading underscore.

    If there is ``__all__``, only the names in it count. ``List`` and other names of `typing` are
    left out.
    """
    if callable(variables):
        raise DefinitionError(
            "co.main: the first parameter is a dict of names and objects; the function that is "
            "called without its name is `default=`"
        )
    listed = variables.get("__all__")
    return {
        name: value
        for name, value in variables.items()
        if not name.startswith("_")
        and (listed is None or name in listed)
        and callable(value)
        and not isinstance(value, type)
        and "typing" not in (type(value).__module__, getattr(value, "__module__", None))
    }


def listed(methods: Mapping[str, Method], variables: Mapping[str, Any]) -> Dict[str, Method]:
    """Return the methods that help names: not functions that the script imports for its own use.

    They can be called. A function that returns a pipeline, or is in ``__all__``, is named.
    """
    from conducto.inspection.signatures import node_type_of

    home = variables.get("__name__")
    if home is None or "__all__" in variables:
        return dict(methods)
    return {
        name: method
        for name, method in methods.items()
        if not _is_imported(method, home) or node_type_of(method) is not None
    }


def _is_imported(method: Method, home: str) -> bool:
    """Return whether another module defines it; a decorator's result is not imported."""
    name = getattr(method, "__qualname__", None)  # neither partials nor other objects have one
    if name is None or "<locals>" in name:
        return False
    return getattr(method, "__module__", None) not in (None, home)
