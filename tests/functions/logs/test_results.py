"""Results that later commands use: both targets agree on values, causes and messages."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, NamedTuple

import pytest

from chalicelib.logs.port import LogKey
from conducto.errors import DefinitionError
from conducto.wire.outputs import MAX_RESULT
from conducto_core.programs.history import ComparisonParams, Difference, NodeHistoryParams
from conducto_core.results.model import CompareParams, MetricParams, OutputParams, OutputSummary
from support.cloud.world import World
from support.local import local_runner
from support.trees import form, leaf, serial

if TYPE_CHECKING:
    from pathlib import Path

    from conducto_core.run.model.records import AttemptRecord

HALF = json.dumps("x" * (MAX_RESULT - 2))
TREE = serial(
    *(leaf(name, command=f'cat "$RESULTS/{name}" >"$CONDUCTO_RUN_DIR/result"') for name in "abcde"),
    leaf("use", command='cat "$CONDUCTO_RUN_DIR/inputs"', results=[f"/{name}" for name in "abcde"]),
)


class Case(NamedTuple):
    """The results of the nodes that a command uses; ``skip`` is not run."""

    name: str
    results: dict[str, str]
    skip: str | None = None


ONES = dict.fromkeys("abcde", "1")
CASES = [
    Case("all", {**ONES, "b": '{"x":[1,null,"\u00e9"]}', "c": '"it\'s"'}),
    Case("none", {**ONES, "c": ""}),
    Case("skipped", ONES, skip="/d"),
    Case("large", dict.fromkeys("abcde", HALF)),
]
Ended = tuple[str, str | None, str | None, str]


def outcome(attempt: AttemptRecord, inputs: str) -> Ended:
    cause = None if attempt.cause is None else attempt.cause.value
    return (attempt.state.value, cause, attempt.message, inputs)


async def on_this_machine(case: Case, folder: Path) -> Ended:
    for name, result in case.results.items():
        (folder / name).write_text(result)
    tree = form({**TREE, "__env__RESULTS": str(folder)})
    async with local_runner(folder / "home", "process") as local:
        run = await local.launch(tree, run=False)
        if case.skip is not None:
            await run.control("skip", case.skip)
        await run.control("run")
        await run.settled()
        (attempt,) = await run.attempts("/use")
        return outcome(attempt, (await run.output("/use")).decode())


def in_the_cloud(case: Case) -> Ended:
    world = World()
    pipeline_id = world.launch(TREE, run=False)
    if case.skip is not None:
        world.control(pipeline_id, "skip", case.skip)
    world.control(pipeline_id, "run")
    inputs = ""
    for _ in range(10):
        world.serve()
        for path, hand in world.running().items():
            assert hand.job is not None
            inputs, result = hand.job.inputs, case.results.get(path[1:], "")
            if result:
                result = json.dumps(json.loads(result), separators=(",", ":"))
            world.cloud.storage.logs.append(
                LogKey(pipeline_id, path, 1, "result"), 0, result.encode()
            )
            summary = OutputSummary(result=len(result)) if result else None
            hand.finish(exit_code=0, outputs=summary)
    (attempt,) = world.attempts(pipeline_id, "/use")
    return outcome(attempt, inputs)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_both_targets_agree(case: Case, tmp_path: Path) -> None:
    here = await on_this_machine(case, tmp_path)

    there = await asyncio.to_thread(in_the_cloud, case)

    assert here == there
    assert (here[0] == "done") is (case.name == "all")
    if case.name == "all":
        assert json.loads(here[3])["/b"] == {"x": [1, None, "\u00e9"]}
    else:
        assert here[1] == "input"


def test_result_can_be_read_in_the_cloud() -> None:
    world = World()
    pipeline_id = world.launch(serial("a"))
    world.serve()
    (hand,) = world.living()
    world.cloud.storage.logs.append(LogKey(pipeline_id, "/a", 1, "result"), 0, b'{"a":1}')
    summary = OutputSummary(result=7, metrics=("m",), artifacts=2)
    hand.finish(exit_code=0, outputs=summary, output_bytes=12)

    query = OutputParams(id=pipeline_id, path="/a")
    found = asyncio.run(world.pipelines().attempt_output(query, "result"))

    assert found == (1, b'{"a":1}')
    (attempt,) = world.attempts(pipeline_id, "/a")
    assert (attempt.outputs, attempt.output_bytes) == (summary, 12)


def test_repeated_declaration_of_an_artifact_adds_no_entry() -> None:
    world = World()
    pipeline_id = world.launch(serial("a"))
    world.serve()
    (hand,) = world.living()
    first, second = (f'{{"name":"{name}","type":"image/png"}}\n' for name in ("best", "last"))

    hand.print(first, stream="artifacts")
    entries = len(world.store.news(pipeline_id, 0).entries)
    hand.print(first, stream="artifacts", offset=len(first))
    again = len(world.store.news(pipeline_id, 0).entries)
    hand.print(second, stream="artifacts", offset=2 * len(first))

    (attempt,) = world.attempts(pipeline_id, "/a")
    assert attempt.outputs == OutputSummary(artifacts=2)
    assert again == entries
    assert len(world.store.news(pipeline_id, 0).entries) == entries + 1


def test_metrics_of_a_running_command_can_be_read_and_survive_its_worker() -> None:
    world = World()
    pipeline_id = world.launch(serial("a"))
    world.serve()
    (hand,) = world.living()
    first, second = (f'{{"name":"{name}","value":1,"step":0,"time":1}}\n' for name in "mn")
    query = MetricParams(id=pipeline_id, path="/a")

    hand.print(first, stream="metrics")
    (attempt,) = world.attempts(pipeline_id, "/a")
    hand.print(first, stream="metrics", offset=len(first))
    hand.print(second, stream="metrics", offset=2 * len(first))
    running = asyncio.run(world.pipelines().list_metrics(query))
    hand.vanish()
    world.minute(300)
    lost = world.attempts(pipeline_id, "/a")[0]
    compared = asyncio.run(
        world.pipelines().compare_metrics(
            CompareParams(title=world.get(pipeline_id).pipeline.title)
        )
    )

    assert (attempt.state, attempt.outputs) == ("running", OutputSummary(metrics=("m",)))
    assert [(one.name, one.values) for one in running.metrics] == [("m", (1, 1)), ("n", (1,))]
    assert [(one.name, one.last) for one in compared.pipelines[0].metrics] == [("m", 1), ("n", 1)]
    assert (lost.cause, lost.outputs) == ("worker_lost", OutputSummary(metrics=("m", "n")))


def test_pipelines_in_the_cloud_are_compared_and_have_a_history() -> None:
    world = World()
    ids = []
    for value in (1, 2):
        pipeline_id = world.launch(serial("a"), title="history")
        world.serve()
        hand = next(one for one in world.living() if one.job is not None)
        world.cloud.storage.logs.append(LogKey(pipeline_id, "/a", 1, "result"), 0, b"%d" % value)
        hand.finish(exit_code=0, outputs=OutputSummary(result=1))
        ids.append(pipeline_id)
        world.minute()  # the next one is newer

    found = asyncio.run(
        world.pipelines().compare_pipelines(ComparisonParams(id=ids[1], other=ids[0]))
    )
    history = asyncio.run(world.pipelines().node_history(NodeHistoryParams(title="history")))

    result = Difference(name="/a", before="1", after="2")
    assert (found.before, found.after, found.complete) == (*ids, True)
    assert [(one.kind, one.items) for one in found.differences] == [("result", (result,))]
    assert history.pipelines == tuple(ids)
    assert [one.path for one in history.slowest] == ["/a"]


def test_reason_for_a_new_interpreter_is_kept() -> None:
    world = World()
    pipeline_id = world.launch(serial("a"))
    world.serve()
    (hand,) = world.living()

    hand.finish(exit_code=0, interpreter="the import starts a thread")

    assert world.attempts(pipeline_id, "/a")[0].interpreter == "the import starts a thread"


def test_claim_repeated_after_a_reset_of_the_source_still_runs() -> None:
    world = World()
    pipeline_id = world.launch(serial("a", leaf("b", results=["/a"])))
    world.serve()
    (hand,) = world.living()
    world.cloud.storage.logs.append(LogKey(pipeline_id, "/a", 1, "result"), 0, b"1")
    hand.finish(exit_code=0)
    world.serve()
    assert hand.job is not None
    assert hand.job.inputs == '{"/a":1}'
    world.control(pipeline_id, "reset", "/a")

    assert hand.claim(hand.offer).decision == "run"


def test_tree_whose_results_may_not_exist_is_rejected() -> None:
    with pytest.raises(DefinitionError, match=r"/b: uses the result of /c, which comes after it"):
        World().launch(serial("a", leaf("b", results=["/c"]), "c"))


@pytest.mark.parametrize("results", ["/a", [1], ["a"], {"a": 1}, [f"/{n}" for n in range(101)]])
def test_invalid_results_are_rejected(results: object) -> None:
    with pytest.raises(DefinitionError, match=r"/b: .*results"):
        World().launch(serial("a", leaf("b", results=results)))
