"""Emulates ECS Exec: commands on terminals in containers of tasks, protected by session keys.

AWS's protocol between the command and ``session-manager-plugin`` is not emulated: frames of
`conducto_core.debug.terminal` over a WebSocket replace it, and `main` replaces the plugin. Their
parameters are AWS's.
"""

import asyncio
import contextlib
import json
import os
import secrets
import shlex
import sys
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker  # type: ignore[import-untyped]
from docker.errors import DockerException  # type: ignore[import-untyped]
from starlette.concurrency import run_in_threadpool
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from conducto_core.debug.terminal import ShellNote, ShellParams, read_frame
from conducto_local.debug.terminal import Terminal

#: Path below the gateway's address.
PATH = "/sessions"
_CHUNK = 65_536
_FIRST_LINE = 64
_WRONG_KEY = 4403
#: Prints the process id, so that the command can be killed when the client has disconnected.
_SAY_WHO = 'printf "%s\\n" "$$"; exec "$@"'


@dataclass(frozen=True, slots=True)
class Session:
    """A command that is not started yet."""

    container: str
    command: str
    key: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)


class EcsExec:
    """All sessions of one emulator.

    Args:
        url: URL of the gateway.
        container_of: Returns the engine's id of a container, by task and name.
    """

    def __init__(self, url: str, container_of: Callable[[str, str], str]) -> None:
        self._url = "ws" + url.removeprefix("http") + PATH
        self._container_of = container_of
        self._waiting: dict[str, Session] = {}
        self._lock = threading.Lock()

    def open(self, task_arn: str, container: str, command: str) -> Mapping[str, str]:
        """Return a session like ExecuteCommand; the command starts when a client connects."""
        session = Session(self._container_of(task_arn, container), command)
        name = f"ecs-execute-command-{uuid.uuid4().hex}"
        with self._lock:
            self._waiting[name] = session
        return {
            "sessionId": name,
            "streamUrl": f"{self._url}/{name}",
            "tokenValue": session.key,
        }

    async def serve(self, socket: WebSocket) -> None:
        """Serve one session: the first message has its key and the size of the terminal."""
        await socket.accept()
        try:
            opening = ShellParams.model_validate_json(await socket.receive_text())
            session = self._claimed(socket.path_params["name"], opening.ticket)
            if session is None:
                await socket.close(_WRONG_KEY)
                return
            size = (opening.lines, opening.columns)
            terminal = await run_in_threadpool(CommandTerminal, session, size)
        except (WebSocketDisconnect, ValueError, DockerException):
            with contextlib.suppress(RuntimeError):
                await socket.close(_WRONG_KEY)
            return
        showing = asyncio.create_task(_show(socket, terminal))
        try:
            await _type(socket, terminal)
        except (WebSocketDisconnect, ValueError):
            pass
        finally:
            await run_in_threadpool(terminal.close)
            await showing

    def _claimed(self, name: str, key: str) -> Session | None:
        with self._lock:
            session = self._waiting.get(name)
            if session is None or not secrets.compare_digest(session.key, key):
                return None
            return self._waiting.pop(name)


async def _type(socket: WebSocket, terminal: "CommandTerminal") -> None:
    """Forward input and window sizes."""
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return
        text = message.get("text")
        frame = read_frame(message["bytes"] if text is None else text)
        if isinstance(frame, bytes):
            await run_in_threadpool(terminal.write, frame)
        elif frame.lines is not None and frame.columns is not None:
            await run_in_threadpool(terminal.resize, frame.lines, frame.columns)


async def _show(socket: WebSocket, terminal: "CommandTerminal") -> None:
    """Forward output until the command has ended."""
    try:
        while data := await run_in_threadpool(terminal.read):
            await socket.send_bytes(data)
        await socket.close()
    except (RuntimeError, WebSocketDisconnect):
        return  # the client has disconnected


class CommandTerminal:
    """A command on a terminal in a container, as root, like with ECS Exec."""

    def __init__(self, session: Session, size: tuple[int, int]) -> None:
        self._api: Any = docker.from_env().api
        self._container = session.container
        words = ["/bin/sh", "-c", _SAY_WHO, "session", *shlex.split(session.command)]
        made = self._api.exec_create(self._container, words, stdin=True, tty=True, user="0")
        self._id = made["Id"]
        self._stream = self._api.exec_start(self._id, tty=True, socket=True)
        self._socket = self._stream._sock  # noqa: SLF001  docker's object cannot write
        self._process, self._rest = self._first_line()
        self.resize(*size)

    def _first_line(self) -> tuple[str, bytes]:
        said = b""
        while b"\n" not in said and len(said) < _FIRST_LINE:
            data = self._socket.recv(_CHUNK)
            if not data:
                break
            said += data
        line, _, rest = said.partition(b"\n")
        return line.decode(errors="replace").strip(), rest

    def read(self) -> bytes:
        """Return output; b"" once the command has ended."""
        if self._rest:
            rest, self._rest = self._rest, b""
            return rest
        try:
            return bytes(self._socket.recv(_CHUNK))
        except OSError:
            return b""

    def write(self, data: bytes) -> None:
        """Send input; it is lost if the command has ended."""
        with contextlib.suppress(OSError):
            self._socket.sendall(data)

    def resize(self, rows: int, columns: int) -> None:
        with contextlib.suppress(DockerException):  # the command has just ended
            self._api.exec_resize(self._id, height=rows, width=columns)

    def close(self) -> None:
        """Kill the command if it is still running."""
        with contextlib.suppress(DockerException):
            if self._process.isdigit() and self._api.exec_inspect(self._id)["Running"]:
                kill = ["/bin/sh", "-c", f"kill -9 {self._process}"]
                self._api.exec_start(self._api.exec_create(self._container, kill, user="0")["Id"])
        for each in (self._stream, self._socket, self._api):
            each.close()


# ----------------------------------------------------------------------------------------
# A replacement of AWS's ``session-manager-plugin``, with the same arguments but another protocol.
#
# ``session-manager-plugin VARIABLE REGION StartSession PROFILE REQUEST ENDPOINT``; ``VARIABLE`` is
# the name of an environment variable with the session, as JSON.


NAME = "session-manager-plugin"
VERSION = "1.2.707.0"
_ARGUMENTS = 6


def install(folder: Path) -> Path:
    """Install the program into a directory for PATH; return the directory."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / NAME
    here = str(Path(__file__).resolve().parents[2])
    program.write_text(
        f"#!{sys.executable}\n"
        "import sys\n"
        f"sys.path.insert(0, {here!r})\n"
        "from conducto_emulator.tasks.exec import main\n"
        "sys.exit(main(sys.argv[1:]))\n",
        "utf-8",
    )
    program.chmod(0o755)
    return folder


def main(words: Sequence[str]) -> int:
    """Run the terminal of a session; return the exit code."""
    if list(words) == ["--version"]:
        _send(VERSION)
        return 0
    if len(words) != _ARGUMENTS or words[2] != "StartSession":
        sys.stderr.write(f"{NAME}: unknown arguments\n")
        return 255
    session = json.loads(os.environ[words[0]])
    _send(f"\nStarting session with SessionId: {session['SessionId']}")
    code = asyncio.run(_talk(session["StreamUrl"], session["TokenValue"]))
    _send(f"\nExiting session with sessionId: {session['SessionId']}.\n")
    return code


def _send(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def _talk(url: str, key: str) -> int:
    """Connect this terminal to a session; return the exit code."""
    screen = Terminal()
    lines, columns = screen.size if screen.is_terminal else (24, 80)
    async with connect(url, max_size=None) as socket:
        await socket.send(ShellParams(ticket=key, lines=lines, columns=columns).model_dump_json())
        line = _Input()

        def resized() -> None:
            lines, columns = screen.size
            line.frames.put_nowait(ShellNote(lines=lines, columns=columns).model_dump_json())

        sending = asyncio.create_task(line.send(socket))
        try:
            with screen.raw(), screen.resizes(resized):
                screen.read(line)
                while True:
                    data = await socket.recv(decode=False)
                    screen.write("stdout", data)
        except ConnectionClosed as closed:
            return 0 if closed.rcvd is not None and closed.rcvd.code == 1000 else 255  # noqa: PLR2004
        finally:
            sending.cancel()


class _Input:
    """The input of a session; implements `conducto_local.debug.terminal.TerminalLine`."""

    unsent = 0

    def __init__(self) -> None:
        self.frames: asyncio.Queue[str | bytes] = asyncio.Queue()

    def typed(self, data: bytes) -> None:
        if data:
            self.frames.put_nowait(data)

    def pause(self) -> None:
        """Do nothing: the session is not paused."""

    def resume(self) -> None:
        """Do nothing, as `pause`."""

    async def send(self, socket: ClientConnection) -> None:
        """Send frames until the connection ends."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                await socket.send(await self.frames.get())
