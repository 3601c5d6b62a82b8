"""The port of a scripted cloud to an interpreter of state machines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conducto_core.asl.rules.compiler import Machine


class TaskGoneError(Exception):
    """The execution no longer waits for this task."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A task that a worker polled.

    Attributes:
        token: Identifies it when it is completed.
        data: Its input.
        activity: ARN of its activity, if the engine provides it.
    """

    token: str
    data: Mapping[str, Any]
    activity: str = ""


class Engine(Protocol):
    """Executes state machines; the same for moto and for `support.asl.interpreter`."""

    def create(self, machine: Machine) -> None:
        """Create a machine unless it exists."""

    def start(self, arn: str, data: Mapping[str, Any]) -> str:
        """Start an execution and return its id."""

    def stop(self, execution: str) -> None:
        """Abort an execution and its child executions."""

    def status(self, execution: str) -> str:
        """Return ``RUNNING``, ``SUCCEEDED``, ``FAILED`` or ``ABORTED``."""

    def offers(self) -> list[Offer]:
        """Return the tasks that were scheduled since the last call."""

    def succeed(self, token: str, output: Mapping[str, Any]) -> None:
        """Complete a task; raises `TaskGoneError`."""

    def fail(self, token: str, error: str) -> None:
        """Fail a task; raises `TaskGoneError`."""
