"""The messages between a cloud worker and the API.

A worker is one Fargate task: the agent and the user's image. The agent fetches tasks of its pool
from Step Functions, asks the API what to do with each (`Claim`), runs the command, and reports its
result to the API (`Report`). The API completes the task in Step Functions; the worker only keeps it
alive by heartbeats. The worker's own token identifies the caller; it is valid for one pipeline and
one pool.
"""

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from conducto_core.record import Record
from conducto_core.results.model import OutputStream, OutputSummary
from conducto_core.run.model.params import Moment
from conducto_core.run.model.records import FirstError
from conducto_core.run.model.states import Cause
from conducto_core.secrets.model import Hidden

#: Maximum bytes of output in one `WorkerLogChunk`, before compression and base64.
MAX_CHUNK = 4 << 20
#: Maximum bytes of `WorkerLogChunk.data`, before base64; more is uploaded to the bucket.
MAX_CHUNK_DATA = 1 << 20
#: Maximum bytes of a compressed chunk in the table. A PUT to S3 costs as much as writing 8 kB to
#: the table; reading an object takes 30 ms, while a query returns the chunks in its items.
MAX_INLINE_CHUNK = 8 << 10
#: Number of chunks from which a complete stream is joined into one object.
JOINED_CHUNKS = 100
#: Maximum number of chunks in a heartbeat.
MAX_HEARTBEAT_CHUNKS = 3
#: Maximum number of records of times in a chunk.
MAX_CHUNK_TIMES = 1000
#: Maximum bytes of a tree that a Lazy prints, before compression.
MAX_TREE = 64 << 20
#: Maximum bytes of each stream of a single command in a debug shell: its record is one item of the
#: table.
MAX_SINGLE_OUTPUT = 16_000
#: Protocol version of a worker. An API may be newer than its workers: it supports the previous
#: version, and lets such workers leave after a command.
PROTOCOL = 2


class TaskProof(Record):
    """A signed request of a task, with which the API asks AWS who signed it.

    `conducto_core.workers.rules.task_proof` describes the request.
    """

    authorization: str = Field(repr=False, max_length=2048)
    date: str = Field(max_length=32)
    security_token: str = Field(repr=False, max_length=16_384)


class WorkerStart(Record):
    """A worker has started.

    Attributes:
        protocol: Its protocol version.
        key: The agent's random key, with which it signs in after this request. Only the same key
            can repeat the first start. None: the request is already sent with the key.
        proof: Proof that the agent runs in the task; bound to the key.
    """

    task: str = Field(max_length=2048)
    protocol: int
    key: str | None = Field(default=None, repr=False, pattern=r"^cdo_[\w-]{43}$")
    proof: TaskProof | None = None


class Credentials(Record):
    """AWS credentials of a worker: they allow it to poll one activity and to send heartbeats."""

    access_key: str = Field(repr=False)
    secret_key: str = Field(repr=False)
    session_token: str | None = Field(default=None, repr=False)
    expires: float | None = None


class ShellInstructions(Record):
    """The contents of a debug shell.

    Attributes:
        path: The Exec that it reproduces.
        attempt: The attempt; 0 stands for the node's definition.
        argv: Command line of the interactive shell.
        script: The node's command as a script file, with its first line.
        env: The environment on top of the image's own, without secrets.
        secrets: ``{name: value}``; these override ``env``.
        seconds: Remaining lifetime of the shell.
        sessions: People open sessions in it; otherwise it runs single commands, which the responses
            to heartbeats have.
    """

    path: str
    attempt: int
    argv: tuple[str, ...]
    script: str = Field(repr=False)
    env: dict[str, str] = {}
    secrets: dict[str, Hidden] = {}
    seconds: float
    sessions: bool = True


class SingleCommand(Record):
    """A command for the container of a debug shell without sessions.

    Attributes:
        number: Later commands have higher numbers.
        timeout: Seconds after which it is stopped.
        max_bytes: Bytes of each stream that are reported, from its end.
    """

    number: int
    command: str = Field(repr=False)
    timeout: float
    max_bytes: int


class SingleCommandEnd(Record):
    """The end of such a command.

    Attributes:
        position: Number of commands that the container had run before.
        code: Its exit code.
        stdout: The end of its output, as is ``stderr``; bytes that are not UTF-8 are replaced.
        stdout_size: Bytes of its whole output, as is ``stderr_size``.
        timed_out: It was stopped after its time.
    """

    number: int
    position: int = 0
    code: int
    stdout: str = Field(default="", repr=False, max_length=MAX_SINGLE_OUTPUT)
    stderr: str = Field(default="", repr=False, max_length=MAX_SINGLE_OUTPUT)
    stdout_size: int = 0
    stderr_size: int = 0
    seconds: float = 0.0
    timed_out: bool = False


class WorkerInstructions(Record):
    """The configuration of a worker.

    Attributes:
        activity: ARN of the activity to poll.
        credentials: None: use the task's own role.
        policy: ``many``: run commands one after another; ``once``: leave after the first;
            ``context``: as ``many``, but never leave because of age; ``debug``: take no tasks, keep
            a shell (`debug`).
        shell: Path of the shell in the user's image; None: the best available.
        workdir: Working directory of commands; None is the image's own.
        idle: Seconds without a command before it leaves.
        age: Seconds after which it takes no new command.
        heartbeat: Seconds between two heartbeats.
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
    """A task that the worker received.

    Attributes:
        token: Its task token in Step Functions.
        run: ``r`` of its input.
        node: ``n`` of its input: the id of the Exec.
        waits: ``w`` of its input: it only waits for an Exec that is already in flight.
    """

    token: str = Field(repr=False, max_length=2048)
    run: str
    node: str
    waits: bool = False


class ClaimDecision(StrEnum):
    """The decision about a claimed task.

    ``run``: run the command. ``hold``: keep it alive by heartbeats and repeat the same claim after
    `ClaimResponse.retry_after` seconds and whenever a command of this worker ends; do other work
    meanwhile. ``drop``: forget it, the API has completed it or will.
    """

    RUN = "run"
    HOLD = "hold"
    DROP = "drop"


class FilesOfCommand(Record):
    """The files of the pipeline's data that a cached command sees and writes.

    Attributes:
        copies: The files that it sees are copies, which it may change.
    """

    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    copies: bool = False


class ClaimResponse(Record):
    """The response to a claim.

    Attributes:
        attempt: Counted from 1.
        script: The command to run.
        env: The whole environment on top of the image's own, including secrets.
        masked: Values to hide in the output.
        inputs: Content of the command's file of inputs; empty for none.
        prints_tree: It is a Lazy's Generate: the tree it prints goes into the report.
        files: Those of a cached command, which sees no others.
        retry_after: Seconds.
        blocked: Nothing in this pool may start now, because a capacity group is full: polling is
            useless meanwhile.
        backlog: At least as many Execs of this pool are queued as it has workers: a poll before the
            report finds the next task probably. Old APIs do not send it.
        mem: GB that the command may use. Old APIs do not send it.
    """

    decision: ClaimDecision
    path: str = ""
    attempt: int = 0
    script: str = ""
    env: dict[str, str] = Field(default={}, repr=False)
    masked: tuple[str, ...] = Field(default=(), repr=False)
    inputs: str = Field(default="", repr=False)
    max_time: float | None = None
    prints_tree: bool = False
    files: FilesOfCommand | None = None
    retry_after: float = 2.0
    blocked: bool = False
    backlog: bool = False
    mem: float | None = None


class WorkerLogChunk(Record):
    """Output of a command, masked; or its usage (`conducto_core.command.usage`).

    Attributes:
        stream: ``resources`` was added later: an API that does not know it rejects the chunk, and
            the agent drops it.
        offset: Bytes of the stream before this chunk; a repeated chunk is accepted.
        data: Base64 of the output, or of its gzip; empty if ``key`` is given.
        packed: Whether ``data`` is compressed.
        key: Key of the uploaded gzip (`LogUploadResponse`).
        size: Bytes of the uploaded output, before compression; at least 1 if ``key`` is given.
        lines: Number of line ends in the uploaded output.
        times: ``(offset, time)`` of output: when it was read; the first one may be in front of it.
        last: The stream ends with this chunk and has at least `JOINED_CHUNKS`.
    """

    path: str
    attempt: int
    stream: Literal["stdout", "stderr", "resources"] | OutputStream
    offset: int = Field(ge=0)
    data: str = Field(default="", max_length=2 * MAX_CHUNK_DATA)
    packed: bool = False
    key: str | None = Field(default=None, max_length=1024)
    size: int = Field(default=0, ge=0, le=MAX_CHUNK)
    lines: int = Field(default=0, ge=0, le=MAX_CHUNK)
    times: tuple[tuple[Annotated[int, Field(ge=0, le=2**62)], Moment], ...] = Field(
        default=(), max_length=MAX_CHUNK_TIMES
    )
    last: bool = False

    @model_validator(mode="after")
    def _has_bytes(self) -> Self:
        if self.key is not None and self.size < 1:
            raise ValueError("an uploaded chunk has at least one byte")
        return self


class LogUpload(Record):
    """A request for the upload of a large chunk of output.

    Attributes:
        offset: As in `WorkerLogChunk`.
        size: Bytes of the gzip.
    """

    path: str
    attempt: int
    stream: Literal["stdout", "stderr"]
    offset: int = Field(ge=0)
    size: int = Field(gt=0, le=2 * MAX_CHUNK)


class Heartbeat(Record):
    """A message that a command still runs, with the output since the last one.

    Attributes:
        chunks: Small chunks of output of the command, at most one of each stream.
        ended: The last single command of a debug shell.
    """

    path: str
    attempt: int
    ended: SingleCommandEnd | None = None
    chunks: tuple[WorkerLogChunk, ...] = Field(default=(), max_length=MAX_HEARTBEAT_CHUNKS)


class HeartbeatResponse(Record):
    """The response to a heartbeat.

    Attributes:
        stop: Stop the command now, then report its result; the API knows the reason.
        followed: As in `LogResponse`.
        command: For a debug shell without sessions: the command that it must run.
    """

    stop: bool = False
    followed: bool = False
    command: SingleCommand | None = None


class Report(Record):
    """The result of a command.

    Attributes:
        cause: Cause of its failure; None is success. ``worker_lost``: the worker itself ends.
        message: A sentence for display.
        peak_memory: Bytes, if known.
        output_bytes: Size of stdout and stderr together.
        tree: The tree that a Lazy printed: base64 of gzip of its JSON. A tree that is too large is
            uploaded to the address in an `UploadResponse`.
        tree_key: Key of an uploaded tree.
        outputs: The result, metrics and artifacts, which were sent as streams.
        interpreter: See `conducto_core.run.model.records.AttemptRecord`.
        first_error: That of the record.
        not_stored: Why the files of a cached command cannot be stored.
        last: The worker takes no further command.
        next: A task that it received meanwhile, to claim it with the same request.
    """

    path: str
    attempt: int
    cause: Cause | None = None
    exit_code: int | None = None
    message: str | None = None
    seconds: float = 0.0
    peak_memory: int | None = None
    output_bytes: int | None = None
    tree: str | None = None
    tree_key: str | None = None
    outputs: OutputSummary | None = None
    interpreter: str | None = Field(default=None, max_length=4096)
    first_error: FirstError | None = None
    not_stored: str | None = Field(default=None, max_length=2000)
    last: bool = False
    next: Claim | None = None


class ReportResponse(Record):
    """The response to a report.

    Attributes:
        task_open: The task is not completed, because the command is retried: keep it alive and
            repeat the same claim. Otherwise, forget it.
        leave: The pool has no further commands, or the worker was stopped: exit without a poll.
        next: The response to `Report.next`; None: claim it after the task that is open.
    """

    task_open: bool = False
    leave: bool = False
    next: ClaimResponse | None = None


class UploadResponse(Record):
    """An address for the PUT of a large body.

    Attributes:
        url: Signed; valid for some minutes.
        key: Name of the body in a later request.
    """

    url: str = Field(repr=False)
    key: str


class WorkerEnd(Record):
    """The worker leaves.

    Attributes:
        reason: ``idle``, ``age``, ``once``, ``stopping`` or a sentence about a problem, e.g. that
            the image has no shell.
        broken: The user's container cannot run commands at all.
        offer: A task that it received after it was stopped: another worker can get it at once,
            rather than after a missed heartbeat.
        polling: It was stopped during a poll, which it wants to abort.
    """

    reason: str
    broken: bool = False
    offer: Claim | None = None
    polling: bool = False


class EndResponse(Record):
    """The response to the end of a worker.

    Attributes:
        wait: Do not abort the poll, which may still receive a task: wait for its end, and report
            the end again. After ``idle``: stay, and report it again after another idle time.
    """

    wait: bool = False


class LogResponse(Record):
    """The response to output.

    Attributes:
        followed: A client reads output of the pipeline now: send it every second. Otherwise a chunk
            every few seconds is enough, which costs less and is quicker to read.
    """

    followed: bool = False


# ----------------------------------------------------------------------------------------
# The warm pool of an installation: workers that stay for the next run of their pipeline.


#: Upper bounds of the setting.
MAX_WARM_WORKERS = 100
MAX_WARM_MINUTES = 120
#: Minutes that a worker stays, unless another number is set.
WARM_MINUTES = 10


class WarmPool(Record):
    """How many workers without work stay, and for how long.

    Attributes:
        workers: Maximum number in an organisation; 0: workers leave at once.
        seconds: Time for which each stays.
    """

    workers: int = Field(default=0, ge=0, le=MAX_WARM_WORKERS)
    seconds: float = Field(default=60.0 * WARM_MINUTES, gt=0, le=60.0 * MAX_WARM_MINUTES)
