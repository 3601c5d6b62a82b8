"""Emulates ECS Exec: commands on terminals in containers of tasks, protected by session keys.

AWS's protocol between the command and ``session-manager-plugin`` is not emulated: a WebSocket
replaces it, and `conducto_emulator.tasks.exec` replaces the plugin. Their parameters
are AWS's.
"""

import asyncio
import contextlib
import json
import os
import secrets
import shlex
import signal
import sys
import termios
import threading
import tty
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker  # type: ignore[import-untyped]
from docker.errors import DockerException  # type: ignore[import-untyped]
from starlette.concurrency import run_in_threadpool
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

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
    with connect(session["StreamUrl"], max_size=None) as socket:
        socket.send(json.dumps({"TokenValue": session["TokenValue"], **_size()}))
        code = _be_terminal(socket)
    _send(f"\nExiting session with sessionId: {session['SessionId']}.\n")
    return code


def _send(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _be_terminal(socket: ClientConnection) -> int:
    # The handler may interrupt the sending of a message, so a thread sends the size.
    changed = threading.Event()
    signal.signal(signal.SIGWINCH, lambda _number, _frame: changed.set())
    for run in (_type_session_manager_plugin, _watch_size):
        threading.Thread(target=run, args=(socket, changed), daemon=True).start()
    with _raw():
        try:
            while True:
                data = socket.recv()
                sys.stdout.buffer.write(data if isinstance(data, bytes) else data.encode())
                sys.stdout.buffer.flush()
        except ConnectionClosed as closed:
            return 0 if closed.rcvd is not None and closed.rcvd.code == 1000 else 255  # noqa: PLR2004


def _type_session_manager_plugin(socket: ClientConnection, _changed: threading.Event) -> None:
    with contextlib.suppress(ConnectionClosed, OSError):
        while data := os.read(0, _CHUNK):
            socket.send(data)


def _watch_size(socket: ClientConnection, changed: threading.Event) -> None:
    with contextlib.suppress(ConnectionClosed):
        while changed.wait():
            changed.clear()
            socket.send(json.dumps(_size()))


def _size() -> dict[str, Any]:
    try:
        size = os.get_terminal_size(1)
    except OSError:
        return {"rows": 24, "columns": 80}
    return {"rows": size.lines, "columns": size.columns}


@contextlib.contextmanager
def _raw() -> Iterator[None]:
    """Pass on every key unprocessed; restore the terminal afterwards."""
    if not os.isatty(0):
        yield
        return
    before = termios.tcgetattr(0)
    tty.setraw(0)
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)
