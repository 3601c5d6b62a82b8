"""The base class of codecs, and the helpers that they share."""

# ruff: noqa: PLC0415
# json is imported when a value needs it: most commands have simple words only.

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

_SHOWN = 80  # characters of a value in a message


class CodecError(ValueError):
    """A value or a text does not fit a type; the message has the reason."""


class Codec:
    """How the values of one type are written.

    Attributes:
        base: The class of the values, or None if there are several.
        help: The type for people, such as ``int`` or ``red|green``.
        expected: The noun phrase for messages, such as ``an int``.
        is_simple: Whether a list of such values is written with commas.
    """

    base: Any = None
    help = "JSON"
    expected = "JSON"
    is_simple = False
    #: Whether a command line has ``--name`` and ``--no-name`` instead of a value.
    is_flag = False

    def details(self) -> str:
        """Return the parts of the type for ``--help``, or an empty text."""
        return ""

    def is_word(self, value: Any) -> bool:
        """Return whether ``value`` is written without JSON."""
        del value
        return self.is_simple

    def encode(self, value: Any) -> str:
        """Return ``value`` as one word.

        Raises:
            CodecError: the value does not fit the type.
        """
        return dumps(self.to_json(value))

    def decode(self, text: str) -> Any:
        """Return the value of a word.

        Raises:
            CodecError: the word does not fit the type.
        """
        return self.from_json(loads(text, self.expected))

    def to_json(self, value: Any) -> Any:
        """Return ``value`` as data for `json.dumps`.

        Raises:
            CodecError: the value does not fit the type.
        """
        raise NotImplementedError

    def from_json(self, data: Any) -> Any:
        """Return the value of data that `to_json` returned.

        Raises:
            CodecError: the data do not fit the type.
        """
        raise NotImplementedError


def shown(value: Any) -> str:
    """Return ``value`` for a message, in one line and shortened."""
    text = value if isinstance(value, str) else repr(value)
    text = repr(text) if isinstance(value, str) else " ".join(text.split())
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def mismatch(expected: str, value: Any) -> CodecError:
    """Return the error for a value that is not ``expected``."""
    return CodecError(f"expected {expected}, got {shown(value)}")


def at(place: str, convert: Callable[[Any], Any], value: Any) -> Any:
    """Return ``convert(value)``; an error in it names the place."""
    try:
        return convert(value)
    except CodecError as error:
        raise CodecError(f"{place}: {error}") from None


def dumps(data: Any) -> str:
    """Return data as JSON in one readable line."""
    import json

    text = json.dumps(data, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return json.dumps(data)
    return text


def loads(text: str, expected: str) -> Any:
    """Return the data of a JSON text.

    Raises:
        CodecError: it is not JSON.
    """
    import json

    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, ValueError) else "too deeply nested"
        raise CodecError(f"expected {expected} as JSON, got {shown(text)} ({reason})") from None
