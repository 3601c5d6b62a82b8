"""The cloud in small: an API that keeps the tree, and executions that say what comes next.

Who decides what: the tree's state is that of `conducto.semantics.machine`, as on the local side;
the order in which Execs are offered to workers is the compiled machine's. The API answers a claim
by how the node stands *now*. When somebody changes what was decided already (reset, unskip,
a group tried again …), the graph that runs is out of date: it is stopped, what is left is compiled
and started, and Execs that run are joined by the new graph when it comes to them.

`refused` and `unoffered` say where graph and tree disagree; in a correct compiler both stay empty.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from conducto.model.nodes import Pipeline
from conducto.model.states import IN_FLIGHT, NodeType, State
from conducto.semantics import events as ev
from conducto.semantics.asl import compile_residual
from conducto.semantics.asl_lint import problems
from conducto.semantics.asl_parts import MOST
from conducto.semantics.asl_site import Site, execution_input, node_id
from conducto.semantics.asl_states import NO_TREE
from conducto.semantics.live import LiveGroup, LiveTree
from conducto.semantics.machine import advance, settled
from conducto.semantics.residual import residual
from conducto.semantics.rules import Outcome
from support.asl.port import TaskGoneError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conducto.model.nodes import NodeSpec
    from conducto.model.states import Cause
    from conducto.semantics.asl_parts import Weight
    from conducto.semantics.live import LiveNode
    from support.asl.port import Engine, Offer

SITE = Site("us-east-1", "123456789012")
_RUNS = count(1)  # no two pipelines of a process share a run
CANCELLED = "Cancelled"
FAILED = "ExitCode"


class Cloud:
    """A pipeline that runs by executions.

    Attributes:
        tree: How it stands.
        executions: Those started so far, the current one last.
        history: Attempts that ended: ``(path, attempt, state, cause)``.
        refused: Nodes that the graph offered although it was not their turn.
    """

    def __init__(self, pipeline: Pipeline, engine: Engine, most: Weight = MOST) -> None:
        self.tree = LiveTree(pipeline)
        self.engine = engine
        self.most = most
        self.executions: list[str] = []
        self.history: list[tuple[str, int, State, Cause | None]] = []
        self.refused: list[str] = []
        self._open: str | None = None
        self._run = ""
        self._held: dict[str, list[Offer]] = {}
        self._planned: set[str] = set()
        self._met: set[str] = set()
        self._skipped = {n.path for n in self.tree.nodes.values() if n.skipped}

    # ---- what people and the clock do ----------------------------------------------------------

    def order(self, event: ev.Event) -> None:
        """Carry out what a person ordered, or a time limit."""
        outdated = self._changes_the_past(event)
        skipped = event.paths if isinstance(event, ev.NodesSkipped) else ()
        if self._take_in(event, *skipped) or outdated:
            self._plan_anew()
        self._answer_held()

    def _changes_the_past(self, event: ev.Event) -> bool:
        match event:
            case ev.NodesKilled():
                return False
            case ev.TimeLimitReached():
                return isinstance(self.tree.nodes[event.path], LiveGroup)
            case ev.NodesSkipped():
                untouched = {State.PENDING, *IN_FLIGHT}
                nodes = [self.tree.nodes[path] for path in event.paths]
                return any(isinstance(n, LiveGroup) or n.state not in untouched for n in nodes)
            case _:
                return True

    # ---- what workers do -----------------------------------------------------------------------

    def serve(self) -> None:
        """Let workers fetch everything that is offered and claim it."""
        while offers := self.engine.offers():
            for offer in offers:
                self._claim(offer)

    def startable(self) -> set[str]:
        """Return the queued Execs that a worker has in hand."""
        return {p for p in self._held if self.tree.nodes[p].state is State.QUEUED}

    def start(self, path: str) -> None:
        """A worker begins to run what it claimed."""
        assert self._held[path], path
        self._take_in(ev.AttemptStarted(path, self.tree.nodes[path].attempt), path)

    def generate(self, path: str, nodes: Mapping[str, NodeSpec]) -> None:
        """A worker posts the tree that a Lazy printed."""
        self._planned |= set(nodes)
        self._met -= set(nodes)  # the tree before had nodes of the same paths, perhaps
        self._take_in(ev.TreeGenerated(path, nodes), path)

    def finish(self, path: str, cause: Cause | None, **measured: float) -> None:
        """A worker reports how a command ended; the API answers the task."""
        attempt = self.tree.nodes[path].attempt
        outdated = self._take_in(ev.AttemptFinished(path, attempt, cause, **measured), path)
        if outdated:
            self._plan_anew()
        self._answer_held()

    def _claim(self, offer: Offer) -> None:
        path = self._path_of(offer.data["n"])
        if offer.data["r"] != self._run or path is None:
            self._fail(offer.token, CANCELLED)
            return
        self._met.add(path)
        self._held.setdefault(path, []).append(offer)
        if self.tree.nodes[path].state not in IN_FLIGHT:
            self._answer(path)

    def _path_of(self, node: str) -> str | None:
        return next((path for path in self.tree.nodes if node_id(path) == node), None)

    # ---- the tree ------------------------------------------------------------------------------

    def _take_in(self, event: ev.Event, *about: str) -> bool:
        """Advance the tree; return whether it changed what the graph takes for decided.

        Args:
            event: What happened.
            about: Nodes whose own retry or skip is no news to the graph.
        """
        outdated = False
        expired = self._expired()
        for command in advance(self.tree, event):
            if isinstance(command, ev.EndAttempt):
                self.history.append((command.path, command.attempt, command.state, command.cause))
            elif isinstance(command, ev.Enqueue):
                outdated |= not self._leads_to(command.path, about)
        for change in self.tree.take_changes():
            taken_back = change.type is NodeType.EXEC and change.state is State.PENDING
            outdated |= taken_back and change.path in self._met.difference(about)
        skipped = {n.path for n in self.tree.nodes.values() if n.skipped}
        outdated |= not skipped <= self._skipped.union(about)
        self._skipped = skipped
        return outdated or not expired <= self._expired()

    def _expired(self) -> set[str]:
        groups = (n for n in self.tree.nodes.values() if isinstance(n, LiveGroup))
        return {group.path for group in groups if group.expired}

    def _leads_to(self, path: str, about: tuple[str, ...]) -> bool:
        """Return whether the graph that runs waits for an Exec, or will come to it."""
        if path in about:
            return any(not offer.data.get("w") for offer in self._held.get(path, ()))
        return path in self._planned and path not in self._met

    def _answer_held(self) -> None:
        for path in list(self._held):
            node = self.tree.nodes.get(path)
            if node is None:
                for offer in self._held.pop(path):
                    self._fail(offer.token, CANCELLED)
            elif node.state not in IN_FLIGHT:
                self._answer(path)

    def _answer(self, path: str) -> None:
        node = self.tree.nodes[path]
        seen = node.seen()
        output = self._output(node) if seen is Outcome.OK else None
        for offer in self._held.pop(path):
            match seen:
                case Outcome.OK if output is None:
                    self._fail(offer.token, NO_TREE)
                case Outcome.OK:
                    self._succeed(offer.token, output)
                case Outcome.FAILED:
                    self._fail(offer.token, FAILED)
                case Outcome.UNFINISHED:
                    if self.tree.armed and not offer.data.get("w"):
                        self.refused.append(path)
                    self._fail(offer.token, CANCELLED)

    def _output(self, node: LiveNode) -> Mapping[str, Any] | None:
        target = self.tree.nodes.get(node.spec.lazy_target or "")
        if target is None:
            return {}
        if target.spec.awaits_tree:  # nobody waits for the tree when its place is skipped
            return {} if target.seen() is Outcome.OK else None
        return {"sm": self._compile(target)}

    # ---- executions ----------------------------------------------------------------------------

    def _plan_anew(self) -> None:
        if self._open is not None:
            self.engine.stop(self._open)
            self._open = None
        self._held = {}
        self._met = set()
        if not self.tree.armed or settled(self.tree):
            return
        self._run = f"run-{next(_RUNS)}"
        rest = residual(self.tree)
        self._planned = set() if rest is None else {spec.path for spec in rest.execs()}
        self._open = self.engine.start(self._compile(self.tree.root), execution_input(self._run))
        self.executions.append(self._open)

    def _compile(self, top: LiveNode) -> str:
        compiled = compile_residual(residual(self.tree, top), SITE, most=self.most)
        for machine in compiled.machines:
            assert problems(machine.definition, machine.name) == []
            self.engine.create(machine)
        return compiled.top.arn

    def outcome(self) -> str | None:
        """Return how the current execution stands; None when there is none."""
        return None if self._open is None else self.engine.status(self._open)

    def expected_outcome(self) -> str | None:
        """Return how the current execution must stand now that the tree is settled.

        A tree that stays unfinished (its Lazy got no tree) leaves it waiting.
        """
        if self._open is None:
            return None
        return {
            Outcome.OK: "SUCCEEDED",
            Outcome.FAILED: "FAILED",
            Outcome.UNFINISHED: "RUNNING",
        }[self.tree.root.seen()]

    def _succeed(self, token: str, output: Mapping[str, Any]) -> None:
        try:
            self.engine.succeed(token, output)
        except TaskGoneError:
            return  # its execution was stopped; the report has been taken in all the same

    def _fail(self, token: str, error: str) -> None:
        try:
            self.engine.fail(token, error)
        except TaskGoneError:
            return
