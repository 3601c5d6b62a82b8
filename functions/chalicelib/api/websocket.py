"""Clients that follow pipelines over a WebSocket.

A client authenticates with a subprotocol or a header when it connects, or with ``token`` in its
first message. Then it subscribes: ``{"subscribe": pipeline, "cursor": number of the last change
that it has}``. Frames are the same as on the local server
(`conducto_core.run.operations.EVENTS`).

With ``agent``, the pipeline is one of a linked agent. The agent itself connects here, too: with a
token for agents, its messages are the frames of `conducto_core.remote.model`. Debug shells on its
machine have the messages of `conducto_core.remote.model`.
"""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import Field, ValidationError
from pydantic_core import from_json

from chalicelib.api import authorizer
from chalicelib.api.followers import Followers, may_link, may_read
from chalicelib.api.store import TableConnections
from chalicelib.people.port import Identity
from chalicelib.records import Records
from chalicelib.remote import followers as agent_followers
from chalicelib.remote.links import AgentLinks
from chalicelib.remote.model import AgentKey
from chalicelib.remote.shells import AgentShells
from chalicelib.run import effects as event_push
from chalicelib.run.processor import CommandProcessor
from conducto_core.api import problems
from conducto_core.api.operation import SUBPROTOCOL
from conducto_core.errors import NotFoundError
from conducto_core.record import Record

OK: dict[str, Any] = {"statusCode": 200}
FORBIDDEN: dict[str, Any] = {"statusCode": 403}


class Subscribe(Record):
    """A subscription message.

    Attributes:
        subscribe: Full id of a pipeline.
        cursor: Number of the last change that the client has.
        agent: The linked agent that has the pipeline.
        token: For clients that cannot send it as a subprotocol.
    """

    subscribe: str = Field(min_length=1, max_length=64)
    cursor: int = Field(default=0, ge=0)
    agent: str | None = Field(default=None, max_length=64)
    token: str | None = Field(default=None, repr=False, max_length=200)


class Sockets:
    """Handlers of API Gateway's WebSocket events."""

    def __init__(
        self,
        engine: CommandProcessor,
        records: Records,
        connections: TableConnections,
        clock: Callable[[], float],
    ) -> None:
        self._engine, self._records = engine, records
        self._connections, self._clock = connections, clock
        self._followers = Followers(connections, records.tokens)
        self._links = AgentLinks(records, connections, clock)
        self._shells = AgentShells(records, connections, clock)

    def connect(self, connection: str, headers: Mapping[str, str]) -> dict[str, Any]:
        """Accept or reject a connection; header names are in lower case."""
        protocols = headers.get("sec-websocket-protocol", "")
        # CloudFront sets this header from the session cookie of the web app.
        token = authorizer.offered(protocols) or authorizer.bearer(headers.get("authorization", ""))
        if token and not self._opened(connection, token):
            return FORBIDDEN
        if SUBPROTOCOL in protocols:  # browsers close the connection unless one is selected
            return {**OK, "headers": {"Sec-WebSocket-Protocol": SUBPROTOCOL}}
        return OK

    def message(self, connection: str, text: str) -> dict[str, Any]:
        """Handle a message of a client or an agent."""
        if _has(text, "kind"):
            self._links.receive(connection, text)
            return OK
        if _has(text, "terminal"):
            self._shells.receive(connection, text)
            return OK
        try:
            asked = Subscribe.model_validate_json(text)
        except ValidationError as error:
            problem = problems.invalid_request(error, "message", quoting=False).problem
            self._connections.send(connection, problem.model_dump_json().encode())
            return OK
        if asked.token is not None and not self._opened(connection, asked.token):
            return FORBIDDEN
        identity = self._followers.identity_of(connection)
        if identity is None:
            self._followers.close(connection)
            return FORBIDDEN
        try:
            self._follow(connection, identity, asked)
        except NotFoundError as error:
            problem = problems.problem_of(error)
            self._connections.send(connection, problem.model_dump_json().encode())
        return OK

    def disconnect(self, connection: str) -> dict[str, Any]:
        """Delete a closed connection."""
        self._links.disconnected(connection)
        self._shells.disconnected(connection)
        self._connections.delete(connection)
        return OK

    def _follow(self, connection: str, identity: Identity, asked: Subscribe) -> None:
        if asked.agent is not None:
            self._follow_agent(connection, identity, AgentKey(identity.org, asked.agent), asked)
            return
        with self._engine.reading(identity.org, asked.subscribe) as live:
            self._connections.put(connection, identity.org, live.id, asked.cursor)
            event_push.publish(self._records, self._connections, live)

    def _follow_agent(
        self, connection: str, identity: Identity, key: AgentKey, asked: Subscribe
    ) -> None:
        agent = self._records.agents.find(key)
        if agent is None or not agent_followers.may_follow(agent, identity.user):
            raise NotFoundError(f"{key.org} has no agent {key.id!r} whose pipelines you may see")
        user, pipeline_id = identity.user, asked.subscribe
        agent_followers.follow(
            self._records,
            self._connections,
            self._clock,
            agent,
            connection,
            user,
            pipeline_id,
            asked.cursor,
        )

    def _opened(self, connection: str, token: str) -> bool:
        identity = authorizer.identify(self._records.tokens, token)
        if identity is None or not (may_read(identity) or may_link(identity)):
            return False
        if identity.kind == "assistant":  # each of its requests is checked and in the audit log
            return False
        self._connections.opened(connection, identity.token, identity.parent)
        return True


def _has(text: str, name: str) -> bool:
    """Return whether a message has a field: ``kind`` of agents, ``terminal`` of debug shells."""
    try:
        message = from_json(text)
    except ValueError:
        return False
    return isinstance(message, dict) and name in message
