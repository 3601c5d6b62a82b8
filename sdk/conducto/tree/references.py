"""References to the result of another node, as arguments of a function or in ``results=``."""

# ruff: noqa: PLC0415
# imports wait until they are needed; the modules of the tree share its nodes' slots.

from __future__ import annotations

from conducto.tree.conditions import Comparable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable, List, Tuple, Union

    from conducto.tree.node_base import NodeBase

if TYPE_CHECKING:
    from typing import Generic

    from typing_extensions import TypeVar

    R_co = TypeVar("R_co", covariant=True, default=Any)

    class _Typed(Generic[R_co]):
        pass

else:
    R_co = None

    class _Typed:
        """For type checkers, a class with the type of the value; nothing at run time."""

        __slots__ = ()

        def __class_getitem__(cls, _kind: object) -> type:
            return cls


class ResultReference(Comparable, _Typed[R_co]):
    """The result of a node, or those of a map, known when the node that uses it starts.

    Compared with a value, it is a condition for ``run_if``.

    Attributes:
        source: The node, or its path from the root of the tree.
    """

    __slots__ = ("source",)

    def __init__(self, source: Union[NodeBase, str]) -> None:
        if isinstance(source, str) and not source.startswith("/"):
            raise ValueError(
                f"expected a path that starts with '/', got {source!r}: a result is named by the "
                "path of its node from the root of the tree"
            )
        self.source = source

    def __repr__(self) -> str:
        return f"<result of {self.source}>"

    def _unknown(self, *_args: object) -> Any:
        raise TypeError(
            f"the result of {self.source} is not known while the tree is built: pass the reference "
            "to the function of a later node, as in co.Exec(function, node.result)"
        )

    __bool__ = __len__ = __int__ = __float__ = __add__ = _unknown
    __iter__ = _unknown  # type: ignore[assignment]


def to_references(values: Any) -> List[ResultReference]:
    """Return references for the parameter ``results`` of a node: paths, nodes or references.

    Raises:
        TypeError: it is not a list of these.
    """
    from conducto.tree.node_base import NodeBase

    if isinstance(values, (str, NodeBase, ResultReference)):
        raise TypeError(f"results must be a list, such as ['/train'], got {values!r}")
    made = []
    for value in values:
        if not isinstance(value, (str, NodeBase, ResultReference)):
            raise TypeError(f"results must have paths or references, got {value!r}")
        made.append(value if isinstance(value, ResultReference) else ResultReference(value))
    return made


def found_in(value: Any) -> List[ResultReference]:
    """Return the references in an argument, which may be a list, tuple or dict of them."""
    if isinstance(value, ResultReference):
        return [value]
    if isinstance(value, (list, tuple)):
        return [each for item in value for each in found_in(item)]
    return [each for item in value.values() for each in found_in(item)] if _is_dict(value) else []


def _is_dict(value: Any) -> bool:
    return isinstance(value, dict)


def word(value: Any, known: List[ResultReference]) -> str:
    """Return an argument with references as a word, with marks; add the references to ``known``.

    Raises:
        CodecError: another part of it has no JSON form.
    """
    from conducto.wire.references import mark

    if isinstance(value, ResultReference):
        return mark(_number(value, known), in_json=False)
    import json

    from conducto.inspection.codecs import to_json

    def data(part: Any) -> Any:
        if isinstance(part, ResultReference):
            return mark(_number(part, known), in_json=True)
        if isinstance(part, (list, tuple)):
            return [data(item) for item in part]
        if isinstance(part, dict):
            return {str(name): data(item) for name, item in part.items()}
        return to_json(part)

    return json.dumps(data(value), ensure_ascii=False).replace("\\u001f", "\x1f")


def _number(reference: ResultReference, known: List[ResultReference]) -> int:
    known.append(reference)
    return len(known) - 1


def paths_of(references: Iterable[ResultReference]) -> Tuple[str, ...]:
    """Return the paths of references, which are complete once their trees are."""
    return tuple(str(each.source) for each in references)
