"""Memory by history on a machine: earlier launches of a program decide about the next one."""

import pytest

import conducto as co
from conducto.tree.launch_form import to_launch_form
from conducto_core.programs.model import ContinueRequest
from conducto_core.run.model.params import PipelineParams, ProgramParams
from conducto_core.run.model.requests import LaunchRequest
from conducto_core.run.model.states import Cause, State
from support.containers import BUSYBOX as IMAGE
from support.containers import clean_runner

pytestmark = pytest.mark.docker

#: Uses 20 MB, long enough to be measured.
SMALL = "head -c 20m /dev/zero | tail"


@pytest.fixture
async def local(tmp_path):
    async with clean_runner(tmp_path / "home") as runner:
        yield runner


def tree(command):
    root = co.Serial(image=IMAGE, mem="auto")
    root["a"] = co.Exec(command)
    return root


async def test_second_launch_has_the_memory_of_the_first_and_doubles_it_if_needed(local):
    first = await local.run(tree(SMALL), title="sized")
    second = await local.run(tree("head -c 300m /dev/zero | tail"), title="sized")
    other = await local.run(tree("true"), title="another")
    used = await local.pipelines.memory_history(ProgramParams(title="sized"))

    assert [one.mem for one in await first.attempts("/a")] == [2.0]
    attempts = await second.attempts("/a")
    assert (attempts[0].cause, attempts[-1].state) == (Cause.OUT_OF_MEMORY, State.DONE)
    assert [one.mem for one in attempts] == [0.25, 0.5]
    assert [one.mem for one in await other.attempts("/a")] == [2.0]
    ((path, gb, number),) = [(one.path, one.gb, one.attempts) for one in used.nodes]
    assert (path, number) == ("/a", 3)
    assert 0.25 < gb <= 0.5


async def test_continuing_a_pipeline_runs_no_command_because_its_size_changed(local):
    first = await local.run(tree(SMALL), title="sized")

    form = to_launch_form(tree(SMALL))
    request = ContinueRequest(launch=LaunchRequest(tree=form, title="sized"), preview=True)
    plan = await local.pipelines.continue_pipeline(PipelineParams(id=first.id), request)

    assert request.launch.tree["memory"]["uses"]["/a"][1] == 1
    assert [(one.path, one.fate) for one in plan.nodes] == [("/a", "kept")]
