"""The frames that linked agents send over their WebSockets (docs/decisions/0041)."""

import json
import logging
import re
from collections.abc import Callable
from typing import Any, Literal

from pydantic_core import from_json

from chalicelib.api.followers import may_link
from chalicelib.api.store import TableConnections
from chalicelib.people.port import Identity
from chalicelib.records import Records
from chalicelib.remote import followers as agent_followers
from chalicelib.remote.model import AgentKey, AgentRecord
from chalicelib.remote.shells import AgentShells
from conducto_core.api.operation import Permission
from conducto_core.record import Record
from conducto_core.remote.model import (
    PING_SECONDS,
    PROTOCOL,
    Ack,
    AgentFrame,
    Batch,
    Closing,
    Hello,
    LinkedAgent,
    LinkPolicy,
    Part,
    Ping,
    ShellOutput,
    Stored,
    Summaries,
    Welcome,
    read_agent_frame,
)

logger = logging.getLogger(__name__)

#: Seconds without a message after which an agent counts as offline: two missing pings.
SILENT_SECONDS = 2 * PING_SECONDS + 60
_Reason = Literal["superseded", "revoked", "unsupported", "violation"]


class LinkEndedError(Exception):
    """A connection of an agent has to end."""

    def __init__(self, reason: _Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class AgentLinks:
    """Handles the frames of agents."""

    def __init__(
        self, records: Records, connections: TableConnections, clock: Callable[[], float]
    ) -> None:
        self._records = records
        self._connections = connections
        self._clock = clock
        self._shells = AgentShells(records, connections, clock)

    def receive(self, connection: str, text: str) -> None:
        """Handle a frame; a connection that breaks the protocol is closed."""
        key = None
        try:
            key = self._connections.agent_of(connection)
            identity = self._identity(connection)
            self._handle(connection, identity, key, _read(text))
        except LinkEndedError as error:
            self._end(connection, key, error)

    def disconnected(self, connection: str) -> None:
        """Record that a connection has ended, if it belongs to an agent."""
        key = self._connections.agent_of(connection)
        if key is not None:
            self._lost(key, connection)

    def _lost(self, key: AgentKey, connection: str) -> None:
        """Record that a connection has ended; the agent ends its shells with its last one."""
        agents = self._records.agents
        agents.disconnect(key, connection, self._clock())
        agent = agents.find(key)
        if agent is None or not agent.connection:
            self._shells.end_all(key, "the machine was disconnected")

    def _identity(self, connection: str) -> Identity:
        token = self._connections.token_of(connection)
        identity = None if token is None else self._records.tokens.find(token)
        if identity is None or not may_link(identity):
            raise LinkEndedError("revoked", "the token was revoked, has expired, or links no agent")
        return identity

    def _handle(
        self, connection: str, identity: Identity, key: AgentKey | None, frame: AgentFrame
    ) -> None:
        if isinstance(frame, Hello):
            if key is not None:
                raise LinkEndedError("violation", "a second hello on one connection")
            self._welcome(connection, identity, frame)
        elif key is None:
            raise LinkEndedError("violation", f"{frame.kind!r} before hello")
        else:
            self._receive(connection, key, frame)

    def _receive(self, connection: str, key: AgentKey, frame: AgentFrame) -> None:
        match frame:
            case Part():
                data = frame.model_dump_json().encode()
                self._records.relays.put_frame(key, frame.id, frame.index, data)
            case Stored():
                data = frame.model_dump_json().encode()
                self._records.relays.put_frame(key, frame.id, 0, data)
            case Summaries():
                self._store(key, frame)
                self._acknowledge(connection, key, frame, cursor=frame.cursor)
            case Batch():
                agent_followers.push(self._records, self._connections, key, connection, frame)
                self._acknowledge(connection, key, frame)
            case ShellOutput():
                self._shells.output(key, frame)
                self._acknowledge(connection, key, frame)
            case Ping():
                self._acknowledge(connection, key, frame)
            case _:
                raise LinkEndedError("violation", f"unexpected frame {frame.kind!r}")

    # ---- the start of a connection -----------------------------------------------------------

    def _welcome(self, connection: str, identity: Identity, hello: Hello) -> None:
        if hello.protocol != PROTOCOL:
            raise LinkEndedError(
                "unsupported",
                f"the agent speaks version {hello.protocol} of the protocol, this installation "
                f"version {PROTOCOL}; update the older one",
            )
        key = AgentKey(identity.org, hello.agent)
        before = self._records.agents.find(key)
        if not self._records.agents.connect(self._record(connection, key, identity, hello)):
            raise LinkEndedError("superseded", _why_refused(before, identity))
        self._connections.link(connection, key)
        welcome = Welcome(
            n=1,
            protocol=PROTOCOL,
            summaries_cursor=0 if before is None else before.cursor,
            org=identity.org,
            user=identity.user,
        )
        self._send(connection, welcome)
        if before is not None and before.connection not in {"", connection}:
            self._supersede(before)
        self._shells.end_all(key, "the machine was disconnected", keep=hello.shells)
        agent_followers.repeat(self._records, self._connections, self._clock, key, connection)

    def _record(
        self, connection: str, key: AgentKey, identity: Identity, hello: Hello
    ) -> AgentRecord:
        now = self._clock()
        return AgentRecord(
            key,
            user=identity.user,
            host=hello.host,
            version=hello.version,
            policy=hello.policy.model_dump_json(),
            epoch=hello.epoch,
            connection=connection,
            linked=now,
            seen=now,
        )

    def _supersede(self, before: AgentRecord) -> None:
        """Tell an older connection that it is not valid any more; the agent closes it."""
        detail = f"{before.host}: a connection with a higher epoch was opened"
        frame = Closing(n=before.sent + 1, reason="superseded", detail=detail)
        try:
            self._send(before.connection, frame)
        except Exception:  # the newer connection must not fail
            logger.exception("an older connection was not notified")

    # ---- frames ------------------------------------------------------------------------------

    def _store(self, key: AgentKey, frame: Summaries) -> None:
        agents, now = self._records.agents, self._clock()
        if frame.replace:
            agents.clear_summaries(key)
        for summary in frame.pipelines:
            agents.put_summary(key, summary.pipeline.id, summary.model_dump_json().encode(), now)
        for pipeline_id in frame.removed:
            agents.remove_summary(key, pipeline_id)

    def _acknowledge(
        self,
        connection: str,
        key: AgentKey,
        frame: Summaries | Batch | Ping | ShellOutput,
        cursor: int | None = None,
    ) -> None:
        now = self._clock()
        number = self._records.agents.number(key, connection, seen=now, cursor=cursor)
        if number is None:
            raise LinkEndedError("superseded", "another connection of this agent is valid")
        self._send(connection, Ack(n=number, of=frame.n))

    def _send(self, connection: str, frame: Record) -> bool:
        return self._connections.send(connection, frame.model_dump_json().encode())

    def _end(self, connection: str, key: AgentKey | None, error: LinkEndedError) -> None:
        number = None if key is None else self._records.agents.number(key, connection)
        frame = Closing(n=number or 1, reason=error.reason, detail=str(error))
        logger.warning("the connection of an agent ends", extra={"why": str(error)})
        try:
            self._send(connection, frame)
            if key is not None:
                self._lost(key, connection)
            self._connections.close(connection)
        except Exception:  # the minute rule closes it, or API Gateway when it is idle
            logger.exception("a connection was not closed")


def view_of(agent: AgentRecord, now: float) -> LinkedAgent:
    """Return an agent as members see it."""
    policy = LinkPolicy.model_validate_json(agent.policy)
    return LinkedAgent(
        id=agent.key.id,
        host=agent.host,
        user=agent.user,
        version=agent.version,
        allow=policy.allow,
        who=policy.who,
        online=is_online(agent, now),
        linked=agent.linked,
        seen=agent.seen,
    )


def is_online(agent: AgentRecord, now: float) -> bool:
    """Return whether an agent is connected, as far as is known."""
    return bool(agent.connection) and now - agent.seen < SILENT_SECONDS


def is_visible(agent: AgentRecord, caller: Identity) -> bool:
    """Return whether a caller may see the pipelines of an agent."""
    return Permission.READ in caller.permissions and agent_followers.may_follow(agent, caller.user)


def forget(
    records: Records, connections: TableConnections, clock: Callable[[], float], agent: AgentRecord
) -> None:
    """Delete an agent and what it reported, and close its connection."""
    records.agents.forget(agent.key)
    AgentShells(records, connections, clock).end_all(
        agent.key, "the machine is not linked any more"
    )
    if agent.connection:
        connections.close(agent.connection)


def forget_all(
    records: Records,
    connections: TableConnections,
    clock: Callable[[], float],
    org: str,
    user: str | None = None,
) -> None:
    """Delete the agents of a member, or all of an organisation."""
    for agent in records.agents.list_by_id(org):
        if user in {None, agent.user}:
            forget(records, connections, clock, agent)


def _read(text: str) -> AgentFrame:
    try:
        return read_agent_frame(text)
    except ValueError as error:
        raise LinkEndedError("violation", f"not a valid frame: {error}"[:1000]) from error


def _why_refused(before: AgentRecord | None, identity: Identity) -> str:
    if before is not None and before.user != identity.user:
        return (
            f"another member, {before.user}, has linked an agent with this id; run 'conducto agent "
            "unlink' and then 'conducto agent link' on this machine"
        )
    return "a connection of this agent with the same or a higher epoch is open"


# ----------------------------------------------------------------------------------------
# Commands in the texts of an agent, with the address that its pipelines have in the cloud.
#
# A machine names a pipeline by its id: ``conducto rerun ID /``. Elsewhere, the id is
# ``a/AGENT/ID``.


#: Fields with sentences of Conducto; those with texts of users are never changed.
_SENTENCES = frozenset({"detail", "remedy", "waits_for", "wait_remedy", "notes", "reason"})
_COMMAND = b"conducto "


def addressed(body: bytes, agent: str, pipeline: str) -> bytes:
    """Return a JSON response in which the commands in Conducto's sentences have the address.

    Args:
        body: The response; anything else than JSON is returned unchanged.
        agent: The agent.
        pipeline: The id of the request, or the beginning of it.
    """
    if _COMMAND not in body:
        return body
    try:
        document = from_json(body)
    except ValueError:
        return body
    pattern = re.compile(
        rf"(\bconducto [a-z-]+ (?:get |put |list )?)(?=({re.escape(pipeline)}[\w-]*)(?:['\s.,;]|$))"
    )
    return json.dumps(_changed(document, pattern, rf"\1a/{agent}/")).encode()


def _changed(value: Any, pattern: re.Pattern[str], replacement: str) -> Any:
    match value:
        case dict():
            return {
                name: _sentences(found, pattern, replacement)
                if name in _SENTENCES
                else _changed(found, pattern, replacement)
                for name, found in value.items()
            }
        case list():
            return [_changed(one, pattern, replacement) for one in value]
        case _:
            return value


def _sentences(value: Any, pattern: re.Pattern[str], replacement: str) -> Any:
    match value:
        case str():
            return pattern.sub(replacement, value)
        case list():
            return [_sentences(one, pattern, replacement) for one in value]
        case _:
            return value
