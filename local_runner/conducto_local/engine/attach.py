"""A container's streams through the engine: frames, and the connection that carries them.

After its head, an attach is no longer HTTP. Raw bytes go to the container; frames come back: 8
bytes (stream, three zeros, length in network order) and the payload.
"""

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import h11

from conducto_local.engine.http import ApiError, HttpClient, Params, error_message
from conducto_local.ports import EngineError, Stream

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
                at = self._read_header(data, at)
                continue
            chunk = data[at : at + self._left]
            at += len(chunk)
            self._left -= len(chunk)
            if self._stream is not None:
                yield self._stream, chunk

    def _read_header(self, data: bytes, at: int) -> int:
        end = at + _HEADER - len(self._header)
        self._header += data[at:end]
        if len(self._header) == _HEADER:
            self._stream = _STREAMS.get(self._header[0])
            self._left = int.from_bytes(self._header[4:], "big")
            self._header = b""
        return min(end, len(data))


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
            self.opened.set_exception(ApiError(status, error_message(bytes(body))))
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
                self.opened.set_exception(ApiError(status, error_message(bytes(body))))
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
