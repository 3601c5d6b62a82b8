"""Tokens for repositories: of an organisation's GitHub App, of triggers, and of its members."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

from chalicelib.people.port import SecretVault
from chalicelib.people.suspension import why_suspended
from chalicelib.records import Records
from chalicelib.secrets.injection import inject
from chalicelib.triggers.port import (
    TOKEN_LEFT,
    GithubAppApi,
    GitProvider,
    GitRefs,
    RepositoryDeniedError,
)
from conducto.integrations.http import DeliveryError, TokenDeliveryError
from conducto_core.errors import RefusedError
from conducto_core.images.model import CloneSource
from conducto_core.images.references import LOGIN, SUBMODULE_LOGINS, git_access
from conducto_core.triggers import model as t
from conducto_core.triggers.model import GithubApp, Provider
from conducto_core.triggers.rules.launch import (
    repository_of,
    same_host,
    same_repository,
    with_token,
)
from conducto_core.triggers.rules.providers import GIT_APIS

R = TypeVar("R")

#: Key of a trigger's token in its scope.
TOKEN = "token"  # noqa: S105
#: ``{host: provider}`` of the hosts for which users store a token as a secret.
_HOSTS: Mapping[str, Provider] = {
    "github.com": "github",
    "gitlab.com": "gitlab",
    "bitbucket.org": "bitbucket",
}


#: Name of the record of an organisation's GitHub App, and keys of its secrets.
APP_RECORD = "github"
APP_KEY, APP_WEBHOOK = "private_key", "webhook_secret"


def value_of(secrets: Mapping[str, Mapping[str, Any]], key: str) -> str | None:
    """Return a secret of a scope, or None."""
    found = secrets.get(key)
    return None if found is None else str(found["value"])


def app_scope(org: str) -> str:
    """Return the scope of the keys of an organisation's GitHub App."""
    return f"github-app/{org}"


def app_of(records: Records, org: str) -> GithubApp | None:
    found: GithubApp | None = records.apps.get(org, APP_RECORD)
    return found


def app_key(vault: SecretVault, org: str) -> str | None:
    """Return the private key of the App, or None without an App."""
    return value_of(vault.read(app_scope(org)), APP_KEY)


def webhook_secret(vault: SecretVault, org: str) -> str | None:
    """Return the secret of the App's webhooks, or None without an App."""
    return value_of(vault.read(app_scope(org)), APP_WEBHOOK)


def trigger_scope(org: str, name: str) -> str:
    """Return the scope of the secrets of a trigger: of its webhook, and a token."""
    return f"trigger/{org}/{name}"


def secret_for(url: str) -> str | None:
    """Return the name of the secret with a user's token for the host of an address, or None."""
    known = _HOSTS.get(urlsplit(url).hostname or "")
    return None if known is None else GIT_APIS[known].token_secret


class GitTokens:
    """Tokens for repositories."""

    def __init__(self, records: Records, vault: SecretVault, github: GithubAppApi) -> None:
        self._records = records
        self._vault = vault
        self._github = github

    def of_trigger(self, org: str, trigger: t.Trigger) -> str | None:
        """Return the token of a trigger's provider, or None.

        Raises:
            DeliveryError: The trigger is suspended, or GitHub gives its App no token.
        """
        if (why := why_suspended(self._records, org, trigger)) is not None:
            raise DeliveryError(why)
        if trigger.app:
            return self.of_app(org, trigger.repository)
        return self.stored(org, trigger.name)

    def of_app(self, org: str, repository: str, *, left: float = TOKEN_LEFT) -> str:
        """Return a token of the App for a repository at an address; raises `DeliveryError`.

        It is valid for at least ``left`` seconds.
        """
        app, key = app_of(self._records, org), app_key(self._vault, org)
        if app is None or key is None:
            raise DeliveryError(
                "the organisation has no GitHub App any more: conducto trigger github-app create"
            )
        if not same_host(app.host, repository):
            raise DeliveryError(f"the GitHub App is at {app.host}, not at {repository}")
        return self._github.token(app, key, repository_of(repository), left=left)

    def stored(self, org: str, name: str) -> str | None:
        return value_of(self._vault.read(trigger_scope(org, name)), TOKEN)

    def renewing(self, org: str, trigger: t.Trigger, call: Callable[[], R]) -> R:
        """Return the result of a call with a trigger's token; repeat it if the App's fails."""
        try:
            return call()
        except (TokenDeliveryError, RepositoryDeniedError):
            if not trigger.app:
                raise
        self.forget(org, trigger.repository)
        return call()

    def forget(self, org: str, repository: str) -> None:
        """Forget the token of the App for a repository, which GitHub rejected."""
        app = app_of(self._records, org)
        if app is not None:
            self._github.forget(app, repository_of(repository))

    def lent_address(
        self,
        org: str,
        url: str,
        *,
        trigger: str | None = None,
        user: str | None = None,
        left: float = TOKEN_LEFT,
    ) -> str:
        """Return an address to clone from, with the current token of a trigger or a user.

        Args:
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
            return self._lent_by(org, trigger, url, left)
        if user is None:
            return url
        lent = self.with_secret(org, user, url)
        if lent is None:
            secret = secret_for(url) or "token"
            raise RefusedError(
                f"{url} cannot be cloned: {user} has no secret {secret} any more; launch again "
                "with your own"
            )
        return lent

    def with_secret(self, org: str, user: str, url: str) -> str | None:
        """Return an address with the token in the secrets of a user, or None without one."""
        known = _HOSTS.get(urlsplit(url).hostname or "")
        if known is None:
            return None
        # The commands of the launch get the same secrets.
        token = inject(self._vault, org, user).env.get(GIT_APIS[known].token_secret)
        return with_token(url, known, token) if token else None

    def clone_logins(self, org: str, clone: CloneSource, *, left: float) -> Mapping[str, str]:
        """Return the variables with which `build.sh` clones a repository and listed submodules.

        Args:
            org: The organisation.
            clone: The repository.
            left: Seconds for which a token of a GitHub App is valid at least.

        Raises:
            RefusedError: There is no token any more.
            DeliveryError: GitHub returns none now.
        """

        def login(url: str) -> str:
            lent = self.lent_address(org, url, trigger=clone.trigger, user=clone.user, left=left)
            return git_access(lent).login

        found = {LOGIN: login(clone.url)}
        triggers = self._records.triggers
        trigger = None if clone.trigger is None else triggers.get(org, clone.trigger)
        if trigger is not None and trigger.submodules:
            found[SUBMODULE_LOGINS] = "\n".join(map(login, trigger.submodules))
        return found

    def _lent_by(self, org: str, name: str, url: str, left: float) -> str:
        trigger = self._records.triggers.get(org, name)
        if trigger is None or not (trigger.app or trigger.has_token):
            raise RefusedError(f"there is no trigger {name!r} with a token to clone {url}")
        if not any(same_repository(one, url) for one in (trigger.repository, *trigger.submodules)):
            raise RefusedError(f"{url} is not the repository of the trigger {name!r}")
        if (why := why_suspended(self._records, org, trigger)) is not None:
            raise RefusedError(f"{url} cannot be cloned: {why}")
        try:
            if trigger.app:
                token: str | None = self.of_app(org, url, left=left)
            else:
                token = self.of_trigger(org, trigger)
            return with_token(url, trigger.provider, token)
        except DeliveryError as error:
            if error.temporary:
                raise
            raise RefusedError(f"{url} cannot be cloned: {error}") from error


@dataclass(frozen=True)
class GitPorts:
    """APIs of Git providers, the refs of repositories, GitHub's API of apps, and tokens."""

    provider: GitProvider
    refs: GitRefs
    github: GithubAppApi
    tokens: GitTokens
