"""Step Functions in memory, over anything that interprets state machines."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from chalicelib.ports import TaskGoneError
from conducto_core.semantics.asl.compiler import Machine
from conducto_core.semantics.naming import Site


class Interpreter(Protocol):
    """The interpreter; its ``TaskGoneError`` is converted to the port's."""

    def create(self, machine: Machine) -> None:
        """Make a machine known."""

    def start(self, arn: str, data: Mapping[str, Any]) -> str:
        """Start an execution and return its id."""

    def stop(self, execution: str) -> None:
        """Abort an execution."""

    def status(self, execution: str) -> str:
        """Return its status."""

    def succeed(self, token: str, output: Mapping[str, Any]) -> None:
        """Answer a task."""

    def fail(self, token: str, error: str) -> None:
        """Fail a task."""


class FakeMachines:
    """A `StateMachines`.

    Attributes:
        activities: Those made known.
        machines: ``{ARN: machine}``.
        executions: ``{run: ARN of the execution}``, each started once.
    """

    def __init__(self, interpreter: Interpreter, gone: type[Exception], site: Site) -> None:
        self.activities: list[str] = []
        self.machines: dict[str, Machine] = {}
        self.executions: dict[str, str] = {}
        self._started: dict[str, str] = {}
        self._interpreter = interpreter
        self._site = site
        self._gone = gone

    def ensure_activity(self, name: str) -> None:
        """Make an activity known."""
        if name not in self.activities:
            self.activities.append(name)

    def create(self, machine: Machine, org: str, pipeline_id: str) -> None:
        """Create a machine, unless it exists."""
        if machine.arn not in self.machines:
            self.machines[machine.arn] = machine
            self._interpreter.create(machine)

    def forget_activity(self, activity_arn: str) -> None:
        """Delete an activity."""
        name = activity_arn.rpartition(":")[2]
        self.activities = [each for each in self.activities if each != name]

    def forget(self, machine_arn: str) -> None:
        """Delete a machine, and abort its executions."""
        self.machines.pop(machine_arn, None)
        for execution, of in self._started.items():
            if of == machine_arn:
                self._interpreter.stop(execution)

    def machine_of(self, execution_arn: str) -> str:
        """Return the machine that an execution runs."""
        return self._started[execution_arn]

    def runs(self) -> Iterator[tuple[str, str]]:
        """Yield those that were made for a run."""
        for arn, machine in list(self.machines.items()):
            run = self._site.run_of(machine.name)
            if run is not None:
                yield run, arn

    def start(self, machine_arn: str, run: str, data: Mapping[str, object]) -> str:
        """Start an execution, unless there is one of that name."""
        if run not in self.executions:
            self.executions[run] = self._interpreter.start(machine_arn, data)
            self._started[self.executions[run]] = machine_arn
        return self.executions[run]

    def stop(self, execution_arn: str, reason: str) -> None:
        """Abort an execution."""
        self._interpreter.stop(execution_arn)

    def status(self, execution_arn: str) -> str:
        """Return its status."""
        return self._interpreter.status(execution_arn)

    def succeed(self, token: str, output: Mapping[str, object]) -> None:
        """Answer a task."""
        try:
            self._interpreter.succeed(token, output)
        except self._gone as error:
            raise TaskGoneError(token) from error

    def fail(self, token: str, error: str, cause: str = "") -> None:
        """Fail a task."""
        try:
            self._interpreter.fail(token, error)
        except self._gone as problem:
            raise TaskGoneError(token) from problem
