"""Runs of the compiled machine without an API: workers execute every task that it offers.

Only the definition decides the behaviour. Outcomes and generated trees are functions of the path,
so that they do not depend on the order of events.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

from conducto_core.asl.rules.compiler import compile_residual
from conducto_core.asl.rules.naming import NO_TREE, execution_input, node_id
from conducto_core.asl.rules.states import residual
from conducto_core.run.model.records import NodeState
from conducto_core.run.model.states import Cause
from conducto_core.run.rules.outcomes import state_of, suppress
from conducto_core.run.rules.tree_state import TreeState
from conducto_core.tree.model import NodeSpec, Pipeline
from conducto_core.tree.rules.resolve import resolve_generated
from support.asl.cloud import SITE
from support.asl.random_trees import random_tree
from support.trees import form

if TYPE_CHECKING:
    from conducto_core.asl.rules.partition import Size
    from support.asl.interpreter import Interpreter


@dataclass
class Script:
    """The outcomes of Execs and the trees of Lazy nodes; equal seeds give equal scripts."""

    seed: int

    def cause(self, path: str) -> Cause | None:
        rng = Random(f"{self.seed}{path}")
        return rng.choice([None, None, None, Cause.EXIT_CODE, Cause.OUT_OF_MEMORY])

    def tree(self, target: str, here: Pipeline) -> dict[str, NodeSpec]:
        rng = Random(f"{self.seed}{target}")
        return resolve_generated(form(random_tree(rng, leaves=4, plain=True)), target, here).nodes


@dataclass
class Alone:
    """One run.

    Attributes:
        log: ``("start" or "end", path)``, in order.
        status: How the execution ended.
        tree: The nodes as the attempts left them.
    """

    pipeline: Pipeline
    engine: Interpreter
    script: Script
    maximum: Size
    log: list[tuple[str, str]] = field(default_factory=list)
    causes: dict[str, Cause | None] = field(default_factory=dict)
    status: str = ""
    execution: str = ""

    def run(self, rng: Random) -> Alone:
        """Run to the end, tasks ending in a random order."""
        self.tree = TreeState(self.pipeline)
        self.execution = self.engine.start(self._compile("/"), execution_input("alone"))
        waiting = self._started()
        while waiting:
            path, token = waiting.pop(rng.randrange(len(waiting)))
            self._end(path, token)
            waiting += self._started()
        self.status = self.engine.status(self.execution)
        self.tree = self._as_left()
        return self

    def _started(self) -> list[tuple[str, str]]:
        paths = {node_id(path): path for path in self.tree.nodes}
        offers = [(paths[offer.data["n"]], offer.token) for offer in self.engine.offers()]
        self.log += [("start", path) for path, _ in offers]
        return offers

    def _end(self, path: str, token: str) -> None:
        self.log.append(("end", path))
        cause = self.causes[path] = self.script.cause(path)
        target = self.tree.nodes[path].spec.lazy_target
        if target is None or self.tree.nodes[target].skipped:
            output: dict[str, Any] = {}
        elif cause is None:
            specs = {n.path: n.spec for n in self.tree.nodes.values()}
            here = Pipeline(specs, self.pipeline.images)
            self.tree.replace(target, self.script.tree(target, here))
            output = {"sm": self._compile(target)}
        if cause is None:
            self.engine.succeed(token, output)
        elif target is not None and self._is_suppressed(path):
            self.engine.fail(token, NO_TREE)
        else:
            self.engine.fail(token, "ExitCode")

    def _is_suppressed(self, path: str) -> bool:
        return self.tree.nodes[path].spec.suppress_errors

    def _compile(self, top: str) -> str:
        rest = residual(self.tree, self.tree.nodes[top])
        compiled = compile_residual(rest, SITE, maximum=self.maximum)
        for machine in compiled.machines:
            self.engine.create(machine)
        return compiled.top.arn

    def _as_left(self) -> TreeState:
        specs = {n.path: n.spec for n in self.tree.subtree(self.tree.root)}
        records = [self._record(path) for path in self.causes]
        skipped = [NodeState(path=p, skipped=True) for p, n in specs.items() if n.skip]
        return TreeState(Pipeline(specs, self.pipeline.images), [*skipped, *records])

    def _record(self, path: str) -> NodeState:
        node = self.tree.nodes[path]
        cause = self.causes[path]
        shown, warning = suppress(state_of(cause), suppress_errors=node.spec.suppress_errors)
        return NodeState(path=path, state=shown, cause=cause, warning=warning, attempt=1)


def out_of_order(tree: TreeState, log: list[tuple[str, str]]) -> list[str]:
    """Return children of Serials that started before an earlier sibling had finished."""
    wrong = []
    for node in tree.nodes.values():
        if node.spec.type != "Serial":
            continue
        latest = -1
        for what, path in log:
            position = _child_of(node, path)
            if position is None:
                continue
            if what == "start" and position < latest:
                wrong.append(path)
            latest = max(latest, position)
    return wrong


def _child_of(group: Any, path: str) -> int | None:
    for child in group.children:
        if path == child.path or path.startswith(child.path + "/"):
            return int(child.position)
    return None
