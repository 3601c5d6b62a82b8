"""A cloud pipeline: what follows from its definition and its journal. No I/O, no clock.

::

    Input ──► CloudPipeline.take_in ──► Effects: what to write down, and what to order of AWS

The same inputs always lead to the same state, whichever Lambda reads them: everything random or
from outside is in the input. Policies are those of `conducto.semantics`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, assert_never

from chalicelib.crew import Crew, Status, Worker
from chalicelib.inputs import (
    Begun,
    BuiltImage,
    CapacityMissing,
    Claimed,
    DeadlinesPassed,
    ExecutionEnded,
    Hire,
    ImagesMoved,
    Input,
    Looked,
    Ordered,
    Reported,
    RunLost,
    WorkerGone,
    WorkerUp,
)
from conducto.model.api import Action
from conducto.model.image_sources import ImageSources
from conducto.model.nodes import NodeSpec, Pipeline, ancestors
from conducto.model.notifications import NotificationRecord
from conducto.model.records import (
    AttemptRecord,
    Counts,
    ImageRecord,
    ImageState,
    Lifecycle,
    NodeChange,
    PipelineRecord,
    Standing,
)
from conducto.model.states import IN_FLIGHT, Cause, NodeType, State
from conducto.running.commands import as_written
from conducto.running.forms import pack_form, unpack_form
from conducto.running.notify.texts import compose
from conducto.semantics import events as ev
from conducto.semantics.asl_states import WORKER_LOST
from conducto.semantics.course import CANCELLED, Begin, Course, Halt, Order, Reply, Taken
from conducto.semantics.fleet import Need, Pool, pool_of, workers_wanted
from conducto.semantics.live import Change, LiveExec, LiveGroup, LiveNode, LiveTree
from conducto.semantics.machine import settled
from conducto.semantics.pools import PoolKind
from conducto.semantics.residual import sized
from conducto.semantics.resolve import Edits, resolve, resolve_generated
from conducto.semantics.rules import CLOUD_LOST_RETRIES, Outcome

#: Seconds that a worker gets to end a command itself whose ``max_time`` ran out.
GRACE = 60.0
#: Seconds after which a task that nobody was offered counts as lost: three times what it takes
#: Step Functions to offer one again that a worker took along.
STUCK = 180.0
#: Plans in a row after which nothing came of it; then the pipeline is paused.
MOST_FRUITLESS = 5
#: Strikes after which a pool's image counts as unusable (`chalicelib.inputs.WorkerGone`).
MOST_STRIKES = 2

_ORDERS: dict[Action, Callable[[tuple[str, ...]], ev.Event]] = {
    Action.RESET: ev.NodesReset,
    Action.REBUILD: ev.NodesReset,
    Action.SKIP: ev.NodesSkipped,
    Action.UNSKIP: ev.NodesUnskipped,
    Action.KILL: ev.NodesKilled,
}


@dataclass(frozen=True, slots=True)
class Usage:
    """Seconds of an attempt, to be metered once: ``key`` names it within the pipeline."""

    key: str
    seconds: float
    cpu: float


@dataclass(slots=True)
class Effects:
    """What came of an input.

    Attributes:
        changes: To be published.
        attempts: That began or ended, as they are now.
        gone: Workers that the org has less.
        orders: Of Step Functions.
        pools: ``{path: pool}`` of the tasks in `orders`.
        stops: ``(worker, its task)`` that are to be stopped.
        usage: To be metered.
        told: What somebody is to be told, secrets not hidden yet.
        builds: Images whose build is to be started.
    """

    changes: list[NodeChange] = field(default_factory=list)
    attempts: list[AttemptRecord] = field(default_factory=list)
    gone: int = 0
    orders: list[Order] = field(default_factory=list)
    pools: dict[str, Pool] = field(default_factory=dict)
    stops: list[tuple[str, str | None]] = field(default_factory=list)
    usage: list[Usage] = field(default_factory=list)
    told: list[NotificationRecord] = field(default_factory=list)
    builds: list[BuiltImage] = field(default_factory=list)


@dataclass(slots=True)
class CloudImage:
    """An image of a pipeline: its record, and what is known of it once it is there.

    Attributes:
        version: Number of the entry that moved it last.
    """

    record: ImageRecord
    built: BuiltImage | None = None
    version: int = 0


@dataclass(frozen=True, slots=True)
class Shortage:
    """AWS has no room for a pool's workers.

    Attributes:
        until: Nothing is tried before that.
    """

    until: float
    message: str


def define(
    record: PipelineRecord,
    form: Mapping[str, Any],
    sources: Mapping[str, ImageSources] | None = None,
) -> bytes:
    """Return what is kept of a launch, for ever.

    Args:
        record: The record as it begins.
        form: The launch form.
        sources: ``{image name: what was read of its files}``.
    """
    read = {name: given.model_dump(mode="json") for name, given in (sources or {}).items()}
    return pack_form({"record": record.model_dump(mode="json"), "form": form, "sources": read})


class CloudPipeline:
    """One pipeline.

    Attributes:
        org: Whose it is.
        number: Of the newest entry that is in it.
        seq: Of the newest change.
        now: Time of the newest input.
        pipeline: Resolved, generated trees in place.
        generated: ``{target: key of its tree}``.
        in_flight: ``{path: record}`` of attempts that are queued or run.
        queue: ``{pool name: {path: None}}`` of queued Execs, in order.
        pools: ``{name: pool}`` of every pool there was.
        holders: ``{task: worker}`` that keeps it alive.
        runs: ``{run: ARN of its execution}`` of the last few.
        planned_at: When the newest run was planned.
        deadlines: ``{path: time}`` at which `DeadlinesPassed` is due.
        shortages: ``{pool name: shortage}``.
        strikes: ``{pool name: strikes}`` against its image.
        limited: Why the org may not have more workers now, where it would want them.
        fruitless: Plans in a row of which nothing came.
        notified: Number of the newest notification.
    """

    def __init__(self, org: str, definition: bytes, tree_of: Callable[[str], bytes]) -> None:
        """Take up a pipeline to which nothing has happened.

        Args:
            org: Whose it is.
            definition: What `define` returned.
            tree_of: Returns a generated tree by its key.
        """
        self.org = org
        self.definition: dict[str, Any] = unpack_form(definition)
        self.record = record = PipelineRecord.model_validate(self.definition["record"])
        self.tree_of = tree_of
        self.number = 0
        self.seq = 0
        self.now = record.created
        self.edits: dict[str, dict[str, Any]] = {}
        self.generated: dict[str, str] = {}
        self.images: dict[str, CloudImage] = {}
        self.crew = Crew()
        self.in_flight: dict[str, AttemptRecord] = {}
        self.queue: dict[str, dict[str, None]] = {}
        self.pools: dict[str, Pool] = {}
        self.holders: dict[str, str] = {}
        self.runs: dict[str, str] = {}
        self.planned_at = 0.0
        self.deadlines: dict[str, float] = {}
        self.shortages: dict[str, Shortage] = {}
        self.strikes: dict[str, int] = {}
        self.limited: str | None = None
        self.fruitless = 0
        self.notified = 0
        self.started: float | None = None
        self.ended: float | None = None
        self._groups: dict[str, tuple[str, ...]] = {}
        self._where: dict[str, str] = {}
        self._effects = Effects()
        self._exit_codes: dict[str, int | None] = {}
        self._notes: dict[str, tuple[int | None, str | None, int | None]] = {}
        self.adopt(resolve(self.form), None)

    def adopt(self, pipeline: Pipeline, course: Course | None) -> None:
        """Take over a resolved tree and how it stands; None: nothing has happened to it."""
        self.pipeline = pipeline
        self.course = course or Course(self.record.id, LiveTree(pipeline))
        self.course.tree.lost_retries = CLOUD_LOST_RETRIES
        self._know_images()

    def know_places(self) -> None:
        """Work out anew where each queued Exec is queued."""
        self._where = {path: pool for pool, paths in self.queue.items() for path in paths}

    # ---- how it stands ------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """The pipeline's id."""
        return self.record.id

    @property
    def form(self) -> dict[str, Any]:
        """The launch form."""
        form: dict[str, Any] = self.definition["form"]
        return form

    @property
    def sources(self) -> dict[str, ImageSources]:
        """What was read at the launch of the files that images are made of, by image."""
        read = self.definition.get("sources", {})
        return {name: ImageSources.model_validate(given) for name, given in read.items()}

    @property
    def tree(self) -> LiveTree:
        """How its nodes stand."""
        return self.course.tree

    def settled(self) -> bool:
        """Whether nothing runs, is queued, or will start by itself."""
        return settled(self.tree) and self.record.run_at is None

    def open(self) -> bool:
        """Whether somebody has to look at it from time to time."""
        return not self.settled() or bool(self.crew.workers)

    def counts(self, path: str = "/") -> Counts:
        """Execs below ``path`` by state."""
        return self.tree.counts(self.tree.nodes[path])

    def standing(self) -> Standing:
        """How it stands, for lists."""
        return Standing(
            state=self.tree.root.state,
            counts=self.counts(),
            settled=self.settled(),
            seq=self.seq,
            started=self.started,
            ended=self.ended,
        )

    def exec_in(self, path: str, attempt: int, *states: State) -> LiveExec | None:
        """Return the Exec at ``path`` if it is in this attempt and in one of these states."""
        node = self.tree.nodes.get(path)
        there = isinstance(node, LiveExec) and node.attempt == attempt and node.state in states
        return node if there and isinstance(node, LiveExec) else None

    def pool_at(self, node: LiveNode) -> Pool:
        """Return the pool that runs an Exec."""
        return self.pool_for(sized(node))

    def pool_for(self, spec: NodeSpec) -> Pool:
        """Return the pool of an Exec with this definition."""
        pool = pool_of(spec, self.id, self._groups_above(spec.path))
        if pool.name not in self.pools:
            self.pools[pool.name] = self._sized_for_all(pool)
        return self.pools[pool.name]

    def full_group(self, pool: Pool) -> str | None:
        """Return the path of a capacity group of the pool that has no room."""
        return next((group for group in pool.groups if self._room(group) <= 0), None)

    def is_ready(self, image: str) -> bool:
        """Whether an image is there."""
        return self.images[image].record.state is ImageState.DONE

    def has_image(self, image: str) -> bool:
        """Whether it is known where an image is, or how it is built."""
        found = self.images.get(image)
        return found is not None and found.built is not None

    def may_run(self, claim: Claimed) -> LiveExec | None:
        """Return the Exec that the worker is to run now because of its claim, if it may."""
        worker = self.crew.workers.get(claim.worker)
        path = self.course.path_of(claim.node)
        if worker is None or worker.status is not Status.IDLE or path is None:
            return None
        node = self.tree.nodes[path]
        if not isinstance(node, LiveExec) or node.state is not State.QUEUED:
            return None
        pool = self.pool_at(node)
        fits = claim.run == self.course.run and pool.name == worker.pool
        free = self.full_group(pool) is None and self.is_ready(pool.image)
        return node if fits and free else None

    def is_stray(self, claim: Claimed) -> bool:
        """Whether a task is none that this worker can have: of another pool, or of an old run."""
        worker = self.crew.workers.get(claim.worker)
        path = self.course.path_of(claim.node)
        if worker is None or path is None or claim.run != self.course.run:
            return True
        node = self.tree.nodes[path]
        if not isinstance(node, LiveExec):
            return True
        return node.state in IN_FLIGHT and self.pool_at(node).name != worker.pool

    def reply_to_stray(self, claim: Claimed) -> str:
        """Return what a stray task fails with: ``WorkerLost`` has it offered to others."""
        gone = self.course.path_of(claim.node) is None or claim.run != self.course.run
        return CANCELLED if gone else WORKER_LOST

    def due(self, now: float) -> tuple[str, ...]:
        """Return the nodes whose time limits have run out."""
        return tuple(path for path, end in self.deadlines.items() if end <= now)

    def is_stuck(self, now: float) -> bool:
        """Whether a worker has waited long for a task that the graph does not offer."""
        held = self.course.standing.held
        for name, paths in self.queue.items():
            idle = any(self.crew.in_pool(name, Status.IDLE))
            busy = any(self.crew.in_pool(name, Status.BUSY))
            oldest = min((self.in_flight[path].queued or now for path in paths), default=now)
            waited = now - max(oldest, self.planned_at)
            free = self.full_group(self.pools[name]) is None
            if idle and not busy and free and waited > STUCK and not any(p in held for p in paths):
                return True
        return False

    def needs(self) -> list[Need]:
        """Return what is queued, by pool, the longest waiting first."""
        active = self.record.lifecycle is Lifecycle.ACTIVE
        needs = []
        for name, paths in self.queue.items():
            pool = self.pools[name]
            short = self.shortages.get(name)
            room = short is None or short.until <= self.now
            if paths and active:
                needs.append(Need(pool, len(paths), ready=self.is_ready(pool.image) and room))
        return needs

    def wanted(self) -> dict[str, int]:
        """Return ``{pool name: workers}`` that should be started now."""
        needs = self.needs()
        groups = {group for need in needs for group in need.pool.groups}
        room = {group: self._room(group) for group in groups}
        return workers_wanted(needs, self.crew.staff(), room)

    # ---- what happens -------------------------------------------------------------------------

    def take_in(self, happened: Input) -> Effects:
        """Take an input in and return what came of it; `number` goes on by one.

        Raises:
            TransitionError: it cannot happen now; whoever makes inputs has a bug.
        """
        self.number += 1
        self.now = max(self.now, happened.time)
        self._effects = Effects()
        self._exit_codes.clear()
        self._notes.clear()
        refused = len(self.course.standing.refused)
        self._dispatch(happened)
        if len(self.course.standing.refused) > refused:
            self._replan()
        self._fail_without_image()
        self._want_builds()
        self._let_joined_go()
        self._note_standing()
        self._let_workers_go()
        return self._effects

    def hire(self, hires: Iterable[Hire], limited: str | None) -> None:
        """Count workers in that are started because of the newest input."""
        for hire in hires:
            image = self.images[self.pools[hire.pool].image].record.reference
            self.crew.workers[hire.worker] = Worker(
                hire.worker, hire.pool, self.now, reference=image
            )
        self.limited = limited

    def _dispatch(self, happened: Input) -> None:  # noqa: C901, PLR0912  one line an input
        match happened:
            case Ordered():
                self._ordered(happened)
            case Claimed():
                self._claimed(happened)
            case Reported():
                self._reported(happened)
            case WorkerUp():
                self._worker_up(happened)
            case WorkerGone():
                self._worker_gone(happened)
            case Begun():
                self._begun(happened)
            case ExecutionEnded():
                if happened.run == self.course.run and not settled(self.tree):
                    self._replan()
            case RunLost():
                if happened.run == self.course.run and happened.run in self.runs:
                    self._replan()
                elif happened.run == self.course.run:  # it never began: nothing was in vain
                    self._follow(self.course.replan())
            case ImagesMoved():
                self._images_moved(happened.images)
            case DeadlinesPassed():
                for path in happened.paths:
                    if self.deadlines.pop(path, None) is not None:
                        self._follow(self.course.order(ev.TimeLimitReached(path)))
            case CapacityMissing():
                self._capacity_missing(happened)
            case Looked():
                pass
            case _:
                assert_never(happened)

    # ---- orders -------------------------------------------------------------------------------

    def _ordered(self, order: Ordered) -> None:
        match order.action:
            case Action.RUN:
                self.fruitless = 0
                self._set(armed=True, problem=None, lifecycle=Lifecycle.ACTIVE, run_at=None)
                self._follow(self.course.order(ev.Armed()))
            case Action.PAUSE:
                self._pause(order.problem)
            case Action.WAKE:
                self._set(lifecycle=Lifecycle.ACTIVE, run_at=None)
            case Action.SLEEP | Action.ARCHIVE:
                sleeps = order.action is Action.SLEEP
                self._pause(None)
                self._follow(self.course.order(ev.NodesKilled(("/",))))
                self._set(lifecycle=Lifecycle.SLEEPING if sleeps else Lifecycle.ARCHIVED)
            case Action.MODIFY:
                self._images_moved(order.images)
                self._modify(order.edits)
            case _:
                if order.action in (Action.RESET, Action.REBUILD):
                    self._try_failed_images_again()
                self._images_moved(order.images)
                self._follow(self.course.order(_ORDERS[order.action](order.paths)))

    def _pause(self, problem: str | None) -> None:
        self._set(armed=False, run_at=None, problem=problem)
        self._follow(self.course.order(ev.Disarmed()))

    def _modify(self, edits: Mapping[str, dict[str, Any]]) -> None:
        self.edits.update(edits)
        pipeline = self.resolved(self.edits)
        known = self.tree.nodes
        nodes = {path: spec for path, spec in pipeline.nodes.items() if path in known}
        self.pipeline.nodes.update(nodes)
        self._know_images()
        self._groups.clear()
        differing = {path: spec for path, spec in nodes.items() if known[path].spec != spec}
        self._follow(self.course.order(ev.NodesModified(differing)))

    def resolved(self, edits: Edits) -> Pipeline:
        """Return the tree with generated trees in place and ``edits`` laid over it.

        Raises:
            DefinitionError: an edit makes it wrong.
        """
        pipeline = resolve(self.form, edits)
        for name, image in getattr(self, "pipeline", pipeline).images.items():
            pipeline.images.setdefault(name, image)  # names of images that trees brought stay
        for target, key in self.generated.items():
            tree = resolve_generated(unpack_form(self.tree_of(key)), target, pipeline, edits)
            pipeline.nodes.update(tree.nodes)
            pipeline.images.update(tree.images)
        return pipeline

    # ---- workers ------------------------------------------------------------------------------

    def _claimed(self, claim: Claimed) -> None:
        worker = self.crew.workers.get(claim.worker)
        if worker is None or self.is_stray(claim):
            self._effects.orders.append(Reply(claim.token, self.reply_to_stray(claim)))
            return
        worker.since = self.now
        self._follow(self.course.claim(claim.token, claim.run, claim.node, waits=claim.waits))
        path = self.course.path_of(claim.node) or ""
        if claim.token in self.course.standing.held.get(path, {}):
            self.holders[claim.token] = worker.id
        if claim.attempt is not None:
            worker.token = claim.token
            self._start(worker, claim.attempt)
            if claim.refusal is not None:
                worker.busy, worker.status = False, Status.IDLE
                self._finish(claim.attempt.path, Cause.IMAGE, message=claim.refusal)

    def _start(self, worker: Worker, attempt: AttemptRecord) -> None:
        self.fruitless = 0
        worker.path, worker.attempt, worker.busy = attempt.path, attempt.number, True
        worker.status = Status.BUSY
        worker.commands += 1
        self.strikes.pop(worker.pool, None)
        self._unqueue(attempt.path)
        self.in_flight[attempt.path] = attempt
        self._effects.attempts.append(attempt)
        self._follow(self.course.start(attempt.path))

    def _reported(self, report: Reported) -> None:
        worker = self.crew.workers.get(report.worker)
        node = self.exec_in(report.path, report.attempt, State.RUNNING)
        if worker is None or node is None or not worker.runs(report.path, report.attempt):
            return  # it came twice
        worker.busy, worker.since = False, self.now
        once = self.pools[worker.pool].kind is PoolKind.ONCE
        worker.status = Status.LEAVING if report.last or once else Status.IDLE
        cpu = self.pools[worker.pool].cpu
        key = f"{report.path}#{report.attempt}"
        self._effects.usage.append(Usage(key, report.seconds, cpu))
        if report.cause is None and node.order is None:
            self._graft(node, report)
        self._notes[report.path] = (report.exit_code, report.message, report.peak_memory)
        self._exit_codes[report.path] = report.exit_code
        self._finish(report.path, report.cause, seconds=report.seconds, message=report.message)
        if worker.status is Status.LEAVING:
            self._lose_tasks(worker)

    def _finish(
        self, path: str, cause: Cause | None, *, seconds: float = 0.0, message: str | None = None
    ) -> None:
        self.fruitless = 0
        self._notes.setdefault(path, (None, message, None))
        record = self.in_flight[path]
        mem = 0.0 if record.mem is None else record.mem
        self._follow(self.course.finish(path, cause, seconds=seconds, mem=mem))

    def _worker_up(self, up: WorkerUp) -> None:
        worker = self.crew.workers.get(up.worker)
        if worker is None:
            return
        worker.task, worker.since = up.task, self.now
        if worker.status is Status.STARTING:
            worker.status = Status.IDLE

    def _worker_gone(self, gone: WorkerGone) -> None:
        worker = self.crew.workers.pop(gone.worker, None)
        if worker is None:
            return
        self._effects.gone += 1
        if worker.task is not None:
            self._effects.stops.append((worker.id, worker.task))
        if worker.busy and self.exec_in(worker.path, worker.attempt, State.RUNNING) is not None:
            message = f"the worker was lost: {gone.reason}"
            self._finish(worker.path, gone.cause, message=message)
        looked = worker.task is not None and self.course.run in self.runs
        if not self._lose_tasks(worker) and looked and self._is_forgotten(worker.pool):
            self._replan()
        if gone.strikes and not worker.commands:
            self._strike(worker.pool, gone)

    def _lose_tasks(self, worker: Worker) -> bool:
        """Have the tasks of a worker that leaves offered to others; return whether it had any."""
        tokens = [token for token, holder in self.holders.items() if holder == worker.id]
        if tokens:
            self._follow(self.course.lose(tokens))
        return bool(tokens)

    def _is_forgotten(self, pool: str) -> bool:
        """Whether Execs are queued, but no worker of their pool could find a task for any."""
        queued = self.queue.get(pool, {})
        held = self.course.standing.held
        free = self.pools[pool].name in self.wanted()
        idle_left = any(self.crew.in_pool(pool, Status.STARTING, Status.IDLE, Status.BUSY))
        had_work = any(path in held for path in queued)
        return bool(queued) and free and not idle_left and not had_work and self._waited(pool)

    def _waited(self, pool: str) -> bool:
        """Whether what is queued has been so for as long as an idle worker stays."""
        queued = [self.in_flight[path].queued or 0.0 for path in self.queue.get(pool, {})]
        return bool(queued) and self.now - max(min(queued), self.planned_at) > GRACE

    def _strike(self, pool: str, gone: WorkerGone) -> None:
        self.strikes[pool] = self.strikes.get(pool, 0) + gone.strikes
        if self.strikes[pool] < MOST_STRIKES:
            return
        del self.strikes[pool]
        image = self.pools[pool].image
        for path in list(self.queue.get(pool, {})):
            if path in self.queue.get(pool, {}):
                message = f"no worker can run commands in the image {image!r}: {gone.reason}"
                self._finish(path, Cause.IMAGE, message=message)

    def _capacity_missing(self, missing: CapacityMissing) -> None:
        worker = self.crew.workers.get(missing.worker)
        if worker is None or worker.status is not Status.STARTING:
            return
        del self.crew.workers[worker.id]
        self._effects.gone += 1
        self.shortages[worker.pool] = Shortage(missing.until, missing.message)

    def _let_workers_go(self) -> None:
        """Stop workers that have nothing more to do here, rather than pay for their patience."""
        asleep = self.record.lifecycle is not Lifecycle.ACTIVE
        done = self.settled()
        for worker in self.crew.workers.values():
            if worker.busy or worker.status is Status.LEAVING:
                continue
            pool = self.pools[worker.pool]
            # One that is up already may still be wanted: people reset what they see fail.
            too_late = done and worker.status is Status.STARTING
            if (
                asleep
                or too_late
                or self._context_is_over(pool)
                or self._is_outdated(worker, pool)
            ):
                worker.status = Status.LEAVING
                self._effects.stops.append((worker.id, worker.task))

    def _is_outdated(self, worker: Worker, pool: Pool) -> bool:
        """Whether the image of a worker's pool is another one by now."""
        return worker.reference not in (None, self.images[pool.image].record.reference)

    def _context_is_over(self, pool: Pool) -> bool:
        if pool.kind is not PoolKind.CONTEXT:
            return False
        owner = self.tree.nodes.get(pool.key.partition(":")[2])
        return owner is None or (owner.state not in IN_FLIGHT and owner.seen() is Outcome.OK)

    # ---- executions ---------------------------------------------------------------------------

    def _begun(self, begun: Begun) -> None:
        self.runs[begun.run] = begun.arn
        while len(self.runs) > 3:  # noqa: PLR2004  the newest, and such as are being stopped
            del self.runs[next(iter(self.runs))]
        if begun.run != self.course.run or not self.course.standing.open:
            self._effects.orders.append(Halt(begun.run))

    def _replan(self) -> None:
        """Begin anew what is left; give up when that has been of no use some times."""
        self.fruitless += 1
        if self.fruitless > MOST_FRUITLESS:
            problem = "executions end before their nodes do; this is a bug of Conducto, report it"
            self._pause(problem)
            return
        self._follow(self.course.replan())

    def _let_joined_go(self) -> None:
        """See to it that the graph hears of the end of what ran when it was planned.

        Its task is answered when a worker claims it; where no worker of the pool is left that
        would, the graph is planned anew, without it.
        """
        standing = self.course.standing
        for path in sorted(standing.joined):
            node = self.tree.nodes.get(path)
            if isinstance(node, LiveExec) and node.state in IN_FLIGHT:
                continue
            if node is not None and standing.open:
                pool = self.pool_at(node).name
                if any(self.crew.in_pool(pool, Status.STARTING, Status.IDLE)):
                    continue
                self._follow(self.course.replan())
                return
            standing.joined.discard(path)

    # ---- images and trees ---------------------------------------------------------------------

    def _know_images(self) -> None:
        for node in self.pipeline.execs():
            name = node.placement.image
            self.images.setdefault(name, CloudImage(ImageRecord(name=name)))

    def _images_moved(self, images: Iterable[BuiltImage]) -> None:
        for built in images:
            image = self.images.setdefault(built.name, CloudImage(ImageRecord(name=built.name)))
            image.built = built
            image.version = self.number
            image.record = _record_of(image.record, built, self.now)

    def _want_builds(self) -> None:
        """Have images built that queued Execs need and that nobody builds yet."""
        for name in dict.fromkeys(self.pools[pool].image for pool in self.queue):
            image = self.images[name]
            pending = image.record.state is ImageState.PENDING
            if pending and image.built is not None and image.built.tag is not None:
                queued = image.built.model_copy(update={"state": ImageState.QUEUED})
                self._images_moved([queued])
                self._effects.builds.append(queued)

    def _try_failed_images_again(self) -> None:
        """Forget builds that failed: what is reset has them built again."""
        for image in list(self.images.values()):
            if image.record.state is ImageState.ERROR and image.built is not None:
                again = {"state": ImageState.PENDING, "error": None, "build": None}
                self._images_moved([image.built.model_copy(update=again)])

    def _fail_without_image(self) -> None:
        """End queued Execs whose image cannot be built."""
        failed = {n for n, i in self.images.items() if i.record.state is ImageState.ERROR}
        while failed:
            doomed = [
                path
                for name, paths in self.queue.items()
                if self.pools[name].image in failed
                for path in paths
            ]
            if not doomed:
                return
            error = self.images[self.pools[self._where[doomed[0]]].image].record.error
            self._finish(doomed[0], Cause.IMAGE, message=error)

    def _graft(self, node: LiveExec, report: Reported) -> None:
        target = node.spec.lazy_target
        key = report.tree_key
        if target is None or key is None:
            return
        form = unpack_form(self.tree_of(key))
        tree = resolve_generated(form, target, self.pipeline, self.edits)
        self._forget_below(target)
        self.generated[target] = key
        self.pipeline.nodes.update(tree.nodes)
        self.pipeline.images.update(tree.images)
        self._know_images()
        self._images_moved(report.images)
        self._follow(self.course.generate(node.path, tree.nodes))

    def _forget_below(self, target: str) -> None:
        below = "/" if target == "/" else target + "/"
        for path in [p for p in self.pipeline.nodes if p.startswith(below) and p != target]:
            del self.pipeline.nodes[path]
        for path in [p for p in self.generated if p == target or p.startswith(below)]:
            del self.generated[path]
        self._groups.clear()

    # ---- what the machine says ----------------------------------------------------------------

    def _follow(self, taken: Taken) -> None:
        """Do what the machine says, note what it changed, pass on what is for Step Functions."""
        for command in taken.commands:
            self._obey(command)
        for change in taken.changes:
            self._note(change)
        for order in taken.orders:
            self._pass_on(order)

    def _obey(self, command: ev.Command) -> None:
        match command:
            case ev.Enqueue():
                self._enqueue(command)
            case ev.Withdraw():
                self._unqueue(command.path)
                self.in_flight.pop(command.path, None)
            case ev.EndAttempt():
                self._end_attempt(command)
            case ev.StartTimer():
                exec_ = isinstance(self.tree.nodes.get(command.path), LiveExec)
                grace = GRACE if exec_ else 0.0
                self.deadlines[command.path] = self.now + command.seconds + grace
            case ev.CancelTimer():
                self.deadlines.pop(command.path, None)
            case ev.Discard():
                self._forget_below(command.path)
                emptied = self.tree.nodes.get(command.path)
                if emptied is not None:
                    self.pipeline.nodes[command.path] = emptied.spec
            case ev.Notify():
                self._tell(command)
            case ev.Stop():
                pass  # the worker hears of it with its next pulse
            case _:
                assert_never(command)

    def _tell(self, command: ev.Notify) -> None:
        if command.path not in self.tree.nodes:  # its tree went by the same event
            return
        told = compose(self, command.path, command.state, command.callback, self.now)
        self.notified = told.number
        self._effects.told.append(told)

    def _enqueue(self, command: ev.Enqueue) -> None:
        node = self.tree.nodes.get(command.path)
        if node is None:
            return  # a Lazy discarded it by the same event; its withdrawal follows
        place = node.spec.placement
        mem = place.mem if command.mem is None else command.mem
        pool = self.pool_at(node).name
        self.queue.setdefault(pool, {})[command.path] = None
        self._where[command.path] = pool
        self.in_flight[command.path] = AttemptRecord.model_construct(
            path=command.path,
            number=command.attempt,
            state=State.QUEUED,
            command=as_written(node.spec),
            cpu=place.cpu,
            mem=mem,
            queued=self.now,
        )

    def _unqueue(self, path: str) -> None:
        pool = self._where.pop(path, None)
        if pool is not None:
            self.queue[pool].pop(path, None)
            if not self.queue[pool]:
                del self.queue[pool]

    def _end_attempt(self, command: ev.EndAttempt) -> None:
        record = self.in_flight.pop(command.path)
        self._unqueue(command.path)
        exit_code, message, peak = self._notes.get(command.path, (None, None, None))
        ended = record.model_copy(
            update={
                "state": command.state,
                "cause": command.cause,
                "message": message,
                "exit_code": exit_code,
                "peak_memory": peak,
                "ended": self.now,
            }
        )
        self._effects.attempts.append(ended)

    def _note(self, change: Change) -> None:
        self.seq += 1
        if self.started is None and change.state is State.RUNNING:
            self.started = self.now
        finished = change.type is NodeType.EXEC and change.state not in (*IN_FLIGHT, State.PENDING)
        exit_code = self._exit_codes.get(change.path) if finished else None
        self._effects.changes.append(
            NodeChange(seq=self.seq, time=self.now, exit_code=exit_code, **change._asdict())
        )

    def _pass_on(self, order: Order) -> None:
        self._effects.orders.append(order)
        match order:
            case Begin():
                self.planned_at = self.now
                rest = order.rest
            case Reply():
                self.holders.pop(order.token, None)
                rest = order.generated
            case Halt():
                self.holders.clear()
                rest = None
        if rest is not None:
            specs = {spec.path: spec for spec in rest.tasks()}
            self._effects.pools.update({path: self.pool_for(s) for path, s in specs.items()})

    # ---- helpers ------------------------------------------------------------------------------

    def _groups_above(self, path: str) -> tuple[str, ...]:
        parent = next(ancestors(path), "")
        if parent not in self._groups:
            nodes = self.tree.nodes
            self._groups[parent] = tuple(
                above for above in ancestors(path) if nodes[above].spec.max_concurrent is not None
            )
        return self._groups[parent]

    def _room(self, group: str) -> int:
        node = self.tree.nodes.get(group)
        if not isinstance(node, LiveGroup) or node.spec.max_concurrent is None:
            return len(self.tree.nodes)
        return node.spec.max_concurrent - self.counts(group).running

    def _sized_for_all(self, pool: Pool) -> Pool:
        """A context's one worker is as large as its largest Exec asks for."""
        if pool.kind is not PoolKind.CONTEXT:
            return pool
        members = [n.placement for n in self.pipeline.execs() if n.pool == pool.key]
        cpu = max([pool.cpu, *(place.cpu for place in members)])
        mem = max([pool.mem, *(place.mem for place in members)])
        return Pool(pool.name, pool.key, pool.image, cpu, mem, pool.groups)

    def _set(self, **changes: object) -> None:
        self.record = self.record.model_copy(update=changes)

    def _note_standing(self) -> None:
        done = self.settled()
        changed = bool(self._effects.changes)
        if done and changed:
            self.ended = self.now
            finished = self.tree.root.seen() is Outcome.OK
            if self.record.sleep_when_done and finished and self.record.armed:
                self._set(lifecycle=Lifecycle.SLEEPING)
        self._set(standing=self.standing(), touched=self.now)


def _record_of(record: ImageRecord, built: BuiltImage, now: float) -> ImageRecord:
    """Return the record of an image that has moved."""
    begins = built.state in (ImageState.PENDING, ImageState.QUEUED)
    started = None if begins and record.ended is not None else record.started
    if built.state is not ImageState.PENDING:
        started = started or now
    ended = built.state in (ImageState.DONE, ImageState.ERROR)
    return record.model_copy(
        update={
            "state": built.state,
            "reference": built.reference,
            "error": built.error,
            "started": started,
            "ended": now if ended else None,
        }
    )
