"""A debug shell: the request, and the container that it needs."""

from typing import Literal

from pydantic import Field

from conducto_core.record import Record
from conducto_core.run.model.params import PipelineId
from conducto_core.secrets.model import Hidden


class DebugRequest(Record):
    """The attempt to inspect.

    Attributes:
        attempt: Counted from 1; None is the newest, or the definition if there is none.
        live: Mount the host's code over the copy in the image.
        snapshot: Use the files as they were when the command failed.
    """

    path: str
    attempt: int | None = Field(default=None, ge=1)
    live: bool = False
    snapshot: bool = False


class DebugMount(Record):
    """A host directory mounted in the container."""

    source: str
    target: str
    read_only: bool = False


class DebugPlan(Record):
    """The container of a debug shell; any client that can reach the engine can start it.

    Attributes:
        attempt: The attempt that the shell reproduces; None for a node that never ran.
        image: The engine's reference of the image.
        pull: The engine may not have the image yet: pull it before the shell opens.
        shell: Path of the shell in the container.
        script: The command as a script file, with its first line.
        env: The environment without secrets.
        secrets: ``{name: value}``; these override ``env``.
        arch: Architecture of the image; "": that of the engine.
        workdir: Working directory; None is the image's own.
        code: Host code of a live shell.
        network: Name of an existing network.
        folder: Host directory for script files of this pipeline's debug shells; None: the client
            chooses one.
        notes: Sentences that the user should read first.
    """

    pipeline: str
    path: str
    attempt: int | None = None
    image: str
    pull: bool = False
    shell: str
    script: str
    env: dict[str, str] = {}
    secrets: dict[str, Hidden] = {}
    workdir: str | None = None
    cpu: float
    mem: float
    gpu: int = 0
    arch: str = ""
    requires_docker: bool = False
    docker_run_args: tuple[str, ...] = ()
    data: tuple[DebugMount, ...] = ()
    code: tuple[DebugMount, ...] = ()
    network: str | None = None
    labels: dict[str, str] = {}
    folder: str | None = None
    notes: tuple[str, ...] = ()


# ----------------------------------------------------------------------------------------
# A debug shell in the web app: `conducto_core.debug.operations.OPEN_SHELL` returns a ticket for the
# WebSocket of `conducto_core.debug.operations.SHELL` (`conducto_core.debug.terminal`).


class ShellTicket(Record):
    """A ticket that opens a shell's WebSocket, once.

    Attributes:
        attempt: The attempt that the shell reproduces; None for a node that never ran.
        notes: Sentences that the user should read first.
    """

    ticket: str
    seconds: float
    attempt: int | None = None
    notes: tuple[str, ...] = ()


# ----------------------------------------------------------------------------------------
# Debug shells on workers of the cloud: the operations to open, enter and end one.
#
# A shell has a worker of its own, which is in no pipeline's journal. It takes a minute to start, so
# a client repeats `conducto_core.debug.operations.ENTER_REMOTE_SHELL` until it returns a session,
# which the client opens with AWS's own program (`ShellSession`).


#: Lifetime of a shell in seconds: the default, the minimum and the maximum.
DEFAULT_SECONDS = 3600
FEWEST_SECONDS = 60
MAX_SECONDS = 8 * 3600


class RemoteShellRequest(Record):
    """A request for a shell that reproduces the container of an attempt.

    Attributes:
        attempt: Counted from 1; None is the newest, or the definition if there is none.
        seconds: Time after which the shell is ended in any case.
    """

    path: str
    attempt: int | None = Field(default=None, ge=1)
    seconds: int = Field(default=DEFAULT_SECONDS, ge=FEWEST_SECONDS, le=MAX_SECONDS)


class RemoteShell(Record):
    """A shell that is starting.

    Attributes:
        id: Its name, unique in its pipeline.
        attempt: The attempt that it reproduces; None for a node that never ran.
        image: Its worker's reference of the image.
        until: Latest end, in seconds since the epoch.
        notes: Sentences that the user should read first.
    """

    id: str
    pipeline: str
    path: str
    attempt: int | None = None
    image: str
    until: float
    notes: tuple[str, ...] = ()


class RemoteShellParams(Record):
    """The id of a shell."""

    id: PipelineId
    shell: str = Field(min_length=1, max_length=64)


class ShellSession(Record):
    """The parameters of AWS's ``session-manager-plugin`` for one terminal session.

    Attributes:
        target: Task and container, as the plugin names them.
        endpoint: Endpoint of the service that created the session.
    """

    session_id: str
    stream_url: str
    token: Hidden
    target: str
    region: str
    endpoint: str


class RemoteShellEntry(Record):
    """The response to a request to enter a shell.

    Attributes:
        state: ``starting``: repeat the request in a few seconds.
        message: The current step, for display.
        session: The session to open, once the state is ``ready``.
    """

    state: Literal["starting", "ready"]
    message: str
    session: ShellSession | None = None


class RemoteShellEnd(Record):
    """The shell has ended, now or earlier."""

    id: str
