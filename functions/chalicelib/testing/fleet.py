"""ECS in memory."""

from collections.abc import Mapping
from itertools import count

from chalicelib.ports import CapacityError, WorkerTask


class FakeFleet:
    """Workers that are only on paper.

    Attributes:
        tasks: ``{ARN: worker}`` of all that were started.
        stopped: ARNs of those that were stopped.
        full: AWS has no room.
        deaf: Starts are lost on the way.
        released: Pipelines that need no files for now.
    """

    def __init__(self) -> None:
        self.tasks: dict[str, WorkerTask] = {}
        self.stopped: list[str] = []
        self.full = False
        self.deaf = False
        self.released: list[str] = []
        self._numbers = count(1)

    def start(self, task: WorkerTask) -> str:
        """Start a worker, once."""
        for arn, known in self.tasks.items():
            if known.worker_id == task.worker_id:
                return arn
        if self.full:
            raise CapacityError("Capacity is unavailable at this time")
        arn = f"arn:aws:ecs:us-east-1:123456789012:task/conducto/{next(self._numbers)}"
        if not self.deaf:
            self.tasks[arn] = task
        return arn

    def stop(self, task_arn: str, reason: str) -> None:  # noqa: ARG002  as the port has it
        """Stop a worker."""
        if task_arn in self.tasks and task_arn not in self.stopped:
            self.stopped.append(task_arn)

    def running(self, pipeline_id: str) -> Mapping[str, str]:
        """Return the tasks that are not stopped."""
        return {
            task.worker_id: arn
            for arn, task in self.tasks.items()
            if task.pipeline_id == pipeline_id and arn not in self.stopped
        }

    def release(self, pipeline_id: str) -> None:
        """See the port."""
        self.released.append(pipeline_id)
