"""Maps that the agent expands, on each engine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from conducto.tree.serialize import CLOSE, OPEN, encode
from conducto.wire.references import ITEM
from conducto_core.programs.model import ContinueRequest
from conducto_core.run.model.params import PipelineParams
from conducto_core.run.model.requests import Action, LaunchRequest
from support.containers import BUSYBOX
from support.local import act
from support.trees import form, lazy, leaf, mapped, serial

if TYPE_CHECKING:
    from support.local import Local, Run

pytestmark = pytest.mark.asyncio(loop_scope="module")

#: Returns its item with another element.
ADD = {
    "type": "Exec",
    "command": 'add() { printf \'["%s", 1]\' "${1#*=}" >"$CONDUCTO_RUN_DIR/result"; }; add ' + ITEM,
}
TEXT = {"name": "x", "kind": "text", "expected": "text"}
SHOW = 'cat "$CONDUCTO_RUN_DIR/inputs"'
IMAGES = {"i": {"image": BUSYBOX}}
MINE = "echo 'the agent must not run it'; exit 9"


def returning(value: Any) -> str:
    return f"""printf '%s' '{json.dumps(value)}' >"$CONDUCTO_RUN_DIR/result" """


def over(items: list[str], **options: Any) -> dict[str, Any]:
    """Return a pipeline with a map over a list that a command returns."""
    group = mapped("m", item=TEXT, node=ADD, generate={"command": MINE}, **options)
    return written(leaf("plan", command=returning(items)), group, leaf("use", results=["/m"]))


def written(*nodes: dict[str, Any]) -> dict[str, Any]:
    return form({**serial(*nodes), "image_name": "i"}, IMAGES)


async def items(run: Run, path: str = "/m/Execute") -> dict[str, int]:
    """Return ``{name of an item: number of its attempts}``."""
    paths = [p for p in await run.nodes() if p.startswith(f"{path}/")]
    return {p.rpartition("/")[2]: len(await run.attempts(p)) for p in paths}


async def test_map_is_expanded_without_a_container(local: Local) -> None:
    run = await local.run(over(["a", "b/c"]))

    (attempt,) = await run.attempts("/m/Generate")
    assert (attempt.state, attempt.exit_code, attempt.started) == ("done", 0, None)
    assert (attempt.container, attempt.image) == (None, None)
    assert await run.output("/m/Generate") == b"2 items\n"
    assert await items(run) == {"a": 1, "b\u2215c": 1}
    assert (await run.states())["/"] == "done"


async def test_rerun_expands_again(local: Local) -> None:
    run = await local.run(over(["a"]))
    await run.control(Action.RERUN, "/m/Generate")
    await run.settled()

    assert [each.number for each in await run.attempts("/m/Generate")] == [1, 2]
    assert await items(run) == {"a": 2}
    assert (await run.states())["/"] == "done"


async def test_rerun_of_an_item_leaves_the_others(local: Local) -> None:
    run = await local.run(over(["a", "b"]))
    await run.control(Action.RERUN, "/m/Execute/a")
    await run.settled()

    assert await items(run) == {"a": 2, "b": 1}
    assert len(await run.attempts("/m/Generate")) == 1


async def test_map_over_the_results_of_a_map(local: Local) -> None:
    second = mapped("n", "/m", name="{item[0]}-{index}", generate={"command": MINE})
    group = mapped("m", item=TEXT, node=ADD, generate={"command": MINE})
    run = await local.run(written(leaf("plan", command=returning(["a", "b"])), group, second))

    assert await items(run, "/n/Execute") == {"a-0": 1, "b-1": 1}
    node = await run.node("/n/Execute/b-1")
    assert node.command is not None
    assert node.command.endswith("""true '--x=["b", 1]'""")


async def test_generated_tree_may_have_a_map_over_a_result_outside_of_it(local: Local) -> None:
    tree = form({**serial(mapped("m", item=TEXT, node=ADD))}, {})
    maker = lazy("l", command=f"echo '{OPEN}{encode(tree)}{CLOSE}'", results=["/plan"])
    run = await local.run(written(leaf("plan", command=returning(["a"])), maker))

    assert await items(run, "/l/Execute/m/Execute") == {"a": 1}
    assert (await run.states())["/"] == "done"


async def test_item_uses_results_that_are_the_same_for_all(local: Local) -> None:
    node = {"type": "Exec", "command": f"{SHOW}; : {ITEM}", "results": ["/model"]}
    group = mapped("m", item=TEXT, node=node, generate={"command": MINE})
    group["children"][0][1]["results"].append("/model")
    model = leaf("model", command=returning("M"))
    run = await local.run(written(leaf("plan", command=returning(["a"])), model, group))

    assert await run.output("/m/Execute/a") == b'{"/model":"M"}'


async def test_command_of_a_user_replaces_the_expansion(local: Local) -> None:
    run = await local.run(over(["a"]))
    await act(run, "modify", "/m/Generate", command="echo mine; exit 4")
    await run.control(Action.RERUN, "/m/Generate")
    await run.settled()

    assert await run.output("/m/Generate") == b"mine\n"
    assert (await run.states())["/m/Generate"] == "error"


async def test_rerun_of_the_list_keeps_the_items_until_the_map_runs_again(local: Local) -> None:
    run = await local.run(over(["a"]))
    await run.control(Action.RERUN, "/plan")
    await run.settled()

    assert await items(run) == {"a": 1}
    await run.control(Action.RERUN, "/m")
    await run.settled()
    assert await items(run) == {"a": 2}


async def test_continuation_keeps_a_map_whose_list_and_template_are_equal(local: Local) -> None:
    if local.engine == "process":
        pytest.skip("images of plain processes have no digest, so every node runs again")
    run = await local.run(over(["a", "b"]), program="/x/pipeline.py")

    async def continued(tree: dict[str, Any]) -> None:
        launch = LaunchRequest(tree=tree, program="/x/pipeline.py")
        params = PipelineParams(id=run.id)
        await local.pipelines.continue_pipeline(params, ContinueRequest(launch=launch))
        await run.control(Action.RUN)
        await run.settled()

    await continued(over(["a", "b"]))
    assert await items(run) == {"a": 1, "b": 1}
    assert len(await run.attempts("/m/Generate")) == 1

    await continued(over(["a", "b"], name="{item}!"))
    assert await items(run) == {"a!": 1, "b!": 1}
    assert len(await run.attempts("/m/Generate")) == 2
