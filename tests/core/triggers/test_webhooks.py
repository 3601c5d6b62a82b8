"""Webhooks: signatures, replays, and the events of each provider."""

from __future__ import annotations

from typing import Any

import pytest

from conducto_core.triggers.model import GitEvent, Provider
from conducto_core.triggers.rules.git_api import EventError
from conducto_core.triggers.rules.providers import (
    MAX_AGE,
    SignatureError,
    check_bitbucket,
    check_generic,
    check_gitea,
    check_github,
    check_gitlab,
    events_of,
)
from support.webhooks import (
    SECRET,
    SHA,
    ZEROS,
    bitbucket_headers,
    bitbucket_pull_request,
    bitbucket_push,
    generic_signed,
    gitea_headers,
    github_comment,
    github_headers,
    github_pull_request,
    github_push,
    github_ref,
    gitlab_comment,
    gitlab_headers,
    gitlab_merge_request,
    gitlab_push,
    of_gitea,
    packed,
)

BODY = packed(github_push())


def kinds(provider: Provider, name: str, body: dict[str, Any]) -> list[str]:
    return [event.kind.value for event in events(provider, name, body)]


def events(provider: Provider, name: str, body: dict[str, Any]) -> list[GitEvent]:
    return events_of(provider, {f"x-{provider}-event": name}, body)


def test_signed_webhook_has_the_id_of_its_delivery() -> None:
    other = {**github_headers("create", BODY), "x-github-delivery": "d-2"}
    pushed = check_github(SECRET, github_headers("push", BODY), BODY)
    assert pushed == check_github(SECRET, other, BODY)  # neither header is signed
    body = packed(github_push("other"))
    assert pushed != check_github(SECRET, github_headers("push", body), body)
    assert check_gitlab(SECRET, gitlab_headers("Push Hook")) == "d-1"
    first = check_generic(SECRET, generic_signed(BODY, 1000.0), BODY, 1000.0)
    assert first == check_generic(SECRET, generic_signed(BODY, 1000.0), BODY, 1200.0)
    assert first != check_generic(SECRET, generic_signed(BODY, 1001.0), BODY, 1200.0)


@pytest.mark.parametrize(
    "changed",
    [
        {"x-hub-signature-256": ""},
        {"x-hub-signature-256": "sha256="},
        {"x-hub-signature-256": "sha256=" + "0" * 64},
        {"x-hub-signature-256": "ä"},
    ],
)
def test_forged_webhook_of_github_is_rejected(changed: dict[str, str]) -> None:
    with pytest.raises(SignatureError):
        check_github(SECRET, {**github_headers("push", BODY), **changed}, BODY)


@pytest.mark.parametrize(
    ("check", "headers"),
    [(check_bitbucket, bitbucket_headers), (check_gitea, gitea_headers)],
    ids=["bitbucket", "gitea"],
)
def test_webhooks_of_bitbucket_and_gitea_are_signed(check: Any, headers: Any) -> None:
    signed = headers("push", BODY)
    identity = check(SECRET, signed, BODY)

    assert identity == check(SECRET, headers("create", BODY), BODY)  # no header is signed
    for name in ("x-hub-signature", "x-gitea-signature"):
        for wrong in ("", "0" * 64, "sha256=" + "0" * 64, "ä"):
            with pytest.raises(SignatureError):
                check(SECRET, {**signed, name: wrong} if name in signed else {}, BODY)
    with pytest.raises(SignatureError):
        check(SECRET, signed, BODY + b" ")
    with pytest.raises(SignatureError):
        check("other", signed, BODY)


def test_changed_body_and_other_secret_are_rejected() -> None:
    with pytest.raises(SignatureError, match="not that of the trigger's secret"):
        check_github(SECRET, github_headers("push", BODY), BODY + b" ")
    with pytest.raises(SignatureError):
        check_github("other", github_headers("push", BODY), BODY)
    for token in ("", "hook-secre", "hook-secret "):
        with pytest.raises(SignatureError):
            check_gitlab(SECRET, {**gitlab_headers("Push Hook"), "x-gitlab-token": token})


def test_old_or_changed_time_of_a_generic_webhook_is_rejected() -> None:
    signed = generic_signed(BODY, 1000.0)

    with pytest.raises(SignatureError, match="older than"):
        check_generic(SECRET, signed, BODY, 1000.0 + MAX_AGE + 1)
    with pytest.raises(SignatureError, match="in the future: set the clock of its sender"):
        check_generic(SECRET, signed, BODY, 1000.0 - MAX_AGE - 1)
    with pytest.raises(SignatureError, match="signature"):
        check_generic(SECRET, {**signed, "conducto-timestamp": "1300"}, BODY, 1300.0)
    for time in ("", "now", "-1", "1" * 13, "٣"):
        with pytest.raises(SignatureError, match="not a time"):
            check_generic(SECRET, {**signed, "conducto-timestamp": time}, BODY, 1000.0)


def test_github_sends_pushes_pull_requests_branches_and_tags() -> None:
    (push,) = events("github", "push", github_push("release/1"))

    assert (push.kind, push.branch, push.sha, push.title) == ("push", "release/1", SHA, "Fix it")
    (pull,) = events("github", "pull_request", github_pull_request())
    assert (pull.number, pull.base_branch, pull.branch, pull.fork) == (
        "7",
        "main",
        "feature",
        False,
    )
    assert kinds("github", "create", github_ref("v1", "tag")) == ["create-tag"]
    assert kinds("github", "create", github_ref("x", "branch")) == ["create-branch"]
    assert kinds("github", "delete", github_ref("v1", "tag")) == ["delete-tag"]
    assert kinds("github", "delete", github_ref("x", "branch")) == ["delete-branch"]


def test_other_webhooks_of_github_launch_nothing() -> None:
    assert kinds("github", "ping", {"zen": "x"}) == []
    assert kinds("github", "push", github_push(deleted=True)) == []
    assert kinds("github", "push", {**github_push(), "ref": "refs/tags/v1"}) == []
    assert kinds("github", "pull_request", github_pull_request(action="closed")) == []


def test_pull_request_from_a_fork_has_the_repository_of_the_fork() -> None:
    (pull,) = events("github", "pull_request", github_pull_request(fork=True))
    (merge,) = events("gitlab", "Merge Request Hook", gitlab_merge_request(fork=True))

    assert (pull.fork, pull.url) == (True, "https://github.com/eve/app.git")
    assert pull.repository == "acme/app"  # its status is set there
    assert merge.fork


def test_gitlab_sends_pushes_merge_requests_branches_and_tags() -> None:
    assert kinds("gitlab", "Push Hook", gitlab_push()) == ["push"]
    assert kinds("gitlab", "Push Hook", gitlab_push(before=ZEROS)) == ["create-branch", "push"]
    assert kinds("gitlab", "Push Hook", gitlab_push(after=ZEROS)) == ["delete-branch"]
    tag = {**gitlab_push(before=ZEROS), "ref": "refs/tags/v1"}
    assert kinds("gitlab", "Tag Push Hook", tag) == ["create-tag"]
    assert kinds("gitlab", "Merge Request Hook", gitlab_merge_request()) == ["pr"]
    update = gitlab_merge_request(action="update")
    assert kinds("gitlab", "Merge Request Hook", update) == []  # only the title changed
    pushed = gitlab_merge_request(action="update", oldrev="b" * 40)
    assert kinds("gitlab", "Merge Request Hook", pushed) == ["pr"]
    assert kinds("gitlab", "Pipeline Hook", {}) == []


def test_generic_sender_sends_the_event_itself() -> None:
    body = {"kind": "push", "url": "https://git/x", "repository": "x", "branch": "b", "sha": SHA}

    assert kinds("generic", "", body) == ["push"]
    with pytest.raises(EventError, match="field 'kind'"):
        events("generic", "", {**body, "kind": "merge"})


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("push", {}),
        ("push", {**github_push(), "repository": None}),
        ("push", {**github_push(), "ref": 7}),
        ("push", {**github_push(), "after": 7}),
        ("pull_request", {**github_pull_request(), "pull_request": []}),
    ],
)
def test_malformed_body_is_an_error(name: str, body: dict[str, Any]) -> None:
    with pytest.raises(EventError):
        events("github", name, body)


def test_comments_of_gitlab_are_those_on_merge_requests() -> None:
    (event,) = events("gitlab", "Note Hook", gitlab_comment("/conducto  rerun\nplease"))
    assert (event.kind.value, event.text, event.number) == ("comment", "rerun", "3")
    assert (event.user, event.user_id, event.sha) == ("octocat", "583231", "")
    for text in ("conducto rerun", "/conducto" + "x" * 200):
        assert events("gitlab", "Note Hook", gitlab_comment(text)) == []
    issue = gitlab_comment("/conducto rerun")
    issue["object_attributes"]["noteable_type"] = "Issue"
    assert events("gitlab", "Note Hook", issue) == []
    edited = gitlab_comment("/conducto rerun")
    edited["object_attributes"]["action"] = "update"
    assert events("gitlab", "Note Hook", edited) == []


def bitbucket(name: str, body: dict[str, Any]) -> list[GitEvent]:
    return events_of("bitbucket", {"x-event-key": name}, body)


def test_bitbucket_sends_pushes_branches_tags_and_pull_requests() -> None:
    (push,) = bitbucket("repo:push", bitbucket_push())
    assert (push.kind.value, push.branch, push.sha) == ("push", "main", SHA)
    assert (push.base, push.title, push.user) == ("b" * 40, "Fix it", "ann")
    assert push.url == "https://bitbucket.org/acme/app.git"
    made = bitbucket("repo:push", bitbucket_push(old=None, created=True))
    assert [each.kind.value for each in made] == ["create-branch", "push"]
    gone = bitbucket("repo:push", bitbucket_push(new=None, closed=True))
    assert [(each.kind.value, each.sha) for each in gone] == [("delete-branch", "")]
    tag = {"type": "tag", "name": "v1", "target": {"hash": SHA}}
    tagged = bitbucket("repo:push", bitbucket_push(new=tag, old=None, created=True))
    assert [(each.kind.value, each.branch) for each in tagged] == [("create-tag", "v1")]
    (request,) = bitbucket("pullrequest:created", bitbucket_pull_request())
    assert (request.kind.value, request.number, request.base_branch) == ("pr", "7", "main")
    assert (request.sha, request.fork) == (SHA[:12], False)
    (fork,) = bitbucket("pullrequest:updated", bitbucket_pull_request(fork=True))
    assert (fork.fork, fork.url) == (True, "https://bitbucket.org/eve/app.git")
    assert bitbucket("issue:created", {}) == []


@pytest.mark.parametrize("field", ["repository", "push", "actor"])
def test_malformed_webhook_of_bitbucket_names_the_field(field: str) -> None:
    body = {key: value for key, value in bitbucket_push().items() if key != field}
    with pytest.raises(EventError, match=field):
        bitbucket("repo:push", body)


def test_gitea_sends_the_events_of_github() -> None:
    def kinds_of(name: str, body: dict[str, Any]) -> list[str]:
        return kinds("gitea", name, of_gitea(body))

    assert kinds_of("push", github_push()) == ["push"]
    assert kinds_of("create", github_ref("v1", "tag")) == ["create-tag"]
    assert kinds_of("pull_request", github_pull_request()) == ["pr"]
    pushed = github_pull_request(action="synchronize")
    assert kinds_of("pull_request", pushed) == ["pr"]
    assert kinds_of("pull_request_sync", pushed) == ["pr"]
    assert kinds_of("pull_request", github_pull_request(action="closed")) == []
    assert kinds_of("issue_comment", github_comment("/conducto rerun")) == ["comment"]
    on_issue = github_comment("/conducto rerun")
    on_issue["issue"]["pull_request"] = None
    assert kinds_of("issue_comment", on_issue) == []
    assert kinds_of("check_run", {}) == []
