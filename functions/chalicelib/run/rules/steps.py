"""The steps by which a cloud pipeline follows its state machine. No I/O, no clock."""

from collections.abc import Iterable
from typing import Any, assert_never

from chalicelib.budgets.rules import PipelineBudgets
from chalicelib.run.model import ApprovalDecided, BuiltImage, CacheDecided, Reported
from chalicelib.run.port import TreeReader
from chalicelib.run.rules.changes import PipelineChanges
from chalicelib.run.rules.state import CloudImage
from conducto_core.approvals.handlers import decision_end
from conducto_core.asl.rules.machine import (
    CompleteTask,
    MachineCommand,
    StartExecution,
    StepResult,
    StopExecution,
)
from conducto_core.cache.rules import not_stored
from conducto_core.notifications.messages import compose
from conducto_core.run.model import events as ev
from conducto_core.run.model.records import AttemptRecord, ImageRecord, ImageState
from conducto_core.run.model.requests import Action
from conducto_core.run.model.states import Cause, State
from conducto_core.run.rules.outcomes import UNKNOWN, AttemptEnd, changed_record, ended_record
from conducto_core.run.rules.pipeline_state import LIFECYCLES
from conducto_core.run.rules.tree_state import LiveExec, LiveNode
from conducto_core.tree.model import Pipeline, unpack_form
from conducto_core.tree.rules.resolve import Edits, resolve_generated, resolve_grown

#: Seconds that a worker gets to stop a command itself after its ``max_time``.
GRACE = 60.0
#: Maximum number of consecutive runs without progress; then the pipeline is paused.
MAX_FRUITLESS = 5


class PipelineSteps(PipelineBudgets):
    """The state of a pipeline, and the changes that its attempts, runs, trees and images make."""

    def __init__(
        self,
        org: str,
        definition: dict[str, Any],
        tree_of: TreeReader,
        pipeline: Pipeline | None = None,
    ) -> None:
        super().__init__(org, definition, tree_of, pipeline)
        self._effects = PipelineChanges()
        self._ends: dict[str, AttemptEnd] = {}

    # ---- runs ---------------------------------------------------------------------------------

    def _follow(self, taken: StepResult) -> None:
        """Execute the commands, record the changes, and collect the commands for Step Functions."""
        effects = self.follow(taken.commands, taken.changes, self.now, self._end)
        for command in effects.commands:
            self._execute(command)
        self._effects.changes += effects.changes
        for machine_command in taken.machine_commands:
            self._pass_on(machine_command)

    def _end(self, path: str) -> AttemptEnd:
        return self._ends.get(path, UNKNOWN)

    def _execute(self, command: ev.DriverCommand) -> None:
        match command:
            case ev.Enqueue():
                self._enqueue(command)
            case ev.RequestApproval():
                self._ask(command)
            case ev.Withdraw():
                self._unqueue(command.path)
                record = self.in_flight.pop(command.path, None)
                if record is not None:
                    self._release(record)
            case ev.EndAttempt():
                self._end_attempt(command)
            case ev.StartTimer():
                node = self.tree.nodes.get(command.path)
                on_worker = isinstance(node, LiveExec) and node.spec.approval is None
                grace = GRACE if on_worker else 0.0
                self.deadlines[command.path] = self.now + command.seconds + grace
            case ev.CancelTimer():
                self.deadlines.pop(command.path, None)
            case ev.Notify():
                self._effects.new_notifications.append(compose(self, command, self.now))
            case ev.Stop():
                pass  # the worker learns this from its next heartbeat
            case _:
                assert_never(command)

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
            for spec in rest.tasks():
                if spec.path not in self._where:
                    self.pool_for(spec)

    def _perform(self, action: Action, problem: str | None = None) -> None:
        for event in self.perform(action, problem):
            self._follow(self.cloud_machine.apply(event))
        self.set_record(lifecycle=LIFECYCLES.get(action, self.record.lifecycle))

    def _replan(self) -> None:
        """Restart the remaining work; pause the pipeline after repeated runs without progress."""
        self.fruitless += 1
        if self.fruitless > MAX_FRUITLESS:
            problem = "executions end before their nodes do; this is a bug in Conducto, report it"
            self._perform(Action.PAUSE, problem)
            return
        self._follow(self.cloud_machine.replan())

    # ---- attempts -----------------------------------------------------------------------------

    def _enqueue(self, command: ev.Enqueue) -> None:
        node = self.tree.nodes.get(command.path)
        if node is None:
            return  # a Lazy discarded it in the same event; its withdrawal follows
        self.in_flight.queue(node.spec, command.attempt, command.mem, self.now)
        if node.spec.cache is None:
            self._admit(node)
        else:
            self.candidates[command.path] = command.attempt
        off = node.spec.cache_off
        if off is not None:
            self._note_cache(command.path, f"not cached: {off}")

    def _admit(self, node: LiveNode) -> None:
        """Let workers start a queued Exec."""
        pool = self.pool_at(node).name
        self.queue.setdefault(pool, {})[node.path] = None
        self._where[node.path] = pool

    def _note_cache(self, path: str, reason: str) -> None:
        self.in_flight[path] = changed_record(self.in_flight[path], cache=reason)

    def _cache_decided(self, decided: CacheDecided) -> None:
        """Follow decisions of the cache, but for those about withdrawn attempts."""
        for wait in decided.waits:
            if self._is_undecided(wait.path, wait.attempt):
                self.candidates.pop(wait.path, None)
                self.same_commands[wait.path] = [wait.holder, wait.key]
        for miss in decided.misses:
            if self._is_undecided(miss.path, miss.attempt):
                self._forget_decision(miss.path)
                if miss.flight is not None:
                    self.flights[miss.path] = miss.flight
                self._note_cache(miss.path, miss.reason)
                self._admit(self.tree.nodes[miss.path])
        done: dict[str, dict[str, Any] | None] = {}
        for hit in decided.hits:
            path, number = hit.attempt.path, hit.attempt.number
            if self._is_undecided(path, number):
                self._forget_decision(path)
                self.in_flight[path] = hit.attempt
                outputs, size = hit.outputs, hit.output_bytes
                self._ends[path] = AttemptEnd(0, output_bytes=size, outputs=outputs)
                done[path] = hit.known
        if done:
            self.fruitless = 0
            self._follow(self.cloud_machine.finish_done(done, self.now, late=decided.late))

    def _is_undecided(self, path: str, attempt: int) -> bool:
        """Return whether the cache has not decided about an attempt, or it waits for another."""
        if path in self.same_commands:
            return self.in_flight[path].number == attempt
        return self.candidates.get(path) == attempt

    def _forget_decision(self, path: str) -> None:
        self.candidates.pop(path, None)
        self.same_commands.pop(path, None)

    def _ask(self, command: ev.RequestApproval) -> None:
        node = self.tree.nodes.get(command.path)
        if node is not None:  # as in `_enqueue`
            self.in_flight.queue(node.spec, command.attempt, None, self.now)

    def _decided(self, decided: ApprovalDecided) -> None:
        """End a waiting approval; its execution waits without end, so the rest is planned again."""
        decision = decided.decision
        if self.exec_in(decided.path, decided.attempt, State.QUEUED) is None:
            return  # another decision, or a reset, came first
        self._ends[decided.path] = decision_end(decision)
        cause = None if decision.approved else Cause.REJECTED
        self._finish(decided.path, cause, known=decision.values)

    def _unqueue(self, path: str) -> None:
        self._forget_decision(path)
        pool = self._where.pop(path, None)
        if pool is not None:
            self.queue[pool].pop(path, None)
            if not self.queue[pool]:
                del self.queue[pool]

    def _finish(
        self,
        path: str,
        cause: Cause | None,
        *,
        seconds: float = 0.0,
        message: str | None = None,
        final: bool = False,
        excused: bool = False,
        known: dict[str, Any] | None = None,
    ) -> None:
        self.fruitless = 0
        self._ends.setdefault(path, AttemptEnd(message=message))
        record = self.in_flight[path]
        mem = 0.0 if record.mem is None else record.mem
        taken = self.cloud_machine.finish(
            path,
            cause,
            seconds=seconds,
            mem=mem,
            final=final,
            exit_code=self._ends[path].exit_code,
            now=self.now,
            excused=excused,
            known=known,
        )
        self._follow(taken)

    def _retry_due(self) -> None:
        """Queue the Execs whose delay before a retry is over."""
        paths = self.tree.retries_due(self.now)
        if paths:
            self.disturbed = self.number
            self._follow(self.cloud_machine.apply(ev.RetriesDue(paths)))

    def _end_attempt(self, command: ev.EndAttempt) -> None:
        record = self.in_flight.pop(command.path)
        self._unqueue(command.path)
        self._release(record)
        end = self._ends.get(command.path, UNKNOWN)
        ended = self._cached(ended_record(record, command, end, self.now))
        self.times[command.path] = (ended.queued or ended.started, self.now)
        self._effects.attempts.append(ended)

    def not_stored(self, path: str, reason: str) -> None:
        """Note why the outcome of a running attempt is not stored in the cache."""
        if self.cached.pop(path, None) is not None:
            self.in_flight[path] = changed_record(self.in_flight[path], not_stored=reason)

    def _cached(self, ended: AttemptRecord) -> AttemptRecord:
        """Store the outcome of an attempt in the cache, if it may be; return its record."""
        inputs = self.cached.pop(ended.path, None)
        if inputs is None:
            return ended
        why = not_stored(ended, self.record)
        if why is None:
            self._effects.cached.append((ended, inputs))
        return changed_record(ended, not_stored=why)

    def _release(self, record: AttemptRecord) -> None:
        key = self.flights.pop(record.path, None)
        if key is not None:
            self._effects.flights.append((key, record.path, record.number))
        node = self.tree.nodes.get(record.path)
        if node is None or node.spec.limits:  # a Lazy may have discarded the node
            self._effects.released.append((record.path, record.number))

    # ---- generated trees ----------------------------------------------------------------------

    def resolved(self, edits: Edits) -> Pipeline:
        """Return the definition with ``edits`` and generated trees; raises `DefinitionError`."""
        trees = ((t, unpack_form(self.tree_of(key))) for t, key in self.generated.items())
        return resolve_grown(self.form, trees, edits, self.pipeline.images)

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
        self._images_updated(report.images)
        self._follow(self.cloud_machine.generate(node.path, tree.nodes))

    def forget_below(self, target: str) -> list[str]:
        """Remove the nodes below ``target`` from the definition; return their paths."""
        paths = super().forget_below(target)
        for path in (target, *paths):
            self.generated.pop(path, None)
        return paths

    # ---- images -------------------------------------------------------------------------------

    def _images_updated(self, images: Iterable[BuiltImage]) -> None:
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
                self._images_updated([queued])
                self._effects.builds.append(queued)

    def _try_failed_images_again(self) -> None:
        """Forget failed builds, so that resetting nodes builds their images again."""
        for image in list(self.images.values()):
            if image.record.state is ImageState.ERROR and image.built is not None:
                again = {"state": ImageState.PENDING, "error": None, "build": None}
                self._images_updated([image.built.model_copy(update=again)])

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
