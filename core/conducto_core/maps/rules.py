"""The tree of a map over a result, made by the driver in the place of a command."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from conducto.wire.expansions import expanded
from conducto.wire.limits import MAX_NODES
from conducto_core.results.rules import inputs_text, names_in
from conducto_core.tree.model import NodeSpec


class ExpansionError(Exception):
    """A map cannot be expanded; the message has the reason."""


class ExpandedMap(NamedTuple):
    """A map with its items.

    Attributes:
        document: The tree, in the form that a Lazy's ``Generate`` prints.
        output: The output of the node that expands it.
    """

    document: dict[str, Any]
    output: bytes


def expand_map(
    spec: NodeSpec, results: Mapping[str, bytes], maximum: int = MAX_NODES
) -> ExpandedMap:
    """Return the tree of a map.

    Args:
        spec: The node that expands it.
        results: ``{name: result}``, as JSON, of the results that it uses.
        maximum: Of the number of items.

    Raises:
        MissingResultError: a result is missing.
        ExpansionError: the result is not a list, or too long; or an item does not fit, or
            has no name of its own.
    """
    expansion = spec.expansion
    if expansion is None:
        raise ExpansionError("it is not a map that the driver expands")
    if expansion.over not in names_in(spec):
        raise ExpansionError(f"it runs over the result of {expansion.over}, which it does not use")
    inputs = inputs_text(results)
    try:
        items = json.loads(inputs)[expansion.over]
        document = expanded(expansion, items, maximum)
    except (ValueError, TypeError, RecursionError) as error:
        raise ExpansionError(str(error)) from error
    count = f"{len(items):,} {'item' if len(items) == 1 else 'items'}"
    return ExpandedMap(document, f"{count}\n".encode())
