"""A uvicorn server on a loopback socket, inside a running event loop."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, cast

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidState

from conducto_local.agent import process as descriptors

# ----------------------------------------------------------------------------------------
# Connections of clients, limited in number and in the time to send a request.
#
# Any program on the machine can connect to the agent, so a client that sends half a request or
# nothing must not use up the connections of others. When there are too many connections, the
# longest silent one is closed; a connection with an active request is kept.


#: Seconds within which the head of a request must arrive.
HEAD_SECONDS = 10.0
#: Maximum number of connections.
MAX_CONNECTIONS = 512


class Connections:
    """The HTTP connections of one server, longest silent first.

    Args:
        limit: Maximum number; None for `MAX_CONNECTIONS` or a fraction of the maximum of open
            files.
        head_seconds: Time limit for the head of a request.
    """

    def __init__(self, limit: int | None = None, head_seconds: float = HEAD_SECONDS) -> None:
        by_files = max(1, descriptors.limit() // descriptors.CONNECTION_SHARE)
        self._limit = min(MAX_CONNECTIONS, by_files) if limit is None else limit
        self.head_seconds = head_seconds
        self._open: dict[Connection, None] = {}

    @property
    def protocol(self) -> "partial[Connection]":
        return partial(Connection, self)

    def add(self, connection: "Connection") -> None:
        """Add a connection; close another one if there are too many."""
        self._open[connection] = None
        if len(self._open) > self._limit:
            self.close_one()

    def close_one(self) -> None:
        """Close the connection that is silent for longest; the newest, if all have requests."""
        silent = (one for one in self._open if not one.is_answered)
        closed = next(silent, next(reversed(self._open), None))
        if closed is not None:
            closed.abort()

    def touch(self, connection: "Connection") -> None:
        if self._open.pop(connection, connection) is None:
            self._open[connection] = None

    def discard(self, connection: "Connection") -> None:
        self._open.pop(connection, None)


class Connection(H11Protocol):
    """One HTTP connection."""

    def __init__(self, others: Connections, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._others = others
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_answered(self) -> bool:
        cycle = cast("RequestResponseCycle | None", self.cycle)  # None before the first request
        return cycle is not None and not cycle.response_complete

    def abort(self) -> None:
        self.transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._others.add(self)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._others.discard(self)
        self._stop_waiting()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        super().handle_events()
        if self.conn.their_state is not h11.IDLE:
            self._stop_waiting()
            self._others.touch(self)
        elif self._timer is None and self.conn.trailing_data[0]:
            self._wait_for_head()  # a part of the next one

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        self._stop_waiting()
        self._others.discard(self)
        super().handle_websocket_upgrade(event)

    def _wait_for_head(self) -> None:
        self._timer = self.loop.call_later(self._others.head_seconds, self.abort)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


logger = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
#: Longer than the pause between two commands of a user, so that connections stay open.
KEEP_ALIVE = 75
GRACE = 2
_BACKLOG = 128


def bind(port: int = 0) -> socket.socket:
    """Return a socket bound to the loopback interface; port 0 lets the system choose.

    Raises:
        OSError: The port is in use.
    """
    # Asyncio sets TCP_NODELAY only for a socket that names its protocol; without it, every response
    # on a kept connection waits 40 ms for the client's delayed acknowledgement.
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((LOOPBACK, port))
        sock.listen(_BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


async def serve(
    app: ASGIApp,
    sock: socket.socket,
    stop: asyncio.Event,
    on_listening: Callable[[], None],
    connections: Connections | None = None,
) -> None:
    """Serve ``app`` on ``sock`` until ``stop`` is set; close the socket.

    Active requests get `GRACE` seconds to end.
    """
    connections = Connections() if connections is None else connections
    config = uvicorn.Config(
        app,
        loop="asyncio",
        http=cast("Any", connections.protocol),
        ws=_WebSocket,
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=GRACE,
        backlog=1,  # clients to accept at once; asyncio reports as many errors at once, too
    )
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).setLevel(logging.WARNING)  # at lower levels it logs the token
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(partial(_note_error, connections))
    try:
        await _Server(config, sock, stop, on_listening).serve(sockets=[sock])
    finally:
        loop.set_exception_handler(None)


def _note_error(
    connections: Connections, loop: asyncio.AbstractEventLoop, context: dict[str, Any]
) -> None:
    """Make room for a client that cannot be accepted; the event loop tries again in a second."""
    error = context.get("exception")
    if isinstance(error, OSError) and error.errno in descriptors.EXHAUSTED:
        connections.close_one()
        logger.error("a client must wait: too many open files", extra={"why": error.strerror})
    else:
        loop.default_exception_handler(context)


class _WebSocket(WebSocketsSansIOProtocol):
    """Uvicorn's WebSocket; the server can stop while a client that has closed it does not read."""

    def shutdown(self) -> None:
        # Uvicorn 0.54 sends a close frame then, too, which websockets refuses with an exception.
        try:
            super().shutdown()
        except InvalidState:
            self.transport.abort()


class _Server(uvicorn.Server):
    """Uvicorn's server without its signal handlers and its ten ticks per second."""

    def __init__(
        self,
        config: uvicorn.Config,
        sock: socket.socket,
        stop: asyncio.Event,
        on_listening: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._sock = sock
        self._stop = stop
        self._on_listening = on_listening

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # the agent has its own handlers

    async def main_loop(self) -> None:
        self._sock.listen(_BACKLOG)  # the event loop has set it to the number of the configuration
        self._on_listening()
        await self._stop.wait()
