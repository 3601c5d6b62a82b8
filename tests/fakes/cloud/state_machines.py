"""Step Functions in memory, over any interpreter of state machines."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from chalicelib.errors import TaskGoneError
from conducto_core.asl.rules.compiler import Machine
from conducto_core.asl.rules.naming import Site


class Interpreter(Protocol):
    """An interpreter; its ``TaskGoneError`` is converted to the port's."""

    def create(self, machine: Machine) -> None:
        """Create a machine."""

    def start(self, arn: str, data: Mapping[str, Any]) -> str:
        """Start an execution and return its id."""

    def stop(self, execution: str) -> None:
        """Abort an execution."""

    def status(self, execution: str) -> str:
        """Return the status of an execution."""

    def succeed(self, token: str, output: Mapping[str, Any]) -> None:
        """Complete a task."""

    def fail(self, token: str, error: str) -> None:
        """Fail a task."""


class FakeMachines:
    """A fake `StateMachines`.

    Attributes:
        activities: Activities that were created.
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
        if name not in self.activities:
            self.activities.append(name)

    def create(self, machine: Machine, org: str, pipeline_id: str) -> None:
        if machine.arn not in self.machines:
            self.machines[machine.arn] = machine
            self._interpreter.create(machine)

    def forget_activity(self, activity_arn: str) -> None:
        name = activity_arn.rpartition(":")[2]
        self.activities = [each for each in self.activities if each != name]

    def forget(self, machine_arn: str) -> None:
        self.machines.pop(machine_arn, None)
        for execution, of in self._started.items():
            if of == machine_arn:
                self._interpreter.stop(execution)

    def machine_of(self, execution_arn: str) -> str:
        return self._started[execution_arn]

    def runs(self) -> Iterator[tuple[str, str]]:
        for arn, machine in list(self.machines.items()):
            run = self._site.run_of(machine.name)
            if run is not None:
                yield run, arn

    def start(self, machine_arn: str, run: str, data: Mapping[str, object]) -> str:
        if run not in self.executions:
            self.executions[run] = self._interpreter.start(machine_arn, data)
            self._started[self.executions[run]] = machine_arn
        return self.executions[run]

    def stop(self, execution_arn: str, reason: str) -> None:
        self._interpreter.stop(execution_arn)

    def status(self, execution_arn: str) -> str:
        return self._interpreter.status(execution_arn)

    def succeed(self, token: str, output: Mapping[str, object]) -> None:
        try:
            self._interpreter.succeed(token, output)
        except self._gone as error:
            raise TaskGoneError(token) from error

    def fail(self, token: str, error: str, cause: str = "") -> None:
        try:
            self._interpreter.fail(token, error)
        except self._gone as problem:
            raise TaskGoneError(token) from problem
