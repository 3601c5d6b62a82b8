"""Responses of the API besides whole pipelines and nodes: lists, logs, files."""

from typing import Any, Literal

from pydantic import Field

from conducto_core.approvals.model import WaitingApproval
from conducto_core.record import Record
from conducto_core.run.model.records import AttemptRecord, ImageRecord
from conducto_core.run.model.requests import NodeView, PipelineAgent, PipelineSummary, TimedOffset
from conducto_core.run.model.states import State


class PipelineRun(Record):
    """One run of a pipeline in a history; times are seconds since the epoch.

    Attributes:
        settled: Nothing runs, is queued or will start by itself.
        active_seconds: See `PipelineSummary`.
        active_since: See `PipelineSummary`.
    """

    id: str
    state: State
    settled: bool
    execs: int = 0
    started: float | None = None
    ended: float | None = None
    active_seconds: float | None = None
    active_since: float | None = None


class RunHistory(Record):
    """The newest runs of one program (`conducto_core.programs.rules.programs`).

    Attributes:
        title: Title of the newest of the listed pipelines.
        function: The function of the script, if it identifies the program.
        runs: At most `MAX_HISTORY`, the newest first, including archived ones. Runs that are not
            among the `MAX_HISTORY_SCAN` newest pipelines are left out.
        ended: Number of them that have ended.
        passed: Number of these that are done.
        median_seconds: Median active time of those that are done, without the time between runs.
    """

    title: str
    program: str | None = None
    function: str | None = None
    runs: tuple[PipelineRun, ...] = ()
    ended: int = 0
    passed: int = 0
    median_seconds: float | None = None


class AskedApproval(Record):
    """An approval that waits for a decision of the caller.

    Attributes:
        pipeline: Id of its pipeline.
        title: Title of its pipeline.
        agent: The linked agent that has the pipeline; None: the server itself.
    """

    pipeline: str
    title: str
    agent: PipelineAgent | None = None
    approval: WaitingApproval


class ApprovalList(Record):
    """Approvals that the caller may decide, the oldest first."""

    approvals: tuple[AskedApproval, ...] = ()


class PipelineList(Record):
    """Pipelines, the newest first.

    Attributes:
        next: Id to continue ``after``; None at the end.
        histories: One for each program among the pipelines, if requested.
    """

    pipelines: tuple[PipelineSummary, ...]
    next: str | None = None
    histories: tuple[RunHistory, ...] = ()


class AttemptList(Record):
    """Attempts of one node, the first one first."""

    attempts: tuple[AttemptRecord, ...]


class ImageList(Record):
    """Images of one pipeline, in the order of their first use."""

    images: tuple[ImageRecord, ...]


class ImageStep(Record):
    """One step of the build of an image; times are seconds since the epoch.

    Attributes:
        name: The builder's name of the step, such as ``[2/3] RUN make``; for a state of the build
            (`conducto_core.run.model.records.ImageState`), the state.
        within: The state of the build that the step is a part of; None for such a state itself.
        ended: None while it runs.
        cached: The builder reused an earlier result.
        error: Reason of its failure.
    """

    name: str
    within: str | None = None
    started: float | None = None
    ended: float | None = None
    cached: bool = False
    error: str | None = None


class ImageLog(Record):
    """The output of the build of an image.

    Attributes:
        steps: Those of the newest build, in the order in which they started; empty if the build
            does not report them.
        text: Invalid UTF-8 bytes are replaced.
        offset: Position of the first byte.
        next: Position after the last byte; it never splits a character.
        size: Bytes of the log so far.
        complete: The build has ended; no more output will come.
    """

    text: str
    offset: int = 0
    next: int = 0
    size: int = 0
    complete: bool = False
    steps: tuple[ImageStep, ...] = ()


class LogLines(Record):
    r"""Some lines of one output stream.

    Attributes:
        first: Number of the first one, counted from 0.
        lines: Their text without ``\n``; invalid UTF-8 bytes are replaced.
        offset: Position of the first byte of the first line; None if there are no such lines.
        total: Number of lines so far, including an unfinished last one. None while a long stream is
            being counted: repeat the request, each one counts a part.
        cut: The byte limit was reached: the last line is not complete, or others are missing.
        complete: The attempt has ended; no more output will come.
    """

    first: int
    lines: tuple[str, ...]
    offset: int | None = None
    total: int | None = None
    cut: bool = False
    size: int = 0
    complete: bool = False


class LogMatch(Record):
    """A line that matches a search.

    Attributes:
        line: Its number, counted from 0; None if the lines before it were too many to count.
        offset: Position of its first byte.
        text: The line; for a long one, the part around the match.
        start: Start of the first match in ``text``, in characters.
        end: End of the first match.
    """

    line: int | None
    offset: int
    text: str
    start: int
    end: int


class LogMatches(Record):
    """Lines that match a search, in order.

    Attributes:
        next: Byte to continue at; None if everything was searched.
        complete: The attempt has ended; no more output will come.
    """

    matches: tuple[LogMatch, ...]
    next: int | None = None
    size: int = 0
    complete: bool = False


GroupKind = Literal["closed", "open", "end", "expand"]


class LogGroup(Record):
    """A line of an output stream that starts or ends a group of lines.

    Attributes:
        line: Its number, counted from the start of the part.
        kind: ``closed`` and ``open`` start a group that clients show so at first; ``end`` ends the
            group before; ``expand`` opens the group before.
        title: Text after the marker, without colours.
    """

    line: int
    kind: GroupKind
    title: str = ""


class LogOutline(Record):
    """When the lines of a part of an output stream were printed, and the groups that they form.

    Attributes:
        lines: Number of lines that end in the part.
        times: ``(line, time)``: lines from this one on, counted from the start of the part, were
            read from the command's pipe at this time or a moment later.
        next: Position of the next part; the end of the stream if it equals ``size``.
        size: Bytes of the stream so far.
        complete: The attempt has ended; no more output will come.
    """

    lines: int
    times: tuple[TimedOffset, ...] = ()
    groups: tuple[LogGroup, ...] = ()
    next: int = 0
    size: int = 0
    complete: bool = False


class DataEntry(Record):
    """One entry of a data directory.

    Attributes:
        name: Path below the data.
        kind: ``other`` is an entry that can only be deleted, such as a link to a place outside.
        size: Bytes of a file, otherwise 0.
        modified: Seconds since the epoch.
    """

    name: str
    kind: Literal["file", "directory", "other"]
    size: int = 0
    modified: float = 0.0


class DataList(Record):
    """Entries of a data directory, by name; those below its directories are not listed.

    Attributes:
        next: Name to continue ``after``; None at the end.
    """

    entries: tuple[DataEntry, ...]
    next: str | None = None


class ChangedData(Record):
    """Files at any depth of a pipeline's data that were last written within a time range.

    Attributes:
        entries: The newest first.
        complete: All files were checked, and all that match are here.
    """

    entries: tuple[DataEntry, ...]
    complete: bool = True


class Deleted(Record):
    """A deleted data entry."""

    name: str


class DeletedPipeline(Record):
    """A deleted pipeline."""

    id: str


class AgentStopping(Record):
    """The agent is stopping; the process ``pid`` ends when it has stopped."""

    pid: int


class LoginForm(Record):
    """A form that a file, readable only by its owner, posts to ``/session``; needs both values."""

    secret: str = Field(repr=False, max_length=100)
    nonce: str = Field(repr=False, max_length=100)


class Login(Record):
    """A login of one browser to the web app, valid once and for ``seconds``.

    Attributes:
        url: Address of the web app; it contains no credentials.
        code: Code to enter on the page that a browser without a session shows.
        form: Form to post instead; None if the fragment ``#code=`` of an address has that effect.
    """

    url: str
    code: str = Field(repr=False)
    seconds: int
    form: LoginForm | None = None


# ----------------------------------------------------------------------------------------
# The details of one node, with the origin of each parameter.


class Parameter(Record):
    """One parameter of a node.

    Attributes:
        value: Its effective value; None means "no limit" or "not set".
        source: Path of the highest node that has this value unchanged down to here; None is the
            default.
        modified: It was changed on this node after the launch.
    """

    name: str
    value: Any
    source: str | None = None
    modified: bool = False


class Variable(Record):
    """One environment variable.

    Attributes:
        source: Path of the highest node that has this value unchanged down to here.
    """

    name: str
    value: str
    source: str


class CallbackView(Record):
    """A callback that runs when the node reaches a state.

    Attributes:
        source: Path of the node that defines it.
    """

    event: str
    name: str
    arguments: dict[str, Any] = {}
    source: str


class NodeDetail(Record):
    """The details of one node.

    Attributes:
        node: Its state, with all its attempts.
        parameters: In a fixed order; those that do not apply to its type are left out.
        env: By name. Secrets are not included.
        callbacks: Own ones first, then inherited ones.
        lazy_target: Path of the node that receives the tree this Exec prints.
        generated: The tree below it was printed by a Lazy.
        awaits_tree: It receives a tree that has not been printed yet.
        pool: Execs with the same pool and parameters share containers.
        logs_until: Earliest deletion of its logs, in seconds since the epoch; every activity of the
            pipeline postpones it.
        modified: Names of the parameters that were changed on it after the launch.
    """

    node: NodeView
    title: str | None = None
    tags: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    env: tuple[Variable, ...] = ()
    callbacks: tuple[CallbackView, ...] = ()
    lazy_target: str | None = None
    generated: bool = False
    awaits_tree: bool = False
    pool: str | None = None
    logs_until: float | None = None
    modified: tuple[str, ...] = ()
