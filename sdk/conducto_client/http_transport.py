"""The transport over HTTP/1.1 and WebSocket; by itself, to a server on this machine."""

import http.client
import select
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from conducto_client.errors import AgentUnreachableError
from conducto_client.transport import Body, Endpoint, Reply, StreamLostError
from conducto_core.model.operations.operation import IDEMPOTENCY_KEY

TIMEOUT = 60.0
_SAFE_METHODS = frozenset({"GET"})
#: For a lost connection, for the server's old address, and for its new one.
_TRIES = 3


@dataclass(frozen=True, slots=True)
class _Message:
    method: str
    target: str
    body: Body | None
    headers: Mapping[str, str]


class HttpTransport:
    """Requests over one persistent connection, and streams over one each.

    Args:
        endpoint: The server.
        find: Called when the server is unreachable: returns its new endpoint, or None, so that a
            client survives a restart of the agent.
        timeout: Seconds to wait for a response.
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
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Body | None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send one request and return the response.

        A connection that the server has closed meanwhile is detected before anything is sent. After
        a later failure the result is unknown: requests that change nothing are sent again, and so
        are those with an idempotency key, which the server executes once.
        """
        target = f"{path}?{urlencode(query)}" if query else path
        message = _Message(method, target, body, {} if headers is None else headers)
        for _ in range(_TRIES - 1):
            try:
                return self._exchange(message)
            except (OSError, http.client.HTTPException) as error:
                self.close()
                if not self._may_go_again(message, error):
                    raise self._unreachable(error) from error
        try:
            return self._exchange(message)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise self._unreachable(error) from error

    def _may_go_again(self, message: "_Message", error: Exception) -> bool:
        if isinstance(error, ConnectionRefusedError):
            return self._refresh()
        return message.method in _SAFE_METHODS or IDEMPOTENCY_KEY in message.headers

    def _exchange(self, message: "_Message") -> Reply:
        connection = self._connected()
        headers = {"Authorization": f"Bearer {self._endpoint.token}", **message.headers}
        if message.body is not None:
            headers.setdefault("Content-Type", "application/json")
        prefix = urlsplit(self._endpoint.url).path.rstrip("/")
        connection.request(message.method, prefix + message.target, message.body, headers)
        response = connection.getresponse()
        received = {name.lower(): value for name, value in response.getheaders()}
        return Reply(response.status, response.read(), received)

    def _connected(self) -> http.client.HTTPConnection:
        if self._connection is not None and self._connection.sock is not None:
            if not _is_stale(self._connection.sock):
                return self._connection
            self._connection.close()
        self._connection = self._new_connection()
        return self._connection

    def _new_connection(self) -> http.client.HTTPConnection:
        parts = urlsplit(self._endpoint.url)
        if parts.scheme == "https":
            from conducto_client.network import https_connection  # noqa: PLC0415  local: no TLS

            return https_connection(self._endpoint.url, self._timeout)
        host = parts.hostname or "127.0.0.1"
        return http.client.HTTPConnection(host, parts.port, timeout=self._timeout)

    def stream(
        self, path: str, query: Mapping[str, str], *, heartbeat: float | None = None
    ) -> Iterator[bytes]:
        """Yield the frames of a WebSocket."""
        # A third of the import time of the client; most commands have no stream.
        from conducto_client.websocket import frames  # noqa: PLC0415

        try:
            yield from frames(self._endpoint, path, query, heartbeat)
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
    # Only the end of the connection may come between two responses.
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))
