"""Conditions on results, for the parameter ``run_if``.

``node.result == "changed"`` is a condition; ``&``, ``|`` and ``~`` combine them.
"""

# ruff: noqa: PLC0415
# imports wait until they are needed; the modules of the tree share its nodes' slots.

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, List, Tuple


class Condition:
    """A condition on the results of earlier nodes, known when the node with ``run_if`` starts."""

    __slots__ = ("_name", "_parts")

    def __init__(self, name: str, parts: Tuple[Any, ...]) -> None:
        self._name = name
        self._parts = parts

    def __and__(self, other: Any) -> Condition:
        return Condition("and", (self, to_condition(other)))

    def __or__(self, other: Any) -> Condition:
        return Condition("or", (self, to_condition(other)))

    def __invert__(self) -> Condition:
        return Condition("not", (self,))

    def __bool__(self) -> bool:
        raise TypeError(
            "a condition is not known while the tree is built: pass it as run_if=, and combine "
            "conditions with &, | and ~, in parentheses"
        )

    def to_wire(self) -> List[Any]:
        """Return the wire form; the paths are complete once the tree is."""
        if self._name in ("and", "or", "not"):
            return [self._name, *(part.to_wire() for part in self._parts)]
        source, keys, *value = self._parts
        return [self._name, str(source), list(keys), *value]

    def sources(self) -> List[Any]:
        """Return the nodes, or their paths, whose results are compared."""
        if self._name in ("and", "or", "not"):
            return [each for part in self._parts for each in part.sources()]
        return [self._parts[0]]

    def __repr__(self) -> str:
        from conducto.wire import conditions

        return f"<condition {conditions.text_of(conditions.to_condition(self.to_wire()))}>"


class Comparable:
    """The comparisons of a part of a result."""

    __slots__ = ()

    source: Any

    def _keys(self) -> Tuple[Any, ...]:
        return ()

    def _compare(self, name: str, *value: Any) -> Condition:
        return Condition(name, (self.source, self._keys(), *value))

    def __eq__(self, other: object) -> Any:
        return self._compare("==", other)

    def __ne__(self, other: object) -> Any:
        return self._compare("!=", other)

    def __lt__(self, other: Any) -> Condition:
        return self._compare("<", other)

    def __le__(self, other: Any) -> Condition:
        return self._compare("<=", other)

    def __gt__(self, other: Any) -> Condition:
        return self._compare(">", other)

    def __ge__(self, other: Any) -> Condition:
        return self._compare(">=", other)

    def __and__(self, other: Any) -> Condition:
        return Condition("and", (to_condition(self), to_condition(other)))

    def __or__(self, other: Any) -> Condition:
        return Condition("or", (to_condition(self), to_condition(other)))

    def __invert__(self) -> Condition:
        return ~to_condition(self)

    __hash__ = object.__hash__

    def is_in(self, values: Any) -> Condition:
        """Return the condition that the value is one of ``values``."""
        return self._compare("in", list(values))

    def __getitem__(self, key: Any) -> ResultPart:
        return ResultPart(self.source, (*self._keys(), key))

    __iter__ = None  # otherwise Python would try [0], [1], ...


class ResultPart(Comparable):
    """A part of the result of a node, such as ``node.result["country"]``; only for conditions."""

    __slots__ = ("keys", "source")

    def __init__(self, source: Any, keys: Tuple[Any, ...]) -> None:
        self.source = source
        self.keys = keys

    def _keys(self) -> Tuple[Any, ...]:
        return self.keys

    def __repr__(self) -> str:
        return f"<part {list(self.keys)!r} of the result of {self.source}>"

    def __bool__(self) -> bool:
        raise TypeError(f"{self!r} is not known while the tree is built; use it in run_if=")


def to_condition(value: Any) -> Condition:
    """Return a condition; a result or a part of one holds if it is neither empty, null nor zero.

    Raises:
        TypeError: it is not a condition.
        ValueError: it is invalid.
    """
    if isinstance(value, Comparable):
        value = value._compare("true")  # noqa: SLF001 (of this module)
    if isinstance(value, (list, tuple)):
        value = _from_wire(value)
    if not isinstance(value, Condition):
        raise TypeError(
            f"run_if must be a condition such as node.result == 'changed', got {value!r}"
        )
    return value


def _from_wire(written: Any) -> Condition:
    from conducto.wire import conditions

    conditions.to_condition(written)  # which checks it
    name, *rest = written
    if name in ("and", "or", "not"):
        return Condition(name, tuple(map(_from_wire, rest)))
    return Condition(name, tuple(rest))
