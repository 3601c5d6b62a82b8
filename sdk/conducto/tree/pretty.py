"""The tree as it is printed."""

# ruff: noqa: PLC0415, PTH109, SLF001
# Imports wait until they are needed; pathlib is heavy; modules of the tree share its slots.

from __future__ import annotations

import sys

from conducto.tree import paths, unused
from conducto.tree.images import resolved_form
from conducto.tree.nodes import Exec, Serial
from conducto.tree.printable import printable
from conducto.tree.text import paint, wants_color
from conducto.tree.validate import missing_code, validate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Tuple

    from conducto.image import Image
    from conducto.tree.node import Node


class Expander:
    """Writes commands as a shell in their container will read them.

    Args:
        strict: Raise for a local file that the image does not hold, instead of writing its path
            on this machine.
    """

    def __init__(self, *, strict: bool) -> None:
        self._strict = strict
        self._forms: Dict[int, Dict[str, Any]] = {}

    def _form(self, image: Optional[Image]) -> Dict[str, Any]:
        if image is None:
            return {"path_map": None, "docker_auto_workdir": True}
        if id(image) not in self._forms:
            self._forms[id(image)] = resolved_form(image)
        return self._forms[id(image)]

    def command(self, node: Exec) -> str:
        """Return the command of ``node``.

        Raises:
            DefinitionError: strict, and the image does not hold a file that it names.
        """
        if paths.END not in node.command:
            return node.command
        image = node.image
        form = self._form(image)

        def missing(path: str) -> str:
            if self._strict:
                raise missing_code(node, form)
            return _relative(path)

        copied = form.get("copy_dir") is not None or form.get("copy_url") is not None
        path_map = {paths.to_host(k): v for k, v in (form["path_map"] or {}).items()}
        shorten = bool(form["docker_auto_workdir"]) and copied
        return paths.expand(node.command, path_map, shorten=shorten, missing=missing)


def _relative(path: str) -> str:
    import os

    here = os.getcwd()
    return os.path.relpath(path, here) if paths.inside(path, here) else path


def _label(node: Node, expander: Expander, *, colors: bool) -> str:
    if isinstance(node, Exec):
        command = printable(expander.command(node))
        return "{}   {}".format(paint(printable(node.name), "cyan", on=colors), command)
    return paint(printable(node.name), "blue", on=colors)


def pretty(root: Node, *, strict: bool) -> str:
    """Return the subtree under ``root`` as lines, see `conducto.tree.node.Node.pretty`."""
    unused.mark_used()
    validate(root, check_images=False)
    colors = wants_color(sys.stdout)
    expander = Expander(strict=strict)
    lines: List[str] = []
    # (node, what its own line begins with, what the lines of its children begin with)
    stack: List[Tuple[Node, str, str]] = [(root, "", "")]
    while stack:
        node, head, tail = stack.pop()
        lines.append(head + _label(node, expander, colors=colors))
        stack.extend(reversed(_branches(node, tail)))
    return "\n".join(lines)


def _branches(node: Node, tail: str) -> List[Tuple[Node, str, str]]:
    children = node._children
    if children is None:
        return []
    last = len(children) - 1
    digits = len(str(last))
    branches = []
    for index, child in enumerate(children.values()):
        number = str(index).zfill(digits) if isinstance(node, Serial) else ""
        corner, below = ("└─", "  ") if index == last else ("├─", "│ ")
        branches.append((child, f"{tail}{corner}{number} ", tail + below))
    return branches
