"""The results of an event of a cloud pipeline."""

from collections.abc import Iterable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from chalicelib.people.port import Spender
from chalicelib.run.model import BuiltImage
from conducto_core.asl.rules.machine import MachineCommand, StartExecution, StopExecution
from conducto_core.cache.model import CacheInputs
from conducto_core.command.text import as_written
from conducto_core.machines.rules import worker_size
from conducto_core.notifications.model import NotificationRecord
from conducto_core.run.model.records import Actor, AttemptRecord, ChangeRow
from conducto_core.run.model.states import State
from conducto_core.run.rules.outcomes import changed_record
from conducto_core.tree.model import NodeSpec
from conducto_core.workers.rules.fargate import Size


@dataclass(frozen=True, slots=True)
class WorkerUsage:
    """The metered seconds of an attempt; ``key`` identifies them within the pipeline.

    Attributes:
        month: The month in which it ended.
        whose: The pipeline that is charged, and the cost.
    """

    key: str
    month: str
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
        attempts: Attempts that ended.
        machine_commands: Commands for Step Functions.
        stops: ``(worker, task ARN)`` of workers to stop.
        usage: Usage to meter.
        charges: Starts and ends of workers' tasks.
        new_notifications: Notifications to send, with secrets not yet masked.
        builds: Images whose build must be started.
        released: ``(path, attempt)`` of ended and withdrawn attempts with named limits.
        cached: Attempts whose outcomes are stored in the cache, with their inputs.
        flights: ``(key, path, attempt)`` of ended attempts for which equal commands wait.
        expands: A map waits for its expansion.
    """

    changes: list[ChangeRow] = field(default_factory=list)
    attempts: list[AttemptRecord] = field(default_factory=list)
    machine_commands: list[MachineCommand] = field(default_factory=list)
    stops: list[tuple[str, str | None]] = field(default_factory=list)
    usage: list[WorkerUsage] = field(default_factory=list)
    charges: list[WorkerCharge] = field(default_factory=list)
    new_notifications: list[NotificationRecord] = field(default_factory=list)
    builds: list[BuiltImage] = field(default_factory=list)
    released: list[tuple[str, int]] = field(default_factory=list)
    cached: list[tuple[AttemptRecord, CacheInputs]] = field(default_factory=list)
    flights: list[tuple[str, str, int]] = field(default_factory=list)
    expands: bool = False


def in_one(usage: Sequence[WorkerUsage], number: int) -> list[WorkerUsage]:
    """Return usage up to entry ``number`` as one of each month, which is metered in one write."""
    found: dict[str, WorkerUsage] = {}
    for each in usage:
        known = found.get(each.month)
        found[each.month] = each if known is None else _sum(known, each, number)
    return list(found.values())


def _sum(one: WorkerUsage, other: WorkerUsage, number: int) -> WorkerUsage:
    seconds = one.seconds + other.seconds
    cpu = (one.seconds * one.cpu + other.seconds * other.cpu) / (seconds or 1.0)
    whose = replace(
        other.whose,
        dollars=one.whose.dollars + other.whose.dollars,
        attempts=one.whose.attempts + other.whose.attempts,
    )
    return WorkerUsage(f"#{number}", one.month, seconds, cpu, whose)


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
        whole.cached += part.cached
        whole.flights += part.flights
        whole.expands |= part.expands
    return whole


def without_superseded(commands: Sequence[MachineCommand]) -> list[MachineCommand]:
    """Return commands without the runs that the same entry starts and stops."""
    started = {each.run for each in commands if isinstance(each, StartExecution)}
    stopped = {each.run for each in commands if isinstance(each, StopExecution)}
    gone = started & stopped
    kinds = StartExecution | StopExecution
    return [each for each in commands if not (isinstance(each, kinds) and each.run in gone)]


# ----------------------------------------------------------------------------------------
# The attempts in flight of a pipeline. Pure.


#: The fields that the records of queued attempts share.
_QUEUED = AttemptRecord(path="/", number=1, state=State.QUEUED)


class _Queued(NamedTuple):
    """An attempt that was queued and has not started."""

    spec: NodeSpec
    number: int
    mem: float | None
    time: float
    actor: Actor | None

    def record(self) -> AttemptRecord:
        place = self.spec.placement
        return changed_record(
            _QUEUED,
            path=self.spec.path,
            number=self.number,
            command=as_written(self.spec),
            cpu=place.cpu,
            mem=place.mem if self.mem is None else self.mem,
            hour=_hour(self.spec, self.mem),
            queued=self.time,
            actor=self.actor,
        )


def _hour(spec: NodeSpec, mem: float | None) -> float | None:
    """Return the price of an hour of a machine of a declared class; None on Fargate."""
    place = spec.placement
    if place.machine is None:
        return None
    place = place if mem is None else replace(place, mem=mem)
    return worker_size(spec.path, place).hour


class InFlight(MutableMapping[str, AttemptRecord]):
    """The records of attempts that are queued or running, by path.

    The record of a queued attempt is made when it is read: those of 100,000 commands that are
    queued at once would take 0.3 s, and 90 MB.
    """

    def __init__(self, records: Iterable[tuple[str, AttemptRecord]] = ()) -> None:
        self._kept: dict[str, AttemptRecord | _Queued] = dict(records)

    def __getitem__(self, path: str) -> AttemptRecord:
        """Return the record of the attempt of a node; raises `KeyError`."""
        found = self._kept[path]
        return found.record() if isinstance(found, _Queued) else found

    def __setitem__(self, path: str, record: AttemptRecord) -> None:
        """Set the record of the attempt of a node."""
        self._kept[path] = record

    def __delitem__(self, path: str) -> None:
        """Remove the attempt of a node; raises `KeyError`."""
        del self._kept[path]

    def __iter__(self) -> Iterator[str]:
        """Yield the paths."""
        return iter(self._kept)

    def __len__(self) -> int:
        """Return the number of attempts."""
        return len(self._kept)

    def queue(
        self, spec: NodeSpec, number: int, mem: float | None, time: float, actor: Actor | None
    ) -> None:
        """Add an attempt that is queued at ``time``; ``mem`` has the GB of a retry, or None."""
        self._kept[spec.path] = _Queued(spec, number, mem, time, actor)

    def started(self) -> Iterator[AttemptRecord]:
        known = (found for found in self._kept.values() if isinstance(found, AttemptRecord))
        return (found for found in known if found.started is not None)

    def queued_at(self, path: str) -> float | None:
        """Return when an attempt was queued, without its record; raises `KeyError`."""
        found = self._kept[path]
        return found.time if isinstance(found, _Queued) else found.queued
