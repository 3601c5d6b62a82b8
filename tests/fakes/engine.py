"""An engine in memory: starts nothing, and every command ends as the test says.

`FakeEngine` and `FakeWorker` satisfy the ports of `conducto_local.engine.port`, and the same
contract suite holds them and the real ones.

>>> import asyncio
>>> from conducto_local.engine.port import Job, WorkerSpec
>>> async def example() -> int | None:
...     engine = FakeEngine({"false": Outcome(code=1)})
...     worker = await engine.start_worker(WorkerSpec("w", "debian", "/bin/sh", cpu=1, mem=1))
...     return (await worker.run(Job("false"), lambda stream, data: None)).code
>>> asyncio.run(example())
1
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from conducto_core.command.usage import Reading
from conducto_core.run.model.states import Cause
from conducto_local.engine import port as ports
from conducto_local.engine.port import EngineInfo, Exit, Job, LabelledResource, Output, WorkerSpec


@dataclass(frozen=True, slots=True)
class Outcome:
    """The scripted end of a command in a `FakeEngine`.

    Attributes:
        code: Exit code; None with ``cause=Cause.WORKER_LOST``.
        held: The command runs until `FakeEngine.release`, `FakeWorker.stop` or a loss.
        stopped_code: Exit code when it is stopped: 137 for a command that ignores TERM.
        files: Its result, metrics and artifacts, as it left them.
    """

    code: int | None = 0
    stdout: bytes = b""
    stderr: bytes = b""
    cause: Cause | None = None
    message: str | None = None
    peak_memory: int | None = None
    held: bool = False
    stopped_code: int = 143
    files: Mapping[str, bytes] = field(default_factory=dict)


Script = Mapping[str, Outcome] | Callable[["WorkerSpec", "Job"], Outcome]


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that was run."""

    worker: str
    job: "Job"


@dataclass
class FakeEngine:
    """An engine in memory.

    Attributes:
        outcomes: ``{script: outcome}``, where scripts that are not in it succeed at once without
            output; or a function of the worker's spec and the job.
        unstartable: ``{image: why workers of it cannot start}``.
        lost_starts: How many of the next workers are lost while they start.
        gone: Why the engine does not answer; None while it does.
        started: Specs of all workers, in the order they were started.
        ran: All commands, in the order they were started.
        workers: ``{name: worker}`` of the containers that exist.
        networks: ``{name: labels}`` of the networks that exist.
        images: ``{reference: labels}`` of the snapshots that exist.
        changed_bytes: What every snapshot holds.
        readings: What workers say they have used, one after the other; then they do not know.
    """

    outcomes: Script = field(default_factory=dict)
    cpus: float = 4
    memory: float = 16
    gpus: int = 0
    unstartable: dict[str, str] = field(default_factory=dict)
    lost_starts: int = 0
    gone: str | None = None
    started: list["WorkerSpec"] = field(default_factory=list)
    ran: list[Ran] = field(default_factory=list)
    workers: dict[str, "FakeWorker"] = field(default_factory=dict)
    networks: dict[str, dict[str, str]] = field(default_factory=dict)
    images: dict[str, dict[str, str]] = field(default_factory=dict)
    changed_bytes: int = 0
    readings: list[Reading] = field(default_factory=list)

    async def open(self) -> "EngineInfo":
        self._check()
        info: EngineInfo = ports.EngineInfo("fake", "1", self.cpus, self.memory, self.gpus)
        return info

    async def start_worker(self, spec: "WorkerSpec") -> "FakeWorker":
        self._check()
        await asyncio.sleep(0)
        if spec.image in self.unstartable:
            raise ports.WorkerStartError(self.unstartable[spec.image])
        if self.lost_starts:
            self.lost_starts -= 1
            raise ports.WorkerLostError(f"container {spec.name} was lost during its start")
        self.started.append(spec)
        worker = self.workers[spec.name] = FakeWorker(self, spec)
        return worker

    async def ensure_network(self, name: str, labels: Mapping[str, str]) -> None:
        self._check()
        self.networks.setdefault(name, dict(labels))

    async def remove_labelled(self, labels: Mapping[str, str]) -> int:
        self._check()
        wanted = labels.items()
        workers = [w for w in self.workers.values() if wanted <= dict(w.spec.labels).items()]
        networks = [name for name, borne in self.networks.items() if wanted <= borne.items()]
        for worker in workers:
            await worker.close()
        for name in networks:
            del self.networks[name]
        return len(workers) + len(networks)

    async def find(self, label: str, value: str) -> list[LabelledResource]:
        self._check()
        found = [
            *(
                ("container", name, worker.spec.labels, worker.job is not None)
                for name, worker in self.workers.items()
            ),
            *(("network", name, labels, False) for name, labels in self.networks.items()),
            *(("image", name, labels, False) for name, labels in self.images.items()),
        ]
        return [
            LabelledResource(kind, name, name, labels, size=1, running=running)
            for kind, name, labels, running in found
            if labels.get(label) == value
        ]

    async def discard(self, belonging: LabelledResource) -> bool:
        self._check()
        if belonging.kind == "container":
            worker = self.workers.get(belonging.name)
            if worker is not None:
                await worker.close()
            return worker is not None
        things = self.networks if belonging.kind == "network" else self.images
        return things.pop(belonging.name, None) is not None

    async def remove_image(self, reference: str) -> bool:
        self._check()
        return self.images.pop(reference, None) is not None

    async def close(self) -> None:
        """Do nothing: workers continue."""

    def running(self) -> list[str]:
        """Return the scripts of running commands, in the order of their starts."""
        return [w.job.script for w in self.workers.values() if w.job is not None]

    def release(self, script: str) -> None:
        """End a held command as its outcome says.

        Raises:
            KeyError: The command is not running.
        """
        for worker in self.workers.values():
            if worker.job is not None and worker.job.script == script:
                worker.end(None)
                return
        raise KeyError(f"{script!r} does not run; running: {self.running()}")

    def lose(self, name: str, message: str = "the container died") -> None:
        """Lose a container together with its command."""
        worker = self.workers.pop(name)
        worker.lose(message)

    def go_away(self, message: str = "the container engine was stopped") -> None:
        """Stop the engine: its containers are lost, and calls fail."""
        self.gone = message
        for name in list(self.workers):
            self.lose(name, message)

    def outcome(self, spec: "WorkerSpec", job: "Job") -> Outcome:
        """Return the scripted outcome of a command."""
        if isinstance(self.outcomes, Mapping):
            return self.outcomes.get(job.script, Outcome())
        return self.outcomes(spec, job)

    def _check(self) -> None:
        if self.gone is not None:
            raise ports.EngineError(self.gone)


class FakeWorker:
    """A worker in memory."""

    def __init__(self, engine: FakeEngine, spec: "WorkerSpec") -> None:
        self.spec = spec
        self.job: Job | None = None
        self._engine = engine
        self._lost: str | None = None
        self._ended: asyncio.Future[Outcome | None] | None = None
        self._outcome = Outcome()

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def lost(self) -> bool:
        return self._lost is not None

    async def run(self, job: "Job", output: "Output") -> "Exit":
        """Run a command to its scripted outcome."""
        if self.job is not None:
            raise RuntimeError(f"worker {self.name} is already running a command")
        if "\0" in job.script:
            raise ValueError("a command cannot hold a NUL character: a shell cannot read it")
        if self._lost is not None:
            lost = Outcome(None, cause=Cause.WORKER_LOST, message=self._lost)
            return self._exit(lost, started=False)
        self._engine.ran.append(Ran(self.name, job))
        outcome = self._outcome = self._engine.outcome(self.spec, job)
        self._ended = asyncio.get_running_loop().create_future()
        self.job = job
        try:
            if outcome.stdout:
                output("stdout", outcome.stdout)
            if outcome.stderr:
                output("stderr", outcome.stderr)
            if not outcome.held:
                await asyncio.sleep(0)
                self.end(None)
            end = await self._ended
        finally:
            self.job = self._ended = None
        return self._exit(outcome if end is None else end)

    async def relay(self, name: str) -> "ports.Relay":
        """Reject it: scripted commands send no requests."""
        raise ports.WorkerStartError(f"{name}: a fake worker has no relay")

    async def stop(self) -> None:
        """End the running command with its `Outcome.stopped_code`."""
        self.end(Outcome(self._outcome.stopped_code))
        await asyncio.sleep(0)

    async def snapshot(
        self, reference: str, labels: Mapping[str, str], *, max_bytes: int | None = None
    ) -> int:
        """Record a snapshot, unless it is too large."""
        size = self._engine.changed_bytes
        if max_bytes is not None and size > max_bytes:
            raise ports.SnapshotError(f"no snapshot: {size} bytes, more than {max_bytes}")
        self._engine.images[reference] = dict(labels)
        return size

    async def reading(self) -> Reading | None:
        return self._engine.readings.pop(0) if self._engine.readings else None

    async def close(self) -> None:
        if self._engine.workers.get(self.name) is self:
            del self._engine.workers[self.name]
        if self._lost is None:
            self.lose(f"container {self.name} was removed")

    def end(self, outcome: Outcome | None) -> None:
        """End the running command with an outcome; None: the scripted one."""
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(outcome)

    def lose(self, message: str) -> None:
        """Lose the worker and its running command."""
        self._lost = message
        self.end(Outcome(None, cause=Cause.WORKER_LOST, message=message))

    def _exit(self, outcome: Outcome, *, started: bool = True) -> "Exit":
        result: Exit = ports.Exit(
            outcome.code,
            outcome.cause,
            outcome.message,
            outcome.peak_memory,
            engine_gone=outcome.cause is Cause.WORKER_LOST and self._engine.gone is not None,
            started=started,
            files=outcome.files,
        )
        return result
