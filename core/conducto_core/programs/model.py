"""Programs: the scripts and functions that pipelines are launched from, and their parameters.

Values of parameters are the words that they are on a command line.
"""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field

from conducto_core.record import Record
from conducto_core.run.model.params import PipelineId
from conducto_core.run.model.requests import LaunchRequest, PipelineSummary

Budget = Annotated[float, Field(gt=0, allow_inf_nan=False)]

# ----------------------------------------------------------------------------------------
# The call of a program's function that made a tree.
#
# Its definition is part of the launch form (`conducto.script.program` writes it). Values of
# parameters are the words that they are on a command line.


class ProgramParameter(Record):
    """A parameter of a function.

    Attributes:
        type: JSON schema of its values; empty for one that takes any text.
        label: The type for people, as in ``--help``.
        default: The default; None if it has none, or one that cannot be written.
        required: It has no default.
        secret: Its name is that of a secret, so its values are not recorded.
        keyword_only: It can only be given by name.
    """

    name: str
    type: dict[str, Any] = {}
    label: str = "text"
    help: str = ""
    default: str | None = None
    required: bool = False
    secret: bool = False
    keyword_only: bool = False


class Repository(Record):
    """The place of a script in a git repository.

    Attributes:
        url: URL of the remote ``origin``, without credentials.
        path: Path of the script in the repository.
    """

    url: str
    commit: str
    path: str
    branch: str | None = None


class ProgramCall(Record):
    """The call that made a tree.

    Attributes:
        command: The words of the command line before the arguments: interpreter, script, function.
        directory: The working directory.
        digest: SHA-256 of the script.
        title: The title that the command line sets.
        arguments: ``{parameter: value}`` of those that were given.
        withheld: Parameters whose values were given and not recorded: secrets, and values that have
            no text or a very long one.
        rest: Values for ``*args``; if there are any, all values were given in order.
        partitions: The definition of the program's partitions (`conducto.wire.partitions`).
        partition: The key of the partition that was launched; None for a backfill.
        backfill: The keys of those of a backfill.
    """

    function: str
    script: str
    command: tuple[str, ...]
    directory: str
    digest: str | None = None
    repository: Repository | None = None
    title: str | None = None
    parameters: tuple[ProgramParameter, ...] = ()
    arguments: dict[str, str] = {}
    withheld: tuple[str, ...] = ()
    rest: tuple[str, ...] = ()
    partitions: dict[str, Any] | None = None
    partition: str | None = None
    backfill: tuple[str, ...] = ()


class ProgramView(Record):
    """The program of a pipeline, for a form that launches it again.

    Attributes:
        call: The call that made the tree; None if it was not recorded.
        problem: Reason why the program cannot be started from here; the same tree can be launched.
        script_changed: The script has another content than at the launch.
        command_line: The command line that launched the pipeline, for a terminal.
    """

    pipeline: PipelineSummary
    call: ProgramCall | None = None
    problem: str | None = None
    script_changed: bool = False
    command_line: str | None = None


class LaunchAgain(Record):
    """A request to launch the tree of a pipeline again.

    Attributes:
        run: Run it at once.
        title: Title instead of the pipeline's.
        budget: Its maximum cost in the cloud, in dollars, instead of the tree's.
    """

    run: bool = True
    title: str | None = None
    budget: Budget | None = None


PartitionKey = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\s/.][^\s/]*$")]


class BackfillRange(Record):
    """The partitions of a backfill.

    Attributes:
        first: The first of them; None: of the program.
        last: The last of them; None: the newest.
        only: Only those in this state.
        max_concurrent: Maximum number of its commands at once.
    """

    first: PartitionKey | None = None
    last: PartitionKey | None = None
    only: Literal["missing", "failed", "stale"] | None = None
    max_concurrent: int = Field(default=10, ge=1, le=10_000)

    def flags(self) -> dict[str, str]:
        """Return the flags of the script's command line."""
        only = {} if self.only is None else {"backfill-only": self.only}
        text = f"{self.first or ''}..{self.last or ''}"
        return {"backfill": text, **only, "max-concurrent": str(self.max_concurrent)}


class StartProgram(Record):
    """A request to start the program of a pipeline.

    Attributes:
        arguments: ``{parameter: value}``; the others get their defaults.
        rest: Values for ``*args``; None: those of the pipeline.
        action: ``launch`` the tree, or return the ``plan`` for it and launch nothing.
        run: Run the pipeline at once.
        title: Title instead of the script's own.
        budget: Maximum cost of the pipeline in the cloud, in dollars, instead of the script's.
        backfill: One pipeline over these partitions.
    """

    arguments: dict[str, str] = {}
    rest: tuple[str, ...] | None = None
    action: Literal["launch", "plan"] = "launch"
    run: bool = True
    title: str | None = None
    budget: Budget | None = None
    backfill: BackfillRange | None = None


class ProgramStartParams(Record):
    """The id of a start of a program."""

    start: str


class StartState(StrEnum):
    """The states of a start; in ``invalid`` ones, no process was started."""

    INVALID = "invalid"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class ProgramPlan(Record):
    """The size of a tree, and its cost in the cloud.

    Attributes:
        commands: Number of Execs.
        dollars: Cost of a run in the cloud at AWS's prices; None if the cloud cannot run it.
        price: Price of its workers for the organisation; None: nothing is billed.
        known: Commands whose duration is that of earlier runs.
        note: The reason why there is no cost.
    """

    commands: int
    dollars: float | None = None
    price: float | None = None
    known: int = 0
    note: str | None = None


class ProgramStart(Record):
    """A process of a program.

    Attributes:
        problems: ``{parameter: reason}`` of values that were rejected.
        message: Reason of a failure that is about no parameter.
        output: The end of the output so far, stdout and stderr in one.
        pipeline: Id of the launched pipeline.
    """

    id: str
    state: StartState
    problems: dict[str, str] = {}
    message: str | None = None
    output: str = ""
    exit_code: int | None = None
    started: float = 0.0
    ended: float | None = None
    pipeline: str | None = None
    plan: ProgramPlan | None = None


# ----------------------------------------------------------------------------------------
# The request to continue a pipeline with a changed tree, and its plan.


class Fate(StrEnum):
    """The three results of a plan for an Exec: it stays done, it runs, or it is skipped."""

    KEPT = "kept"
    RUNS = "runs"
    SKIPPED = "skipped"


class NodePlan(Record):
    """The plan for one Exec.

    Attributes:
        reason: The cause, e.g. ``command changed``; empty for an Exec that is kept.
    """

    path: str
    fate: Fate
    reason: str = ""


class ContinueRequest(Record):
    """A request to replace the definition of a pipeline; its data and its history are kept.

    Attributes:
        launch: The new tree and its options. The pipeline keeps its engine and its owner.
        fresh: Keep no results: every Exec runs again.
        keep_secrets: Do not compare secrets: an Exec that got other ones stays done.
        preview: Only return the plan.
        seq: ``seq`` of the pipeline for which the plan was made; the request is refused if it has
            changed since then. None: any.
    """

    launch: LaunchRequest
    fresh: bool = False
    keep_secrets: bool = False
    preview: bool = False
    seq: int | None = None


class PlanRecord(Record):
    """The plan by which the tree of a pipeline was replaced last, as it is stored.

    Attributes:
        time: When it was replaced, in seconds since the epoch.
        nodes: Those of the new tree, in definition order.
        removed: Paths of the Execs that only the old tree had.
    """

    time: float
    nodes: tuple[NodePlan, ...]
    removed: tuple[str, ...] = ()


class ContinuationParams(Record):
    """The part of the plan of the latest continuation that is queried.

    Attributes:
        path: An Exec, or a group with the Execs below it.
        limit: Maximum number of Execs that are listed.
    """

    id: PipelineId
    path: str = "/"
    limit: int = Field(default=100, ge=1, le=1000)


class LatestContinuation(Record):
    """The plan by which the tree of a pipeline was replaced last.

    Attributes:
        time: When it was replaced, in seconds since the epoch; None: it never was.
        kept: Number of Execs at or below the path that stayed done; likewise ``runs``, ``skipped``.
        nodes: Execs at or below the path, in definition order; those that stayed done come last.
        removed: Number of Execs of the whole tree that were removed.
    """

    time: float | None = None
    kept: int = 0
    runs: int = 0
    skipped: int = 0
    nodes: tuple[NodePlan, ...] = ()
    removed: int = 0


class ContinuePlan(Record):
    """The plan for each Exec of the new tree.

    Attributes:
        pipeline: The pipeline; after the replacement, unless it was a preview.
        nodes: In definition order.
        removed: Paths of the Execs that only the old tree has.
        preview: It was a preview; nothing was changed.
    """

    pipeline: PipelineSummary
    nodes: tuple[NodePlan, ...]
    removed: tuple[str, ...] = ()
    preview: bool = False
