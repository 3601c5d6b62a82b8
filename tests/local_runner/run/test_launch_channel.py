"""Requests of commands arrive in lines, whatever a command writes."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from conducto_local.children.channel import launch_channel, lines_of
from conducto_local.run.context import Tasks

if TYPE_CHECKING:
    from conducto_local.engine.port import Relay


class WrittenRelay:
    """A relay whose command has written some chunks."""

    directory = "/nowhere"

    def __init__(self, *chunks: bytes) -> None:
        self._chunks = list(chunks)

    async def read(self) -> bytes:
        return self._chunks.pop(0) if self._chunks else b""

    def write(self, data: bytes) -> None:
        raise AssertionError(data)

    async def close(self) -> None:
        """Do nothing."""


async def lines(*chunks: bytes, maximum: int = 100) -> list[bytes]:
    return [line async for line in lines_of(WrittenRelay(*chunks), maximum)]


async def test_lines_are_found_wherever_chunks_end() -> None:
    assert await lines(b"a", b"b\nc\n\n", b"d\n") == [b"ab", b"c", b"", b"d"]


async def test_unterminated_line_is_ignored() -> None:
    assert await lines(b"a\nb") == [b"a"]


async def test_line_that_is_too_long_ends_the_channel() -> None:
    assert await lines(b"a\n", b"b" * 60, b"b" * 60, b"\nc\n") == [b"a"]


class BrokenRelay(WrittenRelay):
    """A relay whose output cannot be read."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = asyncio.Event()

    async def read(self) -> bytes:
        raise OSError("broken")

    async def close(self) -> None:
        self.closed.set()


async def test_channel_that_fails_closes_its_relay_while_the_command_runs() -> None:
    relay = BrokenRelay()

    async def start(_name: str) -> Relay:
        return relay

    async def handle(*_request: Any) -> Any:
        raise AssertionError

    active: Any = SimpleNamespace(spec=SimpleNamespace(path="/a"))
    worker: Any = SimpleNamespace(relay=start)
    async with launch_channel(active, worker, handle, Tasks()):
        await asyncio.wait_for(relay.closed.wait(), 10)
