"""The API of a provider of git repositories: its words and paths. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import quote

from conducto_core.run.model.states import State


class EventError(ValueError):
    """The body of a webhook is not what its provider sends; the message names the field."""


class CommitStatus(NamedTuple):
    """The status of a commit, in the words of its provider."""

    repository: str
    sha: str
    state: str
    description: str
    page: str | None = None
    context: str = "conducto pipeline"


@dataclass(frozen=True, slots=True)
class ChangedFile:
    """A file that a commit changed.

    Attributes:
        old_path: Its path before; the same if it was not renamed.
        patch: Its unified difference, or "" if the provider leaves it out.
    """

    path: str
    old_path: str
    patch: str = ""


#: Returns the files of a difference of two commits; None if some may be missing.
ReadFiles = Callable[[Mapping[str, Any]], tuple[ChangedFile, ...] | None]


@dataclass(frozen=True, slots=True)
class GitApi:
    """The API of a provider.

    Attributes:
        name: Name for people.
        token_secret: Name of the secret with a token.
        token_user: User name with which the provider accepts a token as the password of a clone.
        server: Path of the API at other hosts than the usual one.
        states: The words of the provider for the states of a pipeline that has ended.
        pending: Its word for every other state.
        invalid: The status of a commit whose configuration file is invalid.
        max_description: Maximum length of the description of a status.
        root: Path of a repository.
        commits: Path of a commit of it.
        files: Path of a file.
        compare: Path of the difference of two commits.
        read_files: Reads that difference.
        name_field: Field with the name of a status.
        page_field: Field with the address of its page.
        commit_page: That address without a page of the pipeline, if the provider requires one.
        max_name: Maximum length of the name of a status.
        statuses: Path of the statuses of a commit.
        request: Path of a pull request.
        person: Path of a person.
        whole: Slashes in the name of a repository are escaped, too.
        raw: A file is returned as it is, not in JSON.
    """

    name: str
    token_secret: str
    token_user: str
    server: str
    states: Mapping[State, str]
    pending: str
    invalid: str
    max_description: int
    root: str
    commits: str
    files: str
    compare: str
    read_files: ReadFiles
    name_field: str = "context"
    page_field: str = "target_url"
    commit_page: str = ""
    max_name: int = 255
    statuses: str = "/statuses/{sha}"
    request: str = "/pulls/{number}"
    person: str = "/users/{login}"
    whole: bool = False
    raw: bool = False

    def state(self, state: State) -> str:
        """Return the word of the provider for the state of a pipeline."""
        return self.states.get(state, self.pending)

    def statuses_path(self, repository: str, sha: str) -> str:
        """Return the path that takes the status of a commit."""
        return self._path(repository) + self.statuses.format(sha=quote(sha, safe=""))

    def status_body(self, status: CommitStatus) -> dict[str, str]:
        """Return the request that sets the status of a commit."""
        body = {
            "state": status.state,
            self.name_field: status.context[: self.max_name],
            "description": status.description[: self.max_description],
        }
        names = {"repository": status.repository, "sha": status.sha}
        address = status.page or self.commit_page.format(**names)
        return {**body, self.page_field: address} if address else body

    def commit_path(self, repository: str, ref: str) -> str:
        """Return the path of the commit of a branch, a tag, or ``HEAD``."""
        return self._path(repository) + self.commits.format(ref=quote(ref, safe=""))

    def file_path(self, repository: str, sha: str, file: str) -> str:
        """Return the path of a file at a commit."""
        names = {"sha": quote(sha, safe=""), "file": quote(file, safe="")}
        return self._path(repository) + self.files.format(**names)

    def compare_path(self, repository: str, base: str, head: str) -> str:
        """Return the path of the changes from a commit or branch to a commit."""
        refs = {"base": quote(base, safe=""), "head": quote(head, safe="")}
        return self._path(repository) + self.compare.format(**refs)

    def changed_files(self, response: Mapping[str, Any]) -> tuple[ChangedFile, ...] | None:
        """Return the files in the response of `compare_path`; None if some may be missing."""
        try:
            return self.read_files(response)
        except (KeyError, AttributeError, TypeError):
            return None

    def check_path(self, repository: str, number: int | None = None) -> str:
        """Return the path of check runs, or of one."""
        return f"{self._path(repository)}/check-runs" + ("" if number is None else f"/{number}")

    def checks_path(self, repository: str, sha: str, name: str) -> str:
        """Return the path that lists the check runs of a commit with a name, the newest first."""
        query = f"check_name={quote(name, safe='')}&filter=all&per_page=100"
        return f"{self.commit_path(repository, sha)}/check-runs?{query}"

    def request_path(self, repository: str, number: str) -> str:
        """Return the path of a pull request."""
        return self._path(repository) + self.request.format(number=quote(number, safe=""))

    def person_path(self, login: str) -> str:
        """Return the path of a person."""
        return self.person.format(login=quote(login, safe=""))

    def _path(self, repository: str) -> str:
        return f"{self.root}/{quote(repository, safe='' if self.whole else '/')}"


def commit_of(response: Mapping[str, Any]) -> str | None:
    """Return the commit in a response of `GitApi.commit_path`; Bitbucket lists those before it."""
    listed = response.get("values")
    if isinstance(listed, list) and listed:
        response = listed[0]
    found = response.get("sha") or response.get("id") or response.get("hash")
    return found if isinstance(found, str) else None


def listed_files(files: str, new: str, old: str, patch: str, maximum: int) -> ReadFiles:
    """Return a reader of a list of files; one of ``maximum`` may be incomplete.

    Args:
        files: Field with the list.
        new: Field with the path of each file.
        old: Field with its path before.
        patch: Field with its difference.
        maximum: Number of files from which on some may be left out.
    """

    def read(response: Mapping[str, Any]) -> tuple[ChangedFile, ...] | None:
        listed = response.get(files)
        if not isinstance(listed, list) or len(listed) >= maximum:
            return None
        if response.get("compare_timeout"):
            return None
        return tuple(
            ChangedFile(each[new], each.get(old) or each[new], each.get(patch) or "")
            for each in listed
        )

    return read
