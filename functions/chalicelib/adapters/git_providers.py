"""The APIs of GitHub and GitLab: commits and files of a repository."""

import base64
import binascii
from urllib.parse import quote

from conducto.integrations.http import DeliveryError, NotFoundDeliveryError, get_json
from conducto_core.model.triggers import Trigger
from conducto_core.notifications.channels import (
    CommitStatus,
    check_public,
    post_github_status,
    post_gitlab_status,
)
from conducto_core.notifications.settings import Settings
from conducto_core.notifications.trigger_api import api_of, settings_of
from conducto_core.semantics.trigger_launch import repository_of


class GitProviders:
    """A `chalicelib.ports.triggers.GitProvider`.

    Args:
        settings: The addresses; those of the API at github.com, and whether only public addresses
            may be called.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def commit(self, trigger: Trigger, token: str | None, ref: str) -> str:
        """Return the commit of a branch, a tag, or ``HEAD``."""
        name = quote(ref, safe="")
        found = self._get(trigger, token, self._commits(trigger) + name)
        sha = found.get("sha") or found.get("id")
        if not isinstance(sha, str):
            raise DeliveryError(f"the provider returned no commit for {ref!r}")
        return sha

    def read_file(
        self, trigger: Trigger, token: str | None, repository: str, sha: str, path: str
    ) -> bytes | None:
        """Return a file at a commit, or None if there is none."""
        file = quote(path, safe="")
        if trigger.provider == "gitlab":
            folder = f"/projects/{quote(repository, safe='')}/repository/files/"
        else:
            folder = f"/repos/{quote(repository)}/contents/"
        try:
            found = self._get(trigger, token, f"{folder}{file}?ref={quote(sha)}")
        except NotFoundDeliveryError:
            return None
        try:
            return base64.b64decode(str(found["content"]))
        except (KeyError, binascii.Error) as error:
            raise DeliveryError(f"the provider returned no content of {path}") from error

    def set_status(
        self, trigger: Trigger, token: str, sha: str, description: str, page: str | None
    ) -> None:
        """Report on a commit that its configuration is invalid."""
        name, settings = repository_of(trigger.repository), settings_of(trigger, self._settings)
        if trigger.provider == "gitlab":
            status = CommitStatus("failed", description, page)
            post_gitlab_status(settings, name, sha, status, token)
        else:
            status = CommitStatus("error", description, page)
            post_github_status(settings, name, sha, status, token)

    def _commits(self, trigger: Trigger) -> str:
        name = repository_of(trigger.repository)
        if trigger.provider == "gitlab":
            return f"/projects/{quote(name, safe='')}/repository/commits/"
        return f"/repos/{quote(name)}/commits/"

    def _get(self, trigger: Trigger, token: str | None, path: str) -> dict[str, object]:
        url = api_of(trigger, self._settings) + path
        if self._settings.public_only:
            check_public(url)
        return get_json(url, token)
