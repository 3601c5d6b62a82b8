"""Events of the AWS account."""

from collections.abc import Mapping
from typing import Any, Protocol


class EventRules(Protocol):
    """The rules of EventBridge that route events to triggers."""

    def put(self, org: str, name: str, pattern: Mapping[str, Any]) -> None:
        """Route the events that match a pattern to a trigger."""

    def delete(self, org: str, name: str) -> None:
        """Route no more events to a trigger."""
