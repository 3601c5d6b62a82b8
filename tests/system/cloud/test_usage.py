"""Usage of commands in the cloud: counted as they end, shown by the API and the command line."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

import conducto as co
from conducto_cli.main import main

if TYPE_CHECKING:
    from support.cloud.emulated import Cloud

DAY = 86_400.0
pytestmark = [pytest.mark.docker, pytest.mark.cloud]


def test_usage_is_listed_by_month_pipeline_and_node(
    me: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    root = co.Serial(image="busybox:latest", cpu=0.25, mem=0.25)
    root["short"] = co.Exec("head -c 300000 /dev/zero > /conducto/data/pipeline/large")
    root["long"] = co.Exec("sleep 2")
    run = me.run(root, title="Usage")
    month = time.strftime("%Y-%m", time.gmtime())

    run.until(lambda: [p.attempts for p in me.client.usage().pipelines] == [2], "both counted")
    assert main(["usage", "--month", month, "--json"], lambda _profile: lambda: me.client) == 0

    document = json.loads(capsys.readouterr().out)
    (spent,) = document["pipelines"]
    assert (spent["id"], spent["title"], spent["month"]) == (run.id, "Usage", month)
    assert list(spent["nodes"]) == ["/long", "/short"]
    assert spent["seconds"] >= 2.0
    assert spent["dollars"] == pytest.approx(document["months"][month]["dollars"])
    assert 0 < spent["dollars"] < 0.01

    days = [each for seconds, each in me.emulator.functions.schedules() if seconds == DAY]
    assert days
    for daily in days:
        me.emulator.bus.call_scheduled(daily)
    (measured,) = me.client.usage().pipelines
    assert measured.storage_dollars > 0.0
    cost = me.client.cost(run.id)
    assert (cost.file_bytes, cost.object_bytes > 0) == (300_000, True)
