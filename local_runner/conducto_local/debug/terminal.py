"""The terminal or the pipes of this process."""

import asyncio
import contextlib
import io
import os
import secrets
import signal
import tarfile
import termios
import threading
import tty
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from conducto.wire.fields import IMAGE_NAMES
from conducto_core.debug.model import DebugPlan
from conducto_local.engine.port import Mount, Stream, WorkerSpec

# ----------------------------------------------------------------------------------------
# The ports between a debug shell and its terminal or page.


class TerminalLine(Protocol):
    """The input of a shell. All methods are called in the event loop."""

    @property
    def unsent(self) -> int:
        """Number of typed bytes that the shell has not read yet."""

    def typed(self, data: bytes) -> None:
        """Send input; b"" is its end."""

    def pause(self) -> None:
        """Pause the output of the shell."""

    def resume(self) -> None:
        """Resume the output of the shell."""


class Screen(Protocol):
    """A terminal or page, where the user types and reads.

    Attributes:
        is_terminal: Whether it is interactive; pipes and files are not.
    """

    is_terminal: bool

    @property
    def size(self) -> tuple[int, int]:
        """Lines and columns."""

    def write(self, stream: Stream, data: bytes) -> None:
        """Show output."""

    def raw(self) -> AbstractContextManager[None]:
        """Pass on every key unprocessed while the block runs."""

    def resizes(self, changed: Callable[[], None]) -> AbstractContextManager[None]:
        """Call ``changed`` whenever the size changes while the block runs."""

    def read(self, line: TerminalLine) -> None:
        """Start passing on input."""


_CHUNK = 64 * 1024


class Terminal:
    """Standard input and output of this process; implements `conducto_local.debug.terminal.Screen`.

    Args:
        stdin: File descriptor, as are the others.

    Attributes:
        is_terminal: Whether it is interactive; pipes and files are not.
    """

    def __init__(self, stdin: int = 0, stdout: int = 1, stderr: int = 2) -> None:
        self._stdin = stdin
        self._outputs = {"stdout": stdout, "stderr": stderr}
        self.is_terminal = os.isatty(stdin) and os.isatty(stdout)

    @property
    def size(self) -> tuple[int, int]:
        size = os.get_terminal_size(self._outputs["stdout"])
        return size.lines, size.columns

    def write(self, stream: Stream, data: bytes) -> None:
        """Show output; raise OSError if the reader is closed."""
        left = memoryview(data)
        while left:
            left = left[os.write(self._outputs[stream], left) :]

    @contextlib.contextmanager
    def raw(self) -> Iterator[None]:
        """Pass on every key unprocessed, Ctrl-C included; restore the terminal afterwards.

        Keys that were typed before are kept.
        """
        if not self.is_terminal:
            yield
            return
        before = termios.tcgetattr(self._stdin)
        tty.setraw(self._stdin, termios.TCSADRAIN)
        try:
            yield
        finally:
            termios.tcsetattr(self._stdin, termios.TCSADRAIN, before)

    @contextlib.contextmanager
    def resizes(self, changed: Callable[[], None]) -> Iterator[None]:
        """Call ``changed`` in the event loop whenever the window is resized."""
        loop = asyncio.get_running_loop()
        if self.is_terminal:
            loop.add_signal_handler(signal.SIGWINCH, changed)
        try:
            yield
        finally:
            if self.is_terminal:
                loop.remove_signal_handler(signal.SIGWINCH)

    def read(self, line: TerminalLine) -> None:
        """Start reading; pass on input in the event loop.

        Uses a daemon thread, because a read from a terminal cannot be cancelled.
        """
        loop = asyncio.get_running_loop()

        def follow() -> None:
            data = b"-"
            while data:
                try:
                    data = os.read(self._stdin, _CHUNK)
                except OSError:  # the terminal hung up
                    data = b""
                try:
                    loop.call_soon_threadsafe(line.typed, data)
                except RuntimeError:  # the loop is closed: the shell has ended
                    return

        threading.Thread(target=follow, daemon=True, name="conducto-debug-input").start()


# ----------------------------------------------------------------------------------------
# Errors of debug shells.


class DebugError(Exception):
    """A shell could not be opened or was lost; the message has the reason.

    Attributes:
        no_engine: The container engine cannot be used.
    """

    def __init__(self, message: str, *, no_engine: bool = False) -> None:
        super().__init__(message)
        self.no_engine = no_engine


# ----------------------------------------------------------------------------------------
# The body of a debug container: a worker's, with a holder instead of the server. No I/O.


#: A label of every debug container; its value is the id of the pipeline.
LABEL_DEBUG = "com.conducto.debug"
#: The mark of the state directory of the shell's pipeline.
LABEL_DEBUG_HOME = "com.conducto.debug.home"
#: Paths of the command's script.
SCRIPTS = ("/conducto/cmd.sh", "/cmd.conducto")

#: Process 1 while shells are open. It ends with its stdin, which the process that opened the shell
#: holds: when that process ends for any reason, so does the container. Shell builtins only.
_HOLDER = "while read -r _; do :; done"


def container_name(plan: DebugPlan) -> str:
    return f"conducto_debug_{plan.pipeline}_{secrets.token_hex(4)}"


def container_spec(plan: DebugPlan, name: str, script: str | None) -> WorkerSpec:
    """Return the container as the pipeline's engine would start it.

    Args:
        script: Host path of the script to mount, or None for `script_archive` instead.
    """
    mounts = [Mount(m.source, m.target, m.read_only) for m in (*plan.data, *plan.code)]
    scripts = [] if script is None else [Mount(script, target) for target in SCRIPTS]
    return WorkerSpec(
        name=name,
        image=plan.image,
        shell=plan.shell,
        cpu=plan.cpu,
        mem=plan.mem,
        gpu=plan.gpu,
        requires_docker=plan.requires_docker,
        docker_run_args=plan.docker_run_args,
        mounts=(*mounts, *scripts),
        network=plan.network,
        workdir=plan.workdir,
        labels={LABEL_DEBUG: plan.pipeline, **plan.labels},
    )


def platform_option(plan: DebugPlan) -> list[str]:
    """Return the option of docker for an image of a certain architecture."""
    return [f"--platform=linux/{IMAGE_NAMES[plan.arch]}"] if plan.arch else []


def script_archive(plan: DebugPlan) -> bytes:
    """Return a tar archive of the script, for the root of a container.

    Any user may change the file and replace it, as ``sed -i`` and many editors do; that is not
    possible with a mounted file.
    """
    first, second = SCRIPTS
    text = plan.script.encode("utf-8", "surrogateescape")
    folder, file, link = (tarfile.TarInfo(n) for n in (str(Path(first).parent), first, second))
    folder.type, link.type = tarfile.DIRTYPE, tarfile.SYMTYPE
    folder.mode = file.mode = 0o777
    file.size, link.linkname = len(text), first
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.addfile(folder)
        tar.addfile(file, io.BytesIO(text))
        tar.addfile(link)
    return archive.getvalue()


def debug_body(plan: DebugPlan, created: Mapping[str, Any], *, stays: bool) -> dict[str, Any]:
    """Return the body of ``POST /containers/create``.

    Args:
        created: The body for a worker of its container (`container_spec`).
        stays: The container outlives this process. Other processes open shells in it then, so its
            environment has the secrets; otherwise only this process's shell gets them.
    """
    body = {**created, "HostConfig": dict(created["HostConfig"])}
    body["Entrypoint"] = ["/bin/sh", "-c", _HOLDER, "conducto-debug"]
    body["StdinOnce"] = not stays
    body["HostConfig"]["AutoRemove"] = True
    shown = {**plan.env, **(secrets_of(plan) if stays else {})}
    given = dict(entry.partition("=")[::2] for entry in body["Env"])
    body["Env"] = env_list({**given, **shown})
    return body


def secrets_of(plan: DebugPlan) -> dict[str, str]:
    """Return the secrets as ``{name: value}``, unmasked."""
    return {name: value.get_secret_value() for name, value in plan.secrets.items()}


def env_list(env: Mapping[str, str]) -> list[str]:
    """Return an environment in the format of the Engine API."""
    return [f"{name}={value}" for name, value in env.items()]
