"""Keeps a debug shell: lets people in, and leaves when the shell is over.

In the shared volume it has a directory (`conducto_core.runtime.task_layout.SHELL`) with the script
that ECS Exec runs there (``debug_entry.sh``), the node's command, and FIFOs that only root may use.
What goes through these, secrets included, is in no file.
"""

import errno
import logging
import os
import select
import threading
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path

from conducto_core.model.worker import ShellInstructions, WorkerEnd, WorkerInstructions
from conducto_core.runtime.command_server import assignments, quoted
from conducto_core.runtime.task_layout import ECS_VARIABLES
from conducto_worker.agent.heartbeats import HeartbeatSender
from conducto_worker.agent.ports import (
    Api,
    ApiError,
    BrokenError,
    Clock,
    Commands,
    LostError,
    PolledTask,
)


def entry_script() -> str:
    """Return what runs first in a session (``debug_entry.sh``)."""
    return resources.files(__package__).joinpath("debug_entry.sh").read_text("utf-8")


def entry_code(
    argv: Sequence[str], env: Mapping[str, str], secrets: Mapping[str, str], workdir: str | None
) -> bytes:
    """Return the code that the script evaluates: it ends with the shell's own exit code.

    ECS's variables are not for commands (`conducto_core.runtime.task_layout.user_entry`), so the
    shell is without them as well. The door is closed in the shell: what it leaves behind keeps
    nothing open.

    Raises:
        ValueError: a variable or its value is such as no environment can hold.
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

#: Seconds that the user's container may take to come up.
READY_SECONDS = 300.0
#: Seconds without anybody inside after which it is over: before the first has come, and after.
LONELY_SECONDS = 300.0
LEFT_SECONDS = 5.0
#: Seconds between two looks.
TICK_SECONDS = 0.1
#: Seconds that who knocks may take for the next step.
_PATIENCE = 10.0
_STEP_SECONDS = 0.02


class DebugShell:
    """One shell.

    Args:
        folder: Its directory in the shared volume.
        orders: What the API said; it has a shell's orders.
        commands: The user's container.
    """

    def __init__(
        self,
        folder: Path,
        orders: WorkerInstructions,
        *,
        api: Api,
        commands: Commands,
        clock: Clock,
    ) -> None:
        assert orders.debug is not None  # noqa: S101  whoever makes one has looked
        self._folder = folder
        self._shell: ShellInstructions = orders.debug
        self._workdir = orders.workdir
        self._every = orders.heartbeat
        self._api = api
        self._commands = commands
        self._clock = clock
        self._keeper = HeartbeatSender(api, _NoTasks())
        self._door = -1
        self._code = b""
        self._visited = self._inside = False

    def run(self) -> bool:
        """Keep it until it is over; return whether people could enter at all."""
        leaving = threading.Event()
        try:
            self._commands.wait_ready(READY_SECONDS, lambda: self._clock.stopped_at is not None)
            self._open()
            self._keeper.running(self._shell.path, self._shell.attempt)
            self._keeper.beat()  # the first says that it can be entered
            threading.Thread(
                target=self._keeper.run, args=(leaving, self._every), daemon=True
            ).start()
            end = WorkerEnd(reason=self._keep())
        except (BrokenError, LostError, ValueError) as error:
            end = WorkerEnd(reason=str(error), broken=True)
        finally:
            leaving.set()
            self._close()
        logger.info("leaving: %s", end.reason)
        try:
            self._api.end(end)
        except ApiError as error:
            logger.warning("could not say so: %s", error)
        return not end.broken

    def _open(self) -> None:
        """Put everything in place; the door last."""
        self._folder.mkdir(exist_ok=True)
        for name, text, mode in (
            ("enter", entry_script(), 0o755),
            ("cmd.sh", self._shell.script, 0o777),  # whoever debugs may change it
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

    def _keep(self) -> str:
        """Let people in until it is over; return why it is."""
        began = last = self._clock.now()
        while True:
            self._clock.wait(TICK_SECONDS)
            self._commands.read(0)
            for visitor in self._visitors():
                self._let_in(visitor)
            now = self._clock.now()
            last = now if self._inside else last
            if self._clock.stopped_at is not None:
                return "its worker was told to stop"
            if self._keeper.stop or self._keeper.gone:
                return "it was ended"
            if now - began >= self._shell.seconds:
                return "its time was over"
            if now - last >= (LEFT_SECONDS if self._visited else LONELY_SECONDS):
                return "who was inside has left" if self._visited else "nobody came"

    def _visitors(self) -> Iterator[str]:
        """Yield the names of sessions that have just begun; note whether any goes on."""
        try:
            said = os.read(self._door, 4096)
        except BlockingIOError:  # somebody is inside and says nothing
            return
        self._inside = bool(said)
        self._visited = self._visited or self._inside
        for word in said.split():
            if word.isdigit():
                yield word.decode()

    def _let_in(self, visitor: str) -> None:
        """Hand the code to a session through a FIFO that nobody else has."""
        path = self._folder / f"in.{visitor}"
        path.unlink(missing_ok=True)
        os.mkfifo(path, 0o600)
        try:
            self._hand_over(path)
        except OSError as error:  # who knocked has gone
            logger.info("session %s ended before it began: %s", visitor, error)
        finally:
            path.unlink(missing_ok=True)

    def _hand_over(self, path: Path) -> None:
        end = self._clock.now() + _PATIENCE
        while (fifo := _open_for_writing(path)) is None:
            if self._clock.now() >= end:
                raise TimeoutError("it does not listen")
            self._clock.wait(_STEP_SECONDS)
        rest = memoryview(self._code)
        try:
            while rest:
                _, ready, _ = select.select((), (fifo,), (), _PATIENCE)
                if not ready:
                    raise TimeoutError("it stopped listening")
                rest = rest[os.write(fifo, rest) :]
        finally:
            os.close(fifo)


class _NoTasks:
    """A shell's worker takes none."""

    def poll(self) -> PolledTask | None:
        """Return nothing."""
        return None

    def heartbeat(self, token: str) -> bool:
        """Nobody waits for any."""
        del token
        return False


def _open_for_writing(path: Path) -> int | None:
    """Return a FIFO's end, or None while nobody has the other one."""
    try:
        return os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return None
        raise
