"""The launcher of workers and debug shells."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

from chalicelib.run.port import StateMachines
from conducto_core.debug.model import ShellSession
from conducto_core.machines.model import MachineClass, Rung
from conducto_core.machines.rules import machine_size, read_machines
from conducto_core.workers.model import Credentials, TaskProof
from conducto_core.workers.rules.fargate import Size, size_for

DataMounts = Literal["all", "none", "view"]


@dataclass(frozen=True, slots=True)
class WorkerTask:
    """A worker to launch.

    Attributes:
        worker_id: Assigned by Conducto; launching it twice starts it once.
        pool: Name of the pool (`conducto_core.asl.rules.naming.pool_name`).
        image: Reference of the user's image.
        cpu: vCPUs of the user's container and of services, as defined; the adapter rounds up.
        mem: GB of both.
        arch: Architecture of its machine; "": x86_64.
        token: The worker's own token, for the agent container only.
        user: The user whose data is mounted at /conducto/data/user.
        user_data: False mounts the pipeline's own data there instead, so that commands that another
            user changed cannot reach the data of other pipelines.
        shell: A debug shell (ECS Exec), which takes no tasks.
        program: The pipeline's program, for which the administrator may have configured a role.
        named_role: Whether its commands get that role, and buckets.
        services: Wire form of the containers beside the user's.
        data: The files in the container: those of the pipeline and the user; or, for cached
            commands, ``none`` or a ``view`` of those that they name.
        machine: Class of its machine; None: it is a task of Fargate.
        gpu: GPUs of the user's container.
        buckets: Wire form of the buckets that are directories of the user's container.
    """

    worker_id: str
    org: str
    pipeline_id: str
    pool: str
    image: str
    cpu: float
    mem: float
    token: str = field(repr=False)
    user: str = ""
    user_data: bool = True
    spot: bool = False
    shell: bool = False
    program: str | None = None
    named_role: bool = True
    data: DataMounts = "all"
    arch: str = ""
    services: Mapping[str, Any] = field(default_factory=dict)
    machine: MachineClass | None = None
    gpu: int = 0
    buckets: Mapping[str, Any] = field(default_factory=dict)

    @property
    def rung(self) -> Rung:
        """The way in which its machine is bought."""
        return Rung.SPOT if self.spot else Rung.ON_DEMAND

    @property
    def size(self) -> Size:
        about = f"pool {self.pool}"
        if self.machine is not None:
            return machine_size(about, self.machine, self.cpu, self.mem, self.gpu)
        return size_for(about, self.cpu, self.mem, self.arch)


class Owner(NamedTuple):
    """The owner of a task."""

    org: str
    pipeline_id: str
    worker_id: str


class TaskId(NamedTuple):
    """The ARN of a task, and its expected owner."""

    arn: str
    owner: Owner


class TaskStatus(NamedTuple):
    """The status of a task.

    Attributes:
        status: ECS's ``lastStatus``, e.g. ``PENDING``.
        reason: Why it stopped, or is about to.
        connected: Whether a shell can connect to it.
        began: When AWS began to charge for it, in seconds since the epoch; None: never.
        ended: When it stopped; None: it has not.
    """

    status: str
    reason: str = ""
    connected: bool = False
    began: float | None = None
    ended: float | None = None


class TaskEnd(NamedTuple):
    """The end of a task.

    Attributes:
        reason: The reasons that ECS reports for the task and its containers.
        exit_code: Exit code of the user's container.
        oom: Whether the user's container ran out of memory.
        began: When AWS began to charge for it, in seconds since the epoch; None: never.
        ended: When it stopped.
    """

    reason: str
    exit_code: int | None = None
    oom: bool = False
    began: float | None = None
    ended: float | None = None


class WorkerFleet(Protocol):
    """ECS on Fargate: the only caller of RunTask."""

    def start(self, task: WorkerTask) -> str:
        """Launch a worker and return its task's ARN.

        Raises:
            CapacityError: AWS has no capacity now.
            ThrottledError: Retry later.
            AccessDeniedError: The API's role lacks a permission.
        """

    def proves(self, task: TaskId, key: str, proof: TaskProof) -> bool:
        """Return whether a worker's task made a proof for the digest of a key.

        Raises:
            ThrottledError: AWS does not respond; retry later.
        """

    def stop(self, task_arn: str, reason: str) -> None:
        """Stop a worker; a stopped one is not an error."""

    def running(self, pipeline_id: str) -> Mapping[str, str]:
        """Return ``{worker id: task ARN}`` of the tasks that have not stopped."""

    def all_running(self) -> Mapping[str, Mapping[str, str]]:
        """Return ``{pipeline id: {worker id: task ARN}}`` of all tasks that have not stopped."""

    def task_status(self, task_arn: str) -> TaskStatus | None:
        """Return the status of a task, or None if ECS does not know it (any more)."""

    def enter(self, task_arn: str, command: str) -> ShellSession | None:
        """Run a command on a terminal in a shell's user container; None if it is not ready yet.

        AWS logs ``command``: it must not contain secrets.
        """

    def release(self, pipeline_id: str) -> None:
        """Release the AWS resources of a pipeline without workers; its next worker recreates them.

        Its files stay. The number of EFS access points is limited.
        """

    def definitions(self) -> Iterator[tuple[str, str]]:
        """Yield ``(pipeline id, name)`` of the task definitions that this installation registered.

        Partly deleted ones are included.
        """

    def forget_definition(self, name: str) -> bool:
        """Delete a task definition; return whether any part of it existed.

        Running workers continue; the next launch registers it again.
        """


@dataclass(frozen=True, slots=True)
class Shell:
    """A debug shell with its own worker, outside of the journal.

    Attributes:
        id: Also the id of its worker.
        user: The user who opened it, and whose secrets it has.
        path: The Exec that it imitates.
        attempt: The attempt; None: as the node is defined.
        cpu: vCPUs that count against the plan.
        mem: GB of its command.
        opened: Seconds since the epoch.
        until: When it is closed at the latest.
        task: ARN of its task, once it was launched.
        up: Whether its agent is ready for a connection.
        ended: Why it ended; None: it has not.
        reserved: Workers that it reserves.
        key: Digest of its agent's key; None: it has not started.
        machine: Class of its machine, as declared; "": it is a task of Fargate.
        gpu: GPUs of its command.
        runs: ``""``: sessions of people; otherwise single commands: ``plain`` ones have no secrets.
        command: The `SingleCommand` that it must run, as JSON; "" if there is none.
        result: The `SingleCommandEnd` of the last one, as JSON; "" if nobody waits for it.
    """

    id: str
    org: str
    pipeline_id: str
    user: str
    path: str
    attempt: int | None
    cpu: float
    mem: float
    opened: float
    until: float
    task: str | None = None
    up: bool = False
    ended: str | None = None
    reserved: int = 1
    key: str | None = None
    runs: Literal["", "plain", "secrets"] = ""
    command: str = ""
    result: str = ""
    machine: str = ""
    gpu: int = 0

    @property
    def machine_class(self) -> MachineClass | None:
        """The class of its machine; None: it is a task of Fargate."""
        return next(iter(read_machines(self.machine).values()), None)

    @property
    def rungs(self) -> tuple[Rung, ...]:
        """The ways to buy its machine."""
        machine = self.machine_class
        return (Rung.ON_DEMAND,) if machine is None else machine.rungs

    @property
    def size(self) -> Size:
        machine = self.machine_class
        if machine is None:
            return size_for(self.path, self.cpu, self.mem)
        return machine_size(self.path, machine, self.cpu, self.mem, self.gpu)


@dataclass(frozen=True)
class Compute:
    """Workers, and the state machines that offer them tasks.

    Attributes:
        launch_delay: Reserves a number of launches at AWS, and returns the seconds until they are
            allowed.
        lend_credentials: Returns credentials with which a worker polls an activity, or None to use
            those of its task.
    """

    fleet: WorkerFleet
    machines: StateMachines
    launch_delay: Callable[[int], float] = lambda _number: 0.0
    lend_credentials: Callable[[str, str], Credentials | None] = lambda _activity, _worker: None
