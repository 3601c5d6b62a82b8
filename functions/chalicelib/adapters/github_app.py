"""GitHub's API for Apps: the exchange of a manifest's code, and tokens of installations.

An App proves itself by a JWT of ten minutes, which its private key signs. A token of an
installation is for one repository and one hour.
"""

from collections.abc import Callable
from datetime import datetime
from urllib.parse import quote

from chalicelib.ports.triggers import TOKEN_LEFT, AppKeys
from conducto.integrations.http import (
    DeliveryError,
    NotFoundDeliveryError,
    get_json,
    post_json,
)
from conducto_core.model.github_app import GithubApp
from conducto_core.notifications.settings import Settings

#: Seconds by which the clocks of GitHub and of this machine may differ.
_SKEW = 60
#: Seconds for which a JWT is valid; GitHub accepts ten minutes.
_JWT_SECONDS = 540
_PERMISSIONS = {"contents": "read", "metadata": "read", "pull_requests": "read"}


class GithubApps:
    """A `chalicelib.ports.triggers.GithubAppApi`.

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
        wanted = {
            "repositories": [repository.rpartition("/")[2]],
            "permissions": {**_PERMISSIONS, "statuses": "write"},
        }
        found = post_json(url, wanted, proof, public_only=self._public_only)
        try:
            expires = datetime.fromisoformat(str(found["expires_at"])).timestamp()
            return str(found["token"]), expires
        except (KeyError, ValueError):
            raise DeliveryError(f"GitHub returned no token for {repository}") from None

    def _proof(self, app: GithubApp, private_key: str) -> str:
        import jwt  # noqa: PLC0415  most processes never sign one

        now = int(self._clock())
        claims = {"iat": now - _SKEW, "exp": now + _JWT_SECONDS, "iss": str(app.id)}
        try:
            return jwt.encode(claims, private_key, algorithm="RS256")
        except (ValueError, TypeError, jwt.PyJWTError):
            raise DeliveryError("the private key of the GitHub App cannot be read") from None


def _key(app: GithubApp, repository: str) -> tuple[str, int, str]:
    return app.api, app.id, repository.casefold()
