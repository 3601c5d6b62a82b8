"""The port of a scripted cloud to an interpreter of state machines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conducto_core.semantics.asl.compiler import Machine


class TaskGoneError(Exception):
    """The execution that waited for this task does not any more."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A task that a worker was handed.

    Attributes:
        token: Names it when it is answered.
        data: Its input.
        activity: ARN of what it was scheduled on, where the engine tells.
    """

    token: str
    data: Mapping[str, Any]
    activity: str = ""


class Engine(Protocol):
    """Executes state machines; the same for moto and for `support.asl.interpreter`."""

    def create(self, machine: Machine) -> None:
        """Make a machine known; one that is known already is left alone."""

    def start(self, arn: str, data: Mapping[str, Any]) -> str:
        """Start an execution and return its id."""

    def stop(self, execution: str) -> None:
        """Abort an execution and those it started."""

    def status(self, execution: str) -> str:
        """Return ``RUNNING``, ``SUCCEEDED``, ``FAILED`` or ``ABORTED``."""

    def offers(self) -> list[Offer]:
        """Return the tasks that were scheduled since the last call."""

    def succeed(self, token: str, output: Mapping[str, Any]) -> None:
        """Answer a task; raises `TaskGoneError`."""

    def fail(self, token: str, error: str) -> None:
        """Fail a task; raises `TaskGoneError`."""
