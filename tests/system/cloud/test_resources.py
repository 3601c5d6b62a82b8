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
    root["burn"] = co.Exec("timeout 24 sh -c 'while :; do :; done'; echo done")
    root["quick"] = co.Exec("true")
    run = me.run(root)

    used = me.client.resources(run.id, "/burn")

    assert run.output("/burn") == b"done\n"
    assert (used.interval, used.cpu_limit, used.mem_limit) == (5.0, 1.0, 2 << 30)
    assert len(used.cpu) >= 1  # a busy engine may miss some of four
    assert 0.1 < sum(used.cpu) / len(used.cpu) < 1.3
    assert 0 < max(used.memory) < 2 << 30
    assert me.client.resources(run.id, "/quick") == Resources()
