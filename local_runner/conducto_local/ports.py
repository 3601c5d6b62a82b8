"""What the scheduler asks of the world.

Three small ports: an engine that starts workers, a worker that runs commands, a builder that
makes images. `conducto_core.testing` ships a fake for each; one contract suite holds real and fake.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from conducto_core.model.images import ImageSpec
from conducto_core.model.records import ImageState
from conducto_core.model.states import Cause
from conducto_core.runtime.container_stats import Reading

Stream = Literal["stdout", "stderr"]
#: Receives raw output as it comes. Must not block; called in the event loop's thread.
Output = Callable[[Stream, bytes], None]


class EngineError(Exception):
    """The engine cannot be used; the message says why and what to do."""


class SnapshotError(Exception):
    """A worker's state cannot be kept; the message says why."""


class WorkerStartError(Exception):
    """A container could not be started; the message says why and what to do."""


class WorkerLostError(WorkerStartError):
    """It was removed or killed while it started; another one may well start."""


class ImageGoneError(WorkerStartError):
    """It could not, because its image is not on the engine any more, or never was."""


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What the engine can give.

    Attributes:
        memory: GB (2**30 bytes).
        gpus: Number of GPUs.
        unenforced: Limits that containers do not have here: of ``cpu``, ``memory``, ``pids``.
        warnings: What containers lack here that is promised elsewhere, each with its remedy.
    """

    name: str
    version: str
    cpus: float
    memory: float
    gpus: int = 0
    unenforced: frozenset[str] = frozenset()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Mount:
    """A host directory or file seen in the container."""

    source: str
    target: str
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """A container to start.

    Attributes:
        name: Name of the container.
        image: What the engine knows the image by.
        shell: Path of the shell that runs commands inside.
        cpu: CPUs it may use.
        mem: GB it may use.
        workdir: Working directory of commands; None is the image's own.
        labels: ``{name: value}``; by these it is found again after a crash.
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


@dataclass(frozen=True, slots=True)
class Job:
    """One command to run in a worker.

    Attributes:
        script: Text of the shell script, any size, no NUL.
        env: ``{name: value}`` over the image's own environment.
    """

    script: str
    env: Mapping[str, str] = field(default_factory=dict, repr=False)  # it holds secrets


@dataclass(frozen=True, slots=True)
class Exit:
    """How a command ended.

    Attributes:
        code: Exit code; None when there is none because the worker was lost.
        cause: ``out_of_memory`` or ``worker_lost`` where the engine saw that, else None (the
            exit code decides).
        message: A sentence for a person where ``cause`` is set.
        peak_memory: Bytes, where known.
        engine_gone: The worker was lost because the engine does not answer.
        started: The command may have begun; False where the worker was lost before it got it.
    """

    code: int | None
    cause: Cause | None = None
    message: str | None = None
    peak_memory: int | None = None
    engine_gone: bool = False
    started: bool = True


class Worker(Protocol):
    """One running container; runs one command at a time."""

    @property
    def name(self) -> str:
        """Name of the container."""

    @property
    def lost(self) -> bool:
        """Whether it is known that no command can run in it any more."""

    async def run(self, job: Job, output: Output) -> Exit:
        """Run a command; stream its output; leave no process of it behind.

        Returns also when the container dies (cause ``worker_lost`` or ``out_of_memory``).
        """

    async def stop(self) -> None:
        """End the running command: TERM, then KILL after a short grace. `run` then returns."""

    async def snapshot(
        self, reference: str, labels: Mapping[str, str], *, max_bytes: int | None = None
    ) -> int:
        """Keep the container's files as an image; between two commands.

        Args:
            reference: Name of the image.
            labels: Labels of the image, ``{name: value}``.
            max_bytes: Most bytes that may differ from the image the container was made of.

        Returns:
            How many bytes differ.

        Raises:
            SnapshotError: it is too large, or the engine cannot; nothing is kept.
            EngineError: the engine is gone.
        """

    async def reading(self) -> Reading | None:
        """Return what the container has used so far; None where the engine does not know.

        Raises:
            EngineError: the engine is gone.
        """

    async def close(self) -> None:
        """Remove the container; safe to call twice and when it is gone."""


class Engine(Protocol):
    """Something that runs containers."""

    async def open(self) -> EngineInfo:
        """Connect.

        Raises:
            EngineError: not installed, not started or not permitted, each with its remedy.
        """

    async def start_worker(self, spec: WorkerSpec) -> Worker:
        """Start a container with the command server in it, ready for `Worker.run`.

        Raises:
            WorkerStartError: the container cannot start; says why.
            EngineError: the engine is gone.
        """

    async def ensure_network(self, name: str, labels: Mapping[str, str]) -> None:
        """Make the network unless it exists."""

    async def remove_labelled(self, labels: Mapping[str, str]) -> int:
        """Remove containers and networks that bear all these labels; return how many."""

    async def remove_image(self, reference: str) -> bool:
        """Remove an image by its name; return whether there was one."""

    async def find(self, label: str, value: str) -> "list[LabelledResource]":
        """Return every container, network and image that bears the label with this value."""

    async def discard(self, belonging: "LabelledResource") -> bool:
        """Remove one of these, a container also while it runs; False where others need it."""

    async def close(self) -> None:
        """Disconnect; containers stay."""


@dataclass(frozen=True, slots=True)
class LabelledResource:
    """Something on the engine that bears a label.

    Attributes:
        name: What a person knows it by: a name, an image's reference, else its id.
        labels: ``{name: value}``.
        size: Bytes that would be free without it, as far as the engine knows.
        running: A container whose process runs.
        layers: An image's layers, the lowest first.
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
    """An image that is ready to start workers from.

    Attributes:
        reference: What the engine knows it by.
        shell: Path of the shell that runs its commands.
        workdir: Working directory of its commands.
        path_map: ``{absolute host path: absolute path in the container}`` of code it holds.
    """

    reference: str
    shell: str
    workdir: str
    path_map: Mapping[str, str] = field(default_factory=dict)


class ImageError(Exception):
    """An image cannot be had; the message ends with the last lines of the build."""


@dataclass(frozen=True, slots=True)
class BuildPart:
    """One step inside a state of a build, as it stands now; times are seconds since the epoch.

    Attributes:
        key: What tells it from the other steps of the build.
        name: As the engine says it.
        ended: None while it is under way.
        cached: Nothing had to be done.
        error: Why it failed.
    """

    key: str
    name: str
    started: float | None = None
    ended: float | None = None
    cached: bool = False
    error: str | None = None


class BuildLog(Protocol):
    """Where a build says how far it is."""

    def step(self, state: ImageState) -> None:
        """The build has reached ``state``."""

    def part(self, part: BuildPart) -> None:
        """A step inside the state that was reached last has begun or ended."""

    def write(self, text: str) -> None:
        """Lines that the build printed."""


class ImageBuilder(Protocol):
    """Something that makes images."""

    def for_launch(self) -> "ImageBuilder":
        """Return a builder that looks anew at code and repositories, for one pipeline."""

    async def find(self, reference: str) -> BuiltImage | None:
        """Return an image that was made earlier, without its ``path_map``; None if it is gone.

        Raises:
            EngineError: the engine is gone.
        """

    async def build(self, spec: ImageSpec, log: BuildLog) -> BuiltImage:
        """Return the image, built or found.

        Raises:
            ImageError: it cannot be built or pulled.
            EngineError: the engine is gone.
        """
