"""Frames of one WebSocket; imported only when a stream is wanted."""

import logging
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.sync.client import connect

from conducto.client.client import problem_in
from conducto.client.errors import ApiError
from conducto.client.transport import Reply, StreamLostError

if TYPE_CHECKING:
    from conducto.client.http import Endpoint

_protocol_logger = logging.getLogger(f"{__name__}.protocol")
_protocol_logger.setLevel(logging.WARNING)  # below that it would print the token

OPEN_TIMEOUT = 10.0
CLOSE_TIMEOUT = 1.0


def frames(endpoint: "Endpoint", path: str, query: Mapping[str, str]) -> Iterator[bytes]:
    """Yield what the server sends until the iterator is closed.

    Raises:
        StreamLostError: the connection broke off or could not be made.
        ApiError: the server refuses the stream.
    """
    url = f"{endpoint.url.replace('http', 'ws', 1)}{path}?{urlencode(query)}"
    try:
        with connect(
            url,
            additional_headers={"Authorization": f"Bearer {endpoint.token}"},
            compression=None,  # one machine: time is dearer than bytes
            proxy=None,
            logger=_protocol_logger,
            open_timeout=OPEN_TIMEOUT,
            close_timeout=CLOSE_TIMEOUT,
            max_size=None,
        ) as connection:
            while True:
                yield connection.recv(decode=False)
    except InvalidStatus as error:
        response = error.response
        raise ApiError(problem_in(Reply(response.status_code, bytes(response.body)))) from error
    except (ConnectionClosed, InvalidHandshake, OSError) as error:
        raise StreamLostError(str(error)) from error
