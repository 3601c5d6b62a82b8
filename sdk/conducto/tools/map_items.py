"""``conducto map-items``: the command of a Lazy that `conducto.maps.map` makes."""

# ruff: noqa: PLC0415
# imports wait until they are needed.

from __future__ import annotations

import json

from conducto.errors import DefinitionError
from conducto.maps.expand import expand
from conducto.tools.arguments import ToolCommand, run_tool
from conducto.wire.maps import GIVEN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Sequence

    from conducto.tree.nodes import Node

_USAGE = "usage: conducto map-items FILE FUNCTION DOCUMENT; co.map writes this command"


def run(name: str, words: Sequence[str]) -> int:
    """Print the tree, or the reason why there is none; return the exit code."""

    def body() -> int:
        parsed = ToolCommand(("file", "function", "document")).parse(words)
        _print(**parsed.values)
        return 0

    return run_tool(f"conducto {name}", _USAGE, body)


def _print(file: str, function: str, document: str) -> None:
    from conducto.tools.entry import load_or_report

    func = getattr(load_or_report(file), function)
    print_tree(lambda: expand(func, json.loads(document)), given=True)


def print_tree(make: Callable[[], Node], *, given: bool = False) -> None:
    """Print a tree for the runner, or the reason why there is none.

    ``given``: References to results are those of the command, whatever the names in the tree.
    """
    from conducto.tree.serialize import CLOSE, OPEN, encode, pretty, to_document
    from conducto.tree.validate import validate

    try:
        root = make()
        validate(root, check_images=False)
        found, shown = to_document(root, resolve=True), pretty(root, strict=False)
        if given:
            found[GIVEN] = True
    except (DefinitionError, TypeError, ValueError) as error:
        shown = f"conducto: {error}"
        found = {"error": str(error)}
    print(f"{OPEN}{encode(found)}{CLOSE}\n\n{shown}")
