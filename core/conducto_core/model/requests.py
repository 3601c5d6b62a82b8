"""Requests and answers of the API."""

import re
from enum import StrEnum
from typing import Any, Literal

from pydantic import field_validator

from conducto_core.model.base import Record
from conducto_core.model.image_sources import ImageSources
from conducto_core.model.notifications import NotificationRecord
from conducto_core.model.records import (
    AttemptRecord,
    Counts,
    ImageRecord,
    NodeChange,
    PipelineRecord,
)
from conducto_core.model.states import Cause, NodeType, State
from conducto_core.model.wait_phases import WaitKind


class LaunchRequest(Record):
    """A tree to run.

    Attributes:
        tree: The launch form of the author API (`conducto.tree.launch_form`): JSON with
            ``nodes``, ``edges`` and ``images``.
        run: Arm it at once.
        run_at: Arm it at this time (seconds since the epoch).
        program: Host path of the script.
        sources: ``{image name: what was read of its files}``; only the cloud needs it.
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


class Workers(Record):
    """What carries a pipeline's commands now: its containers, or workers in the cloud.

    Attributes:
        busy: Those that run a command, or are about to.
        idle: Those that wait for the next one.
        starting: Those that are not up yet.
        cpu_used: CPUs of the machine that commands of all its pipelines hold; None in the cloud.
        cpu: CPUs that the machine has for them; None in the cloud.
    """

    busy: int = 0
    idle: int = 0
    starting: int = 0
    cpu_used: float | None = None
    cpu: float | None = None


class PipelineSummary(Record):
    """A pipeline in a list.

    Attributes:
        settled: Nothing runs, is queued or will start by itself.
        active_seconds: For how long it was at work, the time between its runs left out, in the
            stretches that are over; None where that is not known.
        active_since: When the stretch began that is not over; None while nothing goes on.
        workers: None of a pipeline that is not under way.
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
    workers: Workers | None = None


class NodeView(Record):
    """A node for a reader: what it is, how it stands, and its attempts.

    Attributes:
        children: How many it has directly below it.
        reuse: How it shares containers, where that is not the default: ``context`` of a group
            whose Execs run in one container of its own, one after the other, and of each of them;
            ``fresh`` of an Exec with a new container for each attempt.
        stopped_by: Path of the group above whose ``max_time`` ended the newest attempt of an Exec.
        waits_for: Why a pending or queued node does not run, as a sentence.
        wait_kind: What a queued Exec waits for.
        started: When the first of the newest attempts below a group started, in seconds since the
            epoch. None for an Exec, for a group that is pending, and where attempts were not asked
            for.
        ended: When the last of them ended; None while the group runs.
        attempts: All of them, or those that were asked for.
        notifications: What its callbacks told others, and whether it has reached them.
        tail: The end of what the newest attempt of a failed Exec printed: on stderr, or on stdout
            where there is nothing on stderr. None where that is not asked for.
    """

    path: str
    type: NodeType
    state: State
    skipped: bool = False
    cause: Cause | None = None
    warning: bool = False
    command: str | None = None
    doc: str | None = None
    file: str | None = None
    line: int | None = None
    image: str | None = None
    cpu: float | None = None
    mem: float | None = None
    max_time: float | None = None
    counts: Counts | None = None
    children: int = 0
    reuse: Literal["context", "fresh"] | None = None
    stopped_by: str | None = None
    waits_for: str | None = None
    wait_kind: WaitKind | None = None
    started: float | None = None
    ended: float | None = None
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
    """How each Exec of a subtree stands, in definition order.

    Attributes:
        seq: The pipeline's newest change included here.
        states: A letter for each: P, Q, R, D, E and K for pending, queued, running, done, error and
            killed, S for one that is skipped, by itself or with a group above it.
        names: Their paths below the root of the subtree, where they were asked for.
        complete: There are no more of them.
    """

    seq: int
    states: str
    names: tuple[str, ...] = ()
    complete: bool = True


class LogChunk(Record):
    """A piece of one output stream.

    Attributes:
        data: Base64 of the raw bytes.
        offset: Position of the first byte.
        size: Bytes the stream has so far.
        complete: The attempt has ended; no more will come.
    """

    data: str
    offset: int
    size: int
    complete: bool


class Action(StrEnum):
    """What a person can order.

    ``rebuild`` builds the images of the nodes anew and resets the nodes. ``sleep`` ends what runs
    and lets go of containers; ``wake`` takes it back. ``archive`` takes a pipeline off the list.
    """

    RUN = "run"
    PAUSE = "pause"
    RESET = "reset"
    SKIP = "skip"
    UNSKIP = "unskip"
    KILL = "kill"
    MODIFY = "modify"
    REBUILD = "rebuild"
    SLEEP = "sleep"
    WAKE = "wake"
    ARCHIVE = "archive"


#: Orders to the pipeline as a whole.
WHOLE = frozenset({Action.RUN, Action.PAUSE, Action.SLEEP, Action.WAKE, Action.ARCHIVE})


_NUMBER = re.compile(r"\d+(\.\d+)?", re.ASCII)


class Changes(Record):
    """New values of node parameters; only fields that are given change anything.

    None takes away what is written on the node, so that the inherited value or the default
    holds again.

    Attributes:
        env: ``{name: value}``; a None value removes the variable, also an inherited one.
        image: Name of an image of the pipeline.
        max_time: Seconds, or a text such as ``1h30m``.
    """

    command: str | None = None
    env: dict[str, str | None] | None = None
    cpu: float | None = None
    mem: float | None = None
    gpu: int | None = None
    image: str | None = None
    requires_docker: bool | None = None
    docker_run_args: tuple[str, ...] | None = None
    max_time: float | str | None = None
    max_concurrent: int | None = None
    retry_lost: int | None = None
    stop_on_error: bool | None = None
    suppress_errors: bool | None = None
    container_reuse_context: str | None = None
    doc: str | None = None

    @field_validator("max_time", mode="before")
    @classmethod
    def _typed(cls, value: object) -> object:
        # Forms and options carry text only; there 90 means what it means in a script.
        return float(value) if isinstance(value, str) and _NUMBER.fullmatch(value) else value


class ControlRequest(Record):
    """An order.

    Attributes:
        paths: Nodes, each with its subtree; orders to the whole pipeline (`WHOLE`) have none.
        failed: Not the nodes themselves, but every Exec of their subtrees that failed or was
            killed and is not skipped; without paths, of the whole tree. There may be none.
        changes: For ``modify``.
        preview: Only say what would happen.
        sources: For ``rebuild`` in the cloud: what was read anew of the images' files.
    """

    action: Action
    paths: tuple[str, ...] = ()
    failed: bool = False
    changes: Changes | None = None
    preview: bool = False
    sources: dict[str, ImageSources] = {}


class ControlResult(Record):
    """What an order touches.

    Attributes:
        affected: How many Execs it changes.
        paths: The first of them, at most `MAX_NAMED`.
        stopped: How many of them run now and are ended by it.
        notes: Sentences that a person should read, e.g. on a container whose state is gone.
        preview: It was only asked for; nothing was done.
    """

    affected: int = 0
    paths: tuple[str, ...] = ()
    stopped: int = 0
    notes: tuple[str, ...] = ()
    preview: bool = False


#: Paths that a `ControlResult` names.
MAX_NAMED = 100


class EventBatch(Record):
    """Changes of one pipeline, in order, without gaps.

    Attributes:
        changes: State transitions after the cursor, of Execs and groups.
        counts: ``{group path: counts}`` of every group below which something changed, as of the
            last change; a group whose children are not listed in full needs no arithmetic.
        images: Images whose build moved since the last batch.
        pipeline: The pipeline's summary as of the last change.
    """

    changes: tuple[NodeChange, ...]
    counts: dict[str, Counts] = {}
    images: tuple[ImageRecord, ...] = ()
    pipeline: PipelineSummary


class AgentStatus(Record):
    """The agent process.

    Attributes:
        url: Where it listens.
        engine: The engine in use, e.g. ``docker 26.1``; None before one was needed.
        memory: Bytes resident.
        disk_free: Bytes that are free where pipelines are kept; None in the cloud.
        disk_total: Bytes of that disk.
        socket: Of the cloud: URL of the WebSocket that tells of changes.
        shell: Pages may open debug shells here.
        warnings: What containers lack on this machine's engine, such as limits that it ignores.
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
    warnings: tuple[str, ...] = ()


class Problem(Record):
    """An error answer (RFC 9457), as ``application/problem+json``.

    Attributes:
        path: The node it is about, if one.
        remedy: What to do.
    """

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    path: str | None = None
    remedy: str | None = None
