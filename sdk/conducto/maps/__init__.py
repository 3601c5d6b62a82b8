"""Maps: one command for each item of a list, and the list of their results.

``co.map`` with a list returns a Parallel. With a reference to a result it returns a Lazy, whose
``Generate`` makes the same Parallel once the list is known (`conducto.maps.expand`).
"""

# ruff: noqa: PLC0415, SLF001
# imports wait until they are needed; the modules of the tree share its nodes' slots.

from __future__ import annotations

from conducto.inspection.signatures import node_type_of
from conducto.tree import parameters
from conducto.tree.lazy import Lazy
from conducto.tree.native import command_words, parameters_of, problem_of
from conducto.tree.nodes import Exec, Node, Parallel, Serial
from conducto.tree.references import ResultReference, word
from conducto.wire import limits
from conducto.wire.item_names import NameTemplate
from conducto.wire.maps import MapOptions, to_options
from conducto.wire.printable import suggestion

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Generic, List, Mapping, Optional, Sequence, Union

    from typing_extensions import TypeVar, overload

    from conducto.inspection.signatures import Parameter
    from conducto.tree.node_params import ExecParams

    T = TypeVar("T")
    R = TypeVar("R", default=Any)

#: Values of the template of a Lazy's map that both of its parts need.
_OF_BOTH = ("image", "image_name", "env")
_REFUSED = {
    "name": "name= of co.map is the template of the names; attach the map with parent[...] = map",
    "results": "pass results by fixed=, such as fixed={'model': train.result}",
}


if TYPE_CHECKING:

    class Mapped(Node, Generic[R]):
        """A map, as `map` returns it."""

        @property
        def results(self) -> ResultReference[List[R]]:
            """A reference to the results of the items, in their order, for a later node."""

else:

    class Mapped:
        """What both kinds of maps have in common."""

        __slots__ = ()

        @property
        def results(self) -> ResultReference:
            """A reference to the results of the items, in their order, for a later node."""
            if self.map_options is None:
                raise TypeError(f"{self}: its items are trees, which have no results")
            return ResultReference(self)


class Map(Mapped, Parallel):
    """A map over a list."""

    __slots__ = ()


class LazyMap(Mapped, Serial):
    """A map over a result."""

    __slots__ = ()


class ItemCall:
    """The command of each item.

    Attributes:
        parameter: The parameter that gets the item.
        makes_trees: The function returns a tree, so that each item is a Lazy.

    Args:
        func: A function for one item.
        fixed: Arguments that are the same for all items.
        params: Node parameters of each command.

    Raises:
        TypeError: the function has no parameter for the item.
    """

    def __init__(
        self, func: Callable[..., Any], fixed: Mapping[str, Any], params: Mapping[str, Any]
    ) -> None:
        self._func = func
        known = parameters_of(func)
        unknown = [name for name in fixed if name not in known]
        if unknown:
            raise TypeError(
                f"co.map: fixed={{{unknown[0]!r}: ...}} is not a parameter of {func.__name__}"
                f"{suggestion(unknown[0], known)}"
            )
        free = [name for name in known if name not in fixed]
        if not free:
            raise TypeError(
                f"co.map: {func.__name__} has no parameter for the item; write a function whose "
                "first parameter is the item"
            )
        self.parameter: Parameter = known[free[0]]
        self._fixed = fixed
        self._params = params
        self.makes_trees = node_type_of(func) is not None

    def node_for(self, item: Any, index: int) -> Node:
        """Return the command of an item.

        Raises:
            TypeError: the item does not fit its parameter.
        """
        make: Any = Lazy if self.makes_trees else Exec
        arguments = {self.parameter.name: item, **self._fixed}
        try:
            node: Node = make(self._func, params=self._params, **arguments)
        except (TypeError, ValueError) as error:
            raise TypeError(f"item {index}: {error}") from None
        return node


def fill(
    group: Node, items: Sequence[Any], call: ItemCall, template: NameTemplate, data: List[Any]
) -> None:
    """Add a command for each item.

    Args:
        group: The map.
        items: The items, of the type of the parameter.
        call: Makes the commands.
        template: Makes the names.
        data: The items as JSON data.

    Raises:
        ValueError: the names are not unique, or there are too many items.
        TypeError: an item does not fit its parameter.
    """
    limits.check_nodes(len(items))
    for index, name in enumerate(template.names_of(data)):
        group._attach(name, call.node_for(items[index], index))


if TYPE_CHECKING:

    @overload
    def map(  # noqa: A001
        func: Callable[[T], R],
        over: Union[Sequence[T], ResultReference[List[T]]],
        *,
        name: str = ...,
        params: ExecParams = ...,
        max_concurrent: Optional[int] = ...,
        min_done: float = ...,
        missing: Optional[str] = ...,
    ) -> Mapped[R]: ...
    @overload
    def map(  # noqa: A001
        func: Callable[..., R],
        over: Union[Sequence[Any], ResultReference[Any]],
        *,
        fixed: Mapping[str, Any],
        name: str = ...,
        params: ExecParams = ...,
        max_concurrent: Optional[int] = ...,
        min_done: float = ...,
        missing: Optional[str] = ...,
    ) -> Mapped[R]: ...


def map(  # noqa: A001  (`co.map`)
    func: Callable[..., Any],
    over: Any,
    *,
    name: str = "{item}",
    fixed: Optional[Mapping[str, Any]] = None,
    params: Optional[ExecParams] = None,
    max_concurrent: Optional[int] = None,
    min_done: float = 1.0,
    missing: Optional[str] = None,
) -> Any:
    """Return a group that runs ``func`` for each item of a list, in a command of its own.

    Args:
        func: A function whose first parameter that is not in ``fixed`` gets the item.
        over: A list; or the result of an earlier node, such as ``plan.result``, or of another map,
            ``scores.results``.
        name: Template of the names, such as ``{item.country}``, ``{item[0]}`` or ``{index}``.
        fixed: Arguments that are the same for all items; they may be results.
        params: Node parameters of each command, as ``co.Params(...)``.
        max_concurrent: Maximum number of commands of the map that run at once.
        min_done: Share of the items that must be done; with the others failed, the map is done with
            a warning.
        missing: What `Mapped.results` has for an item without a result: ``"none"`` for None, or
            ``"drop"`` to leave it out. Without it that is an error.

    Raises:
        ValueError: an option is invalid, or two items have the same name.
        TypeError: the function does not fit, or ``over`` is neither a list nor a result.
    """
    options = to_options({"min_done": min_done, "missing": missing})
    template = NameTemplate(name)
    given = {key: value for key, value in parameters.merge({}, params).items() if value is not None}
    for key, remedy in _REFUSED.items():
        if key in given:
            raise TypeError(f"co.map: {remedy}")
    if given.get("run_if") is not None:
        raise ValueError("co.map: run_if is not for the items; set it on the node of the map")
    call = ItemCall(func, dict(fixed or {}), given)
    if call.makes_trees and options != MapOptions():
        raise ValueError(
            f"co.map: min_done and missing are for commands, but {func.__name__} returns a tree"
        )
    group: Any
    if isinstance(over, ResultReference):
        from conducto.maps.expansion import expansion_of

        group = LazyMap(**{key: given.pop(key) for key in _OF_BOTH if key in given})
        document = {"over": over, "name": name, "fixed": dict(fixed or {})}
        document["params"] = _template(given)
        document["map"] = options.to_wire()
        document["max_concurrent"] = max_concurrent
        expansion = None if call.makes_trees else expansion_of(func, call.parameter, document)
        _expand_later(group, func, document, expansion)
    else:
        group = Map(max_concurrent=max_concurrent)
        items = _checked(over)
        fill(group, items, call, template, [_data(item, n) for n, item in enumerate(items)])
    group.map_options = None if call.makes_trees else options
    return group


def _checked(over: Any) -> List[Any]:
    if isinstance(over, (str, bytes, dict, Node)) or not hasattr(over, "__iter__"):
        hint = "; write .result for that of a node" if isinstance(over, Node) else ""
        raise TypeError(f"co.map: over must be a list or a result, got {over!r}{hint}")
    return list(over)


def _data(item: Any, index: int) -> Any:
    from conducto.inspection.codecs import to_json

    try:
        return to_json(item)
    except ValueError as error:
        raise TypeError(f"item {index}: {error}") from None


def _template(params: Mapping[str, Any]) -> Dict[str, Any]:
    from conducto.tree.structure import leave_blocks
    from conducto.tree.wire_records import template_of

    node = Exec("true", file="", **{k: v() if callable(v) else v for k, v in params.items()})
    leave_blocks(node)
    return template_of(node)


def _expand_later(
    group: Node,
    func: Callable[..., Any],
    document: Mapping[str, Any],
    expansion: Optional[Callable[[Any], Dict[str, Any]]],
) -> None:
    """Add the two parts of a Lazy: the node that expands the map, and its place.

    ``expansion``: lets the driver expand it; without it, the command of the node does.
    """
    from conducto import callback

    known: List[ResultReference] = []
    # A reference is compared by a condition, so values are not compared here.
    empty = [k for k, v in document.items() if v is None or (isinstance(v, dict) and not v)]
    text = word({k: v for k, v in document.items() if k not in empty}, known)
    generate = Exec(command_words("map-items", func, text))
    generate._references, generate._unfindable = known, problem_of(func)
    generate._expansion = expansion
    group._attach("Generate", generate)
    group._attach("Execute", Parallel())
    generate.on_done(callback.deserialize_into_node(target=group["Execute"]))
