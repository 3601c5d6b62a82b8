"""Maps that the driver expands: the commands for the items of a list, without a container.

The place of the item in the command is `conducto.wire.references.ITEM`. An item is converted as the
function's process would convert it. Types that only this process knows, such as a dataclass, pass
as JSON: it checks them when it reads its arguments. Standard library only, Python 3.8 and later.
"""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, NamedTuple, Optional

from conducto.inspection.codecs.base import shown
from conducto.wire.item_names import NameTemplate
from conducto.wire.limits import MAX_NODES, check_word
from conducto.wire.maps import GIVEN, MapOptions, to_options
from conducto.wire.printable import shown_argument
from conducto.wire.references import ITEM

if TYPE_CHECKING:
    from typing import Any, Dict, List

#: ``text``: a type whose values are texts in JSON. ``plain``: a parameter without a type. ``json``:
#: a type with parts.
KINDS = ("text", "int", "float", "bool", "plain", "json")
#: What the texts of floats stand for that JSON does not have.
_SPECIAL_FLOATS = ("NaN", "Infinity", "-Infinity")
_EXPECTED = {"int": "an int", "float": "a float", "bool": "true or false"}
_NONE = "None"
_ROOT = "map"


class ItemParameter(NamedTuple):
    """The parameter that gets the item.

    Attributes:
        kind: One of `KINDS`.
        expected: The noun phrase for messages, of a text.
        optional: None fits it.
        left_out: None is its default, so that no word is written for None.
        function: The name of the function, for messages.
        annotation: The text of the annotation, for messages.
    """

    name: str
    kind: str
    expected: str = ""
    optional: bool = False
    left_out: bool = False
    function: str = ""
    annotation: str = ""


class Expansion(NamedTuple):
    """What the driver needs to expand a map over a result.

    Attributes:
        over: The name of the result with the items.
        template: The template of the names.
        item: The parameter of the items.
        node: The record of an item's node, in the wire form, with `ITEM` in its command.
        map: The options of the map.
        max_concurrent: Maximum number of commands of the map at once.
    """

    over: str
    template: str
    item: ItemParameter
    node: Dict[str, Any]
    map: MapOptions = MapOptions()
    max_concurrent: Optional[int] = None

    def to_wire(self) -> Dict[str, Any]:
        """Return the wire form, without values that are the defaults."""
        wire: Dict[str, Any] = {
            "over": self.over,
            "name": self.template,
            "item": {name: value for name, value in self.item._asdict().items() if value},
            "node": self.node,
        }
        if self.map != MapOptions():
            wire["map"] = self.map.to_wire()
        if self.max_concurrent is not None:
            wire["max_concurrent"] = self.max_concurrent
        return wire


def to_expansion(wire: Any) -> Expansion:
    """Return the expansion of the wire form.

    Raises:
        ValueError: it is invalid.
    """
    try:
        node, item = wire["node"], ItemParameter(**wire["item"])
        NameTemplate(wire["name"])
        expansion = Expansion(
            wire["over"],
            wire["name"],
            item,
            dict(node),
            to_options(wire.get("map", {})),
            wire.get("max_concurrent"),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"expand is not the expansion of a map: {error!r}") from None
    if item.kind not in KINDS or not isinstance(item.name, str):
        raise ValueError(f"expand: the kind of an item must be one of {KINDS}, got {item.kind!r}")
    if not str(expansion.over).startswith("/") or str(node.get("command")).count(ITEM) != 1:
        raise ValueError("expand must name a result, and have one place for the item")
    return expansion


def expanded(expansion: Expansion, items: Any, maximum: int = MAX_NODES) -> Dict[str, Any]:
    """Return the tree of a map over a list, in the form that a Lazy's ``Generate`` prints.

    Args:
        expansion: The map.
        items: The value of the result, as JSON data.
        maximum: Of the number of items.

    Raises:
        ValueError: an item does not fit its parameter, or lacks a name of its own, or there are too
            many.
        TypeError: the value is not a list.
    """
    check_list(expansion.over, items)
    if len(items) > maximum:
        raise ValueError(
            f"the result of {expansion.over} has {len(items):,} items, a map has at most "
            f"{maximum:,} here; let an item be a part of the list"
        )
    item = expansion.item
    words = [_converted(item, data, index) for index, data in enumerate(items)]
    before, _, after = expansion.node["command"].partition(ITEM)
    root: Dict[str, Any] = {"id": _ROOT, "type": "Parallel", "map": expansion.map.to_wire()}
    if expansion.max_concurrent is not None:
        root["max_concurrent"] = expansion.max_concurrent
    nodes: List[Dict[str, Any]] = [root]
    edges: List[List[str]] = []
    for index, name in enumerate(NameTemplate(expansion.template).names_of(items)):
        word = _checked(item, words[index], items[index], index)
        command = f"{before}{shlex.quote(word)}{after}" if word else before.rstrip(" ") + after
        node = f"{index}"
        nodes.append({**expansion.node, "id": node, "command": command})
        edges.append([_ROOT, node, name])
    return {"nodes": nodes, "edges": edges, GIVEN: True}


def check_list(over: str, value: Any) -> None:
    """Check the value of the result that a map runs over.

    Raises:
        TypeError: it is not a list.
    """
    if not isinstance(value, list):
        raise TypeError(f"the result of {over} is {type(value).__name__}, but a map needs a list")


def _converted(item: ItemParameter, data: Any, index: int) -> str:
    """Return the value of an item as text, or its flag; an empty text: no word is written.

    Raises:
        ValueError: it does not fit the parameter.
    """
    if data is None and item.left_out:
        return ""
    if data is None and item.optional:
        return f"--{item.name}={_NONE}"
    if item.kind == "bool" or (item.kind == "plain" and isinstance(data, bool)):
        if type(data) is not bool:
            raise _misfit(item, index, "true or false", data)
        return f"--{'' if data else 'no-'}{item.name}"
    text = _text(item, data, index)
    if item.optional and text.strip('"') == _NONE:
        text = f'"{text}"'
    return f"--{item.name}={text}"


def _text(item: ItemParameter, data: Any, index: int) -> str:
    kind = item.kind
    if kind == "text" and isinstance(data, str):
        return data
    if kind == "int" and type(data) is int:
        return repr(data)
    if kind == "float" and (type(data) in (int, float) or data in _SPECIAL_FLOATS):
        try:
            return repr(float(data))
        except OverflowError:
            raise _misfit(item, index, "a float", data) from None
    if kind == "plain":
        if data is None or isinstance(data, (list, dict)):
            reason = f"{shown(data)} is a {type(data).__name__}; annotate the parameter with its"
            raise _unfit(item, index, data, f"{reason} type")
        return str(data)
    if kind == "json":
        return _dumps(data)
    raise _misfit(item, index, item.expected or _EXPECTED[kind], data)


def _dumps(data: Any) -> str:
    text = json.dumps(data, ensure_ascii=False)
    return text if _is_unicode(text) else json.dumps(data)  # half of a surrogate pair


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _checked(item: ItemParameter, word: str, data: Any, index: int) -> str:
    if "\0" in word:
        raise _unfit(item, index, data, "a command cannot have the character NUL")
    if not _is_unicode(word):
        raise _unfit(item, index, data, "it is not valid Unicode text")
    try:
        check_word(word, item.name, item.function)
    except ValueError as error:
        raise ValueError(f"item {index}: {error}") from None
    return word


def _misfit(item: ItemParameter, index: int, expected: str, data: Any) -> ValueError:
    return ValueError(f"item {index} for {item.name}: expected {expected}, got {shown(data)}")


def _unfit(item: ItemParameter, index: int, data: Any, reason: str) -> ValueError:
    given = f"{item.name}={shown_argument(data)} {type(data)}"
    argument = f"item {index}: Argument {given} for function {item.function}"
    if not item.annotation:
        return ValueError(f"{argument} cannot be passed: {reason}")
    return ValueError(
        f"{argument} is not compatible with expected type: {item.annotation}: {reason}"
    )
