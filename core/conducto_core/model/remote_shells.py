"""Debug shells on workers of the cloud: how one is asked for, entered and ended.

A shell has a worker of its own, which no pipeline's journal knows. It takes a minute to start, so
`conducto_core.model.operations.pipelines.ENTER_REMOTE_SHELL` is asked again until it answers a
session, which a client opens with AWS's own program (`ShellSession`).
"""

from typing import Literal

from pydantic import Field

from conducto_core.model.base import Record
from conducto_core.model.params import PipelineId
from conducto_core.model.secrets import Hidden

#: Seconds that a shell stays: unless asked otherwise, at least, and at most.
DEFAULT_SECONDS = 3600
FEWEST_SECONDS = 60
MAX_SECONDS = 8 * 3600


class RemoteShellRequest(Record):
    """A shell like the container of an attempt.

    Attributes:
        path: An Exec.
        attempt: Counted from 1; None is the newest, or the definition where there is none.
        seconds: After which the shell is ended, whatever happens in it.
    """

    path: str
    attempt: int | None = Field(default=None, ge=1)
    seconds: int = Field(default=DEFAULT_SECONDS, ge=FEWEST_SECONDS, le=MAX_SECONDS)


class RemoteShell(Record):
    """A shell that starts.

    Attributes:
        id: Its name, good within its pipeline.
        attempt: The attempt that it is like; None for a node that never ran.
        image: What its worker knows the image by.
        until: When it ends at the latest, in seconds since the epoch.
        notes: Sentences that a person should read first.
    """

    id: str
    pipeline: str
    path: str
    attempt: int | None = None
    image: str
    until: float
    notes: tuple[str, ...] = ()


class RemoteShellParams(Record):
    """Which shell."""

    id: PipelineId
    shell: str = Field(min_length=1, max_length=64)


class ShellSession(Record):
    """What AWS's ``session-manager-plugin`` needs to open a terminal, once.

    Attributes:
        session_id: AWS's name of the session.
        stream_url: Where it listens.
        token: The key to it.
        target: Task and container, as the plugin names them.
        region: AWS region.
        endpoint: Of the service that made the session.
    """

    session_id: str
    stream_url: str
    token: Hidden
    target: str
    region: str
    endpoint: str


class RemoteShellEntry(Record):
    """Whether a shell can be entered.

    Attributes:
        state: ``starting``: ask again in some seconds.
        message: What it does meanwhile, for a person.
        session: The way in, once it is ``ready``.
    """

    state: Literal["starting", "ready"]
    message: str
    session: ShellSession | None = None


class RemoteShellEnd(Record):
    """A shell is over, or was already."""

    id: str
