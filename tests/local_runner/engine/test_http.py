"""The Engine API client against a server that says what the test wants."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from conducto_local.engine.docker.http import Address, EngineApiError, HttpClient
from conducto_local.engine.docker.streams import attach
from conducto_local.engine.port import EngineError, Stream

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"a": true}'


@asynccontextmanager
async def _client(folder: Path, serve: Serve) -> AsyncIterator[HttpClient]:
    path = str(folder / "s")

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except asyncio.IncompleteReadError:
            pass  # the client hung up
        finally:
            writer.close()

    server = await asyncio.start_unix_server(handle, path)
    client = HttpClient(Address(path=path))
    try:
        yield client
    finally:
        await client.close()
        server.close()
        await server.wait_closed()


class Requests:
    """Answers every request with the same bytes; keeps the heads, one list a connection."""

    def __init__(self, answer: bytes, per_connection: int = 100) -> None:
        self.heads: list[list[bytes]] = []
        self._respond = answer
        self._per_connection = per_connection

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads: list[bytes] = []
        self.heads.append(heads)
        for _ in range(self._per_connection):
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(self._respond)
            await writer.drain()


async def test_a_connection_is_used_again(tmp_path: Path) -> None:
    requests = Requests(OK)
    async with _client(tmp_path, requests) as client:
        responses = [await client.call("GET", "/x") for _ in range(3)]

    assert responses == [{"a": True}] * 3
    assert [len(heads) for heads in requests.heads] == [3]


async def test_a_connection_that_the_engine_closed_is_replaced(tmp_path: Path) -> None:
    requests = Requests(OK, per_connection=1)
    async with _client(tmp_path, requests) as client:
        responses = [await client.call("GET", "/x") for _ in range(3)]

    assert len(responses) == 3
    assert [len(heads) for heads in requests.heads] == [1, 1, 1]


async def test_parameters_are_quoted_after_the_version(tmp_path: Path) -> None:
    requests = Requests(OK)
    async with _client(tmp_path, requests) as client:
        client.prefix = "/v1.45"
        await client.call("GET", "/x", params={"all": True, "filters": '{"a b": 1}'})

    assert requests.heads[0][0].startswith(
        b"GET /v1.45/x?all=true&filters=%7B%22a%20b%22%3A%201%7D HTTP/1.1"
    )


async def test_an_error_carries_the_engines_words(tmp_path: Path) -> None:
    answer = b'HTTP/1.1 409 X\r\nContent-Length: 20\r\n\r\n{"message": "in use"}'
    async with _client(tmp_path, Requests(answer.replace(b": 20", b": 21"))) as client:
        with pytest.raises(EngineApiError, match="in use") as error:
            await client.call("GET", "/x")

    assert error.value.status == 409


async def test_a_body_streams_as_it_comes(tmp_path: Path) -> None:
    gate = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        await gate.wait()
        writer.write(b"3\r\ntwo\r\n0\r\n\r\n")
        await writer.drain()

    seen = []
    async with (
        _client(tmp_path, serve) as client,
        await client.request("GET", "/x") as response,
    ):
        async for chunk in response.stream():
            seen.append(chunk)
            gate.set()

    assert seen == [b"one", b"two"]


async def test_an_upload_streams_in_chunks(tmp_path: Path) -> None:
    received = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        received.extend(await reader.readuntil(b"0\r\n\r\n"))
        writer.write(OK)
        await writer.drain()

    async def parts() -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    async with _client(tmp_path, serve) as client:
        response = await client.request("PUT", "/x", body=parts())
        await response.read()

    assert received == b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"


async def test_an_engine_that_dies_in_mid_answer_is_an_error(tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        await writer.drain()

    async with _client(tmp_path, serve) as client:
        with pytest.raises(EngineError, match="lost the connection"):
            await client.call("GET", "/x")


async def test_engine_that_closes_without_a_response_is_an_error(tmp_path: Path) -> None:
    async with _client(tmp_path, Requests(b"", per_connection=1)) as client:
        with pytest.raises(EngineError, match=r"lost|closed"):
            await client.call("GET", "/x")


async def test_unused_address_is_an_error(tmp_path: Path) -> None:
    client = HttpClient(Address(path=str(tmp_path / "none")))

    with pytest.raises(EngineError, match="is unreachable"):
        await client.call("GET", "/x")


class Heard:
    """Keeps what a container writes."""

    def __init__(self) -> None:
        self.data: list[tuple[Stream, bytes]] = []
        self.end = asyncio.Event()

    def received(self, stream: Stream, data: bytes) -> None:
        self.data.append((stream, data))

    def ended(self) -> None:
        self.end.set()


FRAME = bytes([1, 0, 0, 0, 0, 0, 0, 2]) + b"hi"


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n",
    ],
    ids=["101", "200"],
)
async def test_an_attach_is_raw_after_its_head(tmp_path: Path, head: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head + FRAME)
        writer.write(bytes([2, 0, 0, 0, 0, 0, 0, 4]) + await reader.readexactly(4))
        await writer.drain()

    heard = Heard()
    async with _client(tmp_path, serve) as client:
        attachment = await attach(client, "/attach", {}, heard)
        attachment.write(b"echo")
        await heard.end.wait()

    assert heard.data == [("stdout", b"hi"), ("stderr", b"echo")]


async def test_an_attach_that_is_refused_says_why(tmp_path: Path) -> None:
    answer = b'HTTP/1.1 404 X\r\nContent-Length: 23\r\n\r\n{"message": "not there"}'
    async with _client(tmp_path, Requests(answer.replace(b"23", b"24"))) as client:
        with pytest.raises(EngineApiError, match="not there"):
            await attach(client, "/attach", {}, Heard())
