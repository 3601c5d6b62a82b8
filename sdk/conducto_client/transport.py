"""What the client asks of the way to a server."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

#: A body as a whole, or in pieces that are sent as they come.
Body = bytes | Iterable[bytes]


class StreamLostError(Exception):
    """A stream of frames ended before its reader wanted it to."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as it came.

    Attributes:
        headers: Names in lower case.
    """

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Transport(Protocol):
    """A way to a server. `conducto_client.testing` ships one without a network."""

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Body | None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Return the answer to a request; ``path`` is percent-encoded.

        Raises:
            AgentUnreachableError: nobody answers.
        """

    def stream(self, path: str, query: Mapping[str, str]) -> Iterator[bytes]:
        """Yield the frames of a stream; closing the iterator closes the stream.

        Raises:
            StreamLostError: the stream broke off, or could not be opened now.
            ApiError: the server refuses it.
        """

    def close(self) -> None:
        """Drop the connections; a later request makes a new one."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a server listens, and the token it wants.

    Attributes:
        url: ``http://host:port``, or with ``https`` and a path under which the API is.
    """

    url: str
    token: str = field(repr=False)
