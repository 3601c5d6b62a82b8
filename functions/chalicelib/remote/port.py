"""Linked agents: their connections, the pipelines that they report, and relayed requests."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol


class AgentKey(NamedTuple):
    """The organisation of an agent, and its id."""

    org: str
    id: str


@dataclass(frozen=True, slots=True)
class AgentRecord:
    """A linked agent.

    Attributes:
        user: The member that it belongs to.
        host: The name of its machine.
        policy: Its own policy, as it sent it (JSON).
        epoch: Number of its connection: a process with a higher one replaces the others.
        connection: Its WebSocket; "" while it is offline.
        linked: When it connected first, in seconds since the epoch.
        seen: When it sent its last message.
        cursor: Number of the last summaries that were stored.
        sent: Number of the last frame to the connection.
    """

    key: AgentKey
    user: str
    host: str
    version: str
    policy: str
    epoch: int
    connection: str
    linked: float
    seen: float
    cursor: int = 0
    sent: int = 1


@dataclass(frozen=True, slots=True)
class AgentShell:
    """An open debug shell on the machine of an agent.

    Attributes:
        id: Chosen by the cloud.
        connection: The WebSocket of its client.
        user: The person who opened it, as is ``token``, the digest of their token.
        pipeline: As the client named it, as is ``path``.
    """

    key: AgentKey
    id: str
    connection: str
    user: str
    token: str
    pipeline: str
    path: str


class StoredSummary(NamedTuple):
    """A pipeline that an agent has reported.

    Attributes:
        data: A `conducto_core.run.model.requests.PipelineSummary` as JSON.
        seen: When the agent sent it.
    """

    agent: str
    pipeline_id: str
    data: bytes
    seen: float


class Agents(Protocol):
    """The linked agents of organisations."""

    def connect(self, agent: AgentRecord) -> bool:
        """Store an agent that has connected, with 1 as the number of the last frame to it.

        Return False, and change nothing, if it belongs to another user, or if a connection with
        the same or a higher epoch is open. The first connection's time and the cursor are kept.
        """

    def find(self, key: AgentKey) -> AgentRecord | None:
        """Return an agent."""

    def list_by_id(self, org: str) -> Sequence[AgentRecord]:
        """Return the agents of an organisation, by id."""

    def number(
        self,
        key: AgentKey,
        connection: str,
        *,
        seen: float | None = None,
        cursor: int | None = None,
    ) -> int | None:
        """Return the number of the next frame to a connection; None if it is not the agent's.

        Args:
            key: The agent.
            connection: Its WebSocket.
            seen: Also record that the agent has sent a message now.
            cursor: Also record that its summaries are stored up to this number.
        """

    def disconnect(self, key: AgentKey, connection: str, now: float) -> None:
        """Record that a connection has ended; nothing changes if the agent has another one."""

    def forget(self, key: AgentKey) -> bool:
        """Delete an agent and what it reported; return whether there was one."""

    def put_summary(self, key: AgentKey, pipeline_id: str, data: bytes, now: float) -> None:
        """Store the summary of a pipeline, replacing an older one."""

    def remove_summary(self, key: AgentKey, pipeline_id: str) -> None:
        """Delete the summary of a pipeline that the agent does not have any more."""

    def clear_summaries(self, key: AgentKey) -> None:
        """Delete the summaries of all pipelines of an agent."""

    def summaries(self, org: str) -> Iterator[StoredSummary]:
        """Yield the pipelines of all agents of an organisation."""

    def put_followed(self, key: AgentKey, pipeline_id: str, until: float) -> None:
        """Record that somebody follows a pipeline of an agent."""

    def followed(self, key: AgentKey, now: float) -> Sequence[str]:
        """Return the ids of the pipelines of an agent that somebody follows."""

    def remove_followed(self, key: AgentKey, pipeline_id: str) -> None:
        """Record that a pipeline has no followers any more."""

    def put_shell(self, shell: AgentShell, until: float) -> bool:
        """Store an open shell; return False if its connection has one already."""

    def shell_of(self, connection: str) -> AgentShell | None:
        """Return the shell of a client's connection."""

    def shell(self, key: AgentKey, shell_id: str) -> AgentShell | None:
        """Return an open shell of an agent."""

    def shells(self, key: AgentKey) -> Sequence[AgentShell]:
        """Return the open shells of an agent."""

    def remove_shell(self, shell: AgentShell) -> bool:
        """Delete a shell; return whether it was open, which is True once only."""


class Relays(Protocol):
    """Relayed requests: those in progress, and the frames of their responses."""

    def reserve(self, key: AgentKey, now: float, until: float) -> int | None:
        """Count a request as in progress until a time; return its slot.

        None: the agent has `conducto_core.remote.model.MAX_CONCURRENT` requests now.
        """

    def release(self, key: AgentKey, slot: int) -> None:
        """Record that a request is not in progress any more."""

    def put_frame(self, key: AgentKey, request: str, index: int, frame: bytes) -> None:
        """Store one frame of the response to a request."""

    def frames(self, key: AgentKey, request: str) -> Mapping[int, bytes]:
        """Return the frames of a response that have arrived, by index."""
