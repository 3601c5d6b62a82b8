"""The events of a cloud pipeline: the inputs in its journal. They contain no secrets.

Rules for editors: an event records what happened, never its consequences. Values that cannot be
reproduced when the journal is read (the time, random ids, masked texts) are part of the event.
Journals of older versions are still read: changing an event requires a step in
`chalicelib.run.rules.snapshots`.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from chalicelib.people.port import Share
from conducto_core.cache.model import CacheInputs
from conducto_core.images.model import CloneSource
from conducto_core.notifications.model import NotificationEvent
from conducto_core.record import Record
from conducto_core.results.model import OutputSummary
from conducto_core.run.model.records import (
    Actor,
    ApprovalDecision,
    AttemptRecord,
    FirstError,
    ImageState,
    Wait,
)
from conducto_core.run.model.requests import Action
from conducto_core.run.model.states import Cause
from conducto_core.workers.model import WarmPool
from conducto_core.workers.rules.start_failures import StartFailure


class BuiltImage(Record):
    """The current state of an image.

    Attributes:
        reference: The image reference that ECS pulls.
        shell: Path of the shell in it; None: the worker chooses the best one.
        tag: Tag in the registry, for images that are built here.
        salt: Part of the tag of a rebuilt image.
        contexts: Content hashes of uploaded directories that its build needs.
        build: Id of its build, once that was started.
        clone: The repository, if its build gets a token for it.
        base: Identity of the image below the copied files; None: made by an earlier version.
        code: Identity of the copied files (`chalicelib.images.manifests`); "" without any.
        arch: Architecture of its workers, as commands ask for it.
    """

    name: str
    state: ImageState
    reference: str | None = None
    shell: str | None = None
    workdir: str | None = None
    path_map: dict[str, str] = Field(default={})
    error: str | None = None
    tag: str | None = None
    salt: str = ""
    contexts: tuple[str, ...] = ()
    build: str | None = None
    clone: CloneSource | None = None
    base: str | None = None
    code: str = ""
    arch: str = ""


class PipelineEvent(Record):
    """The base class of events.

    Attributes:
        time: Seconds since the epoch.
    """

    time: float


class ActionRequested(PipelineEvent):
    """A user or a schedule requested an action.

    Attributes:
        edits: For ``modify``: the complete edits of each node
            (`conducto_core.tree.rules.resolve.Edits`).
        images: Images that nodes use from now on; for ``rebuild``: to be built.
        by: The user; "": a rule of the installation.
        assistant: As that of `conducto_core.run.model.records.Actor`.
        problem: Why the pipeline was paused, unless a user paused it.
    """

    kind: Literal["ordered"] = "ordered"
    action: Action
    paths: tuple[str, ...] = ()
    edits: dict[str, dict[str, Any]] = Field(default={})
    images: tuple[BuiltImage, ...] = ()
    by: str = ""
    assistant: str | None = None
    problem: str | None = None

    @property
    def actor(self) -> Actor | None:
        """Return who requested it; None: nobody."""
        return Actor(user=self.by, assistant=self.assistant) if self.by else None


class Claimed(PipelineEvent):
    """A worker polled a task.

    Attributes:
        attempt: The record of the attempt that starts; None: the command does not start.
        refusal: Why the command of the attempt cannot be prepared.
        refusal_cause: The cause of the failure then.
        cached: The inputs of a command with a cache, if its outcome may be stored.
    """

    kind: Literal["claimed"] = "claimed"
    worker: str
    token: str = Field(repr=False)
    run: str
    node: str
    waits: bool = False
    attempt: AttemptRecord | None = None
    refusal: str | None = None
    refusal_cause: Cause = Cause.IMAGE
    cached: CacheInputs | None = None


class CacheHit(Record):
    """A command that does not run, because its outcome is in the cache.

    Attributes:
        attempt: Its record, with the attempt that ran.
        output_bytes: Size of its output, which is that of the other attempt.
        outputs: Summary of its result and metrics.
        known: See `conducto_core.run.model.records.NodeState`.
    """

    attempt: AttemptRecord
    output_bytes: int = 0
    outputs: OutputSummary | None = None
    known: dict[str, Any] | None = None


class CacheMiss(Record):
    """A command that runs although it has a cache.

    Attributes:
        flight: The key of its flight, for which equal commands wait; None: none does.
    """

    path: str
    attempt: int
    reason: str
    flight: str | None = None


class CacheWait(Record):
    """A command that waits for the outcome of an equal one.

    Attributes:
        holder: That command, for people.
        key: The key of its flight.
    """

    path: str
    attempt: int
    holder: str
    key: str


class CacheDecided(PipelineEvent):
    """Commands with a cache may start, and the table says whether they run.

    Attributes:
        late: The execution has started, and workers may claim the tasks of hits.
    """

    kind: Literal["cache_decided"] = "cache_decided"
    late: bool = False
    hits: tuple[CacheHit, ...] = ()
    misses: tuple[CacheMiss, ...] = ()
    waits: tuple[CacheWait, ...] = ()


class MapExpanded(PipelineEvent):
    """The items of a map became known, or the reason why there are none.

    Attributes:
        cause: Why it failed; None: it did not.
        message: The reason.
        tree_key: Key of its tree, if it did not fail.
        images: Images that the tree needs.
        output_bytes: Size of its output.
        fingerprint: That of its inputs.
    """

    kind: Literal["map_expanded"] = "map_expanded"
    path: str
    attempt: int
    cause: Cause | None = None
    message: str | None = None
    tree_key: str | None = None
    images: tuple[BuiltImage, ...] = ()
    output_bytes: int = 0
    fingerprint: str | None = None


class Reported(PipelineEvent):
    """A command ended.

    Attributes:
        tree_key: Key of the tree that a Lazy generated.
        images: Images that the tree needs.
        last: The worker takes no further command.
        excused: Only quarantined tests failed.
        not_stored: Why the files of a cached command cannot be stored.
        known: See `conducto_core.run.model.records.NodeState`.
        next: The claim of the worker's next task. Its attempt starts only if it may start in the
            state after the report.
    """

    kind: Literal["reported"] = "reported"
    worker: str
    path: str
    attempt: int
    cause: Cause | None = None
    exit_code: int | None = None
    message: str | None = None
    seconds: float = 0.0
    peak_memory: int | None = None
    output_bytes: int | None = None
    outputs: OutputSummary | None = None
    interpreter: str | None = None
    first_error: FirstError | None = None
    tree_key: str | None = None
    images: tuple[BuiltImage, ...] = ()
    last: bool = False
    excused: bool = False
    not_stored: str | None = None
    known: dict[str, Any] | None = None
    next: Claimed | None = None


class OutputsArrived(PipelineEvent):
    """A running command sent a new metric or artifact."""

    kind: Literal["outputs"] = "outputs"
    path: str
    attempt: int
    outputs: OutputSummary


class ApprovalDecided(PipelineEvent):
    """A person decided an approval."""

    kind: Literal["approval_decided"] = "approval_decided"
    path: str
    attempt: int
    decision: ApprovalDecision


class Changed(PipelineEvent):
    """A user changed the pipeline's data, or opened a debug shell.

    Attributes:
        by: The user.
        change: See `conducto_core.run.model.records.ForeignChange`.
    """

    kind: Literal["changed"] = "changed"
    by: str
    change: str


class WorkerStarted(PipelineEvent):
    """A worker started.

    Attributes:
        task: ARN of its task.
        protocol: Its protocol version (`conducto_core.workers.model.PROTOCOL`).
        key: Digest of its agent's key.
    """

    kind: Literal["worker_up"] = "worker_up"
    worker: str
    task: str
    protocol: int
    key: str | None = None


class WorkerLost(PipelineEvent):
    """A worker was lost, or is leaving.

    Attributes:
        cause: The cause with which its unfinished command ends.
        failure: How to count it if it never ran a command; None: it left normally.
        unexplained: Reported by the worker itself; the ECS event about its task adds the reason and
            the times.
        began: When AWS began to charge for its task, if known.
        ended: When its task ended, if known.
        handed: A task that it polled too late and returns.
    """

    kind: Literal["worker_gone"] = "worker_gone"
    worker: str
    reason: str
    cause: Cause = Cause.WORKER_LOST
    failure: StartFailure | None = None
    unexplained: bool = False
    began: float | None = None
    ended: float | None = None
    handed: Claimed | None = None


class ExecutionStarted(PipelineEvent):
    """A Step Functions execution was started."""

    kind: Literal["begun"] = "begun"
    run: str
    arn: str


class ExecutionEnded(PipelineEvent):
    """An execution ended with a Step Functions status."""

    kind: Literal["execution_ended"] = "execution_ended"
    run: str
    status: str


class ImagesUpdated(PipelineEvent):
    """Image builds made progress."""

    kind: Literal["images_moved"] = "images_moved"
    images: tuple[BuiltImage, ...]


class TimeLimitsExpired(PipelineEvent):
    """The time limits of nodes expired."""

    kind: Literal["deadlines_passed"] = "deadlines_passed"
    paths: tuple[str, ...]


class SpendLimitReached(PipelineEvent):
    """The grace period at the organisation's spend limit is over: running commands stop."""

    kind: Literal["spend_limit"] = "spend_limit"


class ChildMetered(PipelineEvent):
    """The cost so far of a child, which counts in the budgets above its parent's command.

    Attributes:
        child: Its id.
        path: The command that launched it.
        ended: It has settled.
    """

    kind: Literal["child"] = "child"
    child: str
    path: str
    dollars: float
    ended: bool = False


class CapacityUnavailable(PipelineEvent):
    """AWS refused to start a worker.

    Attributes:
        failure: The category of AWS's message.
        contended: Other pipelines of the organisation have workers, which may free capacity.
    """

    kind: Literal["capacity_missing"] = "capacity_missing"
    worker: str
    message: str
    failure: StartFailure = StartFailure.THROTTLED
    contended: bool = False


class Alerted(PipelineEvent):
    """Alerts of notification rules (`conducto_core.notifications.rules.Alert`)."""

    kind: Literal["alerted"] = "alerted"
    alerts: tuple[tuple[str, NotificationEvent, str, str], ...]


class TreeReplaced(PipelineEvent):
    """A user continued the pipeline with a changed tree.

    Attributes:
        definition: Key of the new definition (`chalicelib.run.rules.state.define`).
        plan: Key of the plan (`conducto_core.programs.model.PlanRecord`).
        generated: Targets of the generated trees that remain, outer ones first.
        images: The images of the new tree.
        by: The user.
    """

    kind: Literal["tree_replaced"] = "tree_replaced"
    definition: str
    plan: str
    generated: tuple[str, ...] = ()
    images: tuple[BuiltImage, ...] = ()
    by: str = ""


class ExecutionLost(PipelineEvent):
    """An execution was not started, or waits for a task that no worker will complete."""

    kind: Literal["run_lost"] = "run_lost"
    run: str


class HealthChecked(PipelineEvent):
    """A periodic check, at which workers may start that could not start before.

    Attributes:
        spared: Idle workers that stop, because another pipeline waits for a worker.
        keeps: Number of workers to keep; further ones stop after their commands. None: no change.
    """

    kind: Literal["looked"] = "looked"
    spared: tuple[str, ...] = ()
    keeps: int | None = None


Input = Annotated[
    ActionRequested
    | Alerted
    | ApprovalDecided
    | CacheDecided
    | Changed
    | Claimed
    | MapExpanded
    | Reported
    | OutputsArrived
    | WorkerStarted
    | WorkerLost
    | ExecutionStarted
    | ExecutionEnded
    | ImagesUpdated
    | TimeLimitsExpired
    | SpendLimitReached
    | ChildMetered
    | CapacityUnavailable
    | ExecutionLost
    | HealthChecked
    | TreeReplaced,
    Field(discriminator="kind"),
]


class WorkerLaunch(Record):
    """A worker launch.

    Attributes:
        pool: Name of its pool.
        spot: Whether it is a Spot task.
    """

    worker: str
    pool: str
    spot: bool = False


class Submitted(Record):
    """An input and the request that submits it.

    Attributes:
        id: Random id of the request; an input takes effect once.
        seen: Number of the latest entry that the request had read when it decided on the input.
    """

    id: str
    input: Input
    seen: int = 0

    def written(self) -> dict[str, Any]:
        """Return it as JSON, without default values."""
        written = self.model_dump(mode="json", exclude_defaults=True)
        written["input"]["kind"] = self.input.kind
        return written


#: Why the plan allows no further worker; None: it does.
Shortage = Wait | None


class JournalEntry(Record):
    """The contents of a journal entry: the inputs of one or more requests, and the decisions.

    Attributes:
        inputs: The inputs, in the order in which they take effect.
        refused: ``{id: reason}`` of inputs without effect, whose requests must decide again.
        writer: Id of the request that wrote it.
        hires: Workers that are launched because of it.
        limited: Why the plan does not allow further workers that are needed.
        withheld: Why a ``new`` group gets no worker although one is free.
        share: The pipeline's new share of the organisation's workers, if it changed.
        warm: The warm pool from this entry on, if the installation has another one.
        listed: The pipeline's record is written with it.
        metered: The usage since the last such entry is metered because of it.
    """

    inputs: tuple[Submitted, ...] = ()
    refused: dict[str, str] = Field(default={})
    writer: str = ""
    hires: tuple[WorkerLaunch, ...] = ()
    limited: Shortage = None
    withheld: Shortage = None
    share: Share | None = None
    warm: WarmPool | None = None
    listed: bool = False
    metered: bool = False

    def written(self) -> dict[str, Any]:
        """Return the entry as JSON, without default values."""
        written = self.model_dump(mode="json", exclude_defaults=True)
        for item, submitted in zip(written.get("inputs", ()), self.inputs, strict=True):
            item["input"]["kind"] = submitted.input.kind
        return written


def may_wait(happened: Input) -> bool:
    """Return whether an input may take effect some entries after its request decided on it.

    Such inputs do not change what other requests of this kind depend on, except as
    `chalicelib.run.rules.pipeline` checks.
    """
    match happened:
        case CacheDecided() | Claimed() | OutputsArrived() | WorkerStarted() | WorkerLost():
            return True
        case Reported():
            return happened.tree_key is None
        case _:
            return False
