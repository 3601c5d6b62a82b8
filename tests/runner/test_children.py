"""Pipelines that commands launch, with plain processes: the agent's part and the command's part."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

import conducto as co
from conducto_core.model.params import ListParams
from conducto_core.model.records import ParentAttempt
from support.local import Local, Run, local_runner

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def local(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Local]:
    async with local_runner(tmp_path_factory.mktemp("children") / "home", "process") as runner:
        yield runner


def python(code: str) -> str:
    return f"{shlex.quote(sys.executable)} -c {shlex.quote(code)}"


def launching(code: str, **params: Any) -> co.Serial:
    root = co.Serial(stop_on_error=False, launch=True)
    root["parent"] = co.Exec(python(code), **params)
    return root


async def children(run: Run) -> list[Any]:
    found = await run.local.pipelines.list_pipelines(ListParams(parent=run.id))
    return list(found.pipelines)


LAUNCH_AND_WAIT = """
import conducto as co
tree = co.Serial(title="one of two", stop_on_error=False)
tree["a"] = co.Exec("echo from the child")
tree["b"] = co.Exec("echo why >&2; exit 3", skip=SKIP)
first = co.launch(tree, tags="x")
second = co.launch(lambda: tree, title="second")
print(first.wait(timeout=60, check=True), second.wait(), first.counts.done, first == second)
print(co.get_pipeline(first.id).state, first.title, second.title)
"""


async def test_command_launches_a_tree_twice_and_waits_for_both(local: Local) -> None:
    run = await local.run(launching(LAUNCH_AND_WAIT.replace("SKIP", "True")))

    second, first = await children(run)
    assert await run.output("/parent") == b"done done 1 False\ndone one of two second\n", (
        await run.output("/parent", "stderr")
    )
    parent = ParentAttempt(pipeline=run.id, path="/parent", attempt=1, depth=1)
    assert {first.pipeline.parent, second.pipeline.parent} == {parent}
    assert (first.pipeline.tags, first.pipeline.engine) == (("x",), "process")


async def test_failed_child_is_an_error_with_a_report(local: Local) -> None:
    run = await local.run(launching(LAUNCH_AND_WAIT.replace("SKIP", "False")))

    assert (await run.node("/parent")).state == "error"
    said = (await run.output("/parent", "stderr")).decode()
    assert "PipelineFailed" in said
    assert "/b: exit code 3\n  why" in said
