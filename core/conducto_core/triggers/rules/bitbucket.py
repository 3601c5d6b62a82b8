"""Bitbucket Cloud: its API, and the events of its webhooks. Pure."""

from collections.abc import Mapping
from typing import Any

from conducto_core.run.model.states import State
from conducto_core.triggers.model import GitEvent, GitEventKind
from conducto_core.triggers.rules.git_api import ChangedFile, GitApi

_REQUESTS = frozenset({"pullrequest:created", "pullrequest:updated"})
_KINDS = {
    ("branch", "created"): GitEventKind.CREATE_BRANCH,
    ("branch", "closed"): GitEventKind.DELETE_BRANCH,
    ("tag", "created"): GitEventKind.CREATE_TAG,
    ("tag", "closed"): GitEventKind.DELETE_TAG,
}


def events(name: str, body: Mapping[str, Any]) -> list[GitEvent]:
    """Return the events of a webhook.

    Raises:
        KeyError: A field is missing.
        TypeError: A field has another type.
    """
    if name == "repo:push":
        common = {"repository": body["repository"]["full_name"], **_sender(body)}
        url = _url(body["repository"])
        changes = body["push"]["changes"]
        return [one for each in changes for one in _pushed(each, {**common, "url": url})]
    if name in _REQUESTS:
        return [_pull_request(body)]
    return []


def _pushed(change: Mapping[str, Any], common: dict[str, Any]) -> list[GitEvent]:
    new, old = change["new"], change["old"]
    ref = new or old
    moved = {word for word in ("created", "closed") if change[word]}
    kinds = [
        kind for (type_, word), kind in _KINDS.items() if type_ == ref["type"] and word in moved
    ]
    fields = {**common, "branch": ref["name"]}
    if new is not None:
        message = str(new["target"].get("message", "")).partition("\n")[0]
        base = "" if old is None else old["target"]["hash"]
        fields |= {"sha": new["target"]["hash"], "title": message, "base": base}
        if ref["type"] == "branch":
            kinds.append(GitEventKind.PUSH)
    return [GitEvent.model_validate({**fields, "kind": kind}) for kind in kinds]


def _pull_request(body: Mapping[str, Any]) -> GitEvent:
    """Return the event of a pull request; its webhook has the first letters of the commit only."""
    request = body["pullrequest"]
    source, target = request["source"], request["destination"]
    fields = {
        "kind": GitEventKind.PULL_REQUEST,
        "repository": target["repository"]["full_name"],
        "url": _url(source["repository"]),
        "branch": source["branch"]["name"],
        "sha": source["commit"]["hash"],
        "number": str(request["id"]),
        "title": request["title"],
        "base_branch": target["branch"]["name"],
        "base": target["branch"]["name"],
        "fork": source["repository"]["full_name"] != target["repository"]["full_name"],
    }
    return GitEvent.model_validate({**fields, **_sender(body)})


def _sender(body: Mapping[str, Any]) -> dict[str, str]:
    actor = body["actor"]
    return {"user": actor.get("nickname") or actor["display_name"]}


def _url(repository: Mapping[str, Any]) -> str:
    return f"{repository['links']['html']['href']}.git"


def _read_files(response: Mapping[str, Any]) -> tuple[ChangedFile, ...] | None:
    if response.get("next"):
        return None
    found = []
    for each in response["values"]:
        new, old = each["new"] or each["old"], each["old"] or each["new"]
        found.append(ChangedFile(new["path"], old["path"]))
    return tuple(found)


API = GitApi(
    name="Bitbucket",
    token_secret="BITBUCKET_TOKEN",  # noqa: S106 (the name of the secret)
    token_user="x-token-auth",  # noqa: S106
    server="/2.0",
    states={State.DONE: "SUCCESSFUL", State.ERROR: "FAILED", State.KILLED: "STOPPED"},
    pending="INPROGRESS",
    invalid="FAILED",
    max_description=255,
    root="/repositories",
    commits="/commits/{ref}?pagelen=1",
    files="/src/{sha}/{file}",
    compare="/diffstat/{head}..{base}?pagelen=500",
    read_files=_read_files,
    name_field="key",
    page_field="url",
    commit_page="https://bitbucket.org/{repository}/commits/{sha}",
    max_name=40,
    statuses="/commit/{sha}/statuses/build",
    raw=True,
)
