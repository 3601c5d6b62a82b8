"""A cloud pipeline: the state that its definition and its journal imply. No I/O, no clock.

::

    Input ──► CloudPipeline.take_in ──► PipelineChanges: records to write and commands for AWS

Equal inputs lead to equal states in every Lambda: random and external values are part of the input.
Policies are in `conducto_core.semantics`.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, assert_never

from chalicelib.domain.events import (
    ActionRequested,
    BuiltImage,
    CapacityUnavailable,
    Changed,
    Claimed,
    ExecutionEnded,
    ExecutionLost,
    ExecutionStarted,
    HealthChecked,
    ImagesUpdated,
    Input,
    JournalEntry,
    OutputsArrived,
    Reported,
    TimeLimitsExpired,
    TreeReplaced,
    WorkerLost,
    WorkerStarted,
)
from chalicelib.domain.pipeline_state import CloudImage, CloudState
from chalicelib.domain.workers import Worker, WorkerStatus
from chalicelib.ports.identity import Spender
from conducto_core.model.continuation import Fate
from conducto_core.model.form_codec import unpack_form
from conducto_core.model.nodes import Pipeline
from conducto_core.model.notifications import NotificationRecord
from conducto_core.model.outputs import OutputSummary
from conducto_core.model.records import (
    AttemptRecord,
    ImageRecord,
    ImageState,
    Lifecycle,
    NodeChange,
    PipelineRecord,
)
from conducto_core.model.requests import Action
from conducto_core.model.states import IN_FLIGHT, Cause, State
from conducto_core.notifications.messages import compose
from conducto_core.runtime.commands import as_written
from conducto_core.semantics import events as ev
from conducto_core.semantics.actions import EVENTS
from conducto_core.semantics.autoscaling import Pool
from conducto_core.semantics.cloud_machine import (
    CompleteTask,
    MachineCommand,
    StartExecution,
    StepResult,
    StopExecution,
)
from conducto_core.semantics.contexts import Hold, is_late, loss
from conducto_core.semantics.continuation import continued_tree, with_generated
from conducto_core.semantics.cost import charged_seconds, dollars_for
from conducto_core.semantics.machine import advance, settled
from conducto_core.semantics.pipeline_state import LIFECYCLES
from conducto_core.semantics.pools import PoolKind
from conducto_core.semantics.resolve import Edits, resolve_generated, resolve_grown
from conducto_core.semantics.start_failures import Failed, PoolStarts, StartFailure
from conducto_core.semantics.tree_state import LiveExec
from conducto_core.semantics.user_secrets import changed, secrets_user

#: Seconds that a worker gets to stop a command itself after its ``max_time``.
GRACE = 60.0
#: Maximum number of consecutive runs without progress; then the pipeline is paused.
MAX_FRUITLESS = 5

_RESETS = (Action.RESET, Action.REBUILD)
#: Actions after which worker launches are retried in pools that gave up.
_RETRIES_STARTS = (*_RESETS, Action.RUN, Action.WAKE, Action.MODIFY, Action.UNSKIP)
#: Why an idle worker stops.
_SPARED = "another command of the organisation needed a worker"
_LATE = {
    Hold.PAUSED: "the pipeline was paused for more than 24 hours",
    Hold.SPARE: "no command of the group had run for 15 minutes",
}


@dataclass(frozen=True, slots=True)
class Usage:
    """The metered seconds of an attempt; ``key`` identifies them within the pipeline.

    Attributes:
        whose: The pipeline that is charged, and the cost.
    """

    key: str
    seconds: float
    cpu: float
    whose: Spender


@dataclass(slots=True)
class PipelineChanges:
    """The results of an event.

    Attributes:
        changes: State changes to publish.
        attempts: Attempts that started or ended.
        orders: Commands for Step Functions.
        pools: ``{path: pool}`` of the tasks in `machine_commands`.
        stops: ``(worker, task ARN)`` of workers to stop.
        usage: Usage to meter.
        told: Notifications to send, with secrets not yet masked.
        builds: Images whose build must be started.
    """

    changes: list[NodeChange] = field(default_factory=list)
    attempts: list[AttemptRecord] = field(default_factory=list)
    machine_commands: list[MachineCommand] = field(default_factory=list)
    pools: dict[str, Pool] = field(default_factory=dict)
    stops: list[tuple[str, str | None]] = field(default_factory=list)
    usage: list[Usage] = field(default_factory=list)
    new_notifications: list[NotificationRecord] = field(default_factory=list)
    builds: list[BuiltImage] = field(default_factory=list)


class _Note(NamedTuple):
    """Facts about the end of an attempt for its record."""

    exit_code: int | None = None
    message: str | None = None
    peak_memory: int | None = None
    output_bytes: int | None = None
    outputs: OutputSummary | None = None
    interpreter: str | None = None


class CloudPipeline(CloudState):
    """One pipeline and its reaction to events."""

    def __init__(self, org: str, definition: bytes, tree_of: Callable[[str], bytes]) -> None:
        super().__init__(org, definition, tree_of)
        self._effects = PipelineChanges()
        self._exit_codes: dict[str, int | None] = {}
        self._notes: dict[str, _Note] = {}

    # ---- events -----------------------------------------------------------------------------

    def apply(self, event: Input) -> PipelineChanges:
        """Apply an event, increment `number` and return the results; raises `TransitionError`."""
        self.number += 1
        self.now = max(self.now, event.time)
        self._effects = PipelineChanges()
        self._exit_codes.clear()
        self._notes.clear()
        refused = len(self.cloud_machine.run_state.refused)
        self._dispatch(event)
        if len(self.cloud_machine.run_state.refused) > refused:
            self._replan()
        self._fail_without_image()
        self._fail_without_workers()
        self._want_builds()
        self._let_workers_go()
        self._fail_without_context(event)
        self._let_joined_go()
        self._note_status()
        self._let_workers_go()
        return self._effects

    def pool_workers(self, written: JournalEntry) -> None:
        """Register the workers that the latest entry launches."""
        for launch in written.hires:
            image = self.images[self.pools[launch.pool].image].record.reference
            self.registry.workers[launch.worker] = Worker(
                launch.worker,
                launch.pool,
                self.now,
                reference=image,
                launched=self.now,
                round=self.starts_of(launch.pool).rounds,
                for_owner=secrets_user(self.record) is not None,
            )
        self.limited, self.withheld = written.limited, written.withheld
        if written.share is not None:
            self.share = written.share

    def _dispatch(self, event: Input) -> None:  # noqa: C901, PLR0912  one case per event
        match event:
            case ActionRequested():
                self.record = changed(self.record, event.action, event.by, self.now)
                self._apply_action(event)
            case Changed():
                self.record = changed(self.record, event.change, event.by, self.now)
            case Claimed():
                self._claimed(event)
            case Reported():
                self._reported(event)
            case OutputsArrived():
                self._outputs_arrived(event)
            case WorkerStarted():
                self._worker_up(event)
            case WorkerLost():
                self._worker_lost(event)
            case ExecutionStarted():
                self._started(event)
            case ExecutionEnded():
                if event.run == self.cloud_machine.run and not settled(self.tree):
                    self._replan()
            case ExecutionLost():
                if event.run == self.cloud_machine.run and event.run in self.runs:
                    self._replan()
                elif event.run == self.cloud_machine.run:  # it never started; do not count it
                    self._follow(self.cloud_machine.replan())
            case ImagesUpdated():
                self._images_moved(event.images)
            case TimeLimitsExpired():
                for path in event.paths:
                    if self.deadlines.pop(path, None) is not None:
                        self._follow(self.cloud_machine.apply(ev.TimeLimitReached(path)))
            case CapacityUnavailable():
                self._capacity_missing(event)
            case HealthChecked():
                for worker in [one for one in self.surplus() if one in event.spared]:
                    self._send_away(self.registry.workers[worker], _SPARED)
            case TreeReplaced():
                self._replace(event)
            case _:
                assert_never(event)

    # ---- actions ----------------------------------------------------------------------------

    def _apply_action(self, request: ActionRequested) -> None:
        if request.action in _RETRIES_STARTS:
            good = {pool: s for pool, s in self.starts.items() if s.proven and not s.rounds}
            self.starts = good
        match request.action:
            case Action.RUN | Action.WAKE:
                if request.action is Action.RUN:
                    self.fruitless = 0
                self._leave_archive()
                self._perform(request.action)
            case Action.PAUSE | Action.CANCEL | Action.SLEEP | Action.ARCHIVE:
                self._perform(request.action, request.problem)
            case Action.MODIFY:
                self._images_moved(request.images)
                self._modify(request.edits)
            case _:
                if request.action in _RESETS:
                    self._try_failed_images_again()
                self._images_moved(request.images)
                self._follow(self.cloud_machine.apply(EVENTS[request.action](request.paths)))

    def _leave_archive(self) -> None:
        if self.record.lifecycle is Lifecycle.ARCHIVED:
            self.epoch += 1
            workers = (*self.registry.workers.values(), *self.registry.ended.values())
            in_use = {worker.pool for worker in workers} | self.queue.keys()
            self.pools = {name: pool for name, pool in self.pools.items() if name in in_use}
            self.starts = {name: s for name, s in self.starts.items() if name in in_use}

    def _perform(self, action: Action, problem: str | None = None) -> None:
        for event in self.perform(action, problem):
            self._follow(self.cloud_machine.apply(event))
        self.set_record(lifecycle=LIFECYCLES.get(action, self.record.lifecycle))

    def _modify(self, edits: Mapping[str, dict[str, Any]]) -> None:
        modified = self.edit(edits, self.resolved({**self.edits, **edits}))
        self._know_images()
        self._follow(self.cloud_machine.apply(modified))

    def resolved(self, edits: Edits) -> Pipeline:
        """Return the definition with ``edits`` and generated trees; raises `DefinitionError`."""
        trees = ((t, unpack_form(self.tree_of(key))) for t, key in self.generated.items())
        return resolve_grown(self.form, trees, edits, self.pipeline.images)

    # ---- workers ------------------------------------------------------------------------------

    def _claimed(self, claim: Claimed) -> None:
        worker = self.registry.workers.get(claim.worker)
        if worker is None or not self._hand(worker, claim):
            return
        if claim.attempt is not None:
            worker.token = claim.token
            self._start(worker, claim.attempt)
            if claim.refusal is not None:
                worker.busy, worker.status = False, WorkerStatus.IDLE
                self._finish(claim.attempt.path, claim.refusal_cause, message=claim.refusal)

    def _hand(self, worker: Worker, claim: Claimed) -> bool:
        """Record that a worker holds a task, or complete a stray one; return its validity."""
        if self.is_stray(claim):
            self._effects.machine_commands.append(
                CompleteTask(claim.token, self.reply_to_stray(claim))
            )
            return False
        worker.since = self.now
        self._follow(
            self.cloud_machine.claim(claim.token, claim.run, claim.node, waits=claim.waits)
        )
        path = self.cloud_machine.path_of(claim.node) or ""
        if claim.token in self.cloud_machine.run_state.held.get(path, {}):
            self.holders[claim.token] = worker.id
        return True

    def _start(self, worker: Worker, attempt: AttemptRecord) -> None:
        self.fruitless = 0
        worker.path, worker.attempt, worker.busy = attempt.path, attempt.number, True
        worker.status = WorkerStatus.BUSY
        worker.commands += 1
        self.starts[worker.pool] = self.starts_of(worker.pool).after_command(worker.round)
        self._unqueue(attempt.path)
        self.in_flight[attempt.path] = attempt
        self.times[attempt.path] = (attempt.started, None)
        self._effects.attempts.append(attempt)
        self._follow(self.cloud_machine.start(attempt.path))

    def _reported(self, report: Reported) -> None:
        worker = self.registry.workers.get(report.worker)
        node = self.exec_in(report.path, report.attempt, State.RUNNING)
        if worker is None or node is None or not worker.runs(report.path, report.attempt):
            return  # a repeated report
        worker.busy, worker.since = False, self.now
        once = self.pools[worker.pool].kind is PoolKind.ONCE
        worker.status = WorkerStatus.LEAVING if report.last or once else WorkerStatus.IDLE
        pool = self.pools[worker.pool]
        key = f"{report.path}#{report.attempt}"
        dollars = dollars_for(report.path, pool.cpu, pool.mem, report.seconds)
        spender = Spender(self.id, self.record.title, dollars)
        self._effects.usage.append(Usage(key, report.seconds, pool.cpu, spender))
        worker.metered += report.seconds
        if report.cause is None and node.stop_reason is None:
            self._graft(node, report)
        self._notes[report.path] = _Note(
            report.exit_code,
            report.message,
            report.peak_memory,
            report.output_bytes,
            report.outputs,
            report.interpreter,
        )
        self._exit_codes[report.path] = report.exit_code
        self._finish(report.path, report.cause, seconds=report.seconds, message=report.message)
        if worker.status is WorkerStatus.LEAVING:
            self._note_lost_context(worker, "its worker was stopped")
            self._lose_tasks(worker)

    def _outputs_arrived(self, arrived: OutputsArrived) -> None:
        if self.exec_in(arrived.path, arrived.attempt, State.RUNNING) is None:
            return
        record = self.in_flight[arrived.path].model_copy(update={"outputs": arrived.outputs})
        self.in_flight[arrived.path] = record
        self._effects.attempts.append(record)

    def _finish(
        self,
        path: str,
        cause: Cause | None,
        *,
        seconds: float = 0.0,
        message: str | None = None,
        final: bool = False,
    ) -> None:
        self.fruitless = 0
        self._notes.setdefault(path, _Note(message=message))
        record = self.in_flight[path]
        mem = 0.0 if record.mem is None else record.mem
        taken = self.cloud_machine.finish(path, cause, seconds=seconds, mem=mem, final=final)
        self._follow(taken)

    def _worker_up(self, up: WorkerStarted) -> None:
        worker = self.registry.workers.get(up.worker)
        if worker is None:
            return
        worker.task, worker.since, worker.protocol = up.task, self.now, up.protocol
        if worker.status is WorkerStatus.STARTING:
            worker.status = WorkerStatus.IDLE
        if worker.pool in self.starts:
            self.starts[worker.pool] = self.starts[worker.pool].after_up(worker.round)

    def _worker_lost(self, lost: WorkerLost) -> None:
        worker = self.registry.workers.get(lost.worker)
        if worker is None:
            self._explained(lost)
            return
        if lost.handed is not None:
            self._hand(worker, lost.handed)
        del self.registry.workers[worker.id]
        if worker.status is not WorkerStatus.LEAVING:
            self._note_lost_context(worker, lost.reason)
        if worker.task is not None:
            self._effects.stops.append((worker.id, worker.task))
        if worker.busy and self.exec_in(worker.path, worker.attempt, State.RUNNING) is not None:
            message = f"the worker was lost: {lost.reason.rstrip('.')}"
            self._finish(worker.path, lost.cause, message=message)
        looked = worker.task is not None and self.cloud_machine.run in self.runs
        if not self._lose_tasks(worker) and looked and self._is_forgotten(worker.pool):
            self._replan()
        wanted = worker.status is not WorkerStatus.LEAVING and not worker.commands
        worker.unexplained = wanted and lost.unexplained
        worker.since = self.now
        if wanted and lost.failure is not None and not lost.unexplained:
            self._count_failure(worker, lost.failure, lost.reason)
        if lost.ended is None:
            self.registry.ended[worker.id] = worker
        else:
            self._meter(worker, lost.began, lost.ended)

    def _explained(self, lost: WorkerLost) -> None:
        """Apply the ECS event about a worker that reported its own end, or was already lost."""
        worker = self.registry.ended.pop(lost.worker, None)
        if worker is None:
            return  # a repeated event
        if worker.unexplained:
            self._count_failure(worker, lost.failure or StartFailure.LOST, lost.reason)
        self._meter(worker, lost.began, lost.ended)

    def _meter(self, worker: Worker, began: float | None, ended: float | None) -> None:
        if began is None or ended is None:
            return  # AWS does not charge for a task that never started
        pool = self.pools[worker.pool]
        seconds = charged_seconds(began, ended) - worker.metered
        if seconds <= 0:
            return
        dollars = dollars_for(worker.pool, pool.cpu, pool.mem, seconds)
        spender = Spender(self.id, self.record.title, dollars, attempts=0)
        self._effects.usage.append(Usage(f"@{worker.id}", seconds, pool.cpu, spender))

    def _lose_tasks(self, worker: Worker) -> bool:
        """Release the tasks of a leaving worker to others; return whether it had any."""
        tokens = [token for token, holder in self.holders.items() if holder == worker.id]
        if tokens:
            self._follow(self.cloud_machine.lose(tokens))
        return bool(tokens)

    def _is_forgotten(self, pool: str) -> bool:
        """Return whether Execs are queued in a pool but no worker was offered a task for them."""
        queued = self.queue.get(pool, {})
        held = self.cloud_machine.run_state.held
        free = self.pools[pool].name in self.wanted()
        idle_left = any(
            self.registry.in_pool(pool, WorkerStatus.STARTING, WorkerStatus.IDLE, WorkerStatus.BUSY)
        )
        had_work = any(path in held for path in queued)
        return bool(queued) and free and not idle_left and not had_work and self._waited(pool)

    def _waited(self, pool: str) -> bool:
        queued = [self.in_flight[path].queued or 0.0 for path in self.queue.get(pool, {})]
        return bool(queued) and self.now - max(min(queued), self.planned_at) > GRACE

    def _count_failure(
        self,
        worker: Worker,
        failure: StartFailure,
        reason: str,
        *,
        refused: bool = False,
        contended: bool = False,
    ) -> None:
        """Count a worker that ended, or failed to launch, before it ran a command."""
        failed = Failed(failure, reason, worker.round, refused=refused, contended=contended)
        starts = self.starts.get(worker.pool, PoolStarts())
        self.starts[worker.pool] = starts.after(failed, self.now)

    def _fail_without_workers(self) -> None:
        for pool in list(self.queue):
            starts = self.starts_of(pool)
            if starts.given_up:
                message = starts.message(self.pools[pool].image)
                for path in list(self.queue.get(pool, {})):
                    if path in self.queue.get(pool, {}):
                        self._finish(path, starts.cause, message=message, final=True)

    def _capacity_missing(self, missing: CapacityUnavailable) -> None:
        worker = self.registry.workers.get(missing.worker)
        if worker is None or worker.status is not WorkerStatus.STARTING:
            return
        del self.registry.workers[worker.id]
        up = (WorkerStatus.IDLE, WorkerStatus.BUSY)
        others = any(other.status in up for other in self.registry.workers.values())
        self._count_failure(
            worker,
            missing.failure,
            missing.message,
            refused=True,
            contended=missing.contended or others,
        )

    def _let_workers_go(self) -> None:
        """Stop workers that have no more work, instead of paying for their idle time."""
        asleep = self.record.lifecycle is not Lifecycle.ACTIVE
        done = self.settled()
        for worker in self.registry.workers.values():
            if worker.busy or worker.status is WorkerStatus.LEAVING:
                continue
            pool = self.pools[worker.pool]
            # Keep workers that are up: users often reset failed nodes right away.
            too_late = done and worker.status is WorkerStatus.STARTING
            if asleep or too_late:
                self._send_away(worker, "the pipeline sleeps")
            elif self._is_outdated(worker, pool):
                changed = "its image changed, or it has secrets that are withheld since a change"
                self._send_away(worker, changed)
            elif pool.kind is PoolKind.CONTEXT:
                self._look_at_context(worker)

    def _look_at_context(self, worker: Worker) -> None:
        hold = self.hold_of(worker)
        if hold is Hold.NEEDED:
            worker.unused = None
            return
        worker.unused = self.now if worker.unused is None else worker.unused
        if is_late(hold, self.now - worker.unused):
            self._send_away(worker, _LATE.get(hold, ""))

    def _send_away(self, worker: Worker, why: str) -> None:
        worker.status = WorkerStatus.LEAVING
        self._effects.stops.append((worker.id, worker.task))
        self._note_lost_context(worker, why)

    def _note_lost_context(self, worker: Worker, why: str) -> None:
        """Record that a context's container was lost, if its group still needs the state in it."""
        pool = self.pools[worker.pool].key
        lost = self.lose_context(pool, why, worker.commands - worker.busy)
        if lost and not self.record.armed:
            self.set_record(problem=loss(pool, why, self.id))

    def _fail_without_context(self, event: Input) -> None:
        """End Execs that would continue in an empty container, unless the user resets them."""
        resets = isinstance(event, ActionRequested) and event.action in _RESETS
        paths = event.paths if isinstance(event, ActionRequested) and resets else ()
        for node, message in self.stranded(paths):
            self._finish(node.path, Cause.WORKER_LOST, message=message, final=True)

    def _is_outdated(self, worker: Worker, pool: Pool) -> bool:
        holds_secrets = worker.for_owner and secrets_user(self.record) is None
        image = self.images.get(pool.image)  # the tree may have been replaced
        reference = None if image is None else image.record.reference
        moved = image is None or worker.reference not in (None, reference)
        return holds_secrets or moved

    # ---- executions ---------------------------------------------------------------------------

    def _started(self, begun: ExecutionStarted) -> None:
        self.runs[begun.run] = begun.arn
        while len(self.runs) > 3:  # noqa: PLR2004  the latest run and runs that are being stopped
            del self.runs[next(iter(self.runs))]
        if begun.run != self.cloud_machine.run or not self.cloud_machine.run_state.open:
            self._effects.machine_commands.append(StopExecution(begun.run))

    def _replan(self) -> None:
        """Restart the remaining work; pause the pipeline after repeated runs without progress."""
        self.fruitless += 1
        if self.fruitless > MAX_FRUITLESS:
            problem = "executions end before their nodes do; this is a bug in Conducto, report it"
            self._perform(Action.PAUSE, problem)
            return
        self._follow(self.cloud_machine.replan())

    def _let_joined_go(self) -> None:
        """Complete the tasks of attempts that were already active when the run was planned.

        The task of such an attempt is completed when a worker claims it. If no worker of the pool
        is left to claim it, a new run is planned without it.
        """
        run_state = self.cloud_machine.run_state
        for path in sorted(run_state.joined):
            node = self.tree.nodes.get(path)
            if isinstance(node, LiveExec) and node.state in IN_FLIGHT:
                continue
            if node is not None and run_state.open:
                pool = self.pool_at(node).name
                if any(self.registry.in_pool(pool, WorkerStatus.STARTING, WorkerStatus.IDLE)):
                    continue
                self._follow(self.cloud_machine.replan())
                return
            run_state.joined.discard(path)

    # ---- images and trees ------------------------------------------------------------------

    def _images_moved(self, images: Iterable[BuiltImage]) -> None:
        for built in images:
            image = self.images.setdefault(built.name, CloudImage(ImageRecord(name=built.name)))
            if built.reference != image.record.reference:
                self._forget_starts(built.name)
            image.built = built
            image.version = self.number
            image.record = _record_of(image.record, built, self.now)

    def _forget_starts(self, image: str) -> None:
        """Forget the launch failures of pools whose image changes."""
        starts = self.starts.items()
        self.starts = {pool: s for pool, s in starts if self.pools[pool].image != image}

    def _want_builds(self) -> None:
        for name in dict.fromkeys(self.pools[pool].image for pool in self.queue):
            image = self.images[name]
            pending = image.record.state is ImageState.PENDING
            if pending and image.built is not None and image.built.tag is not None:
                queued = image.built.model_copy(update={"state": ImageState.QUEUED})
                self._images_moved([queued])
                self._effects.builds.append(queued)

    def _try_failed_images_again(self) -> None:
        """Forget failed builds, so that resetting nodes builds their images again."""
        for image in list(self.images.values()):
            if image.record.state is ImageState.ERROR and image.built is not None:
                again = {"state": ImageState.PENDING, "error": None, "build": None}
                self._images_moved([image.built.model_copy(update=again)])

    def _fail_without_image(self) -> None:
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
        self.graft(target, tree)
        self.generated[target] = key
        self._know_images()
        self._images_moved(report.images)
        self._follow(self.cloud_machine.generate(node.path, tree.nodes))

    def forget_below(self, target: str) -> list[str]:
        """Remove the nodes below ``target`` from the definition; return their paths."""
        paths = super().forget_below(target)
        for path in (target, *paths):
            self.generated.pop(path, None)
        return paths

    # ---- another tree -------------------------------------------------------------------------

    def _replace(self, replaced: TreeReplaced) -> None:
        """Replace the definition, while no attempt is active; the pipeline is paused."""
        self._let_contexts_go()
        plan: dict[str, Any] = unpack_form(self.tree_of(replaced.plan))
        definition = unpack_form(self.tree_of(replaced.definition))
        record = PipelineRecord.model_validate(definition["record"])
        self.definition = definition
        self.definition_key, self.plan_key = replaced.definition, replaced.plan
        self.generated = {target: self.generated[target] for target in replaced.generated}
        self._forget_progress()
        kept = {each["path"] for each in plan["nodes"] if each["fate"] == Fate.KEPT}
        self._adopt_new(record, kept, replaced.images)
        self.record = changed(self.record, "continue", replaced.by, self.now)

    def _let_contexts_go(self) -> None:
        """Stop the containers of contexts: their state is of the old tree."""
        for worker in self.registry.staying():
            if self.pools[worker.pool].kind is PoolKind.CONTEXT:
                self._send_away(worker, "the tree was replaced")

    def _forget_progress(self) -> None:
        """Forget everything that the old tree's next run would have needed."""
        self.starts = {}
        self.deadlines = {}
        self.fruitless = 0

    def _adopt_new(
        self, record: PipelineRecord, kept: Collection[str], images: Sequence[BuiltImage]
    ) -> None:
        old, machine = self.tree, self.cloud_machine
        forms = {path: unpack_form(self.tree_of(key)) for path, key in self.generated.items()}
        pipeline, _ = with_generated(self.form, forms)
        tried = old.past | {path: node.attempt for path, node in old.nodes.items() if node.attempt}
        taken = machine.replace(continued_tree(old, pipeline, kept, tried))
        known = {built.name: self.images.get(built.name) for built in images}
        same = {built.name for built in images if _is_of(known[built.name], built)}
        self.images = {name: image for name, image in known.items() if image and name in same}
        self.redefine(record, pipeline, machine.tree)
        self.adopt(machine)
        self.times = {path: times for path, times in self.times.items() if path in self.tree.nodes}
        self._images_moved(built for built in images if built.name not in same)
        self._follow(taken)

    # ---- state machine ----------------------------------------------------------------------

    def _follow(self, taken: StepResult) -> None:
        """Execute the commands, record the changes, and collect the commands for Step Functions."""
        codes = self._exit_codes.get
        effects = self.follow(taken.commands, taken.changes, self.now, codes)
        for command in effects.commands:
            self._execute(command)
        self._effects.changes += [NodeChange(**row._asdict()) for row in effects.changes]
        for machine_command in taken.machine_commands:
            self._pass_on(machine_command)

    def _execute(self, command: ev.DriverCommand) -> None:
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
            case ev.Notify():
                self._effects.new_notifications.append(compose(self, command, self.now))
            case ev.Stop():
                pass  # the worker learns this from its next heartbeat
            case _:
                assert_never(command)

    def _enqueue(self, command: ev.Enqueue) -> None:
        node = self.tree.nodes.get(command.path)
        if node is None:
            return  # a Lazy discarded it in the same event; its withdrawal follows
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
        note = self._notes.get(command.path, _Note())
        said = ": ".join(filter(None, (note.message, command.note)))
        message = "\n".join(filter(None, (record.message, said))) or None
        ended = record.model_copy(
            update={
                "state": command.state,
                "cause": command.cause,
                "message": message,
                "exit_code": note.exit_code,
                "peak_memory": note.peak_memory,
                "output_bytes": note.output_bytes,
                "outputs": note.outputs or record.outputs,  # that arrived before it was lost
                "interpreter": note.interpreter,
                "ended": self.now,
            }
        )
        self.times[command.path] = (ended.started, self.now)
        self._effects.attempts.append(ended)

    def _pass_on(self, command: MachineCommand) -> None:
        self._effects.machine_commands.append(command)
        match command:
            case StartExecution():
                self.planned_at = self.now
                rest = command.rest
            case CompleteTask():
                self.holders.pop(command.token, None)
                rest = command.generated
            case StopExecution():
                self.holders.clear()
                rest = None
        if rest is not None:
            specs = {spec.path: spec for spec in rest.tasks()}
            self._effects.pools.update({path: self.pool_for(s) for path, s in specs.items()})

    # ---- helpers ------------------------------------------------------------------------------

    def _note_status(self) -> None:
        if self._effects.changes and self.falls_asleep():
            for event in self.perform(Action.SLEEP):
                advance(self.tree, event)  # nothing is in flight, so no execution has to change
            self.set_record(lifecycle=LIFECYCLES[Action.SLEEP])
        self.set_record(status=self.status(), touched=self.now)


def _is_of(image: CloudImage | None, built: BuiltImage) -> bool:
    return image is not None and image.built == built


def _record_of(record: ImageRecord, built: BuiltImage, now: float) -> ImageRecord:
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
