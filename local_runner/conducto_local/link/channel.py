"""The valid connection, for everything that sends frames: it changes while they wait."""

import asyncio
import contextlib

from conducto_local.link.connection import LinkConnection, LostError, MakeFrame


class Channel:
    """Sends frames over the newest connection.

    A frame that is lost with its connection is sent again over the next one: the cloud knows parts
    of responses by the id of the request, summaries by their cursor, and changes by their numbers.

    Attributes:
        losses: Number of connections that ended before they were replaced. Frames without an
            acknowledgement may be lost if it changes.
    """

    def __init__(self) -> None:
        self._current: LinkConnection | None = None
        self._changed = asyncio.Event()
        self._lost = asyncio.Event()
        self.losses = 0

    def use(self, connection: LinkConnection) -> None:
        """Send over this connection, which was welcomed, from now on."""
        self._current = connection
        self._changed.set()
        self._changed = asyncio.Event()

    def lost(self, connection: LinkConnection) -> None:
        """Stop using a connection that has ended."""
        if self._current is connection:
            self._current = None
            self.losses += 1
            self._lost.set()
            self._lost = asyncio.Event()

    async def send(self, make: MakeFrame) -> None:
        """Send a frame as soon as there is a connection."""
        while True:
            connection = await self._connected()
            try:
                await connection.send(make)
            except LostError:
                self.lost(connection)
            else:
                return

    async def send_acked(self, make: MakeFrame) -> None:
        """Send a frame until one is acknowledged."""
        while True:
            connection = await self._connected()
            try:
                await connection.send_acked(make)
            except LostError:
                self.lost(connection)
            else:
                return

    async def is_lost_within(self, seconds: float, losses: int) -> bool:
        """Wait, and return whether a connection was lost since ``losses`` was read."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.losses == losses:
                    await self._lost.wait()
        return self.losses != losses

    async def _connected(self) -> LinkConnection:
        while self._current is None:
            await self._changed.wait()
        return self._current
