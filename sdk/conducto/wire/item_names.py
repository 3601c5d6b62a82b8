"""The names of the items of a map. Pure.

A name is the identity of an item, so it comes from the item: ``{item.country}`` is a field,
``{item[0]}`` an element, ``{index}`` the position. There are no calls and no format codes.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from conducto.wire.limits import check_name
from conducto.wire.printable import shown_argument

if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Sequence, Tuple, Union

    Part = Union[str, Tuple[str, List[Union[str, int]]]]

_FIELD = re.compile(r"\{([^{}]*)\}")
_PATH = re.compile(r"(item|index)((?:\.[A-Za-z_]\w*|\[\d+\])*)$")
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")
#: A name cannot contain a slash; this character looks like one.
SLASH = "\u2215"


class NameTemplate:
    """A template such as ``{item.country}-{index}``.

    Raises:
        ValueError: a part in braces is not ``item``, a field or an index of it, or ``index``.
    """

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):
            raise TypeError(f"name must be text, such as '{{item.country}}', got {text!r}")
        self._text = text
        for found in _FIELD.finditer(text):
            if _PATH.match(found[1]) is None:
                raise ValueError(
                    f"name={text!r}: {found[0]} is not item, a field or an index of it such as "
                    "{item.country} or {item[0]}, or index"
                )

    def names_of(self, items: Sequence[Any]) -> Iterator[str]:
        """Yield the name of each item, which is JSON data.

        Raises:
            ValueError: an item lacks a field, or has an invalid name or that of another one.
        """
        seen: Dict[str, int] = {}
        for index, item in enumerate(items):
            name = self._name_of(item, index)
            try:
                check_name(name)
            except ValueError as error:
                raise ValueError(f"item {index}: {error}; choose a field as name=") from None
            if not name or "\0" in name:
                raise ValueError(f"item {index}: invalid name {name!r} by name={self._text!r}")
            first = seen.setdefault(name, index)
            if first != index:
                raise ValueError(
                    f"items {first} and {index} both have the name {name!r} by "
                    f"name={self._text!r}; choose a field that differs, or add {{index}}"
                )
            yield name

    def _name_of(self, item: Any, index: int) -> str:
        return _FIELD.sub(lambda found: _value(found[1], item, index), self._text)


def _value(path: str, item: Any, index: int) -> str:
    found = _PATH.match(path)
    assert found is not None  # noqa: S101 (checked when the template was made)
    value: Any = item if found[1] == "item" else index
    for field, number in _STEP.findall(found[2]):
        try:
            value = value[field] if field else value[int(number)]
        except (LookupError, TypeError):  # a text has no fields, a number neither
            raise ValueError(f"item {index} has no {path}: {shown_argument(item)}") from None
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text.replace("/", SLASH)
