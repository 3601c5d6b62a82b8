"""What somebody outside is told about a node, and whether it has reached them."""

from enum import StrEnum
from typing import Any

from conducto_core.model.base import Record
from conducto_core.model.states import State


class DeliveryState(StrEnum):
    """How far a notification is."""

    PENDING = "pending"
    SENT = "sent"
    FAILED = "failed"


class NotificationRecord(Record):
    """One thing that somebody is told: what a callback asked for when its node got to a state.

    It is written down together with that state, and sent afterwards, as often as it takes. It says
    what was so then, whatever has happened since.

    Attributes:
        number: Counted from 1 in its pipeline, in the order in which it happened.
        path: The node that got to the state.
        about: The node that is reported, the root for ``github_pipeline_status``.
        attempt: The node's newest attempt at that time.
        callback: Name of the callback.
        arguments: Its arguments.
        subject: One line, for those who are told by text.
        text: All of it, plain text.
        created: When it happened.
        delivery: Whether it has been sent; a failed one is not tried again.
        tries: How often it was tried.
        error: Why the last try failed.
        ended: When it was sent or given up.
    """

    number: int
    path: str
    about: str
    state: State
    attempt: int = 0
    callback: str
    arguments: dict[str, Any] = {}
    subject: str = ""
    text: str = ""
    created: float = 0.0
    delivery: DeliveryState = DeliveryState.PENDING
    tries: int = 0
    error: str | None = None
    ended: float | None = None
