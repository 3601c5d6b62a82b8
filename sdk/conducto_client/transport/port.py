"""The port of the client to a server."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

#: A body as a whole, or in chunks that are sent one by one.
Body = bytes | Iterable[bytes]


class StreamLostError(Exception):
    """A stream of frames ended unexpectedly."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A response as received.

    Attributes:
        headers: Names in lower case.
    """

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Transport(Protocol):
    """A connection to a server."""

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Body | None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Return the response to a request; ``path`` is percent-encoded.

        Raises:
            AgentUnreachableError: no server responds.
        """

    def stream(
        self, path: str, query: Mapping[str, str], *, heartbeat: float | None = None
    ) -> Iterator[bytes]:
        """Yield the frames of a stream; closing the iterator closes the stream.

        Args:
            path: Percent-encoded.
            query: Parameters.
            heartbeat: Yield ``b""`` after this many seconds without a frame, so that the caller
                can stop.

        Raises:
            StreamLostError: the connection was lost, or could not be opened now.
            ApiError: the server rejects the stream.
        """

    def close(self) -> None:
        """Close the connections; a later request opens a new one."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The address of a server, and its token.

    Attributes:
        url: ``http://host:port``, or with ``https`` and the path of the API.
    """

    url: str
    token: str = field(repr=False)
