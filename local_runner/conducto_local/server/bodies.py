"""Bodies of requests, as a whole or in pieces, up to a limit."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from starlette.requests import ClientDisconnect, Request

from conducto.service import problems

#: What is read and dropped of a body that is refused, so that its sender comes to read why:
#: bytes, and seconds to wait for more of it.
DRAINED = 16 << 20
PATIENCE = 0.2


async def read_body(request: Request, limit: int) -> bytes:
    """Return the body.

    Raises:
        ProblemError: it has more than ``limit`` bytes.
        ClientDisconnect: it did not come whole.
    """
    return b"".join([piece async for piece in pieces(request, limit)])


async def pieces(request: Request, limit: int) -> AsyncIterator[bytes]:
    """Yield the body as it comes. Raises like `read_body`."""
    stream = request.stream()
    if _is_declared_too_large(request, limit):
        await _drain(request, stream)
        raise problems.too_large(limit)
    size = 0
    async for piece in stream:
        size += len(piece)
        if size > limit:
            await _drain(request, stream)
            raise problems.too_large(limit)
        yield piece


def _is_declared_too_large(request: Request, limit: int) -> bool:
    declared = request.headers.get("content-length", "0")
    return declared.isdecimal() and int(declared) > limit


async def _drain(request: Request, stream: AsyncIterator[bytes]) -> None:
    if request.headers.get("expect", "").lower() == "100-continue":
        return  # nothing was sent, and nothing will be
    dropped = 0
    with contextlib.suppress(TimeoutError, StopAsyncIteration, ClientDisconnect):
        while dropped < DRAINED:
            dropped += len(await asyncio.wait_for(anext(stream), PATIENCE))
