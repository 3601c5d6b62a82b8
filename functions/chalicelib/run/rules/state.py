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
from chalicelib.workers.rules import WorkerRegistry, WorkerStatus
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
from conducto_core.workers.rules.fargate import LARGEST, largest_mem
from conducto_core.workers.rules.pools import (
    Pool,
    pool_of,
)

if TYPE_CHECKING:
    from conducto_core.cache.model import CacheInputs
    from conducto_core.workers.rules.start_failures import PoolStarts

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
