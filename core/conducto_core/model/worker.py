"""What a cloud worker and the API say to each other.

A worker is one Fargate task: our agent and the user's image. The agent fetches tasks of its pool
from Step Functions, asks the API what to do with each (`Claim`), runs the command, and tells the
API how it went (`Report`). The API answers the task to Step Functions; the worker only keeps it
alive by heartbeats. Who calls is known by the worker's own token, which is good for one pipeline
and one pool.
"""

from enum import StrEnum
from typing import Literal

from pydantic import Field

from conducto_core.model.base import Record
from conducto_core.model.secrets import Hidden
from conducto_core.model.states import Cause

#: Most bytes of output in one `WorkerLogChunk`, before base64.
MAX_PIECE = 1 << 20
#: Most bytes of a tree that a Lazy prints, before compression.
MAX_TREE = 64 << 20
#: Which version of these calls a worker speaks. Its agent is as old as the worker, the API may be
#: newer: it understands the version before this one, and lets such workers leave after a command.
#: 2: a worker says its version, and gives back a task that it was handed too late.
PROTOCOL = 2


class WorkerStart(Record):
    """A worker is up.

    Attributes:
        task: What ECS calls it (its ARN).
        protocol: Its version of these calls; the first did not say.
    """

    task: str
    protocol: int = Field(default=1, ge=1)


class Credentials(Record):
    """AWS credentials of a worker: they allow to poll one activity and to send heartbeats."""

    access_key: str = Field(repr=False)
    secret_key: str = Field(repr=False)
    session_token: str | None = Field(default=None, repr=False)
    expires: float | None = None


class ShellInstructions(Record):
    """What who enters a debug shell is to find.

    Attributes:
        path: The Exec that it is like.
        attempt: The attempt; 0: as the node is defined.
        argv: Command line of the interactive shell.
        script: The node's command as a file holds it, its first line included.
        env: The environment over the image's own, without secrets.
        secrets: ``{name: value}``; these win.
        seconds: That are left of the shell's time.
    """

    path: str
    attempt: int
    argv: tuple[str, ...]
    script: str = Field(repr=False)
    env: dict[str, str] = {}
    secrets: dict[str, Hidden] = {}
    seconds: float


class WorkerInstructions(Record):
    """How a worker is to work.

    Attributes:
        activity: ARN of the activity to poll.
        credentials: None where the task's own role is to be used.
        policy: ``many`` commands one after the other; ``once``: leave after the first;
            ``context``: as ``many``, and never leave because of age; ``debug``: take no tasks,
            keep a shell (`debug`).
        shell: Path of the shell in the user's image; None: the best there is.
        workdir: Working directory of commands; None is the image's own.
        idle: Seconds without a command before it leaves.
        age: Seconds after which it takes no new command.
        heartbeat: Seconds between two heartbeats.
        debug: The shell to keep.
    """

    activity: str
    region: str
    credentials: Credentials | None = None
    policy: Literal["many", "once", "context", "debug"] = "many"
    shell: str | None = None
    workdir: str | None = None
    idle: float = 60.0
    age: float = 43_200.0
    heartbeat: float = 10.0
    debug: ShellInstructions | None = None


class Claim(Record):
    """A task that the worker was handed.

    Attributes:
        token: Step Functions' name for it.
        run: ``r`` of its input.
        node: ``n`` of its input: the id of the Exec.
        waits: ``w`` of its input: it only waits for an Exec that is in flight already.
    """

    token: str = Field(repr=False, max_length=2048)
    run: str
    node: str
    waits: bool = False


class ClaimDecision(StrEnum):
    """What to do with a claimed task.

    ``run``: run the command. ``hold``: keep it alive by heartbeats and ask again, with the same
    claim, after `ClaimResponse.again` seconds and whenever a command of this worker ends; do other
    work meanwhile. ``drop``: forget it, the API has answered it or will.
    """

    RUN = "run"
    HOLD = "hold"
    DROP = "drop"


class ClaimResponse(Record):
    """What to do with it.

    Attributes:
        path: The Exec.
        attempt: Counted from 1.
        script: The command as it is to run.
        env: The whole environment over the image's own, secrets included.
        masked: Values to hide in the output.
        max_time: Seconds it may run.
        prints_tree: It is a Lazy's Generate: the tree it prints goes into the report.
        again: Seconds.
        blocked: Nothing of this pool may start now, because a capacity group is full: polling
            meanwhile is of no use.
    """

    verdict: ClaimDecision
    path: str = ""
    attempt: int = 0
    script: str = ""
    env: dict[str, str] = Field(default={}, repr=False)
    masked: tuple[str, ...] = Field(default=(), repr=False)
    max_time: float | None = None
    prints_tree: bool = False
    again: float = 2.0
    blocked: bool = False


class Heartbeat(Record):
    """A command runs still."""

    path: str
    attempt: int


class HeartbeatResponse(Record):
    """Whether to go on.

    Attributes:
        stop: End the command now, then report how it ended; the API knows why.
    """

    stop: bool = False


class WorkerLogChunk(Record):
    """Output of a command, masked; or what it used (`conducto_core.runtime.resource_series`).

    Attributes:
        stream: ``resources`` came later: an API that does not know it refuses, and the agent
            drops what it wanted to hand over.
        offset: Bytes of the stream before it; a piece that came already is no error.
        data: Base64.
    """

    path: str
    attempt: int
    stream: Literal["stdout", "stderr", "resources"]
    offset: int = Field(ge=0)
    data: str = Field(max_length=2 * MAX_PIECE)


class Report(Record):
    """How a command ended.

    Attributes:
        cause: Why it failed; None is success. ``worker_lost``: the worker itself is going.
        message: A sentence for a person.
        seconds: How long it ran.
        peak_memory: Bytes, where known.
        tree: The tree a Lazy printed: base64 of gzip of its JSON. Too large a one is put where
            `UploadResponse` says.
        tree_key: ... and named here.
        last: The worker takes no further command.
    """

    path: str
    attempt: int
    cause: Cause | None = None
    exit_code: int | None = None
    message: str | None = None
    seconds: float = 0.0
    peak_memory: int | None = None
    tree: str | None = None
    tree_key: str | None = None
    last: bool = False


class ReportResponse(Record):
    """What to do with the task of a command that ended.

    Attributes:
        again: It has no answer, because the command is tried again: keep it alive and ask about
            it anew, with the same claim. Else forget it.
    """

    again: bool = False


class UploadResponse(Record):
    """Where to PUT something large.

    Attributes:
        url: Signed; good for some minutes.
        key: What to call it afterwards.
    """

    url: str = Field(repr=False)
    key: str


class WorkerEnd(Record):
    """The worker leaves.

    Attributes:
        reason: ``idle``, ``age``, ``once``, ``stopping`` or a sentence on what is wrong, e.g. that
            the image has no shell.
        broken: The user's container cannot run commands at all.
        offer: A task that it was handed when it had been told to stop: it goes to others at once,
            rather than when its heartbeat is missed.
    """

    reason: str
    broken: bool = False
    offer: Claim | None = None


class LogResponse(Record):
    """Output was kept.

    Attributes:
        followed: Somebody reads output of the pipeline now: send it every second. Else a chunk
            every few seconds is enough, which costs less and is quicker to read.
    """

    followed: bool = False


class Nothing(Record):
    """Taken in."""
