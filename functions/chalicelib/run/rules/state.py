"""The state of a cloud pipeline, and queries on it. No I/O, no clock.

`chalicelib.run.rules.pipeline` applies events to it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from chalicelib.people.port import Share
from chalicelib.run.model import BuiltImage, Claimed, Shortage
from chalicelib.run.port import TreeReader
from chalicelib.run.rules.changes import InFlight, WorkerUsage
from chalicelib.workers.port import DataMounts
from chalicelib.workers.rules import WorkerEntry, WorkerRegistry, WorkerStatus
from conducto.wire.services import size_of
from conducto_core.asl.rules.machine import CANCELLED, CloudMachine
from conducto_core.asl.rules.naming import WORKER_LOST
from conducto_core.asl.rules.states import sized
from conducto_core.images.model import ImageSources
from conducto_core.run.model.records import (
    AttemptRecord,
    Counts,
    ImageRecord,
    ImageState,
    Lifecycle,
    Period,
    PipelineRecord,
    PipelineStatus,
)
from conducto_core.run.model.requests import Workers
from conducto_core.run.model.states import IN_FLIGHT, State
from conducto_core.run.rules.contexts import Hold, hold_of, is_late
from conducto_core.run.rules.live_nodes import LiveExec, LiveGroup, LiveNode
from conducto_core.run.rules.pipeline_state import PipelineState
from conducto_core.run.rules.tree_state import TreeState
from conducto_core.tree.model import (
    NodeSpec,
    Pipeline,
    Placement,
    ancestors,
)
from conducto_core.tree.rules.callbacks import CACHED, CACHED_FILES, PoolKind, kind_of, owner_of
from conducto_core.tree.rules.resolve import resolve
from conducto_core.workers.model import WarmPool
from conducto_core.workers.rules import pools as capacity
from conducto_core.workers.rules import pools as warm_workers
from conducto_core.workers.rules.fargate import LARGEST, largest_mem
from conducto_core.workers.rules.pools import (
    ExecKind,
    Need,
    Pool,
    PoolWorkers,
    exec_in_need,
    may_need,
    pool_of,
    workers_wanted,
)
from conducto_core.workers.rules.start_failures import PoolStarts

if TYPE_CHECKING:
    from conducto_core.cache.model import CacheInputs

#: Seconds after which a task that was offered to no worker counts as lost: three times as long as
#: Step Functions needs to offer again a task that a worker left with.
STUCK = 180.0
#: Maximum seconds until a retry for which workers stay that have nothing else to run: another one
#: takes as long to start, and AWS charges at least a minute for it.
SHORT_WAIT = 60.0
#: How the groups of pools start that stand for named limits; the others are paths.
_LIMIT = "limit "
#: ``{key of a pool: the files that its workers have}``.
_MOUNTS: dict[str, DataMounts] = {CACHED: "none", CACHED_FILES: "view"}


#: Seconds between two writes of a pipeline's record while only its counts and times change.
LISTED_SECONDS = 2.0
#: Seconds for which usage is summed up before it is metered.
METERED_SECONDS = 10.0


class Listing(NamedTuple):
    """A pipeline's record as it was written last.

    Attributes:
        open: Whether the pipeline was listed as open.
        time: When, in seconds since the epoch.
    """

    record: PipelineRecord
    open: bool
    time: float

    def is_due(self, record: PipelineRecord, *, open_: bool, now: float) -> bool:
        """Return whether to write another record now: at once if the columns of a list change."""
        late = now - self.time >= LISTED_SECONDS or record.lifecycle is Lifecycle.ARCHIVED
        return late or open_ != self.open or _columns(record) != _columns(self.record)


def _columns(record: PipelineRecord) -> PipelineRecord:
    """Return a record with the parts only by which pipelines are told apart in a list."""
    status = record.status
    kept = PipelineStatus(
        state=status.state,
        counts=Counts(error=bool(status.counts.error)),
        settled=status.settled,
        warning=status.warning,
        approvals=status.approvals,
    )
    return record.model_copy(update={"status": kept, "touched": 0.0})


@dataclass(slots=True)
class CloudImage:
    """An image of a pipeline: its record, and its details once they are known.

    Attributes:
        version: Number of the entry that changed it last.
    """

    record: ImageRecord
    built: BuiltImage | None = None
    version: int = 0


def define(
    record: PipelineRecord,
    form: Mapping[str, Any],
    sources: Mapping[str, ImageSources] | None = None,
    *,
    max_mem: float | None = None,
) -> dict[str, Any]:
    """Return the definition of a launch, which never changes; `pack_form` packs it for the store.

    Args:
        record: The initial record.
        form: The launch form.
        sources: ``{image name: contents read from its files}``.
        max_mem: GB that retries may request; None: the Fargate maximum.
    """
    read = {name: given.model_dump(mode="json") for name, given in (sources or {}).items()}
    definition: dict[str, Any] = {
        "record": record.model_dump(mode="json"),
        "form": form,
        "sources": read,
    }
    return definition if max_mem is None else {**definition, "max_mem": max_mem}


class CloudState(PipelineState):
    """The state of one pipeline.

    Attributes:
        org: The organisation that owns it.
        number: Number of the latest applied entry.
        now: Time of the latest event.
        definition_key: Key of the definition that replaced that of the launch, if any.
        plan_key: Key of the plan of the latest replacement.
        generated: ``{target: key of its tree}``.
        in_flight: ``{path: record}`` of attempts that are queued or running.
        queue: ``{pool name: {path: None}}`` of queued Execs, in order.
        pools: ``{name: pool}`` of every pool since the pipeline left the archive.
        times: ``{path: (start, end)}`` of the latest attempt that started or ended, if known.
        holders: ``{task: worker}`` that keeps the task alive.
        runs: ``{run: ARN of its execution}`` of the last few runs.
        planned_at: When the latest run was planned.
        deadlines: ``{path: time}`` at which `TimeLimitsExpired` is due.
        starts: ``{pool name: history of its worker launches}``.
        limited: Why the plan does not allow further workers that are needed.
        withheld: Why a context gets no worker although one is free.
        fruitless: Consecutive runs without progress.
        told: `HealthChecked.keeps` of the next entry.
        warm: The installation's warm pool, as of the latest entry.
        taken: ``{id: number of its entry}`` of inputs that took effect or were refused, of the last
            entries (`chalicelib.run.rules.pipeline.WINDOW`).
        inputs: Number of inputs that took effect.
        listing: Its record as it was written last.
        usage: Usage that is not metered yet, one record a month.
        used_at: Time of the first of it.
        metering: Usage that is metered because of the latest entry.
        disturbed: Number of the latest entry with an input that other requests' decisions may
            depend on (`chalicelib.run.model.may_wait`).
        spent: ``{path: dollars}`` of ended attempts at or below groups, and at Execs with a budget;
            for ``/``, of ended workers with all of their time (`conducto_core.budgets.rules`).
        children: ``{id: (path, dollars, whether it has settled)}`` of children whose cost counts in
            a budget.
        expansions: ``{path: attempt}`` of the queued nodes that expand maps.
        candidates: ``{path: attempt}`` of queued commands with a cache that is not decided.
        same_commands: ``{path: [holder, key of its flight]}`` of queued commands that wait for the
            outcome of an equal one.
        flights: ``{path: key}`` of the attempts for which equal commands wait.
        cached: ``{path: inputs}`` of running attempts whose outcomes may be stored.
        epoch: Number of times that it left the archive. Each time, pools get new names, because AWS
            is still deleting the resources of the old ones.
    """

    _extras: dict[str, int] | None

    def __init__(
        self,
        org: str,
        definition: dict[str, Any],
        tree_of: TreeReader,
        pipeline: Pipeline | None = None,
    ) -> None:
        """Create the initial state of a pipeline.

        Args:
            org: The organisation that owns it.
            definition: The result of `define`.
            tree_of: Reads generated trees and other definitions.
            pipeline: The resolved form, which the state then owns; None: it is resolved here.
        """
        self.org = org
        self.definition = definition
        record = PipelineRecord.model_validate(self.definition["record"])
        self.tree_of = tree_of
        self.definition_key: str | None = None
        self.plan_key: str | None = None
        self.number = 0
        self.taken: dict[str, int] = {}
        self.inputs = 0
        self.listing: Listing | None = None
        self.usage: list[WorkerUsage] = []
        self.used_at = 0.0
        self.metering: list[WorkerUsage] = []
        self.disturbed = 0
        self.now = record.created
        self.generated: dict[str, str] = {}
        self.images: dict[str, CloudImage] = {}
        self.registry = WorkerRegistry()
        self.in_flight = InFlight()
        self.queue: dict[str, dict[str, None]] = {}
        self.pools: dict[str, Pool] = {}
        self.times: dict[str, tuple[float | None, float | None]] = {}
        self.holders: dict[str, str] = {}
        self.runs: dict[str, str] = {}
        self.planned_at = 0.0
        self.deadlines: dict[str, float] = {}
        self.starts: dict[str, PoolStarts] = {}
        self.limited: Shortage = None
        self.withheld: Shortage = None
        self.fruitless = 0
        self.spent: dict[str, float] = {}
        self.children: dict[str, tuple[str, float, bool]] = {}
        self.expansions: dict[str, int] = {}
        self.candidates: dict[str, int] = {}
        self.same_commands: dict[str, list[str]] = {}
        self.flights: dict[str, str] = {}
        self.cached: dict[str, CacheInputs] = {}
        self.epoch = 0
        self.share = Share()
        self.told: int | None = None
        self.warm = WarmPool()
        self.places: dict[str, str] = {}
        self._in_need: dict[str, LiveExec] = {}
        pipeline = resolve(self.form) if pipeline is None else pipeline
        super().__init__(record, pipeline, TreeState(pipeline))
        self.adopt(CloudMachine(record.id, self.tree))

    def adopt(self, cloud_machine: CloudMachine) -> None:
        """Set the run state and the tree in it."""
        self.cloud_machine = cloud_machine
        self.tree = cloud_machine.tree
        self.tree.max_mem = self.definition.get("max_mem", largest_mem(LARGEST.cpu))
        self.know_images()

    def know_places(self) -> None:
        """Rebuild the index of the pools of queued Execs."""
        self.places = {path: pool for pool, paths in self.queue.items() for path in paths}

    # ---- queries ----------------------------------------------------------------------------

    @property
    def form(self) -> dict[str, Any]:
        """The launch form."""
        form: dict[str, Any] = self.definition["form"]
        return form

    @property
    def sources(self) -> dict[str, ImageSources]:
        """The contents of image files, read at the launch, by image name."""
        read = self.definition.get("sources", {})
        return {name: ImageSources.model_validate(given) for name, given in read.items()}

    def open(self) -> bool:
        """Return whether the pipeline needs periodic checks."""
        return not self.settled() or bool(self.registry.workers or self.registry.ended)

    def with_running(
        self, stored: Iterable[AttemptRecord], paths: Iterable[str] | None = None
    ) -> Iterator[AttemptRecord]:
        """Return attempts that are read from the store, and those that run and are not stored.

        An attempt is stored when it ends. Running ones are at the end, without ``paths`` of all
        nodes.
        """
        chosen = None if paths is None else set(paths)
        running = {
            (one.path, one.number): one
            for one in self.in_flight.started()
            if chosen is None or one.path in chosen
        }
        return _followed_by(stored, running)

    def must_list(self, now: float, *, open_: bool) -> bool:
        """Return whether to write the record now."""
        return self.listing is None or self.listing.is_due(self.record, open_=open_, now=now)

    def must_meter(self, now: float) -> bool:
        """Return whether to meter the usage now: it is summed up for some seconds."""
        return bool(self.usage) and (self.settled() or now - self.used_at >= METERED_SECONDS)

    def periods(self, groups: Sequence[LiveGroup]) -> dict[str, Period]:
        """Return the periods of groups; reads the times once, for any number of groups."""
        below = {group.path for group in groups if group is not self.tree.root}
        found: dict[str, Period] = {}
        if len(below) < len(groups):
            found[self.tree.root.path] = self.period
        for path, times in self.times.items() if below else ():
            if path not in self.tree.nodes:  # a generated tree that was removed
                continue
            for group in below.intersection(ancestors(path)):
                found[group] = _both(found.get(group, Period()), Period(*times))
        return found

    def workers(self) -> Workers | None:
        """Return the numbers of workers by status, or None without workers or work."""
        if self.settled() and not self.registry.workers:
            return None
        pool_workers = self.registry.pool_workers().values()
        return Workers(
            busy=sum(pool.busy for pool in pool_workers),
            idle=sum(pool.idle for pool in pool_workers),
            starting=sum(pool.starting for pool in pool_workers),
        )

    def exec_in(self, path: str, attempt: int, *states: State) -> LiveExec | None:
        """Return the Exec at ``path`` if it is in this attempt and in one of these states."""
        node = self.tree.nodes.get(path)
        there = isinstance(node, LiveExec) and node.attempt == attempt and node.state in states
        return node if there and isinstance(node, LiveExec) else None

    def pool_at(self, node: LiveNode) -> Pool:
        """Return the pool that runs an Exec."""
        return self._existing_pool(self._pool_of(node))

    def pool_for(self, spec: NodeSpec) -> Pool:
        """Return the pool of an Exec with this definition."""
        node = self.tree.nodes.get(spec.path)
        if node is not None and node.spec is spec:
            return self.pool_at(node)
        return self._existing_pool(self._new_pool(spec))

    def _pool_of(self, node: LiveNode) -> Pool:
        spec, parent = sized(node), node.parent
        if spec is not node.spec:  # a retry has another size
            return self._new_pool(spec)
        key = id(parent), spec.pool, id(spec.placement), spec.limits
        known = self._known_pools.get(key)
        if known is None:  # with the objects, so that no others get their ids
            known = self._known_pools[key] = self._new_pool(spec), parent, spec.placement
        return known[0]

    def _existing_pool(self, pool: Pool) -> Pool:
        if pool.name not in self.pools:
            self.pools[pool.name] = self._sized_for_all(pool)
        return self.pools[pool.name]

    def _new_pool(self, spec: NodeSpec) -> Pool:
        space = f"{self.id}/{self.epoch}" if self.epoch else self.id
        groups = self.groups_above(spec.path)
        if kind_of(spec.pool) is PoolKind.CONTEXT:  # one container for all groups within it
            space += f"@{self.record.revision}" if self.record.revision else ""
            owner = owner_of(spec.pool) or "/"
            groups = tuple(path for path in groups if path in (owner, *ancestors(owner)))
        return pool_of(spec, space, groups + _limit_groups(spec))

    def mounts_of(self, pool: Pool) -> DataMounts:
        """Return the files that the workers of a pool have; cached commands see only their own."""
        if pool.kind is not PoolKind.ONCE:
            return _MOUNTS.get(pool.key, "all")
        owner = self.tree.nodes.get(owner_of(pool.key) or "")
        cache = None if owner is None else owner.spec.cache
        if cache is None:
            return "all"
        return "view" if cache.has_files else "none"

    def full_group(self, path: str) -> str | None:
        """Return the path of a full capacity group above an Exec, or None."""
        return next((group for group in self.groups_above(path) if self._room(group) <= 0), None)

    def blocks_pool(self, node: LiveExec) -> bool:
        """Return whether no Exec of the pool may start while this one may not."""
        return self.full_group(node.path) is not None or bool(_limit_groups(node.spec))

    def is_ready(self, image: str) -> bool:
        return self.images[image].record.state is ImageState.DONE

    def has_image(self, image: str) -> bool:
        """Return whether an image's reference or build is known."""
        found = self.images.get(image)
        return found is not None and found.built is not None

    def may_run(self, claim: Claimed) -> LiveExec | None:
        """Return the Exec that the claim entitles the worker to run now, or None."""
        worker = self.registry.workers.get(claim.worker)
        if worker is None or worker.status is not WorkerStatus.IDLE:
            return None
        node = self.may_run_next(claim)
        return node if node is not None and self.full_group(node.path) is None else None

    def may_run_next(self, claim: Claimed) -> LiveExec | None:
        """Return the queued Exec that the worker may run once it is idle, or None.

        Its group may be full now.
        """
        worker = self.registry.workers.get(claim.worker)
        path = self.cloud_machine.path_of(claim.node)
        if worker is None or path is None:
            return None
        node = self.tree.nodes[path]
        if not isinstance(node, LiveExec) or node.state is not State.QUEUED:
            return None
        if path in self.candidates or path in self.same_commands:
            return None
        pool = self.pool_at(node)
        fits = claim.run == self.cloud_machine.run and pool.name == worker.pool
        return node if fits and self.is_ready(pool.image) else None

    def is_current(self, claim: Claimed) -> bool:
        """Return whether a claim would be decided in the same way now."""
        node, begun = self.may_run(claim), claim.attempt
        if begun is None or node is None:
            return begun is None and claim.worker in self.registry.workers
        return (node.path, self.in_flight[node.path].number) == (begun.path, begun.number)

    def is_stray(self, claim: Claimed) -> bool:
        """Return whether a task is of another pool or of an old run."""
        worker = self.registry.workers.get(claim.worker)
        path = self.cloud_machine.path_of(claim.node)
        if worker is None or path is None or claim.run != self.cloud_machine.run:
            return True
        node = self.tree.nodes[path]
        if not isinstance(node, LiveExec):
            return True
        return node.state in IN_FLIGHT and self.pool_at(node).name != worker.pool

    def reply_to_stray(self, claim: Claimed) -> str:
        """Return the error for a stray task; ``WorkerLost`` releases it to other workers."""
        lost = self.cloud_machine.path_of(claim.node) is None or claim.run != self.cloud_machine.run
        return CANCELLED if lost else WORKER_LOST

    def due(self, now: float) -> tuple[str, ...]:
        """Return the nodes whose time limits have expired."""
        return tuple(path for path, end in self.deadlines.items() if end <= now)

    def is_stuck(self, now: float) -> bool:
        """Return whether a worker has waited long for a task that the execution does not offer."""
        held = self.cloud_machine.run_state.held
        for name, paths in self.queue.items():
            idle = any(self.registry.in_pool(name, WorkerStatus.IDLE))
            busy = any(self.registry.in_pool(name, WorkerStatus.BUSY))
            oldest = min((self.in_flight.queued_at(path) or now for path in paths), default=now)
            waited = now - max(oldest, self.planned_at)
            free = any(self.full_group(path) is None for path in paths)
            if idle and not busy and free and waited > STUCK and not any(p in held for p in paths):
                return True
        return False

    def needs(self) -> list[Need]:
        """Return the queued work by pool, oldest first."""
        active = self.record.lifecycle is Lifecycle.ACTIVE
        needs = []
        for name, paths in self.queue.items():
            pool = self.pools[name]
            if paths and active:
                needs.append(Need(pool, len(paths), ready=self.is_ready(pool.image)))
        return needs

    def wanted(self) -> dict[str, int]:
        """Return ``{pool name: workers}`` to launch now."""
        needs = self.needs()
        groups = {group for need in needs for group in need.pool.groups}
        room = {group: self._room(group) for group in groups}
        pool_workers = self.registry.pool_workers()
        wanted: dict[str, int] = {}
        for pool, number in workers_wanted(needs, pool_workers, room).items():
            there = pool_workers.get(pool, PoolWorkers())
            free = there.starting + there.idle + self.registry.unexplained(pool)
            allowed = self.starts_of(pool).allowed(number, free, self.now)
            if allowed:
                wanted[pool] = allowed
        return wanted

    def starts_of(self, pool: str) -> PoolStarts:
        """Return the launch history of a pool, or of another pool with the same bad image."""
        image = self.pools[pool].image
        for name, starts in self.starts.items():
            if starts.bad_image and self.pools[name].image == image:
                return starts
        return self.starts.get(pool, PoolStarts())

    def may_start_again(self, now: float) -> bool:
        """Return whether a launch delay of a pool with queued Execs has ended since `now`."""
        return any(self.now < self.starts_of(pool).until <= now for pool in self.queue)

    # ---- share of the organisation's workers --------------------------------------------------

    @property
    def keeps(self) -> int | None:
        """Number of workers to keep while other pipelines wait; None: all."""
        return self.share.keeps if self.told is None else self.told

    def share_with(self, hires: Iterable[str], *, waits: bool, wanted: int = 0) -> Share:
        """Return the pipeline's current share.

        Args:
            hires: Pool names of the workers that this entry launches.
            waits: Whether it needs further workers that it cannot launch.
            wanted: Number of further workers that it could use now.
        """
        before = self.share
        pools = [*(worker.pool for worker in self.registry.staying()), *hires]
        number, keeps = len(pools), self.keeps
        warm = [worker.kept for worker in self.warm_workers() if worker.kept is not None]
        # A pipeline that has lost all of its workers waits behind those that wait already.
        waited = before.waiting if before.workers == 0 or number else None
        return Share(
            workers=number,
            reserved=capacity.claim(self._contexts_of(pools)),
            waiting=(waited or self.now) if waits else None,
            wanted=wanted if waits else 0,
            since=(before.since or self.now) if number else None,
            keeps=keeps if keeps is not None and keeps < number else None,
            warm=len(warm) or None,
            warm_since=max(warm, default=None),
        )

    def reserved_with(self, nodes: Mapping[str, NodeSpec]) -> int:
        """Return the number of workers that it would reserve if these were its nodes."""
        pools = [worker.pool for worker in self.registry.staying()]
        return capacity.claim(self._contexts_of(pools, capacity.extras(nodes)))

    def nodes_with(self, target: str, tree: Pipeline) -> dict[str, NodeSpec]:
        """Return its nodes with a generated tree in place."""
        below = "/" if target == "/" else target + "/"
        old = self.pipeline.nodes.items()
        kept = {path: spec for path, spec in old if path == target or not path.startswith(below)}
        return {**kept, **tree.nodes}

    def admission(self, room: capacity.Room) -> capacity.Admission:
        """Return the workers to launch now, given the organisation's free capacity."""
        wanted = self.wanted()
        contexts = {name: extra for name in wanted for extra in self._contexts_of([name])}
        begun = self._contexts_of(worker.pool for worker in self.registry.staying())
        return capacity.admit(wanted, contexts, begun, room)

    def late_contexts(self, now: float) -> bool:
        """Return whether the container of a context has been kept long enough."""
        return any(
            is_late(self.hold_of(worker), now - worker.unused)
            for worker in self.registry.staying()
            if worker.unused is not None and self.pools[worker.pool].kind is PoolKind.CONTEXT
        )

    def surplus(self) -> list[str]:
        """Return the workers without a command that stop when another command waits for one."""
        found: list[str] = []
        free: dict[str, list[str]] = {}
        for status in (WorkerStatus.IDLE, WorkerStatus.STARTING):  # the idle ones run the queue
            for worker in self.registry.workers.values():
                if worker.status is status:
                    free.setdefault(worker.pool, []).append(worker.id)
                    if self.pools[worker.pool].kind is PoolKind.CONTEXT:
                        found += [worker.id] * (self.hold_of(worker) is Hold.SPARE)
        for pool, workers in free.items():
            if self.pools[pool].kind is not PoolKind.CONTEXT:
                found += workers[len(self.queue.get(pool, ())) :]
        return found

    def has_backlog(self, pool: str) -> bool:
        """Return whether at least as many Execs of a pool are queued as it has workers."""
        staying = sum(worker.pool == pool for worker in self.registry.staying())
        return len(self.queue.get(pool, ())) >= staying > 0

    def may_need_more(self, pool: str) -> bool:
        """Return whether a pool may have to run further Execs, without an action of a user.

        Failed Execs count, because users often rerun them at once.
        """
        run_state = self.cloud_machine.run_state
        if self.queue.get(pool) or run_state.joined or run_state.late:
            return True
        counts = self.counts()
        if self.tree.retrying and not counts.queued + counts.running:
            return self.tree.first_retry - self.now <= SHORT_WAIT
        known = self._in_need.pop(pool, None)
        if known is None or not self._needs(known, pool):
            of = self.pools[pool]
            known = exec_in_need(
                self.tree,
                ExecKind(of.key, of.image, of.cpu),
                lambda node: self._pool_of(node).name == pool,
            )
        if known is None:
            return False
        self._in_need[pool] = known  # checked first the next time
        return True

    def _needs(self, node: LiveExec, pool: str) -> bool:
        """Return whether an Exec that was found earlier still needs a pool."""
        if self.tree.nodes.get(node.path) is not node or not may_need(node):
            return False
        return node.spec.lazy_target is not None or self._pool_of(node).name == pool

    def hold_of(self, worker: WorkerEntry) -> Hold:
        """Return why the worker of a context stays."""
        return hold_of(self.tree, self.pools[worker.pool].key, used=worker.commands > 0)

    def _contexts_of(
        self, pools: Iterable[str], extras: Mapping[str, int] | None = None
    ) -> list[int]:
        keys = [self.pools[name].key for name in pools]
        owners = [owner_of(key) or "" for key in keys if kind_of(key) is PoolKind.CONTEXT]
        if owners and extras is None:
            if self._extras is None:
                self._extras = capacity.extras(self.pipeline.nodes)
            extras = self._extras
        return [(extras or {}).get(owner, 0) for owner in owners]

    # ---- warm workers -----------------------------------------------------------------------

    def warm_workers(self) -> list[WorkerEntry]:
        """Return the workers that stay for the next run, the first that became idle first.

        While Execs are started, those that their pool needs are no longer warm.
        """
        done = self.settled()
        warm = [
            worker
            for worker in self.registry.staying()
            if worker.kept is not None and (done or not self.may_need_more(worker.pool))
        ]
        return sorted(warm, key=lambda worker: (worker.kept or 0.0, worker.id))

    def stays_warm(self, worker: WorkerEntry, now: float) -> bool:
        """Return whether a worker stays without work for the next run of the pipeline."""
        over = worker.kept is None or warm_workers.is_over(worker.kept, self.warm, now)
        return not over and worker.status is WorkerStatus.IDLE

    def has_late_warm(self, pool: WarmPool, now: float) -> bool:
        """Return whether a warm worker has stayed long enough for a warm pool."""
        since = (worker.kept for worker in self.registry.staying())
        return any(warm_workers.is_over(each, pool, now) for each in since if each is not None)

    # ---- helpers ----------------------------------------------------------------------------

    def _definition_changed(self) -> None:
        super()._definition_changed()
        self._extras = None
        self._known_pools: dict[tuple[object, ...], tuple[Pool, LiveNode | None, Placement]] = {}

    def know_images(self) -> None:
        for name in dict.fromkeys(node.placement.image for node in self.pipeline.execs()):
            self.images.setdefault(name, CloudImage(ImageRecord(name=name)))

    def _room(self, group: str) -> int:
        """Return how many further Execs may start in a group."""
        if group.startswith(_LIMIT):
            name, number, _ = group.removeprefix(_LIMIT).split()
            return int(number) - self._holders_of(name)
        node = self.tree.nodes.get(group)
        if not isinstance(node, LiveGroup) or node.spec.max_concurrent is None:
            return len(self.tree.nodes)
        return node.spec.max_concurrent - self.counts(group).running

    def _holders_of(self, limit: str) -> int:
        """Return the number of its running Execs that hold a named limit."""
        busy = [self.tree.nodes.get(w.path) for w in self.registry.workers.values() if w.busy]
        specs = [node.spec for node in busy if node is not None]
        return sum(any(each.name == limit for each in spec.limits) for spec in specs)

    def _sized_for_all(self, pool: Pool) -> Pool:
        """Return a context's pool, sized for the largest Exec of the context."""
        if pool.kind is not PoolKind.CONTEXT:
            return pool
        own = self.size_of_context(pool.key)
        cpu, mem = map(sum, zip(own, size_of(pool.services), strict=True))
        return replace(pool, cpu=max(pool.cpu, cpu), mem=max(pool.mem, mem))


def _limit_groups(spec: NodeSpec) -> tuple[str, ...]:
    """Return named limits as groups of a pool: a worker that waits for one delays only its pool.

    The container of a context runs all Execs of the context, whatever limits they have.
    """
    if kind_of(spec.pool) is PoolKind.CONTEXT:
        return ()
    limits = spec.limits
    return tuple(f"{_LIMIT}{each.name} {each.number} {each.priority}" for each in limits)


def _followed_by(
    stored: Iterable[AttemptRecord], running: dict[tuple[str, int], AttemptRecord]
) -> Iterator[AttemptRecord]:
    for each in stored:
        running.pop((each.path, each.number), None)
        yield each
    yield from running.values()


def _both(one: Period, other: Period) -> Period:
    starts = [time for time in (one.started, other.started) if time is not None]
    ends = [time for time in (one.ended, other.ended) if time is not None]
    return Period(min(starts, default=None), max(ends, default=None))
