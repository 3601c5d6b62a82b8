"""The settings of notifications: addresses of services.

The tokens are secrets of the pipeline's owner: ``SLACK_TOKEN``, ``GITHUB_TOKEN`` and
``SMTP_PASSWORD``.
"""

from dataclasses import dataclass

from conducto.integrations import slack

GITHUB_URL = "https://api.github.com"


@dataclass(frozen=True, slots=True)
class Settings:
    """Addresses of services.

    Attributes:
        smtp: ``smtp://[user@]host[:port]`` or ``smtps://…``; None if there is none.
        owner: Address of the pipeline's owner, the default recipient.
        web_app: Address of the web app, or "".
        public_only: Webhooks and statuses may only be sent to public addresses: not to services
            beside the sender, which trust it.
    """

    slack: str = slack.URL
    github: str = GITHUB_URL
    gitlab: str = "https://gitlab.com/api/v4"
    smtp: str | None = None
    sender: str | None = None
    owner: str | None = None
    web_app: str = ""
    public_only: bool = False

    def git_url(self, provider: str) -> str:
        """Return the address of the API of a git provider."""
        return self.gitlab if provider == "gitlab" else self.github
