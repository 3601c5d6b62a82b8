"""Rules that send notifications in the cloud, to real servers on this machine."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from chalicelib.secrets.injection import org_scope
from conducto_core.errors import NotFoundError
from conducto_core.notifications.channels import Settings
from conducto_core.notifications.model import DeliveryState, RuleParams, RuleRequest
from conducto_core.run.model.records import FirstError, GitOrigin
from conducto_core.run.model.requests import LaunchRequest
from conducto_core.run.model.states import Cause
from support.cloud.world import ME, STRANGER, World
from support.services import mail_server, web_service
from support.trees import form, leaf, serial

COMMIT = GitOrigin(
    trigger="t",
    provider="github",
    repository="acme/app",
    section="push",
    url="https://github.com/acme/app",
    branch="main",
    sha="abc123",
)


def add(world: World, name: str, **fields: Any) -> None:
    request = RuleRequest.model_validate(fields)
    asyncio.run(world.pipelines().put_notification_rule(RuleParams(name=name), request))


def run(world: World, cause: Cause | None = None) -> str:
    world.now += 100
    pipeline = world.launch(serial(leaf("a")), run=True, title="Nightly")
    world.serve()
    for worker in world.running().values():
        text = "<!channel> ``` KeyError: 'x'"
        worker.finish(cause=cause, first_error=FirstError(signature="KeyError", text=text))
    world.run_out()
    return pipeline


def test_slack_and_mail_report_failures_and_recovery() -> None:
    world = World()
    world.vault.replace(org_scope(ME.org), {"SLACK_TOKEN": {"value": "xoxb-1"}}, "")
    add(world, "chat", channel="slack", to="#ops")
    add(world, "post", channel="mail", to="ops@example.com", on=("failed_again",))
    with web_service() as slack, mail_server() as mail:
        settings = Settings(slack=slack.url, smtp=mail.url, sender="ci@example.com")
        for cause in (Cause.EXIT_CODE, Cause.EXIT_CODE, None, None):
            run(world, cause)
            world.sender(
                settings=settings,
            ).run()

    first, second, third = [asked.body["text"].splitlines()[0] for asked in slack.asked]
    assert first.endswith(": failed")
    assert second.endswith(": failed again")
    assert third.endswith(": fixed")
    # Failures are explained: text of commands cannot mention people or leave its block in Slack.
    explained = [asked.body["text"] for asked in slack.asked]
    assert explained[0].endswith("```")
    assert "1 failed, 1 cause:" in explained[0]
    assert "[1] 1 x exit code" in explained[0]
    assert "&lt;!channel&gt; '''" in explained[0]
    assert "<!channel>" not in "".join(explained)
    assert "```" not in explained[2]
    ((to, message),) = mail.taken
    assert to == ["ops@example.com"]
    assert "failed again" in message
    assert "| <!channel> ``` KeyError: 'x'" in message
    assert "last 2 pipelines" in message


def test_github_status_is_that_of_the_commit_of_the_trigger() -> None:
    world = World()
    world.vault.replace(org_scope(ME.org), {"GITHUB_TOKEN": {"value": "ghp-1"}}, "")
    add(world, "commit", channel="github", on=("start", "success", "failure"))
    plain = run(world)
    request = LaunchRequest(tree=form(serial(leaf("a"))), run=True)
    asyncio.run(world.pipelines().launch(request, origin=COMMIT))
    world.run_out(lambda _: Cause.EXIT_CODE)
    with web_service() as github:
        settings = Settings(github=f"{github.url}")
        world.sender(
            settings=settings,
        ).run()

    assert {asked.path for asked in github.asked} == {"/repos/acme/app/statuses/abc123"}
    # The status of the rule, and the status that every pipeline of a trigger sets.
    states = [(asked.body["context"], asked.body["state"]) for asked in github.asked]
    for context in ("conducto commit", "conducto pipeline"):
        assert [state for of, state in states if of == context] == ["pending", "failure"]
    found = world.nodes(plain)["/"].notifications
    assert {each.delivery for each in found} == {DeliveryState.DROPPED}


def test_webhooks_reach_only_public_addresses_from_the_cloud() -> None:
    world = World()
    with web_service() as receiver:
        add(world, "hook", channel="webhook", to=receiver.url, on=("failure",))
        pipeline = run(world, Cause.EXIT_CODE)
        world.sender(
            settings=Settings(public_only=True),
        ).run()

    failed = world.nodes(pipeline)["/"].notifications[-1]
    assert (failed.delivery, receiver.asked) == (DeliveryState.FAILED, [])
    assert "not a public address" in (failed.error or "")


def test_rules_of_other_organisations_are_not_seen() -> None:
    world = World()
    add(world, "chat", channel="slack", to="#ops")

    assert asyncio.run(world.pipelines(STRANGER).list_notification_rules()).rules == ()
    with pytest.raises(NotFoundError, match="no notification rule 'chat'"):
        asyncio.run(world.pipelines(STRANGER).delete_notification_rule(RuleParams(name="chat")))


def test_alerts_of_a_running_pipeline_are_sent_once_in_an_active_period() -> None:
    world = World()
    world.vault.replace(org_scope(ME.org), {"SLACK_TOKEN": {"value": "xoxb-1"}}, "")
    alerts = ("late", "expensive", "waiting")
    add(world, "ops", channel="slack", to="#ops", on=alerts, minutes=30, dollars=0.05)
    with web_service() as slack:
        settings = Settings(slack=slack.url)
        world.fleet.full = True
        pipeline = world.launch(leaf(), title="Nightly")
        for _ in range(40):
            world.minute(60)
        world.fleet.full = False
        for _ in range(40):
            world.minute(60)
            world.serve()
        for _ in range(60):
            world.beat()
            world.minute(60)
        world.run_out()
        world.sender(
            settings=settings,
        ).run()

    told = [asked.body["text"].splitlines()[:2] for asked in slack.asked]
    subjects = [subject.rpartition(": ")[2] for subject, _ in told]
    assert subjects == ["is late", "waits", "is expensive"]
    assert told[0][1] == "it should have ended after 30m 00s"
    assert told[1][1].startswith("/ has waited for 30m 00s: AWS has no machine, it reported")
    assert told[2][1].startswith("it has cost $0.05")
    assert pipeline
