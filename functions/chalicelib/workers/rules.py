"""The workers of one pipeline, as its journal records them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from conducto_core.machines.model import Rung
from conducto_core.workers.rules.pools import PoolWorkers


class WorkerStatus(StrEnum):
    """The status of a worker. ``leaving``: it takes no further command."""

    STARTING = "starting"
    IDLE = "idle"
    BUSY = "busy"
    LEAVING = "leaving"


@dataclass(slots=True)
class WorkerEntry:
    """A worker that has not stopped.

    Attributes:
        pool: Name of its pool.
        since: When the journal last mentioned it, in seconds since the epoch.
        task: ARN of its task, once it is up.
        path: The Exec that it runs, or ran last.
        attempt: The attempt of that Exec.
        busy: Whether that attempt still runs.
        commands: Number of commands that it has started.
        token: The task that started the last one.
        previous: The task that started the one before.
        reference: Reference of the image that it runs.
        setting: Shell and working directory of the image and program of the pipeline, which
            decides on its role, at its launch; None: an older version has launched it.
        protocol: Its protocol version (`conducto_core.workers.model.PROTOCOL`).
        key: Digest of its agent's key; None: it has not started, or has none (protocol 1).
        launched: When its launch was decided, in seconds since the epoch.
        up: When it called for the first time.
        round: `conducto_core.workers.rules.start_failures.PoolStarts.rounds` at its launch.
        for_owner: Whether it was launched while commands received the owner's user secrets and
            data.
        unused: Since when no node of its ``new`` group is running or queued; None: some are.
        metered: Seconds of its commands that are already metered.
        unexplained: It ended before it ran a command, and the ECS event with the reason is pending.
        leaves: It stops after its command, because its group was reset.
        spot: It is a Spot task, which AWS may interrupt.
        kept: Since when it is warm: it stays without work for the next run of the pipeline.
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
    previous: str = ""
    reference: str | None = None
    setting: tuple[str | None, ...] | None = None
    protocol: int = 1
    key: str | None = None
    launched: float = 0.0
    up: float | None = None
    round: int = 0
    for_owner: bool = True
    unused: float | None = None
    metered: float = 0.0
    unexplained: bool = False
    leaves: bool = False
    kept: float | None = None
    spot: bool = False

    @property
    def rung(self) -> Rung:
        """The way in which its machine is bought."""
        return Rung.SPOT if self.spot else Rung.ON_DEMAND

    def runs(self, path: str, attempt: int) -> bool:
        """Return whether it runs this attempt now."""
        return self.busy and self.has_had(path, attempt)

    def has_had(self, path: str, attempt: int) -> bool:
        """Return whether this is the latest attempt that it was given."""
        return self.path == path and self.attempt == attempt

    def phases(
        self, queued: float | None, image_ended: float | None, now: float
    ) -> dict[str, float | None]:
        """Return ``image_ready`` and ``admitted`` of an attempt that it starts now.

        The worker was launched for its first attempt, so the time since then is container start.
        Later attempts are admitted when the worker becomes free, which is now.
        """
        begin = now if queued is None else queued
        waited = image_ended is not None and begin < image_ended <= now
        ready = image_ended if waited else None
        if self.commands:
            return {"image_ready": ready, "admitted": now}
        admitted = max(begin, ready or begin, self.launched) if self.launched else None
        return {"image_ready": ready, "admitted": admitted}


@dataclass(slots=True)
class WorkerRegistry:
    """The workers of a pipeline.

    Attributes:
        workers: ``{id: worker}`` of those that have not stopped.
        ended: ``{id: worker}`` of those that have, until the ECS event with the reason arrives.
    """

    workers: dict[str, WorkerEntry] = field(default_factory=dict)
    ended: dict[str, WorkerEntry] = field(default_factory=dict)

    def unexplained(self, pool: str) -> int:
        """Return how many of a pool's workers ended before a command for a still unknown reason."""
        return sum(
            1 for worker in self.ended.values() if worker.unexplained and worker.pool == pool
        )

    def pool_workers(self) -> dict[str, PoolWorkers]:
        """Return ``{pool name: numbers by status}``, without leaving workers."""
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

    def staying(self) -> Iterable[WorkerEntry]:
        """Yield the workers that were not asked to stop; these count for the plan."""
        return (w for w in self.workers.values() if w.status is not WorkerStatus.LEAVING)

    def in_pool(self, pool: str, *statuses: WorkerStatus) -> Iterable[WorkerEntry]:
        """Yield a pool's workers with these statuses."""
        return (w for w in self.workers.values() if w.pool == pool and w.status in statuses)
