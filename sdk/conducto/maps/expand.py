"""``conducto map-items``: the command that makes the commands of a map, once its list is known.

``conducto map-items FILE FUNCTION DOCUMENT`` prints the tree. The document is JSON: ``over``,
``name``, ``fixed``, ``params``, ``map`` and ``max_concurrent``, as `conducto.maps.map` wrote it.
"""

# ruff: noqa: PLC0415, T201
# imports wait until they are needed.

from __future__ import annotations

import json

from conducto.errors import DefinitionError
from conducto.maps import ItemCall, fill
from conducto.maps.names import NameTemplate
from conducto.results import converted, value_of
from conducto.tree.native import parameters_of
from conducto.tree.nodes import Parallel
from conducto.tree.references import ResultReference, found_in
from conducto.wire.maps import to_options
from conducto.wire.references import path_in, replaced

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Mapping, Sequence

    from conducto.inspection.signatures import Parameter
    from conducto.tree.nodes import Node

USAGE = "usage: conducto map-items FILE FUNCTION DOCUMENT; co.map writes this command"


def run(name: str, words: Sequence[str]) -> int:
    """Print the tree, or the reason why there is none; return the exit code."""
    from conducto.tools.arguments import ToolCommand, run_tool

    def body() -> int:
        parsed = ToolCommand(("file", "function", "document")).parse(words)
        _print(**parsed.values)
        return 0

    return run_tool(f"conducto {name}", USAGE, body)


def _print(file: str, function: str, document: str) -> None:
    from conducto.tools.entry import load
    from conducto.tree.serialize import CLOSE, OPEN, encode, pretty, to_document
    from conducto.tree.validate import validate

    func = getattr(load(file), function)
    try:
        root = expand(func, json.loads(document))
        validate(root, check_images=False)
        found, shown = to_document(root, resolve=True), pretty(root, strict=False)
    except (DefinitionError, TypeError, ValueError) as error:
        shown = f"conducto: {error}"
        found = {"error": str(error)}
    print(f"{OPEN}{encode(found)}{CLOSE}\n\n{shown}")


def expand(func: Callable[..., Any], document: Mapping[str, Any]) -> Node:
    """Return the map of a function over the list of a document.

    Raises:
        ValueError: two items have the same name, or an item does not fit its parameter.
        TypeError: the value is not a list.
    """
    from conducto.inspection.signatures import unwrapped
    from conducto.tree.wire_records import set_values

    data = replaced(document["over"], value_of)
    if not isinstance(data, list):
        raise TypeError(
            f"the result of {path_in(document['over'])} is {type(data).__name__}, but a map needs "
            "a list"
        )
    code = getattr(unwrapped(func), "__code__", None)
    where = {} if code is None else {"file": code.co_filename, "line": code.co_firstlineno}
    known, fixed = parameters_of(func), document.get("fixed", {})
    call = ItemCall(func, {name: _fixed(known[name], fixed[name]) for name in fixed}, where)
    group = Parallel(max_concurrent=document.get("max_concurrent"))
    if not call.makes_trees:
        group.map_options = to_options(document.get("map", {}))
    items = [_item(call.parameter, value, index) for index, value in enumerate(data)]
    fill(group, items, call, NameTemplate(document.get("name", "{item}")), data)
    params = document.get("params", {})
    for child in group.children.values():
        set_values(child["Generate"] if call.makes_trees else child, params)
    return group


def _fixed(parameter: Parameter, data: Any) -> Any:
    value = replaced(data, ResultReference)
    return value if found_in(value) else converted(parameter, value)


def _item(parameter: Parameter, data: Any, index: int) -> Any:
    try:
        return converted(parameter, data)
    except ValueError as error:
        raise ValueError(f"item {index} for {parameter.name}: {error}") from None
