"""The providers of git repositories: the words and the paths of their APIs, in one table."""

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from urllib.parse import quote

from pydantic import ValidationError

from conducto_core.run.model.states import State
from conducto_core.triggers.model import GitEvent, GitEventKind, Provider, RepositoryUrl


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


# ----------------------------------------------------------------------------------------
# The events of a webhook's body: of GitHub, of GitLab, and of a generic sender.


_PULL_REQUEST_ACTIONS = frozenset({"opened", "reopened", "synchronize"})
_MERGE_REQUEST_ACTIONS = frozenset({"open", "reopen", "update"})
_BRANCH, _TAG = "refs/heads/", "refs/tags/"
_ZEROS = "0" * 40


class _Generic(GitEvent):
    """The body of a generic webhook, whose address may be of any kind."""

    url: RepositoryUrl


class EventError(ValueError):
    """The body of a webhook is not what its provider sends; the message names the field."""


def events_of(
    provider: Provider, headers: Mapping[str, str], body: Mapping[str, Any]
) -> list[GitEvent]:
    """Return the events of a webhook; none for one that launches nothing.

    Args:
        provider: The sender.
        headers: They have lower-case names.
        body: The parsed JSON.

    Raises:
        EventError: A field is missing or has another type.
    """
    try:
        if provider == "github":
            return _github(headers.get("x-github-event", ""), body)
        if provider == "gitlab":
            return _gitlab(headers.get("x-gitlab-event", ""), body)
        checked = _Generic.model_validate({"user": "", **body})
        return [GitEvent.model_validate(checked.model_dump())]
    except KeyError as error:
        raise EventError(f"the webhook has no field {error.args[0]!r}") from error
    except (TypeError, AttributeError) as error:
        raise EventError("a field of the webhook has another type than expected") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(map(str, first["loc"]))
        raise EventError(f"field {field!r} of the webhook: {first['msg']}") from error


def unique_tag(event: GitEvent, section: str) -> str:
    """Return the tag that pipelines of one section and branch or pull request share."""
    subject = f"pr/{event.number}" if event.number else event.branch
    return f"conducto/unique/{event.repository}/{section.replace(' ', '/')}/{subject}"


def _github(name: str, body: Mapping[str, Any]) -> list[GitEvent]:
    if name not in {"push", "create", "delete", "pull_request"}:
        return []
    repository = body["repository"]
    common = {"repository": repository["full_name"], "user": body["sender"]["login"]}
    if name == "pull_request":
        return _github_pull_request(body, common)
    common["url"] = repository["clone_url"]
    if name == "push":
        if body.get("deleted") or not body["ref"].startswith(_BRANCH):
            return []  # tags have an event of their own
        title = (body.get("head_commit") or {}).get("message", "").partition("\n")[0]
        branch = body["ref"].removeprefix(_BRANCH)
        pushed = {"branch": branch, "sha": body["after"], "title": title}
        return [GitEvent(kind=GitEventKind.PUSH, **common, **pushed)]
    kind = f"{name}-{body['ref_type']}"
    if kind not in set(GitEventKind):
        return []
    return [GitEvent.model_validate({**common, "kind": kind, "branch": body["ref"]})]


def _github_pull_request(body: Mapping[str, Any], common: dict[str, Any]) -> list[GitEvent]:
    request = body["pull_request"]
    if body["action"] not in _PULL_REQUEST_ACTIONS:
        return []
    head = request["head"]
    source = head["repo"]
    if source is None:
        return []  # the fork was deleted
    return [
        GitEvent(
            kind=GitEventKind.PULL_REQUEST,
            url=source["clone_url"],
            branch=head["ref"],
            sha=head["sha"],
            number=str(request["number"]),
            title=request["title"],
            base_branch=request["base"]["ref"],
            fork=source["id"] != request["base"]["repo"]["id"],
            **common,
        )
    ]


def _gitlab(name: str, body: Mapping[str, Any]) -> list[GitEvent]:
    if name not in {"Push Hook", "Tag Push Hook", "Merge Request Hook"}:
        return []
    project = body["project"]
    common = {"repository": project["path_with_namespace"]}
    if name == "Merge Request Hook":
        return _gitlab_merge_request(body, common)
    common |= {"url": project["git_http_url"], "user": body["user_username"]}
    deleted, created = body["after"] == _ZEROS, body["before"] == _ZEROS
    if name == "Tag Push Hook":
        kind = GitEventKind.DELETE_TAG if deleted else GitEventKind.CREATE_TAG
        sha = "" if deleted else str(body.get("checkout_sha") or body["after"])
        branch = body["ref"].removeprefix(_TAG)
        return [GitEvent(kind=kind, branch=branch, sha=sha, **common)]
    branch = body["ref"].removeprefix(_BRANCH)
    if deleted:
        return [GitEvent(kind=GitEventKind.DELETE_BRANCH, branch=branch, **common)]
    kinds = [GitEventKind.CREATE_BRANCH] * created + [GitEventKind.PUSH]
    return [GitEvent(kind=kind, branch=branch, sha=body["after"], **common) for kind in kinds]


def _gitlab_merge_request(body: Mapping[str, Any], common: dict[str, Any]) -> list[GitEvent]:
    request = body["object_attributes"]
    action = request.get("action")
    if action not in _MERGE_REQUEST_ACTIONS or (action == "update" and "oldrev" not in request):
        return []  # an update without oldrev changes no commit
    return [
        GitEvent(
            kind=GitEventKind.PULL_REQUEST,
            url=request["source"]["git_http_url"],
            branch=request["source_branch"],
            sha=request["last_commit"]["id"],
            user=body["user"]["username"],
            number=str(request["iid"]),
            title=request["title"],
            base_branch=request["target_branch"],
            fork=request["source_project_id"] != request["target_project_id"],
            **common,
        )
    ]


# ----------------------------------------------------------------------------------------
# Signatures of webhooks: of those that Conducto sends, and of those that it receives.
#
# A generic webhook is signed over its time and its body, so that an old one cannot be repeated.


#: Headers of a generic webhook: its time in seconds since the epoch, its signature, and its id.
TIME_HEADER = "Conducto-Timestamp"
SIGNATURE_HEADER = "Conducto-Signature"
ID_HEADER = "Conducto-Delivery"
#: Maximum seconds between the time of a generic webhook and its receipt.
MAX_AGE = 300.0
_VERSION = "v1="
_MAX_DIGITS = 12
_ID = re.compile(r"[A-Za-z0-9._-]{1,100}")


def generic_headers(body: bytes, identity: str, now: float, secret: str | None) -> dict[str, str]:
    """Return the headers of a generic webhook; without a secret, it is not signed."""
    time = str(int(now))
    headers = {TIME_HEADER: time, ID_HEADER: identity}
    if secret is not None:
        headers[SIGNATURE_HEADER] = generic_signature(secret, time, body)
    return headers


def generic_signature(secret: str, time: str, body: bytes) -> str:
    """Return the signature of a generic webhook."""
    return _VERSION + _hmac(secret, time.encode() + b"." + body)


def _hmac(secret: str, data: bytes) -> str:
    return hmac.new(secret.encode(), data, sha256).hexdigest()


def _header(headers: Mapping[str, str], name: str) -> str:
    return headers.get(name.lower(), "")


class SignatureError(ValueError):
    """A webhook is not signed with the secret or not of this time; the message has the reason."""


def check_github(secret: str, headers: Mapping[str, str], body: bytes) -> str:
    """Return the id of a webhook of GitHub; headers have lower-case names.

    GitHub signs the body only, so the id is made of it: with an id or an event from a header, a
    signed webhook could be repeated. A redelivery has the same body.

    Raises:
        SignatureError: It is not signed with the secret.
    """
    _check("sha256=" + _hmac(secret, body), _header(headers, "X-Hub-Signature-256"))
    return sha256(body).hexdigest()


def check_gitlab(secret: str, headers: Mapping[str, str]) -> str:
    """Return the id of a webhook of GitLab, which sends the secret itself and signs nothing."""
    _check(secret, _header(headers, "X-Gitlab-Token"))
    for name in ("Idempotency-Key", "X-Gitlab-Event-UUID"):
        if _header(headers, name):
            return _identity(headers, name)
    return _identity(headers, "X-Gitlab-Webhook-UUID")


def check_generic(secret: str, headers: Mapping[str, str], body: bytes, now: float) -> str:
    """Return the id of a generic webhook, which is signed over its time; see `check_github`."""
    time = _header(headers, TIME_HEADER)
    if not time.isascii() or not time.isdigit() or len(time) > _MAX_DIGITS:
        raise SignatureError(f"the header {TIME_HEADER} is not a time in seconds since the epoch")
    _check(generic_signature(secret, time, body), _header(headers, SIGNATURE_HEADER))
    age = now - int(time)
    if age > MAX_AGE:
        raise SignatureError(f"the webhook is older than {MAX_AGE:.0f} seconds")
    if age < -MAX_AGE:
        raise SignatureError(
            f"the time of the webhook is more than {MAX_AGE:.0f} seconds in the future: set the "
            "clock of its sender"
        )
    # The time belongs to the id, so that a signed webhook is accepted once.
    return f"{time}-{sha256(body).hexdigest()[:32]}"


def has_token(secret: str, headers: Mapping[str, str]) -> bool:
    """Return whether a webhook has its secret as a bearer token instead of a signature.

    Raises:
        SignatureError: It has another token.
    """
    kind, _, given = _header(headers, "Authorization").partition(" ")
    if kind.lower() != "bearer":
        return False
    _check(secret, given.strip())
    return True


def _check(expected: str, given: str) -> None:
    if not hmac.compare_digest(expected.encode(), given.encode()):
        raise SignatureError("the signature is missing, or it is not that of the trigger's secret")


def _identity(headers: Mapping[str, str], name: str) -> str:
    found = _header(headers, name)
    if not _ID.fullmatch(found):
        raise SignatureError(f"the header {name} is missing or is not an id")
    return found
