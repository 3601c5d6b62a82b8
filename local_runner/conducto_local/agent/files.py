"""The agent's directory, in which agents and clients find each other.

``agent.lock`` is locked while an agent runs, however it ends. So nobody has to trust a pid that
another process may have by now, or to send the token to a port that another program may have taken.
``start.lock`` is held while a client starts an agent.
"""

import contextlib
import fcntl
import json
import os
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import conducto
import conducto_client
import conducto_core
import conducto_local
from conducto_core.images.sdk_wheel import package_version

# ----------------------------------------------------------------------------------------
# A mark of the code of this installation, besides its version.


#: Packages that the agent uses.
PACKAGES = (conducto, conducto_client, conducto_core, conducto_local)


def code_mark() -> str | None:
    """Return a mark that changes with the code of a checkout; None for a release.

    A checkout keeps its version while its code changes. The mark is the number of source files and
    the time of the newest change.
    """
    if "dev" not in package_version():
        return None
    times = [time for package in PACKAGES for top in package.__path__ for time in _changes(top)]
    return f"{len(times)}-{max(times)}"


def _changes(top: str) -> Iterator[int]:
    """Yield the modification time of each source file below a directory, in nanoseconds."""
    with os.scandir(top) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _changes(entry.path)
            elif entry.name.endswith((".py", ".sh")):
                yield entry.stat().st_mtime_ns


PRIVATE_FILE = 0o600
PRIVATE_DIRECTORY = 0o700
TOKEN_BYTES = 32
#: The characters that `secrets.token_urlsafe` uses; any other content is damaged.
_TOKEN = re.compile(rb"[\w-]+")
STEP = 0.01
#: Seconds to retry: `is_running` also takes the lock for a moment.
LOCK_TIMEOUT = 0.5


def docker_host() -> str:
    """Return the ``DOCKER_HOST`` of this process; empty for the default sockets."""
    return os.environ.get("DOCKER_HOST", "")


def own_groups() -> tuple[int, ...]:
    """Return the groups of this process, which decide whether it may use the engine."""
    return tuple(sorted({os.getegid(), *os.getgroups()}))


@dataclass(frozen=True, slots=True)
class AgentState:
    """A running agent, as recorded in ``agent.json``.

    Attributes:
        started: Seconds since the epoch.
        docker_host: Its ``DOCKER_HOST``, which locates the engine.
        groups: Its group ids.
        code: Mark of its code, if the version is not enough
            (`conducto_local.agent.files.code_mark`).
    """

    pid: int
    url: str
    version: str
    started: float
    docker_host: str = field(default_factory=docker_host)
    code: str | None = field(default_factory=code_mark)
    groups: tuple[int, ...] = field(default_factory=own_groups)


class AgentFiles:
    """The files of one profile's agent, accessible to their owner only."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.log = directory / "agent.log"
        self.sessions = directory / "sessions.json"
        self.assistants = directory / "assistants.json"
        self.hooks = directory / "hooks.json"
        self._state = directory / "agent.json"
        self.token_path = directory / "token"
        self._port = directory / "port"
        self._engine_failed = directory / "engine-failed"
        self._lock = directory / "agent.lock"
        self._start_lock = directory / "start.lock"

    def make_directory(self) -> None:
        """Create the directory unless it exists."""
        self.directory.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)

    def read_state(self) -> AgentState | None:
        """Return the state that the newest agent wrote, whether it still runs or not."""
        try:
            found = json.loads(self._state.read_bytes())
            return AgentState(
                found["pid"],
                found["url"],
                found["version"],
                found["started"],
                found["docker_host"],
                found["code"],
                tuple(found["groups"]),
            )
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None  # a newer version may use another format

    def state_version(self) -> tuple[int, int] | None:
        """Return a value that changes when the state is rewritten; None if there is no state."""
        try:
            found = os.stat(self._state)  # noqa: PTH116  takes half of Path's time, on each command
        except OSError:
            return None
        return (found.st_ino, found.st_mtime_ns)

    def lock_version(self) -> tuple[int, int] | None:
        """Return a value that changes when the lock is replaced; None if it was removed."""
        try:
            found = self._lock.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return (found.st_dev, found.st_ino)

    def write_state(self, state: AgentState) -> None:
        self._write(self._state, json.dumps(asdict(state)))

    def remove_state(self) -> None:
        """Remove the state: no agent is running."""
        self._state.unlink(missing_ok=True)

    def note_engine(self, *, failed: bool) -> None:
        if failed:
            self._write(self._engine_failed, str(os.getpid()))
        else:
            self._engine_failed.unlink(missing_ok=True)

    def has_engine_failed(self, pid: int) -> bool:
        try:
            return int(self._engine_failed.read_text()) == pid
        except (FileNotFoundError, ValueError):
            return False

    def read_port(self) -> int | None:
        """Return the port that the last agent listened on, or None."""
        try:
            return int(self._port.read_text())
        except (FileNotFoundError, ValueError):
            return None

    def write_port(self, port: int) -> None:
        """Record the port of this process's agent for the next one."""
        self._write(self._port, str(port))

    def read_token(self) -> str | None:
        """Return the agent's token, or None if there is no valid one."""
        try:
            found = self.token_path.read_bytes()
        except FileNotFoundError:
            return None
        return found.decode("ascii") if _TOKEN.fullmatch(found) else None

    def has_lost_token(self) -> bool:
        """Return whether a running agent, which has written its state, has no valid token file."""
        state = self.read_state()
        return state is not None and state.pid == self.holder() and self.read_token() is None

    def token(self) -> str:
        """Return the token; create one if there is none."""
        found = self.read_token()
        if found is None:
            found = secrets.token_urlsafe(TOKEN_BYTES)
            self._write(self.token_path, found)
        return found

    def is_running(self) -> bool:
        try:
            descriptor = os.open(self._lock, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            return not _try_lock(descriptor, fcntl.LOCK_SH)
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def held_by_agent(self) -> Iterator[bool]:
        """Hold the lock of a running agent; yield False if another agent holds it."""
        self.make_directory()
        descriptor = _open_private(self._lock)
        try:
            is_ours = _lock_within(descriptor, LOCK_TIMEOUT)
            if is_ours:
                with contextlib.suppress(OSError):  # disk full: the lock works without the pid
                    os.ftruncate(descriptor, 0)
                    os.write(descriptor, str(os.getpid()).encode())
            yield is_ours
        finally:
            os.close(descriptor)

    def holder(self) -> int | None:
        """Return the pid of the running agent, or of the last one; None if unknown."""
        try:
            return int(self._lock.read_text())
        except (FileNotFoundError, ValueError):
            return None

    @contextlib.contextmanager
    def starting(self) -> Iterator[None]:
        """Wait until no other process starts an agent, and prevent others from starting one."""
        self.make_directory()
        descriptor = _open_private(self._start_lock)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def open_log(self) -> int:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        return os.open(self.log, flags, PRIVATE_FILE)

    def write_hooks(self, secrets: Mapping[str, str]) -> None:
        """Store the secrets of the webhooks of triggers."""
        self._write(self.hooks, json.dumps(secrets))

    def _write(self, path: Path, text: str) -> None:
        # Renamed into place, so that a reader sees the old file or the whole new one.
        new = path.with_name(f"{path.name}.{os.getpid()}")
        descriptor = os.open(
            new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, PRIVATE_FILE
        )
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        new.replace(path)


def _open_private(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)


def _lock_within(descriptor: int, timeout: float) -> bool:
    deadline = time.monotonic() + timeout
    while not _try_lock(descriptor, fcntl.LOCK_EX):
        if time.monotonic() > deadline:
            return False
        time.sleep(STEP)
    return True


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
