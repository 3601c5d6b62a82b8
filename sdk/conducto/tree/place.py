"""The place of a node: its name, parent and children, and the three ways to put it there.

A tree may be thousands of levels deep and hundreds of thousands of nodes wide: nothing here
recurses. These functions are the bodies of `conducto.tree.node.Node`'s methods.
"""

# ruff: noqa: SLF001
# the modules of the tree share its nodes' slots.

from __future__ import annotations

import contextvars

from conducto.tree.errors import TreeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, List, Optional, Tuple

    from conducto.tree.node import Node


class _Block:
    """An open ``with`` block.

    Attributes:
        node: The node that named nodes are attached to.
        unnamed: The nodes without a name that were made in it.
    """

    __slots__ = ("node", "unnamed")

    def __init__(self, node: Node) -> None:
        self.node = node
        self.unnamed: List[Node] = []


# The ``with`` blocks that are open, the innermost last.
_blocks: contextvars.ContextVar[Tuple[_Block, ...]] = contextvars.ContextVar("conducto_with")
# Closed blocks that left nodes unattached, see `unattached`; the oldest are dropped.
_incomplete: List[_Block] = []
_MAX_INCOMPLETE = 100


def root_of(node: Node) -> Node:
    """Return the node at the top of the tree."""
    root = node
    while root._up is not None:
        root = root._up
    while node._up is not None and node._up is not root:
        node._up, node = root, node._up  # shorter for the next look, as in union-find
    return root


def path_of(node: Node) -> str:
    """Return the full path, ``"/"`` for a root."""
    names: List[str] = []
    here: Optional[Node] = node
    while here is not None and here.parent is not None:
        names.append(here.name)
        here = here.parent
    return "/" + "/".join(reversed(names))


def attach(parent: Node, name: str, node: Node) -> None:
    """Make ``node`` the last child of ``parent``.

    Raises:
        TypeError: the name is not text.
        ValueError: the name is empty.
        TreeError: the name is taken, or the node is in a tree already.
    """
    if not isinstance(name, str):
        raise bad_key(name)
    if not name:
        raise ValueError("Name cannot be empty")
    root = root_of(parent)
    reason = _refusal(parent, root, name, node)
    if reason:
        raise TreeError(f"Adding node {name} violates the integrity of the pipeline: {reason}")
    if node._images is not None:
        for image in node._images.values():
            root.register_image(image)
        node._images = None
    if parent._children is None:
        parent._children = {}
    parent._children[name] = node
    node._name = name
    node.parent = parent
    node._up = root


def _refusal(parent: Node, root: Node, name: str, node: Node) -> str:
    if node.parent is not None:
        return f"it is already attached as {node}"
    if parent._children is not None and name in parent._children:
        return f"{parent} already has a child {name!r}{_where(parent._children[name])}"
    if root is node:
        return "it would be its own ancestor"
    return ""


def _where(node: Node) -> str:
    return "" if node.file is None else f" (defined at {node.file}:{node.line})"


def attach_by_path(node: Node, path: str, child: Node) -> None:
    """Attach under the node that the part of ``path`` before its last slash leads to."""
    if not isinstance(path, str):
        raise bad_key(path)
    prefix, _, last = path.rpartition("/")
    (find(node, prefix) if prefix else node)._attach(last, child)


def find(node: Node, path: str) -> Node:
    """Return the node that ``path`` leads to; a slash in front begins at the root.

    Raises:
        TypeError: the path is not text.
        KeyError: there is no such child.
    """
    if not isinstance(path, str):
        raise bad_key(path)
    here = root_of(node) if path.startswith("/") else node
    for part in path.split("/"):
        if part:
            if here._children is None:
                raise KeyError(part)
            here = here._children[part]
    return here


def bad_key(key: object) -> TypeError:
    """Return the error for a name or path that is not text."""
    return TypeError(f"Node names must be strings. Expected object of type str, got {key}")


def enter_block(node: Node) -> None:
    """Open a ``with`` block: nodes made with a name become children of ``node``."""
    _blocks.set((*_blocks.get(()), _Block(node)))


def leave_block(node: Node, *, failing: bool) -> None:
    """Close a ``with`` block.

    Args:
        node: The node whose block ends.
        failing: An exception ends it, which must not be hidden by one of ours.

    Raises:
        TreeError: another block was opened later and is still open.
    """
    blocks = _blocks.get(())
    nodes = [block.node for block in blocks]
    top = nodes[-1] if nodes else None
    if node in nodes:
        at = nodes.index(node)
        _blocks.set(blocks[:at])
        _keep_incomplete(blocks[at])
    if top is not node and not failing:
        raise TreeError(f"Node context error: {top!r} is not {node!r}")


def _keep_incomplete(block: _Block) -> None:
    block.unnamed = [node for node in block.unnamed if node.parent is None]
    if block.unnamed:
        _incomplete.append(block)
        del _incomplete[:-_MAX_INCOMPLETE]


def note_unnamed(node: Node) -> None:
    """Remember a node without a name, which the innermost open block does not attach."""
    blocks = _blocks.get(())
    if blocks:
        blocks[-1].unnamed.append(node)


def unattached(root: Node) -> List[Node]:
    """Return the nodes without a name that were made in the blocks of a tree and never attached."""
    return [
        node
        for block in _incomplete
        if root_of(block.node) is root
        for node in block.unnamed
        if node.parent is None and node is not root
    ]


def join_block(node: Node, name: str) -> None:
    """Attach ``node`` to the innermost open block.

    Raises:
        ValueError: there is none, or the name has a slash.
    """
    blocks = _blocks.get(())
    if not blocks:
        raise ValueError(f"Cannot assign name={name} outside of a context manager.")
    if "/" in str(name):
        raise ValueError(f"Disallowed character in name, may not use '/': {name}")
    blocks[-1].node._attach(name, node)


def stream(node: Node) -> Iterator[Node]:
    """Yield the subtree, parents before children."""
    stack = [node]
    while stack:
        here = stack.pop()
        yield here
        if here._children is not None:
            stack.extend(reversed(list(here._children.values())))
