"""A file as a download, whole or in part."""

import asyncio
import os
from collections.abc import AsyncIterator
from typing import BinaryIO

from conducto_core.ports.downloads import Download, Span

_CHUNK = 1 << 18


def download(file: BinaryIO, name: str, span: Span | None) -> Download:
    """Return a download of an open file, which is closed when it is over.

    What is appended meanwhile does not come with it.

    Raises:
        RangeError: ``span`` lies outside of it.
    """
    found = os.fstat(file.fileno())
    try:
        first, count = (0, found.st_size) if span is None else span.within(found.st_size)
    except BaseException:
        file.close()
        raise
    return Download(
        name=name,
        size=found.st_size,
        offset=first,
        count=count,
        # Not the size and time of change: a log that grows is the same one.
        version=f"{found.st_dev:x}-{found.st_ino:x}",
        chunks=_chunks(file, first, count),
    )


async def _chunks(file: BinaryIO, first: int, count: int) -> AsyncIterator[bytes]:
    with file:
        while count > 0:
            chunk = await asyncio.to_thread(os.pread, file.fileno(), min(_CHUNK, count), first)
            if not chunk:
                raise OSError(f"{file.name}: became shorter while it was read")
            yield chunk
            first += len(chunk)
            count -= len(chunk)
