"""Trees with given states of their leaves, and the resulting states of their groups.

For readers that add up states themselves, such as the web app between two pages of a tree: a
case is one JSON object with

- ``name``: its subject;
- ``nodes``: every node, parents first: ``path`` and ``type``; for a group ``stop_on_error``,
  ``suppress_errors``, ``expired`` (its time ran out), ``awaits_tree`` (a Lazy's target without a
  tree); for an Exec ``state`` and ``warning``; for both ``skipped``. A flag is left out when it is
  as usual: ``stop_on_error`` true, all others false;
- ``groups``: ``{path: {state, warning, cause, counts}}``, computed by the semantics.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from random import Random
from typing import Any

from conducto_core.run.model.records import NodeState
from conducto_core.run.model.states import NodeType, State
from conducto_core.run.rules.live_nodes import LiveGroup
from conducto_core.run.rules.tree_state import TreeState
from conducto_core.tree.model import NodeSpec, Pipeline, child_path

RANDOM_CASES = 60
_SEED = 20_26

Written = dict[str, Any]


def a(state: str, **flags: bool) -> Written:
    """An Exec in ``state``; flags are ``skipped`` and ``warning``."""
    return {"type": "Exec", "state": state, **flags}


def serial(*children: Written, **flags: bool) -> Written:
    """A Serial; see the module for its flags."""
    return {"type": "Serial", "children": children, **flags}


def parallel(*children: Written, **flags: bool) -> Written:
    """A Parallel; see the module for its flags."""
    return {"type": "Parallel", "children": children, **flags}


def roll_up_cases() -> list[dict[str, Any]]:
    """Return all cases, always the same ones."""
    return [
        case(name, tree)
        for name, tree in (*_PLAIN.items(), *_pairs(), *_random_trees(RANDOM_CASES))
    ]


def case(name: str, tree: Written) -> dict[str, Any]:
    """Return one case with the result of the semantics."""
    live = tree_of(tree)
    return {
        "name": name,
        "nodes": [_row(path, node) for path, node in _walk(tree)],
        "groups": {
            node.path: {
                "state": node.state.value,
                "warning": node.warning,
                "cause": None if node.cause is None else node.cause.value,
                "counts": live.counts(node).model_dump(),
            }
            for node in live.nodes.values()
            if isinstance(node, LiveGroup)
        },
    }


def tree_of(tree: Written) -> TreeState:
    specs: dict[str, NodeSpec] = {}
    states: list[NodeState] = []
    for path, node in _walk(tree):
        kind = NodeType(node["type"])
        specs[path] = NodeSpec(
            path,
            kind,
            children=tuple(str(i) for i in range(len(node.get("children", ())))),
            stop_on_error=node.get("stop_on_error", True),
            suppress_errors=node.get("suppress_errors", False),
            awaits_tree=node.get("awaits_tree", False),
        )
        states.append(
            NodeState(
                path=path,
                state=State(node.get("state", "pending")),
                skipped=node.get("skipped", False),
                warning=node.get("warning", False),
                expired=node.get("expired", False),
            )
        )
    return TreeState(Pipeline(specs, {}), states)


def _walk(tree: Written) -> Iterator[tuple[str, Written]]:
    stack = [("/", tree)]
    while stack:
        path, node = stack.pop()
        yield path, node
        children = [
            (child_path(path, str(i)), child) for i, child in enumerate(node.get("children", ()))
        ]
        stack.extend(reversed(children))


def _row(path: str, node: Written) -> dict[str, Any]:
    told = {k: v for k, v in node.items() if k != "children" and v is not (k == "stop_on_error")}
    return {"path": path, **told}


_PLAIN: dict[str, Written] = {
    "an empty Serial is done": serial(),
    "an empty Parallel is done": parallel(),
    "a target that waits for its tree is pending": parallel(awaits_tree=True),
    "a skipped target counts as done for its parent": serial(
        a("done"), parallel(awaits_tree=True, skipped=True)
    ),
    "a stopped Serial is in error while its later children are pending": serial(
        a("done"), a("error"), a("pending")
    ),
    "a Serial that does not stop waits for all": serial(
        a("error"), a("pending"), stop_on_error=False
    ),
    "and is in error at its end": serial(a("error"), a("done"), stop_on_error=False),
    "a Parallel waits for all": parallel(a("error"), a("pending")),
    "a killed Exec is a failure like any other": parallel(a("killed"), a("done")),
    "a late sibling that still runs keeps a stopped Serial running": serial(
        a("error"), a("running")
    ),
    "a suppressed error is done with a warning": serial(a("error"), suppress_errors=True),
    "the warning goes up to the root": parallel(serial(parallel(a("done", warning=True)))),
    "a warning below a failure is not shown": parallel(
        a("error"), serial(a("error"), suppress_errors=True)
    ),
    "a skipped failure does not count": serial(a("error", skipped=True), a("done")),
    "a skipped Exec that runs is waited for": serial(a("running", skipped=True), a("pending")),
    "a skipped group counts all its Execs as skipped": serial(
        parallel(a("error"), a("done", skipped=True), skipped=True), a("pending")
    ),
    "a group whose time ran out is killed": parallel(a("killed"), a("pending"), expired=True),
    "but not before what runs has ended": parallel(a("running"), a("pending"), expired=True),
    "a suppressed time limit is done with a warning": parallel(
        a("killed"), expired=True, suppress_errors=True
    ),
    "a warning survives in a skipped child": serial(
        parallel(a("done", warning=True), skipped=True)
    ),
}


def _pairs() -> Iterator[tuple[str, Written]]:
    """Yield every pair of states in every kind of group."""
    for first, second in product(State, State):
        for name, kind, flags in (
            ("a Serial", serial, {}),
            ("a Serial that does not stop", serial, {"stop_on_error": False}),
            ("a Parallel", parallel, {}),
        ):
            yield f"{name} of {first} and {second}", kind(a(first), a(second), **flags)


def _random_trees(number: int) -> Iterator[tuple[str, Written]]:
    random = Random(_SEED)
    for index in range(number):
        yield f"at random {index}", _random_group(random, depth=3)


def _random_group(random: Random, depth: int) -> Written:
    kind = random.choice([serial, parallel])
    children = [
        _random_group(random, depth - 1)
        if depth and random.random() < 0.4
        else _random_exec(random)
        for _ in range(random.randrange(5))
    ]
    return kind(
        *children,
        stop_on_error=random.random() < 0.5,
        suppress_errors=random.random() < 0.25,
        skipped=random.random() < 0.15,
        expired=random.random() < 0.1,
    )


def _random_exec(random: Random) -> Written:
    state = random.choice(["pending", "queued", "running", "done", "done", "done", "error"])
    return a(
        "killed" if state == "error" and random.random() < 0.3 else state,
        skipped=random.random() < 0.15,
        warning=state == "done" and random.random() < 0.2,
    )
