"""Triggers of Bitbucket, Gitea and GitLab: launches, statuses, changed files, and comments.

The doubles have the paths of the providers, and check statuses with their schemas.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from tests.functions.triggers.test_triggers import Site

from conducto_core.notifications.channels import Settings
from conducto_core.run.model.requests import LaunchRequest
from conducto_core.run.model.states import Cause, State
from conducto_core.triggers import model as t
from support.git_provider import git_host
from support.trees import form, leaf, serial
from support.webhooks import (
    SHA,
    bitbucket_headers,
    bitbucket_pull_request,
    bitbucket_push,
    gitea_headers,
    github_comment,
    github_pull_request,
    github_push,
    gitlab_comment,
    gitlab_headers,
    gitlab_push,
    of_gitea,
    packed,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

BASE = "b" * 40
CONFIG = "[push]\ncommand = python p.py\npaths = src/**\n[pr]\ncommand = python p.py {number}\n"
BITBUCKET = ("bitbucket", "https://bitbucket.org/acme/app", "/2.0")
GITEA = ("gitea", "https://gitea.example.com/acme/app", "/api/v1")
GITLAB = ("gitlab", "https://gitlab.example.com/acme/app", "")


@pytest.fixture
def site() -> Iterator[Site]:
    with git_host() as host:
        made = Site(host)
        host.files["acme/app", SHA, t.CONFIG_FILE] = CONFIG
        host.refs["acme/app", "feature"] = SHA
        yield made


def add(site: Site, provider: tuple[str, str, str], **more: Any) -> None:
    name, repository, path = provider
    site.add(provider=name, repository=repository, api=site.host.url + path, **more)


def receive(site: Site, provider: str, event: str, payload: dict[str, Any]) -> t.Delivery:
    """Receive a webhook that is signed, after one that is not."""
    site.world.now += 1
    headers = {"bitbucket": bitbucket_headers, "gitea": gitea_headers}
    body = packed({**payload, "time": site.world.now})
    if provider == "gitlab":
        signed = gitlab_headers(event, secret=site.secret, delivery=str(site.world.now))
        forged = gitlab_headers(event, secret="forged")
    else:
        signed = headers[provider](event, body, secret=site.secret)
        forged = headers[provider](event, body, secret="forged")
    assert site.receive(forged, body) == 401
    assert site.receive(signed, body) == 202
    return site.process()


def run_out(site: Site, delivery: t.Delivery, cause: Cause | None) -> list[dict[str, Any]]:
    """Run a pipeline like that of a delivery; return the statuses of its commit."""
    record = site.world.store.record("acme", str(delivery.pipeline))
    assert record is not None
    request = LaunchRequest(tree=form(serial(leaf("a"))), run=True)
    site.world.now += 1
    asyncio.run(site.world.pipelines().launch(request, origin=record.git))
    site.world.run_out(lambda _: cause)
    site.world.sender(
        settings=Settings(),
    ).run()
    assert {(name, sha) for name, sha, _ in site.host.statuses} <= {("acme/app", SHA)}
    return [body for _, _, body in site.host.statuses]


@pytest.mark.parametrize(
    ("provider", "event", "payload", "words"),
    [
        (BITBUCKET, "repo:push", bitbucket_push(), ("INPROGRESS", "FAILED")),
        (GITEA, "push", of_gitea(github_push()), ("pending", "failure")),
    ],
    ids=["bitbucket", "gitea"],
)
def test_push_launches_and_sets_the_status(
    site: Site,
    provider: tuple[str, str, str],
    event: str,
    payload: dict[str, Any],
    words: tuple[str, str],
) -> None:
    add(site, provider)
    site.host.changes[BASE, SHA] = [("src/a.py", "src/a.py", "")]
    delivery = receive(site, provider[0], event, payload)
    statuses = run_out(site, delivery, Cause.EXIT_CODE)

    assert (delivery.result, delivery.section) == (t.DeliveryResult.LAUNCHED, "push")
    assert (statuses[0]["state"], statuses[-1]["state"]) == words
    assert "conducto pipeline" in statuses[0].values()


@pytest.mark.parametrize(
    ("provider", "event", "payload"),
    [(BITBUCKET, "repo:push", bitbucket_push()), (GITEA, "push", of_gitea(github_push()))],
    ids=["bitbucket", "gitea"],
)
def test_push_of_other_files_launches_nothing(
    site: Site, provider: tuple[str, str, str], event: str, payload: dict[str, Any]
) -> None:
    add(site, provider)
    site.host.changes[BASE, SHA] = [("docs/a.md", "docs/a.md", "")]

    delivery = receive(site, provider[0], event, payload)

    assert delivery.result is t.DeliveryResult.SKIPPED
    assert "include none of the 1 changed files" in str(delivery.reason)


def test_removed_file_of_bitbucket_counts_by_its_old_name(site: Site) -> None:
    add(site, BITBUCKET)
    site.host.changes[BASE, SHA] = [("", "src/gone.py", "")]

    delivery = receive(site, "bitbucket", "repo:push", bitbucket_push())

    assert delivery.result is t.DeliveryResult.LAUNCHED


@pytest.mark.parametrize(
    ("provider", "event", "payload"),
    [
        (BITBUCKET, "pullrequest:created", bitbucket_pull_request()),
        (GITEA, "pull_request", of_gitea(github_pull_request())),
    ],
    ids=["bitbucket", "gitea"],
)
def test_pull_request_launches_the_whole_commit(
    site: Site, provider: tuple[str, str, str], event: str, payload: dict[str, Any]
) -> None:
    add(site, provider)

    delivery = receive(site, provider[0], event, payload)

    assert (delivery.result, delivery.section) == (t.DeliveryResult.LAUNCHED, "pr")
    record = site.world.store.record("acme", str(delivery.pipeline))
    assert record is not None
    assert record.git is not None
    assert (record.git.sha, record.git.base_branch) == (SHA, "main")
    generate = site.world.nodes(record.id)["/Generate"]
    assert generate.command == "python p.py 7"


@pytest.mark.parametrize(
    ("provider", "event", "payload"),
    [
        (BITBUCKET, "pullrequest:created", bitbucket_pull_request(fork=True)),
        (GITEA, "pull_request", of_gitea(github_pull_request(fork=True))),
    ],
    ids=["bitbucket", "gitea"],
)
def test_pull_request_of_a_fork_is_ignored(
    site: Site, provider: tuple[str, str, str], event: str, payload: dict[str, Any]
) -> None:
    add(site, provider)

    assert receive(site, provider[0], event, payload).result is t.DeliveryResult.SKIPPED


REQUESTS = {
    "gitlab": {
        "iid": 3,
        "title": "Add a feature",
        "source_branch": "feature",
        "target_branch": "main",
        "sha": SHA,
        "source_project_id": 1,
        "target_project_id": 1,
    },
    "gitea": of_gitea(github_pull_request())["pull_request"],
}


@pytest.mark.parametrize(
    ("provider", "event", "payload"),
    [
        (GITLAB, "Note Hook", gitlab_comment),
        (GITEA, "issue_comment", lambda text: of_gitea(github_comment(text))),
    ],
    ids=["gitlab", "gitea"],
)
def test_comments_of_the_owner_launch_cancel_and_rerun(
    site: Site, provider: tuple[str, str, str], event: str, payload: Any
) -> None:
    site.host.people["octocat"] = 583231
    add(site, provider, people={"octocat": "ann"})
    request = REQUESTS[provider[0]]
    site.host.requests[str(request.get("iid", request.get("number")))] = request

    launched = receive(site, provider[0], event, payload("/conducto run"))
    ended = receive(site, provider[0], event, payload("/conducto cancel"))
    state = site.world.get(str(launched.pipeline)).state
    again = receive(site, provider[0], event, payload("/conducto rerun"))

    assert (launched.result, launched.section) == (t.DeliveryResult.LAUNCHED, "pr")
    assert state is State.ERROR
    for acted in (ended, again):
        assert (acted.result, acted.pipeline) == (t.DeliveryResult.ACTED, launched.pipeline)
    assert site.world.get(str(launched.pipeline)).state is State.RUNNING


def test_comments_of_others_and_on_forks_are_skipped(site: Site) -> None:
    site.host.people["octocat"] = 583231
    add(site, GITLAB, people={"octocat": "ann"})
    site.host.requests["3"] = {**REQUESTS["gitlab"], "source_project_id": 2}

    stranger = receive(
        site, "gitlab", "Note Hook", gitlab_comment("/conducto run", login="eve", number=7)
    )
    fork = receive(site, "gitlab", "Note Hook", gitlab_comment("/conducto run"))

    assert stranger.result is t.DeliveryResult.SKIPPED
    assert "eve at GitLab is not a known member" in str(stranger.reason)
    assert fork.result is t.DeliveryResult.SKIPPED
    assert "from a fork" in str(fork.reason)


def test_people_of_bitbucket_are_not_known() -> None:
    with pytest.raises(ValueError, match="only comments at gitea, github, gitlab are from people"):
        t.TriggerRequest(provider="bitbucket", repository=BITBUCKET[1], people={"octocat": "ann"})


@pytest.mark.parametrize(
    ("provider", "event", "payload"),
    [
        (BITBUCKET, "repo:push", bitbucket_push()),
        (GITEA, "push", of_gitea(github_push())),
        (GITLAB, "Push Hook", gitlab_push()),
    ],
    ids=["bitbucket", "gitea", "gitlab"],
)
def test_status_of_a_commit_that_was_force_pushed_away_is_given_up(
    site: Site, provider: tuple[str, str, str], event: str, payload: dict[str, Any]
) -> None:
    add(site, provider)
    site.host.changes[BASE, SHA] = [("src/a.py", "src/a.py", "")]
    site.host.checks.gone.add(SHA)
    delivery = receive(site, provider[0], event, payload)
    run_out(site, delivery, None)

    assert site.host.statuses == []
    due = site.world.cloud.records.store.outgoing_due(site.world.now + 86_400)
    assert list(due) == []
