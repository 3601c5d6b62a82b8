"""Rules that send notifications: a real receiver gets signed webhooks from a real runner."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import conducto as co
from conducto_core.notifications.model import DeliveryState, RuleParams, RuleRequest
from conducto_core.run.model.requests import Action
from conducto_core.secrets.model import PutSecrets, SecretValue
from conducto_core.triggers.rules.providers import SIGNATURE_HEADER, TIME_HEADER, generic_signature
from conducto_local.agent.runner import open_parts
from conducto_local.agent.state_dir import StateDir
from support.containers import BUSYBOX as IMAGE
from support.local import Local, eventually
from support.services import web_service

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "a long secret"


def tree(command: str) -> co.Serial:
    root = co.Serial(image=IMAGE, title="Nightly")
    root["a"] = co.Exec(command)
    return root


async def test_webhook_reports_failures_and_recovery(tmp_path: Path) -> None:
    home = StateDir(tmp_path, "test")
    events = ("start", "failure", "failed_again", "fixed")
    async with open_parts(home) as opened:
        local = Local(opened.pipelines, home, "process")
        with web_service() as receiver:
            rule = RuleRequest.model_validate(
                {"channel": "webhook", "to": f"{receiver.url}/x", "on": events, "secret": "HOOK"}
            )
            await opened.pipelines.put_notification_rule(RuleParams(name="ops"), rule)
            secret = SecretValue(key="HOOK", value=SECRET)
            await opened.pipelines.put_secrets(PutSecrets(secrets=(secret,)))
            for command in ("echo 'fatal: *no* disk' >&2; exit 1", "exit 1", "true", "true"):
                run = await local.run(tree(command))

                async def settled(run: object = run) -> bool:
                    found = (await run.node("/")).notifications  # type: ignore[attr-defined]
                    return len(found) == 2 and all(
                        each.delivery is not DeliveryState.PENDING for each in found
                    )

                await eventually(settled)
            last = (await run.node("/")).notifications

    assert [asked.body["event"] for asked in receiver.asked] == [
        *("start", "failure"),
        *("start", "failed_again"),
        *("start", "fixed"),
        "start",
    ]
    explained = [asked.body.get("diagnosis", "") for asked in receiver.asked]
    assert explained[0] + "".join(explained[4:]) == ""  # nothing failed
    assert explained[1].startswith("**1 of 1 commands failed, for one reason.**")
    assert "\n    fatal: *no* disk\n" in explained[1]  # in an indented block
    assert [each.delivery for each in last] == [DeliveryState.SENT, DeliveryState.DROPPED]
    for asked in receiver.asked:
        signed = generic_signature(SECRET, asked.headers[TIME_HEADER.lower()], asked.raw)
        assert asked.headers[SIGNATURE_HEADER.lower()] == signed
        assert asked.body["pipeline"]["title"] == "Nightly"
    assert len({asked.headers["conducto-delivery"] for asked in receiver.asked}) == 7


async def test_rules_survive_a_restart_and_can_be_deleted(tmp_path: Path) -> None:
    home = StateDir(tmp_path, "test")
    rule = RuleRequest.model_validate({"channel": "slack", "to": "#ops", "title": "Other*"})
    async with open_parts(home) as opened:
        await opened.pipelines.put_notification_rule(RuleParams(name="ops"), rule)
    async with open_parts(home) as opened:
        (kept,) = (await opened.pipelines.list_notification_rules()).rules
        run = await Local(opened.pipelines, home, "process").run(tree("true"))
        found = await run.node("/")
        await opened.pipelines.delete_notification_rule(RuleParams(name="ops"))
        left = await opened.pipelines.list_notification_rules()

    assert (kept.name, kept.to) == ("ops", "#ops")
    assert found.notifications == ()  # the title does not match
    assert left.rules == ()


async def test_waiting_approval_is_reported(tmp_path: Path) -> None:
    home = StateDir(tmp_path, "test")
    root = co.Serial(image=IMAGE)
    root["ok"] = co.Approve(message="Deploy to production?")
    async with open_parts(home) as opened:
        local = Local(opened.pipelines, home, "process")
        with web_service() as receiver:
            rule = RuleRequest.model_validate(
                {"channel": "webhook", "to": receiver.url, "on": ("approval",)}
            )
            await opened.pipelines.put_notification_rule(RuleParams(name="ops"), rule)
            await local.launch(root, run=True)

            async def arrived() -> bool:
                return bool(receiver.asked)

            await eventually(arrived)
            (asked,) = receiver.asked

    assert (asked.body["event"], asked.body["path"]) == ("approval", "/ok")
    lines = asked.body["text"].splitlines()
    assert "Deploy to production?" in lines
    assert lines[-2].endswith(": /ok waits for approval")
    assert lines[-1] == f"conducto approve {asked.body['pipeline']['id']} /ok"


async def test_alert_is_sent_once_while_a_pipeline_runs(tmp_path: Path) -> None:
    home = StateDir(tmp_path, "test")
    async with open_parts(home) as opened:
        local = Local(opened.pipelines, home, "process")
        with web_service() as receiver:
            fields = {"channel": "webhook", "to": f"{receiver.url}/x"}
            rule = RuleRequest.model_validate({**fields, "on": ("late", "waiting"), "minutes": 30})
            await opened.pipelines.put_notification_rule(RuleParams(name="ops"), rule)
            run = await local.launch(tree("while [ ! -f end ]; do sleep 0.1; done"))
            await run.until("/a", "running")

            opened.alerts.check(time.time() + 60)
            for minutes in (31, 32):
                opened.alerts.check(time.time() + 60 * minutes)

            async def sent() -> bool:
                found = (await run.node("/")).notifications
                return [each.delivery for each in found][1:] == [DeliveryState.SENT]

            await eventually(sent)
            await run.control(Action.KILL, "/")

    (asked,) = receiver.asked
    assert asked.body["event"] == "late"
    assert "it should have ended after 30m 00s" in asked.body["text"]
