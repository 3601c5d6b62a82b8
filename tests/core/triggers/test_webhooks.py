"""Webhooks: signatures, replays, and the events of each provider."""

from __future__ import annotations

from typing import Any

import pytest

from conducto_core.triggers.model import GitEvent, Provider
from conducto_core.triggers.rules.providers import (
    MAX_AGE,
    EventError,
    SignatureError,
    check_generic,
    check_github,
    check_gitlab,
    events_of,
)
from support.webhooks import (
    SECRET,
    SHA,
    ZEROS,
    generic_signed,
    github_headers,
    github_pull_request,
    github_push,
    github_ref,
    gitlab_headers,
    gitlab_merge_request,
    gitlab_push,
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
    assert kinds("gitlab", "Note Hook", {}) == []


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
