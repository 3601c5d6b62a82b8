"""Reference paths, payload templates and the one intrinsic function that the compiler uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_CONTAINS_E = "States.ArrayContains($[*].e, true)"


class PathError(Exception):
    """A path does not exist in the data."""


def look_up(data: Any, path: str) -> Any:
    """Return the value at ``path`` (``$.a.b``)."""
    for name in path.split(".")[1:]:
        if not isinstance(data, dict) or name not in data:
            raise PathError(path)
        data = data[name]
    return data


def put(data: Any, path: str | None, value: Any) -> Any:
    """Return ``data`` with ``value`` at ``path``; None discards the value."""
    if path is None:
        return data
    return _put(data, path.split(".")[1:], value)


def _put(data: Any, names: list[str], value: Any) -> Any:
    if not names:
        return value
    below = data if isinstance(data, dict) else {}
    return {**below, names[0]: _put(below.get(names[0], {}), names[1:], value)}


def evaluate(template: Any, data: Any, context: Mapping[str, Any]) -> Any:
    """Return a payload template with its paths replaced."""
    if isinstance(template, list):
        return [evaluate(item, data, context) for item in template]
    if not isinstance(template, dict):
        return template
    filled = {}
    for key, value in template.items():
        if key.endswith(".$"):
            filled[key[:-2]] = _value(value, data, context)
        else:
            filled[key] = evaluate(value, data, context)
    return filled


def _value(path: str, data: Any, context: Mapping[str, Any]) -> Any:
    if path == _CONTAINS_E:
        # AWS skips an item without the field; the compiler's branches all have it.
        return any(look_up(item, "$.e") is True for item in data)
    if path.startswith("$$"):
        return look_up(context, path[1:])
    assert path.startswith("$"), path
    return look_up(data, path)
