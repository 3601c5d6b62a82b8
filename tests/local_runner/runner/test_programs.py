"""Programs run as processes of the user: their ends, their errors, and their limits."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from conducto_core.approvals.rules import Decider
from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.programs.model import (
    LaunchAgain,
    ProgramCall,
    ProgramParameter,
    ProgramStart,
    ProgramStartParams,
    StartProgram,
    StartState,
)
from conducto_core.remote.model import LINK_TAG
from conducto_core.run.model.params import PipelineParams
from conducto_core.run.model.requests import LaunchRequest, PipelineSummary
from conducto_local.agent.state_dir import StateDir
from conducto_local.approvals.handlers import DECIDER
from conducto_local.programs.process import (
    MAX_RUNNING,
    ProgramStarts,
    has_changed,
    problem_of,
    problems_in,
)
from support.local import local_runner
from support.trees import form, leaf, serial

T = TypeVar("T")
RECEIPT = "import json, os\nopen(os.environ['CONDUCTO_RECEIPT'], 'w').write(json.dumps({}))\n"
LAUNCH = RECEIPT.replace("{}", "{'pipeline': 'abc-def'}")


def call_of(directory: Path, body: str) -> ProgramCall:
    script = directory / "program.py"
    script.write_text(body)
    return ProgramCall(
        function="nightly",
        script=str(script),
        command=(sys.executable, str(script)),
        directory=str(directory),
        parameters=(ProgramParameter(name="depth"),),
    )


def with_starts(path: Path, work: Callable[[ProgramStarts], Awaitable[T]]) -> T:
    async def main() -> T:
        starts = ProgramStarts(StateDir(path / "base", "default"))
        try:
            return await work(starts)
        finally:
            await starts.close()

    return asyncio.run(main())


async def ended(starts: ProgramStarts, start: ProgramStart) -> ProgramStart:
    async with asyncio.timeout(60):
        while starts.find(start.id).now.state is StartState.RUNNING:  # noqa: ASYNC110 (no event)
            await asyncio.sleep(0.02)
    return starts.find(start.id).view()


def result_of(path: Path, body: str, *words: str) -> ProgramStart:
    async def work(starts: ProgramStarts) -> ProgramStart:
        return await ended(starts, starts.begin(call_of(path, body), words))

    return with_starts(path, work)


def test_launched_pipeline_and_output_are_returned(tmp_path: Path) -> None:
    body = f"import sys, os\nprint(sys.argv[1:], os.getcwd())\n{LAUNCH}"

    made = result_of(tmp_path, body, "--depth=2", "$(id)")

    assert (made.state, made.pipeline, made.exit_code) == (StartState.DONE, "abc-def", 0)
    assert made.output == f"['--depth=2', '$(id)'] {tmp_path}\n"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("input('Sure? ')", "the script asks for input, which is closed here"),
        ("raise SystemExit(7)", "the script ended with exit code 7"),
        ("pass", "the script ended without launching a pipeline"),
        ("import os; os.kill(os.getpid(), 9)", "the script was killed by signal 9"),
    ],
)
def test_failure_says_its_reason(tmp_path: Path, body: str, message: str) -> None:
    made = result_of(tmp_path, body)

    assert made.state is StartState.FAILED
    assert message in (made.message or "")


def test_messages_of_the_script_belong_to_its_parameters() -> None:
    known = {"depth", "note", "fast"}
    output = (
        "p.py : parameter 'depth': expected an int, got 'x'\n"
        "p.py : Unknown argument: --no-fast; nightly takes --depth\n"
        "p.py : wrong parameters for nightly(): no value for level (int)\n"
    )

    assert problems_in(output, known) == {
        "depth": "expected an int, got 'x'",
        "fast": "the script has no such parameter any more",
        "level": "the script needs a value",
    }


def test_cancelled_script_is_stopped(tmp_path: Path) -> None:
    body = "import time\nprint('begun', flush=True)\ntime.sleep(600)"

    async def work(starts: ProgramStarts) -> ProgramStart:
        start = starts.begin(call_of(tmp_path, body), [])
        async with asyncio.timeout(60):
            while "begun" not in starts.find(start.id).view().output:  # noqa: ASYNC110 (no event)
                await asyncio.sleep(0.02)
        await starts.find(start.id).cancel()
        return starts.find(start.id).view()

    assert with_starts(tmp_path, work).state is StartState.CANCELLED


def test_too_many_starts_and_unknown_ones_are_refused(tmp_path: Path) -> None:
    async def work(starts: ProgramStarts) -> None:
        call = call_of(tmp_path, "import time; time.sleep(600)")
        for _ in range(MAX_RUNNING):
            starts.begin(call, [])
        with pytest.raises(RefusedError, match="4 programs are starting already"):
            starts.begin(call, [])
        with pytest.raises(NotFoundError, match="the agent was restarted since"):
            starts.find("of an earlier agent")

    with_starts(tmp_path, work)


def test_missing_parts_of_a_program_are_problems(tmp_path: Path) -> None:
    call = call_of(tmp_path, "pass")
    assert problem_of(call) is None
    assert "parameters are not known" in (problem_of(None) or "")
    gone = call.model_copy(update={"command": ("/no/python",)})
    assert "interpreter /no/python no longer exists" in (problem_of(gone) or "")
    gone = call.model_copy(update={"directory": "/no/where"})
    assert "directory /no/where no longer exists" in (problem_of(gone) or "")
    assert has_changed(call.model_copy(update={"digest": "other"}))
    Path(call.script).unlink()
    assert "program.py no longer exists" in (problem_of(call) or "")


@pytest.mark.parametrize("person", ["ada", None])
async def test_pipeline_of_a_program_of_the_link_has_its_tag_from_the_launch(
    tmp_path: Path, person: str | None
) -> None:
    call = call_of(tmp_path, f"import os\nprint(os.environ.get('CONDUCTO_LAUNCH_TAG'))\n{LAUNCH}")
    tree = {**form(serial(leaf("a"))), "call": call.model_dump(mode="json")}
    async with local_runner(tmp_path / "home", "process") as runner:
        request = LaunchRequest(tree=tree, engine="process", tags=("nightly", LINK_TAG))
        made = await runner.pipelines.launch(request)
        given = DECIDER.set(person)
        try:
            params = PipelineParams(id=made.pipeline.id)
            start = await runner.pipelines.start_program(params, StartProgram())
        finally:
            DECIDER.reset(given)
        async with asyncio.timeout(60):
            while True:  # there is no event
                now = await runner.pipelines.get_program_start(ProgramStartParams(start=start.id))
                if now.state is not StartState.RUNNING:
                    break
                await asyncio.sleep(0.02)

    assert now.output == f"{None if person is None else LINK_TAG}\n"


@pytest.mark.parametrize("person", ["ada", None])
async def test_pipeline_launched_through_the_link_is_stored_with_its_tag(
    tmp_path: Path, person: str | None
) -> None:
    async with local_runner(tmp_path / "home", "process") as runner:

        async def launch() -> PipelineSummary:
            request = LaunchRequest(tree=form(serial(leaf("a"))), engine="process", tags=("x",))
            return await runner.pipelines.launch(request)

        given = DECIDER.set(None if person is None else Decider(person, None))
        try:
            first = await launch()
            again = await runner.pipelines.launch_again(
                PipelineParams(id=first.pipeline.id), LaunchAgain()
            )
        finally:
            DECIDER.reset(given)
        here = await runner.pipelines.launch_again(
            PipelineParams(id=first.pipeline.id), LaunchAgain()
        )

    expected = ("x",) if person is None else ("x", LINK_TAG)
    assert (first.pipeline.tags, again.pipeline.tags) == (expected, expected)
    assert here.pipeline.tags == ("x",)
