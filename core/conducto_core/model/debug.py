"""A debug shell: what is asked for, and the container that it needs."""

from pydantic import Field

from conducto_core.model.base import Record
from conducto_core.model.secrets import Hidden


class DebugRequest(Record):
    """Which attempt to look into.

    Attributes:
        path: An Exec.
        attempt: Counted from 1; None is the newest, or the definition where there is none.
        live: Mount the host's code over the copy in the image.
        snapshot: The files as they were when the command failed.
    """

    path: str
    attempt: int | None = Field(default=None, ge=1)
    live: bool = False
    snapshot: bool = False


class DebugMount(Record):
    """A host directory seen in the container, read-write."""

    source: str
    target: str


class DebugPlan(Record):
    """The container of a debug shell; whoever can reach the engine can start it from this.

    Attributes:
        pipeline: Id of the pipeline.
        attempt: The attempt that it is like; None for a node that never ran.
        image: What the engine knows the image by.
        pull: The engine may not have it yet: it is pulled before the shell opens.
        shell: Path of the shell inside.
        script: What the command is, as a script file holds it, its first line included.
        env: The environment without secrets.
        secrets: ``{name: value}``; these win over ``env``.
        workdir: Working directory; None is the image's own.
        cpu: CPUs it may use.
        mem: GB it may use.
        data: The data directories.
        code: Host code of a live shell.
        network: Name of a network that exists.
        labels: Labels for the container.
        folder: Host directory for script files of this pipeline's debug shells; None: whoever
            opens the shell has one.
        notes: Sentences that a person should read first.
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
