"""The address of the API of a trigger's provider."""

from dataclasses import replace
from urllib.parse import urlsplit

from conducto_core.notifications.channels import Settings
from conducto_core.triggers.model import Trigger

_GITHUB_COM = "github.com"


def settings_of(trigger: Trigger, settings: Settings) -> Settings:
    """Return settings with the address of a trigger's API."""
    api = api_of(trigger, settings)
    if trigger.provider == "gitlab":
        return replace(settings, gitlab=api)
    return replace(settings, github=api)


def api_of(trigger: Trigger, settings: Settings) -> str:
    if trigger.api is not None:
        return trigger.api.rstrip("/")
    parts = urlsplit(trigger.repository)
    if trigger.provider == "gitlab":
        return f"{parts.scheme}://{parts.netloc}/api/v4"
    return github_api(trigger.repository, settings)


def github_api(url: str, settings: Settings) -> str:
    """Return the address of the API of the GitHub that has a repository or a page."""
    parts = urlsplit(url)
    if parts.hostname == _GITHUB_COM:
        return settings.github
    return f"{parts.scheme}://{parts.netloc}/api/v3"
