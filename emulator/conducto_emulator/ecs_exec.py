"""Emulates ECS Exec: commands on terminals in containers of tasks, protected by session keys.

AWS's protocol between the command and ``session-manager-plugin`` is not emulated: a WebSocket
replaces it, and `conducto_emulator.session_manager_plugin` replaces the plugin. Their parameters
are AWS's.
"""

import asyncio
import contextlib
import json
import secrets
import shlex
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from docker.errors import DockerException  # type: ignore[import-untyped]
from starlette.concurrency import run_in_threadpool
from starlette.websockets import WebSocket, WebSocketDisconnect

import docker  # type: ignore[import-untyped]

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
            hello = json.loads(await socket.receive_text())
            session = self._claimed(socket.path_params["name"], str(hello.get("TokenValue")))
            if session is None:
                await socket.close(_WRONG_KEY)
                return
            size = (int(hello["rows"]), int(hello["columns"]))
            terminal = await run_in_threadpool(Terminal, session, size)
        except (WebSocketDisconnect, ValueError, KeyError, DockerException):
            with contextlib.suppress(RuntimeError):
                await socket.close(_WRONG_KEY)
            return
        showing = asyncio.create_task(_show(socket, terminal))
        try:
            await _type(socket, terminal)
        except WebSocketDisconnect:
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


async def _type(socket: WebSocket, terminal: "Terminal") -> None:
    """Forward input and window sizes."""
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return
        if message.get("bytes") is not None:
            await run_in_threadpool(terminal.write, message["bytes"])
        elif message.get("text"):
            size = json.loads(message["text"])
            await run_in_threadpool(terminal.resize, int(size["rows"]), int(size["columns"]))


async def _show(socket: WebSocket, terminal: "Terminal") -> None:
    """Forward output until the command has ended."""
    try:
        while data := await run_in_threadpool(terminal.read):
            await socket.send_bytes(data)
        await socket.close()
    except (RuntimeError, WebSocketDisconnect):
        return  # the client has disconnected


class Terminal:
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
        """Set the size of the terminal."""
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
