"""Git repositories on servers of any provider."""

from dataclasses import dataclass
from typing import Protocol

from conducto.integrations.http import DeliveryError


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
