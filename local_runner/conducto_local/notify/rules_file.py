"""The rules that send notifications, in a file of the profile."""

import json
import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from conducto.data.files import write_atomically
from conducto_core.model.notification_rules import NotificationRule, RuleList
from conducto_local.store.errors import REPAIR, DamagedError

logger = logging.getLogger(__name__)

#: Stands for bytes that are not text.
_UNREADABLE = "\ufffd"


class RulesFile:
    """A `conducto_core.ports.notification_rules.RuleStore`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def all(self) -> Sequence[NotificationRule]:
        """Return the readable rules, by name."""
        try:
            return self._all()
        except DamagedError as error:
            logger.error("rules are left out", extra={"why": str(error)})  # noqa: TRY400
            return self.readable()

    def readable(self) -> list[NotificationRule]:
        """Return the rules of a damaged file that can be read."""
        text, found = self._path.read_bytes().decode(errors="replace"), []
        start = text.find("{")
        while start >= 0:
            following = start + 1
            with suppress(ValueError):  # also for the object that contains the rules
                value, end = json.JSONDecoder().raw_decode(text, start)
                if _UNREADABLE not in text[start:end]:
                    found.append(NotificationRule.model_validate(value))
                    following = end
            start = text.find("{", following)
        return found

    def damage(self) -> str | None:
        """Return the reason why not all rules can be read, or None."""
        try:
            self._all()
        except DamagedError as error:
            return str(error)
        return None

    def put(self, rule: NotificationRule) -> None:
        """Store a rule, replacing one of the same name.

        Raises:
            DamagedError: The file cannot be read, like in `delete`; its rules would be lost.
        """
        self.write([*self._without(rule.name), rule])

    def delete(self, name: str) -> bool:
        """Delete a rule; return whether there was one."""
        left = self._without(name)
        known = len(left) < len(self._all())
        if known:
            self.write(left)
        return known

    def _all(self) -> Sequence[NotificationRule]:
        try:
            return RuleList.model_validate_json(self._path.read_bytes()).rules
        except FileNotFoundError:
            return ()
        except ValidationError as error:
            raise DamagedError(f"{self._path}: the file is damaged. {REPAIR}") from error

    def _without(self, name: str) -> list[NotificationRule]:
        return [rule for rule in self._all() if rule.name != name]

    def write(self, rules: Sequence[NotificationRule]) -> None:
        """Replace all rules."""
        found = RuleList(rules=tuple(sorted(rules, key=lambda rule: rule.name)))
        content = found.model_dump_json(indent=2).encode()
        write_atomically(os.fspath(self._path), lambda stream: stream.write(content))
