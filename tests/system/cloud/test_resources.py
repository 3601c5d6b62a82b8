"""Resource usage of a command on an emulated worker reaches clients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import conducto as co
from conducto_core.command.model import Resources

if TYPE_CHECKING:
    from support.cloud.emulated import Cloud

pytestmark = [pytest.mark.docker, pytest.mark.cloud]


def test_resource_usage_arrives_with_the_output(me: Cloud) -> None:
    root = co.Parallel(image="busybox:latest", cpu=1, mem=2)
    root["burn"] = co.Exec("until [ -e /conducto/data/pipeline/go ]; do :; done; echo done")
    root["quick"] = co.Exec("true")
    run = me.launch(root)
    # A busy engine may answer too late for any sample.
    run.until(lambda: bool(me.client.resources(run.id, "/burn").cpu), "samples arrived")
    me.client.write_data(run.id, "go", b"")
    run.settled()

    used = me.client.resources(run.id, "/burn")

    assert run.output("/burn") == b"done\n"
    assert (used.interval, used.cpu_limit, used.mem_limit) == (5.0, 1.0, 2 << 30)
    assert 0 < max(used.cpu) < 1.3  # a busy machine gives it less than its CPU
    assert 0 < max(used.memory) < 2 << 30
    assert me.client.resources(run.id, "/quick") == Resources()
