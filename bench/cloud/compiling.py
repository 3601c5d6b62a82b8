"""The cost of compiling a tree to state machines."""

import gc
import time
from collections.abc import Callable

from bench.cloud.lab import CloudLab
from conducto_core.asl.rules.compiler import compile_residual
from conducto_core.asl.rules.naming import Site
from conducto_core.asl.rules.states import residual
from conducto_core.run.model.states import NodeType
from conducto_core.run.rules.tree_state import TreeState
from conducto_core.tree.model import NodeSpec, Pipeline, Placement

Found = dict[str, float]
_SITE = Site("us-east-1", "123456789012")
_PLACEMENT = Placement(image="i")


def compile_cost(size: int) -> Callable[[CloudLab], Found]:
    """Return a measurement of the compiler on a Parallel of ``size`` Execs."""

    def measure(_lab: CloudLab) -> Found:
        tree = TreeState(flat(size))
        gc.collect()
        started, cpu_started = time.perf_counter(), time.process_time()
        machines = compile_residual(residual(tree), _SITE).machines
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu_started
        return {
            "seconds": seconds,
            "cpu_seconds": cpu,  # of one core, so that other work on the machine does not count
            "us_per_exec": 1e6 * cpu / size,
            "machines": len(machines),
            "bytes_per_exec": sum(len(m.definition) for m in machines) / size,
        }

    return measure


def flat(size: int) -> Pipeline:
    """Return a Parallel of Execs."""
    names = tuple(f"n{i:06}" for i in range(size))
    nodes = {"/": NodeSpec("/", NodeType.PARALLEL, names)}
    for name in names:
        path = f"/{name}"
        nodes[path] = NodeSpec(
            path, NodeType.EXEC, command="true", placement=_PLACEMENT, max_time=1e4, pool="p"
        )
    return Pipeline(nodes, {})
