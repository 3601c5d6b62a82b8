"""The tokens with which images clone repositories.

A launch stores who lends the token, not the token itself, which may expire or be replaced: it is
read when an image is built.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

from chalicelib.ports.triggers import TOKEN_LEFT
from chalicelib.services.dependencies import Dependencies
from chalicelib.services.github_app import app_token
from chalicelib.services.secret_injection import inject
from chalicelib.services.suspension import why_suspended
from chalicelib.services.triggers import trigger_token
from conducto.integrations.http import DeliveryError
from conducto_core.errors import RefusedError
from conducto_core.images.urls import LOGIN, SUBMODULE_LOGINS, git_access
from conducto_core.model.image_sources import CloneSource
from conducto_core.model.triggers import Provider
from conducto_core.semantics.git_providers import GIT_APIS
from conducto_core.semantics.trigger_launch import same_repository, with_token

#: ``{host: provider}`` of the hosts for which users store a token as a secret.
_HOSTS: Mapping[str, Provider] = {"github.com": "github", "gitlab.com": "gitlab"}


def lent_address(
    cloud: Dependencies,
    org: str,
    url: str,
    *,
    trigger: str | None = None,
    user: str | None = None,
    left: float = TOKEN_LEFT,
) -> str:
    """Return an address to clone from, with the current token of a trigger or a user.

    Args:
        cloud: The ports.
        org: The organisation.
        url: The address.
        trigger: The trigger that lends its token.
        user: The user who lends the token in their secrets.
        left: Seconds for which a token of a GitHub App is valid at least.

    Raises:
        RefusedError: There is no such token any more.
        DeliveryError: GitHub returns none now.
    """
    if trigger is not None:
        return _of_trigger(cloud, org, trigger, url, left)
    if user is None:
        return url
    lent = with_secret(cloud, org, user, url)
    if lent is None:
        secret = secret_for(url) or "token"
        raise RefusedError(
            f"{url} cannot be cloned: {user} has no secret {secret} any more; launch again with "
            "your own"
        )
    return lent


def secret_for(url: str) -> str | None:
    """Return the name of the secret with a user's token for the host of an address, or None."""
    known = _HOSTS.get(urlsplit(url).hostname or "")
    return None if known is None else GIT_APIS[known].token_secret


def with_secret(cloud: Dependencies, org: str, user: str, url: str) -> str | None:
    """Return an address with the token in the secrets of a user, or None without one."""
    known = _HOSTS.get(urlsplit(url).hostname or "")
    if known is None:
        return None
    # The commands of the launch get the same secrets.
    token = inject(cloud.vault, org, user).env.get(GIT_APIS[known].token_secret)
    return with_token(url, known, token) if token else None


def clone_logins(
    cloud: Dependencies, org: str, clone: CloneSource, *, left: float
) -> Mapping[str, str]:
    """Return the variables with which `build.sh` clones a repository and its listed submodules.

    Args:
        cloud: The ports.
        org: The organisation.
        clone: The repository.
        left: Seconds for which a token of a GitHub App is valid at least.

    Raises:
        RefusedError: There is no token any more.
        DeliveryError: GitHub returns none now.
    """

    def login(url: str) -> str:
        lent = lent_address(cloud, org, url, trigger=clone.trigger, user=clone.user, left=left)
        return git_access(lent).login

    found = {LOGIN: login(clone.url)}
    trigger = None if clone.trigger is None else cloud.triggers.get(org, clone.trigger)
    if trigger is not None and trigger.submodules:
        found[SUBMODULE_LOGINS] = "\n".join(map(login, trigger.submodules))
    return found


def _of_trigger(cloud: Dependencies, org: str, name: str, url: str, left: float) -> str:
    trigger = cloud.triggers.get(org, name)
    if trigger is None or not (trigger.app or trigger.has_token):
        raise RefusedError(f"there is no trigger {name!r} with a token to clone {url}")
    if not any(same_repository(one, url) for one in (trigger.repository, *trigger.submodules)):
        raise RefusedError(f"{url} is not the repository of the trigger {name!r}")
    if (why := why_suspended(cloud, org, trigger)) is not None:
        raise RefusedError(f"{url} cannot be cloned: {why}")
    try:
        if trigger.app:
            token: str | None = app_token(cloud, org, url, left=left)
        else:
            token = trigger_token(cloud, org, trigger)
        return with_token(url, trigger.provider, token)
    except DeliveryError as error:
        if error.temporary:
            raise
        raise RefusedError(f"{url} cannot be cloned: {error}") from error
