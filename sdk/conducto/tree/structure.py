"""The structure of a tree: places, open ``with`` blocks, and registered images.

Nothing here recurses: trees may be thousands of levels deep.
"""

# ruff: noqa: PLC0415, SLF001
# imports wait until they are needed; the functions of the tree share the nodes' slots.

from __future__ import annotations

import contextvars
from itertools import islice

from conducto.errors import DuplicateImageError, NodeNotFoundError, TreeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Mapping, Optional, Protocol, Tuple, TypeVar

    from conducto.tree.image import Image

    class Linked(Protocol):
        """What a node must have to be in a tree; `conducto.tree.node_base.NodeBase` has it."""

        parent: Any
        file: Optional[str]
        line: Optional[int]
        _up: Any
        _name: Optional[str]
        _children: Optional[Dict[str, Any]]
        _image: Optional[Image]
        _images: Optional[Dict[str, Image]]

        @property
        def name(self) -> str: ...  # noqa: D102
        @property
        def children(self) -> Mapping[str, Any]: ...  # noqa: D102
        def register_image(self, image: Image, /) -> None: ...  # noqa: D102
        def _attach(self, name: str, node: Any, /) -> None: ...

    N = TypeVar("N", bound=Linked)

#: Children whose names are compared with a name that does not exist, and that are listed.
_MAX_COMPARED = 1000
_MAX_LISTED = 5


class _Block:
    """An open ``with`` block.

    Attributes:
        node: The node to which named nodes are attached.
        unnamed: The nodes without a name that were created in it.
    """

    __slots__ = ("node", "unnamed")

    def __init__(self, node: Any) -> None:
        self.node = node
        self.unnamed: List[Any] = []


# The open ``with`` blocks, the innermost last.
_blocks: contextvars.ContextVar[Tuple[_Block, ...]] = contextvars.ContextVar("conducto_with")
# Closed blocks that left nodes unattached, see `unattached`; the oldest are dropped.
_incomplete: List[_Block] = []
_MAX_INCOMPLETE = 100


def root_of(node: N) -> N:
    """Return the node at the top of the tree."""
    root = node
    while root._up is not None:
        root = root._up
    while node._up is not None and node._up is not root:
        node._up, node = root, node._up  # shortens the path for the next call, as in union-find
    return root


def path_of(node: Linked) -> str:
    """Return the full path, ``"/"`` for a root."""
    names: List[str] = []
    here: Optional[Linked] = node
    while here is not None and here.parent is not None:
        names.append(here.name)
        here = here.parent
    return "/" + "/".join(reversed(names))


def attach(parent: Linked, name: str, node: Linked) -> None:
    """Attach ``node`` as the last child of ``parent``.

    Raises:
        TypeError: the name is not text.
        ValueError: the name is empty.
        TreeError: the name is in use, or the node is already in a tree.
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


def _refusal(parent: Linked, root: Linked, name: str, node: Linked) -> str:
    if node.parent is not None:
        return f"it is already attached as {node}"
    if parent._children is not None and name in parent._children:
        return f"{parent} already has a child {name!r}{_location(parent._children[name])}"
    if root is node:
        return "it would be its own ancestor"
    return ""


def _location(node: Linked) -> str:
    return "" if node.file is None else f" (defined at {node.file}:{node.line})"


def attach_by_path(node: Linked, path: str, child: Linked) -> None:
    """Attach ``child`` under the node at ``path`` up to its last slash, relative to ``node``."""
    if not isinstance(path, str):
        raise bad_key(path)
    prefix, _, last = path.rpartition("/")
    (find(node, prefix) if prefix else node)._attach(last, child)


def find(node: N, path: str) -> N:
    """Return the node at ``path``; a leading slash starts at the root.

    Raises:
        TypeError: the path is not text.
        NodeNotFoundError: there is no such child; a KeyError, too.
    """
    here, missing = walk(node, path)
    if missing is not None:
        raise NodeNotFoundError(f"{here} has no child {missing!r}{_nearby(here, missing)}")
    return here


def walk(node: N, path: str) -> Tuple[N, Optional[str]]:
    """Return the last node on the path that exists, and the name that is missing below it."""
    if not isinstance(path, str):
        raise bad_key(path)
    here = root_of(node) if path.startswith("/") else node
    for part in path.split("/"):
        if part:
            child = here.children.get(part)
            if child is None:
                return here, part
            here = child
    return here, None


def _nearby(node: Linked, missing: str) -> str:
    """Return the child whose name is most like the missing one, or the first children."""
    from conducto.wire.printable import suggestion

    names = list(islice(node.children, _MAX_COMPARED))
    more = len(node.children) - _MAX_LISTED
    listed = ", ".join(map(repr, names[:_MAX_LISTED])) + (f" and {more:,} more" if more > 0 else "")
    return suggestion(missing, names) or (f"; it has {listed}" if names else "; it has none")


def bad_key(key: object) -> TypeError:
    """Return the error for a name or path that is not text."""
    return TypeError(f"Node names must be strings. Expected object of type str, got {key}")


def enter_block(node: Linked) -> None:
    """Open a ``with`` block: nodes created with a name become children of ``node``."""
    _blocks.set((*_blocks.get(()), _Block(node)))


def in_block() -> bool:
    """Return whether a ``with`` block is open."""
    return bool(_blocks.get(()))


def leave_block(node: Linked, *, failing: bool) -> None:
    """Close a ``with`` block; ``failing``: another exception must not be hidden.

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


def note_unnamed(node: Linked) -> None:
    """Record a node without a name, which the innermost open block does not attach."""
    blocks = _blocks.get(())
    if blocks:
        blocks[-1].unnamed.append(node)


def leave_blocks(node: Linked) -> None:
    """Forget an unnamed node that is only a template for others."""
    for block in _blocks.get(()) or ():
        block.unnamed = [each for each in block.unnamed if each is not node]


def unattached(root: N) -> List[N]:
    """Return the unnamed nodes that were created in the blocks of a tree and never attached."""
    return [
        node
        for block in _incomplete
        if root_of(block.node) is root
        for node in block.unnamed
        if node.parent is None and node is not root
    ]


def join_block(node: Linked, name: str) -> None:
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


def stream(node: N) -> Iterator[N]:
    """Yield the subtree, parents before children."""
    stack = [node]
    while stack:
        here = stack.pop()
        yield here
        if here._children is not None:
            stack.extend(reversed(list(here._children.values())))


def register(root: Linked, image: Image) -> None:
    """Register ``image`` with the tree under ``root``.

    Raises:
        DuplicateImageError: the tree has a different image of that name.
    """
    known = {} if root._images is None else root._images
    other = known.get(image.name)
    if other is not None and other is not image and other != image:
        raise DuplicateImageError(
            f"{image.name} already present with a different definition in this repository"
        )
    if other is None:
        root._images = {**known, image.name: image}


def find_image(root: Linked, name: str) -> Image:
    """Return the image called ``name`` of the tree under ``root``.

    Raises:
        KeyError: there is none.
    """
    if root._images is not None and name in root._images:
        return root._images[name]
    for node in stream(root):
        image = node._image
        if image is not None and image.name == name:
            return image
    raise KeyError(name)
