"""A uvicorn server on a loopback socket, inside a running event loop."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidState

from conducto_local import descriptors
from conducto_local.server.connections import Connections

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
