"""Records of the running and the waiting commands of all pipelines."""

from pydantic import Field

from conducto_core.record import Record
from conducto_core.run.model.params import PipelineId
from conducto_core.run.model.records import WaitKind

#: Maximum number of running commands in a response.
MAX_RUNNING = 200
#: Commands of each reason that a response names.
NAMED_COMMANDS = 5


class ActivityParams(Record):
    """A query for the running and the waiting commands of all pipelines.

    Attributes:
        limit: Maximum number of running commands.
    """

    limit: int = Field(default=50, ge=1, le=MAX_RUNNING)


class RunningCommand(Record):
    """A command that runs.

    Attributes:
        title: Title of its pipeline.
        started: In seconds since the epoch.
    """

    pipeline: PipelineId
    title: str
    path: str
    attempt: int
    started: float
    cpu: float | None = None
    mem: float | None = None


class WaitingCommand(Record):
    """A command that waits."""

    pipeline: PipelineId
    path: str


class WaitGroup(Record):
    """Commands that wait for the same thing.

    Attributes:
        text: The reason, as a sentence.
        holder: The node, person, plan or other commands that they wait for.
        remedy: How to end the wait.
        since: When the first of them began to wait, in seconds since the epoch.
        count: Number of these commands among those that were read.
        first: The first ones.
    """

    kind: WaitKind | None
    text: str
    holder: str | None = None
    remedy: str | None = None
    since: float | None = None
    count: int
    first: tuple[WaitingCommand, ...]


class Activity(Record):
    """The running and the waiting commands of all pipelines.

    Attributes:
        pipelines: Number of pipelines in progress.
        running: Number of all running commands.
        queued: Number of all commands that could run, and wait.
        pending: Number of all commands that come later.
        cpu_used: CPUs of this machine that running commands asked for; None in the cloud.
        cpu: CPUs of this machine for commands; None in the cloud.
        workers: Number of workers that run a command.
        workers_idle: Number of workers that start, or wait for a command.
        commands: The running commands, those that run longest first.
        waits: The reasons of queued commands, the most frequent first.
        read: Number of queued commands whose reasons were read: of large pipelines, a part.
        complete: Whether all pipelines in progress were read.
    """

    pipelines: int = 0
    running: int = 0
    queued: int = 0
    pending: int = 0
    cpu_used: float | None = None
    cpu: float | None = None
    workers: int = 0
    workers_idle: int = 0
    commands: tuple[RunningCommand, ...] = ()
    waits: tuple[WaitGroup, ...] = ()
    read: int = 0
    complete: bool = True
