"""The relay: a shell beside a command that carries its requests to the agent.

Commands write requests to a pipe in a directory that only their user can enter; the relay copies
them to its stdout. Responses arrive on its stdin: the name of a file, and a line for it. So nothing
has to be mounted, and a container without a network can send requests.
"""

import asyncio
import os
import signal
from collections import deque
from contextlib import suppress
from pathlib import Path

from conducto.wire.launching import CALLS
from conducto_local.engine.docker.http import EngineApiError, HttpClient
from conducto_local.engine.docker.streams import Attachment, attach
from conducto_local.engine.port import Relay, Stream, WorkerStartError

READY = b"ready\n"
#: ``sh -c SCRIPT conducto-relay DIRECTORY``; the directories of earlier commands are removed.
SCRIPT = f"""umask 077
rm -rf "${{1%/*}}"/launch-*
mkdir "$1" && mkfifo "$1/{CALLS}" && exec 3<>"$1/{CALLS}" || exit 69
printf 'ready\\n'
cat <&3 &
while IFS= read -r name && IFS= read -r line; do printf '%s\\n' "$line" >"$1/$name"; done
kill "$!"
"""
_START_SECONDS = 30.0
#: Bytes that may wait for the agent before the relay has to wait.
_MAX_WAITING = 1 << 20
_CHUNK = 1 << 16


def relay_argv(directory: str) -> list[str]:
    return ["/bin/sh", "-c", SCRIPT, "conducto-relay", directory]


class ExecRelay:
    """A relay in a container; implements `port.Relay` and `attach.Listener`."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.complaint = bytearray()
        self._attachment: Attachment | None = None
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._ended = False
        self._changed = asyncio.Event()

    async def start(self, client: HttpClient, container: str) -> None:
        body = {
            "AttachStdin": True,
            "AttachStdout": True,
            "AttachStderr": True,
            "Tty": False,
            "Cmd": relay_argv(self.directory),
        }
        created = await client.call("POST", f"/containers/{container}/exec", json_body=body)
        start = {"Detach": False, "Tty": False}
        path = f"/exec/{created['Id']}/start"
        self._attachment = await attach(client, path, {}, self, json_body=start)

    async def read(self) -> bytes:
        while not self._waiting and not self._ended:
            self._changed.clear()
            await self._changed.wait()
        data = b"".join(self._waiting)
        self._waiting.clear()
        self._size = 0
        if self._attachment is not None:
            self._attachment.resume()
        return data

    def write(self, data: bytes) -> None:
        if self._attachment is not None:
            self._attachment.write(data)

    async def close(self) -> None:
        if self._attachment is not None:
            with suppress(OSError):  # the engine has closed the connection
                self._attachment.write_eof()
            self._attachment.close()

    def received(self, stream: Stream, data: bytes) -> None:
        if stream == "stderr":
            self.complaint += data[: _CHUNK - len(self.complaint)]
            return
        self._waiting.append(data)
        self._size += len(data)
        if self._size > _MAX_WAITING and self._attachment is not None:
            self._attachment.pause()
        self._changed.set()

    def ended(self) -> None:
        self._ended = True
        self._changed.set()


async def start_in_container(client: HttpClient, container: str, directory: str) -> Relay:
    """Start a relay in a container.

    Raises:
        WorkerStartError: It cannot run there.
        EngineError: The engine is unreachable.
    """
    relay = ExecRelay(directory)
    try:
        await relay.start(client, container)
        await _check_start(relay, relay.complaint)
    except EngineApiError as error:
        await relay.close()
        raise _cannot(error.message) from error
    except BaseException:
        await relay.close()
        raise
    return relay


class ProcessRelay:
    """A relay on this machine; implements `conducto_local.engine.port.Relay`."""

    def __init__(self, directory: str, process: asyncio.subprocess.Process) -> None:
        self.directory = directory
        self._process = process

    async def read(self) -> bytes:
        output = self._process.stdout
        return b"" if output is None else await output.read(_CHUNK)

    def write(self, data: bytes) -> None:
        if self._process.stdin is not None:
            self._process.stdin.write(data)

    async def close(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            await asyncio.wait_for(self._ended(), _START_SECONDS)
        except TimeoutError:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def _ended(self) -> None:
        while await self.read():  # unread requests would keep it from ending
            pass
        await self._process.wait()


async def start_on_machine(directory: Path) -> Relay:
    """Start a relay on this machine.

    Raises:
        WorkerStartError: It cannot run.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *relay_argv(str(directory)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise _cannot(str(error)) from error
    relay = ProcessRelay(str(directory), process)
    try:
        await _check_start(relay, bytearray())
    except BaseException:
        await relay.close()
        raise
    return relay


async def _check_start(relay: Relay, complaint: bytearray) -> None:
    seen = b""
    try:
        while len(seen) < len(READY):
            data = await asyncio.wait_for(relay.read(), _START_SECONDS)
            if not data:
                break
            seen += data
    except TimeoutError:
        pass
    if seen != READY:
        raise _cannot(complaint.decode(errors="replace").strip() or "it does not start")


def _cannot(reason: str) -> WorkerStartError:
    return WorkerStartError(
        "launch=True needs /bin/sh, cat, mkdir, mkfifo and rm in the image, and a writable run "
        f"directory: {reason}"
    )
