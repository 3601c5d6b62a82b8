"""Results, metrics and artifacts of commands on emulated workers reach clients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import conducto as co

if TYPE_CHECKING:
    from support.cloud.emulated import Cloud

pytestmark = [pytest.mark.docker, pytest.mark.cloud]

WRITE = """cd "$CONDUCTO_RUN_DIR"
echo '{"loss": 0.5}' >result
echo '{"name": "loss", "value": 0.75, "step": 1}' >metrics
echo '{"name": "loss", "value": 0.5, "step": 2}' >>metrics
echo done"""


def test_result_and_metrics_of_a_command_arrive(me: Cloud) -> None:
    root = co.Serial(image="busybox:latest")
    root["train"] = co.Exec(WRITE)
    root["none"] = co.Exec('ls -A "$CONDUCTO_RUN_DIR" | grep -v "[.]"')
    run = me.run(root)

    result = me.client.get_result(run.id, "/train")
    (loss,) = me.client.metrics(run.id, "/train")

    assert run.output("/train") == b"done\n"
    assert (result.attempt, result.exists, result.value) == (1, True, {"loss": 0.5})
    assert (loss.name, loss.values, loss.steps) == ("loss", (0.75, 0.5), (1, 2))
    assert not me.client.get_result(run.id, "/none").exists
    assert run.output("/none") == b""
