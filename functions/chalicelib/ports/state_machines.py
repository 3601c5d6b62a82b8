"""The runner of state machines."""

from collections.abc import Iterator, Mapping
from typing import Protocol

from conducto_core.semantics.asl.compiler import Machine


class StateMachines(Protocol):
    """Step Functions. Every call can be repeated."""

    def ensure_activity(self, name: str) -> None:
        """Create an activity unless it exists."""

    def forget_activity(self, activity_arn: str) -> None:
        """Delete an activity; a missing one is not an error."""

    def create(self, machine: Machine, org: str, pipeline_id: str) -> None:
        """Create a machine for a pipeline of an organisation, unless it exists."""

    def forget(self, machine_arn: str) -> None:
        """Delete a machine, which ends its executions; a missing one is not an error."""

    def machine_of(self, execution_arn: str) -> str:
        """Return the ARN of the machine that an execution runs."""

    def runs(self) -> Iterator[tuple[str, str]]:
        """Yield ``(run, machine ARN)`` of the machines that this installation created for a run."""

    def start(self, machine_arn: str, run: str, data: Mapping[str, object]) -> str:
        """Start an execution named after ``run``, unless it exists, and return its ARN."""

    def stop(self, execution_arn: str, reason: str) -> None:
        """Abort an execution and its child executions; one that has ended is not an error."""

    def status(self, execution_arn: str) -> str:
        """Return ``RUNNING``, ``SUCCEEDED``, ``FAILED``, ``TIMED_OUT`` or ``ABORTED``."""

    def succeed(self, token: str, output: Mapping[str, object]) -> None:
        """Complete a task; raises `TaskGoneError`."""

    def fail(self, token: str, error: str, cause: str = "") -> None:
        """Fail a task; raises `TaskGoneError`."""
