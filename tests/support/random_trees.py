"""Random trees, and random events on them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from conducto_core.run.model import events as ev
from conducto_core.run.model.states import Cause
from conducto_core.run.rules.live_nodes import LiveNode
from conducto_core.run.rules.tree_state import TreeState
from conducto_core.tree.model import NodeSpec
from conducto_core.tree.rules.resolve import resolve_generated
from support.trees import Driver, form, lazy, leaf, parallel, serial

RARELY = st.sampled_from([False, False, False, True])

CALLBACKS = st.sampled_from(
    [
        [],
        [],
        [],
        [["error", ["retry", {"max_num_retries": 1}]]],
        [["error", ["retry_then_skip", {"max_num_retries": 1}]]],
        [["error", ["handle_memory_errors", {"mem_limits": [4, 8]}]]],
        [["killed", ["retry", {"max_num_retries": 1}]]],
        [["error", ["skip_some_errors", {"max_num_errors": 1}]]],
    ]
)


NO_CALLBACKS = st.just([])
NO_LAZIES = st.just(0)


@st.composite
def leaves(draw: Any, callbacks: Any = CALLBACKS) -> dict[str, Any]:
    return leaf(
        skip=draw(RARELY),
        suppress_errors=draw(RARELY),
        callbacks=draw(callbacks),
    )


@st.composite
def trees(
    draw: Any,
    callbacks: Any = CALLBACKS,
    lazies: Any = NO_LAZIES,
    levels: int = 2,
    least: int = 2,
) -> dict[str, Any]:
    """Return a strategy of groups with ``least`` to 4 children, nested up to ``levels`` levels."""
    kind = draw(st.sampled_from([serial, parallel]))
    below = trees(callbacks, lazies, levels - 1, least=0)
    one = leaves(callbacks)
    choices = [one, one, one, below, below] if levels else [one]
    children = [draw(draw(st.sampled_from(choices))) for _ in range(draw(st.integers(least, 4)))]
    children += [lazy() for _ in range(draw(lazies))]
    return kind(
        *draw(st.permutations(children)),
        stop_on_error=draw(st.booleans()),
        suppress_errors=draw(RARELY),
        skip=draw(RARELY) and draw(RARELY),
        max_time=draw(st.sampled_from([None, None, 5])),
        callbacks=draw(callbacks),
    )


TREES = trees(lazies=st.sampled_from([0, 0, 0, 1]))
#: Trees that a Lazy prints.
PLAIN_TREES = st.one_of(trees(levels=1, least=0), leaves())
#: Without callbacks and Lazy nodes, the states of a tree follow from its leaves alone.
SILENT_TREES = trees(callbacks=NO_CALLBACKS)

#: Possible events and their weights; a failing example is reduced to the first one.
ORDERS = ("nothing", "reset", "skip", "unskip", "kill", "pause", "run", "run", "modify")


def act(data: Any, driver: Driver) -> None:
    """Apply a random event that is possible now."""
    tree = driver.tree
    paths = sorted(tree.nodes)
    choices = [*ORDERS]
    choices += ["start"] * 6 if driver.queued else []
    choices += ["finish"] * 8 if driver.running else []
    choices += ["expire"] if driver.timers else []
    match data.draw(st.sampled_from(choices)):
        case "nothing":
            pass
        case "start":
            driver.start(data.draw(st.sampled_from(sorted(driver.queued))))
        case "finish":
            finish(data, driver, data.draw(st.sampled_from(sorted(driver.running))))
        case "expire":
            driver.send(ev.TimeLimitReached(data.draw(st.sampled_from(sorted(driver.timers)))))
        case "pause":
            driver.send(ev.Disarmed())
        case "run":
            driver.send(ev.Armed())
        case "modify":
            path = data.draw(st.sampled_from(paths))
            driver.send(ev.NodesModified({path: edited(data, tree.nodes[path])}))
        case order:
            some = data.draw(st.lists(st.sampled_from(paths), min_size=1, max_size=2, unique=True))
            event = {
                "reset": ev.NodesReset,
                "skip": ev.NodesSkipped,
                "unskip": ev.NodesUnskipped,
                "kill": ev.NodesKilled,
            }[order]
            driver.send(event(tuple(some)))


def edited(data: Any, node: LiveNode) -> NodeSpec:
    """Return a node's definition with changed policies."""
    return replace(
        node.spec,
        stop_on_error=data.draw(st.booleans()),
        suppress_errors=data.draw(st.booleans()),
    )


def finish(data: Any, driver: Driver, path: str) -> None:
    """End a running Exec with a random outcome; the Exec of a Lazy prints a tree first."""
    node = driver.tree.nodes[path]
    cause = data.draw(st.sampled_from([None, None, Cause.EXIT_CODE, Cause.OUT_OF_MEMORY]))
    if node.spec.lazy_target is not None and cause is None and path not in driver.stopping:
        specs = {n.path: n.spec for n in driver.tree.nodes.values()}
        here = type(driver.pipeline)(specs, driver.pipeline.images)
        tree = data.draw(PLAIN_TREES)
        nodes = resolve_generated(form(tree), node.spec.lazy_target, here).nodes
        driver.send(ev.TreeGenerated(path, nodes))
    driver.finish(path, cause, mem=2.0)


def ordered(tree: TreeState) -> Iterator[LiveNode]:
    """Yield all nodes in definition order, parents first."""
    return tree.subtree(tree.root)
