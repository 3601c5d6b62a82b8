"""Where notifications go: addresses of services. The tokens are secrets of the pipeline's owner.

The secrets are ``SLACK_TOKEN``, ``GITHUB_TOKEN`` and ``SMTP_PASSWORD``.
"""

from dataclasses import dataclass

from conducto.integrations import slack

GITHUB_URL = "https://api.github.com"


@dataclass(frozen=True, slots=True)
class Settings:
    """Addresses of services.

    Attributes:
        smtp: ``smtp://[user@]host[:port]`` or ``smtps://…``; None where none is known.
        sender: Address that mail comes from.
        owner: Address of the pipeline's person, who gets mail without ``to``.
    """

    slack: str = slack.URL
    github: str = GITHUB_URL
    smtp: str | None = None
    sender: str | None = None
    owner: str | None = None
