"""ECS in memory."""

from collections.abc import Iterator, Mapping
from itertools import count

from pydantic import SecretStr

from chalicelib.errors import CapacityError
from chalicelib.people.tokens import digest_of, new_token
from chalicelib.workers.port import TaskId, TaskStatus, WorkerTask
from conducto_core.debug.model import ShellSession
from conducto_core.workers.model import PROTOCOL, TaskProof, WorkerStart


def proof_of(arn: str, key: str) -> TaskProof:
    """Return the proof of a task for the digest of a key."""
    return TaskProof(authorization=f"{key} signed by {arn}", date="", security_token="")


def first_start(arn: str, protocol: int = PROTOCOL, key: str = "") -> WorkerStart:
    """Return the first request of the agent of a task; an agent of protocol 1 has no key."""
    if protocol < 2:
        return WorkerStart(task=arn, protocol=protocol)
    key = key or new_token()[0]
    return WorkerStart(task=arn, protocol=protocol, key=key, proof=proof_of(arn, digest_of(key)))


class FakeFleet:
    """Workers that exist only as records.

    Attributes:
        tasks: ``{ARN: worker}`` of all workers that were launched.
        stopped: ARNs of those that were stopped.
        full: AWS has no capacity.
        deaf: Launch requests are lost.
        unlisted: ECS does not list new tasks yet.
        placing: ECS finds no machine for tasks.
        released: Pipelines whose files were released.
        reasons: ``{ARN: why the task stopped}``.
        closed: Shells are not ready for connections yet.
        entered: ``(ARN, command)`` of every session.
        defined: ``{pipeline id: name of its task definition}``.
        times: ``{ARN: when AWS began to charge for the task, and when it stopped}``.
        halfway: Names of task definitions that are deregistered but not deleted.
    """

    def __init__(self) -> None:
        self.tasks: dict[str, WorkerTask] = {}
        self.stopped: list[str] = []
        self.full = False
        self.deaf = False
        self.unlisted = False
        self.placing = False
        self.released: list[str] = []
        self.reasons: dict[str, str] = {}
        self.times: dict[str, tuple[float, float]] = {}
        self.closed = False
        self.entered: list[tuple[str, str]] = []
        self.defined: dict[str, str] = {}
        self.halfway: set[str] = set()
        self._numbers = count(1)

    def start(self, task: WorkerTask) -> str:
        for arn, known in self.tasks.items():
            if known.worker_id == task.worker_id:
                return arn
        if self.full:
            raise CapacityError("Capacity is unavailable at this time")
        arn = f"arn:aws:ecs:us-east-1:123456789012:task/conducto/{next(self._numbers)}"
        if not self.deaf:
            self.tasks[arn] = task
            name = f"conducto-test_{task.pipeline_id}_1"
            self.defined[task.pipeline_id] = name
            self.halfway.discard(name)
        return arn

    def proves(self, task: TaskId, key: str, proof: TaskProof) -> bool:
        worker = self.tasks.get(task.arn)
        own = None if worker is None else (worker.org, worker.pipeline_id, worker.worker_id)
        return own == task.owner and proof == proof_of(task.arn, key)

    def stop(self, task_arn: str, reason: str) -> None:
        if task_arn in self.tasks and task_arn not in self.stopped:
            self.stopped.append(task_arn)

    def running(self, pipeline_id: str) -> Mapping[str, str]:
        return {
            task.worker_id: arn
            for arn, task in self.tasks.items()
            if task.pipeline_id == pipeline_id and arn not in self.stopped and not self.unlisted
        }

    def all_running(self) -> Mapping[str, Mapping[str, str]]:
        return {task.pipeline_id: self.running(task.pipeline_id) for task in self.tasks.values()}

    def definitions(self) -> Iterator[tuple[str, str]]:
        """Yield a definition for each pipeline that had a worker since its last deletion."""
        yield from list(self.defined.items())

    def forget_definition(self, name: str) -> bool:
        known = name in self.defined.values()
        self.defined = {owner: each for owner, each in self.defined.items() if each != name}
        self.halfway.discard(name)
        return known

    def task_status(self, task_arn: str) -> TaskStatus | None:
        task = self.tasks.get(task_arn)
        if task is None:
            return None
        if task_arn in self.stopped:
            began, ended = self.times.get(task_arn, (None, None))
            reason = self.reasons.get(task_arn, "Task stopped by user")
            return TaskStatus("STOPPED", reason, began=began, ended=ended)
        if self.placing:
            return TaskStatus("PROVISIONING")
        return TaskStatus("RUNNING", connected=task.shell and not self.closed)

    def enter(self, task_arn: str, command: str) -> ShellSession | None:
        if self.closed:
            return None
        self.entered.append((task_arn, command))
        return ShellSession(
            session_id=f"session-{len(self.entered)}",
            stream_url="wss://aws.invalid/session",
            token=SecretStr("key-to-the-session"),
            target="ecs:cluster_task_container",
            region="us-east-1",
            endpoint="https://aws.invalid",
        )

    def release(self, pipeline_id: str) -> None:
        self.released.append(pipeline_id)
