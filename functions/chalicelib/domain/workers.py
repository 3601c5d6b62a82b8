"""The workers of one pipeline, as its journal knows them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from conducto_core.semantics.autoscaling import PoolWorkers


class WorkerStatus(StrEnum):
    """What a worker does. ``leaving``: it takes no further command."""

    STARTING = "starting"
    IDLE = "idle"
    BUSY = "busy"
    LEAVING = "leaving"


@dataclass(slots=True)
class Worker:
    """A worker that is not gone.

    Attributes:
        pool: Name of its pool.
        since: When it was last heard of in the journal, in seconds since the epoch.
        task: ARN of its task, once it is up.
        path: Exec it runs, or ran last.
        attempt: ... and the attempt.
        busy: It runs it still.
        commands: Commands it has begun.
        token: The task that made it begin the last one.
        reference: The image that it runs.
        protocol: What it speaks (`conducto_core.model.worker.PROTOCOL`).
        hired: When it was decided to start it; 0 where an older version wrote it.
        round: `conducto_core.semantics.start_failures.PoolStarts.rounds` when it was started.
        for_owner: It was started while commands got the owner's user secrets and data.
        unused: Since when nothing of its ``new`` group runs or is queued; None: something does.
        metered: Seconds of its commands that are counted already.
        unexplained: It ended before it ran a command, and AWS has not said why.
    """

    id: str
    pool: str
    since: float
    status: WorkerStatus = WorkerStatus.STARTING
    task: str | None = None
    path: str = ""
    attempt: int = 0
    busy: bool = False
    commands: int = 0
    token: str = ""
    reference: str | None = None
    protocol: int = 1
    hired: float = 0.0
    round: int = 0
    for_owner: bool = True
    unused: float | None = None
    metered: float = 0.0
    unexplained: bool = False

    def runs(self, path: str, attempt: int) -> bool:
        """Return whether it runs this attempt now."""
        return self.busy and self.has_had(path, attempt)

    def has_had(self, path: str, attempt: int) -> bool:
        """Return whether this attempt is the last that it was given."""
        return self.path == path and self.attempt == attempt

    def phases(
        self, queued: float | None, image_ended: float | None, now: float
    ) -> dict[str, float | None]:
        """Return ``image_ready`` and ``admitted`` of an attempt that it begins now.

        For its first one it was started, so that what came after is the start of a container;
        later ones had their turn when it was free, which is now.
        """
        begin = now if queued is None else queued
        waited = image_ended is not None and begin < image_ended <= now
        ready = image_ended if waited else None
        if self.commands:
            return {"image_ready": ready, "admitted": now}
        admitted = max(begin, ready or begin, self.hired) if self.hired else None
        return {"image_ready": ready, "admitted": admitted}


@dataclass(slots=True)
class WorkerRegistry:
    """All of them.

    Attributes:
        workers: ``{id: worker}`` of those that are not gone.
        ended: ``{id: worker}`` of those that are, while AWS's word of when and why is missing.
    """

    workers: dict[str, Worker] = field(default_factory=dict)
    ended: dict[str, Worker] = field(default_factory=dict)

    def unexplained(self, pool: str) -> int:
        """Return how many of a pool's workers ended before a command, nobody knows why so far."""
        return sum(
            1 for worker in self.ended.values() if worker.unexplained and worker.pool == pool
        )

    def staff(self) -> dict[str, PoolWorkers]:
        """Return ``{pool name: how many do what}``; who leaves counts for nothing."""
        numbers: dict[str, dict[WorkerStatus, int]] = {}
        for worker in self.workers.values():
            pool = numbers.setdefault(worker.pool, dict.fromkeys(WorkerStatus, 0))
            pool[worker.status] += 1
        return {
            name: PoolWorkers(
                of[WorkerStatus.STARTING], of[WorkerStatus.IDLE], of[WorkerStatus.BUSY]
            )
            for name, of in numbers.items()
        }

    def staying(self) -> Iterable[Worker]:
        """Yield those that were not told to stop: the ones that count for the plan."""
        return (w for w in self.workers.values() if w.status is not WorkerStatus.LEAVING)

    def in_pool(self, pool: str, *statuses: WorkerStatus) -> Iterable[Worker]:
        """Yield a pool's workers of these statuses."""
        return (w for w in self.workers.values() if w.pool == pool and w.status in statuses)
