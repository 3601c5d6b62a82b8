"""Codecs of values that are one word."""

# ruff: noqa: D102
# The base class documents the methods.

from __future__ import annotations

from conducto.inspection.codecs.base import Codec, CodecError, mismatch, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Optional

_TRUE = ("true", "t", "yes", "y", "1")
_FALSE = ("false", "f", "no", "n", "0")
_SPECIAL_FLOATS = ("NaN", "Infinity", "-Infinity")


class Scalar(Codec):
    """A type with a natural text; in JSON, too, its values are texts."""

    is_simple = True

    def __init__(
        self, base: type, names: str, write: Callable[[Any], str], read: Callable[[str], Any]
    ) -> None:
        self.base = base
        self.help, _, expected = names.partition(": ")
        self.expected = expected or self.help
        self._write = write
        self._read = read

    def accepts(self, value: Any) -> bool:
        """Return whether ``value`` belongs to the type."""
        return isinstance(value, self.base)

    def encode(self, value: Any) -> str:
        if not self.accepts(value):
            raise mismatch(self.expected, value)
        try:
            return self._write(value)
        except (ValueError, TypeError, ArithmeticError) as error:
            raise CodecError(f"{shown(value)} cannot be written as text: {error}") from None

    def decode(self, text: str) -> Any:
        try:
            return self._read(text)
        except CodecError:
            raise
        except (ValueError, TypeError, ArithmeticError, AttributeError):
            raise mismatch(self.expected, text) from None

    def to_json(self, value: Any) -> Any:
        return self.encode(value)

    def from_json(self, data: Any) -> Any:
        if not isinstance(data, str):
            raise mismatch(self.expected, data)
        return self.decode(data)


class Int(Scalar):
    """``int``; a bool counts as 0 or 1, as in Python."""

    def __init__(self) -> None:
        super().__init__(int, "int: an int", int.__repr__, int)

    def to_json(self, value: Any) -> Any:
        if not self.accepts(value):
            raise mismatch(self.expected, value)
        return int(value)

    def from_json(self, data: Any) -> Any:
        if type(data) is not int:
            raise mismatch(self.expected, data)
        return data


class Float(Scalar):
    """``float``; JSON has no NaN and no infinity, so they are the texts ``NaN``, ``Infinity``."""

    def __init__(self) -> None:
        super().__init__(float, "float: a float", _write_float, float)

    def accepts(self, value: Any) -> bool:
        return isinstance(value, (float, int)) and not isinstance(value, bool)

    def to_json(self, value: Any) -> Any:
        if not self.accepts(value):
            raise mismatch(self.expected, value)
        return plain_float(float(value))

    def from_json(self, data: Any) -> Any:
        if type(data) in (int, float) or data in _SPECIAL_FLOATS:
            return float(data)
        raise mismatch(self.expected, data)


class Bool(Scalar):
    """``bool``, a flag on a command line."""

    is_flag = True

    def __init__(self) -> None:
        super().__init__(bool, "flag: true or false", str, _read_bool)

    def to_json(self, value: Any) -> Any:
        if type(value) is not bool:
            raise mismatch(self.expected, value)
        return value

    def from_json(self, data: Any) -> Any:
        return self.to_json(data)


class Null(Scalar):
    """``None``."""

    def __init__(self) -> None:
        super().__init__(type(None), "None", str, _read_none)

    def to_json(self, value: Any) -> Any:
        if value is not None:
            raise mismatch("None", value)

    def from_json(self, data: Any) -> Any:
        return self.to_json(data)


class Choice(Codec):
    """The members of an Enum by name, or the values of a Literal."""

    is_simple = True

    def __init__(self, words: Dict[str, Any], base: Optional[type] = None) -> None:
        self.base = base
        self.help = "|".join(words)
        self.expected = "one of " + ", ".join(words)
        self._words = words

    def encode(self, value: Any) -> str:
        for word, member in self._words.items():
            if member is value or (type(member) is type(value) and member == value):
                return word
        raise mismatch(self.expected, value)

    def decode(self, text: str) -> Any:
        if text not in self._words:
            raise mismatch(self.expected, text)
        return self._words[text]

    def to_json(self, value: Any) -> Any:
        return self.encode(value)

    def from_json(self, data: Any) -> Any:
        if not isinstance(data, str):
            raise mismatch(self.expected, data)
        return self.decode(data)


class EnumCodec(Choice):
    """An Enum; the value of a member is understood, too, if no name is equal."""

    def __init__(self, base: Any) -> None:
        super().__init__({name: base[name] for name in base.__members__}, base)
        values = [str(member.value) for member in base]
        self._by_value = {
            text: member
            for text, member in zip(values, base)  # noqa: B905 (of Python 3.10)
            if values.count(text) == 1
        }

    def decode(self, text: str) -> Any:
        if text not in self._words and text in self._by_value:
            return self._by_value[text]
        return super().decode(text)


class FlagCodec(EnumCodec):
    """A Flag: the names of its members, joined with ``|``."""

    def encode(self, value: Any) -> str:
        if type(value) is not self.base:
            raise mismatch(self.expected, value)
        names = [n for n, m in self._words.items() if m.value and m in value]
        text = "|".join(names) or "0"
        if self.decode(text) != value:
            raise CodecError(f"{shown(value)} has bits without a name")
        return text

    def decode(self, text: str) -> Any:
        value = self.base(0)
        for name in text.split("|") if text != "0" else ():
            value |= super().decode(name)
        return value


def _write_float(value: Any) -> str:
    return float.__repr__(value) if isinstance(value, float) else str(value)


def _read_bool(text: str) -> bool:
    low = text.lower()
    if low not in _TRUE and low not in _FALSE:
        raise mismatch("true or false", text)
    return low in _TRUE


def _read_none(text: str) -> None:
    if text != "None":
        raise mismatch("None", text)


def plain_float(value: float) -> Any:
    """Return a float for JSON: itself, or the text of a special one."""
    if value - value == 0:
        return value
    return "NaN" if value != value else ("Infinity" if value > 0 else "-Infinity")  # noqa: PLR0124


def literal(values: Any) -> Choice:
    """Return the codec of ``Literal[values]``.

    Raises:
        TypeError: two of the values have the same text.
    """
    words: Dict[str, Any] = {}
    for value in values:
        text = (
            str(getattr(value, "name", value)) if not isinstance(value, bytes) else value.decode()
        )
        if text in words:
            raise TypeError(f"two values of the Literal are written as {text!r}")
        words[text] = value
    return Choice(words)


def custom(base: Any) -> Scalar:
    """Return the codec of a class with ``to_str`` and ``from_str``."""
    name = base.__name__
    return Scalar(base, f"{name}: a {name}", _custom_text, base.from_str)


def _custom_text(value: Any) -> str:
    return str(value.to_str() if callable(getattr(value, "to_str", None)) else value)


def by_text(base: Any) -> Scalar:
    """Return the codec of a class whose ``str`` its constructor reads: a path, a UUID."""
    name = "path" if hasattr(base, "__fspath__") else base.__name__
    return Scalar(base, f"{name}: a {name}", str, base)


#: ``{built-in type: its codec}``.
BUILT_IN: Dict[Any, Scalar] = {
    str: Scalar(str, "text", str.__str__, str),
    int: Int(),
    float: Float(),
    bool: Bool(),
    bytes: Scalar(bytes, "bytes", bytes.decode, str.encode),
    type(None): Null(),
}
