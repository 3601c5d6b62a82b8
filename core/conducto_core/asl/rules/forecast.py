"""An estimate of the resources and cost of a launch in the cloud, without a call to AWS.

Durations come from the caller, from the history, or from a stated assumption. Workers are those of
a simulated run (`forecast`), with their start and idle time, and each Exec has one attempt.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush

from conducto_core.asl.rules.compiler import Compiled, compile_residual
from conducto_core.asl.rules.naming import Site, pool_name
from conducto_core.asl.rules.states import residual
from conducto_core.billing import rules as plans
from conducto_core.billing.rules import charged_seconds, request_dollars
from conducto_core.budgets.rules import PriceRange
from conducto_core.machines.rules import worker_size
from conducto_core.run.model.states import NodeType
from conducto_core.run.rules.tree_state import TreeState
from conducto_core.tree.model import NodeSpec, Pipeline, SpotUse
from conducto_core.tree.rules.callbacks import PoolKind, kind_of
from conducto_core.workers.rules.fargate import PRICES, USUAL_START, Size, rounding_note

# ----------------------------------------------------------------------------------------
# A forecast of the workers of a run: the number that starts, and how long each exists.
#
# It simulates the run with a duration for each Exec, by the rules of the cloud. An Exec is queued
# when the nodes before it are done, and an idle worker of its pool takes it. Otherwise a worker
# starts for it (`conducto_core.workers.rules.pools`); if the plan has no room, the idle workers of
# other pools stop for it. A worker stops when no further Exec of its pool is left to start
# (`conducto_core.workers.rules.pools`), and after `IDLE_SECONDS` without a command.


#: Seconds from a worker's start, which is charged, to its first command.
START_SECONDS = 45.0
#: Seconds from a launch to the first request for a worker: of a small tree, and more for each Exec
#: (``make bench BENCH=cloud`` with ``--only launch``).
_REQUEST_SECONDS, _REQUEST_EACH = 0.5, 2.3e-5
#: Seconds for which an idle worker waits for another command.
IDLE_SECONDS = 60.0


def first_command(execs: int) -> tuple[float, str]:
    """Return the seconds from a launch in the cloud to its first command, and the reason."""
    request = _REQUEST_SECONDS + _REQUEST_EACH * execs
    why = (
        f"a worker is requested after {request:.1f} s; {USUAL_START}; state machines are made "
        "meanwhile"
    )
    return request + START_SECONDS, why


@dataclass(frozen=True, slots=True)
class Conditions:
    """The conditions of a run.

    Attributes:
        max_workers: Maximum number of workers at once, of all pools.
        start_seconds: Seconds from the start of a worker to its first command.
        idle_seconds: Seconds after which a worker without a command stops.
    """

    max_workers: int
    start_seconds: float = START_SECONDS
    idle_seconds: float = IDLE_SECONDS


@dataclass(slots=True)
class PoolForecast:
    """The workers of one kind.

    Attributes:
        lives: Seconds of each worker, from its start to its stop.
        now: Number of workers that exist, while the run is simulated.
        at_once: Maximum number at once.
    """

    lives: list[float] = field(default_factory=list)
    now: int = 0
    at_once: int = 0


def forecast(
    pipeline: Pipeline, seconds: Mapping[str, float], conditions: Conditions
) -> dict[str, PoolForecast]:
    """Return ``{name of the pool: its workers}`` of a run in which every command succeeds.

    Args:
        pipeline: The tree.
        seconds: ``{path: duration}`` of each Exec that runs; the others take no time.
        conditions: The limits and times of workers.
    """
    return _Run(pipeline, seconds, conditions).play()


@dataclass(slots=True, eq=False)
class _Worker:
    """A worker; ``turn`` counts its idle times."""

    pool: "_Pool"
    began: float
    turn: int = 0


@dataclass(slots=True)
class _Pool:
    """Execs that the same workers can run, and these workers.

    Attributes:
        groups: Groups with ``max_concurrent`` above its Execs.
        left: Number of Execs that are not done.
        pending: Number of Execs that have not started.
    """

    kind: PoolKind
    groups: Sequence[str]
    found: PoolForecast
    left: int = 0
    pending: int = 0
    queued: deque[str] = field(default_factory=deque)
    idle: deque[_Worker] = field(default_factory=deque)
    workers: int = 0
    starting: list[_Worker] = field(default_factory=list)


class _Run:
    """The simulation of one run."""

    def __init__(
        self, pipeline: Pipeline, seconds: Mapping[str, float], conditions: Conditions
    ) -> None:
        self._nodes, self._seconds, self._conditions = pipeline.nodes, seconds, conditions
        self._now, self._number, self._alive = 0.0, 0, 0
        self._lazies = 0
        self._found: dict[str, PoolForecast] = {}
        self._pools: dict[str, _Pool] = {}
        self._pool_at: dict[str, _Pool] = {}
        self._left = {path: len(spec.children) for path, spec in self._nodes.items()}
        nodes = self._nodes.items()
        self._room = {p: s.max_concurrent for p, s in nodes if s.max_concurrent is not None}
        self._groups: dict[str, tuple[str, ...]] = {}
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        for path, spec in self._nodes.items():
            if path in seconds:
                self._add(spec)

    def _add(self, spec: NodeSpec) -> None:
        groups = self._groups_above(spec.path)
        name = pool_name(spec, "", groups)
        if name not in self._pools:
            found = self._found.setdefault(pool_name(spec), PoolForecast())
            self._pools[name] = _Pool(kind_of(spec.pool), groups, found)
        self._pool_at[spec.path] = self._pools[name]
        self._pools[name].left += 1
        self._pools[name].pending += 1
        self._lazies += spec.lazy_target is not None

    def _groups_above(self, path: str) -> tuple[str, ...]:
        above = _parent(path)
        if above not in self._groups:
            own = (above,) if above in self._room else ()
            self._groups[above] = own if above == "/" else own + self._groups_above(above)
        return self._groups[above]

    def play(self) -> dict[str, PoolForecast]:
        """Run it to its end; return the workers."""
        self._begin(["/"])
        self._assign()
        while self._events:
            self._now, _, event = heappop(self._events)
            event()
            while self._events and self._events[0][0] == self._now:
                heappop(self._events)[2]()
            self._assign()
        return self._found

    # ---- nodes --------------------------------------------------------------------------------

    def _begin(self, paths: list[str]) -> None:
        """Start nodes; those without a command are done at once."""
        while paths:
            path = paths.pop()
            spec = self._nodes[path]
            if path in self._pool_at:
                self._pool_at[path].queued.append(path)
            elif spec.children and spec.type is not NodeType.EXEC:
                first = spec.children[:1] if spec.type is NodeType.SERIAL else spec.children
                paths += [_below(path, name) for name in reversed(first)]
            else:
                paths += self._after(path)

    def _after(self, path: str) -> list[str]:
        """Return the nodes that can start because this one is done."""
        while path != "/":
            path = _parent(path)
            spec = self._nodes[path]
            self._left[path] -= 1
            if self._left[path]:
                is_serial = spec.type is NodeType.SERIAL
                return [_below(path, spec.children[-self._left[path]])] if is_serial else []
        return []

    # ---- workers ------------------------------------------------------------------------------

    def _assign(self) -> None:
        """Give queued Execs to idle workers, and start workers for the others."""
        resting = [pool for pool in self._pools.values() if pool.idle]
        for pool in resting:
            while pool.queued and pool.idle and self._has_room(pool):
                self._give_work(pool.idle.popleft(), pool.queued.popleft())
        for pool in self._pools.values():
            if pool.queued and not self._start(pool, resting):
                return  # the others find no room either

    def _has_room(self, pool: _Pool) -> bool:
        return all(self._room[group] > 0 for group in pool.groups)

    def _start(self, pool: _Pool, resting: Sequence[_Pool]) -> bool:
        """Start the workers that a pool needs; return False if the plan has no room for one."""
        could_run = min([len(pool.queued), *(self._room[group] for group in pool.groups)])
        wanted = could_run - len(pool.starting) - len(pool.idle)
        if pool.kind is PoolKind.CONTEXT:
            wanted = min(wanted, 1 - pool.workers)
        for _ in range(wanted):
            if self._alive >= self._conditions.max_workers and not self._spare(resting):
                return False
            self._alive += 1
            pool.workers += 1
            pool.found.now += 1
            pool.found.at_once = max(pool.found.at_once, pool.found.now)
            worker = _Worker(pool, self._now)
            pool.starting.append(worker)
            self._at(self._conditions.start_seconds, self._started, worker)
        return True

    def _spare(self, resting: Sequence[_Pool]) -> bool:
        """Stop an idle worker without a queued Exec; return whether there was one."""
        for pool in resting:
            if pool.idle and not pool.queued and pool.kind is not PoolKind.CONTEXT:
                self._stop(pool.idle.popleft())
                return True
        return False

    def _started(self, worker: _Worker) -> None:
        if worker in worker.pool.starting:
            worker.pool.starting.remove(worker)
            self._rest(worker)

    def _rest(self, worker: _Worker) -> None:
        worker.turn += 1
        if self._is_over(worker.pool):
            self._stop(worker)
            return
        worker.pool.idle.append(worker)
        turn = worker.turn
        if worker.pool.kind is not PoolKind.CONTEXT:  # it waits for its group
            self._at(self._conditions.idle_seconds, lambda each: self._leave(each, turn), worker)

    def _is_over(self, pool: _Pool) -> bool:
        """Return whether no further Exec of a pool may need a worker."""
        if pool.kind is PoolKind.CONTEXT:
            return not pool.left
        return not pool.pending and not self._lazies

    def _leave(self, worker: _Worker, turn: int) -> None:
        if worker.turn == turn and worker in worker.pool.idle:
            worker.pool.idle.remove(worker)
            self._stop(worker)

    def _stop(self, worker: _Worker) -> None:
        self._alive -= 1
        worker.pool.workers -= 1
        worker.pool.found.now -= 1
        worker.pool.found.lives.append(self._now - worker.began)

    def _give_work(self, worker: _Worker, path: str) -> None:
        worker.turn += 1
        worker.pool.pending -= 1
        for group in worker.pool.groups:
            self._room[group] -= 1
        if self._is_over(worker.pool):
            self._release(worker.pool)
        self._at(self._seconds[path], lambda each: self._end(each, path), worker)

    def _release(self, pool: _Pool) -> None:
        """Stop the workers of a pool that have no command."""
        for worker in (*pool.idle, *pool.starting):
            self._stop(worker)
        pool.idle.clear()
        pool.starting.clear()

    def _end(self, worker: _Worker, path: str) -> None:
        pool = worker.pool
        pool.left -= 1
        self._lazies -= self._nodes[path].lazy_target is not None
        for group in pool.groups:
            self._room[group] += 1
        if pool.kind is PoolKind.ONCE:
            self._stop(worker)
        else:
            self._rest(worker)
        self._begin(self._after(path))

    def _at(self, seconds: float, event: Callable[[_Worker], None], worker: _Worker) -> None:
        self._number += 1
        heappush(self._events, (self._now + seconds, self._number, lambda: event(worker)))


def _below(path: str, name: str) -> str:
    return f"/{name}" if path == "/" else f"{path}/{name}"


def _parent(path: str) -> str:
    return path.rpartition("/")[0] or "/"


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
    spot: SpotUse = SpotUse.SHARE
    workers: int = 0
    starts: int = 0
    execs: int = 0
    seconds: float = 0.0
    worker_seconds: float = 0.0
    dollars: float = 0.0

    def is_spot(self, share: bool | None) -> bool:
        """Return whether the price is that of Spot.

        Args:
            share: That of pools whose nodes do not say; None: none of them is.
        """
        if share is None or self.kind is PoolKind.CONTEXT:
            return False
        return share if self.spot is SpotUse.SHARE else self.spot.is_asked


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

    def price(self, rates: plans.Rates) -> float:
        """Return the price of the workers for an organisation that pays these rates."""
        vcpu = sum(pool.worker_seconds * pool.size.cpu for pool in self.pools)
        gb = sum(pool.worker_seconds * pool.size.mem for pool in self.pools)
        return plans.dollars(vcpu, gb, rates)


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
        spot: Whether workers run on Spot, where the node does not say.

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
    _caveat(found, pipeline, execs)
    return found


def price_range(
    pipeline: Pipeline,
    runs: Iterable[Mapping[str, float]],
    max_workers: int,
    rates: plans.Rates | None = None,
) -> PriceRange:
    """Return the price of one run, without the trees that Lazy nodes generate.

    Args:
        pipeline: The tree.
        runs: The durations of each earlier run.
        max_workers: Maximum number of workers at once.
        rates: What the organisation pays for workers; None: AWS's prices, with requests.

    Raises:
        DefinitionError: a node is larger than any worker.
    """
    execs = [spec for spec in pipeline.execs() if spec.has_command]

    def cost(seconds: Mapping[str, float]) -> float:
        pools = _pools(pipeline, execs, seconds, Conditions(max_workers), spot=None)
        return sum(_dollars(pools)) if rates is None else Estimate(pools).price(rates)

    usual = [{e.path: run.get(e.path, ASSUMED_SECONDS) for e in execs} for run in runs]
    costs = [cost(seconds) for seconds in usual]
    most = cost({spec.path: spec.max_time or 0.0 for spec in execs})
    return min(costs, default=None), max(costs, default=None), most


def _pools(
    pipeline: Pipeline,
    execs: Iterable[NodeSpec],
    seconds: Mapping[str, float],
    conditions: Conditions,
    *,
    spot: bool | None,
) -> list[PoolEstimate]:
    """Return the pools of a run with these durations, the most expensive first."""
    pools: dict[str, PoolEstimate] = {}
    for spec in execs:
        _add(pools, spec, seconds[spec.path])
    for name, workers in forecast(pipeline, seconds, conditions).items():
        pool = pools[name]
        _price(pool, workers, PRICES.worker_hour(pool.size, spot=pool.is_spot(spot)))
    return sorted(pools.values(), key=lambda pool: -pool.dollars)


def _dollars(pools: Sequence[PoolEstimate]) -> tuple[float, float]:
    """Return the cost of workers, and that of requests and records."""
    execs = sum(pool.execs for pool in pools)
    seconds = sum(pool.worker_seconds for pool in pools)
    return sum(pool.dollars for pool in pools), request_dollars(execs, seconds)


def _add(pools: dict[str, PoolEstimate], spec: NodeSpec, seconds: float) -> None:
    place = spec.placement
    size = worker_size(spec.path, place)
    found = PoolEstimate(place.image, kind_of(spec.pool), size, place.spot)
    pool = pools.setdefault(pool_name(spec), found)
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


def _caveat(found: Estimate, pipeline: Pipeline, execs: Sequence[NodeSpec]) -> None:
    sizes = ((spec.path, spec.placement) for spec in execs)
    notes = (
        rounding_note(
            f"{path} with its services" if place.services else path,
            place.total_cpu,
            place.total_mem,
        )
        for path, place in sizes
        if place.machine is None
    )
    autos = [
        f"{spec.path}: mem='auto' is {spec.placement.mem:g} GB: {spec.auto_mem}"
        for spec in execs
        if spec.auto_mem
    ]
    found.notes += [*autos, *(note for note in notes if note is not None)]
    more = len(found.notes) - MAX_NOTES
    if more > 0:
        found.notes[MAX_NOTES:] = [f"... and {more} more nodes"]
    if any(node.awaits_tree for node in pipeline.nodes.values()):
        found.notes.append("trees that a Lazy generates are not counted: they are not known yet")
