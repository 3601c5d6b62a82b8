"""Connections of clients: a limited number, each with a limited time to send its request.

Any program on the machine can connect to the agent, so one that sends half a request, or nothing,
must not use up what others need. When there are too many connections, the one that was silent for
the longest time is closed; one whose request is being answered stays.
"""

import asyncio
from functools import partial
from typing import Any, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from conducto_local import descriptors

#: Seconds in which the head of a request must have come.
HEAD_SECONDS = 10.0
#: Connections at a time, and the share of all descriptors that they may use.
MAX_CONNECTIONS = 512
_SHARE = 4


class Connections:
    """The HTTP connections of one server, the one that was silent for the longest time first.

    Args:
        limit: How many there may be; None is `MAX_CONNECTIONS`, or a share of the files that may be
            open.
        head_seconds: Time for the head of a request.
    """

    def __init__(self, limit: int | None = None, head_seconds: float = HEAD_SECONDS) -> None:
        by_files = max(1, descriptors.limit() // _SHARE)
        self._limit = min(MAX_CONNECTIONS, by_files) if limit is None else limit
        self.head_seconds = head_seconds
        self._open: dict[Connection, None] = {}

    @property
    def protocol(self) -> "partial[Connection]":
        """What uvicorn makes a connection with."""
        return partial(Connection, self)

    def add(self, connection: "Connection") -> None:
        """Note a connection, and close another one where there are too many."""
        self._open[connection] = None
        if len(self._open) > self._limit:
            silent = (one for one in self._open if not one.is_answered)
            next(silent, connection).abort()

    def touch(self, connection: "Connection") -> None:
        """Note that a connection is in use."""
        if self._open.pop(connection, connection) is None:
            self._open[connection] = None

    def discard(self, connection: "Connection") -> None:
        """Forget a connection."""
        self._open.pop(connection, None)


class Connection(H11Protocol):
    """One HTTP connection.

    Args:
        others: All of the server.
        arguments: What uvicorn gives.
    """

    def __init__(self, others: Connections, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._others = others
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_answered(self) -> bool:
        """Whether a request has come whole and is being answered."""
        cycle = cast("RequestResponseCycle | None", self.cycle)  # None before the first request
        return cycle is not None and not cycle.response_complete

    def abort(self) -> None:
        """Close the connection at once."""
        self.transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Give the client its time."""
        super().connection_made(transport)
        self._others.add(self)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._others.discard(self)
        self._stop_waiting()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """Look whether the head is whole after what has come."""
        super().handle_events()
        if self.conn.their_state is not h11.IDLE:
            self._stop_waiting()
            self._others.touch(self)
        elif self._timer is None and self.conn.trailing_data[0]:
            self._wait_for_head()  # a part of the next one

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Hand the connection over."""
        self._stop_waiting()
        self._others.discard(self)
        super().handle_websocket_upgrade(event)

    def _wait_for_head(self) -> None:
        self._timer = self.loop.call_later(self._others.head_seconds, self.abort)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
