"""Notifications about nodes, with their delivery states."""

from enum import StrEnum
from typing import Any

from conducto_core.model.base import Record
from conducto_core.model.states import State


class DeliveryState(StrEnum):
    """The delivery state of a notification; a rule did not want the event of a dropped one."""

    PENDING = "pending"
    SENT = "sent"
    FAILED = "failed"
    DROPPED = "dropped"


class NotificationRecord(Record):
    """A notification that a callback requested when its node reached a state.

    It is stored together with that state, and sent afterwards, with retries. It describes the state
    at that time, whatever has happened since.

    Attributes:
        number: Counted from 1 in its pipeline, in order of time.
        about: The node that is reported, the root for ``github_pipeline_status``.
        attempt: The node's newest attempt at that time.
        subject: One line, for text messages.
        text: The whole text, as plain text.
        delivery: Delivery state; a failed notification is not retried.
        tries: Number of deliveries tried.
        ended: Time when it was sent or given up.
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
