"""Requests and responses of the API."""

import re
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema, field_validator

from conducto_core.approvals.model import ApprovalView, WaitingApproval
from conducto_core.images.model import ImageSources
from conducto_core.notifications.model import NotificationRecord
from conducto_core.record import Record
from conducto_core.run.model.records import (
    Actor,
    AttemptRecord,
    Counts,
    ImageRecord,
    NodeChange,
    PipelineRecord,
    Round,
    WaitKind,
)
from conducto_core.run.model.states import Cause, NodeType, State


class LaunchRequest(Record):
    """A tree to run.

    Attributes:
        tree: The launch form of the author API (`conducto.tree.launch_form`): JSON with ``nodes``,
            ``edges`` and ``images``.
        run: Run it at once.
        run_at: Run it at this time (seconds since the epoch).
        program: Host path of the script.
        sources: ``{image name: files of the image}``; only the cloud needs it.
        copy_of: The pipeline whose tree is launched again, if any.
        no_cache: Its cached commands run in any case, and replace the entries of the cache.
    """

    tree: dict[str, Any]
    title: str | None = None
    doc: str | None = None
    tags: tuple[str, ...] = ()
    run: bool = False
    run_at: float | None = None
    sleep_when_done: bool = False
    retention: int = 7
    engine: Literal["docker", "process"] = "docker"
    program: str | None = None
    owner: str = ""
    sources: dict[str, ImageSources] = {}
    copy_of: str | None = Field(default=None, min_length=1, max_length=64)
    no_cache: bool = False


class Workers(Record):
    """The containers of a pipeline, or its workers in the cloud.

    Attributes:
        busy: Those that run a command, or are about to.
        idle: Those that wait for the next one.
        starting: Those that are not running yet.
        cpu_used: CPUs of the machine that commands of all its pipelines use; None in the cloud.
        cpu: CPUs of the machine that are available to them; None in the cloud.
    """

    busy: int = 0
    idle: int = 0
    starting: int = 0
    cpu_used: float | None = None
    cpu: float | None = None


class PipelineAgent(Record):
    """The linked agent that has a pipeline.

    Attributes:
        host: The name of its machine.
        online: Whether it is connected; otherwise, the summary is as old as ``seen``.
        seen: When it sent its last message, in seconds since the epoch.
    """

    id: str
    host: str
    online: bool
    seen: float


class PipelineSummary(Record):
    """A pipeline in a list.

    Attributes:
        settled: Nothing runs, is queued or will start by itself.
        active_seconds: Total of the finished active periods, without the time between runs; None if
            unknown.
        active_since: Start of the current active period; None if there is none.
        rounds: The newest active periods, oldest first; the last one may not have ended.
        warning: It is done, although commands whose failures are suppressed failed.
        approvals: Those that wait for a decision, the oldest first; at most 20.
        workers: None for a pipeline that is not in progress.
        agent: In a list of the cloud: the linked agent that has it; None: the cloud.
    """

    pipeline: PipelineRecord
    state: State
    counts: Counts
    settled: bool
    seq: int
    images: tuple[ImageRecord, ...] = ()
    started: float | None = None
    ended: float | None = None
    active_seconds: float | None = None
    active_since: float | None = None
    rounds: tuple[Round, ...] = ()
    warning: bool = False
    approvals: tuple[WaitingApproval, ...] = ()
    workers: Workers | None = None
    agent: PipelineAgent | None = None


class NodeView(Record):
    """A node for display: its definition, its state, and its attempts.

    Attributes:
        approval: Of an Exec that waits for a person and runs no command.
        run_if: Its condition, as text.
        skip_reason: Why its condition skipped it.
        modified: Names of the parameters that were changed on it after the launch.
        actor: The user who requested the newest action on it (`NodeState.actor`).
        reuse: Its use of containers, if not the default: ``context`` for a group whose Execs run in
            one container of its own, one after another, and for each of them; ``fresh`` for an Exec
            with a new container for each attempt.
        stopped_by: Path of the group above whose ``max_time`` ended the newest attempt of an Exec.
        waits_for: Reason why a pending or queued node does not run, as a sentence.
        wait_kind: Kind of its wait; None for a node that a user stopped or skipped, or whose
            pipeline does not run.
        wait_since: Since when it waits, in seconds since the epoch; None if unknown.
        wait_holder: The node, person, plan or other commands that it waits for.
        wait_remedy: How to end the wait, maybe with a command.
        wait_until: When the wait ends, in seconds since the epoch; None if unknown.
        started: Start of the first of the newest attempts below a group, in seconds since the
            epoch. None for an Exec, for a pending group, and if attempts were not requested.
        ended: End of the last of them; None while the group runs.
        idle: Seconds between them in which the pipeline was not active.
        attempts: All of them, or those that were requested.
        notifications: Notifications of its callbacks, with their delivery states.
        tail: The end of the output of the newest attempt of a failed Exec: of stderr, or of stdout
            if stderr is empty. None if not requested.
    """

    path: str
    type: NodeType
    state: State
    skipped: bool = False
    cause: Cause | None = None
    warning: bool = False
    command: str | None = None
    approval: ApprovalView | None = None
    run_if: str | None = None
    skip_reason: str | None = None
    doc: str | None = None
    file: str | None = None
    line: int | None = None
    modified: tuple[str, ...] = ()
    image: str | None = None
    cpu: float | None = None
    mem: float | None = None
    max_time: float | None = None
    counts: Counts | None = None
    children: int = 0
    actor: Actor | None = None
    reuse: Literal["context", "fresh"] | None = None
    stopped_by: str | None = None
    waits_for: str | None = None
    wait_kind: WaitKind | None = None
    wait_since: float | None = None
    wait_holder: str | None = None
    wait_remedy: str | None = None
    wait_until: float | None = None
    started: float | None = None
    ended: float | None = None
    idle: float = 0.0
    attempts: tuple[AttemptRecord, ...] = ()
    notifications: tuple[NotificationRecord, ...] = ()
    tail: str | None = None


class TreePage(Record):
    """Nodes of a subtree in definition order, parents before children.

    Attributes:
        seq: The pipeline's newest change included here: the cursor to subscribe from.
        next: Path to continue ``after``; None at the end.
    """

    seq: int
    nodes: tuple[NodeView, ...]
    next: str | None = None


class NodeStates(Record):
    """The state of each Exec of a subtree, in definition order.

    Attributes:
        seq: The pipeline's newest change included here.
        states: A letter for each: P, Q, R, D, E and K for pending, queued, running, done, error and
            killed, S for an Exec that is skipped, itself or with a group above it.
        names: Their paths below the root of the subtree, if requested.
        complete: There are no more of them.
    """

    seq: int
    states: str
    names: tuple[str, ...] = ()
    complete: bool = True


#: ``(offset, time)``, described without ``prefixItems``, which many tools do not read.
TimedOffset = Annotated[
    tuple[int, float],
    WithJsonSchema({"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}),
]


class LogChunk(Record):
    """A part of an output stream.

    Attributes:
        data: Base64 of the raw bytes.
        offset: Position of the first byte.
        size: Bytes of the stream so far.
        complete: The attempt has ended; no more output will come.
        times: If requested: ``(offset, time)`` for each moment at which output was read from the
            command's pipe. The first record may be in front of the part.
        other_size: If times are requested: bytes of the attempt's other stream so far.
    """

    data: str
    offset: int
    size: int
    complete: bool
    times: tuple[TimedOffset, ...] = ()
    other_size: int | None = None


class Action(StrEnum):
    """The actions that a user can request.

    ``cancel`` pauses the pipeline, then kills its commands. ``reset`` returns nodes to pending, and
    starts nothing in a paused pipeline. ``rerun`` resets nodes and runs the pipeline; ``rebuild``
    also builds the images of the nodes again. ``sleep`` stops the running commands and removes
    containers; ``wake`` reverts it. ``archive`` removes a pipeline from the list.
    """

    RUN = "run"
    PAUSE = "pause"
    CANCEL = "cancel"
    RESET = "reset"
    RERUN = "rerun"
    SKIP = "skip"
    UNSKIP = "unskip"
    KILL = "kill"
    MODIFY = "modify"
    REBUILD = "rebuild"
    SLEEP = "sleep"
    WAKE = "wake"
    ARCHIVE = "archive"


#: Actions on the pipeline as a whole.
WHOLE = frozenset(
    {Action.RUN, Action.PAUSE, Action.CANCEL, Action.SLEEP, Action.WAKE, Action.ARCHIVE}
)


#: Actions that return nodes to pending, and those of them that run the pipeline.
RESETS = frozenset({Action.RESET, Action.RERUN, Action.REBUILD})
STARTS = frozenset({Action.RERUN, Action.REBUILD})

_NUMBER = re.compile(r"\d+(\.\d+)?", re.ASCII)


class Changes(Record):
    """New values of node parameters; only fields that are given change anything.

    None removes the node's own value, so that the inherited value or the default applies again.

    Attributes:
        env: ``{name: value}``; a None value removes the variable, even an inherited one.
        image: Name of an image of the pipeline.
        max_time: Seconds, or a text such as ``1h30m``.
        retry: The arguments of ``co.retry``, with ``number`` for the first one.
    """

    command: str | None = None
    env: dict[str, str | None] | None = None
    cpu: float | None = Field(default=None, allow_inf_nan=False)
    mem: float | None = Field(default=None, allow_inf_nan=False)
    gpu: int | None = None
    spot: bool | Literal["only"] | None = None
    image: str | None = None
    requires_docker: bool | None = None
    docker_run_args: tuple[str, ...] | None = None
    max_time: float | str | None = None
    max_concurrent: int | None = None
    retry_lost: int | None = None
    retry: dict[str, Any] | None = None
    budget: float | None = Field(default=None, allow_inf_nan=False)
    stop_on_error: bool | None = None
    suppress_errors: bool | None = None
    container_reuse_context: str | None = None
    doc: str | None = None

    @field_validator("max_time", mode="before")
    @classmethod
    def _typed(cls, value: object) -> object:
        # Forms and options contain text only; there, 90 has the same meaning as in a script.
        return float(value) if isinstance(value, str) and _NUMBER.fullmatch(value) else value


class ControlRequest(Record):
    """A request for an action.

    Attributes:
        paths: Nodes, each with its subtree; empty for actions on the whole pipeline (`WHOLE`).
        failed: Apply the action not to the nodes themselves, but to every Exec of their subtrees
            that failed or was killed and is not skipped; without paths, of the whole tree. There
            may be none.
        stale: Apply the action to every cached command of their subtrees whose inputs have changed
            since it ran; without paths, of the whole tree. There may be none.
        preview: Only return the effect of the action.
        sources: For ``rebuild`` in the cloud: the files of the images, read again.
    """

    action: Action
    paths: tuple[str, ...] = ()
    failed: bool = False
    stale: bool = False
    changes: Changes | None = None
    preview: bool = False
    sources: dict[str, ImageSources] = {}


class ControlResult(Record):
    """The effect of an action.

    Attributes:
        paths: The first of them, at most `MAX_NAMED`.
        stopped: Number of running Execs that it stops.
        notes: Sentences that the user should read, e.g. about a container whose state is lost.
        preview: It was a preview; nothing was changed.
        idle: The note about a pipeline that runs now and has nothing to start.
    """

    affected: int = 0
    paths: tuple[str, ...] = ()
    stopped: int = 0
    notes: tuple[str, ...] = ()
    preview: bool = False
    idle: str | None = None


#: Maximum number of paths in a `ControlResult`.
MAX_NAMED = 100


class GroupTime(Record):
    """When the newest attempts below a group ran: see `NodeView`."""

    started: float | None = None
    ended: float | None = None
    idle: float = 0.0


class EventBatch(Record):
    """Changes of one pipeline, in order, without gaps.

    Attributes:
        changes: State transitions after the cursor, of Execs and groups.
        counts: ``{group path: counts}`` of every group below which something changed, as of the
            last change, so that clients need not count.
        times: ``{group path: time}`` of the groups that started or finished, as of the last change.
        actors: ``{path: actor}`` of the changed nodes that have one (`NodeState.actor`).
        images: Images whose build state changed since the last batch.
        pipeline: The pipeline's summary as of the last change.
    """

    changes: tuple[NodeChange, ...]
    counts: dict[str, Counts] = {}
    times: dict[str, GroupTime] = {}
    actors: dict[str, Actor] = {}
    images: tuple[ImageRecord, ...] = ()
    pipeline: PipelineSummary


class AgentStatus(Record):
    """The agent process.

    Attributes:
        url: Its address.
        engine: The engine in use, e.g. ``docker 26.1``; None before it was needed.
        memory: Resident bytes.
        disk_free: Free bytes of the disk with the pipelines; None in the cloud.
        socket: In the cloud: URL of the WebSocket for events.
        shell: Pages may open debug shells.
        app: Address of the web app, without a "/" at its end; None if there is none.
        warnings: Features that the engine on this machine lacks, such as limits that it ignores.
    """

    pid: int
    url: str
    version: str
    started: float
    engine: str | None = None
    cpus: float | None = None
    mem: float | None = None
    pipelines: int = 0
    memory: int | None = None
    disk_free: int | None = None
    disk_total: int | None = None
    socket: str | None = None
    shell: bool = False
    app: str | None = None
    warnings: tuple[str, ...] = ()


class Problem(Record):
    """An error response (RFC 9457), as ``application/problem+json``.

    Attributes:
        path: The node that it concerns, if any.
    """

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    path: str | None = None
    remedy: str | None = None
