"""What is kept of a pipeline, and what the API answers.

Times are seconds since the epoch (float, UTC).
"""

from enum import StrEnum
from typing import Literal, NamedTuple

from conducto_core.model.base import SCHEMA_VERSION, Record
from conducto_core.model.states import Cause, NodeType, State, StopReason


class Lifecycle(StrEnum):
    """Whether a pipeline is looked after."""

    ACTIVE = "active"
    SLEEPING = "sleeping"
    ARCHIVED = "archived"


class ImageState(StrEnum):
    """How far an image is."""

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
    """One image of a pipeline and how its build stands.

    Attributes:
        reference: What the engine knows it by, once built.
        error: Last lines of a failed build.
    """

    name: str
    state: ImageState = ImageState.PENDING
    reference: str | None = None
    error: str | None = None
    started: float | None = None
    ended: float | None = None


class Counts(Record):
    """Execs of a subtree by state; ``skipped`` ones are counted apart as well."""

    pending: int = 0
    queued: int = 0
    running: int = 0
    done: int = 0
    error: int = 0
    killed: int = 0
    skipped: int = 0

    @property
    def total(self) -> int:
        """How many Execs there are."""
        return self.pending + self.queued + self.running + self.done + self.error + self.killed


class Period(NamedTuple):
    """From when to when something ran, in seconds since the epoch; None where that is not known."""

    started: float | None = None
    ended: float | None = None


class PipelineStatus(Record):
    """How a pipeline stood when it was last written down.

    Attributes:
        settled: Nothing ran, was queued or would have started by itself.
        seq: Number of its newest change.
        started: When its first command began, and
        ended: when nothing ran any more, the last time.
        active_seconds: For how long it was at work, the time between its runs left out, in the
            stretches that are over; None in a record of an older version.
        active_since: When the stretch began that is not over; None while nothing goes on.
    """

    state: State = State.PENDING
    counts: Counts = Counts()
    settled: bool = True
    seq: int = 0
    started: float | None = None
    ended: float | None = None
    active_seconds: float | None = None
    active_since: float | None = None


class ForeignChange(Record):
    """A change of what a pipeline's commands do, by somebody other than its owner.

    Attributes:
        by: The user who made it.
        change: ``modify``, ``rebuild``, ``write_data``, ``delete_data`` or ``remote_shell``.
        time: Seconds since the epoch.
    """

    by: str
    change: str
    time: float


class PipelineRecord(Record):
    """A pipeline as listed.

    Attributes:
        armed: "Run" is pressed: what can start, starts.
        retention: Days it is kept after its last activity; 0 is for ever.
        program: Host path of the script that made it, if known.
        problem: Why it was paused by itself, e.g. because the engine is gone.
        foreign_change: The first change by somebody other than the owner. Since then commands run
            without the owner's user secrets (`conducto_core.semantics.user_secrets`).
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
    problem: str | None = None
    foreign_change: ForeignChange | None = None
    standing: PipelineStatus = PipelineStatus()
    created: float = 0.0
    touched: float = 0.0


class NodeState(Record):
    """How a node stands.

    Attributes:
        warning: Done although a failure below it was suppressed.
        attempt: Number of the newest attempt; 0 when there was none.
        tries: Attempts since the node was made or last reset by hand.
        lost: Tries made again by ``retry_lost``, since then.
        lost_starts: Tries made again because the container was lost before the command started.
        expired: Its own ``max_time`` ran out; not that of a group above it.
        mem: Memory in GB that a retry asked for, over the definition's.
        order: Why a running Exec is being stopped, while it is; who takes over ends it so.
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
    expired: bool = False
    mem: float | None = None
    order: StopReason | None = None


class AttemptRecord(Record):
    """One try of an Exec, counted from 1.

    Attributes:
        command: The script as it ran.
        env: The environment as it ran, values of secrets left out.
        image: What the engine knows the image by.
        container: Name of the container it ran in.
        position: How many commands that container had run before; 0 is a fresh one.
        image_ready: When the image was there that it waited for; None where it did not wait for
            one, or where that is not known.
        admitted: When its turn came: nothing but its container was missing. None before that, and
            where it is not known.
        message: A sentence on a failure, e.g. the last lines of an image build.
        peak_memory: Bytes, where the engine knows.
        snapshot: What the engine knows the image by that holds the container's files as they were
            after a failure; None where none is kept.
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
    queued: float | None = None
    image_ready: float | None = None
    admitted: float | None = None
    started: float | None = None
    ended: float | None = None
    peak_memory: int | None = None
    snapshot: str | None = None


class NodeChange(Record):
    """One transition, as published.

    Attributes:
        seq: Number of the change in its pipeline, counted from 1 without gaps.
        time: When it happened.
        exit_code: The newest attempt's, once it has ended.
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
