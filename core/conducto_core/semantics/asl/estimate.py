"""An estimate of the resources and cost of a launch in the cloud, without a call to AWS.

Durations come from the caller, from the history, or from a stated assumption. Workers are those of
a simulated run (`forecast`), with their start and idle time, and each Exec has one attempt.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from conducto_core.model.nodes import NodeSpec, Pipeline
from conducto_core.model.states import NodeType
from conducto_core.semantics import plans
from conducto_core.semantics.asl.compiler import Compiled, compile_residual
from conducto_core.semantics.asl.forecast import Conditions, PoolForecast, forecast
from conducto_core.semantics.cost import charged_seconds
from conducto_core.semantics.fargate import PRICES, Size, rounding_note, size_for
from conducto_core.semantics.naming import Site, pool_name
from conducto_core.semantics.pools import PoolKind, kind_of
from conducto_core.semantics.residual import residual
from conducto_core.semantics.service_costs import request_dollars
from conducto_core.semantics.tree_state import TreeState

#: Assumed seconds of a command without history.
ASSUMED_SECONDS = 60.0
_NOWHERE = Site("us-east-1", "000000000000")


@dataclass(slots=True)
class PoolEstimate:
    """The workers of one pool.

    Attributes:
        workers: Maximum number at once.
        starts: Number that start.
        execs: Number of commands they run.
        seconds: Total time of the commands.
        worker_seconds: Total time of the workers, with their start and idle time.
    """

    image: str
    kind: PoolKind
    size: Size
    workers: int = 0
    starts: int = 0
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
        low: The least cost with the durations of one of the earlier runs; None without any.
        high: The greatest cost with the durations of one of the earlier runs; None without any.
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
    low: float | None = None
    high: float | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def dollars(self) -> float:
        """The total cost."""
        return self.worker_dollars + self.transition_dollars + self.request_dollars

    def price(self, vcpu_hour: float, gb_hour: float) -> float:
        """Return the price of the workers for an organisation that pays this per hour."""
        vcpu = sum(pool.worker_seconds * pool.size.cpu for pool in self.pools)
        gb = sum(pool.worker_seconds * pool.size.mem for pool in self.pools)
        return plans.dollars(vcpu, gb, plans.Rates(vcpu_hour, gb_hour))


MAX_NOTES = 20


def estimate(
    pipeline: Pipeline,
    *,
    history: Mapping[str, float] | None = None,
    runs: Iterable[Mapping[str, float]] = (),
    max_workers: int,
    spot: bool = False,
) -> Estimate:
    """Return the resources and cost of one run.

    Args:
        pipeline: The tree.
        history: ``{path: seconds}`` of Execs whose duration is known.
        runs: The durations of each earlier run, for the range of costs.
        max_workers: Maximum number of workers at once.
        spot: Whether workers run on Spot.

    Raises:
        DefinitionError: a node is larger than any worker.
    """
    known = {} if history is None else history
    found = Estimate()
    tree = TreeState(pipeline)
    rest = residual(tree)
    compiled = compile_residual(rest, _NOWHERE)
    found.machines = len(compiled.machines)
    found.transitions = _transitions(compiled, pipeline)
    execs = [] if rest is None else list(rest.execs())
    found.execs, found.known = len(execs), sum(spec.path in known for spec in execs)
    found.transition_dollars = found.transitions * PRICES.transition
    conditions = Conditions(max_workers)
    seconds = {spec.path: known.get(spec.path, ASSUMED_SECONDS) for spec in execs}
    found.pools = _pools(pipeline, execs, seconds, conditions, spot=spot)
    found.cpu_hours = sum(p.size.cpu * p.worker_seconds for p in found.pools) / 3600
    found.worker_dollars, found.request_dollars = _dollars(found.pools)
    for run in runs:
        own = {path: run.get(path, usual) for path, usual in seconds.items()}
        dollars = sum(_dollars(_pools(pipeline, execs, own, conditions, spot=spot)))
        dollars += found.transition_dollars
        found.low = dollars if found.low is None else min(found.low, dollars)
        found.high = dollars if found.high is None else max(found.high, dollars)
    _note(found, pipeline, execs)
    return found


def _pools(
    pipeline: Pipeline,
    execs: Iterable[NodeSpec],
    seconds: Mapping[str, float],
    conditions: Conditions,
    *,
    spot: bool,
) -> list[PoolEstimate]:
    """Return the pools of a run with these durations, the most expensive first."""
    pools: dict[str, PoolEstimate] = {}
    for spec in execs:
        _add(pools, spec, seconds[spec.path])
    for name, workers in forecast(pipeline, seconds, conditions).items():
        _price(pools[name], workers, PRICES.worker_hour(pools[name].size, spot=spot))
    return sorted(pools.values(), key=lambda pool: -pool.dollars)


def _dollars(pools: Sequence[PoolEstimate]) -> tuple[float, float]:
    """Return the cost of workers, and that of requests and records."""
    execs = sum(pool.execs for pool in pools)
    seconds = sum(pool.worker_seconds for pool in pools)
    return sum(pool.dollars for pool in pools), request_dollars(execs, seconds)


def _add(pools: dict[str, PoolEstimate], spec: NodeSpec, seconds: float) -> None:
    place = spec.placement
    size = size_for(spec.path, place.cpu, place.mem)
    pool = pools.setdefault(pool_name(spec), PoolEstimate(place.image, kind_of(spec.pool), size))
    if (size.cpu, size.mem) > (pool.size.cpu, pool.size.mem):  # a context's largest member counts
        pool.size = size
    pool.execs += 1
    pool.seconds += seconds


def _price(pool: PoolEstimate, workers: PoolForecast, hour: float) -> None:
    pool.workers, pool.starts = workers.at_once, len(workers.lives)
    pool.worker_seconds = sum(charged_seconds(0.0, life) for life in workers.lives)
    pool.dollars = pool.worker_seconds / 3600 * hour


def _transitions(compiled: Compiled, pipeline: Pipeline) -> int:
    groups = sum(node.type is not NodeType.EXEC for node in pipeline.nodes.values())
    tasks = sum(machine.tasks for machine in compiled.machines)
    return tasks + groups + 3 * len(compiled.machines)


def _note(found: Estimate, pipeline: Pipeline, execs: Iterable[NodeSpec]) -> None:
    sizes = ((spec.path, spec.placement) for spec in execs)
    notes = (rounding_note(path, place.cpu, place.mem) for path, place in sizes)
    found.notes += [note for note in notes if note is not None]
    more = len(found.notes) - MAX_NOTES
    if more > 0:
        found.notes[MAX_NOTES:] = [f"... and {more} more nodes"]
    if any(node.awaits_tree for node in pipeline.nodes.values()):
        found.notes.append("trees that a Lazy generates are not counted: they are not known yet")
