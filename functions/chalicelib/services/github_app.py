"""The GitHub App of an organisation: its creation by a manifest, and its tokens.

A browser posts the manifest to GitHub, which sends the person back with a code. The code is
exchanged here for the App's keys, which are kept in the vault only.
"""

import hmac
import json
from collections.abc import Mapping
from secrets import token_urlsafe
from typing import Any
from urllib.parse import quote, urlsplit

from chalicelib.ports.errors import ConflictError
from chalicelib.ports.identity import Identity
from chalicelib.ports.triggers import TOKEN_LEFT
from chalicelib.services.dependencies import Dependencies
from conducto.integrations.http import DeliveryError, is_this_machine
from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.model import github_app as g
from conducto_core.model.operations.operation import API_ROOT
from conducto_core.notifications.trigger_api import github_api
from conducto_core.semantics.trigger_launch import repository_of, same_host

#: Name of the App's webhook in its path; names of triggers do not contain ``~``.
APP_HOOK = "~github"
_RECORD = "github"
_KEY, _WEBHOOK, _START = "private_key", "webhook_secret", "start"
_EVENTS = ("push", "pull_request", "create", "delete")
_PERMISSIONS = {
    "contents": "read",
    "metadata": "read",
    "pull_requests": "read",
    "statuses": "write",
}


def app_scope(org: str) -> str:
    """Return the scope of the keys of an organisation's GitHub App."""
    return f"github-app/{org}"


def app_of(cloud: Dependencies, org: str) -> g.GithubApp | None:
    """Return the GitHub App of an organisation."""
    found: g.GithubApp | None = cloud.apps.get(org, _RECORD)
    return found


def webhook_secret(cloud: Dependencies, org: str) -> str | None:
    """Return the secret of the App's webhooks, or None without an App."""
    return _value(cloud.vault.read(app_scope(org)), _WEBHOOK)


def app_token(cloud: Dependencies, org: str, repository: str, *, left: float = TOKEN_LEFT) -> str:
    """Return a token of the App for a repository at an address; raises `DeliveryError`.

    It is valid for at least ``left`` seconds.
    """
    app = app_of(cloud, org)
    key = _value(cloud.vault.read(app_scope(org)), _KEY)
    if app is None or key is None:
        raise DeliveryError(
            "the organisation has no GitHub App any more: conducto trigger github-app create"
        )
    if not same_host(app.host, repository):
        raise DeliveryError(f"the GitHub App is at {app.host}, not at {repository}")
    return cloud.github.token(app, key, repository_of(repository), left=left)


def forget_token(cloud: Dependencies, org: str, repository: str) -> None:
    """Forget the token of the App for a repository, which GitHub rejected."""
    app = app_of(cloud, org)
    if app is not None:
        cloud.github.forget(app, repository_of(repository))


class GithubAppSetup:
    """The GitHub App of the caller's organisation; the caller administrates it."""

    def __init__(self, cloud: Dependencies, caller: Identity) -> None:
        self._cloud = cloud
        self._me = caller

    def view(self) -> g.GithubAppView:
        """Return the App."""
        return g.GithubAppView(app=app_of(self._cloud, self._me.org))

    def start(self, request: g.GithubAppRequest) -> g.GithubAppStart:
        """Return the form that creates an App."""
        self._check_none()
        host = request.host.rstrip("/")
        parts = urlsplit(host)
        if parts.scheme == "http" and not is_this_machine(parts.hostname or ""):
            raise RefusedError(f"host: {host} would send the keys without encryption; use https://")
        state = token_urlsafe(32)
        begun = {"state": state, "host": host, "user": self._me.user, "time": self._cloud.clock()}
        self._replace({_START: {"value": json.dumps(begun)}})
        owner = "" if request.account is None else f"/organizations/{quote(request.account)}"
        return g.GithubAppStart(
            address=f"{host}{owner}/settings/apps/new?state={state}",
            manifest=json.dumps(self._manifest(request)),
            state=state,
        )

    def _manifest(self, request: g.GithubAppRequest) -> dict[str, object]:
        hook = f"{self._cloud.url().rstrip('/')}{API_ROOT}/hooks/{self._me.org}~{APP_HOOK}"
        return {
            "name": request.title,
            "url": self._cloud.web_app() or self._cloud.url(),
            "hook_attributes": {"url": hook, "active": True},
            "redirect_url": request.redirect,
            "public": False,
            "default_permissions": _PERMISSIONS,
            "default_events": list(_EVENTS),
        }

    def finish(self, given: g.GithubAppCode) -> g.GithubApp:
        """Store the keys of the App that GitHub created for the caller."""
        self._check_none()
        host = self._begun(given.state)
        api = github_api(host, self._cloud.git.settings)
        try:
            keys = self._cloud.github.exchange(api, given.code)
        except DeliveryError as error:
            raise RefusedError(f"GitHub did not accept the code: {error}") from error
        self._replace({_KEY: {"value": keys.private_key}, _WEBHOOK: {"value": keys.webhook_secret}})
        app = g.GithubApp(
            id=keys.id,
            slug=keys.slug,
            host=host,
            api=api,
            page=keys.page.rstrip("/"),
            created_by=self._me.user,
            created=self._cloud.clock(),
        )
        self._cloud.apps.put(self._me.org, app)
        return app

    def delete(self) -> g.GithubAppView:
        """Delete the App's record and its keys."""
        if app_of(self._cloud, self._me.org) is None:
            raise NotFoundError("the organisation has no GitHub App")
        self._cloud.apps.delete(self._me.org, _RECORD)
        self._replace({})
        return self.view()

    def _check_none(self) -> None:
        app = app_of(self._cloud, self._me.org)
        if app is not None:
            raise RefusedError(
                f"the organisation has the GitHub App {app.slug} already; delete it first: "
                "conducto trigger github-app rm"
            )

    def _begun(self, state: str) -> str:
        """Return the host of the App that the caller began to create."""
        text = _value(self._cloud.vault.read(app_scope(self._me.org)), _START)
        nothing = {"state": "", "user": "", "time": 0.0}
        begun: dict[str, Any] = nothing if text is None else json.loads(text)
        fresh = self._cloud.clock() - begun["time"] <= g.START_SECONDS
        same = hmac.compare_digest(begun["state"].encode(), state.encode())
        if not (fresh and same and begun["user"] == self._me.user):
            raise RefusedError(
                "this is not the App that you began to create within the last hour; start again"
            )
        return str(begun["host"])

    def _replace(self, secrets: Mapping[str, Mapping[str, Any]]) -> None:
        scope = app_scope(self._me.org)
        _, version = self._cloud.vault.look(scope)
        try:
            self._cloud.vault.replace(scope, secrets, version)
        except ConflictError as error:
            raise RefusedError("the GitHub App is changed by another request; try again") from error


def _value(secrets: Mapping[str, Mapping[str, Any]], key: str) -> str | None:
    found = secrets.get(key)
    return None if found is None else str(found["value"])
