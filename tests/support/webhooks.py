"""Webhooks as GitHub, GitLab and a generic sender send them."""

from __future__ import annotations

import hmac
import json
from hashlib import sha256
from typing import Any

from conducto_core.triggers.rules.providers import generic_headers

SECRET = "hook-secret"
SHA = "a" * 40
ZEROS = "0" * 40


def github_push(branch: str = "main", sha: str = SHA, **more: Any) -> dict[str, Any]:
    return {
        "ref": f"refs/heads/{branch}",
        "before": "b" * 40,
        "after": sha,
        "deleted": False,
        "head_commit": {"message": "Fix it\n\nbody"},
        "repository": _github_repository(),
        "sender": {"login": "ann"},
        **more,
    }


def github_pull_request(*, fork: bool = False, action: str = "opened") -> dict[str, Any]:
    head = (
        {"id": 2, "clone_url": "https://github.com/eve/app.git"} if fork else _github_repository()
    )
    return {
        "action": action,
        "number": 7,
        "pull_request": {
            "number": 7,
            "title": "Add a feature",
            "head": {"ref": "feature", "sha": SHA, "repo": head},
            "base": {"ref": "main", "repo": _github_repository()},
        },
        "repository": _github_repository(),
        "sender": {"login": "eve" if fork else "ann"},
    }


def github_merge_group(action: str = "checks_requested") -> dict[str, Any]:
    return {
        "action": action,
        "merge_group": {
            "head_sha": SHA,
            "head_ref": f"refs/heads/gh-readonly-queue/main/pr-7-{'b' * 40}",
            "base_sha": "b" * 40,
            "base_ref": "refs/heads/main",
            "head_commit": {"message": "Merge #7"},
        },
        "repository": _github_repository(),
        "sender": {"login": "github-merge-queue[bot]", "id": 118344674},
    }


def github_comment(text: str, *, login: str = "octocat", number: int = 583231) -> dict[str, Any]:
    return {
        "action": "created",
        "issue": {"number": 7, "title": "Add a feature", "pull_request": {"url": "https://x"}},
        "comment": {"id": 1, "body": text, "author_association": "MEMBER"},
        "repository": _github_repository(),
        "sender": {"login": login, "id": number},
    }


def github_check(
    pipeline: str, action: str, button: str = "", *, repository: dict[str, Any] | None = None
) -> dict[str, Any]:
    return {
        "action": action,
        **({"requested_action": {"identifier": button}} if button else {}),
        "check_run": {
            "id": 1,
            "head_sha": SHA,
            "external_id": pipeline,
            "check_suite": {"head_branch": "main"},
        },
        "repository": repository or _github_repository(),
        "sender": {"login": "octocat", "id": 583231},
    }


def github_ref(ref: str, ref_type: str) -> dict[str, Any]:
    return {
        "ref": ref,
        "ref_type": ref_type,
        "repository": _github_repository(),
        "sender": {"login": "ann"},
    }


def _github_repository() -> dict[str, Any]:
    return {"id": 1, "full_name": "acme/app", "clone_url": "https://github.com/acme/app.git"}


def gitlab_push(
    branch: str = "main", *, before: str = "b" * 40, after: str = SHA
) -> dict[str, Any]:
    return {
        "object_kind": "push",
        "ref": f"refs/heads/{branch}",
        "before": before,
        "after": after,
        "user_username": "ann",
        "project": {
            "path_with_namespace": "acme/app",
            "git_http_url": "https://gitlab.example.com/acme/app.git",
        },
    }


def gitlab_merge_request(*, fork: bool = False, **attributes: Any) -> dict[str, Any]:
    return {
        "user": {"username": "ann"},
        "project": gitlab_push()["project"],
        "object_attributes": {
            "action": "open",
            "iid": 3,
            "title": "Add a feature",
            "source_branch": "feature",
            "target_branch": "main",
            "source_project_id": 2 if fork else 1,
            "target_project_id": 1,
            "source": {"git_http_url": "https://gitlab.example.com/acme/app.git"},
            "last_commit": {"id": SHA},
            **attributes,
        },
    }


def github_headers(
    event: str, body: bytes, *, delivery: str = "d-1", secret: str = SECRET
) -> dict[str, str]:
    signature = hmac.new(secret.encode(), body, sha256).hexdigest()
    return {
        "x-github-event": event,
        "x-github-delivery": delivery,
        "x-hub-signature-256": f"sha256={signature}",
    }


def gitlab_headers(event: str, *, delivery: str = "d-1", secret: str = SECRET) -> dict[str, str]:
    return {"x-gitlab-event": event, "x-gitlab-token": secret, "x-gitlab-event-uuid": delivery}


def generic_signed(body: bytes, now: float, secret: str = SECRET) -> dict[str, str]:
    made = generic_headers(body, "x", now, secret)
    return {name.lower(): value for name, value in made.items()}


def packed(payload: dict[str, Any]) -> bytes:
    return json.dumps(payload).encode()


def gitlab_comment(text: str, *, login: str = "octocat", number: int = 583231) -> dict[str, Any]:
    return {
        "object_kind": "note",
        "user": {"id": number, "username": login},
        "project": gitlab_push()["project"],
        "object_attributes": {"note": text, "noteable_type": "MergeRequest", "action": "create"},
        "merge_request": {"iid": 3, "title": "Add a feature"},
    }


def bitbucket_push(branch: str = "main", **change: Any) -> dict[str, Any]:
    target = {"type": "commit", "hash": SHA, "message": "Fix it\n\nbody"}
    before = {"type": "commit", "hash": "b" * 40}
    changed = {
        "new": {"type": "branch", "name": branch, "target": target},
        "old": {"type": "branch", "name": branch, "target": before},
        "created": False,
        "closed": False,
        "forced": False,
        **change,
    }
    return {
        "actor": {"type": "user", "display_name": "Ann", "nickname": "ann"},
        "repository": _bitbucket_repository(),
        "push": {"changes": [changed]},
    }


def bitbucket_pull_request(*, fork: bool = False) -> dict[str, Any]:
    source = _bitbucket_repository("eve/app" if fork else "acme/app")
    return {
        "actor": {"type": "user", "display_name": "Ann", "nickname": "ann"},
        "repository": _bitbucket_repository(),
        "pullrequest": {
            "id": 7,
            "title": "Add a feature",
            "source": {
                "branch": {"name": "feature"},
                "commit": {"hash": SHA[:12]},
                "repository": source,
            },
            "destination": {
                "branch": {"name": "main"},
                "commit": {"hash": "b" * 12},
                "repository": _bitbucket_repository(),
            },
        },
    }


def _bitbucket_repository(name: str = "acme/app") -> dict[str, Any]:
    return {
        "full_name": name,
        "links": {"html": {"href": f"https://bitbucket.org/{name}"}},
    }


def bitbucket_headers(event: str, body: bytes, *, secret: str = SECRET) -> dict[str, str]:
    signature = hmac.new(secret.encode(), body, sha256).hexdigest()
    return {"x-event-key": event, "x-hub-signature": f"sha256={signature}"}


def of_gitea(payload: dict[str, Any]) -> dict[str, Any]:
    """Return the webhook of Gitea for one of GitHub."""
    text = json.dumps(payload).replace("https://github.com/", "https://gitea.example.com/")
    return json.loads(text.replace('"synchronize"', '"synchronized"'))  # type: ignore[no-any-return]


def gitea_headers(event: str, body: bytes, *, secret: str = SECRET) -> dict[str, str]:
    signature = hmac.new(secret.encode(), body, sha256).hexdigest()
    return {
        "x-gitea-event": event,
        "x-gitea-delivery": "d-1",
        "x-gitea-signature": signature,
        "x-github-event": event,
    }
