"""An estimate of the resources and cost of a launch in the cloud, without a call to AWS.

Durations come from the history, or from a stated assumption. The estimate is on the high side: it
counts the start and idle time of every worker, and one attempt of every Exec.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from conducto_core.model.nodes import NodeSpec, Pipeline
from conducto_core.model.states import NodeType
from conducto_core.semantics.asl.compiler import Compiled, compile_residual
from conducto_core.semantics.fargate import PRICES, Size, rounding_note, size_for
from conducto_core.semantics.naming import Site, pool_name
from conducto_core.semantics.pools import PoolKind, kind_of
from conducto_core.semantics.residual import residual
from conducto_core.semantics.service_costs import request_dollars
from conducto_core.semantics.tree_state import TreeState

#: Assumed seconds of a command without history.
ASSUMED_SECONDS = 60.0
#: Seconds from a worker's start, which is charged, to its first command.
START_SECONDS = 45.0
#: Seconds for which an idle worker waits for another command.
IDLE_SECONDS = 60.0
_NOWHERE = Site("us-east-1", "000000000000")


@dataclass(slots=True)
class PoolEstimate:
    """The workers of one pool.

    Attributes:
        workers: Maximum number at once.
        execs: Number of commands they run.
        seconds: Total time of the commands.
        worker_seconds: Total time of the workers, with their start and idle time.
    """

    image: str
    kind: PoolKind
    size: Size
    workers: int = 0
    execs: int = 0
    seconds: float = 0.0
    worker_seconds: float = 0.0
    dollars: float = 0.0


@dataclass(slots=True)
class Estimate:
    """The estimated resources and cost of a launch.

    Attributes:
        pools: The most expensive first.
        transitions: State transitions if every command succeeds.
        known: Execs whose duration comes from the history; the others count `assumed` seconds.
        notes: A sentence for each node whose size is rounded up (maximum `MAX_NOTES`), and for each
            part that the estimate leaves out.
    """

    pools: list[PoolEstimate] = field(default_factory=list)
    machines: int = 0
    transitions: int = 0
    execs: int = 0
    known: int = 0
    assumed: float = ASSUMED_SECONDS
    cpu_hours: float = 0.0
    worker_dollars: float = 0.0
    transition_dollars: float = 0.0
    request_dollars: float = 0.0
    notes: list[str] = field(default_factory=list)

    @property
    def dollars(self) -> float:
        """The total cost."""
        return self.worker_dollars + self.transition_dollars + self.request_dollars


MAX_NOTES = 20


def estimate(
    pipeline: Pipeline,
    *,
    history: Mapping[str, float] | None = None,
    max_workers: int,
    spot: bool = False,
) -> Estimate:
    """Return the resources and cost of one run; ``history`` is ``{path: seconds}``.

    Raises:
        DefinitionError: a node is larger than any worker.
    """
    seconds = {} if history is None else history
    found = Estimate()
    tree = TreeState(pipeline)
    rest = residual(tree)
    compiled = compile_residual(rest, _NOWHERE)
    found.machines = len(compiled.machines)
    found.transitions = _transitions(compiled, pipeline)
    pools: dict[str, PoolEstimate] = {}
    for spec in [] if rest is None else rest.execs():
        _add(pools, spec, seconds, found)
    for name, width in _widths(pipeline).items():
        if name in pools:
            _price(pools[name], width, max_workers, PRICES.worker_hour(pools[name].size, spot=spot))
    found.pools = sorted(pools.values(), key=lambda pool: -pool.dollars)
    found.cpu_hours = sum(p.size.cpu * p.worker_seconds for p in found.pools) / 3600
    found.worker_dollars = sum(pool.dollars for pool in found.pools)
    found.transition_dollars = found.transitions * PRICES.transition
    found.request_dollars = request_dollars(found.execs, sum(p.seconds for p in found.pools))
    _note(found, pipeline)
    return found


def _add(
    pools: dict[str, PoolEstimate], spec: NodeSpec, history: Mapping[str, float], found: Estimate
) -> None:
    place = spec.placement
    size = size_for(spec.path, place.cpu, place.mem)
    pool = pools.setdefault(pool_name(spec), PoolEstimate(place.image, kind_of(spec.pool), size))
    if (size.cpu, size.mem) > (pool.size.cpu, pool.size.mem):  # a context's largest member counts
        pool.size = size
    pool.execs += 1
    pool.seconds += history.get(spec.path, ASSUMED_SECONDS)
    found.execs += 1
    found.known += spec.path in history
    note = rounding_note(spec.path, place.cpu, place.mem)
    if note is not None:
        found.notes.append(note)


def _price(pool: PoolEstimate, width: int, max_workers: int, hour: float) -> None:
    match pool.kind:
        case PoolKind.ONCE:
            starts, idle = pool.execs, 0.0
        case PoolKind.CONTEXT:
            starts, idle = 1, IDLE_SECONDS
        case PoolKind.MANY:
            starts, idle = max(1, min(width, pool.execs, max_workers)), IDLE_SECONDS
    pool.workers = min(starts, max_workers)
    pool.worker_seconds = max(
        pool.seconds + starts * (START_SECONDS + idle), starts * PRICES.least_seconds
    )
    pool.dollars = pool.worker_seconds / 3600 * hour


def _widths(pipeline: Pipeline) -> dict[str, int]:
    """Return, for each pool, the number of its Execs that may run at once."""
    below: dict[str, dict[str, int]] = {}
    for path in reversed(pipeline.nodes):
        spec = pipeline.nodes[path]
        if spec.type is NodeType.EXEC:
            below[path] = {pool_name(spec): 1}
            continue
        prefix = "/" if path == "/" else path + "/"
        parts = [below.pop(prefix + name, {}) for name in spec.children]
        below[path] = _together(parts, serial=spec.type is NodeType.SERIAL)
        if spec.max_concurrent is not None:
            below[path] = {k: min(v, spec.max_concurrent) for k, v in below[path].items()}
    return below.get("/", {})


def _together(parts: list[dict[str, int]], *, serial: bool) -> dict[str, int]:
    widths: dict[str, int] = {}
    for part in parts:
        for pool, width in part.items():
            before = widths.get(pool, 0)
            widths[pool] = max(before, width) if serial else before + width
    return widths


def _transitions(compiled: Compiled, pipeline: Pipeline) -> int:
    groups = sum(node.type is not NodeType.EXEC for node in pipeline.nodes.values())
    tasks = sum(machine.tasks for machine in compiled.machines)
    return tasks + groups + 3 * len(compiled.machines)


def _note(found: Estimate, pipeline: Pipeline) -> None:
    more = len(found.notes) - MAX_NOTES
    if more > 0:
        found.notes[MAX_NOTES:] = [f"... and {more} more nodes"]
    if any(node.awaits_tree for node in pipeline.nodes.values()):
        found.notes.append("trees that a Lazy generates are not counted: they are not known yet")
