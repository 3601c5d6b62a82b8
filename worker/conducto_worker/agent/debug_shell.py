"""A debug shell in the user's container, open until its sessions end.

The shared volume has a directory for it (`conducto_core.command.task_layout.SHELL`) with the script
that ECS Exec runs (``debug_entry.sh``), the node's command, and FIFOs that only root may use. Data
that goes through the FIFOs, secrets included, is never written to a file.
"""

import errno
import logging
import os
import select
import threading
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path

from conducto_core.command.server import assignments, quoted
from conducto_core.command.task_layout import ECS_VARIABLES
from conducto_core.workers.model import ShellInstructions, WorkerEnd, WorkerInstructions
from conducto_worker.agent.heartbeats import HeartbeatSender
from conducto_worker.agent.port import Api, BrokenError, Clock, Commands, LostError, WorkerApiError
from conducto_worker.agent.single_commands import SingleCommands


def entry_script() -> str:
    """Return the script that starts a session (``debug_entry.sh``)."""
    return resources.files(__package__).joinpath("debug_entry.sh").read_text("utf-8")


def entry_code(
    argv: Sequence[str], env: Mapping[str, str], secrets: Mapping[str, str], workdir: str | None
) -> bytes:
    """Return the code that a session evaluates; it exits with the exit code of the shell.

    ECS's own variables are unset, as they are for commands
    (`conducto_core.command.task_layout.user_entry`). The shell closes "door", so that background
    processes that outlive it do not keep the session open.

    Raises:
        ValueError: A variable cannot be set in an environment.
    """
    exports, others = assignments({**env, **secrets})
    words = [*(("env", *others) if others else ()), *argv]
    place = '"$_pwd"' if workdir is None else quoted(workdir)
    lines = [
        f"unset {' '.join(ECS_VARIABLES)}",
        exports or ":",
        f"cd {place} || cd /",
        f"{' '.join(map(quoted, words))} 8>&-",
        "exit $?",
    ]
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")


logger = logging.getLogger(__name__)

#: Seconds that the user's container may take to start.
READY_SECONDS = 300.0
#: Seconds without a session after which the shell ends: before the first session, and after it.
LONELY_SECONDS = 300.0
LEFT_SECONDS = 5.0
#: Seconds between two checks.
TICK_SECONDS = 0.1
#: Seconds that a new session may take for each step.
_TIMEOUT = 10.0
_STEP_SECONDS = 0.02


class DebugShell:
    """A debug shell and its sessions.

    Args:
        folder: Directory of the shell in the shared volume.
        orders: The worker's instructions; ``debug`` must be set.
        commands: The user's container.
    """

    def __init__(
        self,
        folder: Path,
        instructions: WorkerInstructions,
        *,
        api: Api,
        commands: Commands,
        clock: Clock,
    ) -> None:
        assert instructions.debug is not None  # noqa: S101  checked by the caller
        self._folder = folder
        self._shell: ShellInstructions = instructions.debug
        self._workdir = instructions.workdir
        self._every = instructions.heartbeat
        self._api = api
        self._commands = commands
        self._clock = clock
        self._keeper = HeartbeatSender(api, _NoTasks())
        self._door = -1
        self._code = b""
        self._visited = self._inside = False

    def run(self) -> bool:
        """Serve sessions until the shell ends; return whether sessions were possible."""
        leaving = threading.Event()
        try:
            self._commands.wait_ready(READY_SECONDS, lambda: self._clock.stopped_at is not None)
            self._open()
            if not self._shell.sessions:
                commands = SingleCommands(
                    self._shell,
                    self._every,
                    api=self._api,
                    commands=self._commands,
                    clock=self._clock,
                )
                return self._leave(WorkerEnd(reason=commands.run()))
            self._keeper.running(self._shell.path, self._shell.attempt)
            self._keeper.beat()  # the first heartbeat reports that the shell is ready
            threading.Thread(
                target=self._keeper.run, args=(leaving, self._every), daemon=True
            ).start()
            end = WorkerEnd(reason=self._stay_open())
        except (BrokenError, LostError, ValueError) as error:
            end = WorkerEnd(reason=str(error), broken=True)
        finally:
            leaving.set()
            self._close()
        return self._leave(end)

    def _leave(self, end: WorkerEnd) -> bool:
        """Report the end; return whether the shell worked."""
        logger.info("leaving: %s", end.reason)
        try:
            self._api.end(end)
        except WorkerApiError as error:
            logger.warning("cannot report the end: %s", error)
        return not end.broken

    def _open(self) -> None:
        """Create the files and FIFOs; "door" last, because it opens the shell."""
        self._folder.mkdir(exist_ok=True)
        for name, text, mode in (
            ("enter", entry_script(), 0o755),
            ("cmd.sh", self._shell.script, 0o777),  # users may edit the command
        ):
            path = self._folder / name
            path.write_text(text, "utf-8", "surrogateescape", "")
            path.chmod(mode)
        self._code = entry_code(
            self._shell.argv,
            self._shell.env,
            {name: value.get_secret_value() for name, value in self._shell.secrets.items()},
            self._workdir,
        )
        door = self._folder / "door"
        os.mkfifo(door, 0o600)
        self._door = os.open(door, os.O_RDONLY | os.O_NONBLOCK)

    def _close(self) -> None:
        if self._door >= 0:
            os.close(self._door)
            self._door = -1

    def _stay_open(self) -> str:
        began = last = self._clock.now()
        while True:
            self._clock.wait(TICK_SECONDS)
            self._commands.read(0)
            for visitor in self._visitors():
                path = self._folder / f"in.{visitor}"
                path.unlink(missing_ok=True)
                os.mkfifo(path, 0o600)
                try:
                    self._hand_over(path)
                except OSError as error:  # the session ended meanwhile
                    logger.info("session %s ended before it started: %s", visitor, error)
                finally:
                    path.unlink(missing_ok=True)
            now = self._clock.now()
            last = now if self._inside else last
            if self._clock.stopped_at is not None:
                return "the worker is stopping"
            if self._keeper.stop or self._keeper.gone:
                return "closed on request"
            if now - began >= self._shell.seconds:
                return "the time limit was reached"
            if now - last >= (LEFT_SECONDS if self._visited else LONELY_SECONDS):
                return "all sessions ended" if self._visited else "no session was opened"

    def _visitors(self) -> Iterator[str]:
        """Yield the ids of new sessions; note whether any session is open."""
        try:
            said = os.read(self._door, 4096)
        except BlockingIOError:  # a session is open and wrote nothing
            return
        self._inside = bool(said)
        self._visited = self._visited or self._inside
        for word in said.split():
            if word.isdigit():
                yield word.decode()

    def _hand_over(self, path: Path) -> None:
        end = self._clock.now() + _TIMEOUT
        while (fifo := _open_for_writing(path)) is None:
            if self._clock.now() >= end:
                raise TimeoutError("the session did not open its FIFO")
            self._clock.wait(_STEP_SECONDS)
        rest = memoryview(self._code)
        try:
            while rest:
                _, ready, _ = select.select((), (fifo,), (), _TIMEOUT)
                if not ready:
                    raise TimeoutError("the session stopped reading its FIFO")
                rest = rest[os.write(fifo, rest) :]
        finally:
            os.close(fifo)


class _NoTasks:
    """The tasks of a debug shell's worker, which has none."""

    def heartbeat(self, token: str) -> bool:
        del token
        return False


def _open_for_writing(path: Path) -> int | None:
    """Return the write end of a FIFO, or None if it has no reader."""
    try:
        return os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return None
        raise
