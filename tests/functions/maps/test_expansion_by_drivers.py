"""Maps that drivers expand: both targets agree on states, results, messages and commands."""

from __future__ import annotations

import asyncio
import json
import shlex
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from chalicelib.logs.port import LogKey
from conducto.wire.references import ITEM
from conducto_core.results.model import OutputSummary
from support.cloud.world import ME, World
from support.local import local_runner
from support.trees import form, leaf, mapped, serial

if TYPE_CHECKING:
    from pathlib import Path

    from conducto_core.run.model.records import AttemptRecord

#: The results of a test's commands are files; the last word of a command names that of an item.
RUN = f'run() {{ cat "$RESULTS/item" >"$CONDUCTO_RUN_DIR/result"; echo "$1"; }}; run {ITEM}'
SHOW = 'cat "$CONDUCTO_RUN_DIR/inputs"'
PLAN = 'cat "$RESULTS/plan" >"$CONDUCTO_RUN_DIR/result"'


def by_driver(**changes: Any) -> dict[str, Any]:
    """Return a map whose own command must not run."""
    command = "echo the driver must not run it; exit 9"
    node = {"type": "Exec", "command": RUN}
    return mapped(
        "m", generate={"command": command}, **{"name": "{item.country}", "node": node, **changes}
    )


class Case(NamedTuple):
    """A list, a map over it, and the reason why it cannot be expanded."""

    name: str
    plan: Any
    changes: dict[str, Any]
    reason: str | None = None
    cause: str = "lazy"


class Ended(NamedTuple):
    """How ``Generate`` and the items ended, and what the last command got."""

    generate: tuple[str, str | None, str | None, int]
    output: str
    items: dict[str, tuple[str, str]]
    inputs: str


REGIONS = [{"country": "DE"}, {"country": "a/b c'"}]
INT_ITEM = {"item": {"name": "n", "kind": "int"}}
INT = {"name": "{item}", **INT_ITEM}
CASES = [
    Case("two", REGIONS, {}),
    Case("none", [], {}),
    Case("one of a type", [1], INT),
    Case("limit", REGIONS, {"max_concurrent": 1, "map": {"min_done": 0.5, "missing": "none"}}),
    Case("no list", {"a": 1}, {}, "the result of /plan is dict, but a map needs a list"),
    Case("no result", None, {}, "it uses the result of /plan, which has none", "input"),
    Case("no field", [{"country": "DE"}, {}], {}, "item 1 has no item.country: {}"),
    Case("equal names", [{"country": "DE"}] * 2, {}, "items 0 and 1 both have the name 'DE'"),
    Case("no list, a text", "DE", {}, "the result of /plan is str, but a map needs a list"),
    Case(
        "long item",
        [{"country": "DE", "more": "a" * (1 << 17)}],
        {},
        "bytes in the command, at most 131,071",
    ),
    Case("long name", [{"country": "a" * 1025}], {}, "item 0: a child's name is 1025 bytes long"),
    Case("misfit", [1, "2"], INT, "item 1 for n: expected an int, got '2'"),
]


def whole(case: Case) -> dict[str, Any]:
    use = leaf("use", command=SHOW, results=["/m"])
    return serial(leaf("plan", command=PLAN), by_driver(**case.changes), use)


def ended(attempts: dict[str, AttemptRecord], outputs: dict[str, str], inputs: str) -> Ended:
    generate = attempts["/m/Generate"]
    items = {
        path.rpartition("/")[2]: (each.state.value, outputs[path])
        for path, each in attempts.items()
        if path.startswith("/m/Execute/")
    }
    cause = None if generate.cause is None else generate.cause.value
    how = (generate.state.value, cause, generate.message, generate.output_bytes or 0)
    return Ended(how, outputs["/m/Generate"], items, inputs)


async def on_this_machine(case: Case, folder: Path) -> Ended:
    (folder / "plan").write_text("" if case.plan is None else json.dumps(case.plan))
    (folder / "item").write_text("7")
    tree = form({**whole(case), "__env__RESULTS": str(folder)})
    async with local_runner(folder / "home", "process") as local:
        run = await local.run(tree)
        found = {path: await run.attempts(path) for path in await run.nodes()}
        attempts = {path: each[0] for path, each in found.items() if each}
        outputs = {path: (await run.output(path)).decode() for path in attempts}
        return ended(attempts, outputs, outputs.get("/use", ""))


def finish_all(world: World, pipeline_id: str, plan: Any) -> dict[str, str]:
    """Run all commands of a pipeline; return ``{path: output}``."""
    outputs: dict[str, str] = {}
    for _ in range(20):
        world.serve()
        for path, hand in world.running().items():
            assert hand.job is not None
            result, outputs[path] = "", ""
            if path == "/plan":
                result = "" if plan is None else json.dumps(plan)
            elif path == "/use":
                outputs[path] = hand.job.inputs
            else:
                result, outputs[path] = "7", shlex.split(hand.job.script)[-1] + "\n"
            key = LogKey(pipeline_id, path, world.attempts(pipeline_id, path)[-1].number, "result")
            world.cloud.storage.logs.append(key, 0, result.encode())
            summary = OutputSummary(result=len(result)) if result else None
            hand.finish(exit_code=0, outputs=summary)
    return outputs


def in_the_cloud(case: Case) -> Ended:
    world = World()
    pipeline_id = world.launch(whole(case))
    outputs = finish_all(world, pipeline_id, case.plan)
    with world.engine.reading(ME.org, pipeline_id) as live:
        paths = list(live.tree.nodes)
        assert live.cloud_machine.run_state.refused == []
        assert not live.expansions
        runs = live.cloud_machine.run_state.number
    found = {path: world.attempts(pipeline_id, path) for path in paths}
    attempts = {path: each[0] for path, each in found.items() if each}
    key = LogKey(pipeline_id, "/m/Generate", 1, "stdout")
    outputs["/m/Generate"] = world.cloud.storage.logs.read(key, 0, 1000).decode()
    assert runs == (2 if attempts["/m/Generate"].state == "done" else 1)
    return ended(attempts, outputs, outputs.get("/use", ""))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_both_targets_agree(case: Case, tmp_path: Path) -> None:
    here = await on_this_machine(case, tmp_path)
    there = await asyncio.to_thread(in_the_cloud, case)

    assert here == there
    if case.reason is None:
        count = len(case.plan)
        output = f"{count} item{'s' * (count != 1)}\n"
        assert here.generate == ("done", None, None, len(output))
        assert here.output == output
        assert json.loads(here.inputs) == {"/m": [7] * count}
    else:
        assert here.generate[:2] == ("error", case.cause)
        assert case.reason in (here.generate[2] or "")
        assert (here.output, here.items, here.inputs) == ("", {}, "")


async def test_map_in_the_cloud_has_a_maximum_of_items() -> None:
    case = Case("many", [1] * 100_001, {"name": "{index}", **INT_ITEM}, "100,001 items, a map has")
    assert case.reason is not None

    there = await asyncio.to_thread(in_the_cloud, case)

    assert there.generate[:2] == ("error", "lazy")
    assert case.reason in (there.generate[2] or "")
    assert there.items == {}


async def test_command_that_never_fits_is_refused_before_any_item_runs(tmp_path: Path) -> None:
    case = Case("too large", REGIONS, {"node": {"type": "Exec", "command": RUN, "cpu": 1000}})

    here = await on_this_machine(case, tmp_path)
    there = await asyncio.to_thread(in_the_cloud, case)

    for found in (here, there):
        assert found.generate[:2] == ("error", "lazy")
        assert "/m/Execute/DE: cpu=1000" in (found.generate[2] or "")
        assert found.items == {}
