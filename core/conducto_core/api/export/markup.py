"""HTML that is always escaped: text becomes part of a page only through `tag`."""

from collections.abc import Iterable
from html import escape


class Markup(str):
    """HTML that is inserted as it is; any other text is escaped."""

    __slots__ = ()


def tag(name: str, /, *inside: str, **attributes: str | float | bool | None) -> Markup:
    """Return an element.

    Args:
        name: Name of the element.
        inside: Its content: `Markup`, or text, which is escaped.
        attributes: ``class_`` is ``class``; True is an attribute without a value, None and False
            are left out.
    """
    return Markup(f"<{_opened(name, attributes)}>{joined(inside)}</{name}>")


def void(name: str, /, **attributes: str | float | bool | None) -> Markup:
    """Return an element without content, such as ``meta`` and the shapes of SVG."""
    return Markup(f"<{_opened(name, attributes)}/>")


def joined(parts: Iterable[str], between: str = "") -> Markup:
    """Return parts one after another, with text ``between`` them."""
    return Markup(_safe(between).join(map(_safe, parts)))


def _opened(name: str, attributes: dict[str, str | float | bool | None]) -> str:
    return name + "".join(
        f" {_name(key)}" if value is True else f' {_name(key)}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None and value is not False
    )


def _name(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def _safe(text: str) -> str:
    return text if isinstance(text, Markup) else escape(text)
