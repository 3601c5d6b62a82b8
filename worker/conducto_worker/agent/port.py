"""The ports of the agent; `fakes.worker` implements them for tests."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from conducto_core.command.server import Finished, Part
from conducto_core.workers.model import (
    Claim,
    ClaimResponse,
    EndResponse,
    Heartbeat,
    HeartbeatResponse,
    LogResponse,
    LogUpload,
    Report,
    ReportResponse,
    WorkerEnd,
    WorkerInstructions,
    WorkerLogChunk,
    WorkerStart,
)

Chunk = tuple[Part, bytes]


class BrokenError(Exception):
    """The user's container cannot run commands; users see the message."""


class LostError(Exception):
    """The user's container ended while a command was running."""


class WorkerApiError(Exception):
    """The API is unreachable or rejected the request."""


class RefusedError(WorkerApiError):
    """The API rejected the request; a retry would not help."""


class WorkerGoneError(RefusedError):
    """The API no longer needs this worker, which must exit."""


@dataclass(frozen=True, slots=True)
class PolledTask:
    """A task from the queue.

    Attributes:
        run: ``r`` of its input.
        node: ``n`` of its input.
        waits: ``w`` of its input.
    """

    token: str
    run: str
    node: str
    waits: bool

    def __repr__(self) -> str:
        return f"<Offer of {self.node} in {self.run}>"


class Api(Protocol):
    """The calls of a worker, each retried for as long as is useful.

    All raise `ApiError`.
    """

    def start(self, start: WorkerStart) -> WorkerInstructions:
        """Report that the worker has started; return its instructions."""

    def claim(self, claim: Claim) -> ClaimResponse:
        """Return the decision about a task."""

    def heartbeat(self, heartbeat: Heartbeat) -> HeartbeatResponse:
        """Report that a command is still running; not retried."""

    def log(self, chunk: WorkerLogChunk) -> LogResponse:
        """Send output; not retried."""

    def log_upload(self, wanted: LogUpload, data: bytes) -> str:
        """Upload the gzip of a large chunk of output; return its key. Not retried."""

    def report(self, report: Report) -> ReportResponse:
        """Report the result of a command; return whether its task is still open."""

    def upload(self, data: bytes) -> str:
        """Upload a large object; return its key."""

    def end(self, end: WorkerEnd) -> EndResponse:
        """Report that the worker is exiting; retried for a short time."""


class OpenTasks(Protocol):
    """Tasks that are kept alive."""

    def heartbeat(self, token: str) -> bool:
        """Keep a task alive; return False if it is no longer open.

        Raises:
            ApiError: Step Functions is unreachable.
        """


class Tasks(OpenTasks, Protocol):
    """The queue of the worker's pool."""

    @property
    def open(self) -> bool:
        """Whether a poll of `poll_briefly` is still open."""

    def poll_briefly(self, seconds: float) -> PolledTask | None:
        """Return the next task, or None after some seconds; the poll then stays open."""

    def poll(self, may_abort: Callable[[], bool], *, leaving: bool = False) -> PolledTask | None:
        """Return the next task, or None after a minute without one; continue an open poll.

        A task that Step Functions sends to an aborted poll is lost until its heartbeat times out.

        Args:
            may_abort: Called once if the worker is asked to stop during the poll; returns whether
                to abort it.
            leaving: The worker stops already.
        """


class Commands(Protocol):
    """The user's container, which runs one command after the other."""

    def wait_ready(self, seconds: float, stopping: Callable[[], bool]) -> None:
        """Return when the container can run commands.

        Raises:
            BrokenError: It cannot.
        """

    def begin(self, script: str, env: Mapping[str, str], inputs: str = "") -> None:
        """Start a command; raise ValueError if a shell cannot take it."""

    def read(self, seconds: float) -> list[Chunk]:
        """Return output and frames, waiting for at most ``seconds``.

        Raises:
            LostError: It ended.
        """

    @property
    def finished(self) -> Finished | None:
        """The result of the command; None while it runs."""

    def signal(self, name: str) -> None:
        """Send a signal to all processes of the running command."""

    def close(self) -> None:
        """Let the container exit."""


class Clock(Protocol):
    """The time, and the request to stop."""

    def now(self) -> float:
        """Return seconds since an arbitrary moment."""

    def wait(self, seconds: float) -> None:
        """Return after ``seconds``, or sooner when the worker is asked to stop."""

    @property
    def stopped_at(self) -> float | None:
        """Time at which the worker was asked to stop (SIGTERM), or None."""
