"""The number of cloud workers to start. No I/O; see `workers_wanted`."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from conducto.wire.buckets import Bucket
from conducto.wire.services import Service
from conducto_core.asl.rules.naming import pool_name
from conducto_core.errors import invalid
from conducto_core.machines.model import MachineClass, Rung
from conducto_core.machines.rules import machine_size
from conducto_core.run.model.states import NodeType, State
from conducto_core.run.rules.live_nodes import LiveExec
from conducto_core.run.rules.tree_state import TreeState
from conducto_core.tree.model import NodeSpec, SpotUse, ancestors
from conducto_core.tree.rules.callbacks import PoolKind, kind_of, owner_of
from conducto_core.workers.model import WarmPool
from conducto_core.workers.rules.fargate import PRICES, Size, size_for

#: Maximum number of workers of one pool, whatever the plan allows.
MAX_PER_POOL = 1000


@dataclass(frozen=True, slots=True)
class Pool:
    """A set of Execs that the same workers can run.

    Attributes:
        name: Also used in the name of its activity.
        key: `NodeSpec.pool` of its Execs.
        groups: The groups whose capacity they count in: paths of nodes with ``max_concurrent`` or a
            budget, the innermost first, then named limits.
        cpu: vCPUs of the command and of the services beside it.
        mem: GB of both.
        arch: Architecture of its workers; "": x86_64.
        services: Containers beside the command.
        machine: Class of its machines; None: Fargate.
        gpu: GPUs of the command.
        buckets: Buckets that are directories of its containers.
        spot: Whether its workers are Spot tasks. One of a context never is: the state in its
            container would be lost.
    """

    name: str
    key: str
    image: str
    cpu: float
    mem: float
    groups: tuple[str, ...] = ()
    spot: SpotUse = SpotUse.SHARE
    arch: str = ""
    services: tuple[Service, ...] = ()
    machine: MachineClass | None = None
    gpu: int = 0
    buckets: tuple[Bucket, ...] = ()

    @property
    def size(self) -> Size:
        """The size of its workers."""
        if self.machine is not None:
            return machine_size(f"pool {self.name}", self.machine, self.cpu, self.mem, self.gpu)
        return size_for(f"pool {self.name}", self.cpu, self.mem, self.arch)

    @property
    def reported(self) -> Size:
        """The size whose price is reported as usage; on Fargate that of x86, also for ARM."""
        return self.size if self.machine is not None else replace(self.size, arch="")

    def hour(self, rung: Rung) -> float:
        """Return the dollars of an hour of a worker on a rung."""
        return PRICES.worker_hour(self.size, spot=rung is Rung.SPOT)

    @property
    def kind(self) -> PoolKind:
        """The kind of the pool."""
        return kind_of(self.key)

    @property
    def maximum(self) -> int:
        """Maximum number of workers at once."""
        return 1 if self.kind is PoolKind.CONTEXT else MAX_PER_POOL


def pool_of(spec: NodeSpec, pipeline_id: str, groups: tuple[str, ...]) -> Pool:
    """Return the pool of an Exec."""
    place = spec.placement
    name = pool_name(spec, pipeline_id, groups)
    spot = SpotUse.NEVER if kind_of(spec.pool) is PoolKind.CONTEXT else place.spot
    size = place.total_cpu, place.total_mem
    where = place.arch, place.services
    kind = place.machine, place.gpu
    return Pool(
        name,
        spec.pool,
        place.image,
        *size,
        groups,
        spot,
        *where,
        *kind,
        buckets=place.buckets,
    )


@dataclass(frozen=True, slots=True)
class PoolWorkers:
    """The workers of a pool.

    Attributes:
        starting: Not running yet.
        idle: Running, without a command.
        busy: Running a command; they are idle afterwards.
    """

    starting: int = 0
    idle: int = 0
    busy: int = 0


@dataclass(frozen=True, slots=True)
class Need:
    """The queued Execs of a pool.

    Attributes:
        ready: Their image is available, and AWS has capacity as far as is known.
    """

    pool: Pool
    queued: int
    ready: bool = True


def workers_wanted(
    needs: Iterable[Need], pool_workers: Mapping[str, PoolWorkers], room: Mapping[str, int]
) -> dict[str, int]:
    """Return ``{pool name: workers to start}``, without the pools that need none.

    One worker starts for every queued Exec that could run now and has no idle or starting worker:
    an idle worker costs a minute, a missing one costs the user's time.

    Args:
        needs: In the order in which they get room and workers.
        pool_workers: ``{pool name: its workers}``.
        room: ``{group: Execs that may still start in it}``.
    """
    left = dict(room)
    wanted: dict[str, int] = {}
    for need in needs:
        pool = need.pool
        could_run = min([need.queued, *(max(0, left[group]) for group in pool.groups)])
        for group in pool.groups:
            left[group] -= could_run
        there = pool_workers.get(pool.name, PoolWorkers())
        more = could_run - there.starting - there.idle
        maximum = pool.maximum - there.starting - there.idle - there.busy
        if need.ready and min(more, maximum) > 0:
            wanted[pool.name] = min(more, maximum)
    return wanted


# ----------------------------------------------------------------------------------------
# Distribution of a limit on workers so that ``new`` groups never deadlock. No I/O.
#
# A ``new`` group keeps its worker (its *context*) until it ends, and may need more workers
# meanwhile: for nodes in it with a ``global`` context, and for ``new`` groups in it. Two groups
# that each hold one worker and wait for another would never end. So a context starts only if every
# started context can still finish: its pipeline reserves the workers for that (the banker's
# algorithm). Workers of shared pools reserve nothing: their commands end by themselves.


def extras(nodes: Mapping[str, NodeSpec]) -> dict[str, int]:
    """Return ``{group: maximum number of workers that its context needs besides its own}``.

    This is enough to run the nodes below it one after another. A Lazy that has not generated its
    tree counts as one worker, since the tree may have nodes outside the context.

    Args:
        nodes: A resolved tree, parents before their children.
    """
    if not any(kind_of(spec.pool) is PoolKind.CONTEXT for spec in nodes.values()):
        return {}
    found: dict[str, int] = {}
    used: set[str] = set()
    below: dict[str, int] = {}
    for path in reversed(list(nodes)):
        spec = nodes[path]
        if spec.type is NodeType.EXEC:
            used.add(spec.pool)
            need = 0 if kind_of(spec.pool) is PoolKind.CONTEXT else 1
        else:
            need = max(below.pop(path, 0), int(spec.awaits_tree))
            if kind_of(spec.pool) is PoolKind.CONTEXT and owner_of(spec.pool) == path:
                found[path] = need
                need += spec.pool in used  # without an Exec in it, it never has a worker
        parent = next(ancestors(path), None)
        if parent is not None:
            below[parent] = max(below.get(parent, 0), need)
    return found


def claim(contexts: Iterable[int]) -> int:
    """Return the smallest number of workers with which contexts finish, given their `extras`."""
    needs = sorted(contexts)
    return len(needs) + max((need - i for i, need in enumerate(needs)), default=0)


def check_fits(nodes: Mapping[str, NodeSpec], maximum: int, plan: str) -> None:
    """Reject a tree with a ``new`` group that can never have all the workers it needs.

    Raises:
        DefinitionError: names the outermost such group.
    """
    for path, extra in reversed(extras(nodes).items()):
        if 1 + extra > maximum:
            raise invalid(
                path,
                f"container_reuse_context=NEW: the group needs {1 + extra} workers at once, one "
                f"for its own container and {extra} for nodes below it in other containers; "
                f"the plan {plan!r} allows {maximum}. Remove a container_reuse_context, or choose "
                "a larger plan",
            )


@dataclass(frozen=True, slots=True)
class Room:
    """The remaining allowance of an organisation."""

    workers: int
    reserved: int


@dataclass(frozen=True, slots=True)
class Admission:
    """The workers that may start now.

    Attributes:
        missing: Number of workers that would start if the organisation had more free ones.
        withheld: A context waits although a worker is free, because others have reserved it.
    """

    workers: dict[str, int]
    missing: int = 0
    withheld: bool = False

    @property
    def limited(self) -> bool:
        """Whether more would start if the organisation had more free workers."""
        return self.missing > 0


def admit(
    wanted: Mapping[str, int], contexts: Mapping[str, int], started: Iterable[int], room: Room
) -> Admission:
    """Return the part of ``wanted`` that may start: round robin, one worker per pool.

    Args:
        wanted: ``{pool: workers to start}``, in the order of precedence.
        contexts: ``{pool: its extras}`` for the wanted pools that are contexts.
        started: The `extras` of the pipeline's contexts that have a worker.
        room: The remaining allowance.
    """
    held = list(started)
    before = claim(held)
    admitted: dict[str, int] = {}
    refused: set[str] = set()
    free = max(0, room.workers)
    waiting = dict(wanted)
    while waiting and free:
        for pool in list(waiting):
            if not free:
                break
            if pool in contexts:
                if claim([*held, contexts[pool]]) - before > room.reserved:
                    refused.add(pool)
                    del waiting[pool]
                    continue
                held.append(contexts[pool])
            admitted[pool] = admitted.get(pool, 0) + 1
            free -= 1
            waiting[pool] -= 1
            if not waiting[pool]:
                del waiting[pool]
    return Admission(admitted, missing=sum(waiting.values()), withheld=bool(refused))


# ----------------------------------------------------------------------------------------
# Distribution of an organisation's workers between its pipelines. No I/O, no clock.
#
# Each pipeline may use every worker of the plan that no other one needs. If they need more than
# there are, a worker goes to the pipeline with the fewest, so that each has an equal share or all
# that it needs; among equals, to the pipeline with the longest wait. With more pipelines than
# workers, a pipeline that has had a worker for a turn gives it to one that waits.


#: Seconds for which a pipeline keeps its only worker while others have none. The next pipeline
#: needs a new container, which takes up to a minute.
TURN = 600.0
#: Number of pipelines that `place_in_line` names.
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Claimant:
    """A pipeline that has workers or waits for one.

    Attributes:
        held: Number of its workers.
        wanted: Number of further workers that it could use now.
        since: When it got the first of its workers, or, without a worker, since when it waits: in
            seconds since the epoch.
        reserved: Workers with which its ``new`` groups can finish
            (`conducto_core.workers.rules.pools.claim`); it always gets these.
    """

    held: int = 0
    wanted: int = 0
    since: float = 0.0
    reserved: int = 0


def targets(claimants: Mapping[str, Claimant], workers: int, now: float) -> dict[str, int]:
    """Return ``{pipeline: workers that it should have}``; at most ``workers`` in total.

    Args:
        claimants: ``{pipeline: claimant}``.
        workers: Maximum number of workers of all claimants.
        now: The current time, in seconds since the epoch.
    """
    needs = {name: each.held + each.wanted for name, each in claimants.items()}
    found = {name: min(needs[name], each.reserved) for name, each in claimants.items()}
    left = workers - sum(found.values())
    order = sorted(claimants, key=lambda name: (claimants[name].since, name))
    level = 1
    while left > 0 and any(found[name] < needs[name] for name in order):
        turns = _by_turn(order, claimants, now) if level == 1 else order
        for name in turns:
            if found[name] < min(level, needs[name]) and left > 0:
                found[name] += 1
                left -= 1
        level += 1
    return found


def _by_turn(order: list[str], claimants: Mapping[str, Claimant], now: float) -> list[str]:
    """Return the order of the first workers: holders in their turn, then others, then holders."""

    def place(name: str) -> int:
        each = claimants[name]
        if not each.held:
            return 1
        return 2 if now - each.since >= TURN else 0

    recent = [name for name in reversed(order) if place(name) == 2]  # noqa: PLR2004  turn is over
    return [name for name in order if place(name) == 0] + [
        *(name for name in order if place(name) == 1),
        *recent,
    ]


def grants(
    claimants: Mapping[str, Claimant], workers: int, free: int, now: float
) -> dict[str, int]:
    """Return ``{pipeline: free workers that it may start}``, the next one first.

    The arguments are those of `targets`, and the number of free workers.
    """
    goal = targets(claimants, workers, now)
    has = {name: each.held for name, each in claimants.items()}
    granted: dict[str, int] = {}
    for _ in range(free):
        short = [name for name in claimants if has[name] < goal[name]]
        if not short:
            break
        name = min(short, key=lambda each: (has[each], claimants[each].since, each))
        granted[name] = granted.get(name, 0) + 1
        has[name] += 1
    return granted


def too_many(claimants: Mapping[str, Claimant], workers: int, now: float) -> dict[str, int]:
    """Return ``{pipeline: workers to keep}`` for those that must give some to others."""
    goal = targets(claimants, workers, now)
    return {name: goal[name] for name, each in claimants.items() if each.held > goal[name]}


def shortage(claimants: Mapping[str, Claimant], free: int) -> int:
    """Return how many further free workers the waiting pipelines could use.

    So many workers without a command should stop; more would only have to start again.

    Args:
        claimants: ``{pipeline: claimant}``.
        free: Number of free workers.
    """
    return max(0, sum(each.wanted for each in claimants.values()) - free)


def in_line(claimants: Mapping[str, Claimant]) -> list[str]:
    """Return the pipelines that wait, the next one first."""
    waiting = [name for name, each in claimants.items() if each.wanted]
    return sorted(waiting, key=lambda name: (claimants[name].held, claimants[name].since, name))


def place_in_line(claimants: Mapping[str, Claimant], name: str, maximum: int) -> str | None:
    """Return the place of a waiting pipeline and the holders of workers; None: it does not wait.

    The text is for example ``2nd in line for a worker; abc-def has 7 of 8``.

    Args:
        claimants: ``{pipeline: claimant}``.
        name: The pipeline.
        maximum: Number of workers that the plan allows.
    """
    line = in_line(claimants)
    if name not in line:
        return None
    number = line.index(name) + 1
    place = "next" if number == 1 else _ordinal(number)
    others = served(claimants, name)
    said = [f"{each} has {claimants[each].held}" for each in others[:_NAMED]]
    if not said:
        return f"{place} in line for a worker"
    said[0] += f" of {maximum}"
    more = len(others) - len(said)
    rest = sum(claimants[each].held for each in others[_NAMED:])
    said += [f"{more} more {'has' if more == 1 else 'have'} {rest}"] if more else []
    return f"{place} in line for a worker; {', '.join(said)}"


def served(claimants: Mapping[str, Claimant], name: str) -> list[str]:
    """Return the other pipelines that have workers, those with most first."""
    others = [each for each in claimants if each != name and claimants[each].held]
    return sorted(others, key=lambda each: (-claimants[each].held, each))


def _ordinal(number: int) -> str:
    teen = number % 100 in range(11, 14)
    return f"{number}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


# ----------------------------------------------------------------------------------------
# Whether a pool still needs its idle workers. No I/O, no clock.


#: Number of Execs of a pool's kind that are compared exactly; one more counts as the pool's, so
#: that the check of a large tree is quick.
MAX_COMPARED = 2000


class ExecKind(NamedTuple):
    """The properties by which most Execs of other pools are recognised quickly."""

    key: str
    image: str
    cpu: float


def exec_in_need(
    tree: TreeState, kind: ExecKind, is_member: Callable[[LiveExec], bool]
) -> LiveExec | None:
    """Return an Exec that an idle worker of a pool may have to run later, or None.

    Args:
        tree: The tree.
        kind: The kind of the pool's Execs.
        is_member: Whether an Exec belongs to the pool; called for Execs of this kind.
    """
    compared = 0
    for node in reversed(tree.nodes.values()):  # the rest to run is mostly at the end
        if not isinstance(node, LiveExec) or not may_need(node):
            continue
        if _generates(node):
            return node
        if kind_of_exec(node) == kind:
            compared += 1
            if compared > MAX_COMPARED or is_member(node):
                return node
    return None


def may_need(node: LiveExec) -> bool:
    """Return whether an Exec may still need a worker that does not run it now.

    Failed Execs count: users often rerun them at once. One that waits for a retry does not, as its
    worker would be idle until then. The worker of a running one also runs its
    retry; but the tree that a running Lazy generates is not known yet.
    """
    if node.state is State.DONE or node.spec.approval is not None or node.retry_at is not None:
        return False
    if node.state is State.RUNNING and not _generates(node):
        return False
    return not node.is_skipped()


def kind_of_exec(node: LiveExec) -> ExecKind:
    """Return the kind of an Exec."""
    place = node.spec.placement
    return ExecKind(node.spec.pool, place.image, place.cpu)


def _generates(node: LiveExec) -> bool:
    """Return whether the Exec generates a tree, which may contain Execs of any pool."""
    return node.spec.lazy_target is not None


# ----------------------------------------------------------------------------------------
# Which workers without work stay for the next run of their pipeline. No I/O, no clock.
#
# A worker has the file systems, the token and the role of one pipeline, so only that pipeline can
# use it later: a rerun, a reset, or a continuation. An organisation keeps a limited number; those
# that became idle last stay, because a user most likely runs their pipeline again.


class Kept(NamedTuple):
    """The warm workers of a pipeline.

    Attributes:
        number: How many there are.
        since: When the last of them became idle, in seconds since the epoch.
    """

    number: int
    since: float


def is_over(since: float, pool: WarmPool, now: float) -> bool:
    """Return whether a worker that is warm since a time has stayed long enough."""
    return pool.workers == 0 or now - since >= pool.seconds


def surplus(kept: Mapping[str, Kept], workers: int) -> dict[str, int]:
    """Return ``{pipeline: warm workers to stop}``, so that at most ``workers`` stay in total."""
    found: dict[str, int] = {}
    left = workers
    for name in sorted(kept, key=lambda each: (-kept[each].since, each)):
        stays = min(kept[name].number, left)
        left -= stays
        if stays < kept[name].number:
            found[name] = kept[name].number - stays
    return found


def hourly_price(sizes: Iterable[tuple[Size, int]], workers: int, *, spot: bool = False) -> float:
    """Return the maximum price of an hour of warm workers, in dollars.

    Args:
        sizes: The sizes of a pipeline's workers, and the number of workers of each size.
        workers: Maximum number of warm workers.
        spot: Whether they run on Spot.
    """
    prices = [PRICES.worker_hour(size, spot=spot) for size, number in sizes for _ in range(number)]
    return sum(sorted(prices, reverse=True)[:workers])
