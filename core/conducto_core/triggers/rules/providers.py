"""The providers of git repositories: their APIs in one table, their events and signatures."""

import hmac
import re
from collections.abc import Callable, Mapping
from functools import partial
from hashlib import sha256
from typing import Any

from pydantic import ValidationError

from conducto_core.run.model.states import State
from conducto_core.triggers.model import GitEvent, GitEventKind, Provider, RepositoryUrl
from conducto_core.triggers.rules import bitbucket, gitea
from conducto_core.triggers.rules.git_api import EventError, GitApi, listed_files

#: The providers whose API is known; a generic sender has none.
GIT_APIS: Mapping[str, GitApi] = {
    "github": GitApi(
        name="GitHub",
        token_secret="GITHUB_TOKEN",  # noqa: S106 (the names of the secrets)
        token_user="x-access-token",  # noqa: S106
        server="/api/v3",
        states={State.DONE: "success", State.ERROR: "failure", State.KILLED: "error"},
        pending="pending",
        invalid="error",
        max_description=140,
        root="/repos",
        commits="/commits/{ref}",
        files="/contents/{file}?ref={sha}",
        compare="/compare/{base}...{head}",
        read_files=listed_files("files", "filename", "previous_filename", "patch", 300),
    ),
    "gitlab": GitApi(
        name="GitLab",
        token_secret="GITLAB_TOKEN",  # noqa: S106
        token_user="oauth2",  # noqa: S106
        server="/api/v4",
        states={State.DONE: "success", State.ERROR: "failed", State.KILLED: "canceled"},
        pending="running",
        invalid="failed",
        max_description=255,
        root="/projects",
        commits="/repository/commits/{ref}",
        files="/repository/files/{file}?ref={sha}",
        compare="/repository/compare?from={base}&to={head}",
        read_files=listed_files("diffs", "new_path", "old_path", "diff", 1000),
        name_field="name",
        request="/merge_requests/{number}",
        person="/users?username={login}",
        whole=True,
    ),
    "bitbucket": bitbucket.API,
    "gitea": gitea.API,
}


# ----------------------------------------------------------------------------------------
# The events of a webhook's body: of GitHub, of GitLab, and of a generic sender.


_PULL_REQUEST_ACTIONS = frozenset({"opened", "reopened", "synchronize"})
_MERGE_REQUEST_ACTIONS = frozenset({"open", "reopen", "update"})
_BRANCH, _TAG = "refs/heads/", "refs/tags/"
_ZEROS = "0" * 40
#: Branches that the merge queue of GitHub makes; they have an event of their own.
_QUEUES = "gh-readonly-queue/"
_PEOPLE = frozenset({GitEventKind.COMMENT, GitEventKind.CHECK})
_COMMAND = "/conducto "
_MAX_COMMAND = 100
_RERUN = "rerun"


class _Generic(GitEvent):
    """The body of a generic webhook, whose address may be of any kind."""

    url: RepositoryUrl


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
        if provider == "bitbucket":
            return bitbucket.events(headers.get("x-event-key", ""), body)
        if provider == "gitea":
            return _github(*gitea.as_github(headers.get("x-gitea-event", ""), body))
        checked = _Generic.model_validate({"user": "", **body})
        if checked.kind in _PEOPLE:
            raise EventError(f"field 'kind' of the webhook: a person sends {checked.kind.value}")
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
    read = _GITHUB.get(name)
    if read is None:
        return []
    repository, sender = body["repository"], body["sender"]
    common = {
        "repository": repository["full_name"],
        "url": repository["clone_url"],
        "user": sender["login"],
        "user_id": str(sender.get("id", "")),
    }
    return read(body, common)


def _github_push(body: Mapping[str, Any], common: dict[str, Any]) -> list[GitEvent]:
    branch = body["ref"].removeprefix(_BRANCH)
    if body.get("deleted") or branch == body["ref"] or branch.startswith(_QUEUES):
        return []  # tags have an event of their own
    title = (body.get("head_commit") or {}).get("message", "").partition("\n")[0]
    pushed = {"branch": branch, "sha": body["after"], "title": title}
    base = _base(body["before"])
    return [GitEvent(kind=GitEventKind.PUSH, base=base, **common, **pushed)]


def _github_ref(name: str, body: Mapping[str, Any], common: dict[str, Any]) -> list[GitEvent]:
    kind = f"{name}-{body['ref_type']}"
    if kind not in set(GitEventKind) or body["ref"].startswith(_QUEUES):
        return []
    return [GitEvent.model_validate({**common, "kind": kind, "branch": body["ref"]})]


def _github_merge_group(body: Mapping[str, Any], common: dict[str, Any]) -> list[GitEvent]:
    group = body["merge_group"]
    if body["action"] != "checks_requested":
        return []
    return [
        GitEvent(
            kind=GitEventKind.MERGE_GROUP,
            branch=group["head_ref"].removeprefix(_BRANCH),
            sha=group["head_sha"],
            title=(group.get("head_commit") or {}).get("message", "").partition("\n")[0],
            base_branch=group["base_ref"].removeprefix(_BRANCH),
            base=group["base_sha"],
            **common,
        )
    ]


def _github_comment(body: Mapping[str, Any], common: dict[str, Any]) -> list[GitEvent]:
    """Return the command in a comment on a pull request; its commit is not in the webhook."""
    issue = body["issue"]
    if body["action"] != "created" or not issue.get("pull_request"):
        return []
    return _command(body["comment"]["body"], str(issue["number"]), issue["title"], common)


def _command(text: str, number: str, title: str, common: dict[str, Any]) -> list[GitEvent]:
    line = " ".join(text.strip().partition("\n")[0].split())
    if not line.startswith(_COMMAND) or len(line) > _MAX_COMMAND:
        return []
    fields = {"branch": "", "number": number, "title": title}
    command = line.removeprefix(_COMMAND)
    return [GitEvent(kind=GitEventKind.COMMENT, text=command, **fields, **common)]


def _github_check(body: Mapping[str, Any], common: dict[str, Any]) -> list[GitEvent]:
    check = body["check_run"]
    buttons = {"rerequested": _RERUN}
    if body["action"] == "requested_action":
        buttons["requested_action"] = body["requested_action"]["identifier"]
    if body["action"] not in buttons or not check.get("external_id"):
        return []
    return [
        GitEvent(
            kind=GitEventKind.CHECK,
            branch=(check.get("check_suite") or {}).get("head_branch") or "",
            sha=check["head_sha"],
            text=buttons[body["action"]],
            pipeline=check["external_id"],
            **common,
        )
    ]


def _base(before: str) -> str:
    """Return the commit before a push; "" for a new branch."""
    return "" if before == _ZEROS else before


def _github_pull_request(body: Mapping[str, Any], common: dict[str, Any]) -> list[GitEvent]:
    request = body["pull_request"]
    if body["action"] not in _PULL_REQUEST_ACTIONS or request["head"]["repo"] is None:
        return []  # the fork was deleted
    fields = {**common, "kind": GitEventKind.PULL_REQUEST, "branch": ""}
    return [of_request(GitEvent.model_validate(fields), request)]


def of_request(event: GitEvent, request: Mapping[str, Any]) -> GitEvent:
    """Return an event with the commit and the branches of its pull request.

    Raises:
        EventError: Its fork was deleted, or a field is missing.
    """
    try:
        if "source_branch" in request:
            return GitEvent.model_validate({**event.model_dump(), **_of_merge_request(request)})
        head, base = request["head"], request["base"]
        found = {
            "url": head["repo"]["clone_url"],
            "branch": head["ref"],
            "sha": head["sha"],
            "number": str(request["number"]),
            "title": request["title"],
            "base_branch": base["ref"],
            "base": base.get("sha", ""),
            "fork": head["repo"]["id"] != base["repo"]["id"],
        }
    except (KeyError, TypeError) as error:
        text = f"the pull request has no {error}; its fork may have been deleted"
        raise EventError(text) from error
    return GitEvent.model_validate({**event.model_dump(), **found})


def _of_merge_request(request: Mapping[str, Any]) -> dict[str, Any]:
    if request["source_project_id"] != request["target_project_id"]:
        raise EventError("the merge request is from a fork, whose commands are not accepted")
    return {
        "branch": request["source_branch"],
        "sha": request["sha"],
        "number": str(request["iid"]),
        "title": request["title"],
        "base_branch": request["target_branch"],
        "base": request["target_branch"],
    }


_GITHUB: Mapping[str, Callable[[Mapping[str, Any], dict[str, Any]], list[GitEvent]]] = {
    "push": _github_push,
    "create": partial(_github_ref, "create"),
    "delete": partial(_github_ref, "delete"),
    "pull_request": _github_pull_request,
    "merge_group": _github_merge_group,
    "issue_comment": _github_comment,
    "check_run": _github_check,
}


def _gitlab(name: str, body: Mapping[str, Any]) -> list[GitEvent]:
    if name not in {"Push Hook", "Tag Push Hook", "Merge Request Hook", "Note Hook"}:
        return []
    project = body["project"]
    common = {"repository": project["path_with_namespace"]}
    if name == "Merge Request Hook":
        return _gitlab_merge_request(body, common)
    if name == "Note Hook":
        return _gitlab_comment(body, {**common, "url": project["git_http_url"]})
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
    common |= {"branch": branch, "sha": body["after"], "base": _base(body["before"])}
    return [GitEvent(kind=kind, **common) for kind in kinds]


def _gitlab_comment(body: Mapping[str, Any], common: dict[str, Any]) -> list[GitEvent]:
    note, user = body["object_attributes"], body["user"]
    if note["noteable_type"] != "MergeRequest" or note.get("action", "create") != "create":
        return []
    request = body["merge_request"]
    common |= {"user": user["username"], "user_id": str(user["id"])}
    return _command(note["note"], str(request["iid"]), request["title"], common)


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
            base=request["target_branch"],
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


def check_gitea(secret: str, headers: Mapping[str, str], body: bytes) -> str:
    """Return the id of a webhook of Gitea or Forgejo; see `check_github`."""
    _check(_hmac(secret, body), _header(headers, "X-Gitea-Signature"))
    return sha256(body).hexdigest()


def check_bitbucket(secret: str, headers: Mapping[str, str], body: bytes) -> str:
    """Return the id of a webhook of Bitbucket; see `check_github`."""
    _check("sha256=" + _hmac(secret, body), _header(headers, "X-Hub-Signature"))
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
