"""Values of arguments as text, and back."""

# ruff: noqa: PLC0415
# imports wait until they are needed.

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable, List

    from conducto.inspection.annotations import Kind

_TRUE = ("true", "t", "yes", "y", "1")
_FALSE = ("false", "f", "no", "n", "0")


def to_text(value: Any) -> str:
    r"""Return ``value`` as text for a command line.

    An object's own ``to_str()`` is used if it has one; bytes are decoded; elements of an iterable
    are joined with commas, with commas inside them escaped; anything else is ``str(value)``.

    >>> to_text(["a,b", 3])
    'a\\,b,3'
    """
    if isinstance(value, str):
        return value
    if not isinstance(value, type) and callable(getattr(value, "to_str", None)):
        return str(value.to_str())
    if isinstance(value, bytes):
        return value.decode()
    if hasattr(type(value), "__iter__") and not isinstance(value, type):
        return join(value)
    return str(value)


def join(values: Iterable[Any]) -> str:
    """Return the texts of ``values``, joined with commas."""
    return ",".join(to_text(value).replace(",", "\\,") for value in values)


def split(text: str) -> List[str]:
    r"""Return the parts of ``text`` between unescaped commas; an empty text has none.

    >>> split("a\\,b,c")
    ['a,b', 'c']
    """
    if not text:
        return []
    parts = [""]
    for chunk in text.split(","):
        if parts[-1].endswith("\\"):
            parts[-1] = parts[-1][:-1] + "," + chunk
        else:
            parts.append(chunk)
    return parts[1:] if parts[0] == "" and len(parts) > 1 else parts


def from_text(text: str, kind: Kind) -> Any:  # noqa: PLR0911 (one for each kind)
    """Return the value of that kind for ``text``.

    Raises:
        ValueError: there is none.
        TypeError: values of that kind cannot be written as text.
    """
    if kind.optional and text == "None" and kind.base is not None:
        return None
    base: Any = kind.base
    if base is None or base is str:
        return text
    if base in (int, float):
        return base(text)
    if base is bool:
        return _to_bool(text)
    if base is bytes:
        return text.encode()
    if base in (list, tuple, set, frozenset):
        element = kind.element
        return base(part if element is None else from_text(part, element) for part in split(text))
    return _to_object(text, base)


def _to_bool(text: str) -> bool:
    low = text.lower()
    if low not in _TRUE and low not in _FALSE:
        raise ValueError(f"{text!r} is neither true nor false")
    return low in _TRUE


def _to_object(text: str, base: Any) -> Any:
    if callable(getattr(base, "from_str", None)):
        return base.from_str(text)
    if base.__module__ == "datetime":
        return _to_time(text, base)
    if any(parent.__module__.startswith("pathlib") for parent in base.__mro__):
        return base(text)
    if base.__name__ == "NoneType" or base is object:
        return text
    raise TypeError(
        f"{base.__name__} cannot be made of text; give it a static method from_str(text), "
        "and to_str(self)"
    )


def _to_time(text: str, base: Any) -> Any:
    try:
        return base.fromisoformat(text)
    except (AttributeError, ValueError):
        if base.__name__ != "date":
            raise
    import datetime as dt

    moment = dt.datetime.fromisoformat(text)
    raise ValueError(f"{text!r} is a time, a date was expected: {moment.date()}")
