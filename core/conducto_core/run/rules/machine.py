"""The event-driven driver, without I/O: events in, commands out.

A live pipeline is level-triggered: after every event, the question is *which nodes may run now and
are not in flight?* Only nodes that the event may have made ready are checked (`TreeState.notices`),
so the cost of an event is the depth of the tree and the number of nodes that become ready.

Rules for editors: no clock, no randomness, no I/O; decisions come from
`conducto_core.run.rules.outcomes`; a new event or command goes into
`conducto_core.run.model.events` and into the ``match`` below.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import assert_never

from conducto.wire.retries import Retry
from conducto_core.errors import TransitionError
from conducto_core.run.model import events as ev
from conducto_core.run.model.labels import duration
from conducto_core.run.model.records import Actor
from conducto_core.run.model.states import (
    FAILED,
    FINISHED,
    IN_FLIGHT,
    Cause,
    NodeType,
    State,
    StopReason,
)
from conducto_core.run.rules.failures import expired_above
from conducto_core.run.rules.live_nodes import LiveExec, LiveGroup, LiveNode, Notice
from conducto_core.run.rules.outcomes import (
    FAIL,
    MAX_LOST_STARTS,
    RETRIES,
    Decision,
    Failure,
    FailureDecision,
    decide_failure,
    decide_retry,
    is_final,
    replaces_retry_lost,
    retries_loss,
    state_of,
    suppress,
)
from conducto_core.run.rules.tree_state import TreeState, has_its_turn, turns_below
from conducto_core.tree.model import NodeSpec
from conducto_core.workers.rules.placement import MAX_INTERRUPTIONS

#: Causes of an attempt whose container ended, which say nothing about its command.
_LOSSES = (Cause.WORKER_LOST, Cause.SPOT)


def advance(tree: TreeState, event: ev.Event) -> list[ev.Command]:
    """Apply an event and return the resulting commands, in order.

    ``tree`` is changed in place. ``tree.take_changes()`` returns the changes of its nodes.

    Raises:
        TransitionError: the event cannot happen in this state; the caller has a bug.
        KeyError: a path is not in the tree.
    """
    step = _Step(tree)
    step.apply(event)
    step.settle()
    return step.commands


def settled(tree: TreeState) -> bool:
    """Return whether nothing runs, is queued, or will start by itself."""
    root = tree.root
    in_flight = root.in_flight() if isinstance(root, LiveGroup) else root.state in IN_FLIGHT
    return not (in_flight or tree.retrying)


class _Step:
    """The processing of one event."""

    def __init__(self, tree: TreeState) -> None:
        self.tree = tree
        self.commands: list[ev.Command] = []

    def apply(self, event: ev.Event) -> None:  # noqa: C901, PLR0912  one line an event
        tree = self.tree
        match event:
            case ev.Armed():
                tree.armed, tree.paused = True, False
                tree.notices.append((Notice.TURN, tree.root))
            case ev.Disarmed():
                tree.armed, tree.paused = False, True
                self._hold_back(tree.root)
            case ev.AttemptStarted():
                self._started(self._attempt(event.path, event.attempt, State.QUEUED))
            case ev.AttemptFinished():
                self._finished(event)
            case ev.RetriesDue():
                for path in event.paths:
                    node = tree.nodes.get(path)
                    if isinstance(node, LiveExec) and node.retry_at is not None:
                        tree.set_retry(node, None)
                        tree.notices.append((Notice.TURN, node))
            case ev.TreeGenerated():
                self._generated(event)
            case ev.TimeLimitReached():
                self._expire(tree.nodes[event.path])
            case ev.NodesReset():
                self._each(event.paths, self._reset, event.by)
            case ev.NodesSkipped():
                self._each(event.paths, self._skip, event.by)
            case ev.NodesUnskipped():
                self._each(event.paths, self._unskip, event.by)
            case ev.NodesKilled():
                self._each(event.paths, self._kill, event.by)
                tree.paused = tree.paused and tree.root.path not in event.paths
            case ev.SpendLimitReached():
                self._stop_running(tree.root, StopReason.SPEND_LIMIT)
            case ev.BudgetsReached():
                for path in event.paths:
                    self._stop_running(tree.nodes[path], StopReason.BUDGET)
            case ev.NodesModified():
                for path, spec in event.nodes.items():
                    self._modify(tree.nodes[path], spec)
                    tree.set_actor(tree.nodes[path], event.by)
            case ev.ApprovalsOutdated():
                for path, attempt in event.attempts.items():
                    self._ask_again(tree.nodes.get(path), attempt, event.change)
            case _:
                assert_never(event)

    def settle(self) -> None:
        notices = self.tree.notices
        while notices:
            notice, node = notices.popleft()
            match notice:
                case Notice.TURN:
                    self._start_below(node)
                case Notice.FAILED:
                    self._group_failed(node)
                case Notice.IDLE:
                    self._discard(node)
                case _:
                    assert_never(notice)
        for group, before in self.tree.take_touched():
            self._time(group, before)
            self._notify(group)

    # ---- starting ---------------------------------------------------------------------------

    def _start_below(self, top: LiveNode) -> None:
        if self.tree.armed:
            for node, runs in list(turns_below(self.tree, top)):
                if runs and isinstance(node, LiveExec):
                    self._enqueue(node)
                else:
                    self._skip(node)
                    node.condition = "false"

    def _target_of(self, node: LiveNode) -> LiveNode | None:
        target = node.spec.lazy_target
        return None if target is None else self.tree.nodes.get(target)

    def _enqueue(self, node: LiveExec) -> None:
        node.attempt += 1
        node.tries += 1
        self.tree.set_exec(node, State.QUEUED)
        if node.spec.approval is None:
            self.commands.append(ev.Enqueue(node.path, node.attempt, node.mem))
        else:
            self.commands.append(ev.RequestApproval(node.path, node.attempt))
            self._start_timer(node)
        self._notify(node)

    def _start_timer(self, node: LiveExec) -> None:
        if node.spec.max_time is not None:
            self.commands.append(ev.StartTimer(node.path, node.spec.max_time))

    def _cancel_timer(self, node: LiveExec) -> None:
        """Cancel the timer of an Exec in flight: commands get one at the start."""
        timed = node.state is State.RUNNING or node.spec.approval is not None
        if timed and node.spec.max_time is not None:
            self.commands.append(ev.CancelTimer(node.path))

    def _withdraw(self, node: LiveExec, why: str = "withdrawn before a decision") -> None:
        """Return a queued Exec to pending; ``why``: for the history of an approval."""
        self._cancel_timer(node)
        if node.spec.approval is None:
            self.commands.append(ev.Withdraw(node.path, node.attempt))
            node.attempt -= 1
        else:  # The next question has another number: nobody decides it by mistake.
            cause = Cause.KILLED_BY_USER
            self.commands.append(
                ev.EndAttempt(node.path, node.attempt, state_of(cause), cause, why)
            )
        node.tries -= 1
        self.tree.set_exec(node, State.PENDING)

    def _ask_again(self, node: LiveNode | None, attempt: int, change: str) -> None:
        """Replace the question of an approval, unless the change itself ended it."""
        if isinstance(node, LiveExec) and node.state is State.QUEUED and node.attempt == attempt:
            self._withdraw(node, f"withdrawn after a change: {change}")
            self.tree.notices.append((Notice.TURN, node))

    def _hold_back(self, top: LiveNode) -> None:
        """Return the Execs that are queued, or wait for a retry, to pending."""
        for node in self.tree.retrying_in(top):
            self.tree.set_retry(node, None)
        self._withdraw_below(top)

    def _withdraw_below(self, top: LiveNode) -> None:
        for node in list(self.tree.in_flight(top)):
            if node.state is State.QUEUED:
                self._withdraw(node)

    def _started(self, node: LiveExec) -> None:
        self.tree.set_exec(node, State.RUNNING)
        self._start_timer(node)
        self._notify(node)

    # ---- finishing --------------------------------------------------------------------------

    def _finished(self, event: ev.AttemptFinished) -> None:
        node = self._attempt(event.path, event.attempt, State.QUEUED, State.RUNNING)
        self._cancel_timer(node)
        stop_reason, node.stop_reason = node.stop_reason, None
        cause = _cause(stop_reason, event.cause)
        state = state_of(cause)
        decision, note = FAIL, None
        excused = event.excused and stop_reason is None
        is_failure = state is not State.DONE and not excused
        if is_failure and not node.skipped and stop_reason is not StopReason.RESET:
            decision, note = self._decide(
                node,
                event,
                Failure(state, cause, 0, event.mem, event.seconds, exit_code=event.exit_code),
            )
        self.commands.append(ev.EndAttempt(node.path, node.attempt, state, cause, note))
        if stop_reason is StopReason.RESET:
            _forget_tries(node)
            self._to_pending(node)
            return
        if decision.kind is FailureDecision.RETRY:
            node.mem = node.mem if decision.mem is None else decision.mem
            self._to_pending(node)
            if decision.delay and self.tree.armed and has_its_turn(self.tree, node):
                self.tree.set_retry(node, event.time + decision.delay)
            return
        node.fresh = node.fresh and state is not State.DONE
        node.known = event.known
        self._decide_again(node)
        suppressed = node.spec.suppress_errors or excused
        shown, warning = suppress(state, suppress_errors=suppressed)
        if decision.kind is FailureDecision.SKIP:
            self.tree.set_skipped(node, True)
        stopped_from_above = stop_reason is StopReason.EXPIRE and expired_above(node) is not None
        self.tree.set_exec(node, shown, cause=cause, warning=warning)
        node.expired = cause is Cause.TIMEOUT and not stopped_from_above
        self._notify(node)

    def _decide(
        self, node: LiveExec, event: ev.AttemptFinished, failure: Failure
    ) -> tuple[Decision, str | None]:
        if event.final:
            return FAIL, None
        note = None
        lost_start = not (event.started and node.state is State.RUNNING)
        asked = node.spec.placement.spot.is_asked
        if failure.cause is Cause.SPOT and asked and node.interruptions < MAX_INTERRUPTIONS:
            node.interruptions += 1
            return Decision(FailureDecision.RETRY), _about_interruption(node.interruptions)
        if failure.cause in _LOSSES and (lost_start or not replaces_retry_lost(node.spec.retry)):
            again, note = self._after_loss(node, event)
            if again:
                return Decision(FailureDecision.RETRY), note
        tries = node.tries - node.lost - node.lost_starts - node.interruptions
        failure = replace(failure, tries=tries, max_mem=self.tree.max_mem)
        seed = f"{node.path} {node.attempt} {event.time}"
        decision = decide_retry(node.spec.retry, failure, seed)
        if decision is not FAIL:
            return decision, _about_retry(decision, tries, node.spec.retry)
        decision = decide_failure(node.spec.callbacks, failure)
        return decision, None if decision.kind is FailureDecision.RETRY else note

    def _after_loss(self, node: LiveExec, event: ev.AttemptFinished) -> tuple[bool, str]:
        started = event.started and node.state is State.RUNNING
        if started:
            maximum, retried = node.spec.retry_lost, node.lost
        else:
            maximum, retried = MAX_LOST_STARTS, node.lost_starts
        again = retries_loss(retried, node.spec.retry_lost, started=started)
        if again and started:
            node.lost += 1
        elif again:
            node.lost_starts += 1
        return again, _about_loss(retried, maximum, started=started, again=again)

    def _decide_again(self, source: LiveExec) -> None:
        """Forget the decisions of conditions that compare the result of a node."""
        for node in self.tree.conditions.get(source.path, ()):
            if node.condition is not None and self.tree.nodes.get(node.path) is node:
                if node.condition == "false":
                    self.tree.set_skipped(node, False)
                node.condition = None
                self.tree.remembered.append(node)

    def _to_pending(self, node: LiveExec) -> None:
        self.tree.set_exec(node, State.PENDING)
        self.tree.notices.append((Notice.TURN, node))

    def _group_failed(self, node: LiveNode) -> None:
        """Apply a failed group's callbacks, then show the result to its parent."""
        if not isinstance(node, LiveGroup):
            return
        state = node.raw_state()
        if state not in FAILED:  # the same event reset the failed node
            node.held = False
            self.tree.refresh(node)
            return
        failed = [n for n in self.tree.subtree(node) if _failed_exec(n)]
        node.tries += 1
        cause = Cause.TIMEOUT if node.expired else None
        final = any(is_final(below.cause) for below in failed)
        failure = Failure(state, cause, node.tries, 0.0, 0.0, len(failed), final_below=final)
        decision = decide_failure(node.spec.callbacks, failure)
        node.held = False
        match decision.kind:
            case FailureDecision.RETRY:
                tries = node.tries
                self._reset(node)
                node.tries = tries
            case FailureDecision.SKIP if not _skips_below(node):
                node.given_up = True
                self.tree.set_skipped(node, True)
            case FailureDecision.SKIP:
                for below in failed:
                    self.tree.set_skipped(below, True)
            case FailureDecision.FAIL:
                node.given_up = True
        self.tree.refresh(node)

    # ---- time -------------------------------------------------------------------------------

    def _time(self, group: LiveGroup, before: State) -> None:
        limit = group.spec.max_time
        if limit is None or before is group.state:
            return
        if group.state is State.RUNNING:
            self.commands.append(ev.StartTimer(group.path, limit))
        elif before is State.RUNNING:
            self._stop_clock(group)

    def _set_clock(self, group: LiveGroup, limit: float | None) -> None:
        """Apply a new time limit to a running group: it counts from now, in full."""
        if group.state is not State.RUNNING or limit == group.spec.max_time:
            return
        self._stop_clock(group)
        if limit is not None:
            self.commands.append(ev.StartTimer(group.path, limit))

    def _stop_clock(self, group: LiveGroup) -> None:
        if group.spec.max_time is not None:
            self.commands.append(ev.CancelTimer(group.path))

    def _expire(self, node: LiveNode) -> None:
        """Stop the running Execs of a node whose time limit ran out; pending ones stay pending."""
        if node.spec.approval is not None and node.state is State.QUEUED:
            self._finished(ev.AttemptFinished(node.path, node.attempt, Cause.APPROVAL_TIMEOUT))
        if node.state is not State.RUNNING:
            return  # it finished at the same moment
        if isinstance(node, LiveGroup):
            node.expired = True
            self._hold_back(node)
        for running in list(self.tree.in_flight(node)):
            self._stop(running, StopReason.EXPIRE)
        if isinstance(node, LiveGroup):
            self.tree.refresh(node)

    # ---- actions of users --------------------------------------------------------------------

    def _each(
        self,
        paths: Iterable[str],
        act: Callable[[LiveNode, Actor | None], None],
        by: Actor | None,
    ) -> None:
        nodes = [self.tree.nodes[path] for path in paths]
        for node in nodes:
            act(node, by)

    def _reset(self, top: LiveNode, by: Actor | None = None) -> None:
        self._clear_expired(top)
        for node in list(self.tree.subtree(top)):
            if node.tries or node.attempt or node.mem is not None:
                self.tree.set_actor(node, by)
                self.tree.remembered.append(node)
            _forget_tries(node)
            node.tries = int(node.state is State.QUEUED)  # a queued Exec counts as the first
            if isinstance(node, LiveGroup):
                if node.expired:
                    node.expired = False
                    self.tree.refresh(node)
            elif isinstance(node, LiveExec):
                node.mem = node.known = None
                self._decide_again(node)
                node.fresh = node.attempt > int(node.state is State.QUEUED)
                self.tree.set_retry(node, None)
                if node.state is not State.QUEUED:
                    self._empty_target(node)
                if node.state is State.RUNNING:
                    self._stop(node, StopReason.RESET)
                elif node.state in FINISHED:
                    self.tree.set_exec(node, State.PENDING)
                elif node.state is State.QUEUED and node.spec.approval is not None:
                    self._withdraw(node)
        self.tree.notices.append((Notice.TURN, top))

    def _clear_expired(self, node: LiveNode) -> None:
        """Clear the time limits above, so that the reset nodes can run."""
        group = node.parent
        while group is not None:
            if group.expired:
                group.expired = False
                self.tree.refresh(group)
                self.tree.notices.append((Notice.TURN, group))
            group = group.parent

    def _empty_target(self, node: LiveExec) -> None:
        """Discard the old tree of a Lazy's Generate that is reset, once it is idle."""
        target = self._target_of(node)
        if not isinstance(target, LiveGroup) or target.spec.awaits_tree:
            return
        self._hold_back(target)
        for running in list(self.tree.in_flight(target)):
            self._stop(running, StopReason.RESET)
        target.discarding = True
        self.tree.refresh(target)

    def _discard(self, target: LiveNode) -> None:
        if not isinstance(target, LiveGroup) or self.tree.nodes.get(target.path) is not target:
            return  # an earlier notice of the same event did this
        for node in self.tree.subtree(target):
            # The recorded state shows whether a timer was started.
            if isinstance(node, LiveGroup) and node.reported[0] is State.RUNNING:
                self._stop_clock(node)
        self.commands.append(ev.Discard(target.path))
        self.tree.replace(target.path, {target.path: _emptied(target.spec)})
        generate = next(
            n
            for n in (target.parent.children if target.parent is not None else [])
            if n.spec.lazy_target == target.path
        )
        self.tree.notices.append((Notice.TURN, generate))

    def _skip(self, node: LiveNode, by: Actor | None = None) -> None:
        self._hold_back(node)
        if not node.skipped:
            self.tree.set_actor(node, by)
        self.tree.set_skipped(node, True)
        if node.condition is not None:
            node.condition = None
            self.tree.remembered.append(node)

    def _unskip(self, node: LiveNode, by: Actor | None) -> None:
        if node.condition == "false":
            node.condition = "ignored"
        if node.skipped:
            self.tree.set_actor(node, by)
        self.tree.set_skipped(node, False)
        self.tree.notices.append((Notice.TURN, node))

    def _kill(self, top: LiveNode, by: Actor | None) -> None:
        for node in self.tree.retrying_in(top):  # its last attempt has ended already
            self.tree.set_actor(node, by)
            self.tree.set_retry(node, None)
            self._end_killed(node)
        for node in list(self.tree.in_flight(top)):
            self.tree.set_actor(node, by)
            if node.state is State.RUNNING:
                self._stop(node, StopReason.KILL)
            else:
                self._cancel_timer(node)
                cause = Cause.KILLED_BY_USER
                state = state_of(cause)
                self.commands.append(ev.EndAttempt(node.path, node.attempt, state, cause))
                self._end_killed(node)

    def _end_killed(self, node: LiveExec) -> None:
        cause = Cause.KILLED_BY_USER
        shown, warning = suppress(state_of(cause), suppress_errors=node.spec.suppress_errors)
        self.tree.set_exec(node, shown, cause=cause, warning=warning)
        self._notify(node)

    def _stop_running(self, top: LiveNode, stop_reason: StopReason) -> None:
        for node in list(self.tree.in_flight(top)):
            if node.state is State.RUNNING and node.stop_reason is None:
                self._stop(node, stop_reason)

    def _stop(self, node: LiveExec, stop_reason: StopReason) -> None:
        if node.stop_reason is None:
            self.commands.append(ev.Stop(node.path, node.attempt))
        # A reset has precedence: the Exec runs again, however it was stopped.
        if node.stop_reason is not StopReason.RESET:
            node.stop_reason = stop_reason
            self.tree.remembered.append(node)

    def _modify(self, node: LiveNode, spec: NodeSpec) -> None:
        if isinstance(node, LiveGroup) and node.spec.awaits_tree:
            spec = _emptied(spec)  # its parameters come from its tree
        if (spec.max_concurrent, spec.budget) != (node.spec.max_concurrent, node.spec.budget):
            self._withdraw_below(node)  # queued Execs wait for room by the old number
        if isinstance(node, LiveGroup):
            self._set_clock(node, spec.max_time)
        if isinstance(node, LiveExec) and spec.command != node.spec.command:
            self.tree.record(node)  # clients show the command
        node.spec = spec
        if isinstance(node, LiveGroup):
            node.rebuild()
            self.tree.refresh(node)
            self.tree.notices.append((Notice.TURN, node))
        elif isinstance(node, LiveExec) and node.state is State.QUEUED:
            self._withdraw(node)
            self.tree.notices.append((Notice.TURN, node))

    # ---- helpers ----------------------------------------------------------------------------

    def _generated(self, event: ev.TreeGenerated) -> None:
        node = self.tree.exec_at(event.path)
        target = node.spec.lazy_target
        by_driver = node.spec.expansion is not None and node.state is State.QUEUED
        if not (by_driver or node.state is State.RUNNING) or target is None:
            raise TransitionError(event.path, f"printed a tree while {node.state.value}")
        if node.stop_reason is None:
            self.tree.replace(target, event.nodes)

    def _attempt(self, path: str, attempt: int, *allowed: State) -> LiveExec:
        node = self.tree.exec_at(path)
        if node.attempt != attempt or node.state not in allowed:
            raise TransitionError(
                path,
                f"event for attempt {attempt} while {node.state.value} in attempt {node.attempt}",
            )
        return node

    def _notify(self, node: LiveNode) -> None:
        for callback in node.spec.callbacks:
            if callback.name not in RETRIES and callback.event in (node.state.value, "stateChange"):
                self.commands.append(ev.Notify(node.path, node.state, callback))


def _cause(stop_reason: StopReason | None, reported: Cause | None) -> Cause | None:
    """Return the cause of an attempt's end; a requested stop overrides the reported one."""
    match stop_reason:
        case None:
            return reported
        case StopReason.EXPIRE:
            return Cause.TIMEOUT
        case StopReason.KILL | StopReason.RESET:
            return Cause.KILLED_BY_USER
        case StopReason.SPEND_LIMIT:
            return Cause.SPEND_LIMIT
        case StopReason.BUDGET:
            return Cause.BUDGET


def _forget_tries(node: LiveNode) -> None:
    node.tries = node.lost = node.lost_starts = node.interruptions = 0


def _about_loss(retried: int, maximum: int, *, started: bool, again: bool) -> str:
    if again:
        why = "retry_lost" if started else "its command had not started"
        return f"tried again by itself: {why} (retry {retried + 1} of {maximum})"
    if not started:
        return f"its command never started, in {retried + 1} containers; reset it to try again"
    if retried:
        return f"lost {retried + 1} times, retry_lost={maximum}; reset it to run it again"
    return "its command had started, so it is not run again by itself; reset it, or set retry_lost"


def _about_interruption(number: int) -> str:
    return f"tried again by itself: spot (interruption {number} of {MAX_INTERRUPTIONS})"


def _about_retry(decision: Decision, tries: int, retry: Retry | None) -> str:
    after = f" after {duration(decision.delay)}" if decision.delay else ""
    return f"tried again by itself{after}: retry {tries} of {0 if retry is None else retry.number}"


def _failed_exec(node: LiveNode) -> bool:
    return isinstance(node, LiveExec) and node.state in FAILED and not node.skipped


def _emptied(target: NodeSpec) -> NodeSpec:
    written = target if target.place is None else target.place
    return replace(written, type=NodeType.PARALLEL, children=(), awaits_tree=True)


def _skips_below(group: LiveGroup) -> bool:
    return any(callback.name == "skip_some_errors" for callback in group.spec.callbacks)
