"""A cloud pipeline: the state that its definition and its journal imply. No I/O, no clock.

::

    Input ──► CloudPipeline.apply ──► PipelineChanges: records to write and commands for AWS

`chalicelib.run.rules.pipeline` applies the inputs of an entry.

Equal inputs lead to equal states in every Lambda: random and external values are part of the input.
Policies are in `conducto_core`.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, assert_never

from chalicelib.budgets.rules import PipelineBudgets
from chalicelib.run.model import (
    ActionRequested,
    Alerted,
    ApprovalDecided,
    BuiltImage,
    CacheDecided,
    CapacityUnavailable,
    Changed,
    ChildMetered,
    Claimed,
    ExecutionEnded,
    ExecutionLost,
    ExecutionStarted,
    HealthChecked,
    ImagesUpdated,
    Input,
    JournalEntry,
    MapExpanded,
    OutputsArrived,
    Reported,
    SpendLimitReached,
    Submitted,
    TimeLimitsExpired,
    TreeReplaced,
    WorkerLost,
    WorkerStarted,
    may_wait,
)
from chalicelib.run.port import TreeReader
from chalicelib.run.rules.changes import PipelineChanges, WorkerUsage, in_one
from chalicelib.run.rules.state import CloudImage
from chalicelib.run.rules.steps import PipelineSteps
from chalicelib.run.rules.workers import PipelineWorkers
from chalicelib.workers.rules import WorkerStatus
from conducto_core.asl.rules.machine import StopExecution
from conducto_core.budgets.rules import is_used_up
from conducto_core.cache.files import is_ordered
from conducto_core.notifications.messages import compose
from conducto_core.notifications.rules import Alert, alert_command, with_alerts
from conducto_core.programs.model import Fate
from conducto_core.programs.rules.continuation import continued_tree, with_generated
from conducto_core.run.model import events as ev
from conducto_core.run.model.records import Lifecycle, PipelineRecord
from conducto_core.run.model.requests import RESETS, STARTS, Action
from conducto_core.run.model.states import IN_FLIGHT, State
from conducto_core.run.rules.actions import events_of, events_of_modify
from conducto_core.run.rules.live_nodes import LiveExec
from conducto_core.run.rules.machine import advance, settled
from conducto_core.run.rules.pipeline_state import LIFECYCLES
from conducto_core.secrets.rules import changed
from conducto_core.tree.model import Pipeline, unpack_form
from conducto_core.tree.rules.callbacks import PoolKind
from conducto_core.tree.rules.resolve import Edits, resolve_grown

#: Actions after which worker launches are retried in pools that gave up.
_RETRIES_STARTS = (*RESETS, Action.RUN, Action.WAKE, Action.MODIFY, Action.UNSKIP)
#: Why an idle worker stops.
_SPARED = "another command of the organisation needed a worker"


class CloudPipeline(PipelineBudgets):
    """One pipeline and its reaction to events.

    Attributes:
        prepared: The key of the definition that comes next, and its resolved tree: to resolve a
            large one again takes seconds. None unless this process has planned it.
        steps: Its attempts, runs, trees and images.
        crew: Its workers.
    """

    prepared: tuple[str, Pipeline] | None = None

    def __init__(
        self,
        org: str,
        definition: dict[str, Any],
        tree_of: TreeReader,
        pipeline: Pipeline | None = None,
    ) -> None:
        super().__init__(org, definition, tree_of, pipeline)
        self.steps = PipelineSteps(self)
        self.crew = PipelineWorkers(self, self.steps)

    def resolved(self, edits: Edits) -> Pipeline:
        """Return the definition with ``edits`` and generated trees; raises `DefinitionError`."""
        trees = ((t, unpack_form(self.tree_of(key))) for t, key in self.generated.items())
        return resolve_grown(self.form, trees, edits, self.pipeline.images)

    def forget_below(self, target: str) -> list[str]:
        """Remove the nodes below ``target`` from the definition; return their paths."""
        paths = super().forget_below(target)
        for path in (target, *paths):
            self.generated.pop(path, None)
        return paths

    def add_usage(self, usage: Sequence[WorkerUsage]) -> None:
        """Add the usage of an input to the usage that is metered later, in one write."""
        if usage and not self.usage:
            self.used_at = self.now
        self.usage = in_one([*self.usage, *usage], self.number)

    def decided(self, written: JournalEntry) -> JournalEntry:
        """Return an entry with the decisions about records of the pipeline."""
        open_ = self.open() or bool(written.hires)
        listed = self.must_list(self.now, open_=open_)
        return written.model_copy(update={"listed": listed, "metered": self.must_meter(self.now)})

    # ---- events -------------------------------------------------------------------------------

    def apply(self, event: Input) -> PipelineChanges:
        """Apply an event of the entry `number` and return the results; raises `TransitionError`."""
        self.inputs += 1
        if not may_wait(event):
            self.disturbed = self.number
        self.now, self.asked_at = max(self.now, event.time), 0.0
        self.steps.effects = PipelineChanges()
        self.steps.ends.clear()
        refused = len(self.cloud_machine.run_state.refused)
        self._dispatch(event)
        self.steps.retry_due()
        if len(self.cloud_machine.run_state.refused) > refused:
            self.steps.replan()
        self.steps.fail_without_image()
        self.crew.fail_without_workers()
        self.steps.want_builds()
        self.crew.let_workers_go()
        self.crew.fail_without_context(_reset_by(event))
        exceeded = self.exceeded(self.now)
        if exceeded:
            self.steps.follow(self.cloud_machine.apply(ev.BudgetsReached(exceeded)))
        self._pause_over_budget()
        self._let_joined_go()
        self._let_late_go()
        self._note_status()
        self.crew.let_workers_go()
        return self.steps.effects

    def _dispatch(self, event: Input) -> None:  # noqa: C901, PLR0912, PLR0915  one case per event
        match event:
            case ActionRequested():
                self.record = changed(self.record, event.action, event.by, self.now)
                self._apply_action(event)
            case Alerted():
                self._alerted(event)
            case ApprovalDecided():
                self.steps.decide_approval(event)
            case CacheDecided():
                self.steps.follow_cache(event)
            case MapExpanded():
                self.steps.expand_map(event)
            case Changed():
                self.record = changed(self.record, event.change, event.by, self.now)
            case Claimed():
                self.crew.claimed(event)
            case Reported():
                self.crew.reported(event)
            case OutputsArrived():
                self.crew.outputs_arrived(event)
            case WorkerStarted():
                self.crew.worker_started(event)
            case WorkerLost():
                self.crew.worker_lost(event)
            case ExecutionStarted():
                self._started(event)
            case ExecutionEnded():
                if event.run == self.cloud_machine.run and not settled(self.tree):
                    self.steps.replan()
            case ExecutionLost():
                if event.run == self.cloud_machine.run and event.run in self.runs:
                    self.steps.replan()
                elif event.run == self.cloud_machine.run:  # it never started; do not count it
                    self.steps.follow(self.cloud_machine.replan())
            case ImagesUpdated():
                self.steps.images_updated(event.images)
            case TimeLimitsExpired():
                for path in event.paths:
                    if self.deadlines.pop(path, None) is not None:
                        self.steps.follow(self.cloud_machine.apply(ev.TimeLimitReached(path)))
            case SpendLimitReached():
                self.steps.follow(self.cloud_machine.apply(ev.SpendLimitReached()))
            case ChildMetered():
                self.children[event.child] = event.path, event.dollars, event.ended
            case CapacityUnavailable():
                self.crew.capacity_missing(event)
            case HealthChecked():
                self.told = event.keeps if event.keeps is not None else self.told
                for worker in [one for one in self.surplus() if one in event.spared]:
                    self.crew.send_away(self.registry.workers[worker], _SPARED)
            case TreeReplaced():
                self._replace(event)
            case _:
                assert_never(event)

    def _alerted(self, event: Alerted) -> None:
        alerts = [Alert(*each) for each in event.alerts]
        for alert in alerts:
            command = alert_command(alert)
            self.steps.effects.new_notifications.append(compose(self, command, self.now))
        self.set_record(alerts=with_alerts(self.record, alerts))

    def _pause_over_budget(self) -> None:
        """Pause the pipeline when nothing runs and budgets hold back all that is queued."""
        counts = self.counts()
        queued = sum(map(len, self.queue.values()))
        if counts.running or self.tree.retrying or not queued or queued < counts.queued:
            return
        path = self.over_budget()
        if path is None:
            return
        self.steps.perform(Action.PAUSE, self.why_over_budget(path))
        for worker in list(self.registry.staying()):
            self.crew.send_away(worker, "a budget is used up")

    def _note_status(self) -> None:
        if self.steps.effects.changes and self.falls_asleep():
            for event in self.perform(Action.SLEEP):
                advance(self.tree, event)  # nothing is in flight, so no execution has to change
            self.set_record(lifecycle=LIFECYCLES[Action.SLEEP])
        self.set_record(status=self.status(), touched=self.now)

    # ---- actions ------------------------------------------------------------------------------

    def _apply_action(self, request: ActionRequested) -> None:
        if request.action in _RETRIES_STARTS:
            good = {pool: s for pool, s in self.starts.items() if s.proven and not s.rounds}
            self.starts = good
        match request.action:
            case Action.RUN | Action.WAKE:
                if request.action is Action.RUN:
                    self.fruitless = 0
                self._leave_archive()
                self.steps.perform(request.action)
            case Action.PAUSE | Action.CANCEL | Action.SLEEP | Action.ARCHIVE:
                self.steps.perform(request.action, request.problem)
            case Action.MODIFY:
                self.steps.images_updated(request.images)
                self._modify(request)
            case _:
                if request.action in RESETS:
                    self.crew.renew_contexts(request.paths)
                    self.steps.try_failed_images_again()
                self.steps.images_updated(request.images)
                self._apply_events(
                    events_of(self.tree, request.action, request.paths, request.actor)
                )
                if request.action in STARTS:
                    self.fruitless = 0
                    self.steps.perform(Action.RUN)

    def _leave_archive(self) -> None:
        if self.record.lifecycle is Lifecycle.ARCHIVED:
            self.epoch += 1
            self._known_pools = {}
            workers = (*self.registry.workers.values(), *self.registry.ended.values())
            in_use = {worker.pool for worker in workers} | self.queue.keys()
            self.pools = {name: pool for name, pool in self.pools.items() if name in in_use}
            self.starts = {name: s for name, s in self.starts.items() if name in in_use}

    def _modify(self, request: ActionRequested) -> None:
        modified = self.edit(request.edits, self.resolved({**self.edits, **request.edits}))
        self.know_images()
        if is_used_up(self.record.problem) and any("budget" in e for e in request.edits.values()):
            self.steps.perform(Action.RUN)
        self._apply_events(events_of_modify(self.tree, modified, request.paths, request.actor))

    def _apply_events(self, events: Iterable[ev.Event]) -> None:
        for event in events:
            self.steps.follow(self.cloud_machine.apply(event))

    # ---- executions ---------------------------------------------------------------------------

    def _started(self, begun: ExecutionStarted) -> None:
        self.runs[begun.run] = begun.arn
        while len(self.runs) > 3:  # noqa: PLR2004  the latest run and runs that are being stopped
            del self.runs[next(iter(self.runs))]
        if begun.run != self.cloud_machine.run or not self.cloud_machine.run_state.open:
            self.steps.effects.machine_commands.append(StopExecution(begun.run))

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
                self.steps.follow(self.cloud_machine.replan())
                return
            run_state.joined.discard(path)

    def _let_late_go(self) -> None:
        """Plan the rest again if no worker will claim the task of a hit of the cache soon.

        A worker with a command claims it afterwards. That is too late if a queued Exec waits for
        the reply, and could run on another worker.
        """
        machine = self.cloud_machine
        for path in sorted(machine.run_state.late):
            node = self.tree.nodes.get(path)
            if node is None or not machine.run_state.open:
                machine.run_state.late.discard(path)
                continue
            pool = self.pool_at(node).name
            if any(self.registry.in_pool(pool, WorkerStatus.STARTING, WorkerStatus.IDLE)):
                continue
            others = (name for name in self.queue if name != pool)
            is_waited_for = any(
                is_ordered(path, queued, self.pipeline.nodes)
                for name in others
                for queued in self.queue[name]
            )
            if is_waited_for or not any(self.registry.in_pool(pool, WorkerStatus.BUSY)):
                self.steps.follow(machine.replan())
                return

    # ---- another tree -------------------------------------------------------------------------

    def _replace(self, replaced: TreeReplaced) -> None:
        """Replace the definition, while no attempt is active; the pipeline is paused."""
        self._let_contexts_go()
        plan: dict[str, Any] = unpack_form(self.tree_of(replaced.plan, "plan"))
        definition = unpack_form(self.tree_of(replaced.definition, "definition"))
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
                self.crew.send_away(worker, "the tree was replaced")

    def _forget_progress(self) -> None:
        """Forget everything that the old tree's next run would have needed."""
        self.starts = {}
        self.deadlines = {}
        self.fruitless = 0

    def _adopt_new(
        self, record: PipelineRecord, kept: Collection[str], images: Sequence[BuiltImage]
    ) -> None:
        old, machine = self.tree, self.cloud_machine
        pipeline = self._resolved()
        tried = old.past | {path: node.attempt for path, node in old.nodes.items() if node.attempt}
        taken = machine.replace(continued_tree(old, pipeline, kept, tried))
        known = {built.name: self.images.get(built.name) for built in images}
        same = {built.name for built in images if _is_of(known[built.name], built)}
        self.images = {name: image for name, image in known.items() if image and name in same}
        self.redefine(record, pipeline, machine.tree)
        self.adopt(machine)
        self.times = {path: times for path, times in self.times.items() if path in self.tree.nodes}
        self.steps.images_updated(built for built in images if built.name not in same)
        self.steps.follow(taken)

    def _resolved(self) -> Pipeline:
        prepared, self.prepared = self.prepared, None
        if prepared is not None and prepared[0] == self.definition_key:
            return prepared[1]
        forms = {path: unpack_form(self.tree_of(key)) for path, key in self.generated.items()}
        pipeline, _ = with_generated(self.form, forms)
        return pipeline


def _reset_by(event: Input) -> tuple[str, ...]:
    resets = isinstance(event, ActionRequested) and event.action in RESETS
    return event.paths if isinstance(event, ActionRequested) and resets else ()


def _is_of(image: CloudImage | None, built: BuiltImage) -> bool:
    return image is not None and image.built == built


# ----------------------------------------------------------------------------------------
# Folds the inputs of requests into an entry of a journal, and applies entries. No I/O, no clock.
#
# A request decides on an input after it has read the journal up to some entry. The input may be
# folded into a later entry, together with the inputs of other requests. It then takes effect only
# if the decision is still valid; otherwise the entry records that it was refused, and its request
# decides again. Each input takes effect once: a pipeline keeps the ids of the inputs of its last
# entries, and refuses inputs that are older.


#: Number of entries for which a pipeline keeps the ids of inputs.
WINDOW = 500
STALE = "it is older than the inputs whose ids are known; retry"
CHANGED = "the pipeline has changed since it was submitted"
FAILED = "it could not be applied"


@dataclass(slots=True)
class Folded:
    """The inputs of an entry.

    Attributes:
        inputs: Those that took effect, in this order.
        refused: ``{id: reason}`` of the others.
        changes: ``{id: results}`` of those that took effect.
    """

    inputs: list[Submitted] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    changes: dict[str, PipelineChanges] = field(default_factory=dict)


def fresh(live: CloudPipeline, waiting: Iterable[Submitted]) -> list[Submitted]:
    """Return the inputs that are not in the journal yet."""
    return [each for each in waiting if each.id not in live.taken]


def fold(
    live: CloudPipeline,
    own: Submitted | None,
    waiting: Sequence[Submitted],
    failing: Collection[str] = (),
) -> Folded:
    """Begin the next entry and apply its inputs.

    Args:
        live: The pipeline after the latest entry.
        own: An input that was decided on this state.
        waiting: Inputs of other requests.
        failing: Ids of waiting inputs that raise an error when they are applied.

    Raises:
        FoldError: A waiting input raised an error; the state of ``live`` is no longer valid.
    """
    folded = Folded()
    seen = live.number
    _begin(live)
    if own is not None:
        _fold_one(live, folded, own)
    for each in fresh(live, waiting):
        reason = FAILED if each.id in failing else _objection(live, each, seen)
        if reason is not None:
            folded.refused[each.id] = reason
            live.taken[each.id] = live.number
            continue
        try:
            _fold_one(live, folded, each)
        except Exception as error:
            raise FoldError(each.id) from error
    return folded


def add(live: CloudPipeline, folded: Folded, consequence: Submitted) -> PipelineChanges:
    """Add an input to an entry that is decided on the state after its other inputs."""
    _fold_one(live, folded, consequence)
    return folded.changes[consequence.id]


class FoldError(Exception):
    """A waiting input cannot be applied.

    Attributes:
        id: Its id.
    """

    def __init__(self, submitted: str) -> None:
        super().__init__(f"the input {submitted} cannot be applied")
        self.id = submitted


def replay(live: CloudPipeline, entry: JournalEntry) -> dict[str, PipelineChanges]:
    """Apply an entry that was written; return ``{id: results}`` of its inputs."""
    _begin(live)
    if entry.warm is not None:
        live.warm = entry.warm
    folded = Folded()
    for each in entry.inputs:
        _fold_one(live, folded, each)
    live.taken.update(dict.fromkeys(entry.refused, live.number))
    live.crew.adopt_decisions(entry)
    return folded.changes


def _begin(live: CloudPipeline) -> None:
    live.number += 1
    for known in list(live.taken):
        if live.taken[known] > live.number - WINDOW:
            break  # they are in the order of their entries
        del live.taken[known]


def _fold_one(live: CloudPipeline, folded: Folded, each: Submitted) -> None:
    changes = folded.changes[each.id] = live.apply(each.input)
    live.add_usage(changes.usage)
    folded.inputs.append(Submitted(id=each.id, input=each.input))
    live.taken[each.id] = live.number


def _objection(live: CloudPipeline, each: Submitted, latest: int) -> str | None:
    """Return why a waiting input does not take effect, or None.

    An id from before the window is unknown, but its input had not seen its own entry.
    """
    if each.seen <= latest - WINDOW:
        return STALE
    if each.seen < live.disturbed or not _is_valid(live, each.input):
        return CHANGED
    return None


def _is_valid(live: CloudPipeline, happened: Input) -> bool:
    """Return whether the request would decide on the same input now."""
    match happened:
        case Claimed():
            return live.is_current(happened)
        case Reported():
            worker = live.registry.workers.get(happened.worker)
            return worker is not None and worker.runs(happened.path, happened.attempt)
        case OutputsArrived():
            return live.exec_in(happened.path, happened.attempt, State.RUNNING) is not None
        case WorkerStarted() | WorkerLost():
            explains = isinstance(happened, WorkerLost) and happened.ended is not None
            gone = explains and happened.worker in live.registry.ended
            return gone or happened.worker in live.registry.workers
        case _:
            return False
