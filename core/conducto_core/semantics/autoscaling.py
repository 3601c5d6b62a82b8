"""The number of cloud workers to start. No I/O; see `workers_wanted`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256

from conducto_core.model.nodes import NodeSpec
from conducto_core.semantics.naming import pool_name
from conducto_core.semantics.pools import PoolKind, kind_of

#: Maximum number of workers of one pool, whatever the plan allows.
MAX_PER_POOL = 1000
#: The denominator of the share in `on_spot`.
_ALL = 10


@dataclass(frozen=True, slots=True)
class Pool:
    """A set of Execs that the same workers can run.

    Attributes:
        name: Also used in the name of its activity.
        key: `NodeSpec.pool` of its Execs.
        groups: The groups whose capacity they count in: paths of nodes with ``max_concurrent``, the
            innermost first, then named limits.
    """

    name: str
    key: str
    image: str
    cpu: float
    mem: float
    groups: tuple[str, ...] = ()

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
    return Pool(name, spec.pool, place.image, place.cpu, place.mem, groups)


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


def on_spot(worker_id: str, kind: PoolKind, share: int) -> bool:
    """Return whether a worker is a Spot task: cheaper, but AWS may stop it.

    The result depends only on the arguments, so that a repeated start is the same start. A worker
    of a context never runs on Spot: the state in its container would be lost.
    """
    if kind is PoolKind.CONTEXT:
        return False
    return int(sha256(worker_id.encode()).hexdigest(), 16) % _ALL < share
