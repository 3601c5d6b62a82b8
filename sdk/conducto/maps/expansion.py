"""The record by which the driver expands a map over a result, without a container."""

# ruff: noqa: PLC0415
# imports wait until they are needed; the modules of the tree share its nodes' slots.

from __future__ import annotations

from conducto.inspection.codecs import arrays, records, scalars
from conducto.inspection.codecs.parameter import ByDefault, Untyped
from conducto.inspection.codecs.unions import Maybe
from conducto.tree.native import ANY_ITEM, flag_problem
from conducto.wire.expansions import Expansion, ItemParameter
from conducto.wire.maps import to_options
from conducto.wire.references import ITEM

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Mapping, Optional

    from conducto.inspection.codecs.base import Codec
    from conducto.inspection.signatures import Parameter
    from conducto.tree.nodes import Node
    from conducto.tree.wire_records import Memo

_NUMBERS = {int: "int", float: "float", bool: "bool"}
#: Types with parts, whose values are written as JSON.
_PARTS = (arrays.Array, arrays.Tuple, arrays.Dict, records.Record, records.Pydantic)
#: Values of a node's record that every node has.
_LEFT_OUT: Dict[str, Any] = {"id": None, "skip": False, "callbacks": [], "is_notebook": False}


def expansion_of(
    func: Callable[..., Any], parameter: Parameter, document: Mapping[str, Any]
) -> Optional[Callable[[Memo], Dict[str, Any]]]:
    """Return the maker of the record; None: only the function's own process can expand the map.

    The tree around the map must be complete when it is called, because the record has paths.

    Args:
        func: The function.
        parameter: The parameter that gets the item.
        document: That of the command that would expand the map (`conducto.maps.expand`).
    """
    item = _item_of(func, parameter)
    if item is None:
        return None
    try:
        node = _template(func, parameter, document)
    except (TypeError, ValueError):  # the command has the reason
        return None
    if node is None:
        return None

    def record(memo: Memo) -> Dict[str, Any]:
        from conducto.tree.wire_records import to_record

        made = to_record(node, memo)
        made = {k: v for k, v in made.items() if k not in _LEFT_OUT or v != _LEFT_OUT[k]}
        return Expansion(
            str(document["over"].source),
            document["name"],
            item,
            made,
            to_options(document["map"]),
            document["max_concurrent"],
        ).to_wire()

    return record


def _template(
    func: Callable[..., Any], parameter: Parameter, document: Mapping[str, Any]
) -> Optional[Node]:
    """Return a node with the place of the item in its command, and the parameters of each item."""
    from conducto.tree.nodes import Exec
    from conducto.tree.structure import leave_blocks
    from conducto.tree.wire_records import set_values

    make: Any = Exec
    arguments = {parameter.name: ANY_ITEM, **document["fixed"]}
    node: Any = make(func, params=place_of(func), **arguments)
    leave_blocks(node)
    set_values(node, document["params"])
    return node if node.command.count(ITEM) == 1 else None


def place_of(func: Callable[..., Any]) -> Dict[str, Any]:
    """Return the node parameters with the file and the line of a function."""
    from conducto.inspection.signatures import unwrapped

    code = getattr(unwrapped(func), "__code__", None)
    return {} if code is None else {"file": code.co_filename, "line": code.co_firstlineno}


def _item_of(func: Callable[..., Any], parameter: Parameter) -> Optional[ItemParameter]:
    """Return the parameter of the item; None: the driver cannot write its values."""
    try:
        codec = parameter.codec
    except TypeError:
        return None
    optional = isinstance(codec, Maybe)
    inner: Codec = codec.inner if isinstance(codec, Maybe) else codec
    kind = _kind_of(inner)
    is_flag = kind in ("bool", "plain")
    if kind is None or (is_flag and flag_problem(func, parameter.name) is not None):
        return None
    return ItemParameter(
        name=parameter.name,
        kind=kind,
        expected=inner.expected if kind == "text" else "",
        optional=optional,
        left_out=parameter.has_default and parameter.default is None,
        function=str(getattr(func, "__name__", type(func).__name__)),
        annotation=str(parameter.annotation) if parameter.annotated else "",
    )


def _kind_of(codec: Codec) -> Optional[str]:
    if isinstance(codec, Untyped):
        return "plain"
    if isinstance(codec, (scalars.Null, ByDefault)):
        return None
    if isinstance(codec, scalars.Scalar):
        return _NUMBERS.get(codec.base, "text")
    if isinstance(codec, scalars.Choice):
        return "text"
    return "json" if isinstance(codec, _PARTS) else None
