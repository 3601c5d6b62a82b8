"""Events launch pipelines in the emulated cloud: webhooks, EventBridge, S3, and SQS."""

from __future__ import annotations

import json
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

import conducto as co
from conducto_core.events.model import EventRule
from conducto_core.events.operations import MAKE_HOOK
from conducto_core.schedules.model import NewSchedule, Overlap, ScheduleParams, TemplateSource
from support.cloud.emulated import TIMEOUT, Run

if TYPE_CHECKING:
    from support.cloud.emulated import Cloud

pytestmark = [pytest.mark.docker, pytest.mark.cloud]


def add(me: Cloud, name: str, **rule: Any) -> EventRule:
    """Store a trigger whose pipelines print the payload; return its events."""
    root = co.Serial(image="python:3.13-slim")
    root["show"] = co.Exec('cat "$CONDUCTO_RUN_DIR/inputs"', results=[co.payload()])
    template = me.launch(root, run=False).id
    view = me.client.create_schedule(
        NewSchedule(
            name=name,
            on=EventRule(**rule),
            what=TemplateSource(kind="template", pipeline=template),
            overlap=Overlap.ALLOW,
        )
    )
    assert view.schedule.on is not None
    return view.schedule.on


def printed(me: Cloud, name: str, number: int = 1) -> list[Any]:
    """Return the payloads that the pipelines of a trigger print, the oldest first."""
    end = time.monotonic() + TIMEOUT
    while len(me.client.firings(name).firings) < number:
        assert time.monotonic() < end, "no event arrived"
        time.sleep(0.2)
    runs = []
    for firing in reversed(me.client.firings(name).firings):
        while (found := _pipeline(me, name, firing.id)) is None:
            assert time.monotonic() < end, me.client.firings(name)
            time.sleep(0.2)
        runs.append(Run(me, found).settled())
    return [json.loads(run.output("/show"))["//payload"] for run in runs]


def _pipeline(me: Cloud, name: str, firing_id: str) -> str | None:
    return next(one.pipeline for one in me.client.firings(name).firings if one.id == firing_id)


def test_webhook_launches_a_pipeline_with_its_payload(me: Cloud) -> None:
    add(me, "orders", source="webhook", redact=("$.card",))
    hook = me.client.call(MAKE_HOOK, ScheduleParams(name="orders"))
    headers = {"Authorization": f"Bearer {hook.secret}", "Content-Type": "application/json"}
    cloud_event = {"ce-specversion": "1.0", "ce-id": "7", "ce-source": "/shop", "ce-type": "order"}

    for _ in range(2):
        request = urllib.request.Request(
            hook.url, data=b'{"card": 4242, "n": 1}', headers={**headers, **cloud_event}
        )
        with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
            assert response.status == 202

    (payload,) = printed(me, "orders")
    assert (payload["id"], payload["source"]) == ("7", "/shop")


def test_events_of_the_account_launch_pipelines(me: Cloud) -> None:
    pattern = {"source": ["acme.shop"], "detail": {"total": [{"numeric": [">", 10]}]}}
    add(me, "big", source="eventbridge", pattern=json.dumps(pattern))
    entries = [
        {"Source": "acme.shop", "DetailType": "Order", "Detail": json.dumps({"total": total})}
        for total in (5, 12)
    ]

    me.aws("events").put_events(Entries=entries)

    (payload,) = printed(me, "big")
    assert (payload["detail-type"], payload["detail"]) == ("Order", {"total": 12})
    me.client.delete_schedule("big")
    assert [each["Name"] for each in me.aws("events").list_rules()["Rules"]] == []


def test_new_object_launches_a_pipeline(me: Cloud) -> None:
    bucket = f"raw-{me.org}"
    s3 = me.aws("s3")
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    add(me, "raw", source="s3", bucket=bucket, prefix="in/", suffix=".csv")

    for key in ("in/a.csv", "in/b.txt", "out/c.csv"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"1")

    (payload,) = printed(me, "raw")
    assert payload["detail"]["object"]["key"] == "in/a.csv"
    me.client.delete_schedule("raw")


def test_messages_of_a_queue_launch_a_pipeline_and_those_that_fail_are_kept(me: Cloud) -> None:
    rule = add(me, "load", source="sqs", batch=3, batch_seconds=5)
    sqs, name = me.aws("sqs"), (rule.queue or "").rpartition(":")[2]
    url, dead = (sqs.get_queue_url(QueueName=one)["QueueUrl"] for one in (name, f"{name}-dead"))
    # A message that fails is received again after this time, instead of half an hour.
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "1"})

    bodies = [json.dumps({"country": "FR"}), "text", "x" * 70_000]
    for body in bodies:
        sqs.send_message(QueueUrl=url, MessageBody=body)

    kept: list[Any] = []
    end = time.monotonic() + TIMEOUT
    while not kept:
        assert time.monotonic() < end, me.client.firings("load")
        asked = sqs.receive_message(QueueUrl=dead, WaitTimeSeconds=1, AttributeNames=["All"])
        kept = asked.get("Messages", [])
    firings = {one.state.value: one for one in me.client.firings("load").firings}
    assert sorted(firings) == ["failed", "launched"]
    assert "the maximum is 65,536" in (firings["failed"].why or "")
    run = Run(me, firings["launched"].pipeline or "").settled()
    messages = json.loads(run.output("/show"))["//payload"]["messages"]
    assert [one["body"] for one in messages] == [{"country": "FR"}, "text"]
    assert [one["Body"] for one in kept] == [bodies[2]]
    assert int(kept[0]["Attributes"]["ApproximateReceiveCount"]) >= 5
    left = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert left["ApproximateNumberOfMessages"] == "0"

    me.client.delete_schedule("load")
    assert "QueueUrls" not in sqs.list_queues(QueueNamePrefix=name)
