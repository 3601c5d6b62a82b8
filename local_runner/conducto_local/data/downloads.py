"""Downloads of a file or a part of it."""

import asyncio
import os
from collections.abc import AsyncIterator
from typing import BinaryIO

from conducto_core.api.downloads import ByteRange, Download

_CHUNK = 1 << 18


def download(file: BinaryIO, name: str, span: ByteRange | None) -> Download:
    """Return a download of an open file; the download closes the file.

    Data that is appended meanwhile is not included.

    Raises:
        RangeError: ``span`` is outside of the file.
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
        # Without size and modification time: a growing log keeps its version.
        version=f"{found.st_dev:x}-{found.st_ino:x}",
        chunks=_chunks(file, first, count),
    )


async def _chunks(file: BinaryIO, first: int, count: int) -> AsyncIterator[bytes]:
    with file:
        while count > 0:
            chunk = await asyncio.to_thread(os.pread, file.fileno(), min(_CHUNK, count), first)
            if not chunk:
                raise OSError(f"{file.name}: was truncated during the download")
            yield chunk
            first += len(chunk)
            count -= len(chunk)
