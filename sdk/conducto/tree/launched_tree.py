"""The tree that is passed to ``co.launch``, on a user's machine and in a command."""

from __future__ import annotations

from conducto.errors import DefinitionError, InvalidArgumentError
from conducto.tree.nodes import Node

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping, Sequence


def tree_of(pipeline: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Node:
    """Return the tree of a launch: ``pipeline``, or the result of this function.

    Raises:
        InvalidArgumentError: it is neither a tree nor a function that returns one.
        DefinitionError: it is a node inside a tree.
    """
    if isinstance(pipeline, Node):
        if args or kwargs:
            wrong = ", ".join([*map(repr, args), *kwargs])
            raise InvalidArgumentError(f"launch: a tree takes no arguments, got {wrong}")
        root = pipeline
    elif callable(pipeline):
        root = _returned(pipeline(*args, **kwargs))
    else:
        raise InvalidArgumentError(
            f"launch: expected a tree or a function that returns one, got {pipeline!r}"
        )
    if root.parent is not None:
        raise DefinitionError(
            f"{root}: is a node inside a tree; launch its root",
            path=str(root),
            file=root.file,
            line=root.line,
        )
    return root


def _returned(root: Any) -> Node:
    if isinstance(root, Node):
        return root
    close = getattr(root, "close", None)
    if hasattr(root, "__await__") and close is not None:
        close()
        raise InvalidArgumentError("launch: the function is async; pass its awaited result")
    raise InvalidArgumentError(f"launch: expected a tree, the function returned {root!r}")
