"""Frames of one WebSocket; imported only for a stream."""

import json
import logging
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from conducto_client.client import problem_in
from conducto_client.errors import ApiError
from conducto_client.network import tls_context
from conducto_client.transport import Reply, StreamLostError
from conducto_core.model.operations.operation import SUBPROTOCOL, TOKEN_SUBPROTOCOL

if TYPE_CHECKING:
    from conducto_client.transport import Endpoint

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
