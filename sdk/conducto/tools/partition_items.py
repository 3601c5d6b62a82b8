"""``conducto partition-items``: the command that makes the trees of a part of a large backfill."""

# ruff: noqa: PLC0415, SLF001
# imports wait until they are needed; the modules of the tree share its nodes' slots.

from __future__ import annotations

import json

from conducto.errors import ConductoError, UsageError
from conducto.tools.arguments import ToolCommand, run_tool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping, Sequence

    from conducto.tree.nodes import Node

_USAGE = "usage: conducto partition-items FILE FUNCTION DOCUMENT; backfills write this command"


def run(name: str, words: Sequence[str]) -> int:
    """Print the tree, or the reason why there is none; return the exit code."""

    def body() -> int:
        from conducto.tools.entry import load_or_report
        from conducto.tools.map_items import print_tree

        values = ToolCommand(("file", "function", "document")).parse(words).values
        func = getattr(load_or_report(values["file"]), values["function"])
        print_tree(lambda: expand(func, json.loads(values["document"])))
        return 0

    return run_tool(f"conducto {name}", _USAGE, body)


def expand(func: Any, document: Mapping[str, Any]) -> Node:
    """Return a Parallel with the tree of each partition.

    Args:
        func: The function.
        document: ``keys``, their ``zone``, and ``words``: its other arguments on a command line.

    Raises:
        ValueError: the function does not accept them any more.
    """
    from conducto.inspection.signatures import signature_of
    from conducto.main import tree_of
    from conducto.partitions import PARAMETER, value_of
    from conducto.script.arguments import MethodCall, Words
    from conducto.tree.nodes import Parallel
    from conducto.wire.partitions import Partition

    signature = signature_of(func)
    root = Parallel()
    try:
        for key in document["keys"].split(" "):
            call = MethodCall(func.__name__, signature)
            words = Words(document["words"])
            while words:
                word, value = words.next()
                call.accept_option(str(word), value, words)
            call.named[PARAMETER] = value_of(
                signature.parameters[PARAMETER], Partition(key, document["zone"])
            )
            call.finish()
            root._attach(key, tree_of(func, call))
    except (ConductoError, UsageError, KeyError) as error:
        raise ValueError(f"the tree of a partition: {error}") from error
    return root
