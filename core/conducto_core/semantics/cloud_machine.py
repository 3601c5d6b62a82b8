"""A live tree that is run by executions of compiled state machines. No I/O.

Who decides what: how the tree stands is for `conducto_core.semantics.machine` to say, as on the
local side; in which order Execs are offered to workers is the compiled machine's. A claim is
answered by how the node stands *now*. When somebody changes what was decided already (reset,
unskip, a group tried again …), the graph that runs is out of date: its execution is halted, what is
left is compiled and begun, and Execs that run are joined by the new graph when it comes to them.

::

    event ──► Course ──► commands of the machine, and orders to Step Functions

Nothing here is lost with a reply that never arrives: a task that nobody keeps alive is offered
again, and a claim for what is over is answered at once.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from conducto_core.model.nodes import NodeSpec
from conducto_core.model.states import IN_FLIGHT, Cause, NodeType, State
from conducto_core.semantics import events as ev
from conducto_core.semantics.machine import advance, settled
from conducto_core.semantics.naming import MAX_OFFERS, NO_TREE, WORKER_LOST, node_id
from conducto_core.semantics.residual import Residual, residual
from conducto_core.semantics.rules import Outcome
from conducto_core.semantics.tree_state import Change, LiveGroup, LiveNode, TreeState

#: How a task is failed whose execution does not count any more, or must not go on.
CANCELLED = "Cancelled"
#: How a task is failed whose Exec failed.
FAILED = "ExitCode"


@dataclass(frozen=True, slots=True)
class StartExecution:
    """Compile what is left and start it, with ``run`` in its input."""

    run: str
    rest: Residual | None


@dataclass(frozen=True, slots=True)
class StopExecution:
    """Stop the execution of a run."""

    run: str


@dataclass(frozen=True, slots=True)
class CompleteTask:
    """Answer a task.

    Attributes:
        token: Its name.
        error: What it fails with; None: it succeeds.
        generates: It succeeds with ``{"sm": ARN}`` of the machine that runs `generated`.
        generated: What is left to run of the tree that a Lazy printed.
    """

    token: str
    error: str | None = None
    generates: bool = False
    generated: Residual | None = None


Order = StartExecution | StopExecution | CompleteTask


@dataclass(slots=True)
class StepResult:
    """What came of an event.

    Attributes:
        commands: The machine's, in order.
        orders: To be carried out in order.
        changes: What happened to nodes.
    """

    commands: list[ev.Command] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)


@dataclass(slots=True)
class RunState:
    """What has to be kept of a course besides the tree.

    Attributes:
        number: Runs begun so far.
        open: The last one is under way.
        held: ``{path: {token: it only waits}}`` of claimed tasks that have no reply.
        planned: Execs that the run's graph comes to, or will be asked for by a generated part.
        met: Those of them that were claimed.
        joined: Execs that ran already when the run was planned: its graph waits for them.
        sizes: ``{path: GB}`` of Execs that the run's graph gives more memory than was defined.
        offers: ``{path: tasks claimed in this run}``; Step Functions gives up after some.
        refused: Nodes that the graph offered although it was not their turn: a bug, if ever.
    """

    number: int = 0
    open: bool = False
    held: dict[str, dict[str, bool]] = field(default_factory=dict)
    planned: set[str] = field(default_factory=set)
    met: set[str] = field(default_factory=set)
    joined: set[str] = field(default_factory=set)
    sizes: dict[str, float] = field(default_factory=dict)
    offers: dict[str, int] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)


class CloudMachine:
    """A pipeline that runs by executions.

    Attributes:
        tree: How it stands.
        standing: How its executions stand.
    """

    def __init__(self, name: str, tree: TreeState, standing: RunState | None = None) -> None:
        """Take a tree up.

        Args:
            name: Unique among pipelines; runs are called after it.
            tree: How it stands.
            standing: How the course stood when it was last written down.
        """
        self.tree = tree
        self.standing = RunState() if standing is None else standing
        self._name = name
        self._paths = {node_id(path): path for path in tree.nodes}
        self._skipped = {n.path for n in tree.nodes.values() if n.skipped}
        self._expired = {
            n.path for n in tree.nodes.values() if isinstance(n, LiveGroup) and n.expired
        }
        self._running = {n.path for n in tree.in_flight(tree.root) if n.state is State.RUNNING}
        self._taken = StepResult()

    @property
    def run(self) -> str:
        """The newest run."""
        return f"{self._name}-{self.standing.number}"

    # ---- what people and the clock do ---------------------------------------------------------

    def order(self, event: ev.Event) -> StepResult:
        """Carry out what a person ordered, or a time limit."""
        outdated = self._changes_the_past(event)
        skipped = event.paths if isinstance(event, ev.NodesSkipped) else ()
        if self._take_in(event, *skipped) or outdated:
            self._plan_anew()
        self._answer_held()
        return self._take()

    def replan(self) -> StepResult:
        """Compile and begin anew what is left, because the execution is lost."""
        self._plan_anew()
        return self._take()

    # ---- what workers do ----------------------------------------------------------------------

    def path_of(self, node: str) -> str | None:
        """Return the path of the node with this id, if there is one now."""
        path = self._paths.get(node)
        return path if path in self.tree.nodes else None

    def claim(self, token: str, run: str, node: str, *, waits: bool) -> StepResult:
        """A worker was handed a task; whether its command may run shows the node's state.

        A task that has its answer is in the orders; one that has none is held.
        """
        path = self.path_of(node)
        if run != self.run or path is None:
            self._taken.orders.append(CompleteTask(token, CANCELLED))
            return self._take()
        self.standing.met.add(path)
        self.standing.joined.discard(path)
        held = self.standing.held.setdefault(path, {})
        if not waits and token not in held:
            self.standing.offers[path] = self.standing.offers.get(path, 0) + 1
        held[token] = waits
        if self.tree.nodes[path].state not in IN_FLIGHT:
            self._answer(path)
        return self._take()

    def holds(self, path: str, token: str) -> bool:
        """Return whether a claimed task waits for its reply, and for more than another Exec."""
        return self.standing.held.get(path, {}).get(token) is False

    def start(self, path: str) -> StepResult:
        """A worker begins to run what it claimed."""
        self._running.add(path)
        self._take_in(ev.AttemptStarted(path, self.tree.nodes[path].attempt), path)
        return self._take()

    def lose(self, tokens: Collection[str]) -> StepResult:
        """The worker that kept these tasks alive is gone: they are offered to others.

        Step Functions does that some times only; after that, what is left is planned anew.
        """
        exhausted = False
        for path, held in list(self.standing.held.items()):
            for token in [token for token in held if token in tokens]:
                waits = held.pop(token)
                self._taken.orders.append(CompleteTask(token, WORKER_LOST))
                exhausted |= not waits and self.standing.offers.get(path, 0) >= MAX_OFFERS
            if not held:
                del self.standing.held[path]
                self.standing.met.discard(path)
        if exhausted:
            self._plan_anew()
        return self._take()

    def generate(self, path: str, nodes: Mapping[str, NodeSpec]) -> StepResult:
        """A Lazy's command printed a tree; `finish` follows."""
        self.standing.planned |= set(nodes)
        for known in (self.standing.met, self.standing.joined):
            known -= set(nodes)  # the tree before had nodes of the same paths, perhaps
        for path_below in nodes:
            self.standing.offers.pop(path_below, None)
            self.standing.sizes.pop(path_below, None)
        self._paths.update({node_id(path): path for path in nodes})
        self._take_in(ev.TreeGenerated(path, nodes), path)
        return self._take()

    def finish(
        self,
        path: str,
        cause: Cause | None,
        *,
        seconds: float = 0.0,
        mem: float = 0.0,
        final: bool = False,
    ) -> StepResult:
        """A command ended, or an Exec that is in flight could not be started."""
        attempt = self.tree.nodes[path].attempt
        event = ev.AttemptFinished(path, attempt, cause, seconds=seconds, mem=mem, final=final)
        if self._take_in(event, path):
            self._plan_anew()
        self._answer_held()
        return self._take()

    # ---- the tree -----------------------------------------------------------------------------

    def _changes_the_past(self, event: ev.Event) -> bool:
        match event:
            case ev.NodesKilled():
                return False
            case ev.TimeLimitReached():
                return isinstance(self.tree.nodes[event.path], LiveGroup)
            case ev.NodesSkipped():
                return not all(self._is_in_hand(path) for path in event.paths)
            case _:
                return True

    def _is_in_hand(self, path: str) -> bool:
        """Return whether a worker has the Exec's task: it will hear of what happens."""
        return path in self._running or path in self.standing.held

    def _take_in(self, event: ev.Event, *about: str) -> bool:
        """Advance the tree; return whether it changed what the graph takes for decided.

        Args:
            event: What happened.
            about: Nodes whose own retry or skip is no news to the graph.
        """
        outdated = False
        if isinstance(event, ev.TimeLimitReached):
            self._expired.add(event.path)
        commands = advance(self.tree, event)
        for command in commands:
            match command:
                case ev.Enqueue():
                    outdated |= not self._leads_to(command, about)
                case ev.EndAttempt():
                    # Its task waits for a worker, and none will be started for it.
                    outdated |= self.standing.open and not self._is_in_hand(command.path)
                    self._running.discard(command.path)
                case _:
                    pass
        self.tree.take_remembered()  # who writes a course down writes the whole tree
        changes = self.tree.take_changes()
        for change in changes:
            taken_back = change.type is NodeType.EXEC and change.state is State.PENDING
            outdated |= taken_back and change.path in self.standing.met.difference(about)
        self._taken.commands += commands
        self._taken.changes += changes
        return self._skips_more(changes, about) or self._forgives() or outdated

    def _skips_more(self, changes: Iterable[Change], about: tuple[str, ...]) -> bool:
        more = False
        for change in changes:
            if not change.skipped:
                self._skipped.discard(change.path)
            elif change.path not in self._skipped:
                self._skipped.add(change.path)
                more |= change.path not in about
        return more

    def _forgives(self) -> bool:
        """Return whether a group that had expired has not any more."""
        still = {path for path in self._expired if self._has_expired(path)}
        forgiven = still != self._expired
        self._expired = still
        return forgiven

    def _has_expired(self, path: str) -> bool:
        node = self.tree.nodes.get(path)
        return isinstance(node, LiveGroup) and node.expired

    def _leads_to(self, command: ev.Enqueue, about: tuple[str, ...]) -> bool:
        """Return whether the graph that runs waits for an Exec, or will come to it.

        A task is for workers of one size: an Exec that is to get more memory needs another.
        """
        path, standing = command.path, self.standing
        if command.mem != standing.sizes.get(path):
            return False
        if path in about:
            return any(not waits for waits in standing.held.get(path, {}).values())
        return path in standing.planned and path not in standing.met

    # ---- tasks --------------------------------------------------------------------------------

    def _answer_held(self) -> None:
        for path in list(self.standing.held):
            node = self.tree.nodes.get(path)
            if node is None:
                tokens = self.standing.held.pop(path)
                self._taken.orders += [CompleteTask(token, CANCELLED) for token in tokens]
            elif node.state not in IN_FLIGHT:
                self._answer(path)

    def _answer(self, path: str) -> None:
        node = self.tree.nodes[path]
        for token, waits in self.standing.held.pop(path).items():
            self._taken.orders.append(self._reply(node, token, waits=waits))

    def _reply(self, node: LiveNode, token: str, *, waits: bool) -> CompleteTask:
        match node.seen():
            case Outcome.OK:
                return self._success(node, token)
            case Outcome.FAILED:
                return CompleteTask(token, FAILED)
            case Outcome.UNFINISHED:
                if self.tree.armed and not waits:
                    self.standing.refused.append(node.path)
                return CompleteTask(token, CANCELLED)

    def _success(self, node: LiveNode, token: str) -> CompleteTask:
        target = self.tree.nodes.get(node.spec.lazy_target or "")
        if target is None:
            return CompleteTask(token)
        if target.spec.awaits_tree:  # nobody waits for the tree when its place is skipped
            return CompleteTask(token, None if target.seen() is Outcome.OK else NO_TREE)
        return CompleteTask(token, generates=True, generated=residual(self.tree, target))

    # ---- executions ---------------------------------------------------------------------------

    def _plan_anew(self) -> None:
        standing = self.standing
        if standing.open:
            self._taken.orders.append(StopExecution(self.run))
        standing.open = False
        standing.held = {}
        standing.met = set()
        standing.offers = {}
        standing.joined = set(self._running)
        if not self.tree.armed or settled(self.tree):
            return
        standing.number += 1
        standing.open = True
        rest = residual(self.tree)
        standing.planned = set() if rest is None else {spec.path for spec in rest.execs()}
        mems = {path: self.tree.nodes[path].mem for path in standing.planned}
        standing.sizes = {path: mem for path, mem in mems.items() if mem is not None}
        self._taken.orders.append(StartExecution(self.run, rest))

    def _take(self) -> StepResult:
        taken, self._taken = self._taken, StepResult()
        return taken
