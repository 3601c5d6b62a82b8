"""Helpers for pipeline scripts: environment flags, nodes along paths, a node's own source as doc.

The functions that create nodes need the tree, which is imported when they are called.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from types import CodeType
    from typing import Any, Optional, Tuple, Type

    from conducto.tree.nodes import Node

# "no" counts as true: scripts rely on the exact list.
_FALSE = frozenset({"", "0", "n", "none", "false", "f", "0.0"})


def env_bool(key: str) -> bool:
    """Return whether the environment variable is true.

    It is false if it is not set or one of ``"" 0 0.0 n f false none``, ignoring case.
    """
    return os.environ.get(key, "").strip().lower() not in _FALSE


def mkdirs(baseNode: Node, path: str, nodeType: Optional[Type[Node]] = None) -> Node:  # noqa: N803
    """Return the node at ``path`` below ``baseNode``; missing nodes are created.

    Args:
        baseNode: Start of the path.
        path: Names separated by ``/``; empty parts are ignored.
        nodeType: Class of new nodes; the default is Parallel.
    """
    kind = _parallel() if nodeType is None else nodeType
    node = baseNode
    for name in path.split("/"):
        if not name:
            continue
        if name not in node.children:
            node[name] = kind()
        node = node.children[name]
    return node


def makenestednodes(  # noqa: PLR0917 - the order is part of the public API
    baseNode: Node,  # noqa: N803 - scripts pass these by name
    values: Iterable[Any],
    func: Callable[[int, Any, Sequence[Any]], str],
    makeLeafNode: bool = False,  # noqa: N803
    sort: bool = True,
    reverse: bool = False,
    nodeType: Optional[Type[Node]] = None,  # noqa: N803
) -> Iterator[Tuple[Node, Any]]:
    """Yield ``(node, value)`` for each value, creating the nodes along the path.

    Args:
        baseNode: Start of all paths.
        values: Values to create nodes for.
        func: Returns the path of one value, given its index, the value and all values.
        makeLeafNode: Yield the node at the path itself; otherwise only the nodes above it are
            created, and the parent for the leaf is yielded.
        sort: Visit the values in order.
        reverse: Visit them backwards.
        nodeType: Class of new nodes; the default is Parallel.
    """
    ordered = sorted(values) if sort else list(values)
    if reverse:
        ordered.reverse()
    for index, value in enumerate(ordered):
        path = func(index, value, ordered)
        if not makeLeafNode:
            path = path.rstrip("/").rpartition("/")[0]
        yield mkdirs(baseNode, path, nodeType), value


def makeyyyymmnodes(
    baseNode: Node,  # noqa: N803 - scripts pass these by name
    yyyymms: Iterable[Any],
    makeLeafNode: bool = False,  # noqa: N803
    reverse: bool = True,
    nodeType: Optional[Type[Node]] = None,  # noqa: N803
) -> Iterator[Tuple[Node, Any]]:
    """Yield ``(node, month)`` with a node per year, the latest month first.

    Args:
        baseNode: Parent of the years.
        yyyymms: Months as ``"2020/01"``, or dates.
        makeLeafNode: Also create a node per month, and yield it.
        reverse: ``False`` starts with the earliest.
        nodeType: Class of new nodes; the default is Parallel.
    """
    return makenestednodes(
        baseNode, yyyymms, _path_by("%Y/%m"), makeLeafNode, reverse=reverse, nodeType=nodeType
    )


def makedatenodes(
    baseNode: Node,  # noqa: N803 - scripts pass these by name
    dates: Iterable[Any],
    makeLeafNode: bool = False,  # noqa: N803
    reverse: bool = True,
    nodeType: Optional[Type[Node]] = None,  # noqa: N803
) -> Iterator[Tuple[Node, Any]]:
    """Yield ``(node, date)`` with a node per year and month, the latest date first.

    Args:
        baseNode: Parent of the years.
        dates: Days as ``"2020/01/31"``, or dates.
        makeLeafNode: Also create a node per day, and yield it.
        reverse: ``False`` starts with the earliest.
        nodeType: Class of new nodes; the default is Parallel.
    """
    return makenestednodes(
        baseNode, dates, _path_by("%Y/%m/%d"), makeLeafNode, reverse=reverse, nodeType=nodeType
    )


def _path_by(pattern: str) -> Callable[[int, Any, Sequence[Any]], str]:
    def path(_index: int, value: Any, _values: Sequence[Any]) -> str:
        return str(value.strftime(pattern)) if hasattr(value, "strftime") else str(value)

    return path


def magic_doc(
    *, func: Optional[Callable[..., Any]] = None, doc_only: bool = False, comment: bool = False
) -> str:
    """Return a function's docstring and source as markdown.

    Args:
        func: The function; by default the caller of ``magic_doc``, or its module if called outside
            of functions.
        doc_only: Return the docstring alone.
        comment: Return only the ``#`` block above the function or, without one, the block at the
            start of its body.

    Returns:
        Text without indentation; empty if there is nothing to show. The source, without the
        docstring, is a python code fence. It is read from the file: no module is imported.
    """
    from conducto.inspection import source_finder  # noqa: PLC0415 - needs the parser, which is slow to import

    code: CodeType = sys._getframe(1).f_code if func is None else source_finder.code_of(func)  # noqa: SLF001
    found = source_finder.find(code)
    if found is None:
        return "" if func is None or comment else source_finder.clean_doc(func.__doc__)
    if comment:
        return found.comment()
    return found.doc() if doc_only else found.doc_and_source()


def _parallel() -> Type[Node]:
    from conducto.tree.nodes import Parallel  # noqa: PLC0415 - the tree imports this module

    return Parallel
