"""What runs workers, and debug shells on them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from conducto_core.model.remote_shells import ShellSession


@dataclass(frozen=True, slots=True)
class WorkerTask:
    """A worker to start.

    Attributes:
        worker_id: Ours; starting it twice starts it once.
        pool: Name of the pool (`conducto_core.semantics.naming.pool_name`).
        image: What the registry knows the user's image by.
        cpu: vCPUs of the user's container, as the definition asks; rounded up here.
        mem: GB.
        token: The worker's own token, for the agent container only.
        user: Whose data is mounted at /conducto/data/user.
        user_data: ... if it is: the pipeline's own data is mounted there otherwise, so that
            commands that somebody else changed reach no other pipeline's data.
        shell: It is entered by people (ECS Exec) and takes no tasks.
        title: Of the pipeline; the administrator may have named a role for it.
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
    title: str = ""


class TaskStatus(NamedTuple):
    """How a task is.

    Attributes:
        status: In ECS's own word, e.g. ``PENDING``.
        reason: Why it stopped, or is about to.
        connected: It can be entered.
        began: When AWS began to charge for it, in seconds since the epoch; None: it never did.
        ended: When it had stopped; None: it has not.
    """

    status: str
    reason: str = ""
    connected: bool = False
    began: float | None = None
    ended: float | None = None


class TaskEnd(NamedTuple):
    """How a task ended.

    Attributes:
        reason: What ECS says, of the task and of its containers.
        exit_code: Of the user's container.
        oom: The user's container ran out of memory.
        began: When AWS began to charge for it, in seconds since the epoch; None: it never did.
        ended: When it had stopped.
    """

    reason: str
    exit_code: int | None = None
    oom: bool = False
    began: float | None = None
    ended: float | None = None


class WorkerFleet(Protocol):
    """ECS on Fargate: the only caller of RunTask."""

    def start(self, task: WorkerTask) -> str:
        """Start a worker and return its task's ARN.

        Raises:
            CapacityError: no room now.
            ThrottledError: try again later.
            AccessDeniedError: the API's role may not.
        """

    def stop(self, task_arn: str, reason: str) -> None:
        """Stop a worker; one that is gone is no error."""

    def running(self, pipeline_id: str) -> Mapping[str, str]:
        """Return ``{worker id: task ARN}`` of the tasks that are not stopped."""

    def look(self, task_arn: str) -> TaskStatus | None:
        """Return how a task is; None: ECS does not know it (any more)."""

    def enter(self, task_arn: str, command: str) -> ShellSession | None:
        """Run a command in a shell's user container, on a terminal; None: not yet possible.

        What is in ``command`` is seen by AWS's logs: no secrets.
        """

    def release(self, pipeline_id: str) -> None:
        """Give back what a pipeline without workers does not need; its next worker makes it anew.

        Its files stay. AWS has room for so many pipelines' ways to their files, not for all.
        """

    def definitions(self) -> Iterator[tuple[str, str]]:
        """Yield ``(pipeline id, name)`` of the task definitions that this installation made.

        Those that were deleted by half are among them.
        """

    def forget_definition(self, name: str) -> bool:
        """Delete a task definition; return whether something of it was there.

        Its workers go on; another one like them has it made anew.
        """


@dataclass(frozen=True, slots=True)
class Shell:
    """A debug shell with a worker of its own, of which no journal knows.

    Attributes:
        id: Also of its worker.
        user: Who opened it, and whose secrets are in it.
        path: The Exec that it is like.
        attempt: The attempt; None: as the node is defined.
        cpu: vCPUs that it is counted with.
        opened: In seconds since the epoch.
        until: When it is ended at the latest.
        task: ARN of its task, once that was ordered.
        up: Its agent has everything in place for who enters.
        ended: Why it is over; None: it is not.
        reserved: Workers that it has reserved; 0 for one of an older version.
    """

    id: str
    org: str
    pipeline_id: str
    user: str
    path: str
    attempt: int | None
    cpu: float
    opened: float
    until: float
    task: str | None = None
    up: bool = False
    ended: str | None = None
    reserved: int = 1


class Shells(Protocol):
    """Debug shells; each counts as one of its org's workers, and reserves it, until it has ended.

    `open` and `end` raise `ThrottledError` where they are to be tried again.
    """

    def open(self, shell: Shell) -> None:
        """Keep a new shell and count it, or do neither.

        Raises:
            PlanLimitError: the org may have no worker more.
        """

    def find(self, pipeline_id: str, shell_id: str) -> Shell | None:
        """Return a shell; one that has ended is remembered for some days."""

    def of_pipeline(self, pipeline_id: str) -> Sequence[Shell]:
        """Return a pipeline's shells that have not ended."""

    def all_open(self) -> Iterator[tuple[str, str]]:
        """Yield ``(pipeline id, shell id)`` of those that have not ended, over all orgs."""

    def started(self, shell: Shell, task_arn: str) -> None:
        """Note which task a shell has; one that has ended stays as it is."""

    def is_up(self, shell: Shell) -> None:
        """Note that it can be entered; one that has ended stays as it is."""

    def end(self, shell: Shell, reason: str) -> bool:
        """Note that it is over and count it no more; return False where that was so already."""
