"""Named limits on a real runner, over several pipelines."""

from pathlib import Path

import pytest

import conducto as co
from support.local import Local, act, eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")


def tree(command: str, number: int = 1) -> co.Node:
    root = co.Serial(image="busybox", limits=co.Limit("database", number))
    root["load"] = co.Exec(command, cpu=0.1, mem=0.1)
    return root


def waits_on(flag: Path) -> str:
    return f"until [ -e '{flag}' ]; do sleep 0.05; done"


async def test_a_second_pipeline_waits_for_the_holder(local: Local, tmp_path: Path) -> None:
    if local.engine != "process":
        pytest.skip("a flag in the file system of the host")
    flag = tmp_path / "go"
    first = await local.launch(tree(waits_on(flag)))
    await first.until("/load", "running")
    second = await local.launch(tree("true"))
    await second.until("/load", "queued")

    async def is_shown() -> bool:
        return (await second.node("/load")).wait_kind == "limit"

    await eventually(is_shown)
    waiting = await second.node("/load")
    assert waiting.waits_for == f"waiting for limit database, held by {first.id} /load"

    flag.touch()
    await first.settled()
    await second.settled()
    assert (await second.node("/load")).state == "done"


async def test_a_killed_holder_releases_the_limit(local: Local) -> None:
    first = await local.launch(tree("sleep 60"))
    await first.until("/load", "running")
    second = await local.launch(tree("true"))
    await second.until("/load", "queued")

    await act(first, "kill", "/load")
    await second.settled()

    assert (await second.node("/load")).state == "done"


async def test_a_paused_pipeline_leaves_the_line(local: Local) -> None:
    first = await local.launch(tree("sleep 60"))
    await first.until("/load", "running")
    second = await local.launch(tree("true"))
    third = await local.launch(tree("true"))
    await third.until("/load", "queued")

    await act(second, "pause")
    await act(first, "kill", "/load")
    await third.settled()

    assert (await third.node("/load")).state == "done"
    assert (await second.node("/load")).state == "pending"
