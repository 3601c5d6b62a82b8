"""How many cloud workers to start. No I/O; see `workers_wanted`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256

from conducto_core.model.nodes import NodeSpec
from conducto_core.semantics.naming import pool_name
from conducto_core.semantics.pools import PoolKind, kind_of

#: Workers of one pool at once, whatever the plan allows.
MAX_PER_POOL = 1000
#: What `on_spot` counts shares of.
_ALL = 10


@dataclass(frozen=True, slots=True)
class Pool:
    """Execs that the same workers can run.

    Attributes:
        name: Also of its activity.
        key: `NodeSpec.pool` of its Execs.
        image: Name of their image.
        cpu: vCPUs of one worker.
        mem: GB of one worker.
        groups: Paths of the groups whose ``max_concurrent`` they count in, the innermost first.
    """

    name: str
    key: str
    image: str
    cpu: float
    mem: float
    groups: tuple[str, ...] = ()

    @property
    def kind(self) -> PoolKind:
        """How its workers are used."""
        return kind_of(self.key)

    @property
    def most(self) -> int:
        """Workers at once."""
        return 1 if self.kind is PoolKind.CONTEXT else MAX_PER_POOL


def pool_of(spec: NodeSpec, pipeline_id: str, groups: tuple[str, ...]) -> Pool:
    """Return the pool of an Exec.

    Args:
        spec: The Exec, with the memory that it is to get.
        pipeline_id: Whose it is.
        groups: Paths of groups above it that have ``max_concurrent``, the innermost first.
    """
    place = spec.placement
    name = pool_name(spec, pipeline_id, groups)
    return Pool(name, spec.pool, place.image, place.cpu, place.mem, groups)


@dataclass(frozen=True, slots=True)
class PoolWorkers:
    """Workers that a pool has.

    Attributes:
        starting: Not up yet.
        idle: Up, and without a command.
        busy: With a command; they are idle afterwards.
    """

    starting: int = 0
    idle: int = 0
    busy: int = 0


@dataclass(frozen=True, slots=True)
class Need:
    """Execs of a pool that are queued.

    Attributes:
        ready: Their image is there, and AWS has room as far as is known.
    """

    pool: Pool
    queued: int
    ready: bool = True


def workers_wanted(
    needs: Iterable[Need], staff: Mapping[str, PoolWorkers], room: Mapping[str, int]
) -> dict[str, int]:
    """Return ``{pool name: workers to start}``; pools that need none are left out.

    A worker is started for every queued Exec that could run at once and for which none is idle or
    starting: an idle one costs a minute, a missing one costs the user's time.

    Args:
        needs: In the order in which they are to get room and workers.
        staff: ``{pool name: workers it has}``.
        room: ``{group: Execs that may still start in it}``.
    """
    left = dict(room)
    wanted: dict[str, int] = {}
    for need in needs:
        pool = need.pool
        could_run = min([need.queued, *(max(0, left[group]) for group in pool.groups)])
        for group in pool.groups:
            left[group] -= could_run
        there = staff.get(pool.name, PoolWorkers())
        more = could_run - there.starting - there.idle
        most = pool.most - there.starting - there.idle - there.busy
        if need.ready and min(more, most) > 0:
            wanted[pool.name] = min(more, most)
    return wanted


def on_spot(worker_id: str, kind: PoolKind, share: int) -> bool:
    """Return whether a worker is a Spot task: cheaper, and gone when AWS wants it back.

    The answer is the same every time it is asked, so that a start that is repeated is the same
    start. What a worker of a context has in its container would be lost with it: never.

    Args:
        worker_id: Which worker.
        kind: Of its pool.
        share: Of ten workers, how many may be Spot.
    """
    if kind is PoolKind.CONTEXT:
        return False
    return int(sha256(worker_id.encode()).hexdigest(), 16) % _ALL < share
