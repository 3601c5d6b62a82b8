"""Git triggers: the webhooks that were received, and the providers' APIs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from conducto.integrations.http import DeliveryError
from conducto_core.notifications.channels import Settings
from conducto_core.triggers.model import GitEvent, GithubApp, Trigger
from conducto_core.triggers.rules.git_api import ChangedFile

#: Seconds of validity that a token of a GitHub App usually has when it is used.
TOKEN_LEFT = 600.0


@dataclass(frozen=True, slots=True)
class AppKeys:
    """The keys of a GitHub App that was created.

    Attributes:
        page: The App's page at GitHub.
    """

    id: int
    slug: str
    page: str
    private_key: str = field(repr=False)
    webhook_secret: str = field(repr=False)


class GithubAppApi(Protocol):
    """GitHub's API for Apps."""

    def exchange(self, api: str, code: str) -> AppKeys:
        """Return the keys of the App that was created; raises `DeliveryError`."""

    def token(
        self, app: GithubApp, private_key: str, repository: str, *, left: float = TOKEN_LEFT
    ) -> str:
        """Return a token for ``owner/name``, if the App is installed there.

        It is valid for at least ``left`` seconds, of which there are at most 3600.

        Raises:
            DeliveryError: It is not, or GitHub is unreachable.
        """

    def redeliver(self, app: GithubApp, private_key: str, after: float) -> int:
        """Request the webhooks since ``after`` that failed; return how many.

        Raises:
            DeliveryError: GitHub is unreachable, or rejects the key.
        """

    def forget(self, app: GithubApp, repository: str) -> None:
        """Return no more the token for ``owner/name`` that `token` returned last."""


class GitProvider(Protocol):
    """The API of a provider."""

    @property
    def settings(self) -> Settings:
        """The addresses of the APIs."""

    def commit(
        self, trigger: Trigger, token: str | None, ref: str, repository: str | None = None
    ) -> str:
        """Return the commit of a branch, a tag, the beginning of its hash, or ``HEAD``.

        ``repository``: Its name; None for that of the trigger.

        Raises:
            DeliveryError: There is none, or the provider cannot be asked.
        """

    def read_file(
        self, trigger: Trigger, token: str | None, repository: str, sha: str, path: str
    ) -> bytes | None:
        """Return a file at a commit, or None if there is none; raises `DeliveryError`."""

    def changed_files(
        self, trigger: Trigger, token: str | None, event: GitEvent
    ) -> tuple[ChangedFile, ...] | None:
        """Return the files that an event changed; None if they are not known.

        Raises:
            DeliveryError: The provider cannot be asked.
        """

    def pull_request(self, trigger: Trigger, token: str | None, event: GitEvent) -> GitEvent:
        """Return an event with the commit of its pull request; raises `DeliveryError`."""

    def person_id(self, trigger: Trigger, token: str | None, login: str) -> str:
        """Return the number of a person; raises `DeliveryError`."""

    def set_check(
        self, trigger: Trigger, token: str, sha: str, bodies: Sequence[Mapping[str, Any]]
    ) -> bool:
        """Create or update the check run of a pipeline; return False if the token may not.

        Raises:
            DeliveryError: The provider did not accept it.
        """

    def set_status(
        self, trigger: Trigger, token: str, sha: str, description: str, page: str | None
    ) -> None:
        """Report on a commit that its configuration is invalid; raises `DeliveryError`."""


# ----------------------------------------------------------------------------------------
# Git repositories on servers of any provider.


class RepositoryDeniedError(DeliveryError):
    """The repository does not exist, or the caller may not read it: servers do not say which."""


@dataclass(frozen=True, slots=True)
class GitRef:
    """A branch or tag, and its commit."""

    name: str
    commit: str


class GitRefs(Protocol):
    """The branches and tags of repositories."""

    def find(self, url: str, ref: str) -> GitRef | None:
        """Return a branch, a tag, or the default branch for ``HEAD``; None if there is none.

        Args:
            url: An http address; it may have a password.
            ref: The name.

        Raises:
            RepositoryDeniedError: The repository cannot be read.
            DeliveryError: The server cannot be reached, or is not a Git server.
        """
