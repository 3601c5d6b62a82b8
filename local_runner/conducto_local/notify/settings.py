"""Addresses for notifications, from the environment or the profile's configuration.

    [notifications]                      in ~/.conducto/<profile>/config
    slack_url = https://slack.com/api    or CONDUCTO_SLACK_URL
    github_url = https://api.github.com  or CONDUCTO_GITHUB_URL
    smtp_url = smtp://user@host:587      or CONDUCTO_SMTP_URL
    email_from = ci@example.com          or CONDUCTO_EMAIL_FROM

The tokens are secrets: ``SLACK_TOKEN``, ``GITHUB_TOKEN``, ``SMTP_PASSWORD``. Commands also get the
address of Slack, for ``co.slack``.
"""

import os
from collections.abc import Callable, Hashable, Mapping

from conducto.api.config import Config
from conducto.integrations import slack
from conducto_core.notifications.settings import GITHUB_URL, Settings
from conducto_local.state_dir import StateDir

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
        """Return ``{name of a variable: address}``."""
        address = settings_of(self._home, self._env).slack
        return {} if address == slack.URL else {slack.URL_VARIABLE: address}
