"""The linked agents of an organisation, as its members see them."""

from typing import Literal

from pydantic import Field

from conducto_core.model.base import Record


class LinkedAgent(Record):
    """An agent that is linked to the installation.

    Attributes:
        host: The name of its machine.
        user: The member who linked it.
        version: Version of Conducto on the machine.
        allow: Classes of operations that the machine allows
            (`conducto_core.model.operations.operation.LinkClass`).
        who: The people that it allows them to: only ``user``, or also other members (reading and
            control).
        online: Whether it is connected.
        linked: When it connected first, in seconds since the epoch.
        seen: When it sent its last message.
    """

    id: str
    host: str
    user: str
    version: str
    allow: tuple[str, ...]
    who: Literal["me", "org"]
    online: bool
    linked: float
    seen: float


class LinkedAgentList(Record):
    """Linked agents, by host and id."""

    agents: tuple[LinkedAgent, ...]


class LinkedAgentParams(Record):
    """The id of a linked agent."""

    id: str = Field(min_length=1, max_length=64)


class AgentForgotten(Record):
    """An agent that was removed from the lists; it is listed again if it connects."""

    id: str
