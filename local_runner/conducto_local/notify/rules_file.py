"""The rules that send notifications, in a file of the profile."""

import os
from collections.abc import Sequence
from pathlib import Path

from conducto.data.files import write_atomically
from conducto_core.model.notification_rules import NotificationRule, RuleList


class RulesFile:
    """A `conducto_core.ports.notification_rules.RuleStore`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def all(self) -> Sequence[NotificationRule]:
        """Return the rules, by name."""
        try:
            return RuleList.model_validate_json(self._path.read_bytes()).rules
        except FileNotFoundError:
            return ()

    def put(self, rule: NotificationRule) -> None:
        """Store a rule, replacing one of the same name."""
        self._write([*self._without(rule.name), rule])

    def delete(self, name: str) -> bool:
        """Delete a rule; return whether there was one."""
        left = self._without(name)
        known = len(left) < len(self.all())
        if known:
            self._write(left)
        return known

    def _without(self, name: str) -> list[NotificationRule]:
        return [rule for rule in self.all() if rule.name != name]

    def _write(self, rules: list[NotificationRule]) -> None:
        found = RuleList(rules=tuple(sorted(rules, key=lambda rule: rule.name)))
        content = found.model_dump_json(indent=2).encode()
        write_atomically(os.fspath(self._path), lambda stream: stream.write(content))
