"""The results of an event of a cloud pipeline."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from chalicelib.domain.events import (
    BuiltImage,
)
from chalicelib.ports.identity import Spender
from conducto_core.model.notifications import NotificationRecord
from conducto_core.model.records import (
    AttemptRecord,
    ChangeRow,
)
from conducto_core.semantics.cloud_machine import (
    MachineCommand,
)
from conducto_core.semantics.fargate import Size


@dataclass(frozen=True, slots=True)
class Usage:
    """The metered seconds of an attempt; ``key`` identifies them within the pipeline.

    Attributes:
        whose: The pipeline that is charged, and the cost.
    """

    key: str
    seconds: float
    cpu: float
    whose: Spender


@dataclass(frozen=True, slots=True)
class WorkerCharge:
    """The time of a worker's task that AWS charges.

    Attributes:
        size: The size of its task.
        began: When it began to be charged, in seconds since the epoch.
        until: When it was observed, or stopped.
        task: ARN of its task, if it runs.
        ended: Whether it has stopped.
    """

    worker: str
    size: Size
    began: float
    until: float
    task: str | None = None
    ended: bool = False


@dataclass(slots=True)
class PipelineChanges:
    """The results of an event.

    Attributes:
        changes: State changes to publish.
        attempts: Attempts that started or ended.
        machine_commands: Commands for Step Functions.
        stops: ``(worker, task ARN)`` of workers to stop.
        usage: Usage to meter.
        charges: Starts and ends of workers' tasks.
        new_notifications: Notifications to send, with secrets not yet masked.
        builds: Images whose build must be started.
        released: ``(path, attempt)`` of ended and withdrawn attempts with named limits.
    """

    changes: list[ChangeRow] = field(default_factory=list)
    attempts: list[AttemptRecord] = field(default_factory=list)
    machine_commands: list[MachineCommand] = field(default_factory=list)
    stops: list[tuple[str, str | None]] = field(default_factory=list)
    usage: list[Usage] = field(default_factory=list)
    charges: list[WorkerCharge] = field(default_factory=list)
    new_notifications: list[NotificationRecord] = field(default_factory=list)
    builds: list[BuiltImage] = field(default_factory=list)
    released: list[tuple[str, int]] = field(default_factory=list)


def in_one(usage: Sequence[Usage], number: int) -> list[Usage]:
    """Return the usage of entry ``number`` as at most one, so that it is metered in one write."""
    if len(usage) < 2:  # noqa: PLR2004  there is nothing to add
        return list(usage)
    seconds = sum(each.seconds for each in usage)
    cpu = sum(each.seconds * each.cpu for each in usage) / (seconds or 1.0)
    whose = replace(
        usage[0].whose,
        dollars=sum(each.whose.dollars for each in usage),
        attempts=sum(each.whose.attempts for each in usage),
    )
    return [Usage(f"#{number}", seconds, cpu, whose)]


def merged(parts: Iterable[PipelineChanges]) -> PipelineChanges:
    """Return the results of several events in order."""
    whole = PipelineChanges()
    for part in parts:
        whole.changes += part.changes
        whole.attempts += part.attempts
        whole.machine_commands += part.machine_commands
        whole.stops += part.stops
        whole.usage += part.usage
        whole.charges += part.charges
        whole.new_notifications += part.new_notifications
        whole.builds += part.builds
        whole.released += part.released
    return whole
