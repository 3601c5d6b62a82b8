"""What the agent needs of the world, in small ports; `fakes.worker` has fakes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from conducto_core.model.worker import (
    Claim,
    ClaimResponse,
    Heartbeat,
    HeartbeatResponse,
    LogResponse,
    Report,
    ReportResponse,
    WorkerEnd,
    WorkerInstructions,
    WorkerLogChunk,
    WorkerStart,
)
from conducto_core.runtime.command_server import Finished, Stream

Chunk = tuple[Stream, bytes]


class BrokenError(Exception):
    """The user's container cannot run commands; the message is for a person."""


class LostError(Exception):
    """The user's container ended in the middle."""


class ApiError(Exception):
    """The API did not do it: it is away, or it refuses."""


class RefusedError(ApiError):
    """The API will not do it, however often it is asked."""


class WorkerGoneError(RefusedError):
    """The API has no use for this worker any more: it must leave."""


@dataclass(frozen=True, slots=True)
class PolledTask:
    """A task out of the queue.

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
    """The calls of a worker, each tried again for as long as makes sense for it.

    All raise `ApiError`.
    """

    def start(self, start: WorkerStart) -> WorkerInstructions:
        """Say that the worker is up, and learn how to work."""

    def claim(self, claim: Claim) -> ClaimResponse:
        """Ask what to do with a task."""

    def pulse(self, pulse: Heartbeat) -> HeartbeatResponse:
        """Say that a command runs still; tried once."""

    def log(self, piece: WorkerLogChunk) -> LogResponse:
        """Hand over output; tried once."""

    def report(self, report: Report) -> ReportResponse:
        """Say how a command ended, and learn whether its task has no answer yet."""

    def upload(self, data: bytes) -> str:
        """Hand over something large; return what it is called."""

    def end(self, end: WorkerEnd) -> None:
        """Say that the worker leaves; tried a few times."""


class Tasks(Protocol):
    """The queue of the worker's pool."""

    def poll(self) -> PolledTask | None:
        """Return the next task, or None after a minute without one.

        Never to be aborted: a task handed to nobody is lost until its heartbeat is missed.
        """

    def heartbeat(self, token: str) -> bool:
        """Keep a task alive; False when nobody waits for it any more.

        Raises:
            ApiError: not known: the service is away.
        """


class Commands(Protocol):
    """The user's container, as something that runs one command after the other."""

    def wait_ready(self, seconds: float, stopping: Callable[[], bool]) -> None:
        """Return when it can run commands.

        Raises:
            BrokenError: it cannot.
        """

    def begin(self, script: str, env: Mapping[str, str]) -> None:
        """Start a command; raises ValueError where a shell cannot take it."""

    def read(self, seconds: float) -> list[Chunk]:
        """Return output, waiting for at most ``seconds``; raises `LostError`."""

    @property
    def finished(self) -> Finished | None:
        """How the command ended; None while it runs."""

    def signal(self, name: str) -> None:
        """Send a signal to all processes of the running command."""

    def close(self) -> None:
        """Let the container end."""


class Clock(Protocol):
    """Time, and the wish of others that the worker stops."""

    def now(self) -> float:
        """Return seconds since some fixed moment."""

    def wait(self, seconds: float) -> None:
        """Return after ``seconds``, or sooner when the worker is told to stop."""

    @property
    def stopped_at(self) -> float | None:
        """When the worker was told to stop (SIGTERM), if it was."""
