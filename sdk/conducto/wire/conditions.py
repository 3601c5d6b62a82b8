"""The conditions of ``run_if``: comparisons of results, in their wire form. Pure.

A condition is a list. ``["==", PATH, KEYS, VALUE]`` compares a part of the result of the node at
PATH, with ``==``, ``!=``, ``<``, ``<=``, ``>``, ``>=`` or ``in`` (a list of values);
``["true", PATH, KEYS]`` holds if the part is neither null, false, zero nor empty; ``["and", …]``,
``["or", …]`` and ``["not", CONDITION]`` combine conditions. A part that does not exist is null.

Standard library only, Python 3.8 and later.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Iterator, List, NamedTuple, Tuple, Union

from conducto.wire.result_order import PAYLOAD

if TYPE_CHECKING:
    from typing import Callable, Dict, Iterable

    #: Returns the part of the result of a node, by its path and keys.
    Lookup = Callable[["Part"], Any]

MAX_TERMS = 100
MAX_LEVELS = 20
MAX_KEYS = 10
#: Maximum characters of a text in a condition, and of a key.
MAX_TEXT = 1_000
_MAX_SHOWN = 100  # characters of a value in a reason
COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
_ORDER = {
    "<": lambda one, other: one < other,
    "<=": lambda one, other: one <= other,
    ">": lambda one, other: one > other,
    ">=": lambda one, other: one >= other,
}


class Part(NamedTuple):
    """A part of the result of a node: its path, and the keys that lead to the part."""

    path: str
    keys: Tuple[Union[str, int], ...] = ()

    def __str__(self) -> str:
        name = "payload()" if self.path == PAYLOAD else f"result({self.path})"
        return name + "".join(f"[{json.dumps(key)}]" for key in self.keys)


class Term(NamedTuple):
    """A comparison with a value, or ``true``."""

    name: str
    part: Part
    value: Any = None


class Junction(NamedTuple):
    """Conditions that are combined by ``and``, ``or`` or ``not``."""

    name: str
    parts: Tuple[Any, ...]


Condition = Union[Term, Junction]


def to_condition(written: Any) -> Condition:
    """Return a condition from its wire form.

    Raises:
        ValueError: it is invalid.
    """
    left = [MAX_TERMS]
    return _read(written, MAX_LEVELS, left)


def _read(written: Any, levels: int, left: List[int]) -> Condition:
    if not isinstance(written, (list, tuple)) or not written or not isinstance(written[0], str):
        raise ValueError(f"run_if must be a condition on results, got {written!r}")
    name, rest = written[0], written[1:]
    if name in ("and", "or", "not"):
        if not rest or (name == "not" and len(rest) > 1):
            raise ValueError(f"run_if: {name!r} has {len(rest)} conditions")
        if levels == 0:
            raise ValueError(f"run_if has more than {MAX_LEVELS} levels; make it simpler")
        return Junction(name, tuple(_read(each, levels - 1, left) for each in rest))
    left[0] -= 1
    if left[0] < 0:
        raise ValueError(f"run_if has more than {MAX_TERMS} comparisons; make it simpler")
    return _term(name, rest)


def _term(name: str, rest: Any) -> Term:
    if name not in (*COMPARISONS, "in", "true") or len(rest) != (2 if name == "true" else 3):
        raise ValueError(f"run_if has the unknown comparison {[name, *rest]!r}")
    path, keys = rest[:2]
    if not isinstance(path, str) or not path.startswith("/"):
        raise ValueError(f"run_if names {path!r}, which is not the path of a node")
    if not isinstance(keys, (list, tuple)) or len(keys) > MAX_KEYS or not all(map(_is_key, keys)):
        raise ValueError(
            f"run_if: the keys {keys!r} must be at most {MAX_KEYS} texts or whole numbers from 0"
        )
    part = Part(path, tuple(keys))
    if name == "true":
        return Term(name, part)
    value = rest[2]
    values = value if name == "in" else [value]
    if not isinstance(values, (list, tuple)) or not values or len(values) > MAX_TERMS:
        raise ValueError(f"run_if: 'in' needs a list of 1 to {MAX_TERMS} values, got {value!r}")
    for each in values:
        _check_value(name, each)
    return Term(name, part, tuple(values) if name == "in" else value)


def _is_key(key: Any) -> bool:
    if isinstance(key, bool):
        return False
    return (isinstance(key, str) and len(key) <= MAX_TEXT) or (isinstance(key, int) and key >= 0)


def _check_value(name: str, value: Any) -> None:
    is_text, is_number = isinstance(value, str), _is_number(value)
    if is_text and len(value) > MAX_TEXT:
        raise ValueError(f"run_if compares with a text of over {MAX_TEXT:,} characters")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"run_if compares with {value!r}, which no result can be")
    if name in _ORDER and not (is_text or is_number):
        raise ValueError(f"run_if: {name!r} compares numbers or texts, got {value!r}")
    if not (is_text or is_number or value is None or isinstance(value, bool)):
        raise ValueError(
            f"run_if compares with {value!r}; possible are texts, numbers, True, False and None"
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def terms_of(condition: Condition) -> Iterator[Term]:
    """Yield the comparisons of a condition, in their order."""
    if isinstance(condition, Term):
        yield condition
    else:
        for each in condition.parts:
            yield from terms_of(each)


def sources_of(condition: Condition) -> Tuple[str, ...]:
    """Return the paths of the nodes whose results a condition compares."""
    return tuple(dict.fromkeys(term.part.path for term in terms_of(condition)))


def moved(condition: Condition, move: Callable[[str], str]) -> Condition:
    """Return a condition with other paths."""
    if isinstance(condition, Term):
        path = condition.part.path
        return condition._replace(part=condition.part._replace(path=move(path)))
    return condition._replace(parts=tuple(moved(each, move) for each in condition.parts))


def holds(condition: Condition, lookup: Lookup) -> bool:
    """Return whether a condition holds."""
    if isinstance(condition, Junction):
        found = (holds(each, lookup) for each in condition.parts)
        if condition.name == "not":
            return not next(found)
        return all(found) if condition.name == "and" else any(found)
    value = lookup(condition.part)
    if condition.name == "true":
        return bool(value)
    if condition.name == "in":
        return any(_equal(value, each) for each in condition.value)
    if condition.name in ("==", "!="):
        return _equal(value, condition.value) == (condition.name == "==")
    same = [all(map(kind, (value, condition.value))) for kind in (_is_number, _is_text)]
    return any(same) and bool(_ORDER[condition.name](value, condition.value))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _equal(one: Any, other: Any) -> bool:
    """Compare as JSON does: true is not 1, and 1 is 1.0."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def text_of(condition: Condition) -> str:
    """Return a condition for display: ``result(/check)["country"] == "FR"``."""
    if isinstance(condition, Junction):
        inner = [
            f"({text_of(each)})" if isinstance(each, Junction) else text_of(each)
            for each in condition.parts
        ]
        return f"not {inner[0]}" if condition.name == "not" else f" {condition.name} ".join(inner)
    if condition.name == "true":
        return str(condition.part)
    return f"{condition.part} {condition.name} {shown(condition.value)}"


def why_false(condition: Condition, lookup: Lookup) -> str:
    """Return why a condition does not hold: ``run_if is false: result(/check) is "same"``."""
    parts = dict.fromkeys(term.part for term in terms_of(condition))
    values = ", ".join(f"{part} is {_shown(lookup(part))}" for part in parts)
    return f"run_if is false: {values}"


def _shown(value: Any) -> str:
    if isinstance(value, list):  # as `compared` keeps them
        return "a list or object" if value else "empty"
    text = shown(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"


def shown(value: Any) -> str:
    """Return a value as JSON."""
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)


def member(value: Any, keys: Iterable[Union[str, int]]) -> Any:
    """Return the part of a value to which keys lead, or None."""
    for key in keys:
        is_there = (
            key < len(value)
            if isinstance(value, list) and isinstance(key, int)
            else isinstance(value, dict) and key in value
        )
        if not is_there:
            return None
        value = value[key]
    return value


def compared(result: Any, parts: Iterable[Part]) -> Dict[str, Any]:
    """Return ``{keys, as JSON: value}`` of the parts of a result, small enough for a record.

    A longer text than any in a condition is cut, and a list or object is only empty or not.
    """
    return {json.dumps(part.keys): _small(member(result, part.keys)) for part in parts}


def _small(value: Any) -> Any:
    if isinstance(value, (list, dict)):
        return [0][: len(value)]
    return value[: MAX_TEXT + 1] if isinstance(value, str) else value
