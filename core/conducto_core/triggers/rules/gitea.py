"""Gitea and Forgejo, whose API and webhooks are like those of GitHub. Pure."""

from collections.abc import Mapping
from typing import Any

from conducto_core.run.model.states import State
from conducto_core.triggers.rules.git_api import ChangedFile, GitApi

_EVENTS = frozenset({"push", "create", "delete", "pull_request", "issue_comment"})
#: Its words for events and actions of GitHub.
_SYNC = "pull_request_sync"
_ACTIONS = {"synchronized": "synchronize"}


def as_github(name: str, body: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Return the name and the body of the webhook that GitHub would send; "" for another one."""
    name = "pull_request" if name == _SYNC else name
    if name not in _EVENTS:
        return "", body
    action = body.get("action", "")
    return name, {**body, "action": _ACTIONS.get(action, action)}


def _read_files(response: Mapping[str, Any]) -> tuple[ChangedFile, ...] | None:
    """Return the files of the commits between two: Gitea has no list of all."""
    commits = response["commits"] or []
    if response["total_commits"] != len(commits):
        return None
    names = {each["filename"] for commit in commits for each in commit["files"]}
    return tuple(ChangedFile(name, name) for name in sorted(names))


API = GitApi(
    name="Gitea",
    token_secret="GITEA_TOKEN",  # noqa: S106 (the name of the secret)
    token_user="oauth2",  # noqa: S106
    server="/api/v1",
    states={State.DONE: "success", State.ERROR: "failure", State.KILLED: "error"},
    pending="pending",
    invalid="error",
    max_description=255,
    root="/repos",
    commits="/git/commits/{ref}",
    files="/contents/{file}?ref={sha}",
    compare="/compare/{base}...{head}",
    read_files=_read_files,
)
