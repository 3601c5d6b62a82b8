"""API Gateway's limits of WebSockets: frames, messages, idle time, and age."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame

from conducto_emulator.limits import (
    WEBSOCKET_AGE,
    WEBSOCKET_FRAME,
    WEBSOCKET_IDLE,
    WEBSOCKET_MESSAGE,
)

#: Path of the WebSocket API; streams of debug sessions belong to another service.
PATH = "/socket"


class BoundedFrames(WebSocketsSansIOProtocol):
    """Closes a connection with 1009 if a frame or a message is too large."""

    def handle_text(self, event: Frame) -> None:
        """Handle the first frame of a text message."""
        if self._fits(event, 0):
            super().handle_text(event)

    def handle_bytes(self, event: Frame) -> None:
        """Handle the first frame of a binary message."""
        if self._fits(event, 0):
            super().handle_bytes(event)

    def handle_cont(self, event: Frame) -> None:
        """Handle a further frame of a message."""
        if self._fits(event, sum(map(len, self.frames))):
            super().handle_cont(event)

    def _fits(self, event: Frame, before: int) -> bool:
        if self.request.path.partition("?")[0] != PATH:
            return True
        size = len(event.data)
        if size <= WEBSOCKET_FRAME.value and before + size <= WEBSOCKET_MESSAGE.value:
            return True
        if self.conn.close_sent is None:
            self.conn.fail(CloseCode.MESSAGE_TOO_BIG)
            self.handle_parser_exception()
        return False


@dataclass(slots=True)
class SocketTimes:
    """Time limits of connections.

    Attributes:
        idle: Maximum seconds without a message in either direction; None for no limit.
        age: Maximum seconds since the start; None for no limit.
    """

    idle: float | None = None
    age: float | None = None


def strict_times() -> SocketTimes:
    """Return the limits of API Gateway."""
    return SocketTimes(idle=WEBSOCKET_IDLE.value, age=WEBSOCKET_AGE.value)


@dataclass(slots=True)
class OpenSocket:
    """The times of one connection."""

    began: float = field(default_factory=time.monotonic)
    used: float = field(default_factory=time.monotonic)

    def use(self) -> None:
        """Record a message."""
        self.used = time.monotonic()

    async def close_in_time(
        self, times: SocketTimes, close: Callable[[int], Awaitable[None]], tick: float = 0.1
    ) -> None:
        """Close the connection at its time limit; ``times`` may change meanwhile."""
        while not self._is_over(times):  # noqa: ASYNC110  (the times may change)
            await asyncio.sleep(tick)
        await close(CloseCode.GOING_AWAY)

    def _is_over(self, times: SocketTimes) -> bool:
        now = time.monotonic()
        silent = times.idle is not None and now - self.used > times.idle
        return silent or (times.age is not None and now - self.began > times.age)
