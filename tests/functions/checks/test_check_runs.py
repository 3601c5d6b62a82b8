"""Check runs at GitHub: their states, annotations and buttons, through the App's double.

The double checks signatures, permissions, and the schema of GitHub's API (`support.github_checks`).
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.events.handlers import EventHooks
from chalicelib.people.port import Identity
from chalicelib.triggers.github_app import GithubAppSetup
from chalicelib.triggers.webhooks import Hooks
from conducto_core.coverage.model import CoverageCounts, FileCoverage
from conducto_core.errors import RefusedError
from conducto_core.notifications.channels import Settings
from conducto_core.people.model import Member, Role
from conducto_core.people.rules import permissions_of
from conducto_core.results.model import OutputSummary
from conducto_core.results.records import to_stream
from conducto_core.run.model.records import GitOrigin
from conducto_core.run.model.requests import LaunchRequest
from conducto_core.run.model.states import Cause, State
from conducto_core.triggers import model as t
from support.cloud.world import ME, World
from support.git_provider import GitHost, git_host
from support.trees import approve, form, leaf, serial
from support.webhooks import SHA, github_check, github_headers, packed

if TYPE_CHECKING:
    from collections.abc import Iterator

OCTOCAT = 583231
PERMISSIONS = {
    "contents": "read",
    "metadata": "read",
    "pull_requests": "read",
    "statuses": "write",
    "checks": "write",
}


class Site:
    """An installation with a GitHub App and one trigger."""

    def __init__(self, host: GitHost) -> None:
        self.world = World()
        self.host = host
        host.apps.clock = lambda: self.world.now
        host.apps.granted = dict(PERMISSIONS)
        host.people["octocat"] = OCTOCAT
        self.world.people.join("acme", Member(user="ann", role=Role.OWNER, joined=1.0))
        self.world.people.join("acme", Member(user="vic", role=Role.VIEWER, joined=1.0))
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
        self._create_app()
        self.add()
        self.sender = self.world.sender(
            settings=Settings(),
        )

    def _create_app(self) -> None:
        """Create the App as a browser does."""
        setup = GithubAppSetup(
            self.world.cloud.records,
            self.world.cloud.git,
            self.world.cloud.installation,
            self.world.cloud.secrets.vault,
            self.world.cloud.timing.clock,
            caller=ME,
        )
        redirect = "http://127.0.0.1:1/"
        begun = setup.start(
            t.GithubAppRequest(title="Conducto", host=self.host.url, redirect=redirect)
        )
        self.manifest = json.loads(begun.manifest)
        target = begun.address.removeprefix(self.host.url)
        _, location = self.host.apps.create(target, {"manifest": [begun.manifest]})
        code = location.partition("?code=")[2].partition("&")[0]
        setup.finish(t.GithubAppCode(code=code, state=begun.state))
        self.host.apps.installed["acme/app"] = 77

    def add(self, user: str = "ann", role: Role = Role.OWNER) -> None:
        request = t.TriggerRequest(
            provider="github",
            repository=f"{self.host.url}/acme/app",
            app=True,
            people={"octocat": user},
        )
        me = Identity(ME.org, ME.user, permissions_of(role))
        asyncio.run(
            self.world.services.triggers(me).put_trigger(t.TriggerParams(name="app"), request)
        )

    def launch(self, tree: dict[str, Any], **more: str) -> str:
        """Launch a pipeline as the trigger does."""
        fields = {
            "trigger": "app",
            "provider": "github",
            "repository": "acme/app",
            "section": "push",
            "url": f"{self.host.url}/acme/app.git",
            "branch": "main",
            "sha": SHA,
        }
        origin = GitOrigin.model_validate({**fields, **more})
        request = LaunchRequest(tree=form(tree), run=True)
        found = asyncio.run(self.world.pipelines().launch(request, origin=origin))
        self.world.serve()
        return found.pipeline.id

    def report(self) -> dict[str, Any]:
        """Send the notifications that are due; return the newest check run."""
        self.sender.run()
        return self.host.checks.runs[-1]

    def click(
        self, pipeline: str, action: str = "requested_action", button: str = ""
    ) -> t.Delivery:
        """Receive the webhook of a button."""
        self.world.now += 1
        source = {
            "id": 1,
            "full_name": "acme/app",
            "clone_url": f"{self.host.url}/acme/app.git",
        }
        payload = github_check(pipeline, action, button, repository=source)
        body = packed({**payload, "time": self.world.now})
        (app,) = self.host.apps.apps.values()
        headers = github_headers("check_run", body, secret=app.webhook_secret)
        assert self.hooks.receive("acme~~github", headers, body).status == 202
        while self.invoked:
            self.world.services.trigger_run.process(*self.invoked.pop(0))
        params = t.TriggerParams(name="app")
        found = self.world.services.triggers(ME).list_deliveries(params)
        return asyncio.run(found).deliveries[0]


@pytest.fixture
def site() -> Iterator[Site]:
    with git_host() as host:
        yield Site(host)


def failing(path: str) -> Cause | None:
    return Cause.EXIT_CODE if path == "/a" else None


def test_app_asks_for_checks_and_their_webhooks(site: Site) -> None:
    assert site.manifest["default_permissions"]["checks"] == "write"
    assert {"check_run", "merge_group", "issue_comment"} <= set(site.manifest["default_events"])


def test_check_run_follows_the_pipeline(site: Site) -> None:
    pipeline = site.launch(serial(leaf("a"), leaf("b")))
    running = dict(site.report())
    site.world.run_out(failing)
    ended = site.report()

    assert (running["status"], running["external_id"]) == ("in_progress", pipeline)
    assert ended["id"] == running["id"]
    assert (ended["status"], ended["conclusion"]) == ("completed", "failure")
    assert ended["output"]["title"] == "1 of 2 commands failed"
    assert f"conducto explain {pipeline}" in ended["output"]["summary"]
    assert f"`conducto debug {pipeline} /a`" in ended["output"]["summary"]
    assert [each["identifier"] for each in ended["actions"]] == ["rerun"]
    assert site.host.statuses == []


def test_annotations_are_in_requests_of_fifty_errors_first(site: Site) -> None:
    site.launch(serial(leaf("a")))
    hand = site.world.running()["/a"]
    lines = [f"src/m.c:{n + 1}:1: warning: w{n}" for n in range(60)]
    lines += ["src/m.c:1:1: error: broken", "/usr/include/x.h:1:1: error: elsewhere"]
    hand.print("\n".join(lines))
    hand.finish(Cause.EXIT_CODE, exit_code=1)
    site.world.run_out(failing)
    before = site.host.checks.requests
    ended = site.report()

    assert [each["annotation_level"] for each in ended["annotations"]] == ["failure"] + 60 * [
        "warning"
    ]
    assert site.host.checks.requests - before == 3  # running, and two of the end
    assert ended["annotations"][0]["message"] == "broken"


def test_summary_has_the_coverage_and_changed_lines_that_did_not_run(site: Site) -> None:
    patch = "@@ -1,0 +2,2 @@\n+two\n+three"
    site.host.changes["main", SHA] = [("src/a.py", "src/a.py", patch)]
    before = site.launch(serial(leaf("a")))
    cover(site, FileCoverage(file="src/a.py", covered="1", missed="2-4"))
    site.world.now += 1
    site.launch(serial(leaf("a")), branch="feature", base="main", base_branch="main")
    cover(site, FileCoverage(file="src/a.py", covered="1-2", missed="3-4"))
    summary = site.report()["output"]["summary"]

    assert f"**Coverage: 50.0 % (+25.0)** compared with main {before}" in summary
    assert "Changed lines that did not run:\n- src/a.py: 3" in summary


def cover(site: Site, file: FileCoverage) -> None:
    """End the running command with the coverage of a file, and its pipeline."""
    hand = site.world.running()["/a"]
    hand.print(to_stream([], [file]).decode(), stream="coverage")
    hand.finish(outputs=OutputSummary(coverage=CoverageCounts(files=1, lines=4)))
    site.world.run_out()


def test_button_runs_the_failed_commands_again(site: Site) -> None:
    pipeline = site.launch(serial(leaf("a")))
    site.world.run_out(failing)
    first = site.report()["id"]
    delivery = site.click(pipeline, button="rerun")
    again = site.report()

    assert (delivery.result, delivery.pipeline) == (t.DeliveryResult.ACTED, pipeline)
    assert site.world.get(pipeline).state is State.RUNNING
    assert (again["id"] > first, again["status"]) == (True, "in_progress")
    site.world.run_out(lambda _path: None)
    assert site.report()["conclusion"] == "success"


def test_rerun_of_github_does_the_same(site: Site) -> None:
    pipeline = site.launch(serial(leaf("a")))
    site.world.run_out(failing)

    assert site.click(pipeline, "rerequested").result is t.DeliveryResult.ACTED


def test_button_approves_as_the_person(site: Site) -> None:
    pipeline = site.launch(serial(approve("ok"), leaf("a")))
    waiting = site.report()
    delivery = site.click(pipeline, button="approve")
    (attempt,) = site.world.cloud.records.store.attempts(pipeline, "/ok")

    assert waiting["conclusion"] == "action_required"
    assert [each["identifier"] for each in waiting["actions"]] == ["approve"]
    assert delivery.result is t.DeliveryResult.ACTED
    assert attempt.decision is not None
    assert (attempt.decision.by, attempt.decision.comment) == ("ann", "at GitHub")


@pytest.mark.parametrize("button", ["rerun", "approve"])
def test_button_of_a_member_without_the_permission_is_skipped(site: Site, button: str) -> None:
    site.add("vic")
    pipeline = site.launch(serial(approve("ok"), leaf("a")))
    delivery = site.click(pipeline, button=button)

    assert delivery.result is t.DeliveryResult.SKIPPED
    assert f"vic may not {button} pipelines" in (delivery.reason or "")
    assert [each.path for each in site.world.get(pipeline).approvals] == ["/ok"]


def test_button_of_another_organisations_pipeline_is_skipped(site: Site) -> None:
    other = site.world.launch(serial(leaf("a")))  # not launched by the trigger

    assert "there is no pipeline of app" in (site.click(other, button="rerun").reason or "")
    assert "there is no pipeline" in (site.click("zzz-zzz", button="rerun").reason or "")


def test_app_without_the_permission_sets_a_status(site: Site) -> None:
    del site.host.apps.granted["checks"]
    site.world.now += 3600  # the first token has expired
    site.launch(serial(leaf("a")))
    site.world.run_out(failing)
    site.sender.run()

    assert site.host.checks.runs == []
    assert site.host.statuses[-1][2]["state"] == "failure"


def test_commit_that_was_force_pushed_away_stops_no_other_message(site: Site) -> None:
    site.host.checks.gone.add(SHA)
    site.launch(serial(leaf("a")))
    site.world.run_out(failing)
    site.sender.run()

    assert site.host.checks.runs == []
    assert list(site.world.cloud.records.store.outgoing_due(site.world.now + 86_400)) == []


def test_only_owners_name_the_accounts_of_others(site: Site) -> None:
    with pytest.raises(RefusedError, match="only owners name the accounts of others"):
        site.add("vic", Role.ADMIN)
    site.add("ann", Role.ADMIN)  # that is the caller
