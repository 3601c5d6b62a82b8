"""A cloud pipeline: the state that its definition and its journal imply. No I/O, no clock.

::

    Input ──► CloudPipeline.apply ──► PipelineChanges: records to write and commands for AWS

`chalicelib.domain.folding` applies the inputs of an entry.

Equal inputs lead to equal states in every Lambda: random and external values are part of the input.
Policies are in `conducto_core.semantics`.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, assert_never

from chalicelib.domain.events import (
    ActionRequested,
    ApprovalDecided,
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
    OutputsArrived,
    Reported,
    SpendLimitReached,
    TimeLimitsExpired,
    TreeReplaced,
    WorkerLost,
    WorkerStarted,
    may_wait,
)
from chalicelib.domain.pipeline_changes import PipelineChanges
from chalicelib.domain.pipeline_state import CloudImage
from chalicelib.domain.pipeline_workers import PipelineWorkers
from chalicelib.domain.workers import WorkerStatus
from conducto_core.model.continuation import Fate
from conducto_core.model.form_codec import unpack_form
from conducto_core.model.nodes import Pipeline
from conducto_core.model.records import (
    Lifecycle,
    PipelineRecord,
)
from conducto_core.model.requests import Action
from conducto_core.model.states import IN_FLIGHT
from conducto_core.semantics import events as ev
from conducto_core.semantics.actions import events_of, events_of_modify
from conducto_core.semantics.cloud_machine import (
    StopExecution,
)
from conducto_core.semantics.continuation import continued_tree, with_generated
from conducto_core.semantics.machine import advance, settled
from conducto_core.semantics.pipeline_state import LIFECYCLES
from conducto_core.semantics.pools import PoolKind
from conducto_core.semantics.tree_state import LiveExec
from conducto_core.semantics.user_secrets import changed

_RESETS = (Action.RESET, Action.REBUILD)
#: Actions after which worker launches are retried in pools that gave up.
_RETRIES_STARTS = (*_RESETS, Action.RUN, Action.WAKE, Action.MODIFY, Action.UNSKIP)
#: Why an idle worker stops.
_SPARED = "another command of the organisation needed a worker"


class CloudPipeline(PipelineWorkers):
    """One pipeline and its reaction to events.

    Attributes:
        prepared: The key of the definition that comes next, and its resolved tree: to resolve a
            large one again takes seconds. None unless this process has planned it.
    """

    prepared: tuple[str, Pipeline] | None = None

    # ---- events -------------------------------------------------------------------------------

    def apply(self, event: Input) -> PipelineChanges:
        """Apply an event of the entry `number` and return the results; raises `TransitionError`."""
        self.inputs += 1
        if not may_wait(event):
            self.disturbed = self.number
        self.now = max(self.now, event.time)
        self._effects = PipelineChanges()
        self._ends.clear()
        refused = len(self.cloud_machine.run_state.refused)
        self._dispatch(event)
        if len(self.cloud_machine.run_state.refused) > refused:
            self._replan()
        self._fail_without_image()
        self._fail_without_workers()
        self._want_builds()
        self._let_workers_go()
        self._fail_without_context(_reset_by(event))
        self._let_joined_go()
        self._note_status()
        self._let_workers_go()
        return self._effects

    def _dispatch(self, event: Input) -> None:  # noqa: C901, PLR0912  one case per event
        match event:
            case ActionRequested():
                self.record = changed(self.record, event.action, event.by, self.now)
                self._apply_action(event)
            case ApprovalDecided():
                self._decided(event)
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
            case SpendLimitReached():
                self._follow(self.cloud_machine.apply(ev.SpendLimitReached()))
            case CapacityUnavailable():
                self._capacity_missing(event)
            case HealthChecked():
                self.told = event.keeps if event.keeps is not None else self.told
                for worker in [one for one in self.surplus() if one in event.spared]:
                    self._send_away(self.registry.workers[worker], _SPARED)
            case TreeReplaced():
                self._replace(event)
            case _:
                assert_never(event)

    def _note_status(self) -> None:
        if self._effects.changes and self.falls_asleep():
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
                self._perform(request.action)
            case Action.PAUSE | Action.CANCEL | Action.SLEEP | Action.ARCHIVE:
                self._perform(request.action, request.problem)
            case Action.MODIFY:
                self._images_moved(request.images)
                self._modify(request)
            case _:
                if request.action in _RESETS:
                    self._renew_contexts(request.paths)
                    self._try_failed_images_again()
                self._images_moved(request.images)
                self._apply_events(events_of(self.tree, request.action, request.paths, request.by))

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
        self._know_images()
        self._apply_events(events_of_modify(self.tree, modified, request.paths, request.by))

    def _apply_events(self, events: Iterable[ev.Event]) -> None:
        for event in events:
            self._follow(self.cloud_machine.apply(event))

    # ---- executions ---------------------------------------------------------------------------

    def _started(self, begun: ExecutionStarted) -> None:
        self.runs[begun.run] = begun.arn
        while len(self.runs) > 3:  # noqa: PLR2004  the latest run and runs that are being stopped
            del self.runs[next(iter(self.runs))]
        if begun.run != self.cloud_machine.run or not self.cloud_machine.run_state.open:
            self._effects.machine_commands.append(StopExecution(begun.run))

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
        pipeline = self._resolved()
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

    def _resolved(self) -> Pipeline:
        prepared, self.prepared = self.prepared, None
        if prepared is not None and prepared[0] == self.definition_key:
            return prepared[1]
        forms = {path: unpack_form(self.tree_of(key)) for path, key in self.generated.items()}
        pipeline, _ = with_generated(self.form, forms)
        return pipeline


def _reset_by(event: Input) -> tuple[str, ...]:
    resets = isinstance(event, ActionRequested) and event.action in _RESETS
    return event.paths if isinstance(event, ActionRequested) and resets else ()


def _is_of(image: CloudImage | None, built: BuiltImage) -> bool:
    return image is not None and image.built == built
