"""The WebSockets of the API, in memory."""

from collections.abc import Iterator, Sequence

from chalicelib.people.port import (
    FRAME_LIMIT,
)
from chalicelib.remote.port import AgentKey


class FakeConnections:
    """A fake `Connections`.

    Attributes:
        sent: ``{connection: frames}``.
        gone: Connections that the client has closed.
        broken: Connections for which sending and closing raise an error.
        closed: Connections that the API has closed.
    """

    def __init__(self) -> None:
        self.broken: set[str] = set()
        self.sent: dict[str, list[bytes]] = {}
        self.gone: set[str] = set()
        self.closed: list[str] = []
        self._token: dict[str, str] = {}
        self._parent: dict[str, str | None] = {}
        self._follow: dict[str, tuple[str, str, int]] = {}
        self._agent: dict[str, AgentKey] = {}

    def opened(self, connection: str, token: str, parent: str | None = None) -> None:
        self._token[connection] = token
        self._parent[connection] = parent

    def opened_by(self, *, agents: bool = True) -> Iterator[tuple[str, str, str | None]]:
        for connection, token in list(self._token.items()):
            if not agents and connection in self._agent:
                continue
            yield connection, token, self._parent.get(connection)

    def token_of(self, connection: str) -> str | None:
        return self._token.get(connection)

    def link(self, connection: str, agent: AgentKey) -> None:
        self._agent[connection] = agent

    def agent_of(self, connection: str) -> AgentKey | None:
        return self._agent.get(connection)

    def put(self, connection: str, org: str, pipeline_id: str, cursor: int) -> None:
        self._follow[connection] = (org, pipeline_id, cursor)

    def followers(self, pipeline_id: str) -> Sequence[tuple[str, int]]:
        return [
            (connection, cursor)
            for connection, (_, followed, cursor) in self._follow.items()
            if followed == pipeline_id
        ]

    def delete(self, connection: str) -> None:
        self._token.pop(connection, None)
        self._agent.pop(connection, None)
        self._follow.pop(connection, None)

    def close(self, connection: str) -> None:
        if connection in self.broken:
            raise ConnectionError(f"{connection} does not answer")
        self.delete(connection)
        self.closed.append(connection)

    def send(self, connection: str, data: bytes) -> bool:
        """Send a frame.

        Raises:
            ValueError: The frame is larger than API Gateway allows.
            ConnectionError: The connection is in `broken`.
        """
        if connection in self.gone:
            return False
        if connection in self.broken:
            raise ConnectionError(f"{connection} does not answer")
        if len(data) > FRAME_LIMIT:
            raise ValueError(f"a frame of {len(data)} bytes; at most {FRAME_LIMIT} are allowed")
        self.sent.setdefault(connection, []).append(data)
        return True
