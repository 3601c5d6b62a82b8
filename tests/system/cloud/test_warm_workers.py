"""A worker that stays after a run executes the first command of the next one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import conducto as co
from conducto_core.installation.names import Variables
from conducto_core.run.model.requests import Action
from support.local import wait_for

if TYPE_CHECKING:
    from support.cloud.emulated import Cloud

pytestmark = [pytest.mark.docker, pytest.mark.cloud, pytest.mark.long]


@pytest.fixture(scope="module")
def variables() -> dict[str, str]:
    return {Variables.WARM_WORKERS: "1", Variables.WARM_MINUTES: "30"}


def test_a_rerun_needs_no_new_task(me: Cloud) -> None:
    root = co.Serial(image="busybox:latest", cpu=0.25, mem=0.5)
    root["a"] = co.Exec("echo $HOSTNAME")
    root["b"] = co.Exec("exit 3")
    run = me.run(root)

    run.control(Action.RESET, "/")
    run.control(Action.RUN)
    run.until(lambda: len(run.attempts("/b")) == 2 and run.state("/b") == "error", "rerun")

    first, second = run.attempts("/a")
    assert first.container == second.container
    tasks = [
        task
        for stopped in (False, True)
        for task in me.emulator.board.list(started_by=run.id, stopped=stopped)
    ]
    assert len(tasks) == 1

    run.control(Action.SLEEP)
    wait_for(lambda: not me.emulator.board.list(started_by=run.id, stopped=False), 60, every=0.2)
