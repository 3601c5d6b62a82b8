"""The transport over HTTP/1.1 and WebSocket; by itself, to a server on this machine."""

import base64
import http.client
import json
import logging
import os
import select
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from conducto_client.calls import problem_in
from conducto_client.errors import AgentUnreachableError, ApiError
from conducto_client.transport.port import Body, Endpoint, Reply, StreamLostError
from conducto_core.api.operation import IDEMPOTENCY_KEY, SUBPROTOCOL, TOKEN_SUBPROTOCOL

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
            return https_connection(self._endpoint.url, self._timeout)
        host = parts.hostname or "127.0.0.1"
        return http.client.HTTPConnection(host, parts.port, timeout=self._timeout)

    def stream(
        self, path: str, query: Mapping[str, str], *, heartbeat: float | None = None
    ) -> Iterator[bytes]:
        """Yield the frames of a WebSocket."""
        # A third of the import time of the client; most commands have no stream.

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


# ----------------------------------------------------------------------------------------
# Proxies and certificate authorities of the environment, as other programs use them.
#
# ``HTTPS_PROXY`` and ``NO_PROXY`` choose a proxy; ``SSL_CERT_FILE`` or ``REQUESTS_CA_BUNDLE`` add
# the certificates of a private authority.


_CA_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
_SUFFIX = "_proxy"
_HTTPS_PORT = 443
_PROXY_PORT = 80


class NetworkSettingError(OSError):
    """A variable is not usable; the message has its name, its value and the remedy."""


def proxy_for(url: str, env: Mapping[str, str] = os.environ) -> str | None:
    """Return the proxy for a URL, or None if it is reached directly."""
    parts = urlsplit(url)
    names = sorted(name for name in env if name.lower().endswith(_SUFFIX))  # lower case goes last
    proxies = {name.lower().removesuffix(_SUFFIX): env[name] for name in names if env[name]}
    if not parts.hostname or proxy_bypass_environment(parts.netloc, proxies):
        return None
    return proxies.get("https" if parts.scheme in ("https", "wss") else "http") or proxies.get(
        "all"
    )


def tls_context(env: Mapping[str, str] = os.environ) -> ssl.SSLContext:
    """Return the settings of TLS, with the certificates of a private authority.

    Raises:
        NetworkSettingError: The file of the authority has no usable certificates.
    """
    context = ssl.create_default_context()
    for name in _CA_VARIABLES:
        path = env.get(name)
        if not path:
            continue
        try:
            context.load_verify_locations(cafile=path)
        except OSError as error:
            raise NetworkSettingError(
                f"{name}: the file {path!r} has no usable certificates ({error}); correct the "
                "variable"
            ) from error
    return context


def https_connection(
    url: str, timeout: float, env: Mapping[str, str] = os.environ
) -> http.client.HTTPSConnection:
    """Return a connection to a server, through the proxy of the environment if there is one.

    Raises:
        NetworkSettingError: A variable is not usable.
    """
    parts, proxy = urlsplit(url), proxy_for(url, env)
    host, port = parts.hostname or "", parts.port or _HTTPS_PORT
    context = tls_context(env)
    if proxy is None:
        return http.client.HTTPSConnection(host, port, timeout=timeout, context=context)
    through = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    if through.scheme != "http" or not through.hostname:
        shown = through._replace(netloc=through.netloc.rpartition("@")[2]).geturl()
        raise NetworkSettingError(
            f"the proxy {shown} is not an address such as http://HOST:PORT; correct HTTPS_PROXY"
        )
    connection = http.client.HTTPSConnection(
        through.hostname, through.port or _PROXY_PORT, timeout=timeout, context=context
    )
    connection.set_tunnel(host, port, _login_of(through.username, through.password))
    return connection


def _login_of(user: str | None, password: str | None) -> dict[str, str]:
    if user is None:
        return {}
    login = f"{unquote(user)}:{unquote(password or '')}"
    return {"Proxy-Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}


# ----------------------------------------------------------------------------------------
# Frames of one WebSocket; imported only for a stream.


#: Errors of a connection are exceptions, too: a program without logging must not print them.
protocol_logger = logging.getLogger(f"{__name__}.protocol")
protocol_logger.setLevel(logging.WARNING)  # below that it would print the token
protocol_logger.addHandler(logging.NullHandler())

OPEN_TIMEOUT = 10.0
CLOSE_TIMEOUT = 1.0


def frames(
    endpoint: "Endpoint", path: str, query: Mapping[str, str], heartbeat: float | None = None
) -> Iterator[bytes]:
    """Yield the frames from the server until the iterator is closed; see `Transport.stream`.

    Raises:
        StreamLostError: the connection was lost or could not be opened.
        ApiError: the server rejects the stream.
    """
    url = f"{endpoint.url.replace('http', 'ws', 1)}{path}?{urlencode(query)}"
    headers = {"Authorization": f"Bearer {endpoint.token}"}
    # On one machine, time costs more than bytes.
    yield from _received(url, heartbeat, additional_headers=headers, compression=None, proxy=None)


def followed(
    url: str, token: str, subscription: Mapping[str, object], heartbeat: float | None = None
) -> Iterator[bytes]:
    """Yield the frames of a subscription from the cloud until the iterator is closed.

    The token is sent as a subprotocol: never in the URL, which servers write to logs.

    Raises:
        StreamLostError: the connection was lost or could not be opened.
        ApiError: the server rejects the connection.
    """
    protocols = [Subprotocol(word) for word in (SUBPROTOCOL, TOKEN_SUBPROTOCOL + token)]
    tls = tls_context() if url.startswith("wss:") else None
    yield from _received(url, heartbeat, json.dumps(subscription), subprotocols=protocols, ssl=tls)


def _received(
    url: str, heartbeat: float | None, first: str | None = None, **options: Any
) -> Iterator[bytes]:
    """Yield the frames of a connection after sending ``first``."""
    try:
        with connect(
            url,
            logger=protocol_logger,
            open_timeout=OPEN_TIMEOUT,
            close_timeout=CLOSE_TIMEOUT,
            max_size=None,
            **options,
        ) as connection:
            if first is not None:
                connection.send(first)
            while True:
                yield _next_frame(connection, heartbeat)
    except InvalidStatus as error:
        response = error.response
        raise ApiError(problem_in(Reply(response.status_code, bytes(response.body)))) from error
    except (ConnectionClosed, InvalidHandshake, OSError) as error:
        raise StreamLostError(str(error)) from error


def _next_frame(connection: ClientConnection, heartbeat: float | None) -> bytes:
    """Return the next frame, or ``b""`` if there is none for ``heartbeat`` seconds."""
    try:
        return connection.recv(heartbeat, decode=False)
    except TimeoutError:
        return b""
