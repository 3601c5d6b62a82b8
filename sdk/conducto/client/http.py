"""The transport over HTTP/1.1 and WebSocket to a server on this machine."""

import http.client
import select
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

from conducto.client.errors import AgentUnreachableError
from conducto.client.transport import Reply, StreamLostError

TIMEOUT = 60.0
_SAFE_METHODS = frozenset({"GET"})


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a server listens, and the token it wants.

    Attributes:
        url: ``http://host:port``.
    """

    url: str
    token: str = field(repr=False)


class HttpTransport:
    """Requests over one connection that is kept open, streams over one each.

    Args:
        endpoint: The server.
        find: Called when the server is gone: returns where it is now, or None. So a client
            outlives a restart of the agent.
        timeout: Seconds to wait for an answer.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        find: Callable[[], Endpoint | None] | None = None,
        timeout: float = TIMEOUT,
    ) -> None:
        self._endpoint = endpoint
        self._find = find
        self._timeout = timeout
        self._connection: http.client.HTTPConnection | None = None

    def request(
        self, method: str, path: str, query: Mapping[str, str], body: bytes | None
    ) -> Reply:
        """Send one request and return the answer.

        A connection that the server has closed meanwhile is noticed before anything is sent, so
        that no order goes out twice; only a GET is sent again after a failure in between.
        """
        target = f"{path}?{urlencode(query)}" if query else path
        try:
            return self._exchange(method, target, body)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            refused = isinstance(error, ConnectionRefusedError)
            if (refused and self._refresh()) or (not refused and method in _SAFE_METHODS):
                return self._last_try(method, target, body)
            raise self._unreachable(error) from error

    def _last_try(self, method: str, target: str, body: bytes | None) -> Reply:
        try:
            return self._exchange(method, target, body)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise self._unreachable(error) from error

    def _exchange(self, method: str, target: str, body: bytes | None) -> Reply:
        connection = self._connected()
        headers = {"Authorization": f"Bearer {self._endpoint.token}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        connection.request(method, target, body, headers)
        response = connection.getresponse()
        return Reply(response.status, response.read())

    def _connected(self) -> http.client.HTTPConnection:
        if self._connection is not None and self._connection.sock is not None:
            if not _is_stale(self._connection.sock):
                return self._connection
            self._connection.close()
        parts = urlsplit(self._endpoint.url)
        self._connection = http.client.HTTPConnection(
            parts.hostname or "127.0.0.1", parts.port, timeout=self._timeout
        )
        return self._connection

    def stream(self, path: str, query: Mapping[str, str]) -> Iterator[bytes]:
        """Yield the frames of a WebSocket."""
        # A third of the import time of the client; most commands have no stream.
        from conducto.client.websocket import frames  # noqa: PLC0415

        try:
            yield from frames(self._endpoint, path, query)
        except StreamLostError:
            self._refresh()
            raise

    def close(self) -> None:
        """Close the connection that requests use."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _refresh(self) -> bool:
        found = self._find() if self._find is not None else None
        if found is None or found == self._endpoint:
            return False
        self._endpoint = found
        return True

    def _unreachable(self, error: Exception) -> AgentUnreachableError:
        reason = str(error) or type(error).__name__
        return AgentUnreachableError(
            f"the agent at {self._endpoint.url} does not answer ({reason}); "
            "see its state with 'conducto agent status', or start it with 'conducto agent start'"
        )


def _is_stale(sock: socket.socket) -> bool:
    # Nothing may come between two answers but the end of the connection.
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))
