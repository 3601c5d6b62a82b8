"""Maps on both targets: states, warnings, messages, and what the command that collects gets."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from chalicelib.logs.port import LogKey
from conducto.tree.serialize import CLOSE, OPEN, encode
from conducto_core.results.model import OutputSummary
from support.cloud.world import ME, World
from support.local import local_runner
from support.trees import form, lazy, leaf, parallel, serial

if TYPE_CHECKING:
    from pathlib import Path

    from conducto_core.run.model.records import AttemptRecord

NAMES = "abcd"
RUN = (
    'name=${CONDUCTO_NODE##*/}; test -e "$RESULTS/$name" || exit 3; '
    'cat "$RESULTS/$name" >"$CONDUCTO_RUN_DIR/result"'
)
SHOW = 'cat "$CONDUCTO_RUN_DIR/inputs"'


class Case(NamedTuple):
    """A map, and the results of its items; items without one fail.

    Attributes:
        later: The map is generated while the pipeline runs.
    """

    name: str
    results: dict[str, str]
    options: dict[str, Any]
    later: bool = False


class Ended(NamedTuple):
    """How the map and the command that collects its results ended."""

    map: tuple[str, bool]
    use: tuple[str, str | None, str | None]
    inputs: str


ALL = {"a": "1", "b": '{"x":[null]}', "c": '"e"', "d": "4"}
FEW = {name: result for name, result in ALL.items() if name != "b"}
ONE = {"a": "1"}
CASES = [
    Case("all", ALL, {}),
    Case("one failed", FEW, {}),
    Case("one tolerated", FEW, {"min_done": 0.75, "missing": "none"}),
    Case("one dropped", FEW, {"min_done": 0.75, "missing": "drop"}),
    Case("too many failed", ONE, {"min_done": 0.5, "missing": "drop"}),
    Case("no result", {**ALL, "c": ""}, {}),
    Case("no result, null", {**ALL, "c": ""}, {"missing": "none"}),
    Case("later", ALL, {}, later=True),
    Case("later, one tolerated", FEW, {"min_done": 0.75, "missing": "none"}, later=True),
    Case("later, too many failed", ONE, {"min_done": 0.5, "missing": "none"}, later=True),
]


def items(case: Case) -> dict[str, Any]:
    return parallel(*(leaf(name, command=RUN) for name in NAMES), name="m", map=case.options)


def whole(case: Case) -> dict[str, Any]:
    """Return a pipeline; a generated map is used by a command of the same tree, too."""
    group = items(case)
    if case.later:
        group = {**lazy("m"), "map": case.options}
        group["children"][0][1]["command"] = 'cat "$RESULTS/tree"'
    return serial(group, leaf("use", command=SHOW, results=["/m"]))


def ended(state: str, attempts: tuple[AttemptRecord, ...], inputs: str, *, warning: bool) -> Ended:
    if not attempts:
        return Ended((state, warning), ("pending", None, None), "")
    (attempt,) = attempts
    cause = None if attempt.cause is None else attempt.cause.value
    return Ended((state, warning), (attempt.state.value, cause, attempt.message), inputs)


async def on_this_machine(case: Case, folder: Path) -> Ended:
    for name, result in case.results.items():
        (folder / name).write_text(result)
    (folder / "tree").write_text(f"{OPEN}{encode(form(items(case), {}))}{CLOSE}")
    tree = form({**whole(case), "__env__RESULTS": str(folder)})
    async with local_runner(folder / "home", "process") as local:
        run = await local.run(tree)
        views = await run.nodes()
        attempts = tuple(await run.attempts("/use"))
        inputs = (await run.output("/use")).decode() if attempts else ""
        return ended(views["/m"].state.value, attempts, inputs, warning=views["/m"].warning)


def in_the_cloud(case: Case) -> Ended:
    world = World()
    pipeline_id = world.launch(whole(case))
    inputs = ""
    for _ in range(20):
        world.serve()
        for path, hand in world.running().items():
            assert hand.job is not None
            name = path.rpartition("/")[2]
            inputs = hand.job.inputs
            if name == "Generate":
                hand.finish(exit_code=0, tree=form(items(case), {}))
            elif name in NAMES and name not in case.results:
                hand.finish(exit_code=3)
            else:
                result = case.results.get(name, "").encode()
                world.cloud.storage.logs.append(LogKey(pipeline_id, path, 1, "result"), 0, result)
                summary = OutputSummary(result=len(result)) if result else None
                hand.finish(exit_code=0, outputs=summary)
    with world.engine.reading(ME.org, pipeline_id) as live:
        node = live.tree.nodes["/m"]
        state, warning = node.state.value, node.warning
        assert live.cloud_machine.run_state.refused == []
        assert live.cloud_machine.run_state.number == 1  # no graph was planned again
    attempts = tuple(world.attempts(pipeline_id, "/use"))
    return ended(state, attempts, inputs if attempts else "", warning=warning)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_both_targets_agree(case: Case, tmp_path: Path) -> None:
    here = await on_this_machine(case, tmp_path)
    there = await asyncio.to_thread(in_the_cloud, case)

    assert here == there
    failed = len(NAMES) - len(case.results)
    tolerated = failed <= (1 - case.options.get("min_done", 1)) * len(NAMES)
    assert here.map == ("done" if tolerated else "error", tolerated and failed > 0)
    if here.use[0] == "done":
        found = [json.loads(case.results.get(name) or "null") for name in NAMES]
        if case.options.get("missing") == "drop":
            found.remove(None)
        assert json.loads(here.inputs) == {"/m": found}
    else:
        assert here.use[1] == ("input" if tolerated else None)


REASON = "item 17 has no item.country: {'name': 'DE'}"


async def test_reason_why_a_list_cannot_be_expanded_is_that_of_the_node(tmp_path: Path) -> None:
    tree = serial({**lazy("m"), "map": {}})
    printed = f"{OPEN}{encode({'error': REASON})}{CLOSE}"
    tree["children"][0][1]["children"][0][1]["command"] = f"echo '{printed}'"
    async with local_runner(tmp_path / "home", "process") as local:
        run = await local.run(form(tree))
        (here,) = await run.attempts("/m/Generate")

    def in_the_cloud() -> AttemptRecord:
        world = World()
        pipeline_id = world.launch(tree)
        world.serve()
        (hand,) = world.living()
        hand.finish(exit_code=0, tree={"error": REASON})
        (attempt,) = world.attempts(pipeline_id, "/m/Generate")
        return attempt

    there = await asyncio.to_thread(in_the_cloud)

    assert (here.state, here.cause, here.message) == ("error", "lazy", REASON)
    assert (there.state, there.cause, there.message) == ("error", "lazy", REASON)
