"""Debug shells for nodes of the emulated cloud, in containers of this machine."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

import conducto as co
from conducto_core.debug.model import DebugRequest
from conducto_local.debug.command import keep_container
from support.containers import remove

if TYPE_CHECKING:
    from support.cloud.emulated import Cloud

pytestmark = [pytest.mark.docker, pytest.mark.cloud]


def test_a_shell_on_this_machine_has_the_command_of_the_cloud(me: Cloud) -> None:
    root = co.Serial(image="busybox:latest", cpu=0.25, mem=0.25, env={"GREETING": "hello"})
    root["bad"] = co.Exec("echo $GREETING from $CONDUCTO_NODE; exit 3")
    run = me.run(root)
    assert run.state("/bad") == "error"

    plan = me.client.debug(run.id, DebugRequest(path="/bad"))
    name = keep_container(plan)
    try:
        typed = ["docker", "exec", name, "/bin/sh", "-c", "/conducto/cmd.sh; echo code $?"]
        found = subprocess.run(typed, capture_output=True, text=True, check=True).stdout
    finally:
        remove(name)

    assert found.split("\n")[:2] == ["hello from /bad", "code 3"]
    assert any("conducto data get" in note for note in plan.notes)
