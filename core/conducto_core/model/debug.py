"""A debug shell: the request, and the container that it needs."""

from pydantic import Field

from conducto_core.model.base import Record
from conducto_core.model.secrets import Hidden


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
    """A host directory mounted in the container, read-write."""

    source: str
    target: str


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
    requires_docker: bool = False
    docker_run_args: tuple[str, ...] = ()
    data: tuple[DebugMount, ...] = ()
    code: tuple[DebugMount, ...] = ()
    network: str | None = None
    labels: dict[str, str] = {}
    folder: str | None = None
    notes: tuple[str, ...] = ()
