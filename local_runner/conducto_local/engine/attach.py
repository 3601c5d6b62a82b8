"""A container's streams through the engine: frames, and the connection that carries them.

After its head, an attach is no longer HTTP. Towards the container go raw bytes; back come frames
of 8 bytes (stream, three zeros, length in network order) and their payload.
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
    """Splits what an attach carries into the two streams, in chunks cut anywhere."""

    def __init__(self) -> None:
        self._header = b""
        self._stream: Stream | None = None
        self._left = 0

    def feed(self, data: bytes) -> Iterator[tuple[Stream, bytes]]:
        """Yield output as ``(stream, bytes)``; frames are not put together again."""
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
    """What a terminal's attach carries: one stream, without frames."""

    def feed(self, data: bytes) -> Iterator[tuple[Stream, bytes]]:
        """Yield the bytes as they are."""
        yield "stdout", data


class Listener(Protocol):
    """Who hears what a container writes. Called in the event loop; must not block."""

    def received(self, stream: Stream, data: bytes) -> None:
        """The container has written."""

    def ended(self) -> None:
        """Nothing more will come; called once."""


class Attachment(asyncio.Protocol):
    """The hijacked connection to one container's streams."""

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
        """Send to the container's stdin; lost if the connection is."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    @property
    def unsent(self) -> int:
        """Bytes that were written and that the container has not taken yet."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def pause(self) -> None:
        """Take in no output until `resume`; the container has to wait with it."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        """Take in output again."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def write_eof(self) -> None:
        """Tell the container that its stdin has ended; output goes on."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write_eof()

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the streams."""
        if not isinstance(transport, asyncio.Transport):
            raise TypeError(f"an attach needs a stream transport, got {transport!r}")
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Pass on output, or read the answer's head."""
        if self._raw:
            self._pass_on(data)
        else:
            self._read_head(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the listener, once."""
        if not self.opened.done() and self._refusal is not None:  # its end is its body's end
            status, body = self._refusal
            self.opened.set_exception(ApiError(status, error_message(bytes(body))))
        if not self.opened.done():
            self.opened.set_exception(EngineError(f"the container engine hung up: {exc}"))
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
            self.opened.set_exception(EngineError(f"the container engine is not HTTP: {error}"))
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
    """Open the streams of a container or of an exec; return once the engine has agreed.

    Args:
        client: The engine.
        path: What to post to.
        params: Its query.
        listener: Hears what is written.
        json_body: What to post; None is nothing.
        tty: The other side is a terminal, whose output comes without frames.

    Raises:
        ApiError: the engine refuses.
        EngineError: the engine cannot be reached.
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
        raise EngineError(f"the container engine at {address} does not answer: {error}") from error
    await attachment.opened
    return attachment


def _upgrade(connection: h11.Connection, target: str, json_body: Any) -> bytes:
    """Return a request that asks for the raw connection."""
    body = b"" if json_body is None else json.dumps(json_body).encode()
    headers = [("Host", "engine"), ("Connection", "Upgrade"), ("Upgrade", "tcp")]
    if body:
        headers.append(("Content-Type", "application/json"))
    headers.append(("Content-Length", str(len(body))))
    events = [h11.Request(method="POST", target=target, headers=headers), h11.EndOfMessage()]
    if body:
        events.insert(1, h11.Data(data=body))
    return b"".join(connection.send(event) or b"" for event in events)
