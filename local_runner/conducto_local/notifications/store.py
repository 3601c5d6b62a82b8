"""The rules that send notifications, in a file of the profile."""

import json
import logging
import os
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from conducto.api.config import Config
from conducto.data.files import write_atomically
from conducto.integrations import slack
from conducto_core.notifications.channels import GITHUB_URL, Settings
from conducto_core.notifications.model import NotificationRule, RuleList
from conducto_local.agent.state_dir import StateDir
from conducto_local.store.port import REPAIR, DamagedError

logger = logging.getLogger(__name__)

#: Stands for bytes that are not text.
_UNREADABLE = "\ufffd"


class RulesFile:
    """A `conducto_core.notifications.handlers.RuleStore`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def all(self) -> Sequence[NotificationRule]:
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
        found = RuleList(rules=tuple(sorted(rules, key=lambda rule: rule.name)))
        content = found.model_dump_json(indent=2).encode()
        write_atomically(os.fspath(self._path), lambda stream: stream.write(content))


# ----------------------------------------------------------------------------------------
# Addresses for notifications, from the environment or the profile's configuration.
#
#     [notifications]                      in ~/.conducto/<profile>/config
#     slack_url = https://slack.com/api    or CONDUCTO_SLACK_URL
#     github_url = https://api.github.com  or CONDUCTO_GITHUB_URL
#     smtp_url = smtp://user@host:587      or CONDUCTO_SMTP_URL
#     email_from = ci@example.com          or CONDUCTO_EMAIL_FROM  # noqa: ERA001
#
# The tokens are secrets: ``SLACK_TOKEN``, ``GITHUB_TOKEN``, ``SMTP_PASSWORD``. Commands also get
# the address of Slack, for ``co.slack``.


SECTION = "notifications"


def settings_of(home: StateDir, env: Mapping[str, str] = os.environ) -> Settings:
    """Return the current addresses: environment before profile before defaults."""
    file = Config.get_profile_config(home.profile)

    def find(option: str, variable: str) -> str | None:
        return env.get(variable) or file.get(SECTION, option, fallback=None) or None

    owner = env.get("CONDUCTO_EMAIL") or file.get("general", "email", fallback=None) or None
    return Settings(
        slack=(find("slack_url", "CONDUCTO_SLACK_URL") or slack.URL).rstrip("/"),
        github=(find("github_url", "CONDUCTO_GITHUB_URL") or GITHUB_URL).rstrip("/"),
        smtp=find("smtp_url", "CONDUCTO_SMTP_URL"),
        sender=find("email_from", "CONDUCTO_EMAIL_FROM") or owner,
        owner=owner,
    )


FindSettings = Callable[[], Settings]


class CommandAddresses:
    """The addresses that commands get, if the profile sets its own."""

    def __init__(self, home: StateDir, env: Mapping[str, str] = os.environ) -> None:
        self._home = home
        self._config = str(home.root / "config")
        self._env = env

    def version(self) -> Hashable:
        """Return a value that changes with the profile's configuration file."""
        try:
            found = os.stat(self._config)  # noqa: PTH116  called for each command
        except OSError:
            return None
        return (found.st_mtime_ns, found.st_size, found.st_ino)

    def read(self) -> Mapping[str, str]:
        address = settings_of(self._home, self._env).slack
        return {} if address == slack.URL else {slack.URL_VARIABLE: address}
