"""The workers of a cloud pipeline: their events, and when they stop. No I/O, no clock."""

from collections.abc import Collection

from chalicelib.budgets.rules import PipelineBudgets
from chalicelib.people.port import Spender
from chalicelib.run.model import (
    CapacityUnavailable,
    Claimed,
    JournalEntry,
    OutputsArrived,
    Reported,
    WorkerLost,
    WorkerStarted,
)
from chalicelib.run.rules.changes import PipelineChanges, WorkerCharge, WorkerUsage
from chalicelib.run.rules.state import CloudImage, Listing
from chalicelib.run.rules.steps import GRACE, PipelineSteps
from chalicelib.workers.rules import WorkerEntry, WorkerStatus
from conducto_core.asl.rules.machine import CompleteTask
from conducto_core.billing.rules import charged_seconds, dollars_of, month_of
from conducto_core.people.task_roles import program_of
from conducto_core.run.model.records import AttemptRecord, Lifecycle
from conducto_core.run.model.states import Cause, State
from conducto_core.run.rules.contexts import LATE, Hold, is_inside, is_late, loss
from conducto_core.run.rules.live_nodes import LiveExec
from conducto_core.run.rules.outcomes import AttemptEnd
from conducto_core.secrets.rules import secrets_user
from conducto_core.tree.rules.callbacks import PoolKind
from conducto_core.workers.rules.placement import max_wait, rungs_of
from conducto_core.workers.rules.start_failures import Failed, PoolStarts, StartFailure

_OUTDATED = "its image or title changed, or it has secrets that are withheld since a change"


class PipelineWorkers:
    """The workers of a pipeline, whose events and ends change its state by its steps."""

    def __init__(self, state: PipelineBudgets, steps: PipelineSteps) -> None:
        self._state = state
        self._steps = steps

    # ---- commands -----------------------------------------------------------------------------

    def claimed(self, claim: Claimed) -> None:
        worker = self._state.registry.workers.get(claim.worker)
        if worker is None or not self._hand(worker, claim):
            return
        if claim.attempt is not None:
            worker.previous, worker.token = worker.token, claim.token
            self._start(worker, claim.attempt)
            if claim.cached is not None:
                self._state.cached[claim.attempt.path] = claim.cached
            if claim.refusal is not None:
                worker.busy, worker.status = False, WorkerStatus.IDLE
                self._steps.finish(claim.attempt.path, claim.refusal_cause, message=claim.refusal)

    def _hand(self, worker: WorkerEntry, claim: Claimed) -> bool:
        """Record that a worker holds a task, or complete a stray one; return its validity."""
        if self._state.is_stray(claim):
            self._steps.effects.machine_commands.append(
                CompleteTask(claim.token, self._state.reply_to_stray(claim))
            )
            return False
        worker.since = self._state.now
        self._steps.follow(
            self._state.cloud_machine.claim(claim.token, claim.run, claim.node, waits=claim.waits)
        )
        path = self._state.cloud_machine.path_of(claim.node) or ""
        if claim.token in self._state.cloud_machine.run_state.held.get(path, {}):
            self._state.holders[claim.token] = worker.id
        return True

    def _start(self, worker: WorkerEntry, attempt: AttemptRecord) -> None:
        self._state.fruitless = 0
        worker.path, worker.attempt, worker.busy = attempt.path, attempt.number, True
        worker.status = WorkerStatus.BUSY
        worker.kept = None
        worker.commands += 1
        self._state.starts[worker.pool] = self._state.starts_of(worker.pool).after_command(
            worker.round
        )
        self._steps.unqueue(attempt.path)
        self._state.in_flight[attempt.path] = attempt
        self._state.cached.pop(attempt.path, None)
        self._state.times[attempt.path] = (attempt.queued or attempt.started, None)
        self._steps.follow(self._state.cloud_machine.start(attempt.path))

    def reported(self, report: Reported) -> None:
        worker = self._state.registry.workers.get(report.worker)
        if worker is None:
            return
        node = self._state.exec_in(report.path, report.attempt, State.RUNNING)
        if node is not None and worker.runs(report.path, report.attempt):
            self._end_command(worker, node, report)  # otherwise, it is a repeated report
        if report.next is not None:
            self._claim_next(worker, report.next)

    def _claim_next(self, worker: WorkerEntry, claim: Claimed) -> None:
        """Apply the claim that came with a report; its attempt may not start after all."""
        if worker.status is WorkerStatus.IDLE and self._is_outdated(worker):
            self.send_away(worker, _OUTDATED)  # which releases the task
        retried = worker.token in self._state.holders  # its last command runs again, and first
        if claim.attempt is not None and (retried or not self._state.is_current(claim)):
            claim = claim.model_copy(update={"attempt": None, "refusal": None})
        self.claimed(claim)
        if worker.status is WorkerStatus.LEAVING:
            self._lose_tasks(worker)

    def _end_command(self, worker: WorkerEntry, node: LiveExec, report: Reported) -> None:
        worker.busy, worker.since = False, self._state.now
        once = self._state.pools[worker.pool].kind is PoolKind.ONCE
        worker.status = WorkerStatus.LEAVING if report.last or once else WorkerStatus.IDLE
        pool = self._state.pools[worker.pool]
        key = f"{report.path}#{report.attempt}"
        dollars = dollars_of(pool.reported, report.seconds)
        spender = Spender.for_pipeline(self._state.record, dollars)
        self._steps.effects.usage.append(
            WorkerUsage(key, month_of(self._state.now), report.seconds, pool.cpu, spender)
        )
        worker.metered += report.seconds
        self._state.spend(report.path, dollars_of(pool.size, report.seconds))
        if report.cause is None and node.stop_reason is None:
            self._steps.graft(node, report.tree_key, report.images)
        if report.not_stored is not None:
            self._steps.not_stored(report.path, report.not_stored)
        self._steps.ends[report.path] = AttemptEnd(
            report.exit_code,
            report.message,
            report.peak_memory,
            report.output_bytes,
            report.outputs,
            report.interpreter,
            first_error=report.first_error,
        )
        self._steps.finish(
            report.path,
            self._cause_at(worker, report.cause),
            seconds=report.seconds,
            message=report.message,
            excused=report.excused,
            known=report.known,
        )
        if worker.leaves or self._gives_up(worker):
            self._stop(worker)
        elif worker.status is WorkerStatus.LEAVING:
            self._note_lost_context(worker, "its worker was stopped")
        if worker.status is WorkerStatus.LEAVING:
            self._lose_tasks(worker)

    def _gives_up(self, worker: WorkerEntry) -> bool:
        """Return whether an idle worker stops because other pipelines wait for workers."""
        if self._state.keeps is None or worker.status is not WorkerStatus.IDLE:
            return False
        staying = sum(1 for _ in self._state.registry.staying())
        return (
            staying > self._state.keeps
            and self._state.pools[worker.pool].kind is not PoolKind.CONTEXT
        )

    def repeated_end(self, worker: WorkerEntry, path: str, attempt: int) -> PipelineChanges:
        """Return effects of an attempt's end, for its repeated report: they may have been lost."""
        changes = PipelineChanges(released=[(path, attempt)])
        # Its claim of the next task may have come with the report.
        token = worker.token if worker.has_had(path, attempt) else worker.previous
        if token not in self._state.holders:
            reply = self._state.cloud_machine.repeated_reply(path, token)
            changes.machine_commands += [] if reply is None else [reply]
        return changes

    def outputs_arrived(self, arrived: OutputsArrived) -> None:
        if self._state.exec_in(arrived.path, arrived.attempt, State.RUNNING) is None:
            return
        record = self._state.in_flight[arrived.path].model_copy(update={"outputs": arrived.outputs})
        self._state.in_flight[arrived.path] = record

    # ---- start and loss -----------------------------------------------------------------------

    def adopt_decisions(self, written: JournalEntry) -> None:
        """Adopt the decisions of the latest entry, with the workers that it launches."""
        if written.listed:
            self._state.listing = Listing(
                self._state.record, self._state.open() or bool(written.hires), self._state.now
            )
        self._state.metering, self._state.usage = (
            (self._state.usage, []) if written.metered else ([], self._state.usage)
        )
        for launch in written.hires:
            image = self._state.images[self._state.pools[launch.pool].image]
            self._state.registry.workers[launch.worker] = WorkerEntry(
                launch.worker,
                launch.pool,
                self._state.now,
                reference=image.record.reference,
                setting=self._setting(image),
                launched=self._state.now,
                round=self._state.starts_of(launch.pool).rounds,
                for_owner=secrets_user(self._state.record) is not None,
                spot=launch.spot,
            )
        self._state.limited, self._state.withheld = written.limited, written.withheld
        self._state.told = None
        if written.share is not None:
            self._state.share = written.share

    def worker_started(self, up: WorkerStarted) -> None:
        worker = self._state.registry.workers.get(up.worker)
        if worker is None:
            return
        worker.task, worker.since, worker.protocol = up.task, self._state.now, up.protocol
        worker.key = up.key or worker.key
        if worker.up is None:
            worker.up = self._state.now
            # A worker that ends before the next charge has a meter, too, from which ECS is asked.
            charge = WorkerCharge(
                worker.id,
                self._state.size_of_worker(worker),
                self._state.now,
                self._state.now,
                up.task,
            )
            self._steps.effects.charges.append(charge)
        if worker.status is WorkerStatus.STARTING:
            worker.status = WorkerStatus.IDLE
        if worker.pool in self._state.starts:
            starts = self._state.starts[worker.pool]
            self._state.starts[worker.pool] = starts.after_up(worker.round, worker.rung)

    def worker_lost(self, lost: WorkerLost) -> None:
        worker = self._state.registry.workers.get(lost.worker)
        if worker is None:
            self._explained(lost)
            return
        if lost.handed is not None:
            self._hand(worker, lost.handed)
        del self._state.registry.workers[worker.id]
        if worker.status is not WorkerStatus.LEAVING:
            self._note_lost_context(worker, lost.reason)
        if worker.task is not None:
            self._steps.effects.stops.append((worker.id, worker.task))
        if (
            worker.busy
            and self._state.exec_in(worker.path, worker.attempt, State.RUNNING) is not None
        ):
            if worker.path != "/":  # the root has all of the worker's time, once it has ended
                self._state.spend(worker.path, self._state.running_dollars(worker))
                self._state.spent["/"] -= self._state.running_dollars(worker)
            message = f"the worker was lost: {lost.reason.rstrip('.')}"
            self._steps.finish(worker.path, self._cause_at(worker, lost.cause), message=message)
        looked = worker.task is not None and self._state.cloud_machine.run in self._state.runs
        if not self._lose_tasks(worker) and looked and self._is_forgotten(worker.pool):
            self._steps.replan()
        wanted = worker.status is not WorkerStatus.LEAVING and not worker.commands
        worker.unexplained = wanted and lost.unexplained
        worker.since = self._state.now
        if wanted and lost.failure is not None and not lost.unexplained:
            self._count_failure(worker, lost.failure, lost.reason)
        if lost.ended is None:
            self._state.registry.ended[worker.id] = worker
        else:
            self._meter(worker, lost.began, lost.ended)

    def _explained(self, lost: WorkerLost) -> None:
        """Apply the ECS event about a worker that reported its own end, or was already lost."""
        worker = self._state.registry.ended.pop(lost.worker, None)
        if worker is None:
            return  # a repeated event
        if worker.unexplained:
            self._count_failure(worker, lost.failure or StartFailure.LOST, lost.reason)
        self._meter(worker, lost.began, lost.ended)

    def _meter(self, worker: WorkerEntry, began: float | None, ended: float | None) -> None:
        self._state.spend_rest(worker, began, ended)
        if began is None or ended is None:
            return  # AWS does not charge for a task that never started
        pool = self._state.pools[worker.pool]
        charge = WorkerCharge(
            worker.id, self._state.size_of_worker(worker), began, ended, ended=True
        )
        self._steps.effects.charges.append(charge)
        seconds = charged_seconds(began, ended) - worker.metered
        if seconds <= 0:
            return
        dollars = dollars_of(pool.reported, seconds)
        spender = Spender.for_pipeline(self._state.record, dollars, attempts=0)
        month = month_of(self._state.now)
        self._steps.effects.usage.append(
            WorkerUsage(f"@{worker.id}", month, seconds, pool.cpu, spender)
        )

    def _lose_tasks(self, worker: WorkerEntry) -> bool:
        """Release the tasks of a leaving worker to others; return whether it had any."""
        tokens = [token for token, holder in self._state.holders.items() if holder == worker.id]
        if tokens:
            self._steps.follow(self._state.cloud_machine.lose(tokens))
        return bool(tokens)

    def _is_forgotten(self, pool: str) -> bool:
        """Return whether Execs are queued in a pool but no worker was offered a task for them."""
        queued = self._state.queue.get(pool, {})
        held = self._state.cloud_machine.run_state.held
        free = self._state.pools[pool].name in self._state.wanted()
        idle_left = any(
            self._state.registry.in_pool(
                pool, WorkerStatus.STARTING, WorkerStatus.IDLE, WorkerStatus.BUSY
            )
        )
        had_work = any(path in held for path in queued)
        return bool(queued) and free and not idle_left and not had_work and self._waited(pool)

    def _waited(self, pool: str) -> bool:
        queued = [
            self._state.in_flight.queued_at(path) or 0.0 for path in self._state.queue.get(pool, {})
        ]
        return bool(queued) and self._state.now - max(min(queued), self._state.planned_at) > GRACE

    def _count_failure(
        self,
        worker: WorkerEntry,
        failure: StartFailure,
        reason: str,
        *,
        refused: bool = False,
        contended: bool = False,
    ) -> None:
        """Count a worker that ended, or failed to launch, before it ran a command."""
        pool = self._state.pools[worker.pool]
        failed = Failed(
            failure,
            reason,
            worker.round,
            worker.rung,
            rungs_of(pool.spot, pool.machine, in_share=worker.spot),
            max_wait(pool.machine),
            refused=refused,
            contended=contended,
        )
        starts = self._state.starts.get(worker.pool, PoolStarts())
        self._state.starts[worker.pool] = starts.after(failed, self._state.now)

    def _cause_at(self, worker: WorkerEntry, cause: Cause | None) -> Cause | None:
        """Return the cause of the end of a command, which may be that of its Spot worker."""
        if not worker.spot or cause is not Cause.WORKER_LOST:
            return cause
        self._state.starts[worker.pool] = self._state.starts_of(worker.pool).after_interruption(
            worker.rung, self._state.now
        )
        return Cause.SPOT

    def fail_without_workers(self) -> None:
        for pool in list(self._state.queue):
            starts = self._state.starts_of(pool)
            if starts.given_up:
                message = starts.message(self._state.pools[pool].image)
                for path in list(self._state.queue.get(pool, {})):
                    if path in self._state.queue.get(pool, {}):
                        self._steps.finish(path, starts.cause, message=message, final=True)

    def capacity_missing(self, missing: CapacityUnavailable) -> None:
        worker = self._state.registry.workers.get(missing.worker)
        if worker is None or worker.status is not WorkerStatus.STARTING:
            return
        del self._state.registry.workers[worker.id]
        up = (WorkerStatus.IDLE, WorkerStatus.BUSY)
        others = any(other.status in up for other in self._state.registry.workers.values())
        self._count_failure(
            worker,
            missing.failure,
            missing.message,
            refused=True,
            contended=missing.contended or others,
        )

    # ---- stop ---------------------------------------------------------------------------------

    def let_workers_go(self) -> None:
        """Stop workers that have no more work, instead of paying for their idle time."""
        asleep = self._state.record.lifecycle is not Lifecycle.ACTIVE
        done = self._state.settled()
        free = [worker for worker in self._state.registry.staying() if not worker.busy]
        holding = set(self._state.holders.values()) if free else set()
        needed: dict[str, bool] = {}  # asked once for each pool, because it may take long
        for worker in free:
            if worker.status is WorkerStatus.LEAVING:
                continue  # another one of these stays instead
            pool = self._state.pools[worker.pool]
            too_late = done and worker.status is WorkerStatus.STARTING
            if asleep or too_late:
                self.send_away(worker, "the pipeline sleeps")
            elif self._is_outdated(worker):
                self.send_away(worker, _OUTDATED)
            elif pool.kind is PoolKind.CONTEXT:
                self._look_at_context(worker)
            elif worker.id not in holding and not self._state.stays_warm(worker, self._state.now):
                if worker.pool not in needed:
                    needed[worker.pool] = self._state.may_need_more(worker.pool)
                self._keep_or_stop(worker, done=done, needed=needed[worker.pool])

    def _keep_or_stop(self, worker: WorkerEntry, *, done: bool, needed: bool) -> None:
        """Stop a worker without a command unless its pool needs it, or the next run may.

        Args:
            worker: The worker; it is not warm, or no longer.
            done: Whether nothing starts without an action.
            needed: `may_need_more` of its pool.
        """
        was_warm = worker.kept is not None
        if needed and not done:
            worker.kept = None
        elif was_warm or not (self._keep_warm(worker, needed=needed) or needed):
            self._stop(worker)

    def _keep_warm(self, worker: WorkerEntry, *, needed: bool) -> bool:
        """Let a worker stay for the next run, instead of one that is needed less or idle longer.

        A needed worker for which the warm pool has no room stays as without a warm pool.
        """
        shared = self._state.pools[worker.pool].kind is PoolKind.MANY
        if not self._state.warm.workers or not shared or worker.status is not WorkerStatus.IDLE:
            return False
        in_need = sum(self._state.may_need_more(other.pool) for other in self._state.warm_workers())
        if needed and in_need >= self._state.warm.workers:
            return False
        worker.kept = self._state.now
        first = sorted(
            self._state.warm_workers(), key=lambda other: self._state.may_need_more(other.pool)
        )
        for other in first[: -self._state.warm.workers]:
            self._stop(other)
        return True

    def _look_at_context(self, worker: WorkerEntry) -> None:
        hold = self._state.hold_of(worker)
        if hold is Hold.NEEDED:
            worker.unused = None
            return
        worker.unused = self._state.now if worker.unused is None else worker.unused
        if is_late(hold, self._state.now - worker.unused):
            self.send_away(worker, LATE.get(hold, ""))

    def renew_contexts(self, reset: Collection[str]) -> None:
        """Stop the containers of groups that a user resets entirely."""
        for worker in list(self._state.registry.staying()):
            pool = self._state.pools[worker.pool]
            if worker.commands and pool.kind is PoolKind.CONTEXT and is_inside(pool.key, reset):
                worker.leaves = True
                if not worker.busy:
                    self._stop(worker)

    def send_away(self, worker: WorkerEntry, why: str) -> None:
        self._stop(worker)
        self._note_lost_context(worker, why)

    def _stop(self, worker: WorkerEntry) -> None:
        worker.status = WorkerStatus.LEAVING
        self._steps.effects.stops.append((worker.id, worker.task))

    def _note_lost_context(self, worker: WorkerEntry, why: str) -> None:
        """Record that a context's container was lost, if its group still needs the state in it."""
        pool = self._state.pools[worker.pool].key
        lost = self._state.lose_context(pool, why, worker.commands - worker.busy)
        if lost and not self._state.record.armed:
            self._state.set_record(problem=loss(pool, why, self._state.id))

    def fail_without_context(self, reset: Collection[str]) -> None:
        """End Execs that would continue in an empty container, except in the reset subtrees."""
        for node, message in self._state.execs_without_context(reset):
            self._steps.finish(node.path, Cause.WORKER_LOST, message=message, final=True)

    def _is_outdated(self, worker: WorkerEntry) -> bool:
        holds_secrets = worker.for_owner and secrets_user(self._state.record) is None
        image = self._state.images.get(
            self._state.pools[worker.pool].image
        )  # the tree may have been replaced
        return (
            holds_secrets
            or image is None
            or worker.reference not in (None, image.record.reference)
            or worker.setting not in (None, self._setting(image))
        )

    def _setting(self, image: CloudImage) -> tuple[str | None, ...]:
        """Return `Worker.setting` of a worker that is launched now."""
        built = image.built
        inside = (None, None) if built is None else (built.shell, built.workdir)
        return (*inside, program_of(self._state.record.git))
