"""The cost of one event of the state machine in `conducto_core.run`, by tree size."""

import gc
import time
from collections.abc import Callable, Iterable, Iterator

from bench.local.lab import LocalLab
from conducto_core.run.model import events as ev
from conducto_core.run.model.states import NodeType
from conducto_core.run.rules.machine import advance
from conducto_core.run.rules.tree_state import TreeState
from conducto_core.tree.model import NodeSpec, Pipeline, Placement

Found = dict[str, float]
#: Number of Execs that are run of each tree, with two events each, and of Execs in each chain.
_RUN = 1000
_CHAIN = 10
_PLACEMENT = Placement(image="i")


def event_cost(size: int) -> Callable[[LocalLab], Found]:
    """Return a measurement of the mean cost of an event in a tree of ``size`` Execs."""

    def measure(_lab: LocalLab) -> Found:
        count = min(_RUN, size)
        trees = max(1, _RUN // count)
        seconds = sum(_run(size, count) for _ in range(trees))
        return {"us_per_event": 1e6 * seconds / (2 * count * trees)}

    return measure


def _run(size: int, count: int) -> float:
    """Run ``count`` Execs, chain by chain; return the seconds."""
    tree = TreeState(_chains(size))
    firsts = iter(list(_orders(advance(tree, ev.Armed()))))
    tree.take_changes()
    gc.collect()
    order: ev.Enqueue | None = None
    started = time.perf_counter()
    for _ in range(count):
        order = next(firsts) if order is None else order
        advance(tree, ev.AttemptStarted(order.path, order.attempt))
        commands = advance(tree, ev.AttemptFinished(order.path, order.attempt, None))
        tree.take_changes()
        order = next(_orders(commands), None)
    return time.perf_counter() - started


def _orders(commands: Iterable[ev.Command]) -> Iterator[ev.Enqueue]:
    return (command for command in commands if isinstance(command, ev.Enqueue))


def _chains(size: int) -> Pipeline:
    """Return a Parallel of Serials of ten Execs."""
    names = tuple(f"n{i}" for i in range(_CHAIN))
    groups = tuple(f"g{i}" for i in range(size // _CHAIN))
    nodes = {"/": NodeSpec("/", NodeType.PARALLEL, groups)}
    for group in groups:
        path = f"/{group}"
        nodes[path] = NodeSpec(path, NodeType.SERIAL, names)
        for name in names:
            below = f"{path}/{name}"
            nodes[below] = NodeSpec(
                below, NodeType.EXEC, command="true", placement=_PLACEMENT, max_time=1e4, pool="p"
            )
    return Pipeline(nodes, {})
