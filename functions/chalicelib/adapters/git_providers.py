"""The APIs of GitHub and GitLab: commits and files of a repository."""

import base64
import binascii

from conducto.integrations.http import DeliveryError, NotFoundDeliveryError, get_json
from conducto_core.model.triggers import Trigger
from conducto_core.notifications.channels import CommitStatus, post_status
from conducto_core.notifications.settings import Settings
from conducto_core.notifications.trigger_api import api_of, settings_of
from conducto_core.semantics.git_providers import GIT_APIS, GitApi
from conducto_core.semantics.trigger_launch import repository_of


class GitProviders:
    """A `chalicelib.ports.triggers.GitProvider`.

    Args:
        settings: The addresses; those of the API at github.com, and whether only public addresses
            may be called.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @property
    def settings(self) -> Settings:
        """The addresses of the APIs."""
        return self._settings

    def commit(self, trigger: Trigger, token: str | None, ref: str) -> str:
        """Return the commit of a branch, a tag, or ``HEAD``."""
        path = _api(trigger).commit_path(repository_of(trigger.repository), ref)
        found = self._get(trigger, token, path)
        sha = found.get("sha") or found.get("id")
        if not isinstance(sha, str):
            raise DeliveryError(f"the provider returned no commit for {ref!r}")
        return sha

    def read_file(
        self, trigger: Trigger, token: str | None, repository: str, sha: str, path: str
    ) -> bytes | None:
        """Return a file at a commit, or None if there is none."""
        try:
            found = self._get(trigger, token, _api(trigger).file_path(repository, sha, path))
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
        name = repository_of(trigger.repository)
        status = CommitStatus(name, sha, _api(trigger).invalid, description, page)
        post_status(trigger.provider, settings_of(trigger, self._settings), status, token)

    def _get(self, trigger: Trigger, token: str | None, path: str) -> dict[str, object]:
        url = api_of(trigger, self._settings) + path
        return get_json(url, token, public_only=self._settings.public_only)


def _api(trigger: Trigger) -> GitApi:
    return GIT_APIS[trigger.provider]
