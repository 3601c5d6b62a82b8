"""Plain processes instead of containers: ``--engine process``.

For a first look without a container engine. There are no images, no isolation and no limits, and a
process that leaves its command's process group outlives it.
"""

import asyncio
import contextlib
import errno
import fcntl
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from conducto.wire.caching import NODE_DATA
from conducto.wire.fields import architecture
from conducto.wire.outputs import LIVE, RUN_DIRECTORY
from conducto_core.run.model.states import Cause
from conducto_local.engine.port import (
    EngineInfo,
    Exit,
    Job,
    LabelledResource,
    Output,
    Relay,
    SnapshotError,
    Stream,
    WorkerSpec,
    WorkerStartError,
)
from conducto_local.engine.process.run_files import RunFileTail, files_in, prepare, reports_in
from conducto_local.engine.relay import start_on_machine

# ----------------------------------------------------------------------------------------
# Cleanup after workers of the process engine whose agent was killed.
#
# Each worker has a directory with its scripts and its labels. A command is identified by the script
# that its shell was started with, so no other process is ever killed.


FOLDER_PREFIX = "conducto-process-"
SCRIPT = "cmd.sh"
_LABELS = "labels.json"
_PROCESSES = Path("/proc")
#: Seconds to wait for killed processes to exit.
_TIMEOUT = 2.0
_STEP = 0.01


def mark(folder: Path, labels: Mapping[str, str]) -> None:
    (folder / _LABELS).write_text(json.dumps(dict(labels)))


def has_mark(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Return whether ``labels`` contain everything in ``wanted``."""
    return wanted.items() <= labels.items()


def clean_up(labels: Mapping[str, str], live: Collection[Path]) -> int:
    """Kill the commands and remove the directories of dead workers with all these labels."""
    found = [
        folder
        for folder in Path(tempfile.gettempdir()).glob(f"{FOLDER_PREFIX}*")
        if folder not in live and _is_own(folder) and has_mark(_labels(folder), labels)
    ]
    if found:
        _kill({str(folder / SCRIPT) for folder in found})
    for folder in found:
        shutil.rmtree(folder, ignore_errors=True)
    return len(found)


def _is_own(folder: Path) -> bool:
    """Return whether this user made a directory: other users may make directories beside it."""
    try:
        status = folder.lstat()
    except FileNotFoundError:
        return False
    return status.st_uid == os.geteuid() and folder.is_dir() and not folder.is_symlink()


def _labels(folder: Path) -> dict[str, str]:
    try:
        found: dict[str, str] = json.loads((folder / _LABELS).read_text())
    except (OSError, ValueError):
        return {}
    return found


def _kill(scripts: Collection[str]) -> None:
    """Kill the process groups of the shells that run ``scripts``; wait until they have exited."""
    end = time.monotonic() + _TIMEOUT
    while groups := list(_shells(scripts)):
        for group in groups:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signal.SIGKILL)
        if time.monotonic() > end:
            return
        time.sleep(_STEP)


def _shells(scripts: Collection[str]) -> Iterator[int]:
    for pid, script in processes() if _PROCESSES.is_dir() else processes_by_ps():
        with contextlib.suppress(OSError):  # it has ended
            if script in scripts and os.getpgid(pid) == pid:
                yield pid


def processes() -> Iterator[tuple[int, str]]:
    """Yield the pid of each process and its first argument, from ``/proc``."""
    for directory in _PROCESSES.glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended, or is another user's
            words = (directory / "cmdline").read_bytes().split(b"\0")
            if len(words) > 1:
                yield int(directory.name), os.fsdecode(words[1])


def processes_by_ps() -> Iterator[tuple[int, str]]:
    """Yield the same without ``/proc``, as on macOS; only for arguments without blanks."""
    words = ["ps", "-A", "-ww", "-o", "pid=", "-o", "args="]
    try:
        listed = subprocess.run(words, capture_output=True, check=False).stdout  # noqa: S603
    except OSError:
        return
    for line in listed.splitlines():
        pid, *command = line.split(None, 3)[:3]
        if len(command) > 1:
            yield int(pid), os.fsdecode(command[1])


_GB = 2**30
_CHUNK = 256 * 1024
#: Maximum number of bytes in a pipe on systems that do not report it.
_PIPE = 1 << 16
#: Seconds between two looks at the metrics of a running command.
_LIVE_SECONDS = 2.0
#: Exit code of a shell that cannot execute a command.
_CANNOT_EXECUTE = 126
#: ``{target of a mount: variable with its path for commands without mounts}``
_DATA_VARIABLES = {
    "/conducto/data/pipeline": "CONDUCTO_DATA_PIPELINE",
    "/conducto/data/user": "CONDUCTO_DATA_USER",
}


def _path() -> str:
    """Return the search path of commands: this process's, then the programs beside this Python.

    Native functions need the command ``conducto``, also if the environment is not activated.
    """
    return os.pathsep.join([os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)])


class ProcessEngine:
    """An engine without containers; implements `conducto_local.engine.port.Engine`.

    Args:
        grace: Seconds between TERM and KILL when a command is stopped.
    """

    def __init__(self, *, grace: float = 5.0) -> None:
        self._grace = grace
        self._workers: dict[str, ProcessWorker] = {}

    async def open(self) -> EngineInfo:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _GB
        return EngineInfo(
            "process",
            platform.release(),
            float(os.cpu_count() or 1),
            memory,
            arch=architecture(platform.machine()),
            has_services=False,
        )

    async def start_worker(self, spec: WorkerSpec) -> "ProcessWorker":
        """Create a worker; image, limits, network and mounts are ignored."""
        _check(spec)
        worker = ProcessWorker(spec, self._grace, self._forget)
        self._workers[spec.name] = worker
        return worker

    def _forget(self, worker: "ProcessWorker") -> None:
        if self._workers.get(worker.name) is worker:
            del self._workers[worker.name]

    async def ensure_network(self, name: str, labels: Mapping[str, str]) -> None:
        """Do nothing: processes share the machine's network."""

    async def find(self, label: str, value: str) -> list[LabelledResource]:
        """Return an empty list: leftovers are removed when the engine is opened."""
        del label, value
        return []

    async def discard(self, belonging: LabelledResource) -> bool:
        """Return False: `find` never returns anything."""
        del belonging
        return False

    async def remove_labelled(self, labels: Mapping[str, str]) -> int:
        """Close the workers with all these labels, including leftovers of a dead agent."""
        found = [w for w in self._workers.values() if has_mark(w.spec.labels, labels)]
        for worker in found:
            await worker.close()
        ours = {worker.folder for worker in self._workers.values()}
        return len(found) + await asyncio.to_thread(clean_up, labels, ours)

    async def remove_image(self, reference: str) -> bool:
        del reference
        return False

    async def close(self) -> None:
        """Do nothing: processes are closed with their workers."""


def _check(spec: WorkerSpec) -> None:
    if shutil.which(spec.shell) is None:
        raise WorkerStartError(
            f"shell {spec.shell!r} does not exist on this machine. Set another one with "
            "Image(shell=...), or use an engine with containers"
        )
    if spec.workdir is not None and not Path(spec.workdir).is_dir():
        raise WorkerStartError(
            f"working directory {spec.workdir!r} does not exist on this machine. Create it, or use "
            "an engine with containers"
        )
    for mount in spec.mounts:
        if not Path(mount.source).exists():
            raise WorkerStartError(
                f"{mount.source!r}, mounted at {mount.target}, does not exist. Create it"
            )


@dataclass(slots=True)
class _Pipe:
    """An output stream of a running command.

    Attributes:
        failure: Exception of the output callback, which is not called again.
    """

    stream: Stream
    output: Output
    read_end: int
    write_end: int
    failure: Exception | None = None
    open: bool = True

    def start(self) -> None:
        os.set_blocking(self.read_end, False)
        asyncio.get_running_loop().add_reader(self.read_end, self.read)

    def read(self) -> int:
        """Pass on one chunk of available output; return its size."""
        try:
            data = os.read(self.read_end, _CHUNK)
        except BlockingIOError:
            return 0
        if not data:
            self.stop()
            return 0
        if self.failure is None:
            try:
                self.output(self.stream, data)
            except Exception as error:  # noqa: BLE001  (the caller's; raised by `run`)
                self.failure = error
        return len(data)

    def drain(self) -> None:
        """Read the rest of the pipe's content; no more, because a daemon may write forever."""
        left = _pipe_size(self.read_end) if self.open else 0
        while left > 0 and self.open:
            count = self.read()
            left = left - count if count else 0
        self.stop()

    def stop(self) -> None:
        if self.open:
            self.open = False
            asyncio.get_running_loop().remove_reader(self.read_end)
            os.close(self.read_end)


def _pipe_size(fd: int) -> int:
    command = getattr(fcntl, "F_GETPIPE_SZ", None)
    return _PIPE if command is None else fcntl.fcntl(fd, command)


@dataclass(slots=True)
class _Running:
    process: asyncio.subprocess.Process
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def signal(self, number: signal.Signals) -> None:
        """Signal the command's whole process group, even if its leader has exited."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)


class ProcessWorker:
    """Runs commands as process groups; implements `conducto_local.engine.port.Worker`."""

    def __init__(
        self, spec: WorkerSpec, grace: float, forget: Callable[["ProcessWorker"], None]
    ) -> None:
        self.spec = spec
        self._grace = grace
        self._forget = forget
        self._folder = tempfile.TemporaryDirectory(prefix=FOLDER_PREFIX)
        mark(self.folder, spec.labels)
        self._running: _Running | None = None
        self._starting: asyncio.Event | None = None  # set when the process has started, or cannot
        self._closed = False

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def folder(self) -> Path:
        return Path(self._folder.name)

    @property
    def _run_directory(self) -> Path:
        return self.folder / "run"

    @property
    def lost(self) -> bool:
        return self._closed

    async def run(self, job: Job, output: Output) -> Exit:
        if self._running is not None or self._starting is not None:
            raise RuntimeError(f"worker {self.name} is already running a command")
        if self._closed:
            return Exit(None, Cause.WORKER_LOST, f"worker {self.name} was closed", started=False)
        pipes: list[_Pipe] = []
        starting = self._starting = asyncio.Event()
        try:
            for stream in _STREAMS:
                pipes.append(_Pipe(stream, output, *os.pipe()))  # noqa: PERF401 (closed, if one fails)
            running = self._running = _Running(await self._spawn(job, pipes))
        except OSError as error:
            _close(pipes)
            if error.errno == errno.E2BIG:  # its environment is too large: the command's error
                output("stderr", f"{self.spec.shell}: {error.strerror}\n".encode())
                return Exit(_CANNOT_EXECUTE)
            # A temporary failure, such as too many open files: the engine can start the next
            # process.
            message = f"this machine could not start a process: {error.strerror}"
            return Exit(None, Cause.WORKER_LOST, message, started=False)
        except (ValueError, asyncio.CancelledError):
            _close(pipes)
            raise
        finally:
            self._starting = None
            starting.set()
        tail = asyncio.create_task(self._read_live(output))
        try:
            code = await self._follow(running, pipes)
        finally:
            self._running = None
            tail.cancel()
        failure = next((pipe.failure for pipe in pipes if pipe.failure is not None), None)
        if failure is not None:
            raise failure
        if self._closed:
            return Exit(None, Cause.WORKER_LOST, f"worker {self.name} was closed")
        files = await asyncio.to_thread(files_in, self._run_directory)
        files |= await asyncio.to_thread(
            reports_in, job.env, Path(self.spec.workdir or "."), self.folder / SCRIPT
        )
        folder = self._node_data(job)
        if code == 0 and folder:  # the node is done: it needs its checkpoints no more
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        return Exit(code if code >= 0 else 128 - code, files=files)

    async def relay(self, name: str) -> Relay:
        return await start_on_machine(self.folder / name)

    async def stop(self) -> None:
        running = await self._started()
        if running is None:
            return
        running.signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(running.ended.wait(), self._grace)
        except TimeoutError:
            running.signal(signal.SIGKILL)
            await running.ended.wait()

    async def snapshot(
        self, reference: str, labels: Mapping[str, str], *, max_bytes: int | None = None
    ) -> int:
        """Raise an error: a process changes the machine itself."""
        del reference, labels, max_bytes
        raise SnapshotError(
            "no snapshot: plain processes (--engine process) have no container whose state could "
            "be kept; what the command changed is on this machine"
        )

    async def reading(self) -> None:
        """Return None: the usage of a process is not measured."""

    async def close(self) -> None:
        """Kill the running command; safe to call twice."""
        self._closed = True
        running = await self._started()
        if running is not None:
            running.signal(signal.SIGKILL)
            await running.ended.wait()
        self._folder.cleanup()
        self._forget(self)

    async def _read_live(self, output: Output) -> None:
        """Pass on metrics and artifacts while the command runs."""
        tail = RunFileTail(self._run_directory)
        while True:
            await asyncio.sleep(_LIVE_SECONDS)
            for frame in tail.frames():
                output("frame", frame)

    async def _started(self) -> _Running | None:
        """Return the running command; wait for one that is starting."""
        if self._starting is not None:
            await self._starting.wait()
        return self._running

    async def _spawn(self, job: Job, pipes: list[_Pipe]) -> asyncio.subprocess.Process:
        script = self._write_script(job.script)
        prepare(self._run_directory, job.inputs)
        process = await asyncio.create_subprocess_exec(
            self.spec.shell,
            script,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=pipes[0].write_end,
            stderr=pipes[1].write_end,
            env={
                **os.environ,
                "PATH": _path(),
                **self._data_variables(),
                RUN_DIRECTORY: str(self._run_directory),
                LIVE: "",  # that of an agent which runs in a container
                **job.env,
                **({NODE_DATA: folder} if (folder := self._node_data(job)) else {}),
            },
            cwd=self.spec.workdir,
            start_new_session=True,
        )
        for pipe in pipes:
            os.close(pipe.write_end)
            pipe.start()
        return process

    def _write_script(self, command: str) -> str:
        if "\0" in command:
            raise ValueError("a command must not contain a NUL character, which shells cannot read")
        script = self.folder / SCRIPT
        text = f"#!{self.spec.shell}\n{command}\n"
        script.write_bytes(text.encode("utf-8", "surrogateescape"))
        script.chmod(0o755)
        return str(script)

    async def _follow(self, running: _Running, pipes: list[_Pipe]) -> int:
        try:
            return await running.process.wait()
        finally:
            running.signal(signal.SIGKILL)
            for pipe in pipes:
                pipe.drain()
            running.ended.set()

    def _node_data(self, job: Job) -> str:
        """Return the path of the node's directory on this machine, or ""."""
        inside = job.env.get(NODE_DATA, "")
        found = (m for m in self.spec.mounts if inside.startswith(f"{m.target}/"))
        return next((m.source + inside.removeprefix(m.target) for m in found), "")

    def _data_variables(self) -> dict[str, str]:
        return {
            _DATA_VARIABLES[mount.target]: mount.source
            for mount in self.spec.mounts
            if mount.target in _DATA_VARIABLES
        }


_STREAMS: tuple[Stream, Stream] = ("stdout", "stderr")


def _close(pipes: list[_Pipe]) -> None:
    for pipe in pipes:
        os.close(pipe.read_end)
        os.close(pipe.write_end)
