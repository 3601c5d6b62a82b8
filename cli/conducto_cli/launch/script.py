"""Loads the tree that a script's method returns."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from conducto.tree.nodes import Node


def root_of(file: str, words: Sequence[str]) -> Node:
    """Return the tree that a script's method returns; raises as `root_and_call`."""
    return root_and_call(file, words)[0]


def root_and_call(file: str, words: Sequence[str]) -> tuple[Node, dict[str, Any]]:
    """Return the tree that a script's method returns, with the record of the call.

    Raises:
        UsageError: there is no such file or method, or the arguments do not fit.
    """
    from conducto.api.calls import Launching  # noqa: PLC0415

    with Launching(None, program=file):
        return _root_and_call(file, words)


def _root_and_call(file: str, words: Sequence[str]) -> tuple[Node, dict[str, Any]]:
    from conducto.errors import NodeMethodError, UsageError  # noqa: PLC0415
    from conducto.inspection.signatures import signature_of  # noqa: PLC0415
    from conducto.script import methods  # noqa: PLC0415
    from conducto.script.arguments import MethodCall, Words  # noqa: PLC0415
    from conducto.script.program import describe, invocation  # noqa: PLC0415
    from conducto.tools.entry import load  # noqa: PLC0415
    from conducto.tree.nodes import Node  # noqa: PLC0415

    if not Path(file).is_file():
        raise UsageError(f"error: no such file: {file!r}")
    found = methods.discover(vars(load(file)))
    name = words[0] if words else _only_pipeline(found)
    if name not in found:
        raise UsageError(f"error: {name} is not a method of {file}")
    signature = signature_of(found[name])
    call = MethodCall(name, signature)
    rest = Words(words[1:])
    while rest:
        word, value = rest.next()
        if word is None:
            call.take_positional(str(value))
        else:
            call.accept_option(word, value, rest)
    call.finish()
    named, extra = dict(call.named), list(call.extra)
    args, kwargs = call.arguments()
    root = found[name](*args, **kwargs)
    if not isinstance(root, Node):
        raise NodeMethodError(f"Expected {name} to return a Node, but it returned {root!r}")
    described = describe(found[name], signature, named, extra)
    return root, {"function": name, **invocation(file, name), **described}


def _only_pipeline(found: dict[str, Callable[..., Any]]) -> str:
    from conducto.errors import UsageError  # noqa: PLC0415
    from conducto.inspection.signatures import node_type_of  # noqa: PLC0415

    names = [name for name, method in found.items() if node_type_of(method) is not None]
    if len(names) != 1:
        known = ", ".join(names) or "none"
        raise UsageError(f"error: must specify method; those that return a tree: {known}")
    return names[0]
