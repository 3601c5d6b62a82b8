"""A minimal cloud: `CloudMachine` over an interpreter of state machines, with scripted workers.

`refused` lists disagreements between graph and tree; with a correct compiler it stays empty.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any, assert_never

from conducto_core.asl.rules.compiler import compile_residual
from conducto_core.asl.rules.machine import (
    CloudMachine,
    CompleteTask,
    StartExecution,
    StopExecution,
)
from conducto_core.asl.rules.naming import Site, execution_input
from conducto_core.asl.rules.partition import MAX_SIZE
from conducto_core.run.model import events as ev
from conducto_core.run.model.states import State
from conducto_core.run.rules.outcomes import Outcome
from conducto_core.run.rules.tree_state import TreeState
from support.asl.lint import problems
from support.asl.port import TaskGoneError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conducto_core.asl.rules.machine import MachineCommand, StepResult
    from conducto_core.asl.rules.partition import Size
    from conducto_core.asl.rules.states import Residual
    from conducto_core.run.model.states import Cause
    from conducto_core.tree.model import NodeSpec, Pipeline
    from support.asl.port import Engine

SITE = Site("us-east-1", "123456789012")
_NAMES = count(1)  # no two pipelines of a process share a run


class Cloud:
    """A pipeline that runs in executions.

    Attributes:
        cloud_machine: Its state machine.
        executions: Those started so far, the current one last.
        history: Attempts that ended: ``(path, attempt, state, cause)``.
    """

    def __init__(self, pipeline: Pipeline, engine: Engine, maximum: Size = MAX_SIZE) -> None:
        self.cloud_machine = CloudMachine(f"pipeline{next(_NAMES)}", TreeState(pipeline))
        self.engine = engine
        self.maximum = maximum
        self.executions: list[str] = []
        self.history: list[tuple[str, int, State, Cause | None]] = []
        self._runs: dict[str, str] = {}

    @property
    def tree(self) -> TreeState:
        return self.cloud_machine.tree

    @property
    def refused(self) -> list[str]:
        """Nodes that the graph offered too early."""
        return self.cloud_machine.run_state.refused

    def apply(self, event: ev.Event) -> None:
        """Execute a user's action, or a time limit."""
        self._follow(self.cloud_machine.apply(event))

    def serve(self) -> None:
        """Let workers poll and claim every offered task."""
        while offers := self.engine.offers():
            for offer in offers:
                waits = bool(offer.data.get("w"))
                self._follow(
                    self.cloud_machine.claim(
                        offer.token, offer.data["r"], offer.data["n"], waits=waits
                    )
                )

    def startable(self) -> set[str]:
        """Return the queued Execs whose tasks a worker holds."""
        held = self.cloud_machine.run_state.held
        return {p for p in held if self.tree.nodes[p].state is State.QUEUED}

    def start(self, path: str) -> None:
        """Start a claimed command."""
        assert self.cloud_machine.run_state.held[path], path
        self._follow(self.cloud_machine.start(path))

    def generate(self, path: str, nodes: Mapping[str, NodeSpec]) -> None:
        """Report the tree that a Lazy generated."""
        self._follow(self.cloud_machine.generate(path, nodes))

    def finish(self, path: str, cause: Cause | None, **measured: float) -> None:
        """Report the end of a command."""
        self._follow(self.cloud_machine.finish(path, cause, **measured))

    def outcome(self) -> str | None:
        execution = self._current()
        return None if execution is None else self.engine.status(execution)

    def expected_outcome(self) -> str | None:
        """Return the expected status of the current execution now that the tree is settled.

        A tree that stays unfinished (its Lazy got no tree) leaves it waiting.
        """
        if self._current() is None:
            return None
        return {
            Outcome.OK: "SUCCEEDED",
            Outcome.FAILED: "FAILED",
            Outcome.UNFINISHED: "RUNNING",
        }[self.tree.root.seen()]

    def _current(self) -> str | None:
        return self._runs[self.cloud_machine.run] if self.cloud_machine.run_state.open else None

    def _follow(self, taken: StepResult) -> None:
        for command in taken.commands:
            if isinstance(command, ev.EndAttempt):
                self.history.append((command.path, command.attempt, command.state, command.cause))
        for apply in taken.machine_commands:
            self._execute(apply)

    def _execute(self, apply: MachineCommand) -> None:
        match apply:
            case StartExecution():
                arn = self._compile(apply.rest)
                self._runs[apply.run] = self.engine.start(arn, execution_input(apply.run))
                self.executions.append(self._runs[apply.run])
            case StopExecution():
                self.engine.stop(self._runs[apply.run])
            case CompleteTask():
                self._reply(apply)
            case _:
                assert_never(apply)

    def _reply(self, apply: CompleteTask) -> None:
        output: Mapping[str, Any] = {}
        if apply.generates:
            output = {"sm": self._compile(apply.generated)}
        try:
            if apply.error is None:
                self.engine.succeed(apply.token, output)
            else:
                self.engine.fail(apply.token, apply.error)
        except TaskGoneError:
            return  # its execution was stopped; the report was applied anyway

    def _compile(self, rest: Residual | None) -> str:
        compiled = compile_residual(rest, SITE, maximum=self.maximum)
        for machine in compiled.machines:
            assert problems(machine.definition, machine.name) == []
            self.engine.create(machine)
        return compiled.top.arn
