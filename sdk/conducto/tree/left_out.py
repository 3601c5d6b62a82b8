"""Warnings about nodes and commands that are missing in a printed or launched tree."""

# ruff: noqa: PLC0415, SLF001
# imports wait until they are needed; the modules of the tree share its nodes' slots.

from __future__ import annotations

import sys

from conducto.tree import structure
from conducto.tree.text import count, shown
from conducto.wire.printable import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Union

    from conducto.errors import DefinitionError
    from conducto.tree.node_base import NodeBase

_LISTED = 5
_QUOTED = 60  # maximum characters of a command


def warn_unnamed(root: NodeBase) -> None:
    """Print a warning for each node of a ``with`` block of this tree that was never attached."""
    unnamed = structure.unattached(root)
    for node in unnamed[:_LISTED]:
        _warn(node, f"{_described(node)} has no name, so it is not part of the tree")
    if len(unnamed) > _LISTED:
        _print("  and {} more".format(count(len(unnamed) - _LISTED, "node")))
    if unnamed:
        _print('  give it a name, co.Exec(..., name="NAME"), or attach it, parent["NAME"] = node')


def warn_texts(root: NodeBase) -> None:
    """Print a warning for each Serial whose ``stop_on_error`` is a text."""
    for node in root.stream():
        if node._kind == "Serial" and isinstance(node.stop_on_error, str):
            text = repr(node.stop_on_error)
            _warn(
                node, f"stop_on_error={text} is a text, which counts as True; write True or False"
            )


def warn_empty(root: NodeBase) -> None:
    """Print a warning if the tree has no command to run."""
    if not any(node._kind == "Exec" for node in root.stream()):
        _warn(root, "the tree has no Exec, so there is nothing to run")


def warn_unlaunchable(root: NodeBase) -> None:
    """Print a warning if a container could not find a function of the tree."""
    from conducto.errors import DefinitionError
    from conducto.tree.validate import check_functions

    try:
        check_functions(root)
    except DefinitionError as error:
        _warn(error, f"this tree can be printed, but not launched: {error}")


def _described(node: NodeBase) -> str:
    kind = type(node).__name__
    if node._kind != "Exec":
        return "this {} ({} below it)".format(
            kind, count(sum(1 for _ in node.stream()) - 1, "node")
        )
    asks = node.approval
    command = printable(node.command if asks is None else asks["message"])
    shortened = command if len(command) <= _QUOTED else command[:_QUOTED] + "..."
    return f"{kind} '{shortened}'"


def _warn(about: Union[NodeBase, DefinitionError], text: str) -> None:
    line = "" if about.file is None else f"{shown(about.file)}:{about.line}: "
    _print(f"{line}warning: {text}")


def _print(line: str) -> None:
    print(line, file=sys.stderr)  # noqa: T201
