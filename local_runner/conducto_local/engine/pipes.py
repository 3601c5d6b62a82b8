"""Pipes between the agent and the command server in a container, past the engine.

Each message through the engine wakes three of its threads, which takes longer than the shell of a
short command. If the container has the kernel of this machine, named pipes in a mounted directory
take the place of the engine's streams. In a virtual machine (Docker Desktop) pipes with these names
lead nowhere: the server does not receive `GREETING`, and uses the engine's streams.

The names stay as long as the container: the engine copies no file out of a container of which a
mounted directory was deleted, and the kernel reopens no deleted file on some file systems. When the
server has opened its pipes, only the agent's user can open them by name.
"""

import asyncio
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import mkdtemp

from conducto_local.ports import Stream

#: Where the server finds its pipes.
PIPES_DIRECTORY = "/conducto/pipes"
GREETING = b"connected\n"
_NAMES: dict[Stream, str] = {"stdout": "out", "stderr": "err"}
STREAMS = tuple(_NAMES)
_CHUNK = 1 << 16
#: More than a pipe holds: processes that the server could not kill may write without end.
_MAX_REST = 1 << 20
#: Any user of the container may be the server's; the parent directory is closed to other users of
#: the host.
_OPEN_DIRECTORY, _OPEN_PIPE = 0o755, 0o666
_CLOSED_DIRECTORY = 0o700


class Pipes:
    """The pipes to one command server.

    The output pipes are open at both ends, so they have no end of their own: the engine reports the
    end of the container.

    Args:
        parent: Directory in which their names are created.

    Raises:
        OSError: They cannot be created here.
    """

    def __init__(self, parent: Path) -> None:
        self._received: Callable[[Stream, bytes], None] = lambda _stream, _data: None
        self._loop = asyncio.get_running_loop()
        self._outputs: dict[Stream, int] = {}
        self._inputs: list[int] = []
        self._unsent = bytearray()
        parent.mkdir(mode=0o700, exist_ok=True)
        self.directory = Path(mkdtemp(dir=parent))
        try:
            self._open()
        except OSError:
            self.close()
            raise

    def _open(self) -> None:
        self.directory.chmod(_OPEN_DIRECTORY)
        for stream, name in _NAMES.items():
            self._outputs[stream] = self._made(name, os.O_RDWR)
        # A pipe without a reader cannot be opened for writing.
        self._inputs.append(self._made("in", os.O_RDONLY))
        self._inputs.append(os.open(self.directory / "in", os.O_WRONLY | os.O_NONBLOCK))
        os.write(self._inputs[1], GREETING)

    def _made(self, name: str, flags: int) -> int:
        path = self.directory / name
        os.mkfifo(path)
        path.chmod(_OPEN_PIPE)  # the umask limits mkfifo
        return os.open(path, flags | os.O_NONBLOCK)

    def listen(self, received: Callable[[Stream, bytes], None]) -> None:
        """Pass on the container's output in the event loop; ``received`` must not block."""
        self._received = received
        for stream, descriptor in self._outputs.items():
            self._loop.add_reader(descriptor, self._read, stream, descriptor)

    def connected(self) -> None:
        """Note that the server has opened them: close the names to other users."""
        os.close(self._inputs.pop(0))  # so that writing fails when the server has ended
        self.directory.chmod(_CLOSED_DIRECTORY)

    def write(self, data: bytes) -> None:
        """Send data to the server; it is lost if the server has ended."""
        if self._unsent:
            self._unsent += data
        elif (sent := self._sent(data)) < len(data):
            self._unsent += data[sent:]
            self._loop.add_writer(self._inputs[-1], self._write_on)

    def rest(self, stream: Stream) -> Iterator[bytes]:
        """Yield the output that is in a pipe now."""
        descriptor = self._outputs.get(stream)
        if descriptor is None:
            return
        left = _MAX_REST
        while left > 0 and (data := _read(descriptor)):
            left -= len(data)
            yield data

    def close(self) -> None:
        """Close them; safe to call twice."""
        for descriptor in self._outputs.values():
            self._loop.remove_reader(descriptor)
        if self._unsent:
            self._loop.remove_writer(self._inputs[-1])
            self._unsent.clear()
        for descriptor in (*self._outputs.values(), *self._inputs):
            os.close(descriptor)
        self._outputs.clear()
        self._inputs.clear()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _read(self, stream: Stream, descriptor: int) -> None:
        data = _read(descriptor)
        if data:
            self._received(stream, data)

    def _sent(self, data: bytes | bytearray) -> int:
        try:
            return os.write(self._inputs[-1], data)
        except BlockingIOError:
            return 0
        except (BrokenPipeError, IndexError):  # the server has ended, or they are closed
            return len(data)

    def _write_on(self) -> None:
        del self._unsent[: self._sent(self._unsent)]
        if not self._unsent:
            self._loop.remove_writer(self._inputs[-1])


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, _CHUNK)
    except BlockingIOError:
        return b""
