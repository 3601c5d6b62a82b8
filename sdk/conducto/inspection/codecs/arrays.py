"""Codecs of lists, tuples, sets and dicts."""

# ruff: noqa: D102
# The base class documents the methods.

from __future__ import annotations

from conducto.inspection.codecs.base import Codec, CodecError, at, dumps, loads, mismatch, shown
from conducto.inspection.codecs.scalars import plain_float

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, List, Optional, Sequence


def join(parts: Sequence[str]) -> str:
    """Return ``parts`` joined with commas; commas inside them are escaped."""
    return ",".join(part.replace(",", "\\,") for part in parts)


def split(text: str) -> List[str]:
    r"""Return the parts of ``text`` between unescaped commas; an empty text has none.

    >>> split("a\\,b,c")
    ['a,b', 'c']
    """
    if not text:
        return []
    parts: List[str] = []
    joined = False
    for chunk in text.split(","):
        if joined:
            parts[-1] = parts[-1][:-1] + "," + chunk
        else:
            parts.append(chunk)
        joined = parts[-1].endswith("\\")
    return parts


def _array_of(text: str) -> Optional[List[Any]]:
    """Return the items of a JSON array, or None if ``text`` is not one."""
    if not text.startswith("["):
        return None
    try:
        data = loads(text, "a list")
    except CodecError:
        return None
    return data if isinstance(data, list) else None


def _words(parts: List[str]) -> Optional[str]:
    """Return ``parts`` as one word with commas, or None if they would be read differently."""
    text = join(parts)
    return text if split(text) == parts and _array_of(text) is None else None


class Array(Codec):
    """A list, or a set, whose items are written in a fixed order.

    Items that are words are joined with commas; others, and words that a comma or a backslash at
    their end would change, become a JSON array.
    """

    def __init__(self, base: Any, make: type, element: Codec) -> None:
        self.base = base
        self._make = make
        self._element = element
        self._sorts = make in (set, frozenset)
        name = make.__name__
        self.help = f"{element.help},..." if element.is_simple else f"JSON [{element.help}, ...]"
        self.expected = f"a {name}"

    def _items(self, value: Any) -> List[Any]:
        if not isinstance(value, self.base) or isinstance(value, (str, bytes)):
            raise mismatch(self.expected, value)
        return list(value)

    def encode(self, value: Any) -> str:
        items = self._items(value)
        if all(map(self._element.is_word, items)):
            parts = [at(f"item {i}", self._element.encode, item) for i, item in enumerate(items)]
            text = _words(sorted(parts) if self._sorts else parts)
            if text is not None:
                return text
        return dumps(self.to_json(value))

    def decode(self, text: str) -> Any:
        data = _array_of(text)
        if data is not None:
            return self.from_json(data)
        parts = enumerate(split(text))
        return self._build([at(f"item {i}", self._element.decode, part) for i, part in parts])

    def to_json(self, value: Any) -> Any:
        convert = self._element.to_json
        items = self._items(value)
        data = [at(f"item {i}", convert, item) for i, item in enumerate(items)]
        return sorted(data, key=dumps) if self._sorts else data

    def from_json(self, data: Any) -> Any:
        if not isinstance(data, list):
            raise mismatch(self.expected, data)
        convert = self._element.from_json
        return self._build([at(f"item {i}", convert, item) for i, item in enumerate(data)])

    def _build(self, items: List[Any]) -> Any:
        try:
            return self._make(items)
        except TypeError as error:  # an unhashable item of a set
            raise CodecError(str(error)) from None


class Iterated(Array):
    """An iterator, whose items are converted as they are needed."""

    def from_json(self, data: Any) -> Any:
        if not isinstance(data, list):
            raise mismatch(self.expected, data)
        convert = self._element.from_json
        return (at(f"item {i}", convert, item) for i, item in enumerate(data))

    def _build(self, items: List[Any]) -> Any:
        return iter(items)


class Tuple(Codec):
    """A tuple with a type for each place."""

    base = tuple

    def __init__(self, elements: Sequence[Codec]) -> None:
        self._elements = list(elements)
        inside = ", ".join(element.help for element in elements)
        simple = all(element.is_simple for element in elements)
        self.help = ",".join(element.help for element in elements) if simple else f"JSON [{inside}]"
        self.expected = f"a tuple of {len(self._elements)} ({inside})"

    def _each(self, method: str, items: Any) -> List[Any]:
        if len(items) != len(self._elements):
            raise mismatch(self.expected, items)
        pairs = enumerate(zip(self._elements, items))  # noqa: B905 (of Python 3.10)
        return [at(f"item {i}", getattr(element, method), item) for i, (element, item) in pairs]

    def encode(self, value: Any) -> str:
        if not isinstance(value, tuple):
            raise mismatch(self.expected, value)
        if all(e.is_word(item) for e, item in zip(self._elements, value)):  # noqa: B905
            text = _words(self._each("encode", value))
            if text is not None:
                return text
        return dumps(self.to_json(value))

    def decode(self, text: str) -> Any:
        data = _array_of(text)
        return (
            self.from_json(data) if data is not None else tuple(self._each("decode", split(text)))
        )

    def to_json(self, value: Any) -> Any:
        if not isinstance(value, tuple):
            raise mismatch(self.expected, value)
        return self._each("to_json", value)

    def from_json(self, data: Any) -> Any:
        if not isinstance(data, list):
            raise mismatch(self.expected, data)
        return tuple(self._each("from_json", data))


class Dict(Codec):
    """A dict: a JSON object, or pairs if its keys are not words."""

    def __init__(self, base: Any, key: Codec, value: Codec) -> None:
        self.base = base
        self._key = key
        self._value = value
        self.help = "JSON {%s: %s}" % (key.help, value.help)  # noqa: UP031 (braces)
        self.expected = "a dict"

    def to_json(self, value: Any) -> Any:
        if not isinstance(value, self.base):
            raise mismatch(self.expected, value)
        data = [(key, at(f"[{shown(key)}]", self._value.to_json, value[key])) for key in value]
        if all(self._key.is_word(key) for key in value):
            return {at("a key", self._key.encode, key): item for key, item in data}
        return [[at("a key", self._key.to_json, key), item] for key, item in data]

    def from_json(self, data: Any) -> Any:
        if isinstance(data, dict):
            read: Callable[[Any], Any] = self._key.decode
            pairs = list(data.items())
        elif isinstance(data, list) and all(isinstance(p, list) and len(p) == 2 for p in data):  # noqa: PLR2004
            read, pairs = self._key.from_json, [(pair[0], pair[1]) for pair in data]
        else:
            raise mismatch(self.expected, data)
        return {
            at("a key", read, key): at(f"[{shown(key)}]", self._value.from_json, item)
            for key, item in pairs
        }


class Data(Codec):
    """Any value that JSON returns as it was, for ``Any`` inside other types, ``list``, ``dict``."""

    help = "any"
    expected = "a value that JSON has"
    is_simple = True  # of the texts among them

    def is_word(self, value: Any) -> bool:
        return isinstance(value, str)

    def encode(self, value: Any) -> str:
        if type(value) is not str:
            raise mismatch("text", value)
        return value

    def decode(self, text: str) -> Any:
        return text

    def to_json(self, value: Any) -> Any:
        if type(value) is list:
            return [at(f"item {i}", self.to_json, item) for i, item in enumerate(value)]
        if type(value) is dict:
            return {
                self._key(key): at(f"[{shown(key)}]", self.to_json, value[key]) for key in value
            }
        plain = value is None or type(value) in (bool, int, str)
        if not plain and not (type(value) is float and plain_float(value) == value):
            name = type(value).__name__
            raise CodecError(f"{shown(value)} is a {name}; annotate the parameter with its type")
        return value

    def _key(self, key: Any) -> str:
        if type(key) is not str:
            raise CodecError(f"the key {shown(key)} is not text; annotate the type of the keys")
        return key

    def from_json(self, data: Any) -> Any:
        return data
