"""What can happen to a cloud pipeline: the entries of its journal. No secrets are in them.

Rules for editors: an input says what happened, never what follows from it; what cannot be known
again when the journal is read (the time, random ids, what a secret hid) is in the input. Journals
that older versions wrote are still read: what changes in an input is a step of
`chalicelib.domain.schema_migrations`.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from chalicelib.ports import Share
from conducto_core.model.base import Record
from conducto_core.model.records import AttemptRecord, ImageState
from conducto_core.model.requests import Action
from conducto_core.model.states import Cause
from conducto_core.semantics.start_failures import StartFailure


class BuiltImage(Record):
    """An image as it is now.

    Attributes:
        reference: What ECS knows it by.
        shell: Path of the shell in it; None: the worker looks for the best.
        tag: What the registry knows it by, where it is built here.
        contexts: Content hashes of uploaded directories that its build needs.
        build: Id of its build, once that was started.
    """

    name: str
    state: ImageState
    reference: str | None = None
    shell: str | None = None
    workdir: str | None = None
    path_map: dict[str, str] = Field(default={})
    error: str | None = None
    tag: str | None = None
    contexts: tuple[str, ...] = ()
    build: str | None = None


class PipelineEvent(Record):
    """The base of all inputs.

    Attributes:
        time: When, in seconds since the epoch.
    """

    time: float


class ActionRequested(PipelineEvent):
    """A person, or a schedule, ordered something.

    Attributes:
        edits: For ``modify``: the edits of each node, whole
            (`conducto_core.semantics.resolve.Edits`).
        images: Such as nodes use from now on; for ``rebuild``, as they are to be built.
        by: Who.
        problem: Why the pipeline is paused, where nobody asked for it.
    """

    kind: Literal["ordered"] = "ordered"
    action: Action
    paths: tuple[str, ...] = ()
    edits: dict[str, dict[str, Any]] = Field(default={})
    images: tuple[BuiltImage, ...] = ()
    by: str = ""
    problem: str | None = None


class Claimed(PipelineEvent):
    """A worker was handed a task.

    Attributes:
        attempt: It runs its command; the record is that of the attempt as it begins.
        refusal: ... or would, but its command cannot be prepared: why.
    """

    kind: Literal["claimed"] = "claimed"
    worker: str
    token: str = Field(repr=False)
    run: str
    node: str
    waits: bool = False
    attempt: AttemptRecord | None = None
    refusal: str | None = None


class Reported(PipelineEvent):
    """A command ended.

    Attributes:
        tree_key: Where the tree is that a Lazy printed.
        images: Those that it brought.
        last: The worker takes no further command.
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
    tree_key: str | None = None
    images: tuple[BuiltImage, ...] = ()
    last: bool = False


class Changed(PipelineEvent):
    """Somebody changed the pipeline's data, or opened a shell beside it.

    Attributes:
        by: The user.
        change: See `conducto_core.model.records.ForeignChange`.
    """

    kind: Literal["changed"] = "changed"
    by: str
    change: str


class WorkerStarted(PipelineEvent):
    """A worker runs; ``task`` is its ARN, ``protocol`` what it speaks (`model.worker.PROTOCOL`)."""

    kind: Literal["worker_up"] = "worker_up"
    worker: str
    task: str
    protocol: int = 1


class WorkerLost(PipelineEvent):
    """A worker is gone, or leaves.

    Attributes:
        cause: How a command ends that it still had.
        failure: What it means where it never ran a command; None: it left in good order.
        unexplained: Its own word of it; AWS's event about its task has the reason and the times.
        began: When AWS began to charge for its task, as far as known.
        ended: When its task ended, as far as known.
        handed: A task that it was handed too late and gives back.
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
    """An execution was started."""

    kind: Literal["begun"] = "begun"
    run: str
    arn: str


class ExecutionEnded(PipelineEvent):
    """An execution is over; ``status`` is what Step Functions calls it."""

    kind: Literal["execution_ended"] = "execution_ended"
    run: str
    status: str


class ImagesUpdated(PipelineEvent):
    """Builds of images went on."""

    kind: Literal["images_moved"] = "images_moved"
    images: tuple[BuiltImage, ...]


class TimeLimitsExpired(PipelineEvent):
    """The time limits of these nodes ran out."""

    kind: Literal["deadlines_passed"] = "deadlines_passed"
    paths: tuple[str, ...]


class CapacityUnavailable(PipelineEvent):
    """AWS would not start a worker.

    Attributes:
        failure: What AWS's message means.
        contended: Other pipelines of the organisation had workers, which may make room.
    """

    kind: Literal["capacity_missing"] = "capacity_missing"
    worker: str
    message: str
    failure: StartFailure = StartFailure.THROTTLED
    contended: bool = False


class ExecutionLost(PipelineEvent):
    """An execution was not begun, or waits for what nobody will do."""

    kind: Literal["run_lost"] = "run_lost"
    run: str


class HealthChecked(PipelineEvent):
    """Nothing happened but time; perhaps workers can be started now that could not before.

    Attributes:
        spared: Workers without a command that stop, because somebody else waits for a worker.
    """

    kind: Literal["looked"] = "looked"
    spared: tuple[str, ...] = ()


Input = Annotated[
    ActionRequested
    | Changed
    | Claimed
    | Reported
    | WorkerStarted
    | WorkerLost
    | ExecutionStarted
    | ExecutionEnded
    | ImagesUpdated
    | TimeLimitsExpired
    | CapacityUnavailable
    | ExecutionLost
    | HealthChecked,
    Field(discriminator="kind"),
]


class WorkerLaunch(Record):
    """A worker that is started.

    Attributes:
        pool: Name of its pool.
    """

    worker: str
    pool: str


class JournalEntry(Record):
    """What an entry of the journal holds.

    Attributes:
        hires: Workers that are started because of it.
        limited: Why more would have been wanted but were not allowed.
        withheld: Why a ``new`` group does not get a worker although one is free.
        share: The pipeline's share of the organisation's workers from now on, where it differs.
    """

    input: Input
    hires: tuple[WorkerLaunch, ...] = ()
    limited: str | None = None
    withheld: str | None = None
    share: Share | None = None

    def written(self) -> dict[str, Any]:
        """Return it as JSON, without what is as always."""
        written = self.model_dump(mode="json", exclude_defaults=True)
        written["input"]["kind"] = self.input.kind
        return written
