"""The ports of the scheduler: an engine, a worker and an image builder.

The tests have a fake engine; one contract suite tests it and the real engines.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from conducto.wire.services import Service
from conducto_core.command.server import Part
from conducto_core.command.usage import Reading
from conducto_core.images.model import ImageSpec
from conducto_core.run.model.records import ImageState
from conducto_core.run.model.states import Cause

Stream = Literal["stdout", "stderr"]
#: Receives raw output, and frames, as they arrive. Called in the event loop's thread; must not
#: block.
Output = Callable[[Part, bytes], None]
#: Receives the name of a service and a part of its output; as `Output`.
ServiceOutput = Callable[[str, bytes], None]


class EngineError(Exception):
    """The engine cannot be used; the message has the reason and the remedy."""


class SnapshotError(Exception):
    """A snapshot cannot be created; the message has the reason."""


class WorkerStartError(Exception):
    """A container could not be started; the message has the reason and the remedy."""


class WorkerLostError(WorkerStartError):
    """The container was removed or killed during its start; a retry may succeed."""


class ServiceError(WorkerStartError):
    """A service beside the container could not start, has ended or was not ready.

    Attributes:
        outputs: ``{name of a service: its output}``.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.outputs: Mapping[str, bytes] = {}


class ImageGoneError(WorkerStartError):
    """The container could not be started because its image is not on the engine."""


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """The resources of an engine.

    Attributes:
        memory: GB (2**30 bytes).
        gpus: Number of GPUs.
        arch: Its architecture, as nodes name it; "" if it is not known.
        emulates: Other architectures whose programs it can run.
        has_services: Whether it can run containers beside a worker.
        unenforced: Limits that the engine does not enforce: of ``cpu``, ``memory``, ``pids``.
        warnings: Limitations of containers on this engine, each with its remedy.
    """

    name: str
    version: str
    cpus: float
    memory: float
    gpus: int = 0
    unenforced: frozenset[str] = frozenset()
    warnings: tuple[str, ...] = ()
    arch: str = ""
    emulates: frozenset[str] = frozenset()
    has_services: bool = True


@dataclass(frozen=True, slots=True)
class Mount:
    """A host directory or file that is mounted in a container."""

    source: str
    target: str
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """A container to start.

    Attributes:
        name: Name of the container.
        image: Name or id of the image.
        shell: Path of the shell that runs commands inside.
        cpu: Maximum number of CPUs.
        mem: Maximum memory in GB.
        workdir: Working directory of commands; None for the image's default.
        labels: ``{name: value}``; they identify it after a crash.
        services: Containers that start before it, in its network, and are removed with it; their
            environment has their secrets.
        hosts: ``name:address`` of other containers.
    """

    name: str
    image: str
    shell: str
    cpu: float
    mem: float
    gpu: int = 0
    requires_docker: bool = False
    docker_run_args: tuple[str, ...] = ()
    mounts: tuple[Mount, ...] = ()
    network: str | None = None
    workdir: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    services: tuple[Service, ...] = ()
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Job:
    """One command to run in a worker.

    Attributes:
        script: Text of the shell script, of any size, without NUL.
        env: ``{name: value}``, added to the image's environment.
        inputs: Content of its file of inputs; empty for none.
        services: Receives the output of the services of its container.
    """

    script: str
    env: Mapping[str, str] = field(default_factory=dict, repr=False)  # it contains secrets
    inputs: str = ""
    services: ServiceOutput | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Exit:
    """The result of a command.

    Attributes:
        code: Exit code; None if the worker was lost.
        cause: ``out_of_memory``, ``worker_lost`` or ``service`` if the engine reported it, else
            None (the exit code decides).
        message: Explanation of ``cause``, for users.
        peak_memory: Bytes, if known.
        engine_gone: The worker was lost because the engine is unreachable.
        started: Whether the command may have started; False if the worker was lost before it.
        files: ``{name: content}`` of the `OUTPUT_FILES` that the command left.
        interpreter: As that of `conducto_core.command.server.Finished`.
    """

    code: int | None
    cause: Cause | None = None
    message: str | None = None
    peak_memory: int | None = None
    engine_gone: bool = False
    started: bool = True
    files: Mapping[str, bytes] = field(default_factory=dict)
    interpreter: str = ""


class Relay(Protocol):
    """Carries requests of a running command to the agent, and the responses back.

    Attributes:
        directory: The directory through which the command sends requests, as the command sees it.
    """

    directory: str

    async def read(self) -> bytes:
        """Return requests that have arrived, cut anywhere; empty at the end."""

    def write(self, data: bytes) -> None:
        """Send responses, each as the name of a file and its line."""

    async def close(self) -> None:
        """End it."""


class Worker(Protocol):
    """A running container; runs one command at a time."""

    @property
    def name(self) -> str:
        """Name of the container."""

    @property
    def lost(self) -> bool:
        """Whether the container is known to be unable to run further commands."""

    async def run(self, job: Job, output: Output) -> Exit:
        """Run a command, stream its output, and leave no process of it behind.

        Also returns if the container dies (cause ``worker_lost`` or ``out_of_memory``).

        Raises:
            ValueError: The job contains characters that a shell cannot take, such as NUL.
        """

    async def relay(self, name: str) -> Relay:
        """Start a relay for the next command; ``name`` starts with ``launch-``.

        Raises:
            WorkerStartError: It cannot run there.
            EngineError: The engine is unreachable.
        """

    async def stop(self) -> None:
        """Stop the running command: TERM, then KILL after the grace period. `run` then returns."""

    async def snapshot(
        self, reference: str, labels: Mapping[str, str], *, max_bytes: int | None = None
    ) -> int:
        """Commit the container's files as an image; call it between two commands.

        Args:
            labels: Labels of the image, ``{name: value}``.
            max_bytes: Maximum number of bytes that may have changed since the container's start.

        Returns:
            The number of changed bytes.

        Raises:
            SnapshotError: It is too large, or the engine failed; no image is kept.
            EngineError: The engine is unreachable.
        """

    async def reading(self) -> Reading | None:
        """Return the container's resource usage so far; None if it is unknown.

        Raises:
            EngineError: The engine is unreachable.
        """

    async def close(self) -> None:
        """Remove the container; safe to call twice and after its removal."""


class Engine(Protocol):
    """An engine that runs containers."""

    async def open(self) -> EngineInfo:
        """Connect.

        Raises:
            EngineError: The engine is not installed, not running or not permitted; the message has
                the remedy.
        """

    async def start_worker(self, spec: WorkerSpec) -> Worker:
        """Start a container with the command server, ready for `Worker.run`.

        Raises:
            WorkerStartError: The container cannot start; the message has the reason.
            EngineError: The engine is unreachable.
        """

    async def ensure_network(self, name: str, labels: Mapping[str, str]) -> None:
        """Create the network unless it exists."""

    async def remove_labelled(self, labels: Mapping[str, str]) -> int:
        """Remove containers and networks that have all these labels; return their number."""

    async def remove_image(self, reference: str) -> bool:
        """Remove an image by name; return whether it existed."""

    async def find(self, label: str, value: str) -> "list[LabelledResource]":
        """Return every container, network and image with this label value."""

    async def discard(self, belonging: "LabelledResource") -> bool:
        """Remove a resource, even a running container; return False if it is in use."""

    async def close(self) -> None:
        """Disconnect; containers keep running."""


@dataclass(frozen=True, slots=True)
class LabelledResource:
    """A resource of an engine that has a label.

    Attributes:
        name: Its name, or the image's reference, or its id.
        labels: ``{name: value}``.
        size: Bytes that its removal would free, as far as the engine knows.
        running: Whether it is a running container.
        layers: Layers of an image, lowest first.
    """

    kind: Literal["container", "network", "image"]
    id: str
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    size: int = 0
    running: bool = False
    layers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """An image that workers can be started from.

    Attributes:
        reference: Its name on the engine.
        shell: Path of the shell that runs its commands.
        workdir: Working directory of its commands.
        path_map: ``{absolute host path: absolute path in the container}`` of its code.
        base: Identity of the image below the copied files, if known.
        code: Identity of the copied files (`conducto_local.images.manifests`); "" without any.
    """

    reference: str
    shell: str
    workdir: str
    path_map: Mapping[str, str] = field(default_factory=dict)
    base: str | None = None
    code: str = ""


@dataclass(frozen=True, slots=True)
class UnbuiltImage:
    """An image of which only the last layers must be built; see `BuiltImage`."""

    workdir: str
    path_map: Mapping[str, str]
    base: str
    code: str
    reference: None = None


class ImageError(Exception):
    """An image is not available; the message ends with the last lines of its build."""


@dataclass(frozen=True, slots=True)
class BuildPart:
    """The current status of a step within a state of a build; times are seconds since the epoch.

    Attributes:
        key: Identifies the step within the build.
        name: Name from the engine.
        ended: None while it is running.
        cached: The result came from a cache.
        error: The engine's error message, if it failed.
    """

    key: str
    name: str
    started: float | None = None
    ended: float | None = None
    cached: bool = False
    error: str | None = None


class BuildLog(Protocol):
    """Receives the progress of a build."""

    def step(self, state: ImageState) -> None:
        """Record that the build has reached ``state``."""

    def part(self, part: BuildPart) -> None:
        """Record that a step inside the latest state has started or ended."""

    def write(self, text: str) -> None:
        """Record lines of output of the build."""


class ImageBuilder(Protocol):
    """Builds images."""

    def for_launch(self) -> "ImageBuilder":
        """Return a builder for one pipeline that rereads code and repositories."""

    async def find(self, reference: str) -> BuiltImage | None:
        """Return an image that was built earlier, without its ``path_map``; None if it was removed.

        Raises:
            EngineError: The engine is unreachable.
        """

    async def lookup(self, spec: ImageSpec) -> BuiltImage | UnbuiltImage | None:
        """Return the image as far as it is known before anything is pulled or built.

        Raises:
            EngineError: The engine is unreachable.
        """

    async def build(self, spec: ImageSpec, log: BuildLog) -> BuiltImage:
        """Return the image; build it if necessary.

        Raises:
            ImageError: It cannot be built or pulled.
            EngineError: The engine is unreachable.
        """
