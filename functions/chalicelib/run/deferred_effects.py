"""Executes effects that may take longer than a client waits, outside of requests.

An invocation can die at any time. Each effect is safe to repeat: RunTask has a client token,
executions have names, and the names of machines depend on their content. The journal shows which
effects are missing: a run without `ExecutionStarted`, and a worker without a mark of its launch.
The minute's check executes them again, unless an executor has marked that it is at work.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from chalicelib.errors import (
    AccessDeniedError,
    CapacityError,
    ConflictError,
    TaskGoneError,
    ThrottledError,
    Timing,
    paused_collection,
    retry_throttled,
)
from chalicelib.images.builds import ImageBuilds
from chalicelib.images.poller import Reading, image_update
from chalicelib.installation import Installation
from chalicelib.limits.named_limits import NamedLimits
from chalicelib.logs.port import Storage
from chalicelib.people.port import Identity
from chalicelib.people.tokens import new_token
from chalicelib.records import Records
from chalicelib.run.model import (
    ActionRequested,
    BuiltImage,
    CapacityUnavailable,
    ExecutionStarted,
    Input,
)
from chalicelib.run.rules.deferred import EXECUTOR, BackgroundEvent, DeferredEffects, LazyReply
from chalicelib.run.rules.pipeline import CloudPipeline
from chalicelib.run.rules.state import CloudImage
from chalicelib.telemetry.exporter import send_run
from chalicelib.workers.port import Compute, WorkerTask
from chalicelib.workers.rules import WorkerEntry, WorkerStatus
from chalicelib.workers.slots import SlotNeed, Slots, Submit
from conducto.errors import DefinitionError
from conducto.wire.services import to_form
from conducto_core.asl.rules.compiler import Compiled, compile_residual
from conducto_core.asl.rules.naming import NO_TREE, execution_input
from conducto_core.asl.rules.states import Residual, residual
from conducto_core.buckets.rules import buckets_to_wire
from conducto_core.errors import NotFoundError
from conducto_core.people.task_roles import program_of
from conducto_core.run.model.records import ImageState
from conducto_core.run.model.requests import Action
from conducto_core.secrets.rules import is_untrusted, secrets_user
from conducto_core.workers.rules.start_failures import StartFailure, failure_of

if TYPE_CHECKING:
    from conducto_core.telemetry.otlp import OtlpSender

logger = logging.getLogger(__name__)

#: Lifetime of a worker's token in seconds: longer than any worker lives.
TOKEN_SECONDS = 3 * 86_400.0
#: The only permission of a worker.
START_WORKER = "start_worker"
#: Number of workers that are launched at once; AWS allows a burst of as many.
WAVE = 20
#: Seconds between two marks of an executor, and after which a mark is outdated.
MARK_EVERY = 5.0
OUTDATED = 20.0
#: Seconds before the time limit at which an executor hands over to the next one.
RESERVE = 60.0
#: Seconds to wait after AWS throttled the creation of machines.
PAUSE = 1.0
#: Seconds before a throttled launch of a worker is tried again, at most. After the last one, its
#: pool waits for a minute or longer.
LAUNCH_PAUSES = (1.0, 2.0, 4.0)

#: Returns the seconds that are left in an invocation.
Left = Callable[[], float]
R = TypeVar("R")


def run_all(
    calls: Sequence[Callable[[], object]], threads: int, about: Mapping[str, object]
) -> None:
    """Execute calls, several at once if ``threads`` allows; return after the last one.

    A failure is logged with the fields ``about`` and does not affect the others.
    """

    def attempt(call: Callable[[], object]) -> None:
        try:
            call()
        except Exception:
            logger.exception("an effect failed", extra=about)

    _map(attempt, calls, threads)


def _map(
    execute: Callable[[Callable[[], object]], R],
    calls: Sequence[Callable[[], object]],
    threads: int,
) -> list[R]:
    if threads == 1 or len(calls) <= 1:
        return [execute(call) for call in calls]
    contexts = [copy_context() for _ in calls]
    with ThreadPoolExecutor(min(threads, len(calls))) as pool:
        # Log fields are part of the context.
        return list(pool.map(lambda call, context: context.run(execute, call), calls, contexts))


def _throttled(call: Callable[[], object]) -> ThrottledError | None:
    try:
        call()
    except ThrottledError as error:
        return error
    return None


@dataclass(frozen=True, slots=True)
class _Graph:
    """A part of a tree to compile, with the pools of its commands by path."""

    rest: Residual | None
    pools: Mapping[str, str]


@dataclass(slots=True)
class _Work:
    """The effects that the journal still requires.

    Attributes:
        run: The latest run.
        left: Returns the seconds until the invocation ends; None: it does not end, and must not
            wait.
        begins: The run to start.
        marked: When the executor was last marked as working, in seconds since the epoch.
    """

    effects: DeferredEffects
    run: str
    left: Left | None
    tasks: list[WorkerTask] = field(default_factory=list)
    begins: _Graph | None = None
    replies: list[tuple[LazyReply, _Graph]] = field(default_factory=list)
    builds: list[BuiltImage] = field(default_factory=list)
    marked: float = 0.0

    @property
    def about(self) -> dict[str, object]:
        """The fields of log records."""
        return {"pipeline": self.effects.pipeline_id, "run_id": self.run}

    def is_over(self) -> bool:
        """Return whether another invocation must continue."""
        return self.left is not None and self.left() <= RESERVE


class DeferredExecutor:
    """Defers and executes effects."""

    def __init__(
        self,
        records: Records,
        storage: Storage,
        compute: Compute,
        installation: Installation,
        timing: Timing,
        *,
        collector: "Callable[[], OtlpSender] | None",
        invoke_background: Callable[[BackgroundEvent], None] | None,
        builds: ImageBuilds,
        submit: Submit,
        reading: Reading,
        slots: Slots,
        look_again: Callable[[str, str], object],
        expand_maps: Callable[[str, str], object],
    ) -> None:
        self._records = records
        self._storage = storage
        self._compute = compute
        self._installation = installation
        self._timing = timing
        self._collector = collector
        self._invoke_background = invoke_background
        self._look_again = look_again
        self._expand_maps = expand_maps
        self._submit = submit
        self._reading = reading
        self._slots = slots
        self._builds = builds

    def with_first(self, live: CloudPipeline, effects: DeferredEffects) -> DeferredEffects:
        """Return the effects of the newest entry, with the first workers to launch."""
        if self._invoke_background is None:
            return effects
        workers = [live.registry.workers[name] for name in effects.workers[:WAVE]]
        first = tuple(self._task(live, worker) for worker in workers)
        return effects.model_copy(update={"first": first, "entry": live.number})

    def defer(self, effects: DeferredEffects) -> None:
        """Execute effects in the background, or at once without a function for it."""
        if self._invoke_background is None:
            self.execute(effects)
        else:
            self._invoke_background(BackgroundEvent(effects=effects))

    def execute(self, effects: DeferredEffects, left: Left | None = None) -> None:
        """Execute those of the effects that the journal still requires.

        If the time is short, another invocation is started for the rest.
        """
        alone = {"room": None, "ended": False, "looks": False, "expands": False}
        rest = effects.model_copy(update=alone)
        if rest.are_any() or effects.looks or effects.expands:
            try:
                if effects.expands:
                    self._expand_maps(effects.org, effects.pipeline_id)
                if effects.looks:
                    self._look_again(effects.org, effects.pipeline_id)
                if rest.are_any():
                    self._execute(rest, left)
            except NotFoundError:
                about = {"pipeline": effects.pipeline_id}
                logger.info("effects of a deleted pipeline", extra=about)
        if effects.room is not None:
            self._slots.settle(effects.org, effects.pipeline_id, SlotNeed(effects.room))
        if effects.ended:
            self._send_run(effects, left)

    def _send_run(self, effects: DeferredEffects, left: Left | None) -> None:
        try:
            copied = send_run(
                self._records,
                self._storage,
                self._installation,
                self._timing,
                self._collector,
                reading=self._reading,
                org=effects.org,
                pipeline_id=effects.pipeline_id,
                done=effects.copied,
                is_over=lambda: left is not None and left() <= RESERVE,
            )
            if copied is not None:
                rest = {"org": effects.org, "pipeline_id": effects.pipeline_id, "ended": True}
                self.defer(DeferredEffects.model_validate({**rest, "copied": copied}))
        except NotFoundError:
            logger.info("telemetry of a deleted pipeline", extra={"pipeline": effects.pipeline_id})
        except Exception:
            about = {"pipeline": effects.pipeline_id}
            logger.exception("telemetry was not sent", extra=about)

    def _execute(self, effects: DeferredEffects, left: Left | None) -> None:
        effects = self._without_first(effects, left)
        work = self._required(effects, left)
        self._mark(work)
        unlaunched: list[WorkerTask] = []
        begun: list[DeferredEffects] = []
        # RunTask is limited to a rate, and compiling takes CPU time: both at once.
        run_all(
            [
                lambda: unlaunched.extend(self._launch(work)),
                lambda: begun.append(self._begin(work)),
                *(lambda reply=reply: self._reply(work, *reply) for reply in work.replies),
                *(lambda image=image: self._build(work, image) for image in work.builds),
                lambda: self._release_limits(work),
            ],
            self._installation.threads,
            work.about,
        )
        workers = tuple(task.worker_id for task in unlaunched)
        nothing = DeferredEffects(org=effects.org, pipeline_id=effects.pipeline_id)
        more = (begun[0] if begun else nothing).model_copy(update={"workers": workers})
        if more.are_any():
            self.defer(more)

    def _without_first(self, effects: DeferredEffects, left: Left | None) -> DeferredEffects:
        """Launch the first workers if the journal is as it was; return the other effects."""
        if not effects.first or not self._is_latest(effects):
            return effects
        work = _Work(effects, effects.run or "", left, list(effects.first))
        late = {task.worker_id for task in self._launch(work)}
        decided = {task.worker_id for task in effects.first} - late
        workers = tuple(name for name in effects.workers if name not in decided)
        return effects.model_copy(update={"workers": workers})

    # ---- required effects ------------------------------------------------------------------------

    def _required(self, effects: DeferredEffects, left: Left | None) -> _Work:
        with paused_collection(), self._reading(effects.org, effects.pipeline_id) as live:
            machine = live.cloud_machine
            work = _Work(effects, machine.run, left)
            workers = (live.registry.workers.get(name) for name in effects.workers)
            work.tasks = [self._task(live, w) for w in workers if w is not None and is_new(w)]
            if effects.run == machine.run and is_unstarted(live):
                work.begins = _graph(live, residual(live.tree))
            for reply in effects.replies:
                target = live.tree.nodes.get(reply.target)
                if target is not None:
                    work.replies.append((reply, _graph(live, residual(live.tree, target))))
            for name in effects.builds:
                image = live.images.get(name)
                if image is not None and image.built is not None and is_waiting(image):
                    work.builds.append(image.built)
        return work

    def _task(self, live: CloudPipeline, worker: WorkerEntry) -> WorkerTask:
        pool = live.pools[worker.pool]
        return WorkerTask(
            worker_id=worker.id,
            org=live.org,
            pipeline_id=live.id,
            pool=pool.name,
            image=live.images[pool.image].record.reference or "",
            cpu=pool.cpu,
            mem=pool.mem,
            token="",  # created at the launch
            user=live.record.owner,
            user_data=secrets_user(live.record) is not None,
            named_role=not is_untrusted(live.record),
            spot=worker.spot,
            program=program_of(live.record.git),
            data=live.mounts_of(pool),
            arch=pool.arch,
            services=to_form(pool.services),
            machine=pool.machine,
            gpu=pool.gpu,
            buckets=buckets_to_wire(pool.buckets),
        )

    def _mark(self, work: _Work) -> None:
        """Mark that the effects of the pipeline are being executed."""
        now = self._timing.clock()
        if (work.tasks or work.begins) and now - work.marked >= MARK_EVERY:
            work.marked = now
            self._records.store.note_worker(work.effects.pipeline_id, EXECUTOR, now)

    # ---- workers --------------------------------------------------------------------------------

    def _launch(self, work: _Work) -> list[WorkerTask]:
        """Launch workers; return those that are left when the time is short."""
        refused: dict[str, Exception] = {}
        rest = work.tasks
        while rest and not work.is_over():
            self._wait(work, self._compute.launch_delay(min(WAVE, len(rest))))
            if work.is_over():
                break
            rest = self._wanted(work, rest)
            wave, rest = rest[:WAVE], rest[WAVE:]
            calls = [lambda task=task: self._start_worker(work, task, refused) for task in wave]
            run_all(calls, self._installation.threads, work.about)
        return rest

    def _wait(self, work: _Work, seconds: float) -> None:
        """Sleep, at most until the time is short; the executor stays marked as working."""
        while True:
            self._timing.sleep(min(seconds, MARK_EVERY))
            self._mark(work)
            seconds -= MARK_EVERY
            if seconds <= 0 or work.is_over():
                return

    def _wanted(self, work: _Work, tasks: Sequence[WorkerTask]) -> list[WorkerTask]:
        """Return the tasks of workers that the journal still requires and nobody has launched."""
        org, pipeline_id = work.effects.org, work.effects.pipeline_id
        launched = self._records.store.workers_seen(pipeline_id)
        if self._is_latest(work.effects):
            return [task for task in tasks if task.worker_id not in launched]
        with self._reading(org, pipeline_id) as live:
            workers = live.registry.workers
            return [
                task
                for task in tasks
                if task.worker_id not in launched
                and task.worker_id in workers
                and is_new(workers[task.worker_id])
            ]

    def _is_latest(self, effects: DeferredEffects) -> bool:
        """Return whether the entry of the first workers is the newest one of the journal."""
        store = self._records.store
        return effects.entry > 0 and store.ends_with(effects.pipeline_id, effects.entry)

    def _start_worker(self, work: _Work, task: WorkerTask, known: dict[str, Exception]) -> None:
        """Launch a worker, unless AWS has rejected the launch of another one of its pool."""
        refused = known.get(task.pool)
        if refused is None:
            most = () if work.left is None else LAUNCH_PAUSES
            pauses = (pause * (1 + self._timing.jitter()) / 2 for pause in most)
            try:
                retry_throttled(lambda: self._order_task(task), pauses, self._timing.sleep)
            except Exception as error:
                # After any error the pool waits before it retries, and its nodes show the reason.
                known[task.pool] = refused = error
                if not isinstance(error, (CapacityError, ThrottledError, AccessDeniedError)):
                    about = {**work.about, "worker": task.worker_id}
                    logger.exception("a worker was not started", extra=about)
        if refused is not None:
            self._not_started(task, refused)

    def _order_task(self, task: WorkerTask) -> None:
        token, digest = new_token()
        who = (task.pipeline_id, task.pool, task.worker_id)
        identity = Identity(task.org, task.user, frozenset({START_WORKER}), who)
        self._records.tokens.put(digest, identity, expires=self._timing.clock() + TOKEN_SECONDS)
        self._compute.fleet.start(replace(task, token=token))
        self._records.store.note_worker(task.pipeline_id, task.worker_id, self._timing.clock())

    def _not_started(self, task: WorkerTask, error: Exception) -> None:
        workers = self._records.orgs.in_use(task.org).workers
        throttled = isinstance(error, ThrottledError)

        def decide(live: CloudPipeline) -> Input:
            return CapacityUnavailable(
                time=self._timing.clock(),
                worker=task.worker_id,
                message=str(error),
                failure=StartFailure.THROTTLED if throttled else failure_of(str(error)),
                contended=workers > live.share.workers,
            )

        self._submit(task.org, task.pipeline_id, decide)

    # ---- named limits ---------------------------------------------------------------------------

    def _release_limits(self, work: _Work) -> None:
        """Release named limits; repeat it while other writers are faster and there is time."""
        effects = work.effects
        keys = [(effects.pipeline_id, path, attempt) for path, attempt in effects.unlimited]
        while keys:
            try:
                NamedLimits(self._records, self._timing).release(effects.org, keys)
            except (ConflictError, ThrottledError):
                if work.left is None or work.is_over():
                    raise
                self._timing.sleep(PAUSE)
            else:
                return

    # ---- executions -----------------------------------------------------------------------------

    def _begin(self, work: _Work) -> DeferredEffects:
        """Start the run; return the rest when the time is short."""
        effects, graph = work.effects, work.begins
        done = DeferredEffects(org=effects.org, pipeline_id=effects.pipeline_id)
        if graph is None:
            return done
        try:
            compiled = self._compile(graph, work.run)
        except DefinitionError as error:
            self._pause(effects, str(error))
            return done
        arn = compiled.top.arn
        created = self._create(
            work, graph, compiled, effects.created if effects.machine == arn else 0
        )
        if created < len(compiled.machines):
            left = {"run": work.run, "machine": arn, "created": created}
            return done.model_copy(update=left)
        execution = self._compute.machines.start(arn, work.run, execution_input(work.run))
        now = self._timing.clock()
        started = ExecutionStarted(time=now, run=work.run, arn=execution)
        self._submit(effects.org, effects.pipeline_id, lambda _: started)
        return done

    def _pause(self, effects: DeferredEffects, problem: str) -> None:
        pause = ActionRequested(time=self._timing.clock(), action=Action.PAUSE, problem=problem)
        self._submit(effects.org, effects.pipeline_id, lambda _: pause)

    @paused_collection()
    def _compile(self, graph: _Graph, run: str) -> Compiled:
        """Return the machines of a graph.

        Machines belong to a run, so that they can be deleted after it.
        """
        site = self._installation.site
        return compile_residual(
            graph.rest,
            site,
            resource=lambda spec: site.activity_of(graph.pools[spec.path]),
            maximum=self._installation.max_machine_size,
            run=run,
        )

    def _create(self, work: _Work, graph: _Graph, compiled: Compiled, known: int = 0) -> int:
        """Create activities and machines; return how many machines exist when the time is short.

        AWS allows one machine per second after a burst of a hundred. They are created in waves: the
        number of an interrupted wave's machines that exist is not known.
        """
        machines, effects = self._compute.machines, work.effects
        names = map(self._installation.site.activity_name, dict.fromkeys(graph.pools.values()))
        self._patiently(work, [partial(machines.ensure_activity, name) for name in names])
        size = self._installation.threads
        for first in range(known, len(compiled.machines), size):
            if work.is_over():
                return first
            wave = compiled.machines[first : first + size]
            owner = (effects.org, effects.pipeline_id)
            self._patiently(work, [partial(machines.create, each, *owner) for each in wave])
        return len(compiled.machines)

    def _patiently(self, work: _Work, calls: Sequence[Callable[[], object]]) -> None:
        """Execute calls, again while AWS throttles them and there is time; raises as they do."""
        while calls:
            self._mark(work)
            errors = _map(_throttled, calls, self._installation.threads)
            calls = [call for call, error in zip(calls, errors, strict=True) if error is not None]
            if calls:
                if work.left is None or work.is_over():
                    raise next(error for error in errors if error is not None)
                self._timing.sleep(PAUSE)

    def _reply(self, work: _Work, reply: LazyReply, graph: _Graph) -> None:
        machines = self._compute.machines
        try:
            compiled = self._compile(graph, work.run)
            self._create(work, graph, compiled)
            machines.succeed(reply.token, {"sm": compiled.top.arn})
        except TaskGoneError:
            return  # its execution was stopped; the journal has the result
        except DefinitionError as error:
            machines.fail(reply.token, NO_TREE)
            self._pause(work.effects, str(error))

    def _build(self, work: _Work, image: BuiltImage) -> None:
        effects = work.effects
        moved = self._builds.begin(effects.org, effects.pipeline_id, image)
        now = self._timing.clock()
        self._submit(effects.org, effects.pipeline_id, lambda live: image_update(live, moved, now))


def is_new(worker: WorkerEntry) -> bool:
    """Return whether a worker may still have to be launched."""
    return worker.status is WorkerStatus.STARTING and worker.task is None


def is_unstarted(live: CloudPipeline) -> bool:
    """Return whether the latest run is planned, and its execution is not known to have started."""
    machine = live.cloud_machine
    return machine.run_state.open and machine.run not in live.runs


def is_waiting(image: CloudImage) -> bool:
    """Return whether the build of an image is wanted, and is not known to have started."""
    built = image.built
    return built is not None and built.state is ImageState.QUEUED and built.build is None


def _graph(live: CloudPipeline, rest: Residual | None) -> _Graph:
    pools = {} if rest is None else {s.path: live.pool_for(s).name for s in rest.tasks()}
    return _Graph(rest, pools)
