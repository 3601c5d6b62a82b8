"""Pipelines that commands launch, with plain processes: the agent's part and the command's part."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

import conducto as co
from conducto_core.children.rules import MAX_DEPTH
from conducto_core.run.model.params import ListParams
from conducto_core.run.model.records import ParentAttempt
from conducto_core.run.model.requests import Action
from support.local import Local, Run, eventually, local_runner
from support.old_python import find_python38

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.asyncio(loop_scope="module")

SDK = str(Path(co.__file__).parents[1])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def local(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Local]:
    async with local_runner(tmp_path_factory.mktemp("children") / "home", "process") as runner:
        yield runner


def python(code: str, interpreter: str = sys.executable) -> str:
    return f"PYTHONPATH={shlex.quote(SDK)} {shlex.quote(interpreter)} -c {shlex.quote(code)}"


def launching(code: str, interpreter: str = sys.executable) -> co.Serial:
    root = co.Serial(stop_on_error=False, launch=True)
    root["parent"] = co.Exec(python(code, interpreter))
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
    oldest = find_python38() or sys.executable
    run = await local.run(launching(LAUNCH_AND_WAIT.replace("SKIP", "True"), oldest))

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


RAW = """
import os
import conducto as co
from conducto.children.requests import call
from conducto.wire.launching import TOKEN

def attempt(what, *request, token=None):
    os.environ[TOKEN] = TOKEN_OF_ATTEMPT if token is None else token
    try:
        print(what, call(*request)["state"])
    except co.ConductoError as error:
        print(what, getattr(error, "status", ""), error)

TOKEN_OF_ATTEMPT = os.environ[TOKEN]
attempt("other pipeline:", "GET", os.environ["CONDUCTO_PIPELINE_ID"])
attempt("no pipeline:", "GET", "abc-def")
attempt("other token:", "GET", "abc-def", token="wrong")
attempt("no tree:", "POST", "", {"tree": "x"})
attempt("wrong body:", "POST", "", {"trees": 1})
from conducto.children import requests
requests.CHILDREN = "/api/v1/pipelines"
attempt("other operation:", "GET")
print("token", TOKEN_OF_ATTEMPT)
"""


async def test_token_allows_nothing_else_and_is_masked(local: Local) -> None:
    run = await local.run(launching(RAW))

    pipeline, none, token, tree, body, operation, shown = (
        (await run.output("/parent")).decode().splitlines()
    )
    ours = "is not a pipeline that this attempt launched"
    assert (pipeline, none) == (
        f"other pipeline: 403 {run.id!r} {ours}",
        f"no pipeline: 403 'abc-def' {ours}",
    )
    assert token == "other token: 401 the token is not that of this attempt"
    assert tree.startswith("no tree:  not a serialised tree")
    assert body.startswith("wrong body: 422 body.tree: field required")
    assert operation == "other operation: 403 this token does not allow list_pipelines"
    assert shown == "token ********"
    assert "cdo_" not in str(await run.attempts("/parent"))


SURVIVOR = """
import os, sys, time
import conducto as co

child = co.launch(co.Serial, title="before")
if os.fork() == 0:
    os.setsid()
    while os.path.exists(os.environ["CONDUCTO_LAUNCH_CHANNEL"]):
        try:
            co.get_pipeline(child.id)
            time.sleep(0.02)
        except co.ConductoError:
            break
    try:
        co.launch(co.Serial, title="after")
    except co.ConductoError as error:
        with open(FILE + ".part", "w") as file:
            file.write(str(error))
        os.rename(FILE + ".part", FILE)
"""


async def test_process_that_outlives_its_command_cannot_launch(
    local: Local, tmp_path: Path
) -> None:
    said = tmp_path / "said"

    run = await local.run(launching(SURVIVOR.replace("FILE", repr(str(said)))))

    async def there() -> bool:
        return said.exists()

    await eventually(there)
    assert "the attempt that may launch pipelines has ended" in said.read_text()
    assert [one.pipeline.title for one in await children(run)] == ["before"]


async def test_command_without_the_parameter_cannot_launch(local: Local) -> None:
    root = launching("import conducto as co; co.launch(co.Serial())")
    root["parent"].may_launch = False

    run = await local.run(root)

    said = (await run.output("/parent", "stderr")).decode()
    assert "the command of /parent may not launch pipelines; set launch=True on the node" in said


async def test_pipeline_at_the_maximum_depth_cannot_launch(local: Local) -> None:
    launched = await local.launch(
        launching("import conducto as co; co.launch(co.Serial())"), run=False
    )
    above = ParentAttempt(pipeline="abc-def", path="/a", attempt=1, depth=MAX_DEPTH)
    local.pipelines.live(launched.id).set_record(parent=above)

    await launched.control(Action.RUN)
    await launched.settled()

    said = (await launched.output("/parent", "stderr")).decode()
    assert f"pipeline {launched.id} is at depth 10, the maximum" in said
    assert await children(launched) == []
