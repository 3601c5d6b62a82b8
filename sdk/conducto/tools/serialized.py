"""Trees that other languages define: ``conducto build`` and ``conducto validate-serialization``.

Both read a serialized tree from stdin and treat it like the tree of a script's method. They also
run inside containers, where a program in any language prints the tree of a Lazy.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List

    from conducto.tree.nodes import Node

#: The commands; ``{name: help}``.
COMMANDS = {
    "build": "launch a serialized tree that is read from stdin, with the flags of a script",
    "validate-serialization": "check a serialized tree that is read from stdin, and print it",
}
_WRONG = 2


def run(name: str, words: List[str]) -> int:
    """Run one of `COMMANDS`; return its exit code."""
    if any(word in ("-h", "--help") for word in words):
        from conducto.tools.arguments import print_usage  # noqa: PLC0415 - not needed to run a tree

        return print_usage(f"usage: conducto {name} [FLAGS] < TREE\n\n{COMMANDS[name]}")
    if name == "validate-serialization" and words:
        print(f"conducto: {name}: takes no arguments, got {words[0]!r}", file=sys.stderr)
        return _WRONG
    if name == "build" and not {"--local", "--cloud", "--k8s"} & set(words):
        print("conducto: build: choose where to launch it: --local or --cloud", file=sys.stderr)
        return _WRONG
    from conducto import main as commands  # noqa: PLC0415 - not for a wrong command line
    from conducto.tree.nodes import Node  # noqa: PLC0415 - heavy

    call = getattr(commands, "main", commands)
    given_tree.__annotations__["return"] = Node  # marks a method that returns a pipeline
    return int(call(variables={}, default=given_tree, argv=words, filename=f"conducto {name}"))


def given_tree() -> Node:
    """Return the tree from stdin.

    Raises:
        UsageError: it is not a tree.
    """
    from conducto.errors import UsageError  # noqa: PLC0415 - heavy
    from conducto.tree.serialize import deserialize  # noqa: PLC0415 - heavy

    try:
        root: Node = deserialize(sys.stdin.read())
    except ValueError as error:
        raise UsageError(f"stdin: {error}") from error
    return root
