"""Debug shells on workers of the cloud: the operations to open, enter and end one.

A shell has a worker of its own, which is in no pipeline's journal. It takes a minute to start, so a
client repeats `conducto_core.model.operations.pipelines.ENTER_REMOTE_SHELL` until it returns a
session, which the client opens with AWS's own program (`ShellSession`).
"""

from typing import Literal

from pydantic import Field

from conducto_core.model.base import Record
from conducto_core.model.params import PipelineId
from conducto_core.model.secrets import Hidden

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
