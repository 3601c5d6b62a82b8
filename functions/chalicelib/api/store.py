"""Open WebSockets: their tokens, the pipelines that they follow, and sending to them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from chalicelib.aws import table_keys
from chalicelib.aws.clients import Clients
from chalicelib.aws.dynamodb import DynamoTable, Item, Update
from chalicelib.aws.errors import ignoring, throttling
from chalicelib.errors import ConflictError
from chalicelib.remote.model import AgentKey

#: Seconds after which a connection's record expires; API Gateway closes it after two hours.
CONNECTION_SECONDS = 3 * 3600
_IS_OPEN = "attribute_exists(expires)"
_GONE = frozenset({"GoneException", "BadRequestException"})


class TableConnections:
    """Open WebSockets: their tokens and the pipelines that they follow."""

    def __init__(
        self,
        table: DynamoTable,
        clients: Clients,
        endpoint: Callable[[], str],
        clock: Callable[[], float],
    ) -> None:
        self._table = table
        self._clients = clients
        self._endpoint = endpoint
        self._clock = clock

    def opened(self, connection: str, token: str, parent: str | None = None) -> None:
        """Store the digests of a connection's token and of that token's parent."""
        item: Item = {"token": token, "pipeline": "", "expires": self._expires()}
        self._table.put(table_keys.connection(connection), item)
        whose: Item = {"token": token, "parent": parent or "", "expires": self._expires()}
        self._table.put(table_keys.open_connection(connection), whose)

    def opened_by(self, *, agents: bool = True) -> Iterator[tuple[str, str, str | None]]:
        """Yield ``(connection, token digest, digest of the token's parent)`` of all connections.

        ``agents``: also those of linked agents.
        """
        partition = table_keys.open_connection("").partition
        for connection, item in self._table.range(partition, "\x01", table_keys.LAST):
            if agents or "agent" not in item:
                yield connection, str(item["token"]), str(item["parent"]) or None

    def token_of(self, connection: str) -> str | None:
        """Return the digest of a connection's token, or None if it has not sent one yet."""
        known = self._table.get(table_keys.connection(connection))
        # One that was closed while its client subscribed has none.
        return None if known is None or "token" not in known else str(known["token"])

    def link(self, connection: str, agent: AgentKey) -> None:
        """Store the agent that a connection belongs to."""
        for key in (table_keys.connection(connection), table_keys.open_connection(connection)):
            with suppress(ConflictError):  # it was closed meanwhile
                self._table.update(
                    Update(key, set={"agent": agent.id, "agent_org": agent.org}, where=_IS_OPEN)
                )

    def agent_of(self, connection: str) -> AgentKey | None:
        """Return the agent that a connection belongs to, or None."""
        known = self._table.get(table_keys.connection(connection))
        if known is None or "agent" not in known:
            return None
        return AgentKey(str(known["agent_org"]), str(known["agent"]))

    def put(self, connection: str, org: str, pipeline_id: str, cursor: int) -> None:
        """Store the pipeline that a connection follows, and the last change that it received."""
        known = self._table.get(table_keys.connection(connection))
        before = "" if known is None else str(known["pipeline"])
        if before != pipeline_id:
            if before:
                self._table.delete(table_keys.follower(before, connection))
            item: Item = {**(known or {}), "pipeline": pipeline_id, "expires": self._expires()}
            self._table.put(table_keys.connection(connection), item)
        follower: Item = {"org": org, "cursor": cursor, "expires": self._expires()}
        self._table.put(table_keys.follower(pipeline_id, connection), follower)

    def _expires(self) -> int:
        return int(self._clock()) + CONNECTION_SECONDS

    def followers(self, pipeline_id: str) -> Sequence[tuple[str, int]]:
        """Return ``(connection, cursor)`` of a pipeline's followers."""
        partition = table_keys.follower(pipeline_id, "").partition
        rows = self._table.range(partition, "\x01", table_keys.LAST)
        return [(connection, int(item["cursor"])) for connection, item in rows]

    def delete(self, connection: str) -> None:
        """Delete the record of a connection."""
        self._table.delete(table_keys.open_connection(connection))
        known = self._table.get(table_keys.connection(connection))
        if known is None:
            return
        if known["pipeline"]:
            self._table.delete(table_keys.follower(str(known["pipeline"]), connection))
        self._table.delete(table_keys.connection(connection))

    def close(self, connection: str) -> None:
        """Delete the record of a connection and close it; a closed one is not an error."""
        client = self._clients.get("apigatewaymanagementapi", self._endpoint())
        with throttling(), ignoring(*_GONE):
            client.delete_connection(ConnectionId=connection)
        # Last, so that the schedule retries after an error.
        key = self.agent_of(connection)
        self.delete(connection)
        if key is not None:  # the event of the end needs it
            whose: Item = {"agent": key.id, "agent_org": key.org, "expires": self._expires()}
            self._table.put(table_keys.connection(connection), {"pipeline": "", **whose})

    def send(self, connection: str, data: bytes) -> bool:
        """Send a frame; return False if the connection is closed."""
        client = self._clients.get("apigatewaymanagementapi", self._endpoint())
        with throttling(), ignoring(*_GONE):
            client.post_to_connection(ConnectionId=connection, Data=data)
            return True
        return False
