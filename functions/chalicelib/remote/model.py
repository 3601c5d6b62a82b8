"""Linked agents: their connections, the pipelines that they report, and relayed requests."""

from dataclasses import dataclass
from typing import NamedTuple


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
