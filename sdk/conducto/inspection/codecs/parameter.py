"""The codec of a parameter, from its annotation or its default."""

# ruff: noqa: D102
# The base class documents the methods.

from __future__ import annotations

from conducto.inspection.codecs.base import Codec, CodecError, shown
from conducto.inspection.codecs.factory import is_any, make, of_class
from conducto.inspection.codecs.scalars import BUILT_IN, Scalar
from conducto.inspection.codecs.unions import Maybe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict


class Untyped(Codec):
    """A parameter without a type: its function receives text, or a bool from a flag."""

    help = "text"
    is_simple = True
    expected = "text"

    def encode(self, value: Any) -> str:
        if isinstance(value, bytes):
            return BUILT_IN[bytes].encode(value)
        if not _has_text(value):
            name = type(value).__name__
            raise CodecError(f"{shown(value)} is a {name}; annotate the parameter with its type")
        return str(value.to_str() if callable(getattr(value, "to_str", None)) else value)

    def decode(self, text: str) -> Any:
        return text


def _has_text(value: Any) -> bool:
    """Return whether the text of ``value`` says what it is."""
    kind: Any = type(value)
    if isinstance(value, str) or (callable(getattr(value, "to_str", None)) and kind is not type):
        return True
    opaque = kind.__str__ is object.__str__ and kind.__repr__ is object.__repr__
    compound = hasattr(kind, "__iter__") or hasattr(kind, "__dataclass_fields__")
    return not (
        value is None or opaque or compound or callable(value) or hasattr(kind, "__members__")
    )


class ByDefault(Codec):
    """A parameter with the type of its default; a text is passed if that type can read it."""

    def __init__(self, inner: Codec) -> None:
        self._inner = inner
        self.base = inner.base
        self.help = inner.help
        self.expected = inner.expected
        self.is_flag = inner.is_flag

    def details(self) -> str:
        return self._inner.details()

    def encode(self, value: Any) -> str:
        try:
            return self._inner.encode(value)
        except CodecError:
            readable = isinstance(self._inner, Scalar) and not self.is_flag
            if not readable or isinstance(value, bool) or not _has_text(value):
                raise
        text = Untyped().encode(value)
        self._inner.decode(text)
        return text

    def decode(self, text: str) -> Any:
        return self._inner.decode(text)


def of_annotation(annotation: Any, names: Dict[str, Any], *, optional: bool) -> Codec:
    """Return the codec of a parameter with an annotation; ``optional`` if its default is None.

    Raises:
        TypeError: values of the type cannot be passed.
    """
    if is_any(annotation):
        return Untyped()
    codec = make(annotation, names)
    accepts_none = isinstance(codec, Maybe) or codec.base is type(None)
    return Maybe(codec) if optional and not accepts_none else codec


def of_default(default: Any) -> Codec:
    """Return the codec of a parameter without an annotation."""
    if default is None:
        return Untyped()
    try:
        return ByDefault(of_class(type(default)))
    except TypeError:  # values of the type cannot be passed
        return Untyped()
