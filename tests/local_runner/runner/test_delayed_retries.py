"""Retries with a delay on a real runner."""

import pytest

import conducto as co
from support.local import Local, act, eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")


def tree(command: str, delay: float) -> co.Node:
    root = co.Serial(image="busybox", cpu=0.1, mem=0.1)
    root["flaky"] = co.Exec(command, retry=co.retry(2, delay=delay))
    root["next"] = co.Exec("true")
    return root


async def test_command_is_retried_by_itself_after_the_delay(local: Local) -> None:
    run = await local.launch(tree("test $CONDUCTO_ATTEMPT = 2", 0.5))
    await run.settled()

    first, second = await run.attempts("/flaky")
    assert (first.state, second.state) == ("error", "done")
    assert second.queued - first.ended >= 0.4
    assert first.message == "tried again by itself after 0.5s: retry 1 of 2"
    assert (await run.node("/next")).state == "done"


async def test_rerun_cuts_the_wait_short(local: Local) -> None:
    run = await local.launch(tree("test $CONDUCTO_ATTEMPT = 2", 600))

    async def waits() -> bool:
        return (await run.node("/flaky")).wait_kind == "retry"

    await eventually(waits)
    waiting = await run.node("/flaky")
    assert waiting.state == "pending"
    assert waiting.waits_for in ("retries in 10m 00s", "retries in 9m 59s", "retries in 9m 58s")
    assert waiting.wait_remedy == f"retry it now: conducto rerun {run.id} /flaky"

    await act(run, "reset", "/flaky")
    await run.settled()

    assert (await run.node("/next")).state == "done"
