"""The address of the API of a trigger's provider."""

from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from conducto_core.notifications.channels import Settings
from conducto_core.triggers.model import Trigger
from conducto_core.triggers.rules.providers import GIT_APIS

#: Hosts whose API is at another host: the settings have its address.
_HOSTS = {"github": "github.com", "bitbucket": "bitbucket.org"}


def settings_of(trigger: Trigger, settings: Settings) -> Settings:
    """Return settings with the address of a trigger's API."""
    api: dict[str, Any] = {trigger.provider: api_of(trigger, settings)}
    return replace(settings, **api)


def api_of(trigger: Trigger, settings: Settings) -> str:
    if trigger.api is not None:
        return trigger.api.rstrip("/")
    return _api_at(trigger.provider, trigger.repository, settings)


def github_api(url: str, settings: Settings) -> str:
    """Return the address of the API of the GitHub that has a repository or a page."""
    return _api_at("github", url, settings)


def _api_at(provider: str, url: str, settings: Settings) -> str:
    parts = urlsplit(url)
    if parts.hostname == _HOSTS.get(provider):
        return settings.git_url(provider)
    return f"{parts.scheme}://{parts.netloc}{GIT_APIS[provider].server}"
