"""One connection to the cloud: numbers, order and acknowledgements of its frames."""

import asyncio
import contextlib
import heapq
import logging
from collections.abc import AsyncIterator, Callable

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from conducto_core.remote.model import (
    ACK_SECONDS,
    MAX_FRAME,
    VIOLATION,
    Ack,
    AgentFrame,
    CloudFrame,
    Hello,
    read_cloud_frame,
)
from conducto_local.remote.network import LinkError

logger = logging.getLogger(__name__)

#: Returns a frame for the number that it gets.
MakeFrame = Callable[[int], AgentFrame]

#: Seconds to wait for a frame when later ones have arrived: the sender may have failed in between.
GAP_SECONDS = 2.0
#: Maximum distance of a number from the next expected one.
_MAX_AHEAD = 1000
_WELCOME_SECONDS = 30.0


class ViolationError(LinkError):
    """The cloud broke the protocol."""


class LostError(LinkError):
    """The connection has ended."""


class LinkConnection:
    """One connection.

    Args:
        ack_seconds: Seconds to wait for an acknowledgement.

    Attributes:
        frames: The frames of the cloud in their order, without acknowledgements, until the
            connection ends. Raises `ViolationError` if a frame was not valid, and `LostError` at
            the end.
    """

    def __init__(self, socket: ClientConnection, ack_seconds: float = ACK_SECONDS) -> None:
        self._socket = socket
        self._ack_seconds = ack_seconds
        self._sent = 0
        self._sending = asyncio.Lock()
        self._acks: dict[int, asyncio.Future[None]] = {}
        self._incoming = FrameOrder()
        self.frames = self._receive()

    async def greet(self, make: Callable[[int], Hello]) -> CloudFrame:
        """Send the first frame, and return the cloud's; raises `LinkError`."""
        await self.send(make)
        try:
            async with asyncio.timeout(_WELCOME_SECONDS):
                return await anext(self.frames)
        except TimeoutError:
            raise LostError("the installation did not welcome the agent") from None

    async def send(self, make: MakeFrame) -> int:
        """Send a frame and return its number; raises `LostError`."""
        async with self._sending:
            self._sent += 1
            number = self._sent
            text = make(number).model_dump_json(exclude_defaults=False)
            if len(text.encode()) > MAX_FRAME:
                raise ValueError(f"a frame of {len(text)} characters is too large")
            try:
                await self._socket.send(text)
            except ConnectionClosed as error:
                raise LostError(_reason(error)) from error
        return number

    async def send_acked(self, make: MakeFrame) -> None:
        """Send a frame and wait for its acknowledgement.

        Raises:
            LostError: The connection ended before. It is closed if there is no acknowledgement.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def registered(number: int) -> AgentFrame:
            self._acks[number] = done
            return make(number)

        number = 0
        try:
            number = await self.send(registered)
            async with asyncio.timeout(self._ack_seconds):
                await done
        except TimeoutError:
            await self.close()
            raise LostError("the installation did not acknowledge a frame") from None
        finally:
            self._acks.pop(number, None)

    async def _receive(self) -> AsyncIterator[CloudFrame]:
        try:
            while True:
                for frame in await self._next():
                    yield frame
        except ConnectionClosed as error:
            raise LostError(_reason(error)) from error
        except ValueError as error:
            raise await self.violated(str(error)) from error
        finally:
            self._fail_acks()

    async def _next(self) -> list[CloudFrame]:
        """Receive one message, or skip a missing one; return the frames that are in order."""
        try:
            async with asyncio.timeout(GAP_SECONDS if self._incoming.has_gap else None):
                frame = read_cloud_frame(await self._socket.recv())
        except TimeoutError:
            self._incoming.skip()
        else:
            self._incoming.add(frame)
            if isinstance(frame, Ack):  # the sender waits for it, whatever its place
                done = self._acks.pop(frame.of, None)
                if done is not None and not done.done():
                    done.set_result(None)
        return [ready for ready in self._incoming.ready() if not isinstance(ready, Ack)]

    def _fail_acks(self) -> None:
        for done in self._acks.values():
            if not done.done():
                done.set_exception(LostError("the connection ended"))
                done.exception()  # a waiting sender gets it; without one, it is not an error
        self._acks.clear()

    async def violated(self, detail: str) -> ViolationError:
        """Close the connection because of a frame, and return the error."""
        logger.error("the cloud broke the protocol", extra={"detail": detail[:500]})
        await self.close(VIOLATION)
        return ViolationError(f"the installation sent an invalid frame: {detail[:500]}")

    async def close(self, code: int = 1000) -> None:
        """Close the connection; frames that are not acknowledged are lost."""
        self._fail_acks()
        await self._socket.close(code)


class FrameOrder:
    """Frames in the order of their numbers."""

    def __init__(self) -> None:
        self._next = 1
        self._waiting: list[tuple[int, CloudFrame]] = []

    @property
    def has_gap(self) -> bool:
        """Whether later frames wait for one that has not arrived."""
        return bool(self._waiting)

    def add(self, frame: CloudFrame) -> None:
        """Add a frame; a number that was processed or is waiting is dropped."""
        if frame.n > self._next + _MAX_AHEAD:
            raise ValueError(f"frame {frame.n} arrived while {self._next} was expected")
        if frame.n >= self._next and all(frame.n != number for number, _ in self._waiting):
            heapq.heappush(self._waiting, (frame.n, frame))

    def skip(self) -> None:
        """Give up waiting for the missing frames."""
        self._next = self._waiting[0][0]

    def ready(self) -> list[CloudFrame]:
        """Remove and return the frames that are next."""
        found = []
        while self._waiting and self._waiting[0][0] == self._next:
            found.append(heapq.heappop(self._waiting)[1])
            self._next += 1
        return found


def _reason(error: ConnectionClosed) -> str:
    close = error.rcvd or error.sent
    if close is None:
        return "the connection to the installation was interrupted"
    why = f": {close.reason}" if close.reason else ""
    return f"the connection to the installation was closed (code {close.code}{why})"


# ----------------------------------------------------------------------------------------
# The valid connection, for everything that sends frames: it changes while they wait.


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
