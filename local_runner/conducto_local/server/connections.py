"""Connections of clients, limited in number and in the time to send a request.

Any program on the machine can connect to the agent, so a client that sends half a request or
nothing must not use up the connections of others. When there are too many connections, the longest
silent one is closed; a connection with an active request is kept.
"""

import asyncio
from functools import partial
from typing import Any, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from conducto_local import descriptors

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
        """The protocol factory for uvicorn."""
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
        """Record the use of a connection."""
        if self._open.pop(connection, connection) is None:
            self._open[connection] = None

    def discard(self, connection: "Connection") -> None:
        """Forget a connection."""
        self._open.pop(connection, None)


class Connection(H11Protocol):
    """One HTTP connection."""

    def __init__(self, others: Connections, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._others = others
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_answered(self) -> bool:
        """Whether a complete request is being handled."""
        cycle = cast("RequestResponseCycle | None", self.cycle)  # None before the first request
        return cycle is not None and not cycle.response_complete

    def abort(self) -> None:
        """Close the connection at once."""
        self.transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the time limit."""
        super().connection_made(transport)
        self._others.add(self)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._others.discard(self)
        self._stop_waiting()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """Check whether the head of the request is complete."""
        super().handle_events()
        if self.conn.their_state is not h11.IDLE:
            self._stop_waiting()
            self._others.touch(self)
        elif self._timer is None and self.conn.trailing_data[0]:
            self._wait_for_head()  # a part of the next one

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Hand the connection over to the WebSocket protocol."""
        self._stop_waiting()
        self._others.discard(self)
        super().handle_websocket_upgrade(event)

    def _wait_for_head(self) -> None:
        self._timer = self.loop.call_later(self._others.head_seconds, self.abort)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
