"""What the cloud side asks of AWS, in small ports; `chalicelib.testing` has a fake for each.

Everything a pipeline does is one list of `Entry`, its journal: entry number *n* can be written
once. Who loses that race reads on and decides anew, so any number of Lambdas may serve one
pipeline at the same time. What a pipeline is like follows from its definition and its journal
(`chalicelib.pipeline.CloudPipeline`); the other things in the store are there to be read quickly.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Literal, NamedTuple, Protocol

from conducto.model.answers import ChangedData, DataEntry, DataList, Deleted
from conducto.model.cloud_calls import RegistryLogin
from conducto.model.notifications import NotificationRecord
from conducto.model.records import AttemptRecord, NodeChange, PipelineRecord
from conducto.model.remote_shells import ShellSession
from conducto.model.usage import PipelineSpent
from conducto.semantics.asl import Machine

#: What commands print, and what they used meanwhile.
Stream = Literal["stdout", "stderr", "resources"]


class ConflictError(Exception):
    """Another one wrote first: read again, decide again."""


class ThrottledError(Exception):
    """The service asks to come back later; nothing was done."""


class PlanLimitError(Exception):
    """The organisation's plan does not allow it; the message says what to do."""


class CapacityError(Exception):
    """AWS has no room for another task now; the message is its own."""


@dataclass(frozen=True, slots=True)
class CloudRecord:
    """A pipeline as listed, and to whom it belongs."""

    org: str
    record: PipelineRecord


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened to a pipeline.

    Attributes:
        number: Counted from 1, without gaps.
        input: What happened, as JSON (`chalicelib.inputs`). No secrets; task tokens are in it.
        changes: The transitions that it led to, for who follows.
        attempts: Attempts that began or ended, as they are now.
        record: The pipeline's record afterwards, where it differs.
        workers: Workers that this entry adds to, or takes from, those the org has now.
        notifications: What somebody is to be told, secrets hidden: on its way from now on.
        open: `Store.open_pipelines` is to name the pipeline: it is not settled, or has workers.
    """

    number: int
    input: Mapping[str, Any]
    changes: Sequence[NodeChange] = ()
    attempts: Sequence[AttemptRecord] = ()
    record: PipelineRecord | None = None
    workers: int = 0
    notifications: Sequence[NotificationRecord] = ()
    open: bool = True


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A pipeline's state after an entry, so that its journal need not be read from the start."""

    number: int
    state: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """The notifications of one entry, on their way or arrived.

    Attributes:
        entry: Number of the entry.
        version: Counted up by each write, from 1.
        due: When somebody is to look after them, in seconds since the epoch; None: they have all
            arrived or been given up.
    """

    entry: int
    version: int
    due: float | None
    notifications: tuple[NotificationRecord, ...]


class Store(Protocol):
    """Pipelines and their journals (DynamoDB; what is large in S3)."""

    def create(self, record: CloudRecord, definition: bytes) -> None:
        """Keep a new pipeline. Raises `ConflictError` when the id is taken."""

    def record(self, org: str, pipeline_id: str) -> PipelineRecord | None:
        """Return a pipeline's record, as it is now (a consistent read)."""

    def records(
        self, org: str, *, after: str | None = None, limit: int = 100
    ) -> tuple[tuple[PipelineRecord, ...], str | None]:
        """Return pipelines of an org, the newest first, and where to go on ``after``."""

    def open_pipelines(self) -> Iterator[tuple[str, str]]:
        """Yield ``(org, pipeline id)`` of those whose newest entry is ``open``, over all orgs."""

    def resting_pipelines(self) -> Iterator[tuple[str, str]]:
        """Yield ``(org, pipeline id)`` of all others, over all orgs."""

    def forget(self, pipeline_id: str) -> None:
        """Delete all of a pipeline, its record last; one that is not there is no error."""

    def org_of(self, pipeline_id: str) -> str | None:
        """Return whose a pipeline is: for news from AWS, which name no org."""

    def definition(self, pipeline_id: str) -> bytes:
        """Return what `create` was given."""

    def keep_tree(self, pipeline_id: str, data: bytes) -> str:
        """Keep a generated tree and return its key; the same bytes give the same key."""

    def tree(self, pipeline_id: str, key: str) -> bytes:
        """Return a generated tree."""

    def commit(self, org: str, pipeline_id: str, entry: Entry) -> None:
        """Write an entry and all that goes with it, or nothing.

        Raises:
            ConflictError: there is an entry of that number.
            PlanLimitError: ``entry.workers`` is more than the org may add.
            ThrottledError: try again later.
        """

    def entries(self, pipeline_id: str, after: int) -> Iterator[Entry]:
        """Yield the entries beyond number ``after``, in order (consistent reads).

        Only ``number`` and ``input`` need be filled.
        """

    def snapshot(self, pipeline_id: str) -> Snapshot | None:
        """Return the newest snapshot."""

    def put_snapshot(self, pipeline_id: str, snapshot: Snapshot) -> None:
        """Keep a snapshot; an older one than is there is ignored."""

    def attempts(self, pipeline_id: str, path: str | None = None) -> Iterator[AttemptRecord]:
        """Yield attempts of a node, or of all nodes, by path and number."""

    def changes(self, pipeline_id: str, after: int, limit: int) -> Sequence[NodeChange]:
        """Return the transitions numbered beyond ``after``, in order."""

    def outgoing(self, pipeline_id: str) -> Iterator[Outgoing]:
        """Yield what was to be told, sent or not, by entry (consistent reads)."""

    def put_outgoing(self, org: str, pipeline_id: str, outgoing: Outgoing) -> None:
        """Write how notifications stand.

        Raises:
            ConflictError: another one has written since: it is not the version after that one.
        """

    def outgoing_due(self, now: float) -> Iterator[tuple[str, str]]:
        """Yield ``(org, pipeline id)``, once each, of those with notifications that are due.

        What was written in the last seconds may be missing.
        """

    def note_worker(self, pipeline_id: str, worker_id: str, time: float) -> None:
        """Note that a worker was heard of; no entry of the journal."""

    def workers_seen(self, pipeline_id: str) -> Mapping[str, float]:
        """Return ``{worker id: when it was last heard of}``."""


class LogKey(NamedTuple):
    """One output stream of one attempt."""

    pipeline_id: str
    path: str
    attempt: int
    stream: Stream


class LogStore(Protocol):
    """What commands print (S3, with an index in DynamoDB)."""

    def append(self, key: LogKey, offset: int, data: bytes) -> None:
        """Add bytes at ``offset``; what is there already is left, a gap is refused.

        Raises:
            ConflictError: ``offset`` is beyond the end.
        """

    def size(self, key: LogKey) -> int:
        """Return how many bytes there are."""

    def read(self, key: LogKey, offset: int, limit: int) -> bytes:
        """Return at most ``limit`` bytes from ``offset`` on."""

    def forget(self, pipeline_id: str) -> None:
        """Delete all output of a pipeline."""


class Blobs(Protocol):
    """Large things that clients and workers send and fetch by themselves (S3)."""

    def upload_url(self, key: str, *, size: int | None = None, seconds: int | None = None) -> str:
        """Return a URL that takes PUTs, for some minutes or ``seconds``."""

    def download_url(self, key: str, *, filename: str, seconds: int | None = None) -> str:
        """Return a URL that answers GETs, for some minutes or ``seconds``."""

    def exists(self, key: str) -> bool:
        """Return whether something is there."""

    def size(self, key: str) -> int | None:
        """Return how many bytes are there; None: there is nothing."""

    def put_at(self, key: str) -> float | None:
        """Return when what is there was put there, in seconds since the epoch; None: nothing is."""

    def get(self, key: str) -> bytes | None:
        """Return what is there."""

    def put(self, key: str, data: bytes) -> None:
        """Keep it."""

    def put_file(self, key: str, file: BinaryIO) -> None:
        """Keep what is in an open file, however large."""

    def pieces(self, key: str) -> Iterator[bytes] | None:
        """Return what is there in pieces of some MB, or None."""

    def delete(self, key: str) -> None:
        """Forget it; what is not there is no error."""


class FileFacts(NamedTuple):
    """What is known of a data file without reading it; ``version`` differs when it changes."""

    size: int
    version: str


class DataFiles(Protocol):
    """Data files, where the file system is; a ``directory`` is one of `model.deployment`'s.

    Every method raises `conducto.service.port.NotFoundError` for what is not there, and
    `RefusedError` for a name that leads out of the directory or is of the wrong kind.
    """

    def entries(self, directory: str, name: str, after: str | None, limit: int) -> DataList:
        """Return a page of the entries of a directory, by name."""

    def changed(self, directory: str, since: float, until: float | None, limit: int) -> ChangedData:
        """Return the files that were written last within a time, the newest first."""

    def look(self, directory: str, name: str) -> FileFacts:
        """Return how many bytes a file has, and which version of it is there."""

    def stage(self, directory: str, name: str, key: str) -> None:
        """Copy a file to a key of the bucket."""

    def write(self, directory: str, name: str, data: bytes) -> DataEntry:
        """Put a file of at most 4 MB there."""

    def fetch(self, directory: str, name: str, key: str) -> DataEntry:
        """Put a file there that is at a key of the bucket."""

    def begin(self, what: Literal["stage", "fetch"], directory: str, name: str, key: str) -> None:
        """Begin to stage or fetch a file, and return at once; see `chalicelib.long_copies`."""

    def delete(self, directory: str, name: str) -> Deleted:
        """Delete a file, or a directory with what is in it."""

    def forget(self, directory: str) -> None:
        """Delete a directory of `model.deployment`'s; one that is not there is no error."""


class TaskGoneError(Exception):
    """The execution that waited for this task does not any more."""


class StateMachines(Protocol):
    """Step Functions. Every call may be repeated."""

    def ensure_activity(self, name: str) -> None:
        """Make an activity known."""

    def forget_activity(self, activity_arn: str) -> None:
        """Delete an activity; one that is not there is no error."""

    def create(self, machine: Machine) -> None:
        """Make a machine known; one that is known already is left alone."""

    def forget(self, machine_arn: str) -> None:
        """Delete a machine, which ends its executions; one that is not there is no error."""

    def machine_of(self, execution_arn: str) -> str:
        """Return the ARN of the machine that an execution runs."""

    def runs(self) -> Iterator[tuple[str, str]]:
        """Yield ``(run, machine ARN)`` of machines that this installation made for a run."""

    def start(self, machine_arn: str, run: str, data: Mapping[str, object]) -> str:
        """Start an execution named after ``run``, unless there is one; return its ARN."""

    def stop(self, execution_arn: str, reason: str) -> None:
        """Abort an execution and those it started; one that has ended is no error."""

    def status(self, execution_arn: str) -> str:
        """Return ``RUNNING SUCCEEDED FAILED TIMED_OUT ABORTED``."""

    def succeed(self, token: str, output: Mapping[str, object]) -> None:
        """Answer a task; raises `TaskGoneError`."""

    def fail(self, token: str, error: str, cause: str = "") -> None:
        """Fail a task; raises `TaskGoneError`."""


@dataclass(frozen=True, slots=True)
class WorkerTask:
    """A worker to start.

    Attributes:
        worker_id: Ours; starting it twice starts it once.
        pool: Name of the pool (`conducto.semantics.asl_site.pool_name`).
        image: What the registry knows the user's image by.
        cpu: vCPUs of the user's container, as the definition asks; rounded up here.
        mem: GB.
        token: The worker's own token, for the agent container only.
        user: Whose data is mounted at /conducto/data/user.
        shell: It is entered by people (ECS Exec) and takes no tasks.
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
    spot: bool = False
    shell: bool = False


class TaskLook(NamedTuple):
    """How a task is.

    Attributes:
        status: In ECS's own word, e.g. ``PENDING``.
        reason: Why it stopped, or is about to.
        connected: It can be entered.
    """

    status: str
    reason: str = ""
    connected: bool = False


class Fleet(Protocol):
    """ECS on Fargate: the only caller of RunTask."""

    def start(self, task: WorkerTask) -> str:
        """Start a worker and return its task's ARN.

        Raises:
            CapacityError: no room now.
            ThrottledError: try again later.
        """

    def stop(self, task_arn: str, reason: str) -> None:
        """Stop a worker; one that is gone is no error."""

    def running(self, pipeline_id: str) -> Mapping[str, str]:
        """Return ``{worker id: task ARN}`` of the tasks that are not stopped."""

    def look(self, task_arn: str) -> TaskLook | None:
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


class Shells(Protocol):
    """Debug shells; each counts as one of its org's workers until it has ended.

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


class SecretVault(Protocol):
    """Values of secrets by scope (Secrets Manager): one JSON object a scope."""

    def read(self, scope: str) -> Mapping[str, Mapping[str, Any]]:
        """Return ``{key: {"value": …, "mask": …, "updated": …}}``; empty when there is none."""

    def look(self, scope: str) -> tuple[Mapping[str, Mapping[str, Any]], str]:
        """Return the same, and the version it is; an empty one when there is none."""

    def replace(self, scope: str, secrets: Mapping[str, Mapping[str, Any]], version: str) -> None:
        """Put secrets in the place of a version of the scope's.

        Raises:
            ConflictError: it has another version by now; nothing was changed.
        """


@dataclass(frozen=True, slots=True)
class Identity:
    """Who calls.

    Attributes:
        permissions: Of `conducto.service.routes.Permission`, or ``worker``.
        worker: Of a worker's token: ``(pipeline id, pool, worker id)``.
        token: Digest of the token that says so; "" before it is kept.
        parent: Digest of the token that it was made from, and that it ends with.
    """

    org: str
    user: str
    permissions: frozenset[str]
    worker: tuple[str, str, str] | None = None
    token: str = field(default="", compare=False)
    parent: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class KnownToken:
    """A token as listed; the token itself is kept nowhere.

    Attributes:
        created: When it was made.
        expires: When it ends; None: never.
    """

    digest: str
    identity: Identity
    created: float
    expires: float | None


class Tokens(Protocol):
    """Opaque tokens; only their SHA-256 is kept."""

    def put(
        self, digest: str, identity: Identity, *, expires: float | None, parent: str | None = None
    ) -> None:
        """Make a token known; with a ``parent`` it is good as long as that one is, too."""

    def find(self, digest: str) -> Identity | None:
        """Return whose token it is, unless it or its parent has expired or was taken back."""

    def take(self, digest: str) -> bool:
        """Take a token back; return whether it was there: of many who try, one hears so."""

    def known(self, org: str) -> Sequence[KnownToken]:
        """Return an org's tokens, the newest first; none of workers, and none with a parent."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What an organisation may do at once.

    Attributes:
        name: ``free`` or ``scale``.
        max_workers: Workers at once.
        max_pipelines: Active pipelines.
        max_cpu: vCPUs of one worker.
        exec_minutes: Minutes of commands a month; None: any number.
    """

    name: str = "free"
    max_workers: int = 2
    max_pipelines: int = 5
    max_cpu: float = 4.0
    exec_minutes: float | None = 1000.0


@dataclass(frozen=True, slots=True)
class Spender:
    """The pipeline that something was used for.

    Attributes:
        title: As it is now.
        dollars: What the use cost.
    """

    pipeline_id: str
    title: str
    dollars: float


class Orgs(Protocol):
    """Organisations and their plans."""

    def plan(self, org: str) -> Plan:
        """Return an org's plan; the free one when nothing else is known."""

    def set_plan(self, org: str, plan: Plan) -> None:
        """Change it."""

    def workers(self, org: str) -> int:
        """Return how many workers the org has now."""

    def plan_and_workers(self, org: str) -> tuple[Plan, int]:
        """Return both of one moment, for the price of one."""

    def add_usage(
        self,
        org: str,
        month: str,
        key: str,
        seconds: float,
        cpu: float,
        *,
        whose: Spender | None = None,
    ) -> None:
        """Count a worker's or an Exec's seconds once: ``key`` names what was metered.

        What has a spender is in the pipeline's sums of the month, too, which outlive it.

        Raises:
            ThrottledError: it is to be tried again: others count at the same time.
        """

    def spent(self, org: str, month: str) -> Sequence[PipelineSpent]:
        """Return what each pipeline took in a month, without its nodes."""

    def usage(self, org: str, month: str) -> Mapping[str, float]:
        """Return ``{"exec_seconds": …, "cpu_seconds": …}`` of a month, e.g. ``2026-11``."""


class Connections(Protocol):
    """Open WebSockets, whose each is, and what it follows."""

    def opened(self, connection: str, org: str) -> None:
        """Note whose a connection is."""

    def org_of(self, connection: str) -> str | None:
        """Return whose a connection is; None: nobody has said so far."""

    def put(self, connection: str, org: str, pipeline_id: str, cursor: int) -> None:
        """Note what a connection follows and how far it is told."""

    def followers(self, pipeline_id: str) -> Sequence[tuple[str, int]]:
        """Return ``(connection, cursor)`` of who follows a pipeline."""

    def delete(self, connection: str) -> None:
        """Forget it."""

    def send(self, connection: str, data: bytes) -> bool:
        """Send a frame; False when the connection is gone."""


@dataclass(frozen=True, slots=True)
class BuildOrder:
    """The build of an image.

    Attributes:
        org: Whose.
        pipeline_id: Who is told first of its end.
        tag: In the registry.
        again: Number of the try: the same order within some minutes is one build.
        urls: ``{environment variable: URL}`` of what the build fetches and delivers.
    """

    org: str
    pipeline_id: str
    tag: str
    again: str
    urls: Mapping[str, str] = field(repr=False)


BuildStatus = Literal["queued", "running", "succeeded", "failed", "timed_out", "stopped", "gone"]


class Builder(Protocol):
    """What builds images from recipes (CodeBuild), and the registry that they go to (ECR).

    An organisation's images are apart from those of others.
    """

    def reference(self, org: str, tag: str) -> str:
        """Return what workers know an image by."""

    def exists(self, org: str, tag: str) -> bool:
        """Return whether the registry has an image."""

    def login(self, org: str, user: str) -> RegistryLogin | None:
        """Return a log-in for a user who pushes images; it is good for the organisation's alone.

        None: who builds on the same engine as workers run on needs none.
        """

    def start(self, order: BuildOrder) -> str:
        """Start a build, once for equal orders; return its id.

        Raises:
            ThrottledError: try again later.
        """

    def status(self, build_id: str) -> BuildStatus:
        """Return how a build is; ``gone`` where nobody knows it any more."""
