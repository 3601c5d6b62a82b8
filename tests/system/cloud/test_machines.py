"""Architectures and checkpoints in the emulated cloud."""

from __future__ import annotations

import pytest

import conducto as co
from support.cloud.emulated import Cloud

pytestmark = [pytest.mark.docker, pytest.mark.cloud]

SMALL = {"image": "busybox:latest", "cpu": 0.25, "mem": 0.25}


def test_command_continues_from_its_checkpoint_on_arm_and_x86(me: Cloud) -> None:
    here = '"$CONDUCTO_NODE_DATA"'
    save = f"test -e {here}/step && exit 0; mkdir -p {here}; touch {here}/step; exit 3"
    root = co.Serial(**SMALL)
    with co.Parallel(retry=co.retry(2)) as root["saved"]:
        co.Exec(save, name="x86")
        co.Exec(save, name="arm", arch="arm64")
    root["left"] = co.Exec("ls -A /conducto/data/pipeline/.nodes")

    run = me.run(root)

    assert run.state("/") == "done", run.states()
    assert run.output("/left") == b""
    tasks = me.emulator.board.list(started_by=run.id, stopped=True)
    tasks += me.emulator.board.list(started_by=run.id, stopped=False)
    platforms = [task.definition.get("runtimePlatform") for task in tasks]
    arm = {"cpuArchitecture": "ARM64", "operatingSystemFamily": "LINUX"}
    assert arm in platforms
    assert any(not each for each in platforms)
