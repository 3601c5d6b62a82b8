"""``run_if`` on a real runner: the result of a command decides, also after a restart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import conducto as co
from conducto_core.run.model.params import PipelineParams
from conducto_core.run.model.requests import Action
from support.local import Local, Run, local_runner

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.asyncio(loop_scope="module")


def tree(result: str) -> co.Serial:
    root = co.Serial(image="busybox")
    root["check"] = check = co.Exec(f"""printf '%s' '{result}' > "$CONDUCTO_RUN_DIR/result" """)
    deploy = root["deploy"] = co.Parallel(run_if=check.result["status"] == "changed")
    deploy["eu"] = co.Exec("echo eu")
    root["report"] = co.Exec("true", run_if=~(check.result["status"] == "changed"))
    return root


async def test_a_result_decides_which_nodes_run(local: Local) -> None:
    run = await local.run(tree('{"status": "same", "more": [1, 2]}'))

    assert (await run.states())["/"] == "done"
    skipped = await run.node("/deploy")
    assert skipped.skipped
    assert skipped.run_if == 'result(/check)["status"] == "changed"'
    assert skipped.skip_reason == 'run_if is false: result(/check)["status"] is "same"'
    assert (await run.states())["/report"] == "done"
    assert (await run.states())["/deploy/eu"] == "pending"


async def test_a_result_that_meets_the_condition_lets_the_group_run(local: Local) -> None:
    run = await local.run(tree('{"status": "changed"}'))

    assert (await run.states())["/deploy/eu"] == "done"
    assert (await run.node("/report")).skipped


async def test_decisions_outlast_the_agent_and_a_rerun_decides_again(tmp_path: Path) -> None:
    async with local_runner(tmp_path, "process") as before:
        run = await before.run(tree('{"status": "same"}'))

    async with local_runner(tmp_path, "process") as after:
        again = Run(after, await after.pipelines.get_pipeline(PipelineParams(id=run.id)))
        node = await again.node("/deploy")
        assert node.skip_reason == 'run_if is false: result(/check)["status"] is "same"'
        await again.control(Action.RESET, "/")
        await again.control(Action.RUN)
        await again.settled()
        assert (await again.node("/deploy")).skipped
