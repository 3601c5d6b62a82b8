"""The providers of git repositories: the words and the paths of their APIs, in one table."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from conducto_core.model.states import State


@dataclass(frozen=True, slots=True)
class GitApi:
    """The API of a provider.

    Attributes:
        token_secret: Name of the secret with a token.
        token_user: User name with which the provider accepts a token as the password of a clone.
        states: The words of the provider for the states of a pipeline that has ended.
        pending: Its word for every other state.
        invalid: The status of a commit whose configuration file is invalid.
        name_field: Field with the name of a status.
        max_description: Maximum length of its description.
        root: Path of a repository.
        commits: Path of its commits.
        files: Path of its files.
        whole: Slashes in the name of a repository are escaped, too.
    """

    token_secret: str
    token_user: str
    states: Mapping[State, str]
    pending: str
    invalid: str
    name_field: str
    max_description: int
    root: str
    commits: str
    files: str
    whole: bool

    def state(self, state: State) -> str:
        """Return the word of the provider for the state of a pipeline."""
        return self.states.get(state, self.pending)

    def statuses_path(self, repository: str, sha: str) -> str:
        """Return the path that takes the status of a commit."""
        return f"{self._path(repository)}/statuses/{quote(sha, safe='')}"

    def commit_path(self, repository: str, ref: str) -> str:
        """Return the path of the commit of a branch, a tag, or ``HEAD``."""
        return f"{self._path(repository)}{self.commits}{quote(ref, safe='')}"

    def file_path(self, repository: str, sha: str, file: str) -> str:
        """Return the path of a file at a commit."""
        return f"{self._path(repository)}{self.files}{quote(file, safe='')}?ref={quote(sha)}"

    def _path(self, repository: str) -> str:
        return f"{self.root}/{quote(repository, safe='' if self.whole else '/')}"


#: The providers whose API is known; a generic sender has none.
GIT_APIS: Mapping[str, GitApi] = {
    "github": GitApi(
        token_secret="GITHUB_TOKEN",  # noqa: S106 (the names of the secrets)
        token_user="x-access-token",  # noqa: S106
        states={State.DONE: "success", State.ERROR: "failure", State.KILLED: "error"},
        pending="pending",
        invalid="error",
        name_field="context",
        max_description=140,
        root="/repos",
        commits="/commits/",
        files="/contents/",
        whole=False,
    ),
    "gitlab": GitApi(
        token_secret="GITLAB_TOKEN",  # noqa: S106
        token_user="oauth2",  # noqa: S106
        states={State.DONE: "success", State.ERROR: "failed", State.KILLED: "canceled"},
        pending="running",
        invalid="failed",
        name_field="name",
        max_description=255,
        root="/projects",
        commits="/repository/commits/",
        files="/repository/files/",
        whole=True,
    ),
}
