"""Requests of commands arrive in lines, whatever a command writes."""

from __future__ import annotations

from conducto_local.scheduling.launch_channel import lines_of


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
