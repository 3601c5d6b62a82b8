"""The GitHub App of an organisation: its creation by a manifest, and its tokens.

A browser posts the manifest to GitHub, which sends the person back with a code. The code is
exchanged here for the App's keys, which are kept in the vault only.
"""

import hmac
import json
import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from secrets import token_urlsafe
from typing import Any
from urllib.parse import quote, urlsplit

from chalicelib.errors import ConflictError
from chalicelib.installation import Installation
from chalicelib.people.port import Identity, SecretVault
from chalicelib.records import Records
from chalicelib.triggers.port import TOKEN_LEFT, AppKeys, GithubAppApi
from chalicelib.triggers.tokens import (
    APP_KEY,
    APP_RECORD,
    APP_WEBHOOK,
    GitPorts,
    app_key,
    app_of,
    app_scope,
    value_of,
)
from conducto.integrations.http import (
    DeliveryError,
    NotFoundDeliveryError,
    RefusedDeliveryError,
    get_json,
    get_list,
    is_this_machine,
    post_json,
)
from conducto_core.api.operation import API_ROOT
from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.notifications.channels import Settings
from conducto_core.triggers import model as g
from conducto_core.triggers.model import GithubApp
from conducto_core.triggers.provider_api import github_api

logger = logging.getLogger(__name__)

#: Name of the App's webhook in its path; names of triggers do not contain ``~``.
APP_HOOK = "~github"
#: Minutes between requests for missed webhooks.
MISSED_MINUTES = 10
_START = "start"
_EVENTS = ("push", "pull_request", "create", "delete", "merge_group", "issue_comment", "check_run")
#: Of the App. Tokens have those that they need; a person may not have accepted newer ones.
_PERMISSIONS = {
    "checks": "write",
    "contents": "read",
    "issues": "read",
    "merge_queues": "read",
    "metadata": "read",
    "pull_requests": "read",
    "statuses": "write",
}


def request_missed(
    records: Records, vault: SecretVault, github: GithubAppApi, clock: Callable[[], float]
) -> None:
    """Request the webhooks of GitHub Apps that failed since the last time but one.

    GitHub does not repeat a webhook that was throttled or met an error.
    """
    now = clock()
    if int(now // 60) % MISSED_MINUTES:
        return
    for org in records.deliveries.watched():
        app, key = app_of(records, org), app_key(vault, org)
        if app is None or key is None:
            continue
        try:
            count = github.redeliver(app, key, now - 2 * 60 * MISSED_MINUTES)
        except DeliveryError as error:
            logger.warning("missed webhooks were not requested: %s", error, extra={"org": org})
        else:
            if count:
                logger.info("%s missed webhooks were requested", count, extra={"org": org})


class GithubAppSetup:
    """The GitHub App of the caller's organisation; the caller administrates it."""

    def __init__(
        self,
        records: Records,
        git: GitPorts,
        installation: Installation,
        vault: SecretVault,
        clock: Callable[[], float],
        *,
        caller: Identity,
    ) -> None:
        self._records = records
        self._git = git
        self._installation = installation
        self._vault = vault
        self._clock = clock
        self._me = caller

    def view(self) -> g.GithubAppView:
        return g.GithubAppView(app=app_of(self._records, self._me.org))

    def start(self, request: g.GithubAppRequest) -> g.GithubAppStart:
        """Return the form that creates an App."""
        self._check_none()
        host = request.host.rstrip("/")
        parts = urlsplit(host)
        if parts.scheme == "http" and not is_this_machine(parts.hostname or ""):
            raise RefusedError(f"host: {host} would send the keys without encryption; use https://")
        state = token_urlsafe(32)
        begun = {"state": state, "host": host, "user": self._me.user, "time": self._clock()}
        self._replace({_START: {"value": json.dumps(begun)}})
        owner = "" if request.account is None else f"/organizations/{quote(request.account)}"
        return g.GithubAppStart(
            address=f"{host}{owner}/settings/apps/new?state={state}",
            manifest=json.dumps(self._manifest(request)),
            state=state,
        )

    def _manifest(self, request: g.GithubAppRequest) -> dict[str, object]:
        hook = f"{self._installation.url().rstrip('/')}{API_ROOT}/hooks/{self._me.org}~{APP_HOOK}"
        return {
            "name": request.title,
            "url": self._installation.web_app() or self._installation.url(),
            "hook_attributes": {"url": hook, "active": True},
            "redirect_url": request.redirect,
            "public": False,
            "default_permissions": _PERMISSIONS,
            "default_events": list(_EVENTS),
        }

    def finish(self, given: g.GithubAppCode) -> g.GithubApp:
        """Store the keys of the App that GitHub created for the caller."""
        self._check_none()
        host = self._host_of_setup(given.state)
        api = github_api(host, self._git.provider.settings)
        try:
            keys = self._git.github.exchange(api, given.code)
        except DeliveryError as error:
            raise RefusedError(f"GitHub did not accept the code: {error}") from error
        self._replace(
            {APP_KEY: {"value": keys.private_key}, APP_WEBHOOK: {"value": keys.webhook_secret}}
        )
        app = g.GithubApp(
            id=keys.id,
            slug=keys.slug,
            host=host,
            api=api,
            page=keys.page.rstrip("/"),
            created_by=self._me.user,
            created=self._clock(),
        )
        self._records.apps.put(self._me.org, app)
        self._records.deliveries.watch(self._me.org, on=True)
        return app

    def delete(self) -> g.GithubAppView:
        """Delete the App's record and its keys."""
        if app_of(self._records, self._me.org) is None:
            raise NotFoundError("the organisation has no GitHub App")
        self._records.apps.delete(self._me.org, APP_RECORD)
        self._records.deliveries.watch(self._me.org, on=False)
        self._replace({})
        return self.view()

    def _check_none(self) -> None:
        app = app_of(self._records, self._me.org)
        if app is not None:
            raise RefusedError(
                f"the organisation has the GitHub App {app.slug} already; delete it first: "
                "conducto trigger github-app rm"
            )

    def _host_of_setup(self, state: str) -> str:
        """Return the host of the App that the caller began to create."""
        text = value_of(self._vault.read(app_scope(self._me.org)), _START)
        nothing = {"state": "", "user": "", "time": 0.0}
        begun: dict[str, Any] = nothing if text is None else json.loads(text)
        fresh = self._clock() - begun["time"] <= g.START_SECONDS
        same = hmac.compare_digest(begun["state"].encode(), state.encode())
        if not (fresh and same and begun["user"] == self._me.user):
            raise RefusedError(
                "this is not the App that you began to create within the last hour; start again"
            )
        return str(begun["host"])

    def _replace(self, secrets: Mapping[str, Mapping[str, Any]]) -> None:
        scope = app_scope(self._me.org)
        _, version = self._vault.read_version(scope)
        try:
            self._vault.replace(scope, secrets, version)
        except ConflictError as error:
            raise RefusedError("the GitHub App is changed by another request; try again") from error


# ----------------------------------------------------------------------------------------
# GitHub's API for Apps: the exchange of a manifest's code, and tokens of installations.
#
# An App proves itself by a JWT of ten minutes, which its private key signs. A token of an
# installation is for one repository and one hour.


#: Seconds by which the clocks of GitHub and of this machine may differ.
_SKEW = 60
#: Seconds for which a JWT is valid; GitHub accepts ten minutes.
_JWT_SECONDS = 540
_PERMISSIONS_GITHUB_APP = {"contents": "read", "metadata": "read", "pull_requests": "read"}


class GithubApps:
    """A `chalicelib.triggers.port.GithubAppApi`.

    Args:
        settings: Whether only public addresses may be called.
        clock: Seconds since the epoch.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        self._public_only = settings.public_only
        self._clock = clock
        self._tokens: dict[tuple[str, int, str], tuple[str, float]] = {}

    def exchange(self, api: str, code: str) -> AppKeys:
        """Return the keys of the App that was created."""
        url = f"{api}/app-manifests/{quote(code, safe='')}/conversions"
        found = post_json(url, {}, None, public_only=self._public_only)
        try:
            return AppKeys(
                id=int(found["id"]),
                slug=str(found["slug"]),
                page=str(found["html_url"]),
                private_key=str(found["pem"]),
                webhook_secret=str(found["webhook_secret"]),
            )
        except (KeyError, ValueError, TypeError):
            # No cause: the response has the keys.
            raise DeliveryError("GitHub returned no keys for the App") from None

    def token(
        self, app: GithubApp, private_key: str, repository: str, *, left: float = TOKEN_LEFT
    ) -> str:
        """Return a token for a repository, which is valid for at least ``left`` seconds."""
        key = _key(app, repository)
        token, expires = self._tokens.get(key, ("", 0.0))
        if self._clock() + left >= expires:
            token, expires = self._new_token(app, private_key, repository)
            self._tokens[key] = (token, expires)
        return token

    def forget(self, app: GithubApp, repository: str) -> None:
        """Ask for a new token for a repository the next time."""
        self._tokens.pop(_key(app, repository), None)

    def redeliver(self, app: GithubApp, private_key: str, after: float) -> int:
        """Request the webhooks since ``after`` that failed; return how many."""
        proof = self._proof(app, private_key)
        place = f"{app.api}/app/hook/deliveries"
        found = get_list(f"{place}?per_page=100", proof, public_only=self._public_only)
        failed: dict[str, int] = {}
        # The newest first: a webhook that arrived later is not missed.
        arrived = {each["guid"] for each in found if _is_accepted(each)}
        for each in found:
            if datetime.fromisoformat(each["delivered_at"]).timestamp() >= after:
                failed.setdefault(each["guid"], int(each["id"]))
        missed = [number for guid, number in failed.items() if guid not in arrived]
        for number in missed:
            post_json(f"{place}/{number}/attempts", {}, proof, public_only=self._public_only)
        return len(missed)

    def _new_token(self, app: GithubApp, private_key: str, repository: str) -> tuple[str, float]:
        proof = self._proof(app, private_key)
        place = f"{app.api}/repos/{quote(repository)}/installation"
        try:
            installation = get_json(place, proof, public_only=self._public_only)
        except NotFoundDeliveryError as error:
            raise DeliveryError(
                f"the GitHub App is not installed for {repository}: {app.install_page}"
            ) from error
        url = f"{app.api}/app/installations/{quote(str(installation.get('id')))}/access_tokens"
        needed = {**_PERMISSIONS_GITHUB_APP, "statuses": "write"}
        try:
            found = self._granted(url, repository, {**needed, "checks": "write"}, proof)
        except RefusedDeliveryError:  # nobody has accepted the checks of an older App yet
            found = self._granted(url, repository, needed, proof)
        try:
            expires = datetime.fromisoformat(str(found["expires_at"])).timestamp()
            return str(found["token"]), expires
        except (KeyError, ValueError):
            raise DeliveryError(f"GitHub returned no token for {repository}") from None

    def _granted(
        self, url: str, repository: str, permissions: Mapping[str, str], proof: str
    ) -> dict[str, Any]:
        name = repository.rpartition("/")[2]
        wanted = {"repositories": [name], "permissions": dict(permissions)}
        return post_json(url, wanted, proof, public_only=self._public_only)

    def _proof(self, app: GithubApp, private_key: str) -> str:
        import jwt  # noqa: PLC0415  most processes never sign one

        now = int(self._clock())
        claims = {"iat": now - _SKEW, "exp": now + _JWT_SECONDS, "iss": str(app.id)}
        try:
            return jwt.encode(claims, private_key, algorithm="RS256")
        except (ValueError, TypeError, jwt.PyJWTError):
            raise DeliveryError("the private key of the GitHub App cannot be read") from None


def _is_accepted(delivery: Mapping[str, Any]) -> bool:
    """Return whether a webhook arrived, or was rejected for a reason that repeating keeps."""
    # 0: there was no response. 401: the signature, 404: the trigger, 413: the size.
    return str(delivery["status_code"])[0] in "23" or delivery["status_code"] in (401, 404, 413)


def _key(app: GithubApp, repository: str) -> tuple[str, int, str]:
    return app.api, app.id, repository.casefold()
