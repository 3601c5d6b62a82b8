"""The steps by which a cloud pipeline follows its state machine. No I/O, no clock."""

from collections.abc import Iterable
from typing import Any, assert_never

from chalicelib.budgets.rules import PipelineBudgets
from chalicelib.run.model import ApprovalDecided, BuiltImage, CacheDecided, MapExpanded
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
from conducto_core.run.rules.live_nodes import LiveExec, LiveNode
from conducto_core.run.rules.outcomes import UNKNOWN, AttemptEnd, changed_record, ended_record
from conducto_core.run.rules.pipeline_state import LIFECYCLES
from conducto_core.tree.model import unpack_form
from conducto_core.tree.rules.resolve import resolve_generated

#: Seconds that a worker gets to stop a command itself after its ``max_time``.
GRACE = 60.0
#: Maximum number of consecutive runs without progress; then the pipeline is paused.
MAX_FRUITLESS = 5


class PipelineSteps:
    """The changes that the attempts, runs, trees and images of a pipeline make to its state.

    Attributes:
        effects: The results of the event that is being applied.
        ends: ``{path: end}`` of attempts that it ends.
    """

    def __init__(self, state: PipelineBudgets) -> None:
        self._state = state
        self.effects = PipelineChanges()
        self.ends: dict[str, AttemptEnd] = {}

    # ---- runs ---------------------------------------------------------------------------------

    def follow(self, taken: StepResult) -> None:
        """Execute the commands, record the changes, and collect the commands for Step Functions."""
        effects = self._state.follow(taken.commands, taken.changes, self._state.now, self._end)
        for command in effects.commands:
            self._execute(command)
        self.effects.changes += effects.changes
        for machine_command in taken.machine_commands:
            self._pass_on(machine_command)

    def _end(self, path: str) -> AttemptEnd:
        return self.ends.get(path, UNKNOWN)

    def _execute(self, command: ev.DriverCommand) -> None:
        match command:
            case ev.Enqueue():
                self._enqueue(command)
            case ev.RequestApproval():
                self._ask(command)
            case ev.Withdraw():
                self.unqueue(command.path)
                record = self._state.in_flight.pop(command.path, None)
                if record is not None:
                    self._release(record)
            case ev.EndAttempt():
                self._end_attempt(command)
            case ev.StartTimer():
                node = self._state.tree.nodes.get(command.path)
                on_worker = isinstance(node, LiveExec) and node.spec.approval is None
                grace = GRACE if on_worker else 0.0
                self._state.deadlines[command.path] = self._state.now + command.seconds + grace
            case ev.CancelTimer():
                self._state.deadlines.pop(command.path, None)
            case ev.Notify():
                self.effects.new_notifications.append(
                    compose(self._state, command, self._state.now)
                )
            case ev.Stop():
                pass  # the worker learns this from its next heartbeat
            case _:
                assert_never(command)

    def _pass_on(self, command: MachineCommand) -> None:
        self.effects.machine_commands.append(command)
        match command:
            case StartExecution():
                self._state.planned_at = self._state.now
                rest = command.rest
            case CompleteTask():
                self._state.holders.pop(command.token, None)
                rest = command.generated
            case StopExecution():
                self._state.holders.clear()
                rest = None
        if rest is not None:
            for spec in rest.tasks():
                if spec.path not in self._state.places:
                    self._state.pool_for(spec)

    def perform(self, action: Action, problem: str | None = None) -> None:
        for event in self._state.perform(action, problem):
            self.follow(self._state.cloud_machine.apply(event))
        self._state.set_record(lifecycle=LIFECYCLES.get(action, self._state.record.lifecycle))

    def replan(self) -> None:
        """Restart the remaining work; pause the pipeline after repeated runs without progress."""
        self._state.fruitless += 1
        if self._state.fruitless > MAX_FRUITLESS:
            problem = "executions end before their nodes do; this is a bug in Conducto, report it"
            self.perform(Action.PAUSE, problem)
            return
        self.follow(self._state.cloud_machine.replan())

    # ---- attempts -----------------------------------------------------------------------------

    def _enqueue(self, command: ev.Enqueue) -> None:
        node = self._state.tree.nodes.get(command.path)
        if node is None:
            return  # a Lazy discarded it in the same event; its withdrawal follows
        self._queue(node, command.attempt, command.mem)
        if node.spec.expansion is not None:
            self._state.expansions[command.path] = command.attempt
            self.effects.expands = True
        elif node.spec.cache is None:
            self._admit(node)
        else:
            self._state.candidates[command.path] = command.attempt
        off = node.spec.cache_off
        if off is not None:
            self._note_cache(command.path, f"not cached: {off}")

    def _queue(self, node: LiveNode, attempt: int, mem: float | None = None) -> None:
        actor = self._state.tree.requester_of(node.path)
        self._state.in_flight.queue(node.spec, attempt, mem, self._state.now, actor)

    def _admit(self, node: LiveNode) -> None:
        """Let workers start a queued Exec."""
        pool = self._state.pool_at(node).name
        self._state.queue.setdefault(pool, {})[node.path] = None
        self._state.places[node.path] = pool

    def _note_cache(self, path: str, reason: str) -> None:
        self._state.in_flight[path] = changed_record(self._state.in_flight[path], cache=reason)

    def follow_cache(self, decided: CacheDecided) -> None:
        """Follow decisions of the cache, but for those about withdrawn attempts."""
        for wait in decided.waits:
            if self._is_undecided(wait.path, wait.attempt):
                self._state.candidates.pop(wait.path, None)
                self._state.same_commands[wait.path] = [wait.holder, wait.key]
        for miss in decided.misses:
            if self._is_undecided(miss.path, miss.attempt):
                self._forget_decision(miss.path)
                if miss.flight is not None:
                    self._state.flights[miss.path] = miss.flight
                self._note_cache(miss.path, miss.reason)
                self._admit(self._state.tree.nodes[miss.path])
        done: dict[str, dict[str, Any] | None] = {}
        for hit in decided.hits:
            path, number = hit.attempt.path, hit.attempt.number
            if self._is_undecided(path, number):
                self._forget_decision(path)
                self._state.in_flight[path] = hit.attempt
                outputs, size = hit.outputs, hit.output_bytes
                self.ends[path] = AttemptEnd(0, output_bytes=size, outputs=outputs)
                done[path] = hit.known
        if done:
            self._state.fruitless = 0
            self.follow(
                self._state.cloud_machine.finish_done(done, self._state.now, late=decided.late)
            )

    def _is_undecided(self, path: str, attempt: int) -> bool:
        """Return whether the cache has not decided about an attempt, or it waits for another."""
        if path in self._state.same_commands:
            return self._state.in_flight[path].number == attempt
        return self._state.candidates.get(path) == attempt

    def _forget_decision(self, path: str) -> None:
        self._state.expansions.pop(path, None)
        self._state.candidates.pop(path, None)
        self._state.same_commands.pop(path, None)

    def _ask(self, command: ev.RequestApproval) -> None:
        node = self._state.tree.nodes.get(command.path)
        if node is not None:  # as in `_enqueue`
            self._queue(node, command.attempt)

    def decide_approval(self, decided: ApprovalDecided) -> None:
        """End a waiting approval; its execution waits without end, so the rest is planned again."""
        decision = decided.decision
        if self._state.exec_in(decided.path, decided.attempt, State.QUEUED) is None:
            return  # another decision, or a reset, came first
        self.ends[decided.path] = decision_end(decision)
        cause = None if decision.approved else Cause.REJECTED
        self.finish(decided.path, cause, known=decision.values)

    def unqueue(self, path: str) -> None:
        self._forget_decision(path)
        pool = self._state.places.pop(path, None)
        if pool is not None:
            self._state.queue[pool].pop(path, None)
            if not self._state.queue[pool]:
                del self._state.queue[pool]

    def finish(
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
        self._state.fruitless = 0
        self.ends.setdefault(path, AttemptEnd(message=message))
        record = self._state.in_flight[path]
        mem = 0.0 if record.mem is None else record.mem
        taken = self._state.cloud_machine.finish(
            path,
            cause,
            seconds=seconds,
            mem=mem,
            final=final,
            exit_code=self.ends[path].exit_code,
            now=self._state.now,
            excused=excused,
            known=known,
        )
        self.follow(taken)

    def retry_due(self) -> None:
        """Queue the Execs whose delay before a retry is over."""
        paths = self._state.tree.retries_due(self._state.now)
        if paths:
            self._state.disturbed = self._state.number
            self.follow(self._state.cloud_machine.apply(ev.RetriesDue(paths)))

    def _end_attempt(self, command: ev.EndAttempt) -> None:
        record = self._state.in_flight.pop(command.path)
        self.unqueue(command.path)
        self._release(record)
        end = self.ends.get(command.path, UNKNOWN)
        ended = self._cached(ended_record(record, command, end, self._state.now))
        self._state.times[command.path] = (ended.queued or ended.started, self._state.now)
        self.effects.attempts.append(ended)

    def not_stored(self, path: str, reason: str) -> None:
        """Note why the outcome of a running attempt is not stored in the cache."""
        if self._state.cached.pop(path, None) is not None:
            self._state.in_flight[path] = changed_record(
                self._state.in_flight[path], not_stored=reason
            )

    def _cached(self, ended: AttemptRecord) -> AttemptRecord:
        """Store the outcome of an attempt in the cache, if it may be; return its record."""
        inputs = self._state.cached.pop(ended.path, None)
        if inputs is None:
            return ended
        why = not_stored(ended, self._state.record)
        if why is None:
            self.effects.cached.append((ended, inputs))
        return changed_record(ended, not_stored=why)

    def _release(self, record: AttemptRecord) -> None:
        key = self._state.flights.pop(record.path, None)
        if key is not None:
            self.effects.flights.append((key, record.path, record.number))
        node = self._state.tree.nodes.get(record.path)
        if node is None or node.spec.limits:  # a Lazy may have discarded the node
            self.effects.released.append((record.path, record.number))

    # ---- generated trees ----------------------------------------------------------------------

    def expand_map(self, expanded: MapExpanded) -> None:
        """End the attempt of a map that waited for its expansion; the rest is planned again."""
        path = expanded.path
        node = self._state.exec_in(path, expanded.attempt, State.QUEUED)
        if node is None or path not in self._state.expansions:
            return  # it was withdrawn, or expanded before
        queued = self._state.in_flight[path]
        self._state.in_flight[path] = changed_record(queued, fingerprint=expanded.fingerprint)
        code = 0 if expanded.cause is None else None
        size = expanded.output_bytes
        self.ends[path] = AttemptEnd(code, expanded.message, output_bytes=size)
        self.graft(node, expanded.tree_key, expanded.images)
        self.finish(path, expanded.cause)

    def graft(self, node: LiveExec, key: str | None, images: Iterable[BuiltImage]) -> None:
        """Put the tree that a Lazy generated in place; ``key``: that of the tree, if any."""
        target = node.spec.lazy_target
        if target is None or key is None:
            return
        form = unpack_form(self._state.tree_of(key))
        tree = resolve_generated(form, target, self._state.pipeline, self._state.edits)
        self._state.graft(target, tree)
        self._state.generated[target] = key
        self._state.know_images()
        self.images_updated(images)
        self.follow(self._state.cloud_machine.generate(node.path, tree.nodes))

    # ---- images -------------------------------------------------------------------------------

    def images_updated(self, images: Iterable[BuiltImage]) -> None:
        for built in images:
            image = self._state.images.setdefault(
                built.name, CloudImage(ImageRecord(name=built.name))
            )
            if built.reference != image.record.reference:
                self._forget_starts(built.name)
            image.built = built
            image.version = self._state.number
            image.record = _record_of(image.record, built, self._state.now)

    def _forget_starts(self, image: str) -> None:
        """Forget the launch failures of pools whose image changes."""
        starts = self._state.starts.items()
        self._state.starts = {
            pool: s for pool, s in starts if self._state.pools[pool].image != image
        }

    def want_builds(self) -> None:
        for name in dict.fromkeys(self._state.pools[pool].image for pool in self._state.queue):
            image = self._state.images[name]
            pending = image.record.state is ImageState.PENDING
            if pending and image.built is not None and image.built.tag is not None:
                queued = image.built.model_copy(update={"state": ImageState.QUEUED})
                self.images_updated([queued])
                self.effects.builds.append(queued)

    def try_failed_images_again(self) -> None:
        """Forget failed builds, so that resetting nodes builds their images again."""
        for image in list(self._state.images.values()):
            if image.record.state is ImageState.ERROR and image.built is not None:
                again = {"state": ImageState.PENDING, "error": None, "build": None}
                self.images_updated([image.built.model_copy(update=again)])

    def fail_without_image(self) -> None:
        failed = {n for n, i in self._state.images.items() if i.record.state is ImageState.ERROR}
        while failed:
            doomed = [
                path
                for name, paths in self._state.queue.items()
                if self._state.pools[name].image in failed
                for path in paths
            ]
            if not doomed:
                return
            error = self._state.images[
                self._state.pools[self._state.places[doomed[0]]].image
            ].record.error
            self.finish(doomed[0], Cause.IMAGE, message=error)


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
