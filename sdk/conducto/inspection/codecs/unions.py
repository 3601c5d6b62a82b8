"""Codecs of Optional and Union."""

# ruff: noqa: D102
# The base class documents the methods.

from __future__ import annotations

from conducto.inspection.codecs.arrays import Data
from conducto.inspection.codecs.base import Codec, CodecError, dumps, loads, mismatch, shown
from conducto.inspection.codecs.scalars import Bool, Choice, Float, Int, Null, Scalar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, List, Optional, Sequence, Tuple

_NONE = "None"
_TEXTS = (bytes, str)
#: Members with these classes read a word in this order, between a Literal and others; text is last.
_ORDER = ("NoneType", "int", "float", "bool", "date", "datetime", "time", "timedelta")


class Maybe(Codec):
    """``Optional[T]``: ``None``, or a word of T.

    If a value of T has the text ``None``, it is written in quotes.
    """

    def __init__(self, inner: Codec) -> None:
        self.inner = inner
        self.base = inner.base
        self.help = inner.help
        self.expected = f"{inner.expected} or None"
        self.is_flag = inner.is_flag
        self.is_simple = inner.is_simple

    def details(self) -> str:
        return self.inner.details()

    def is_word(self, value: Any) -> bool:
        return value is None or self.inner.is_word(value)

    def encode(self, value: Any) -> str:
        if value is None:
            return _NONE
        text = self.inner.encode(value)
        return f'"{text}"' if text.strip('"') == _NONE else text

    def decode(self, text: str) -> Any:
        if text == _NONE:
            return None
        quoted = text.startswith('"') and text.endswith('"') and text.strip('"') == _NONE
        return self.inner.decode(text[1:-1] if quoted else text)

    def to_json(self, value: Any) -> Any:
        if value is None:
            return None
        data = self.inner.to_json(value)
        if data is None:
            raise CodecError(f"{shown(value)} would be read as None")
        return data

    def from_json(self, data: Any) -> Any:
        return None if data is None else self.inner.from_json(data)


class Union(Codec):
    """``Union[A, B]``: a word is read by the first member that it fits, text last.

    Quotes mark a text that another member would read: in ``Union[int, str]``, the text ``3`` is
    ``"3"``; likewise in JSON, where ``Union[date, str]`` needs it.
    """

    def __init__(self, members: Sequence[Codec]) -> None:
        self._members = sorted(members, key=_rank)
        #: The member whose words may be in quotes: text, or the last one that is text in JSON.
        self._text = next(filter(_is_text, reversed(self._members)), None)
        self.help = " or ".join(member.help for member in members)
        self.is_simple = all(member.is_simple for member in members)
        self.expected = " or ".join(member.expected for member in members)

    def _owner(self, value: Any) -> Codec:
        """Return the member that writes ``value``, by preference one of exactly its class."""
        exact = [m for m in self._members if type(m) is Choice or m.base is type(value)]
        ordered = [*exact, *(member for member in self._members if member not in exact)]
        problems: List[str] = []
        for member in ordered:
            try:
                member.to_json(value)
            except CodecError as error:
                problems.append(str(error))
                continue
            return member
        raise _closest(problems, self.expected, value)

    def is_word(self, value: Any) -> bool:
        try:
            owner = self._owner(value)
        except CodecError:
            return True  # encode has the reason
        return owner.is_word(value) and self._reader("decode", owner.encode(value))[0] is owner

    def encode(self, value: Any) -> str:
        owner = self._owner(value)
        text = owner.encode(value)
        if not self._is_marked(text) and self._reader("decode", text)[0] is owner:
            return text
        data = owner.to_json(value)
        text = dumps(data)
        marked = owner is self._text or not isinstance(data, str)
        if marked and self._read(text)[0] is owner:
            return text
        raise self._ambiguous(value)

    def decode(self, text: str) -> Any:
        return self._read(text)[1]

    def to_json(self, value: Any) -> Any:
        owner = self._owner(value)
        data = owner.to_json(value)
        if not self._is_marked(data) and self._reader("from_json", data)[0] is owner:
            return data
        if owner is not self._text:
            raise self._ambiguous(value)
        return dumps(data)

    def from_json(self, data: Any) -> Any:
        if self._text is not None and self._is_marked(data):
            return self._text.from_json(loads(data, "text"))
        return self._reader("from_json", data)[1]

    def _read(self, text: str) -> Tuple[Codec, Any]:
        """Return the member that reads a word, and the value."""
        if self._text is not None and self._is_marked(text):
            return self._text, self._text.from_json(loads(text, "text"))
        return self._reader("decode", text)

    def _is_marked(self, text: Any) -> bool:
        """Return whether a word is a text in quotes, for one member only."""
        if self._text is None or not isinstance(text, str) or not text.startswith('"'):
            return False
        try:
            return isinstance(loads(text, "text"), str)
        except CodecError:
            return False

    def _reader(self, method: str, data: Any) -> Tuple[Codec, Any]:
        problems: List[str] = []
        for member in self._members:
            try:
                read: Callable[[Any], Any] = getattr(member, method)
                return member, read(data)
            except CodecError as error:
                problems.append(str(error))
        raise _closest(problems, self.expected, data)

    def _ambiguous(self, value: Any) -> CodecError:
        return CodecError(f"{shown(value)} cannot be told apart from other members of {self.help}")


def _is_text(member: Codec) -> bool:
    return isinstance(member, (Scalar, Choice)) and not isinstance(member, (Int, Float, Bool, Null))


def _rank(member: Codec) -> int:
    name = getattr(member.base, "__name__", "")
    if type(member) is Choice:  # a Literal
        return -1
    if member.base in _TEXTS:
        return len(_ORDER) + 1 + _TEXTS.index(member.base)
    if isinstance(member, Data):
        return len(_ORDER) + 1
    return _ORDER.index(name) if name in _ORDER else len(_ORDER)


def _closest(problems: List[str], expected: str, value: Any) -> CodecError:
    """Return the error about a part of the value if there is one, else about the whole."""
    nested = [problem for problem in problems if not problem.startswith("expected ")]
    return CodecError(nested[0]) if len(nested) == 1 else mismatch(expected, value)


def union_of(members: Sequence[Codec]) -> Codec:
    """Return the codec of a union of types, of which None may be one."""
    others = [member for member in members if not isinstance(member, Null)]
    inner: Optional[Codec] = others[0] if len(others) == 1 else Union(others) if others else None
    if inner is None:
        return members[0]
    return inner if len(others) == len(members) else Maybe(inner)
