"""AWS in memory, for the adapters of the table: DynamoDB, and sending to WebSockets."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError  # type: ignore[import-untyped]
from tests.fakes.cloud.dynamodb import FakeDynamoDB

from chalicelib.api.store import TableConnections
from chalicelib.aws.clients import Clients
from chalicelib.aws.dynamodb import DynamoTable
from chalicelib.people.port import FRAME_LIMIT


class FakeGateway:
    """The management API of WebSockets.

    Attributes:
        sent: ``{connection: frames}``.
        gone: Connections that the client has closed.
        broken: Connections for which sending and closing raise an error.
        closed: Connections that the API has closed.
    """

    def __init__(self) -> None:
        self.sent: dict[str, list[bytes]] = {}
        self.gone: set[str] = set()
        self.broken: set[str] = set()
        self.closed: list[str] = []

    def post_to_connection(self, ConnectionId: str, Data: bytes) -> None:  # noqa: N803  AWS's names
        """Send a frame.

        Raises:
            ValueError: The frame is larger than API Gateway allows.
            ConnectionError: The connection is in `broken`.
        """
        self._check(ConnectionId)
        if len(Data) > FRAME_LIMIT:
            raise ValueError(f"a frame of {len(Data)} bytes; at most {FRAME_LIMIT} are allowed")
        self.sent.setdefault(ConnectionId, []).append(Data)

    def delete_connection(self, ConnectionId: str) -> None:  # noqa: N803
        self._check(ConnectionId)
        self.closed.append(ConnectionId)

    def _check(self, connection: str) -> None:
        if connection in self.gone:
            raise ClientError({"Error": {"Code": "GoneException"}}, "PostToConnection")
        if connection in self.broken:
            raise ConnectionError(f"{connection} does not answer")


class MemoryClients(Clients):
    """Clients of one table and of WebSockets, in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.dynamodb = FakeDynamoDB()
        self.gateway = FakeGateway()
        self.table = DynamoTable(self, "table")

    def get(self, service: str, endpoint: str | None = None) -> Any:
        known = {"dynamodb": self.dynamodb, "apigatewaymanagementapi": self.gateway}
        return known[service]

    def connections(self, clock: Any) -> TableConnections:
        return TableConnections(self.table, self, lambda: "https://socket.invalid", clock)
