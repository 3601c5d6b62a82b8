"""The printed form of a tree."""

# ruff: noqa: SLF001
# Imports wait until they are needed; pathlib is heavy; modules of the tree share its slots.

from __future__ import annotations

import sys

from conducto.tree import unused
from conducto.tree.command_text import Expander
from conducto.tree.text import paint, wants_color
from conducto.tree.validate import validate
from conducto.wire.printable import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Tuple

    from conducto.tree.node_base import NodeBase


def _label(node: NodeBase, expander: Expander, *, colors: bool) -> str:
    name = printable(node.name) + (" (skipped)" if node.skip else "")
    if node._kind == "Exec":
        asks = node.approval
        command = printable(
            expander.command(node) if asks is None else "approval: {}".format(asks["message"])
        )
        return "{}   {}".format(paint(name, "cyan", on=colors), command)
    return paint(name, "blue", on=colors)


def pretty(root: NodeBase, *, strict: bool) -> str:
    """Return the subtree under ``root`` as lines, see `conducto.tree.nodes.Node.pretty`."""
    unused.mark_used()
    validate(root, check_images=False)
    colors = wants_color(sys.stdout)
    expander = Expander(strict=strict)
    lines: List[str] = []
    # (node, prefix of its own line, prefix of its children's lines)
    stack: List[Tuple[NodeBase, str, str]] = [(root, "", "")]
    while stack:
        node, head, tail = stack.pop()
        lines.append(head + _label(node, expander, colors=colors))
        stack.extend(reversed(_branches(node, tail)))
    return "\n".join(lines)


def _branches(node: NodeBase, tail: str) -> List[Tuple[NodeBase, str, str]]:
    children = node._children
    if children is None:
        return []
    last = len(children) - 1
    digits = len(str(last))
    branches = []
    for index, child in enumerate(children.values()):
        number = str(index).zfill(digits) if node._kind == "Serial" else ""
        corner, below = ("└─", "  ") if index == last else ("├─", "│ ")
        branches.append((child, f"{tail}{corner}{number} ", tail + below))
    return branches
