"""Triggers that launch for some files only, the newest commit only, merge queues and comments.

The provider is a real HTTP server (`support.git_provider`).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.events.handlers import EventHooks
from chalicelib.triggers.handlers import CloudTriggers
from chalicelib.triggers.webhooks import Hooks
from conducto_core.errors import RefusedError
from conducto_core.people.model import Member, Role
from conducto_core.run.model.requests import LaunchRequest
from conducto_core.run.model.states import FAILED, Cause, State
from conducto_core.triggers import model as t
from support.cloud.world import ME, World
from support.git_provider import GitHost, git_host
from support.trees import form, leaf, serial
from support.webhooks import (
    SHA,
    github_comment,
    github_headers,
    github_merge_group,
    github_pull_request,
    github_push,
    github_ref,
    gitlab_headers,
    gitlab_push,
    packed,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = "https://github.com/acme/app"
BEFORE = "b" * 40
NEWER = "c" * 40
OCTOCAT = 583231


class Site:
    """An installation with one trigger of a repository."""

    def __init__(self, host: GitHost) -> None:
        self.world = World()
        self.host = host
        for user, role in (("ann", Role.MEMBER), ("vic", Role.VIEWER)):
            member = Member(user=user, role=role, joined=1.0)
            self.world.people.join("acme", member)
        self.invoked: list[tuple[str, str, str]] = []
        self.hooks = Hooks(
            None,
            lambda _event: None,
            self.world.trigger_hooks(
                self.invoked.append,
            ),
            EventHooks(
                self.world.cloud.records,
                self.world.cloud.secrets.vault,
                self.world.cloud.events.schedules,
                self.world.cloud.timing.clock,
                lambda _place: None,
            ),
        )
        self.run = self.world.services.trigger_run
        host.people["octocat"] = OCTOCAT
        host.requests["7"] = github_pull_request()["pull_request"]
        self.secret = ""
        self.add()

    def of(self) -> CloudTriggers:
        return self.world.services.triggers(ME)

    def add(self, **more: Any) -> None:
        fields = {"provider": "github", "repository": REPOSITORY, "token": "token"}
        request = t.TriggerRequest.model_validate({**fields, "api": self.host.url, **more})
        made = asyncio.run(self.of().put_trigger(t.TriggerParams(name="app"), request))
        self.secret = str(made.secret)

    def config(self, text: str, sha: str = SHA) -> None:
        self.host.files["acme/app", sha, t.CONFIG_FILE] = text

    def sent(self, event: str, payload: dict[str, Any]) -> t.Delivery:
        """Receive a webhook, and process it."""
        self.received(event, payload)
        while self.invoked:
            self.run.process(*self.invoked.pop(0))
        return self.deliveries()[0]

    def received(self, event: str, payload: dict[str, Any]) -> None:
        self.world.now += 1
        body = packed({**payload, "time": self.world.now})
        headers = github_headers(event, body, secret=self.secret)
        assert self.hooks.receive("acme~app", headers, body).status == 202

    def deliveries(self) -> tuple[t.Delivery, ...]:
        params = t.TriggerParams(name="app")
        return asyncio.run(self.of().list_deliveries(params)).deliveries

    def state(self, delivery: t.Delivery) -> State:
        return self.world.get(str(delivery.pipeline)).state


@pytest.fixture
def site() -> Iterator[Site]:
    with git_host() as host:
        yield Site(host)


def test_push_launches_if_a_chosen_file_changed(site: Site) -> None:
    site.config("[push docs]\ncommand = d\npaths = docs/**\n[push]\ncommand = x\npaths = src/**\n")
    site.host.changes[BEFORE, SHA] = [("README.md", "README.md", "")]
    none = site.sent("push", github_push())
    site.host.changes[BEFORE, SHA] = [("lib/a.py", "src/a.py", "")]  # moved away from src
    moved = site.sent("push", github_push())

    assert none.result is t.DeliveryResult.SKIPPED
    assert none.reason == "paths of [push] include none of the 1 changed files"
    assert (moved.result, moved.section) == (t.DeliveryResult.LAUNCHED, "push")


@pytest.mark.parametrize("number", [0, 300])
def test_unknown_files_leave_no_commit_untested(site: Site, number: int) -> None:
    """The provider knows no comparison, as after a force push, or it leaves files out."""
    site.config("[push]\ncommand = x\npaths = src/**\n")
    if number:
        site.host.changes[BEFORE, SHA] = [(f"docs/{n}", f"docs/{n}", "") for n in range(number)]

    assert site.sent("push", github_push()).result is t.DeliveryResult.LAUNCHED


def test_new_branch_is_compared_with_nothing(site: Site) -> None:
    site.config("[push]\ncommand = x\npaths = src/**\n")

    assert site.sent("push", github_push(before="0" * 40)).result is t.DeliveryResult.LAUNCHED


def test_changed_files_of_gitlab(site: Site) -> None:
    url = "https://gitlab.example.com/acme/app"
    site.add(provider="gitlab", repository=url)
    site.config("[push]\ncommand = x\npaths = src/**\n")
    site.host.changes[BEFORE, SHA] = [("docs/a", "docs/a", "")]
    body = packed(gitlab_push())
    headers = gitlab_headers("Push Hook", secret=site.secret)
    assert site.hooks.receive("acme~app", headers, body).status == 202
    site.run.process(*site.invoked.pop(0))

    assert "include none of the 1 changed files" in (site.deliveries()[0].reason or "")


def test_pull_request_is_compared_with_its_base(site: Site) -> None:
    site.config("[pr]\ncommand = x\nbranches = main\npaths = src/**\n")
    request = github_pull_request()
    request["pull_request"]["base"]["sha"] = BEFORE
    site.host.changes[BEFORE, SHA] = [("docs/a", "docs/a", "")]

    assert site.sent("pull_request", request).result is t.DeliveryResult.SKIPPED


def test_newest_commit_cancels_the_older_pipeline(site: Site) -> None:
    config = "[push]\ncommand = x\nduplicate = CANCEL_OLD\n"
    site.config(config)
    site.config(config, NEWER)
    first = site.sent("push", github_push())
    other = site.sent("push", github_push(branch="other"))
    second = site.sent("push", github_push(sha=NEWER))

    assert second.result is t.DeliveryResult.LAUNCHED
    assert site.state(first) in FAILED
    assert {site.state(other), site.state(second)} == {State.RUNNING}


def test_older_event_that_is_processed_late_launches_nothing(site: Site) -> None:
    config = "[push]\ncommand = x\nduplicate = CANCEL_OLD\n"
    site.config(config)
    site.config(config, NEWER)
    site.received("push", github_push())
    late = site.invoked.pop()
    newest = site.sent("push", github_push(sha=NEWER))
    waiting = site.deliveries()[1]
    received = waiting.model_copy(update={"result": t.DeliveryResult.RECEIVED})
    site.world.cloud.records.deliveries.put(
        "acme", "app", received
    )  # its function had read it before
    site.run.process(*late)

    newer, older = site.deliveries()
    assert newer == newest
    assert waiting.result is t.DeliveryResult.SKIPPED
    assert site.state(newest) is State.RUNNING
    assert older.result is t.DeliveryResult.SKIPPED
    assert older.reason == "there is a newer event of the same branch or pull request"


def test_merge_group_has_its_own_section_and_no_push(site: Site) -> None:
    site.config("[merge-group]\ncommand = x {base_branch}\nbranches = main\n[push]\ncommand = y\n")
    branch = f"gh-readonly-queue/main/pr-7-{BEFORE}"
    site.received("push", github_push(branch=branch))
    site.received("create", github_ref(branch, "branch"))
    site.received("merge_group", github_merge_group("destroyed"))
    assert site.deliveries() == ()
    delivery = site.sent("merge_group", github_merge_group())

    assert (delivery.section, delivery.event.branch) == ("merge-group", branch)
    record = site.world.store.record("acme", str(delivery.pipeline))
    assert record is not None
    assert record.git is not None
    assert (record.git.sha, record.git.untrusted) == (SHA, False)


def test_comment_of_a_member_launches_the_named_section(site: Site) -> None:
    site.config("[pr]\ncommand = x\n[comment bench]\ncommand = b {number}\n")
    site.add(people={"octocat": "ann"})
    named = site.sent("issue_comment", github_comment("/conducto run bench\nplease"))
    plain = site.sent("issue_comment", github_comment("/conducto run"))

    assert (named.section, named.event.sha, named.event.number) == ("comment bench", SHA, "7")
    generate = site.world.nodes(str(named.pipeline))["/Generate"]
    assert generate.command == "b 7"
    assert (plain.result, plain.section) == (t.DeliveryResult.LAUNCHED, "pr")


@pytest.mark.parametrize(
    ("sender", "user", "reason"),
    [
        ({"login": "eve", "number": 666}, "ann", "eve at GitHub is not a known member"),
        (
            {"login": "octocat", "number": 666},
            "ann",
            "is not a known member",
        ),  # took over the login
        ({}, "vic", "vic may not launch pipelines"),
    ],
)
def test_comment_of_another_person_launches_nothing(
    site: Site, sender: dict[str, Any], user: str, reason: str
) -> None:
    site.config("[pr]\ncommand = x\n")
    site.add(people={"octocat": "ann"})
    stored = site.world.cloud.records.triggers.get("acme", "app")
    person = stored.people[0].model_copy(update={"user": user})
    site.world.cloud.records.triggers.put("acme", stored.model_copy(update={"people": (person,)}))
    delivery = site.sent("issue_comment", github_comment("/conducto run", **sender))

    assert delivery.result is t.DeliveryResult.SKIPPED
    assert reason in (delivery.reason or "")


def test_other_comments_are_not_deliveries(site: Site) -> None:
    site.received("issue_comment", github_comment("please /conducto run"))
    site.received("issue_comment", github_comment("/conductor"))
    edited = {**github_comment("/conducto run"), "action": "edited"}
    site.received("issue_comment", edited)
    issue = github_comment("/conducto run")
    del issue["issue"]["pull_request"]
    site.received("issue_comment", issue)

    assert site.deliveries() == ()


def test_comment_on_a_fork_waits_for_an_approval(site: Site) -> None:
    site.config("[pr]\ncommand = x\n")
    site.add(people={"octocat": "ann"}, forks="approve")
    site.host.requests["7"] = github_pull_request(fork=True)["pull_request"]
    delivery = site.sent("issue_comment", github_comment("/conducto run"))

    assert delivery.result is t.DeliveryResult.WAITING


def test_comments_rerun_and_cancel_the_pipeline_of_the_pull_request(site: Site) -> None:
    site.config("[pr]\ncommand = x\n")
    site.add(people={"octocat": "ann"})
    launched = site.sent("pull_request", github_pull_request())
    record = site.world.store.record("acme", str(launched.pipeline))
    assert record is not None
    site.world.now += 1
    request = LaunchRequest(tree=form(serial(leaf("a"))), run=True, tags=record.tags)
    failed = asyncio.run(site.world.pipelines().launch(request, origin=record.git)).pipeline.id
    site.world.run_out(lambda path: Cause.EXIT_CODE if path == "/a" else None)
    before = site.world.get(failed).state
    again = site.sent("issue_comment", github_comment("/conducto rerun"))
    running = site.world.get(failed).state
    cancelled = site.sent("issue_comment", github_comment("/conducto cancel"))
    unknown = site.sent("issue_comment", github_comment("/conducto fly"))
    approved = site.sent("issue_comment", github_comment("/conducto approve"))

    assert (before, running) == (State.ERROR, State.RUNNING)
    assert (again.result, again.pipeline) == (t.DeliveryResult.ACTED, failed)
    assert again.reason == f"ann started 1 failed commands of {failed} again"
    assert (cancelled.result, site.world.get(failed).state) == ("acted", State.ERROR)
    assert "there is no command 'fly'" in (unknown.reason or "")
    assert "a comment cannot approve" in (approved.reason or "")


def test_webhook_with_a_known_secret_lends_no_permissions_of_others(site: Site) -> None:
    with pytest.raises(RefusedError, match="vic can only act through the GitHub App"):
        site.add(people={"octocat": "vic"})
    with pytest.raises(RefusedError, match="there is no ghost at GitHub"):
        site.add(people={"ghost": "ann"})
