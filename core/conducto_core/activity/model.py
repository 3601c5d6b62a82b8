"""Records of the running and the waiting commands of all pipelines."""

from pydantic import Field

from conducto_core.record import Record
from conducto_core.run.model.params import PipelineId
from conducto_core.run.model.records import WaitKind

#: Maximum number of running commands in a response.
MAX_RUNNING = 200
#: Running commands of which a response has the last line, and its maximum characters.
WITH_LAST_LINE, MAX_LINE = 10, 200
#: Commands of each reason that a response names.
NAMED_COMMANDS = 5


class ActivityParams(Record):
    """A query for the running and the waiting commands of all pipelines.

    Attributes:
        limit: Maximum number of running commands.
        last_lines: Read the last lines of the commands that run longest.
    """

    limit: int = Field(default=50, ge=1, le=MAX_RUNNING)
    last_lines: bool = False


class RunningCommand(Record):
    """A command that runs.

    Attributes:
        title: Title of its pipeline.
        started: In seconds since the epoch.
        last_line: The last line of its output, shortened; None of a command that started long after
            others, or has no output.
    """

    pipeline: PipelineId
    title: str
    path: str
    attempt: int
    started: float
    cpu: float | None = None
    mem: float | None = None
    last_line: str | None = None


class WaitingCommand(Record):
    """A command that waits.

    Attributes:
        until: When it starts or is tried again, in seconds since the epoch, if that is known.
    """

    pipeline: PipelineId
    path: str
    until: float | None = None


class WaitGroup(Record):
    """Commands that wait for the same thing.

    Attributes:
        text: The reason, as a sentence; of an approval, its question.
        holder: The node, person, plan or other commands that they wait for.
        remedy: How to end the wait.
        since: When the first of them began to wait, in seconds since the epoch.
        until: When the first of them starts or is tried again, in seconds since the epoch, if that
            is known.
        count: Number of these commands among those that were read.
        first: The first ones.
    """

    kind: WaitKind | None
    text: str
    holder: str | None = None
    remedy: str | None = None
    since: float | None = None
    until: float | None = None
    count: int
    first: tuple[WaitingCommand, ...]


class Activity(Record):
    """The running and the waiting commands of all pipelines.

    Attributes:
        pipelines: Number of pipelines in progress.
        running: Number of all running commands.
        queued: Number of all commands that could run, and wait, also for a retry.
        pending: Number of all commands that come later.
        cpu_used: CPUs of this machine that running commands asked for; None in the cloud.
        cpu: CPUs of this machine for commands; None in the cloud.
        workers: Number of workers that run a command.
        workers_idle: Number of workers that start, or wait for a command.
        commands: The running commands, those that run longest first.
        waits: The reasons of waiting commands, the approvals and then the most frequent first.
        read: Number of waiting commands whose reasons were read: of large pipelines, a part.
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
