"""The stored records of pipelines, which API responses contain.

Times are seconds since the epoch (float, UTC).
"""

from collections.abc import Iterator
from enum import StrEnum
from json.encoder import encode_basestring
from typing import Any, Literal, NamedTuple

from pydantic import Field

from conducto_core.approvals.model import WaitingApproval
from conducto_core.record import SCHEMA_VERSION, Record, trusted
from conducto_core.results.model import OutputSummary
from conducto_core.run.model.states import Cause, NodeType, State, StopReason


class Lifecycle(StrEnum):
    """The lifecycle states of a pipeline."""

    ACTIVE = "active"
    SLEEPING = "sleeping"
    ARCHIVED = "archived"


class ImageState(StrEnum):
    """The states of an image."""

    PENDING = "pending"
    QUEUED = "queued"
    CLONING = "cloning"
    PULLING = "pulling"
    BUILDING = "building"
    INSTALLING = "installing"
    COPYING = "copying"
    EXTENDING = "extending"
    DONE = "done"
    ERROR = "error"


class ImageRecord(Record):
    """One image of a pipeline, with the state of its build.

    Attributes:
        reference: The engine's reference of the image, once it is built.
        error: Last lines of a failed build.
    """

    name: str
    state: ImageState = ImageState.PENDING
    reference: str | None = None
    error: str | None = None
    started: float | None = None
    ended: float | None = None


class Counts(Record):
    """Execs of a subtree by state.

    Attributes:
        pending: Without the skipped ones, which do not run.
        skipped: Those that are skipped, whatever their state.
    """

    pending: int = 0
    queued: int = 0
    running: int = 0
    done: int = 0
    error: int = 0
    killed: int = 0
    skipped: int = 0

    @property
    def total(self) -> int:
        """Number of all Execs but those that are skipped instead of run."""
        return self.pending + self.queued + self.running + self.done + self.error + self.killed


class Period(NamedTuple):
    """Start and end of a run, in seconds since the epoch; None if unknown."""

    started: float | None = None
    ended: float | None = None


class Round(Record):
    """The stretch from one start of a pipeline to its next rest, or a part of it.

    Attributes:
        started: When its first command was queued, in seconds since the epoch.
        ended: When nothing ran or was queued any more; None while it lasts.
        continues: The pipeline waited only for approvals before it, so it is a part of the round
            before.
    """

    started: float
    ended: float | None = None
    continues: bool = False


class PipelineStatus(Record):
    """The last stored status of a pipeline.

    Attributes:
        settled: Nothing ran, was queued or would have started by itself.
        seq: Number of its newest change.
        started: Start of its first command.
        ended: Last time at which nothing ran any more.
        active_seconds: Total of the finished active periods, without the time between runs; None in
            a record of an older version.
        active_since: Start of the current active period; None if there is none.
        rounds: The newest active periods, oldest first; the last one may not have ended.
        warning: It is done, although commands whose failures are suppressed failed.
        approvals: Those that wait for a decision, the oldest first; at most 20.
    """

    state: State = State.PENDING
    counts: Counts = Counts()
    settled: bool = True
    seq: int = 0
    started: float | None = None
    ended: float | None = None
    active_seconds: float | None = None
    active_since: float | None = None
    rounds: tuple[Round, ...] = ()
    warning: bool = False
    approvals: tuple[WaitingApproval, ...] = ()


class ForeignChange(Record):
    """A change of what a pipeline's commands do, by a user other than its owner.

    Attributes:
        change: ``modify``, ``rebuild``, ``continue``, ``write_data``, ``delete_data`` or
            ``remote_shell``.
    """

    by: str
    change: str
    time: float


class ParentAttempt(Record):
    """The attempt whose command launched a pipeline.

    Attributes:
        depth: Number of pipelines above the launched one, up to one that a user launched.
    """

    pipeline: str
    path: str
    attempt: int
    depth: int


class GitOrigin(Record):
    """The event of a git repository that launched a pipeline.

    Attributes:
        trigger: Name of the trigger; "" for a launch from git by a person.
        provider: It gets the status of the commit.
        repository: ``owner/name`` of the trigger's repository.
        section: Section of ``.conducto.cfg``.
        url: Address of the repository that has the commit.
        branch: The branch or the tag.
        sha: The commit.
        untrusted: It is a pull request from a fork: its commands run without secrets, user data, a
            task role, a launch token and debug shells.
        path: The script that the repository's configuration runs at the commit, if a trigger of
            an administrator proves it; None also once a user has changed the pipeline.
        base: The commit or branch that the changed files are compared with, or "".
        base_branch: Branch that a pull request or merge queue is merged into, or "".
    """

    trigger: str
    provider: Literal["github", "gitlab", "bitbucket", "gitea", "generic"]
    repository: str
    section: str
    url: str
    branch: str
    sha: str
    untrusted: bool = False
    path: str | None = None
    base: str = ""
    base_branch: str = ""


class LaunchCommit(Record):
    """The commit of the clone that a pipeline's script was launched from.

    Attributes:
        dirty: Files that git knows had changes.
    """

    sha: str = Field(max_length=64)
    branch: str | None = Field(default=None, max_length=300)
    dirty: bool = False


class PipelineRecord(Record):
    """A pipeline as listed.

    Attributes:
        armed: The pipeline was run and not paused: every Exec that can start is started.
        retention: Days it is kept after its last activity; 0 means without a limit.
        program: Host path of the script that launched it, if known.
        function: Name of the function that made its tree, if known.
        arguments: ``{parameter: value}`` of that function as on the command line, shortened;
            values that look like secrets are left out.
        revision: Number of times that its definition was replaced; the tree is then another one.
        problem: Reason why it was paused automatically, e.g. because the engine is unavailable.
        foreign_change: The first change by a user other than the owner. Since then commands run
            without the owner's user secrets (`conducto_core.secrets.rules`).
        parent: The attempt whose command launched it; None if a user did.
        copy_of: The pipeline whose tree a user launched again.
        notification_rules: Names of the rules that applied when it was launched.
        alerts: Those that were reported in the current active period, ``RULE EVENT START``.
        git: The event that launched it; None if it was not a trigger.
        commit: That of the clone that it was launched from, if any.
        partition: The key of the partition that it is launched for.
        backfill: Number of the partitions of a backfill; 0: it is none.
        secret_set: Set of secrets that its commands get, besides those without a set.
        no_cache: Its cached commands run in any case, and their outcomes replace those in the
            cache.
    """

    schema_version: int = SCHEMA_VERSION
    id: str
    title: str
    doc: str | None = None
    tags: tuple[str, ...] = ()
    owner: str = ""
    mode: Literal["local", "cloud"] = "local"
    engine: Literal["docker", "process"] = "docker"
    armed: bool = False
    sleep_when_done: bool = False
    run_at: float | None = None
    lifecycle: Lifecycle = Lifecycle.ACTIVE
    retention: int = 7
    program: str | None = None
    function: str | None = None
    arguments: dict[str, str] = {}
    revision: int = 0
    problem: str | None = None
    foreign_change: ForeignChange | None = None
    parent: ParentAttempt | None = None
    copy_of: str | None = None
    notification_rules: tuple[str, ...] = ()
    alerts: tuple[str, ...] = ()
    git: GitOrigin | None = None
    commit: LaunchCommit | None = None
    partition: str | None = None
    backfill: int = 0
    no_cache: bool = False
    secret_set: str = ""
    status: PipelineStatus = PipelineStatus()
    created: float = 0.0
    touched: float = 0.0


class Actor(Record):
    """The person or program that requested an action.

    Attributes:
        user: Id of the person.
        assistant: The program that they let request it, as it names itself, or ``an assistant``;
            None: they did it themselves, or a program with a token of all their rights.
    """

    user: str
    assistant: str | None = None

    @property
    def text(self) -> str:
        """For people: ``Claude Code for ada``."""
        return self.user if self.assistant is None else f"{self.assistant} for {self.user}"


class NodeState(Record):
    """The state of a node.

    Attributes:
        warning: Done although a failure below it was suppressed.
        attempt: Number of the newest attempt; 0 if there is none.
        tries: Attempts since the node was created or last reset by a user.
        lost: Attempts repeated because of ``retry_lost``, since then.
        lost_starts: Attempts repeated because the container was lost before the command started.
        interruptions: Attempts repeated because AWS interrupted their Spot worker.
        expired: Its own ``max_time`` ran out; not that of a group above it.
        mem: Memory in GB that a retry requested, instead of the definition's.
        stop_reason: Reason for which a running Exec is being stopped; a restarted agent completes
            the stop.
        retry_at: When a failed attempt is retried, in seconds since the epoch; the node is pending.
        fresh: A user reset it after it had run, so the cache does not apply until it is done.
        known: Of an approval that is done: the values of its form. Of a command that is done, and
            whose result a condition compares: the compared parts (`conducto.wire.conditions`).
        condition: ``false``: ``run_if`` skipped it. ``ignored``: a user unskipped it after that.
        actor: The user who requested the newest reset, skip, unskip, kill or edit of it; None:
            there was none, or a group above it was tried again by itself since.
    """

    path: str
    state: State = State.PENDING
    skipped: bool = False
    cause: Cause | None = None
    warning: bool = False
    attempt: int = 0
    tries: int = 0
    lost: int = 0
    lost_starts: int = 0
    interruptions: int = 0
    expired: bool = False
    mem: float | None = None
    stop_reason: StopReason | None = None
    retry_at: float | None = None
    fresh: bool = False
    known: dict[str, Any] | None = None
    condition: Literal["false", "ignored"] | None = None
    actor: Actor | None = None


class ApprovalDecision(Record):
    """The decision of a person about an approval.

    Attributes:
        by: Id of the person.
        values: Values of the form; None for an approval without one.
    """

    approved: bool
    by: str
    time: float
    comment: str | None = None
    values: dict[str, Any] | None = None


class FirstError(Record):
    """The first error in the output of a failed attempt (`conducto_core.diagnosis`).

    Attributes:
        signature: The line without the parts that differ between failures of one cause; at most 200
            bytes.
        text: The line, shortened; the last line of output that names no error.
        stream: The stream that has it; None: a message has it.
        line: Its number, counted from 0; None if it names no error.
        offset: The byte at which it starts.
    """

    signature: str = Field(max_length=400)
    text: str = Field(max_length=1000)
    stream: Literal["stdout", "stderr"] | None = None
    line: int | None = None
    offset: int | None = None


class CacheSource(Record):
    """The attempt whose outcome is in the cache.

    Attributes:
        seconds: How long it ran, which another command saves; None: not recorded.
        dollars: What a worker costs in this time; None: locally, or not recorded.
    """

    pipeline: str
    path: str
    attempt: int
    seconds: float | None = None
    dollars: float | None = None

    @property
    def text(self) -> str:
        """Its pipeline, path and number, for people."""
        return f"{self.pipeline} {self.path} attempt {self.attempt}"


class AttemptRecord(Record):
    """One attempt of an Exec, counted from 1.

    Attributes:
        command: The script as it ran.
        env: The environment as it ran, without values of secrets.
        image: The engine's reference of the image.
        container: Name of the container it ran in.
        position: Number of commands that the container had run before; 0 is a fresh one.
        hour: Dollars per hour of its machine, if it is one of a declared class.
        image_ready: Time when the image that it waited for became available; None if it did not
            wait for one, or if unknown.
        admitted: Time when the queue admitted it, so that only its container was missing; None
            before that, or if unknown.
        message: A sentence about a failure, e.g. the last lines of an image build.
        peak_memory: Bytes, if the engine reports them.
        output_bytes: Size of stdout and stderr together once it has ended; None if unknown.
        snapshot: The engine's reference of an image with the container's files after a failure;
            None if there is none.
        fingerprint: Digests of its inputs (`conducto_core.programs.rules.continuation`); None if
            they cannot be compared.
        interpreter: ``forked`` if its function ran in a fork of an interpreter that had imported
            its file; else the reason for a new interpreter. None for other commands.
        outputs: Its result, metrics and artifacts; None without any. While it runs, those that
            arrived so far.
        decision: Of an approval, once a person has decided.
        first_error: Of a failure with output; None also in records of earlier versions.
        from_cache: The attempt whose outcome it has, because its inputs are equal; it did not run.
        cache: Of a cached command that ran: the reason why its outcome was not in the cache.
        not_stored: Why the outcome of a cached command is not in the cache.
        actor: The user who requested it, for example by a rerun; None: it is a retry, or the first
            one of its pipeline.
    """

    path: str
    number: int
    state: State
    cause: Cause | None = None
    message: str | None = None
    exit_code: int | None = None
    command: str = ""
    env: dict[str, str] = {}
    image: str | None = None
    container: str | None = None
    position: int | None = None
    cpu: float | None = None
    mem: float | None = None
    hour: float | None = None
    queued: float | None = None
    image_ready: float | None = None
    admitted: float | None = None
    started: float | None = None
    ended: float | None = None
    peak_memory: int | None = None
    output_bytes: int | None = None
    snapshot: str | None = None
    fingerprint: str | None = None
    interpreter: str | None = None
    outputs: OutputSummary | None = None
    decision: ApprovalDecision | None = None
    first_error: FirstError | None = None
    from_cache: CacheSource | None = None
    cache: str | None = None
    not_stored: str | None = None
    actor: Actor | None = None


class NodeChange(Record):
    """One state transition, as published.

    Attributes:
        seq: Number of the change in its pipeline, counted from 1 without gaps.
        exit_code: The newest attempt's, once it has ended.
        output_bytes: The same: size of its stdout and stderr together; None if unknown.
    """

    seq: int
    time: float
    path: str
    type: NodeType
    state: State
    skipped: bool = False
    cause: Cause | None = None
    warning: bool = False
    attempt: int = 0
    exit_code: int | None = None
    output_bytes: int | None = None


_CHANGED = set(NodeChange.model_fields)
_JSON = {False: "false", True: "true"}


class ChangeRow(NamedTuple):
    """A `NodeChange` with the same fields.

    A tuple, because arming a pipeline makes one for each of its nodes: as records, those of 100,000
    nodes would take 90 MB.
    """

    seq: int
    time: float
    path: str
    type: NodeType
    state: State
    skipped: bool
    cause: Cause | None
    warning: bool
    attempt: int
    exit_code: int | None
    output_bytes: int | None

    def json(self) -> str:
        """Return the JSON of the record, in a third of the time of making and dumping it."""
        cause = "null" if self.cause is None else f'"{self.cause.value}"'
        exit_code = "null" if self.exit_code is None else self.exit_code
        output_bytes = "null" if self.output_bytes is None else self.output_bytes
        return (
            f'{{"seq":{self.seq},"time":{self.time},"path":{encode_basestring(self.path)},'
            f'"type":"{self.type.value}","state":"{self.state.value}",'
            f'"skipped":{_JSON[self.skipped]},"cause":{cause},"warning":{_JSON[self.warning]},'
            f'"attempt":{self.attempt},"exit_code":{exit_code},"output_bytes":{output_bytes}}}'
        )

    def published(self) -> NodeChange:
        """Return the record."""
        return trusted(NodeChange, self._asdict(), _CHANGED)


# ----------------------------------------------------------------------------------------
# The waits of an attempt before it runs: for its image, its turn, its container.


WaitKind = Literal[
    "image",
    "turn",
    "limit",
    "start",
    "approval",
    "workers",
    "plan",
    "spend_limit",
    "schedule",
    "retry",
    "budget",
    "capacity",
    "same_command",
]
"""The kinds of waits of nodes, for all clients; `conducto_core.run.rules.waits` has the sentence of
each. ``turn`` is the wait for an earlier node, a place in a group or on the machine; ``limit`` that
for a named limit, ``start`` that for its container, ``approval`` that for a person, ``workers``
that for workers which others have or AWS did not start, ``plan`` that for an allowance of the plan,
``schedule`` that for the time at which the pipeline starts, ``retry`` that for the time of the next
attempt, ``budget`` that for a higher budget of a node, ``capacity`` that for a machine of AWS, and
``same_command`` that for the outcome of a cached command with equal inputs."""

PhaseKind = Literal["image", "turn", "start", "unknown"]
"""The kinds of recorded waits of an attempt; ``unknown`` is a wait of which no details are
recorded."""


class Wait(NamedTuple):
    """The reason why a node does not run.

    Attributes:
        text: The reason as a sentence.
        kind: None for a node that a user stopped or skipped, or whose pipeline does not run.
        since: Since when it waits, in seconds since the epoch; None if unknown.
        holder: The node, person, plan or other commands that it waits for; None if there is none.
        remedy: How to end the wait, maybe with a command; None if nothing ends it sooner.
        until: When it ends, in seconds since the epoch; None if unknown.
    """

    text: str
    kind: WaitKind | None = None
    since: float | None = None
    holder: str | None = None
    remedy: str | None = None
    until: float | None = None

    def __str__(self) -> str:
        """Return the sentence with its remedy."""
        return self.text if self.remedy is None else f"{self.text}; {self.remedy}"


class Phase(NamedTuple):
    """A part of a wait, in seconds since the epoch."""

    kind: PhaseKind
    begin: float
    end: float


def phases_of(attempt: AttemptRecord, until: float) -> Iterator[Phase]:
    """Yield the parts of an attempt's wait in order of time, without those that took no time.

    Args:
        attempt: It may not have started.
        until: End of the wait of an attempt that has not started.
    """
    begin = attempt.queued
    if begin is None:
        return
    steps: tuple[tuple[PhaseKind, float | None], ...] = (
        ("image", attempt.image_ready),
        ("turn", attempt.admitted),
        (_last(attempt), until if attempt.started is None else attempt.started),
    )
    for kind, end in steps:
        if end is not None and end > begin:
            yield Phase(kind, begin, end)
            begin = end


def _last(attempt: AttemptRecord) -> PhaseKind:
    if attempt.admitted is not None:
        return "start"
    return "turn" if attempt.image_ready is not None and attempt.started is None else "unknown"
