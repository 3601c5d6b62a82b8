"""Event patterns of EventBridge: one parser and one matcher, for checks and for the emulator.

Supported are exact values, ``prefix``, ``suffix``, ``wildcard``, ``equals-ignore-case``,
``exists``, ``numeric``, ``anything-but`` (of values, or of a prefix or suffix) and ``$or``.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from conducto_core.events.model import MAX_PATTERN

_COMPARISONS: Final = {
    "<": lambda value, bound: value < bound,
    "<=": lambda value, bound: value <= bound,
    "=": lambda value, bound: value == bound,
    ">=": lambda value, bound: value >= bound,
    ">": lambda value, bound: value > bound,
}
_TEXTS: Final = ("prefix", "suffix", "wildcard", "equals-ignore-case")
_OR: Final = "$or"
_DEPTH: Final = 20


class PatternError(ValueError):
    """An event pattern is invalid; the message has the place."""


def parse_pattern(text: str) -> dict[str, Any]:
    """Return a checked pattern.

    Raises:
        PatternError: It is invalid.
    """
    if len(text) > MAX_PATTERN:
        raise PatternError(f"it has {len(text):,} characters, the maximum is {MAX_PATTERN:,}")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PatternError(f"it is not JSON: {error}") from error
    if not isinstance(found, dict) or not found:
        raise PatternError("it must be a JSON object with at least one field")
    _check(found, "$", 0)
    return found


def _check(pattern: Mapping[str, Any], place: str, depth: int) -> None:
    if depth > _DEPTH:
        raise PatternError(f"{place}: objects are nested too deeply")
    for name, wanted in pattern.items():
        inner = f"{place}.{name}"
        if name == _OR:
            if not isinstance(wanted, list) or not all(isinstance(each, dict) for each in wanted):
                raise PatternError(f"{inner} must be a list of objects")
            for each in wanted:
                _check(each, inner, depth + 1)
        elif isinstance(wanted, dict):
            if not wanted:
                raise PatternError(f"{inner} is an empty object")
            _check(wanted, inner, depth + 1)
        elif not isinstance(wanted, list) or not wanted:
            raise PatternError(f"{inner} must be a list of values or an object, got {wanted!r}")
        else:
            for each in wanted:
                _check_value(each, inner)


def _check_value(wanted: Any, place: str) -> None:
    if not isinstance(wanted, dict | list):
        return
    if isinstance(wanted, list) or len(wanted) != 1:
        raise PatternError(f"{place}: expected a value or an object with one filter: {wanted!r}")
    ((kind, value),) = wanted.items()
    if kind in _TEXTS:
        valid = isinstance(value, str) and bool(value) and "**" not in value
    elif kind == "exists":
        valid = isinstance(value, bool)
    elif kind == "numeric":
        valid = _is_numeric(value)
    elif kind == "anything-but":
        inner = next(iter(value), None) if isinstance(value, dict) and len(value) == 1 else None
        valid = bool(value) and (not isinstance(value, dict) or inner in _TEXTS)
    else:
        raise PatternError(f"{place}: unknown filter {kind!r}")
    if not valid:
        raise PatternError(f"{place}: invalid value of {kind!r}: {value!r}")


def _is_numeric(value: Any) -> bool:
    if not isinstance(value, list) or len(value) not in (2, 4):
        return False
    signs, bounds = value[::2], value[1::2]
    numbers = all(isinstance(one, int | float) and not isinstance(one, bool) for one in bounds)
    return numbers and all(isinstance(one, str) and one in _COMPARISONS for one in signs)


def matches(pattern: Mapping[str, Any], event: Mapping[str, Any]) -> bool:
    """Return whether an event matches a checked pattern."""
    return all(
        any(matches(each, event) for each in wanted)
        if name == _OR
        else _field_matches(wanted, event.get(name), present=name in event)
        for name, wanted in pattern.items()
    )


def _field_matches(wanted: Any, value: Any, *, present: bool) -> bool:
    if isinstance(wanted, Mapping):
        return matches(wanted, value if isinstance(value, Mapping) else {})
    values = value if isinstance(value, list) else [value]
    return any(_value_matches(each, one, present=present) for each in wanted for one in values)


def _value_matches(wanted: Any, value: Any, *, present: bool) -> bool:
    if not isinstance(wanted, Mapping):
        return present and wanted == value and isinstance(wanted, bool) == isinstance(value, bool)
    ((kind, bound),) = wanted.items()
    match kind:
        case "exists":
            return present == bound and not isinstance(value, Mapping)
        case "anything-but":
            return present and not _is_one_of(bound, value)
        case "numeric":
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            pairs = zip(bound[::2], bound[1::2], strict=True)
            return is_number and all(_COMPARISONS[sign](value, number) for sign, number in pairs)
        case _:
            return isinstance(value, str) and _text_matches(kind, bound, value)


def _is_one_of(bound: Any, value: Any) -> bool:
    if isinstance(bound, Mapping):
        return any(isinstance(value, str) and _text_matches(*one, value) for one in bound.items())
    return value in (
        bound if isinstance(bound, Sequence) and not isinstance(bound, str) else [bound]
    )


def _text_matches(kind: str, wanted: str, value: str) -> bool:
    match kind:
        case "prefix":
            return value.startswith(wanted)
        case "suffix":
            return value.endswith(wanted)
        case "equals-ignore-case":
            return value.casefold() == wanted.casefold()
        case _:
            return _wildcard_matches(wanted, value)


def _wildcard_matches(wanted: str, value: str) -> bool:
    words = [""]
    for part in re.findall(r"\\[*\\]|\*|[^*\\]+|\\", wanted):
        if part == "*":
            words.append("")
        else:
            words[-1] += _plain(part)
    return matches_words(words, value)


def matches_words(words: Sequence[str], value: str) -> bool:
    """Return whether a text consists of the words, with any characters between two of them.

    In linear time, unlike a regular expression.
    """
    if len(words) == 1:
        return value == words[0]
    head, *inner, tail = words
    at, end = len(head), len(value) - len(tail)
    if at > end or not value.startswith(head) or not value.endswith(tail):
        return False
    for word in inner:
        found = value.find(word, at, end)
        if found < 0:
            return False
        at = found + len(word)
    return True


def _plain(part: str) -> str:
    return part[1:] if len(part) == 2 and part[0] == "\\" else part  # noqa: PLR2004
