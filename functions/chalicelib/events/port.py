"""Events of the AWS account."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from conducto_core.events.model import StoredEvent
from conducto_core.schedules.port import Schedules


class CloudSchedules(Schedules, Protocol):
    """The schedules and triggers of all organisations, and the queues that fire them."""

    def add_events(self, org: str, name: str, events: Sequence[StoredEvent]) -> bool:
        """Store events, at most 100; store none and return False if one of them is known."""

    def queue_trigger(self, queue: str) -> tuple[str, str] | None:
        """Return organisation and name of the trigger that a queue fires."""

    def claim_queue(
        self, queue: str, org: str, name: str, former: tuple[str, str] | None = None
    ) -> bool:
        """Let a queue fire a trigger, unless it fires another one than the former."""

    def release_queue(self, queue: str) -> None:
        """Let a queue fire no trigger."""


class EventRules(Protocol):
    """The rules of EventBridge that route events to triggers."""

    def put(self, org: str, name: str, pattern: Mapping[str, Any]) -> None:
        """Route the events that match a pattern to a trigger."""

    def delete(self, org: str, name: str) -> None:
        """Route no more events to a trigger."""


class EventQueues(Protocol):
    """The queues of SQS that the function for events reads."""

    def own(self, org: str, name: str) -> str:
        """Return the ARN of the queue that is created for a trigger."""

    def create(self, org: str, name: str, batch_seconds: int) -> None:
        """Create the queue of a trigger with its dead-letter queue, or update them."""

    def delete(self, org: str, name: str) -> None:
        """Delete the queues of a trigger with their messages."""

    def read(self, queue: str, batch: int, batch_seconds: int) -> None:
        """Deliver the messages of a queue to the function in batches; raises `RefusedError`."""

    def leave(self, queue: str) -> None:
        """Deliver no more messages of a queue."""


@dataclass(frozen=True)
class EventPorts:
    """Schedules and triggers, and the events of the account that fire them.

    Attributes:
        rules: The rules of EventBridge; None: the installation takes no events of the account.
        queues: The queues of SQS; None as `rules`.
        named_queues: ``(organisation, ARN)`` of queues that triggers may read, besides their own.
    """

    schedules: CloudSchedules
    rules: EventRules | None = None
    queues: EventQueues | None = None
    named_queues: frozenset[tuple[str, str]] = frozenset()
