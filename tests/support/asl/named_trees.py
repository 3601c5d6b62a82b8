"""Five trees that together use every kind of state that the compiler knows."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from conducto_core.asl.rules.compiler import Compiled, compile_residual
from conducto_core.asl.rules.naming import Site
from conducto_core.asl.rules.partition import MAX_SIZE, Size
from conducto_core.asl.rules.states import residual
from conducto_core.run.rules.tree_state import TreeState
from support.trees import lazy, leaf, parallel, pipeline, serial

SITE = Site("us-east-1", "123456789012")
Tree = Callable[[], dict[str, Any]]


def chain() -> dict[str, Any]:
    """A Serial that stops at the first failure."""
    return serial(leaf("a"), leaf("b"), leaf("c"))


def all_children_run() -> dict[str, Any]:
    """A Serial that continues after failures, in one that checks afterwards for failures."""
    return serial(serial(leaf("a"), leaf("b"), stop_on_error=False, name="tests"), leaf("after"))


def side_by_side() -> dict[str, Any]:
    """Branches, one of which may fail and one of which is skipped."""
    return parallel(
        leaf("a"),
        serial(leaf("x"), leaf("y"), name="may fail", suppress_errors=True),
        leaf("c", skip=True),
        serial(leaf("x"), parallel(leaf("p"), leaf("q"), name="inner"), name="d"),
    )


def generated() -> dict[str, Any]:
    """A tree that a Lazy generates, between two Execs."""
    return serial(leaf("before"), lazy("made"), leaf("after"))


def divided() -> dict[str, Any]:
    """A tree that does not fit into one machine."""
    return parallel(*(serial(leaf("a"), leaf("b"), name=f"g{n}") for n in range(4)))


#: ``{name: (tree, maximum size of a machine)}``
NAMED_TREES: dict[str, tuple[Tree, Size]] = {
    "chain": (chain, MAX_SIZE),
    "all_children_run": (all_children_run, MAX_SIZE),
    "side_by_side": (side_by_side, MAX_SIZE),
    "generated": (generated, MAX_SIZE),
    "divided": (divided, Size(3, 10**6, 10**6, 2)),
}


def compiled(name: str) -> Compiled:
    tree, maximum = NAMED_TREES[name]
    return compile_residual(residual(TreeState(pipeline(tree()))), SITE, maximum=maximum)


def machines_of_named_trees() -> dict[str, Any]:
    """Return ``{tree: [machine]}``, JSON-able, in the order in which machines are created."""
    return {
        name: [
            {
                "name": machine.name,
                "path": machine.path,
                "events": machine.events,
                "definition": json.loads(machine.definition),
            }
            for machine in compiled(name).machines
        ]
        for name in NAMED_TREES
    }
