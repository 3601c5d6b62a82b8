"""Files of cached commands in the cloud, with the real code of the worker and the function."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings

import conducto as co
from conducto.tree.launch_form import to_launch_form
from conducto_core.cache.model import ForecastFate, LineageParams
from conducto_core.run.model.requests import LaunchRequest
from conducto_core.run.model.states import Cause
from conducto_worker.agent.views import Views
from support.cached_files import (
    CONTENTS,
    READS_RAW,
    STEPS,
    WRITES_ANY,
    Command,
    Container,
    program,
    seed,
    total,
    tree,
)
from support.cloud.world import Hand, World

if TYPE_CHECKING:
    from pathlib import Path

    from conducto_core.run.model.records import AttemptRecord


class Cloud:
    """A world with a file system, whose workers run the commands of a test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.world = World(folder=folder / "efs")
        self.ran: list[str] = []
        self._known: dict[str, Command] = {}

    def add(self, name: str, command: Command) -> None:
        self._known[name] = command

    def data(self, pipeline: str) -> Path:
        return self.folder / "efs/pipelines" / pipeline

    def files(self, pipeline: str) -> dict[str, str]:
        data = self.data(pipeline)
        files = (each for each in data.rglob("*") if each.is_file())
        return {str(each.relative_to(data)): each.read_text() for each in files}

    def last(self, pipeline: str, path: str) -> AttemptRecord:
        return self.world.attempts(pipeline, path)[-1]

    def launch(self, root: co.Node, **options: Any) -> str:
        request = LaunchRequest(tree=to_launch_form(root), run=True, **options)
        pipeline = asyncio.run(self.world.pipelines().launch(request)).pipeline.id
        self.run_out()
        return pipeline

    def run_out(self) -> None:
        for _ in range(1000):
            self.world.serve()
            running = self.world.running()
            if not running:
                return
            self.run(running[min(running)])
        raise AssertionError("it does not come to an end")

    def run(self, hand: Hand) -> None:
        """Run the command of a worker, as `conducto_worker.agent.command` does."""
        job = hand.job
        assert job is not None
        data = self.data(hand.task.pipeline_id)
        data.mkdir(parents=True, exist_ok=True)
        self.ran.append(job.script)
        if job.files is None:
            self._known[job.script](Container(data))
            hand.finish()
            return
        assert hand.task.data == "view"
        root = self.folder / "views" / hand.id
        root.mkdir(parents=True, exist_ok=True)
        views = Views(root, data)
        view = views.make(job.files)
        cause = self._known[job.script](Container(root, data))
        if isinstance(cause, Cause):
            hand.finish(cause)
            return
        views.publish(view)
        hand.print(view.use.to_bytes().decode(), stream="files")
        hand.finish(not_stored=view.refusal)


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    return Cloud(tmp_path)


def test_a_hit_has_its_files_without_a_worker(cloud: Cloud) -> None:
    cloud.add("seed", seed(a="1", b="2"))
    cloud.add("make", total)
    first = cloud.launch(tree(READS_RAW))
    workers = len(cloud.world.fleet.tasks)
    second = cloud.launch(tree(READS_RAW))

    assert cloud.ran == ["seed", "make", "seed"]
    assert cloud.last(second, "/make").from_cache is not None
    assert len(cloud.world.fleet.tasks) == workers + 1  # for the seed
    assert cloud.files(second) == cloud.files(first)
    assert cloud.files(first)["out/sum"] == "raw/a=1 raw/b=2"


def test_a_changed_file_is_a_miss_that_names_it(cloud: Cloud) -> None:
    cloud.add("seed", seed(a="1", b="2"))
    cloud.add("again", seed(a="1", b="3", c="4"))
    cloud.add("make", total)
    cloud.launch(tree(READS_RAW))
    second = cloud.launch(tree(READS_RAW, "again"))

    reason = cloud.last(second, "/make").cache
    assert reason is not None
    assert reason.endswith("attempt 1: files (raw/b, raw/c)")
    assert cloud.files(second)["out/sum"] == "raw/a=1 raw/b=3 raw/c=4"


def test_a_failed_command_publishes_nothing(cloud: Cloud) -> None:
    def fail(box: Container) -> Cause:
        total(box)
        return Cause.EXIT_CODE

    cloud.add("seed", seed(a="1"))
    cloud.add("make", fail)
    pipeline = cloud.launch(tree(READS_RAW))
    assert sorted(cloud.files(pipeline)) == ["hidden", "raw/a"]
    assert cloud.last(pipeline, "/make").not_stored == "it failed"


def test_files_that_are_not_named_are_not_stored(cloud: Cloud) -> None:
    def stray(box: Container) -> None:
        total(box)
        box.write("tmp/x", "1")

    cloud.add("seed", seed(a="1"))
    cloud.add("make", stray)
    first = cloud.launch(tree(READS_RAW))
    assert cloud.last(first, "/make").not_stored == "it wrote tmp/x, which writes= does not name"
    cloud.launch(tree(READS_RAW))
    assert cloud.ran.count("make") == 2


@pytest.mark.parametrize("damage", ["deleted", "changed"])
def test_a_damaged_content_is_a_miss(cloud: Cloud, damage: str) -> None:
    cloud.add("seed", seed(a="1"))
    cloud.add("make", total)
    first = cloud.launch(tree(READS_RAW))
    if damage == "changed":
        with (cloud.data(first) / "out/sum").open("r+") as file:  # which has the same inode
            file.write("X")
    else:
        contents = cloud.folder / "efs/contents"
        next(each for each in contents.glob("*/??/*") if each.is_file()).unlink()
    second = cloud.launch(tree(READS_RAW))
    assert "was deleted" in str(cloud.last(second, "/make").cache)
    third = cloud.launch(tree(READS_RAW))
    assert cloud.last(third, "/make").from_cache is not None
    assert cloud.files(third)["out/sum"] == "raw/a=1"


def test_outcomes_that_differ_mark_their_entry(cloud: Cloud) -> None:
    runs = iter("12")
    cloud.add("seed", seed(a="1"))
    cloud.add("make", lambda box: box.write("out/number", next(runs)))
    pipeline = cloud.launch(tree(READS_RAW))
    assert [each.varies for each in cloud.world.cache.entries("acme")] == [()]
    cloud.world.control(pipeline, "reset", "/make")
    cloud.run_out()
    (entry,) = cloud.world.cache.entries("acme")
    assert (entry.source.attempt, entry.varies) == (2, ("out/number",))


def test_a_worker_that_ends_before_its_report_stores_nothing(cloud: Cloud) -> None:
    cloud.add("seed", seed(a="1"))
    cloud.add("make", total)
    request = LaunchRequest(tree=to_launch_form(tree(READS_RAW)), run=True)
    pipeline = asyncio.run(cloud.world.pipelines().launch(request)).pipeline.id
    cloud.world.serve()
    cloud.run(cloud.world.running()["/seed"])
    cloud.world.serve()
    hand = cloud.world.running()["/make"]
    root, data = cloud.folder / "lost", cloud.data(pipeline)
    root.mkdir()
    assert hand.job is not None
    assert hand.job.files is not None
    views = Views(root, data)
    view = views.make(hand.job.files)
    Container(root, data).write("out/sum", "half")
    views.publish(view)
    hand.vanish()
    cloud.world.deliver()
    assert list(cloud.world.cache.entries("acme")) == []

    cloud.launch(tree(READS_RAW))
    assert cloud.ran.count("make") == 1


def test_an_agent_that_knows_no_files_stores_nothing(cloud: Cloud) -> None:
    cloud.add("seed", seed(a="1"))
    request = LaunchRequest(tree=to_launch_form(tree(READS_RAW)), run=True)
    asyncio.run(cloud.world.pipelines().launch(request))
    cloud.world.serve()
    cloud.run(cloud.world.running()["/seed"])
    cloud.world.serve()
    cloud.world.running()["/make"].finish()  # without the stream of its files
    assert list(cloud.world.cache.entries("acme")) == []


def test_contents_without_a_use_are_deleted(cloud: Cloud) -> None:
    cloud.add("seed", seed(a="1"))
    cloud.add("make", total)
    cloud.launch(tree(READS_RAW))
    contents = cloud.folder / "efs/contents"
    cloud.world.data.trim(1)
    assert [each for each in contents.glob("*/??/*") if each.is_file()]
    cloud.world.data.trim(-1)
    assert not [each for each in contents.glob("*/??/*") if each.is_file()]


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(contents=CONTENTS, steps=STEPS)
def test_a_cached_run_equals_a_fresh_run(
    tmp_path_factory: pytest.TempPathFactory, contents: list[dict[str, str]], steps: list[Any]
) -> None:
    cloud = Cloud(tmp_path_factory.mktemp("cloud"))
    for content in [*contents, contents[0]]:
        found = []
        for options in ({}, {"no_cache": True}):
            pipeline = cloud.launch(program(cloud, content, steps), **options)
            found.append((cloud.files(pipeline), cloud.world.states(pipeline)))
        assert found[0] == found[1], json.dumps(content)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(contents=CONTENTS, steps=STEPS)
def test_plan_equals_the_decisions_of_a_launch(
    tmp_path_factory: pytest.TempPathFactory, contents: list[dict[str, str]], steps: list[Any]
) -> None:
    cloud = Cloud(tmp_path_factory.mktemp("cloud"))
    for content in [*contents, contents[0]]:
        root = program(cloud, content, steps, WRITES_ANY)
        request = LaunchRequest(tree=to_launch_form(root))
        plan = asyncio.run(cloud.world.pipelines().plan_cache(request))
        pipeline = cloud.launch(root)
        for each in plan.nodes:
            attempt = cloud.last(pipeline, each.path)
            if each.fate is ForecastFate.CACHED:
                damaged = "was deleted" in str(attempt.cache)  # changed in place
                if not damaged:
                    assert attempt.from_cache is not None
                    assert each.source is not None
                    assert attempt.from_cache.text == each.source.text
                    assert attempt.from_cache.seconds == each.seconds
            elif each.fate is ForecastFate.RUNS:
                assert (attempt.from_cache, attempt.cache) == (None, each.reason)
    assert [each.fate for each in plan.nodes].count(ForecastFate.CACHED) > 0


# ---- lineage ------------------------------------------------------------------------------------


def test_a_changed_file_makes_its_reader_stale(cloud: Cloud) -> None:
    def use(box: Container) -> None:
        box.write("end", str(len(box.read())))

    cloud.add("seed", seed(a="1"))
    cloud.add("make", total)
    cloud.add("use", use)
    root = tree(READS_RAW)
    root["use"] = co.Exec("use", cache=co.Cache(reads=["out/"], writes=["end"]))
    pipeline = cloud.launch(root)

    pipelines = cloud.world.pipelines()
    found = asyncio.run(pipelines.get_lineage(LineageParams(id=pipeline, name="end")))
    assert [(each.path, each.names) for each in found.origins] == [
        ("/use", ("end",)),
        ("/make", ("out/", "out/sum")),
        (None, ("raw/", "raw/a")),
    ]
    assert [each.stale_count for each in found.nodes] == [0, 0]

    (cloud.data(pipeline) / "raw/a").write_text("2")
    found = asyncio.run(pipelines.get_lineage(LineageParams(id=pipeline)))
    assert [(each.path, each.stale) for each in found.nodes] == [
        ("/make", ("raw/a",)),
        ("/use", ()),
    ]
    for ran in (["/make"], ["/use"], []):  # its new file makes the next one stale
        result = cloud.world.control(pipeline, "reset", stale=True)
        assert list(result.paths) == ran
        cloud.run_out()
    assert cloud.files(pipeline)["out/sum"] == "raw/a=2"
