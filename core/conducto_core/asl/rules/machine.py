"""A live tree that executions of compiled state machines run. No I/O.

`conducto_core.run.rules.machine` decides how the state of the tree changes, as on the local target;
the compiled machine decides the order in which workers get Execs. The response to a claim depends
on the *current* state of the node. After an action that changes the past (reset, unskip, a retried
group …), the running graph is outdated: its execution is stopped, the rest of the tree is compiled
and started, and the new graph waits for Execs that still run.

::

    event ──► CloudMachine ──► commands of the machine, and commands to Step Functions

A lost response does no harm: a task without heartbeats is offered again, and a claim of a finished
node is answered at once.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from conducto_core.asl.rules.naming import (
    MAX_OFFERS,
    NO_TREE,
    RETRY_LATER,
    WORKER_LOST,
    node_id,
)
from conducto_core.asl.rules.states import Residual, residual
from conducto_core.run.model import events as ev
from conducto_core.run.model.states import IN_FLIGHT, Cause, NodeType, State
from conducto_core.run.rules.live_nodes import LiveGroup, LiveNode
from conducto_core.run.rules.machine import advance, settled
from conducto_core.run.rules.outcomes import Outcome
from conducto_core.run.rules.tree_state import Change, TreeState
from conducto_core.tree.model import NodeSpec

#: The error of a task whose execution does not count any more, or must not continue.
CANCELLED = "Cancelled"
#: The error of a task whose Exec failed.
FAILED = "ExitCode"
#: Maximum number of tasks that workers only claim for their reply; more of them take longer than
#: planning the rest again.
MAX_LATE = 10


@dataclass(frozen=True, slots=True)
class StartExecution:
    """Compile the rest of the tree and start it, with ``run`` in its input."""

    run: str
    rest: Residual | None


@dataclass(frozen=True, slots=True)
class StopExecution:
    """Stop the execution of a run."""

    run: str


@dataclass(frozen=True, slots=True)
class CompleteTask:
    """End a task.

    Attributes:
        error: Its error; None means success.
        generates: Its output is ``{"sm": ARN}`` of the machine that runs `generated`.
        generated: The part of the tree that a Lazy printed that is still to run.
        target: Path of the node that it generates.
    """

    token: str
    error: str | None = None
    generates: bool = False
    generated: Residual | None = None
    target: str = ""


MachineCommand = StartExecution | StopExecution | CompleteTask


@dataclass(slots=True)
class StepResult:
    """The results of an event.

    Attributes:
        commands: The machine's, in order.
        machine_commands: Commands to Step Functions, to execute in order.
    """

    commands: list[ev.Command] = field(default_factory=list)
    machine_commands: list[MachineCommand] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)


@dataclass(slots=True)
class RunState:
    """The stored state of a cloud machine besides the tree.

    Attributes:
        open: The last run has not ended.
        held: ``{path: {token: whether it only waits}}`` of claimed tasks without a reply.
        planned: Execs and approvals that the run's graph reaches, or that a generated part of it
            will reach.
        met: Those of them that were claimed.
        joined: Execs that were running when the run was planned: its graph waits for them.
        late: Execs that are done from the cache, and whose tasks the graph offers nevertheless.
        sizes: ``{path: GB}`` of Execs to which the run's graph gives more memory than defined.
        offers: ``{path: tasks claimed in this run}``; Step Functions offers a task `MAX_OFFERS`
            times.
        refused: Nodes that the graph offered out of order, which would be a bug.
    """

    number: int = 0
    open: bool = False
    held: dict[str, dict[str, bool]] = field(default_factory=dict)
    planned: set[str] = field(default_factory=set)
    met: set[str] = field(default_factory=set)
    joined: set[str] = field(default_factory=set)
    late: set[str] = field(default_factory=set)
    sizes: dict[str, float] = field(default_factory=dict)
    offers: dict[str, int] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)


class CloudMachine:
    """A pipeline that runs by executions.

    Attributes:
        tree: The state of its nodes.
        run_state: The state of its executions.
    """

    def __init__(self, name: str, tree: TreeState, run_state: RunState | None = None) -> None:
        """Continue a tree with its stored ``run_state``; names of runs start with ``name``."""
        self.run_state = RunState() if run_state is None else run_state
        self._name = name
        self._taken = StepResult()
        self._adopt(tree)

    def _adopt(self, tree: TreeState) -> None:
        self.tree = tree
        self._paths: dict[str, str] = {}
        self._skipped = {n.path for n in tree.nodes.values() if n.skipped}
        self._expired = {
            n.path for n in tree.nodes.values() if isinstance(n, LiveGroup) and n.expired
        }
        self._running = {n.path for n in tree.in_flight(tree.root) if n.state is State.RUNNING}

    @property
    def run(self) -> str:
        """The id of the newest run."""
        return f"{self._name}-{self.run_state.number}"

    # ---- actions and time limits ---------------------------------------------------------------

    def apply(self, event: ev.Event) -> StepResult:
        """Apply an action of a user, or a time limit."""
        outdated = self._changes_the_past(event)
        skipped = event.paths if isinstance(event, ev.NodesSkipped) else ()
        if self._apply(event, *skipped) or outdated:
            self._replan()
        self._respond_held()
        return self._enter()

    def replan(self) -> StepResult:
        """Compile and start the rest again, because the execution is lost."""
        self._replan()
        return self._enter()

    def replace(self, tree: TreeState) -> StepResult:
        """Continue with another tree, which is paused; the execution of the old one ends."""
        if self.run_state.open:
            self._taken.machine_commands.append(StopExecution(self.run))
        self.run_state = RunState(number=self.run_state.number)
        self._adopt(tree)
        self._taken.changes += tree.take_changes()
        return self._enter()

    # ---- calls of workers ----------------------------------------------------------------------

    def path_of(self, node: str) -> str | None:
        """Return the path of the node with this id, or None."""
        if not self._paths:  # a launch needs no ids, and 100,000 take a while
            self._paths = {node_id(path): path for path in self.tree.nodes}
        path = self._paths.get(node)
        return path if path in self.tree.nodes else None

    def claim(self, token: str, run: str, node: str, *, waits: bool) -> StepResult:
        """Handle a worker's claim of a task.

        A task that can be answered gets its command in the result; any other one is held. The state
        of the node shows whether its command may run.
        """
        path = self.path_of(node)
        if run != self.run or path is None:
            self._taken.machine_commands.append(CompleteTask(token, CANCELLED))
            return self._enter()
        self.run_state.met.add(path)
        self.run_state.joined.discard(path)
        self.run_state.late.discard(path)
        held = self.run_state.held.setdefault(path, {})
        if not waits and token not in held:
            self.run_state.offers[path] = self.run_state.offers.get(path, 0) + 1
        held[token] = waits
        if self.tree.nodes[path].state not in IN_FLIGHT:
            self._respond(path)
        return self._enter()

    def holds(self, path: str, token: str) -> bool:
        """Return whether the Exec's own task is claimed and has no reply."""
        return self.run_state.held.get(path, {}).get(token) is False

    def start(self, path: str) -> StepResult:
        """Start the Exec that a worker claimed."""
        self._running.add(path)
        self._apply(ev.AttemptStarted(path, self.tree.nodes[path].attempt), path)
        return self._enter()

    def lose(self, tokens: Collection[str]) -> StepResult:
        """Release the tasks of a lost worker, so that others can claim them.

        Step Functions offers a task a limited number of times; after that, the rest is planned
        again.
        """
        exhausted = False
        for path, held in list(self.run_state.held.items()):
            for token in [token for token in held if token in tokens]:
                waits = held.pop(token)
                self._taken.machine_commands.append(CompleteTask(token, WORKER_LOST))
                exhausted |= not waits and self.run_state.offers.get(path, 0) >= MAX_OFFERS
            if not held:
                del self.run_state.held[path]
                self.run_state.met.discard(path)
        if exhausted:
            self._replan()
        return self._enter()

    def generate(self, path: str, nodes: Mapping[str, NodeSpec]) -> StepResult:
        """Add the tree that a Lazy's command printed; `finish` follows."""
        self.run_state.planned |= set(nodes)
        for known in (self.run_state.met, self.run_state.joined, self.run_state.late):
            known -= set(nodes)  # a previous tree may have had nodes with the same paths
        for path_below in nodes:
            self.run_state.offers.pop(path_below, None)
            self.run_state.sizes.pop(path_below, None)
        if self._paths:
            self._paths.update({node_id(path): path for path in nodes})
        self._apply(ev.TreeGenerated(path, nodes), path)
        return self._enter()

    def finish(
        self,
        path: str,
        cause: Cause | None,
        *,
        seconds: float = 0.0,
        mem: float = 0.0,
        final: bool = False,
        exit_code: int | None = None,
        now: float = 0.0,
        excused: bool = False,
        known: dict[str, Any] | None = None,
    ) -> StepResult:
        """End an Exec whose command ended, or that is in flight and could not be started."""
        event = ev.AttemptFinished(
            path,
            self.tree.nodes[path].attempt,
            cause,
            seconds=seconds,
            mem=mem,
            final=final,
            exit_code=exit_code,
            time=now,
            excused=excused,
            known=known,
        )
        if self._apply(event, path):
            self._replan()
        self._respond_held()
        return self._enter()

    def finish_done(
        self, done: Mapping[str, dict[str, Any] | None], now: float, *, late: bool = False
    ) -> StepResult:
        """End queued Execs as done, whose outcomes are in the cache; the rest is planned once.

        Args:
            done: ``{path: known}``, as in `conducto_core.run.model.events.AttemptFinished`.
            now: The time.
            late: The run's execution has started. It continues, and a worker that claims the task
                of such an Exec gets its reply, unless there are too many for that.
        """
        outdated = False
        for path, known in done.items():
            number = self.tree.nodes[path].attempt
            event = ev.AttemptFinished(path, number, None, exit_code=0, time=now, known=known)
            outdated |= self._apply(event, path, late=late)
        run_state = self.run_state
        is_over = len(run_state.late) > MAX_LATE or settled(self.tree)
        if outdated or (run_state.late and is_over):
            self._replan()
        self._respond_held()
        return self._enter()

    # ---- the tree -----------------------------------------------------------------------------

    def _changes_the_past(self, event: ev.Event) -> bool:
        match event:
            case ev.NodesKilled() | ev.SpendLimitReached() | ev.BudgetsReached():
                return False
            case ev.TimeLimitReached():
                return isinstance(self.tree.nodes[event.path], LiveGroup)
            case ev.NodesSkipped():
                return not all(self._is_in_hand(path) for path in event.paths)
            case _:
                return True

    def _is_in_hand(self, path: str) -> bool:
        """Return whether a worker has the Exec's task, and so learns of changes."""
        return path in self._running or path in self.run_state.held

    def _apply(self, event: ev.Event, *about: str, late: bool = False) -> bool:
        """Advance the tree; return whether the running graph is outdated now.

        Args:
            event: The event.
            about: Nodes whose own retry or skip the graph already handles.
            late: A worker may claim the task of an Exec that ends now.
        """
        if isinstance(event, ev.TimeLimitReached):
            self._expired.add(event.path)
        ended = self.tree.retries_ended
        commands = advance(self.tree, event)
        # No task in the graph can continue an Exec that no longer waits for its retry.
        outdated = self.run_state.open and self.tree.retries_ended > ended
        for command in commands:
            match command:
                case ev.Enqueue():
                    outdated |= not self._leads_to(command, about)
                case ev.RequestApproval():  # each decision makes another plan, without it
                    outdated |= command.path not in self.run_state.planned
                case ev.EndAttempt():
                    # Its task waits for a worker, and none will be started for it.
                    in_hand, state = self._is_in_hand(command.path), self.run_state
                    if late and not in_hand and command.path in state.planned - state.met:
                        state.late.add(command.path)
                    else:
                        outdated |= state.open and not in_hand
                    self._running.discard(command.path)
                case _:
                    pass
        self.tree.take_remembered()  # the whole tree is stored with this machine
        changes = self.tree.take_changes()
        for change in changes:
            taken_back = change.type is NodeType.EXEC and change.state is State.PENDING
            outdated |= taken_back and change.path in self.run_state.met.difference(about)
        self._taken.commands += commands
        self._taken.changes += changes
        return self._skips_more(changes, about) or self._is_expiry_reset() or outdated

    def _skips_more(self, changes: Iterable[Change], about: tuple[str, ...]) -> bool:
        more = False
        for change in changes:
            if not change.skipped:
                self._skipped.discard(change.path)
            elif change.path not in self._skipped:
                self._skipped.add(change.path)
                more |= change.path not in about
        return more

    def _is_expiry_reset(self) -> bool:
        """Return whether a group is no longer expired."""
        still = {path for path in self._expired if self._has_expired(path)}
        forgiven = still != self._expired
        self._expired = still
        return forgiven

    def _has_expired(self, path: str) -> bool:
        node = self.tree.nodes.get(path)
        return isinstance(node, LiveGroup) and node.expired

    def _leads_to(self, command: ev.Enqueue, about: tuple[str, ...]) -> bool:
        """Return whether the running graph waits for an Exec, or will reach it.

        A task is for workers of one size, so an Exec that gets more memory needs another task.
        """
        path, run_state = command.path, self.run_state
        if command.mem != run_state.sizes.get(path):
            return False
        if path in about:
            return any(not waits for waits in run_state.held.get(path, {}).values())
        return path in run_state.planned and path not in run_state.met

    # ---- tasks --------------------------------------------------------------------------------

    def _respond_held(self) -> None:
        for path in list(self.run_state.held):
            node = self.tree.nodes.get(path)
            if node is None:
                tokens = self.run_state.held.pop(path)
                self._taken.machine_commands += [CompleteTask(token, CANCELLED) for token in tokens]
            elif node.state not in IN_FLIGHT:
                self._respond(path)

    def _respond(self, path: str) -> None:
        node = self.tree.nodes[path]
        for token, waits in self.run_state.held.pop(path).items():
            self._taken.machine_commands.append(self._reply(node, token, waits=waits))

    def _reply(self, node: LiveNode, token: str, *, waits: bool) -> CompleteTask:
        match node.seen():
            case Outcome.OK:
                return self._success(node, token)
            case Outcome.FAILED:
                return _failure(node, token)
            case Outcome.UNFINISHED if node.path in self.tree.retrying and not waits:
                return CompleteTask(token, RETRY_LATER)
            case Outcome.UNFINISHED:
                if self.tree.armed and not waits:
                    self.run_state.refused.append(node.path)
                return CompleteTask(token, CANCELLED)

    def repeated_reply(self, path: str, token: str) -> CompleteTask | None:
        """Return the reply again that a task got, whose node has ended; it may have been lost."""
        node = self.tree.nodes.get(path)
        if node is None or node.state in IN_FLIGHT:
            return None
        match node.seen():
            case Outcome.OK:
                return self._success(node, token)
            case Outcome.FAILED:
                return _failure(node, token)
            case Outcome.UNFINISHED:
                later = node.path in self.tree.retrying
                return CompleteTask(token, RETRY_LATER if later else CANCELLED)

    def _success(self, node: LiveNode, token: str) -> CompleteTask:
        target = self.tree.nodes.get(node.spec.lazy_target or "")
        if target is None:
            return CompleteTask(token)
        if target.spec.awaits_tree:  # the tree is not needed if its target is skipped
            return CompleteTask(token, None if target.seen() is Outcome.OK else NO_TREE)
        rest = residual(self.tree, target)
        return CompleteTask(token, generates=True, generated=rest, target=target.path)

    # ---- executions ---------------------------------------------------------------------------

    def _replan(self) -> None:
        run_state = self.run_state
        if run_state.open:
            self._taken.machine_commands.append(StopExecution(self.run))
        run_state.open = False
        run_state.held = {}
        run_state.met = set()
        run_state.offers = {}
        run_state.joined = set(self._running)
        run_state.late = set()
        if not self.tree.armed or settled(self.tree):
            return
        run_state.number += 1
        run_state.open = True
        rest = residual(self.tree)
        run_state.planned = set() if rest is None else {spec.path for spec in rest.leaves()}
        mems = ((path, self.tree.nodes[path].mem) for path in run_state.planned)
        run_state.sizes = {path: mem for path, mem in mems if mem is not None}
        self._taken.machine_commands.append(StartExecution(self.run, rest))

    def _enter(self) -> StepResult:
        taken, self._taken = self._taken, StepResult()
        return taken


def _failure(node: LiveNode, token: str) -> CompleteTask:
    """Return the reply for a failed Exec: only a failure that its map cannot tolerate fails it.

    The graph fails if one task does, and cannot count. So it ends like the map, in any order: the
    failure that is too many is answered as one.
    """
    return CompleteTask(token, None if node.is_tolerated() else FAILED)
