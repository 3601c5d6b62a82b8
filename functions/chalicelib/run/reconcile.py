"""Reconciles pipelines with AWS: every minute, and at events of tasks, executions and builds.

Events may arrive twice, late, out of order or not at all: each handler reports an observation, and
the pipeline decides whether it changes anything. The schedule alone is sufficient for progress;
events only speed it up.
"""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial

from chalicelib.billing.metering import check_usage
from chalicelib.budgets.children import meter_children
from chalicelib.debug.sessions import DebugSessions, is_shell
from chalicelib.errors import ThrottledError, Timing
from chalicelib.installation import Installation
from chalicelib.limits.named_limits import NamedLimits
from chalicelib.notifications.alerts import Alerts
from chalicelib.records import Records
from chalicelib.run.deferred_effects import OUTDATED, RESERVE, Left, is_new, is_unstarted
from chalicelib.run.model import (
    ActionRequested,
    ExecutionEnded,
    ExecutionLost,
    HealthChecked,
    Input,
    TimeLimitsExpired,
    WorkerLost,
)
from chalicelib.run.processor import CommandProcessor
from chalicelib.run.rules.deferred import (
    EXECUTOR,
    BackgroundEvent,
    Checks,
    DeferredEffects,
    PipelineCheck,
)
from chalicelib.run.rules.pipeline import CloudPipeline
from chalicelib.workers.port import Compute, TaskEnd
from chalicelib.workers.rules import WorkerEntry, WorkerStatus
from chalicelib.workers.slots import Decide, SlotNeed
from conducto_core.asl.rules.partition import MAX_SIZE
from conducto_core.command.json_logs import log_fields
from conducto_core.errors import RefusedError
from conducto_core.run.model.requests import Action
from conducto_core.run.model.states import Cause
from conducto_core.workers.rules.placement import MAX_PLACING
from conducto_core.workers.rules.start_failures import StartFailure, failure_of

logger = logging.getLogger(__name__)

#: Seconds for which a command's worker may send no heartbeat, and for which ECS may not list a
#: launched worker.
SILENCE = 60.0
#: Seconds after which an effect that was deferred is executed again, unless an executor is at work.
DEFERRED_SECONDS = 20.0
#: Seconds after which a worker that could not be launched counts as lost.
LAUNCH_SECONDS = 900.0
#: Seconds within which ECS should report that a lost worker's task has stopped.
TOLD_SECONDS = 180.0
_UNPLACED = f"AWS has no capacity: it found no machine for a worker in {MAX_PLACING / 60:g} minutes"
#: Maximum number of pipelines that an invocation checks, and of tasks in its event (1 MB at most).
SHARE = 64
MAX_LISTED = 5000
#: Seconds after which an invocation shares the rest of its pipelines with another one.
SPLIT_SECONDS = 15.0
_STOPPED = "STOPPED"
#: The status of a task while ECS looks for a machine.
_PLACING = "PROVISIONING"


class Reconciler:
    """Handles the schedule and AWS events."""

    def __init__(
        self,
        engine: CommandProcessor,
        shells: DebugSessions,
        *,
        records: Records,
        compute: Compute,
        installation: Installation,
        timing: Timing,
        invoke_background: Callable[[BackgroundEvent], None] | None,
    ) -> None:
        self._engine, self._shells = engine, shells
        self._records, self._compute = records, compute
        self._installation, self._timing = installation, timing
        self._invoke_background = invoke_background
        self._alerts = Alerts(engine, records, timing)

    def run(self) -> int:
        """Check every open pipeline and all debug shells; return the number of pipelines.

        With the function ``background``, its invocations check the pipelines, several at once.
        """
        pipelines = list(self._records.store.open_pipelines())
        if self._invoke_background is None:
            for org, pipeline_id in pipelines:
                self._try_to_look_at(org, pipeline_id)
        elif pipelines:
            self._distribute(pipelines)
        for org in sorted({org for org, _ in pipelines}):
            with log_fields(org=org):
                self._sweep_limits(org)
        self._shells.run()
        return len(pipelines)

    def _distribute(self, pipelines: Sequence[tuple[str, str]]) -> None:
        """Start an invocation for each share of the pipelines.

        The tasks are listed once: ECS allows 20 calls per second. Each minute a share begins with
        its next pipeline, so that one whose check ends the process does not starve the same others.
        """
        listed = self._now
        running = self._all_running()
        checks = [
            PipelineCheck(
                org=org,
                pipeline_id=name,
                running=None if running is None else dict(running.get(name, {})),
            )
            for org, name in sorted(pipelines)
        ]
        shares = -(-len(checks) // SHARE)
        for first in range(shares):
            share = checks[first::shares]
            turn = int(listed // 60) % len(share)
            self._send(listed, share[turn:] + share[:turn])

    def _all_running(self) -> Mapping[str, Mapping[str, str]] | None:
        """Return the tasks of all pipelines; None: each check lists those of its pipeline."""
        try:
            return self._compute.fleet.all_running()
        except Exception:
            logger.exception("the tasks of all pipelines were not listed")
            return None

    def _send(self, listed: float, checks: Sequence[PipelineCheck]) -> bool:
        """Start an invocation that checks pipelines; return False if one was not started."""
        half = len(checks) // 2
        if sum(len(each.running or ()) for each in checks) > MAX_LISTED:
            if half:
                # Both, even if one fails.
                return all([self._send(listed, checks[:half]), self._send(listed, checks[half:])])
            checks = [each.model_copy(update={"running": None}) for each in checks]
        event = BackgroundEvent(checks=Checks(listed=listed, pipelines=tuple(checks)))
        try:
            if self._invoke_background is not None:
                self._invoke_background(event)
        except Exception:
            # One failure must not affect other pipelines. An alarm counts these messages.
            about = {"pipelines": [each.pipeline_id for each in checks]}
            logger.exception("a pipeline was not reconciled", extra=about)
            return False
        return True

    def check(self, checks: Checks, left: Left) -> None:
        """Check pipelines; if it takes long, another invocation checks half of the rest."""
        rest, turn = list(checks.pipelines), self._now
        while rest:
            if left() <= RESERVE:
                self._send(checks.listed, rest)
                return
            if self._now - turn > SPLIT_SECONDS and len(rest) > 1:
                half, turn = len(rest) // 2, self._now
                if self._send(checks.listed, rest[half:]):
                    rest = rest[:half]
            each = rest.pop(0)
            self._try_to_look_at(each.org, each.pipeline_id, each.running, checks.listed)

    def _sweep_limits(self, org: str) -> None:
        try:
            NamedLimits(self._records, self._timing).sweep(org, self._engine.reading)
        except Exception:
            # One failure must not affect other organisations.
            logger.exception("the limits of an organisation were not swept")

    def _try_to_look_at(
        self,
        org: str,
        pipeline_id: str,
        running: Mapping[str, str] | None = None,
        listed: float | None = None,
    ) -> None:
        try:
            with log_fields(org=org, pipeline=pipeline_id):
                self.look_at(org, pipeline_id, running, listed)
        except Exception:
            # One failure must not affect other pipelines.
            about = {"org": org, "pipeline": pipeline_id}
            logger.exception("a pipeline was not reconciled", extra=about)

    def look_at(
        self,
        org: str,
        pipeline_id: str,
        running: Mapping[str, str] | None = None,
        listed: float | None = None,
    ) -> None:
        """Check one pipeline: workers, executions, time limits.

        Args:
            org: The organisation that owns it.
            pipeline_id: The pipeline.
            running: Its tasks that have not stopped; None: list them.
            listed: When they were listed, in seconds since the epoch.
        """
        listed = self._now if listed is None else listed
        if running is None:
            running = self._compute.fleet.running(pipeline_id)
        seen = self._records.store.workers_seen(pipeline_id)
        at_work = self._now - seen.get(EXECUTOR, 0.0) < OUTDATED
        with self._engine.reading(org, pipeline_id) as live:
            unlaunched = self._unlaunched(live, {*running, *seen})
            late_effects = None if at_work else self._late_effects(live, unlaunched)
            missing = [
                worker.id
                for worker in live.registry.workers.values()
                if worker.id not in unlaunched
                and not _is_there(worker, worker.id in running, seen.get(worker.id, 0.0), listed)
            ]
            unplaced = self._unplaced(live, running)
            known = {*live.registry.workers, *live.registry.ended}
            leaving = [
                w for w in live.registry.workers.values() if w.status is WorkerStatus.LEAVING
            ]
            late = [w for w in live.registry.ended.values() if self._now - w.since >= TOLD_SECONDS]
        for worker in missing:
            self._engine.submit(org, pipeline_id, partial(self._lost, worker))
        self._replace_unplaced(org, pipeline_id, unplaced)
        self._stop_strays(org, pipeline_id, running, known)
        for each in leaving:
            # It never came up, or ECS did not list it yet when it was asked to stop.
            if each.id in running:
                self._compute.fleet.stop(running[each.id], "no longer needed")
        for each in late:
            self._look_up(org, pipeline_id, each)
        if late_effects is not None:
            self._engine.deferred.defer(late_effects)
        self._engine.watch.poll(org, pipeline_id, at_once=True)
        self._advance(org, pipeline_id)

    def _advance(self, org: str, pipeline_id: str) -> None:
        """Perform the steps that depend on the time."""
        for step in (self._run_at, self._expire, self._retry_launches):
            self._engine.submit(org, pipeline_id, step)
        self._engine.look_again(org, pipeline_id)
        meter_children(self._engine, self._timing.clock, org, pipeline_id)
        self._alerts.check(org, pipeline_id)
        with self._engine.reading(org, pipeline_id) as live:
            share = live.share
            self._engine.refresh_record(live)
        if share.waiting is not None:  # the other waiting pipelines have checks of their own
            self._engine.slots.make(org, pipeline_id, wakes=False)
        elif share.keeps is not None:
            self._engine.slots.settle(org, pipeline_id, SlotNeed.HAND_ON)

    def _unplaced(self, live: CloudPipeline, running: Mapping[str, str]) -> dict[str, str]:
        """Return ``{worker: task}`` of those that have been starting for long."""
        return {
            worker.id: running[worker.id]
            for worker in live.registry.workers.values()
            if worker.up is None
            and worker.id in running
            and self._now - worker.launched >= MAX_PLACING
        }

    def _replace_unplaced(self, org: str, pipeline_id: str, tasks: Mapping[str, str]) -> None:
        """Give up workers for which AWS has found no machine; their pools try again later."""
        for worker, task in tasks.items():
            found = self._compute.fleet.task_status(task)
            if found is not None and found.status == _PLACING:
                self._compute.fleet.stop(task, "AWS found no machine for it")
                self._engine.submit(org, pipeline_id, partial(self._never_placed, worker))

    def _never_placed(self, worker: str, live: CloudPipeline) -> Input | None:
        known = live.registry.workers.get(worker)
        if known is None or known.up is not None:
            return None
        return WorkerLost(
            time=self._now, worker=worker, reason=_UNPLACED, failure=failure_of(_UNPLACED)
        )

    def _stop_strays(
        self, org: str, pipeline_id: str, running: Mapping[str, str], known: Collection[str]
    ) -> None:
        for worker, task in running.items():
            if worker not in known and not self._knows(org, pipeline_id, worker):
                self._compute.fleet.stop(task, "no longer a worker of its pipeline")

    def task_stopped(self, pipeline_id: str, worker_id: str, end: TaskEnd) -> None:
        """Handle the end of a worker's task."""
        if is_shell(worker_id):
            self._shells.task_stopped(pipeline_id, worker_id, end.reason)
        else:
            self._submit_if_there(pipeline_id, partial(self._stopped, worker_id, end))

    def _stopped(self, worker_id: str, end: TaskEnd, live: CloudPipeline) -> Input | None:
        if worker_id not in live.registry.workers and worker_id not in live.registry.ended:
            return None
        said = end.reason if end.exit_code is None else f"{end.reason} (exit code {end.exit_code})"
        return WorkerLost(
            time=self._now,
            worker=worker_id,
            reason=said,
            cause=Cause.OUT_OF_MEMORY if end.oom else Cause.WORKER_LOST,
            failure=failure_of(said),
            began=end.began,
            ended=self._now if end.ended is None else end.ended,
        )

    def _look_up(self, org: str, pipeline_id: str, worker: WorkerEntry) -> None:
        """Query ECS about the task of a stopped worker whose event did not arrive."""
        look = None if worker.task is None else self._compute.fleet.task_status(worker.task)
        if look is not None and look.status != _STOPPED:
            self._compute.fleet.stop(worker.task or "", "no longer needed")
            return
        if look is not None:
            end = TaskEnd(look.reason, began=look.began, ended=look.ended or worker.since)
        else:  # ECS no longer knows the task, or there was none
            began = None if worker.task is None else worker.launched or None
            end = TaskEnd("it ended, and ECS gives no reason", began=began, ended=worker.since)
        self._engine.submit(org, pipeline_id, partial(self._stopped, worker.id, end))

    def execution_ended(self, run: str, status: str, machine: str | None = None) -> None:
        """Handle the end of an execution; executions that belong to no pipeline are ignored.

        Args:
            run: Its name.
            status: How it ended.
            machine: ARN of its machine, if the event has it.
        """

        def decide(live: CloudPipeline) -> Input | None:
            if (
                run != live.cloud_machine.run
                or not live.cloud_machine.run_state.open
                or live.settled()
            ):
                return None
            return ExecutionEnded(time=self._now, run=run, status=status)

        pipeline_id = run.rpartition("-")[0]
        org = self._records.store.org_of(pipeline_id)
        if org is not None:
            self._submit_if_there(pipeline_id, decide)
            with self._engine.seen(org, pipeline_id) as live:
                nested = bool(live.generated) or len(live.tree.nodes) > MAX_SIZE.tasks
            self._forget_machines(run, None if nested else machine)

    def _forget_machines(self, run: str, only: str | None) -> None:
        """Delete the machines of a finished run: an account has a quota of 100,000.

        Step Functions deletes a hundred at once, then one per second; the daily cleanup deletes the
        rest. It lists machines five times a second, so that only the runs that may have nested ones
        are listed; ``only`` is the machine of a run without such ones.
        """
        machines = self._compute.machines
        try:
            for of, arn in machines.runs() if only is None else [(run, only)]:
                if of == run:
                    machines.forget(arn)
        except ThrottledError:
            logger.info("machines of a run are left for the daily cleanup", extra={"run_id": run})

    def build_changed(self, pipeline_id: str) -> None:
        """Handle a change of a build that a pipeline started."""
        org = self._records.store.org_of(pipeline_id)
        if org is not None:
            self._engine.watch.poll(org, pipeline_id, at_once=True)

    # ---- checks ------------------------------------------------------------------------------

    @property
    def _now(self) -> float:
        return self._timing.clock()

    def _submit_if_there(self, pipeline_id: str, decide: Decide) -> None:
        org = self._records.store.org_of(pipeline_id)
        if org is None:
            logger.info("an event of an unknown pipeline", extra={"pipeline": pipeline_id})
            return
        self._engine.submit(org, pipeline_id, decide)

    def _knows(self, org: str, pipeline_id: str, worker: str) -> bool:
        if is_shell(worker):
            return self._shells.goes_on(pipeline_id, worker)
        with self._engine.reading(org, pipeline_id) as live:
            return worker in live.registry.workers

    def _lost(self, worker: str, live: CloudPipeline) -> Input | None:
        if worker not in live.registry.workers:
            return None
        return WorkerLost(
            time=self._now,
            worker=worker,
            reason="it stopped sending heartbeats",
            failure=StartFailure.LOST,
            unexplained=live.registry.workers[worker].task is not None,
        )

    def _run_at(self, live: CloudPipeline) -> Input | None:
        if live.record.run_at is None or live.record.run_at > self._now:
            return None
        try:
            check_usage(
                self._records,
                self._installation.remedies,
                self._timing.clock,
                live.org,
            )
        except RefusedError as error:
            return ActionRequested(time=self._now, action=Action.PAUSE, problem=str(error))
        return ActionRequested(time=self._now, action=Action.RUN, by="schedule")

    def _expire(self, live: CloudPipeline) -> Input | None:
        due = live.due(self._now)
        return TimeLimitsExpired(time=self._now, paths=due) if due else None

    def _unlaunched(self, live: CloudPipeline, known: Collection[str]) -> list[str]:
        """Return the ids of workers whose launch is outstanding, given those that were launched."""
        first = self._now - LAUNCH_SECONDS
        return [
            worker.id
            for worker in live.registry.workers.values()
            if is_new(worker) and worker.id not in known and worker.launched > first
        ]

    def _late_effects(
        self, live: CloudPipeline, unlaunched: Collection[str]
    ) -> DeferredEffects | None:
        """Return deferred effects that should have been executed by now."""
        last = self._now - DEFERRED_SECONDS
        workers = live.registry.workers
        late = is_unstarted(live) and live.planned_at <= last
        found = DeferredEffects(
            org=live.org,
            pipeline_id=live.id,
            run=live.cloud_machine.run if late else None,
            workers=tuple(name for name in unlaunched if workers[name].launched <= last),
            expands=any((live.in_flight.queued_at(p) or 0.0) <= last for p in live.expansions),
        )
        return found if found.are_any() else None

    def _retry_launches(self, live: CloudPipeline) -> Input | None:
        """Launch workers that could not be launched before."""
        if live.is_stuck(self._now):
            return ExecutionLost(time=self._now, run=live.cloud_machine.run)
        over = live.may_start_again(self._now)
        late = live.late_contexts(self._now) or live.has_late_warm(
            self._installation.warm, self._now
        )
        late = late or live.must_meter(self._now)
        due = over or late or live.wanted() or self._now >= live.tree.first_retry
        due = due or bool(live.exceeded(self._now) or live.candidates)
        return HealthChecked(time=self._now) if due else None


def _is_there(worker: WorkerEntry, running: bool, seen: float, now: float) -> bool:
    if now - max(worker.since, seen) < SILENCE:
        return True
    return running and worker.status is not WorkerStatus.BUSY
