"""A proxy that makes the engine unavailable to the tested code only."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from support.stand_ins import engine_socket


class EngineProxy:
    """A proxy in front of the engine's socket.

    Attributes:
        path: The socket to connect to.
    """

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "engine.sock")
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """A value for ``DOCKER_HOST``."""
        return f"unix://{self.path}"

    async def start(self) -> None:
        """Accept connections; do nothing if it already does."""
        if self._server is not None:
            return
        self._server = await asyncio.start_unix_server(self._serve, self.path)

    async def stop(self) -> None:
        """Close every connection and accept no new ones."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        await asyncio.to_thread(Path(self.path).unlink, missing_ok=True)
        for writer in self._writers:
            writer.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._writers.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_unix_connection(engine_socket())
        self._writers |= {writer, inner_writer}
        for source, sink in ((reader, inner_writer), (inner_reader, writer)):
            task = asyncio.create_task(_copy(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    sink.close()


@asynccontextmanager
async def engine_proxy() -> AsyncIterator[EngineProxy]:
    """Yield a running proxy with a short path, which Unix sockets require."""
    with tempfile.TemporaryDirectory(prefix="conducto-") as folder:
        proxy = EngineProxy(Path(folder))
        await proxy.start()
        try:
            yield proxy
        finally:
            await proxy.stop()
