"""The events of a webhook's body: of GitHub, of GitLab, and of a generic sender."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from conducto_core.model.triggers import GitEvent, GitEventKind, Provider, RepositoryUrl

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
        return _github_push(body, common)
    kind = f"{name}-{body['ref_type']}"
    if kind not in set(GitEventKind):
        return []
    return [GitEvent.model_validate({**common, "kind": kind, "branch": body["ref"]})]


def _github_push(body: Mapping[str, Any], common: dict[str, Any]) -> list[GitEvent]:
    if body.get("deleted") or not body["ref"].startswith(_BRANCH):
        return []  # tags have an event of their own
    title = (body.get("head_commit") or {}).get("message", "").partition("\n")[0]
    branch = body["ref"].removeprefix(_BRANCH)
    pushed = {"branch": branch, "sha": body["after"], "title": title}
    return [GitEvent(kind=GitEventKind.PUSH, **common, **pushed)]


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
