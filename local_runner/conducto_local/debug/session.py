"""A debug shell from its container to its exit code, over the Engine API.

This process holds the container by an attached stdin: when this process exits, is killed or loses
the connection, the container ends and the engine removes it. The shell itself is an exec in it.
"""

import asyncio
import contextlib
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

from conducto_core.debug.model import DebugPlan
from conducto_core.debug.shell import shell_argv
from conducto_local.debug.handlers import lasting_script, passing_script
from conducto_local.debug.terminal import (
    DebugError,
    Screen,
    container_name,
    container_spec,
    debug_body,
    env_list,
    platform_option,
    script_archive,
    secrets_of,
)
from conducto_local.engine.docker.engine import DockerEngine
from conducto_local.engine.docker.http import EngineApiError, HttpClient
from conducto_local.engine.docker.run_args import RunArgsError
from conducto_local.engine.docker.streams import Attachment, attach
from conducto_local.engine.port import EngineError, Stream


async def ensure_image(http: HttpClient, plan: DebugPlan) -> None:
    """Pull the image of a shell unless the engine has it; progress goes to stderr.

    Uses the ``docker`` command, which has the user's registry credentials.

    Raises:
        DebugError: The image is not available.
    """
    if not plan.pull or await _is_there(http, plan.image):
        return
    client = shutil.which("docker")
    if client is None:
        raise DebugError(
            f"{plan.path}: this engine does not have {plan.image}, and there is no 'docker' "
            "command to pull it with; install it, or pull the image by other means"
        )
    words = (client, "pull", *platform_option(plan), plan.image)
    pull = await asyncio.create_subprocess_exec(
        *words, stdin=asyncio.subprocess.DEVNULL, stdout=sys.stderr.fileno()
    )
    try:
        code = await pull.wait()
    finally:
        if pull.returncode is None:
            pull.terminate()
            await pull.wait()
    if code != 0:
        raise DebugError(
            f"{plan.path}: {plan.image} cannot be pulled; log in to its registry (for AWS: "
            "aws ecr get-login-password | docker login --username AWS --password-stdin REGISTRY)"
        )


async def _is_there(http: HttpClient, image: str) -> bool:
    try:
        await http.call("GET", f"/images/{quote(image, safe='/:@')}/json")
    except EngineApiError as error:
        if error.status == HTTPStatus.NOT_FOUND:
            return False
        raise
    return True


_HELD = {"stream": True, "stdin": True}
_END_SECONDS = 5.0
_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


async def run_shell(plan: DebugPlan, screen: Screen, *, term: str = "") -> int:
    """Call `hold_shell` from a process that does nothing else; a signal ends the shell.

    Returns:
        The shell's exit code; 128 + signal if a signal ended this process.

    Raises:
        DebugError: The container does not start, or was removed.
        EngineError: The engine cannot be used.
    """
    with _ended_by_signals() as ended_by:
        try:
            return await hold_shell(plan, screen, term=term)
        except asyncio.CancelledError:
            if not ended_by:
                raise
            return 128 + ended_by[0]


async def hold_shell(plan: DebugPlan, screen: Screen, *, term: str = "") -> int:
    """Open a shell, forward input and output until it ends, and remove its container.

    The container is also removed on cancellation.
    """
    engine = DockerEngine()
    await engine.open()
    try:
        await ensure_image(engine.http, plan)
        with passing_script(plan) as script:
            async with debug_container(engine, plan, script) as identity:
                return await _Shell(engine.http, identity, plan, screen, term).run()
    finally:
        await engine.close()


async def start_container(plan: DebugPlan) -> str:
    """Start a container that outlives this process; return its name."""
    engine = DockerEngine()
    await engine.open()
    try:
        await ensure_image(engine.http, plan)
        name = container_name(plan)
        identity = await _create(engine, plan, name, lasting_script(plan), stays=True)
        await _start(engine.http, plan, identity)
        return name
    finally:
        await engine.close()


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[list[int]]:
    """Cancel this task on a signal; yield a list to which the signal's number is added."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    received: list[int] = []

    def end(number: int) -> None:
        received.append(number)
        if task is not None:
            task.cancel()

    for number in _SIGNALS:
        loop.add_signal_handler(number, end, number)
    try:
        yield received
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)


@contextlib.asynccontextmanager
async def debug_container(
    engine: DockerEngine, plan: DebugPlan, script: Path
) -> AsyncIterator[str]:
    """Yield the id of a running container; remove it after the block."""
    http = engine.http
    creating = asyncio.create_task(_create(engine, plan, container_name(plan), script, stays=False))
    try:
        identity = await asyncio.shield(creating)
    except asyncio.CancelledError:  # the engine may have created it anyway
        await asyncio.wait({creating})
        if creating.exception() is None:
            await _remove(http, creating.result())
        raise
    holder: Attachment | None = None
    try:
        holder = await attach(http, f"/containers/{identity}/attach", _HELD, _Nobody())
        await _start(http, plan, identity)
        yield identity
    finally:
        await asyncio.shield(_remove(http, identity))
        if holder is not None:
            holder.close()


async def _remove(http: HttpClient, identity: str) -> None:
    """Remove a container and wait until it is removed; it may already be ending by itself."""
    params = {"force": True, "v": True}
    try:
        await http.call("DELETE", f"/containers/{identity}", params=params)
    except EngineApiError as error:
        if error.status == HTTPStatus.CONFLICT:
            with contextlib.suppress(EngineApiError):
                path = f"/containers/{identity}/wait"
                await http.call("POST", path, params={"condition": "removed"})


async def _create(
    engine: DockerEngine, plan: DebugPlan, name: str, script: Path, *, stays: bool
) -> str:
    http = engine.http
    try:
        created = engine.traits.create_body(container_spec(plan, name, None), http.address)
        read_only = created["HostConfig"].get("ReadonlyRootfs", False)
        if read_only:  # nothing can be copied into it
            spec = container_spec(plan, name, str(script))
            created = engine.traits.create_body(spec, http.address)
        body = debug_body(plan, created, stays=stays)
        response = await http.call(
            "POST", "/containers/create", params={"name": name}, json_body=body
        )
    except (RunArgsError, EngineApiError) as error:
        raise DebugError(f"{plan.path}: cannot create the container: {error}") from error
    identity = str(response["Id"])
    if not read_only:
        await _copy_script(http, plan, identity)
    return identity


async def _copy_script(http: HttpClient, plan: DebugPlan, identity: str) -> None:
    response = await http.request(
        "PUT",
        f"/containers/{identity}/archive",
        params={"path": "/"},
        headers={"Content-Type": "application/x-tar"},
        body=script_archive(plan),
    )
    async with response:
        try:
            await response.raise_for_status()
        except EngineApiError as error:
            await _remove(http, identity)
            raise DebugError(f"{plan.path}: cannot copy the command: {error.message}") from error


async def _start(http: HttpClient, plan: DebugPlan, identity: str) -> None:
    try:
        await http.call("POST", f"/containers/{identity}/start")
    except EngineApiError as error:
        raise DebugError(f"{plan.path}: cannot start the container: {error.message}") from error


class _Nobody:
    """Ignores the output of the holder process, which prints nothing."""

    def received(self, stream: Stream, data: bytes) -> None:
        """Ignore the data."""

    def ended(self) -> None:
        """Do nothing: the shell notices the end by itself."""


class _Shell:
    """One exec, connected to a screen."""

    def __init__(
        self, http: HttpClient, container: str, plan: DebugPlan, screen: Screen, term: str
    ) -> None:
        self._http = http
        self._container = container
        self._plan = plan
        self._screen = screen
        self._term = term
        self._id = ""
        self._over = asyncio.Event()
        self._unread = False
        self._resizing: set[asyncio.Task[None]] = set()

    async def run(self) -> int:
        tty = self._screen.is_terminal
        try:
            self._id = await self._create(tty=tty)
            with self._screen.raw():
                stream = await self._attach(tty=tty)
                with self._screen.resizes(self._resize):
                    self._screen.read(_Exec(stream))
                    await self._over.wait()
                stream.close()
        except EngineApiError as error:
            raise DebugError(f"{self._plan.path}: cannot open a shell: {error.message}") from error
        return await self._exit_code()

    def received(self, stream: Stream, data: bytes) -> None:
        try:
            self._screen.write(stream, data)
        except OSError:  # the reader is closed
            self._unread = True
            self._over.set()

    def ended(self) -> None:
        self._over.set()

    async def _create(self, *, tty: bool) -> str:
        env = secrets_of(self._plan)
        if tty and self._term:
            env["TERM"] = self._term
        argv = shell_argv(self._plan.shell) if tty else [self._plan.shell]
        body: dict[str, Any] = {
            "AttachStdin": True,
            "AttachStdout": True,
            "AttachStderr": True,
            "Tty": tty,
            "Cmd": argv,
            "Env": env_list(env),
        }
        path = f"/containers/{self._container}/exec"
        return str((await self._http.call("POST", path, json_body=body))["Id"])

    async def _attach(self, *, tty: bool) -> Attachment:
        body: dict[str, Any] = {"Detach": False, "Tty": tty}
        if tty:
            body["ConsoleSize"] = list(self._screen.size)
        stream = await attach(
            self._http, f"/exec/{self._id}/start", {}, self, json_body=body, tty=tty
        )
        if tty:
            self._resize()  # older engines ignore ConsoleSize
        return stream

    def _resize(self) -> None:
        task = asyncio.get_running_loop().create_task(self._send_size())
        self._resizing.add(task)
        task.add_done_callback(self._resizing.discard)

    async def _send_size(self) -> None:
        lines, columns = self._screen.size
        with contextlib.suppress(EngineApiError, EngineError):  # the shell has just ended
            params = {"h": lines, "w": columns}
            await self._http.call("POST", f"/exec/{self._id}/resize", params=params)

    async def _exit_code(self) -> int:
        """Return the exit code; the engine may record it shortly after the last output."""
        if self._unread:
            return 128 + signal.SIGPIPE
        end = asyncio.get_running_loop().time() + _END_SECONDS
        while asyncio.get_running_loop().time() < end:
            try:
                state = await self._http.call("GET", f"/exec/{self._id}/json")
            except EngineApiError as error:
                raise DebugError(
                    f"{self._plan.path}: the shell's container was removed from outside"
                ) from error
            if not state["Running"]:
                return int(state["ExitCode"])
            await asyncio.sleep(0.02)
        return 0


class _Exec:
    """The input of an exec; implements `conducto_local.debug.terminal.TerminalLine`."""

    def __init__(self, stream: Attachment) -> None:
        self._stream = stream
        self.pause = stream.pause
        self.resume = stream.resume

    @property
    def unsent(self) -> int:
        return self._stream.unsent

    def typed(self, data: bytes) -> None:
        if data:
            self._stream.write(data)
        else:
            self._stream.write_eof()
