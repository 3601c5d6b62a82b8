"""The store of the rules that send notifications."""

from collections.abc import Sequence
from typing import Protocol

from conducto_core.model.notification_rules import NotificationRule


class RuleStore(Protocol):
    """The rules of one organisation, or of one machine."""

    def all(self) -> Sequence[NotificationRule]:
        """Return the rules, by name."""

    def put(self, rule: NotificationRule) -> None:
        """Store a rule, replacing one of the same name."""

    def delete(self, name: str) -> bool:
        """Delete a rule; return whether there was one."""
