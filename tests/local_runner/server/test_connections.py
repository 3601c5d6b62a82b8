"""Clients that send half a request, or nothing, take nothing from the others."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from conducto_local.server.listener import Connections, bind, serve

HALF = b"GET /api HTTP/1.1\r\nHost: x\r\n"
WHOLE = HALF + b"\r\n"


class App:
    """Responds at once, or to /slow when the test releases it."""

    def __init__(self) -> None:
        self.go = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/slow":
            await self.go.wait()
        headers = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})


@asynccontextmanager
async def serving(connections: Connections) -> AsyncIterator[tuple[int, App]]:
    app, sock, stop, ready = App(), bind(), asyncio.Event(), asyncio.Event()
    port = sock.getsockname()[1]
    server = asyncio.create_task(serve(app, sock, stop, ready.set, connections))
    await ready.wait()
    try:
        yield port, app
    finally:
        app.go.set()
        stop.set()
        await server


async def connect(port: int, data: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    await writer.drain()
    return reader, writer


async def response(reader: asyncio.StreamReader) -> bytes:
    return await asyncio.wait_for(reader.readuntil(b"\r\n\r\nok"), 10)


async def is_closed(reader: asyncio.StreamReader) -> bool:
    with contextlib.suppress(ConnectionResetError):
        return await asyncio.wait_for(reader.read(1), 10) == b""
    return True


async def test_many_half_requests_do_not_keep_others_from_being_answered() -> None:
    async with serving(Connections(limit=8)) as (port, _):
        halves = [await connect(port, HALF) for _ in range(30)]

        for _ in range(3):
            reader, writer = await connect(port, WHOLE)
            assert b"200" in await response(reader)
            writer.close()

        assert await is_closed(halves[0][0])
        for _, writer in halves:
            writer.close()


async def test_a_request_that_is_being_answered_is_not_closed() -> None:
    async with serving(Connections(limit=8)) as (port, app):
        reader, slow = await connect(port, WHOLE.replace(b"/api", b"/slow"))
        await asyncio.sleep(0.05)
        others = [await connect(port, HALF) for _ in range(30)]
        assert await is_closed(others[0][0])

        app.go.set()

        assert b"200" in await response(reader)
        for _, writer in (*others, (reader, slow)):
            writer.close()


@pytest.mark.parametrize("data", [b"", HALF, WHOLE + HALF])
async def test_a_head_that_does_not_come_in_time_ends_its_connection(data: bytes) -> None:
    async with serving(Connections(head_seconds=0.1)) as (port, _):
        reader, writer = await connect(port, data)
        if data.startswith(WHOLE):
            await response(reader)

        assert await is_closed(reader)
        writer.close()


async def test_a_connection_between_two_requests_stays_open() -> None:
    async with serving(Connections(head_seconds=0.1)) as (port, _):
        reader, writer = await connect(port, WHOLE)
        await response(reader)
        await asyncio.sleep(0.3)
        writer.write(WHOLE)

        assert b"200" in await response(reader)
        writer.close()
