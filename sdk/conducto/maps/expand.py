"""The tree of a map, once its list is known: the work of the command ``conducto map-items``."""

# ruff: noqa: PLC0415
# imports wait until they are needed.

from __future__ import annotations

from conducto.maps import ItemCall, fill
from conducto.maps.expansion import place_of
from conducto.results import converted, value_of
from conducto.tree.native import parameters_of
from conducto.tree.nodes import Parallel
from conducto.tree.references import ResultReference, found_in
from conducto.wire.expansions import check_list
from conducto.wire.item_names import NameTemplate
from conducto.wire.maps import to_options
from conducto.wire.references import path_in, replaced

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Mapping

    from conducto.inspection.signatures import Parameter
    from conducto.tree.nodes import Node


def expand(func: Callable[..., Any], document: Mapping[str, Any]) -> Node:
    """Return the map of a function over the list of a document.

    Args:
        func: The function.
        document: ``over``, ``name``, ``fixed``, ``params``, ``map`` and ``max_concurrent``, as
            `conducto.maps.map` wrote them.

    Raises:
        ValueError: two items have the same name, or an item does not fit its parameter.
        TypeError: the value is not a list.
    """
    from conducto.tree.wire_records import set_values

    data = replaced(document["over"], value_of)
    check_list(path_in(document["over"]), data)
    known, fixed = parameters_of(func), document.get("fixed", {})
    call = ItemCall(
        func, {name: _fixed(known[name], fixed[name]) for name in fixed}, place_of(func)
    )
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
