"""The diagnosis of a pipeline in the cloud."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from conducto_core.diagnosis.model import Diagnosis, DiagnosisParams
from conducto_core.run.model.records import FirstError
from conducto_core.run.model.states import Cause
from support.cloud.world import World
from support.trees import leaf, parallel, serial

SCRIPT = "/home/ann/checks.py"


@pytest.fixture
def world() -> World:
    return World()


def explain(world: World, pipeline: str, **params: Any) -> Diagnosis:
    query = DiagnosisParams(id=pipeline, **params)
    return asyncio.run(world.pipelines().get_diagnosis(query))


def test_reported_errors_are_grouped_and_stored(world: World) -> None:
    pipeline = world.launch(serial(parallel("a", "b", name="tests"), "after"), title="checks")
    world.serve()
    for path, worker in world.running().items():
        text = f"KeyError: {path} line 3"
        error = FirstError(signature="KeyError", text=text, stream="stderr", line=0, offset=0)
        worker.finish(cause=Cause.EXIT_CODE, first_error=error)
    world.run_out()

    found = explain(world, pipeline)
    text = explain(world, pipeline, format="text", max_bytes=1500).text

    (cause,) = found.causes
    assert (cause.count, cause.paths) == (2, ("/tests/a", "/tests/b"))
    assert cause.error == "KeyError: /tests/a line 3"
    assert not cause.searched
    assert found.blocked_paths == ("/after",)
    assert text is not None
    assert "2 failed, 1 cause" in text
    assert len(text.encode()) <= 1500
    assert world.attempts(pipeline, "/tests/a")[-1].first_error is not None


def test_causes_are_compared_with_earlier_pipelines_of_the_program(world: World) -> None:
    def run(command: str, *fail: str) -> str:
        tree = parallel(leaf("a", command=command), "b")
        pipeline = world.launch(tree, program=SCRIPT, title="checks")
        world.run_out(lambda path: Cause.EXIT_CODE if path in fail else None)
        world.now += 100
        return pipeline

    good = run("make")
    bad = run("make -j", "/a")
    now = run("make -j", "/a", "/b")

    found = explain(world, now)

    by_path = {each.paths[0]: each for each in found.causes}
    assert found.baseline is not None
    assert (found.baseline.id, found.first_bad) == (good, bad)
    assert (by_path["/a"].since, by_path["/a"].outcomes) == (bad, "pff")
    assert by_path["/b"].is_new
    assert [(each.kind, each.name, each.suspect) for each in found.changes] == [
        ("command", "/a", True)
    ]
    assert explain(world, good).causes == ()
