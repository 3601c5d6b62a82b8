"""Events launch pipelines in the emulated cloud: webhooks, EventBridge, and objects in S3."""

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


def add(me: Cloud, name: str, **rule: Any) -> None:
    """Store a trigger whose pipelines print the payload."""
    root = co.Serial(image="python:3.13-slim")
    root["show"] = co.Exec('cat "$CONDUCTO_RUN_DIR/inputs"', results=[co.payload()])
    template = me.launch(root, run=False).id
    me.client.create_schedule(
        NewSchedule(
            name=name,
            on=EventRule(**rule),
            what=TemplateSource(kind="template", pipeline=template),
            overlap=Overlap.ALLOW,
        )
    )


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
