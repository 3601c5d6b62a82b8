"""A container's streams through the engine: frames, and the connection that carries them.

After its head, an attach is no longer HTTP. Raw bytes go to the container; frames come back: 8
bytes (stream, three zeros, length in network order) and the payload.
"""

import asyncio
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Protocol

import h11

from conducto_local.engine.docker.http import EngineApiError, HttpClient, Params, error_message
from conducto_local.engine.port import EngineError, Stream

_HEADER = 8
_STREAMS: dict[int, Stream] = {1: "stdout", 2: "stderr"}
_SWITCHING = 101
_BAD_STATUS = 400


class FrameDecoder:
    """Splits the data of an attach into two streams; the data may be cut anywhere."""

    def __init__(self) -> None:
        self._header = b""
        self._stream: Stream | None = None
        self._left = 0

    def feed(self, data: bytes) -> Iterator[tuple[Stream, bytes]]:
        """Yield output as ``(stream, bytes)``; a frame may be yielded in parts."""
        at = 0
        while at < len(data):
            if self._left == 0:
                end = at + _HEADER - len(self._header)
                self._header += data[at:end]
                if len(self._header) == _HEADER:
                    self._stream = _STREAMS.get(self._header[0])
                    self._left = int.from_bytes(self._header[4:], "big")
                    self._header = b""
                at = min(end, len(data))
                continue
            chunk = data[at : at + self._left]
            at += len(chunk)
            self._left -= len(chunk)
            if self._stream is not None:
                yield self._stream, chunk


class PlainDecoder:
    """Decodes the attach of a terminal: one stream, without frames."""

    def feed(self, data: bytes) -> Iterator[tuple[Stream, bytes]]:
        """Yield the bytes as they are."""
        yield "stdout", data


class Listener(Protocol):
    """Receives a container's output in the event loop; methods must not block."""

    def received(self, stream: Stream, data: bytes) -> None:
        """Handle output of the container."""

    def ended(self) -> None:
        """Handle the end of the output; called once."""


class Attachment(asyncio.Protocol):
    """The hijacked connection to the streams of one container."""

    def __init__(
        self, request: bytes, connection: h11.Connection, listener: Listener, *, tty: bool = False
    ) -> None:
        self._request = request
        self._h11 = connection
        self._listener = listener
        self._decoder: FrameDecoder | PlainDecoder = PlainDecoder() if tty else FrameDecoder()
        self._transport: asyncio.Transport | None = None
        self._raw = False
        self._ended = False
        self._refusal: tuple[int, bytearray] | None = None
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def write(self, data: bytes) -> None:
        """Send data to the container's stdin; it is lost if the connection is."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    @property
    def unsent(self) -> int:
        """Number of written bytes that the container has not read yet."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def pause(self) -> None:
        """Stop receiving output until `resume`; the container's writes block."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        """Receive output again."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def write_eof(self) -> None:
        """Close the container's stdin; its output continues."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write_eof()

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Request the streams."""
        if not isinstance(transport, asyncio.Transport):
            raise TypeError(f"an attach needs a stream transport, got {transport!r}")
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Pass on output, or read the head of the response."""
        if self._raw:
            self._pass_on(data)
        else:
            self._read_head(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Notify the listener, once."""
        if not self.opened.done() and self._refusal is not None:  # closing ends the body
            status, body = self._refusal
            self.opened.set_exception(EngineApiError(status, error_message(bytes(body))))
        if not self.opened.done():
            self.opened.set_exception(EngineError(f"the engine closed the connection: {exc}"))
        if not self._ended:
            self._ended = True
            self._listener.ended()

    def _pass_on(self, data: bytes) -> None:
        for stream, chunk in self._decoder.feed(data):
            self._listener.received(stream, chunk)

    def _read_head(self, data: bytes) -> None:
        try:
            self._h11.receive_data(data)
            while not self._raw and not self.opened.done():
                event = self._h11.next_event()
                if event is h11.NEED_DATA or event is h11.PAUSED:
                    return
                self._on_event(event)
        except h11.RemoteProtocolError as error:
            self.opened.set_exception(EngineError(f"the engine does not speak HTTP: {error}"))
            self.close()

    def _on_event(self, event: object) -> None:
        match event:
            case h11.InformationalResponse(status_code=code) if code == _SWITCHING:
                self._become_raw()
            case h11.Response(status_code=code) if code < _BAD_STATUS:
                self._become_raw()
            case h11.Response(status_code=code):
                self._refusal = (code, bytearray())
            case h11.Data(data=data) if self._refusal is not None:
                self._refusal[1].extend(data)
            case h11.EndOfMessage() if self._refusal is not None:
                status, body = self._refusal
                self.opened.set_exception(EngineApiError(status, error_message(bytes(body))))
                self.close()
            case _:
                pass

    def _become_raw(self) -> None:
        self._raw = True
        self.opened.set_result(None)
        rest, _ = self._h11.trailing_data
        if rest:
            self._pass_on(rest)


async def attach(
    client: HttpClient,
    path: str,
    params: Params,
    listener: Listener,
    *,
    json_body: Any = None,
    tty: bool = False,
) -> Attachment:
    """Open the streams of a container or an exec; return once the engine has accepted.

    Raises:
        ApiError: The engine rejected the request.
        EngineError: The engine is unreachable.
    """
    connection = h11.Connection(h11.CLIENT)
    request = _upgrade(connection, client.target(path, params), json_body)
    make: Callable[[], Attachment] = lambda: Attachment(  # noqa: E731
        request, connection, listener, tty=tty
    )
    loop = asyncio.get_running_loop()
    address = client.address
    try:
        if address.path is None:
            _, attachment = await loop.create_connection(make, address.host, address.port)
        else:
            _, attachment = await loop.create_unix_connection(make, address.path)
    except OSError as error:
        raise EngineError(f"the container engine at {address} is unreachable: {error}") from error
    await attachment.opened
    return attachment


def _upgrade(connection: h11.Connection, target: str, json_body: Any) -> bytes:
    body = b"" if json_body is None else json.dumps(json_body).encode()
    headers = [("Host", "engine"), ("Connection", "Upgrade"), ("Upgrade", "tcp")]
    if body:
        headers.append(("Content-Type", "application/json"))
    headers.append(("Content-Length", str(len(body))))
    events = [h11.Request(method="POST", target=target, headers=headers), h11.EndOfMessage()]
    if body:
        events.insert(1, h11.Data(data=body))
    return b"".join(connection.send(event) or b"" for event in events)


# ----------------------------------------------------------------------------------------
# Pipes between the agent and the command server in a container, past the engine.
#
# Each message through the engine wakes three of its threads, which takes longer than the shell of a
# short command. If the container has the kernel of this machine, named pipes in a mounted directory
# take the place of the engine's streams. In a virtual machine (Docker Desktop) pipes with these
# names lead nowhere: the server does not receive `GREETING`, and uses the engine's streams.
#
# The names stay as long as the container: the engine copies no file out of a container of which a
# mounted directory was deleted, and the kernel reopens no deleted file on some file systems. When
# the server has opened its pipes, only the agent's user can open them by name.


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
            self._outputs[stream] = self._create_pipe(name, os.O_RDWR)
        # A pipe without a reader cannot be opened for writing.
        self._inputs.append(self._create_pipe("in", os.O_RDONLY))
        self._inputs.append(os.open(self.directory / "in", os.O_WRONLY | os.O_NONBLOCK))
        os.write(self._inputs[1], GREETING)

    def _create_pipe(self, name: str, flags: int) -> int:
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
