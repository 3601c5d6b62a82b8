"""Files of cached commands: views, publication, hits, and damage."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from tests.fakes.engine import FakeEngine, Outcome
from tests.fakes.pipelines import MemorySecrets

import conducto as co
from conducto.tree.launch_form import to_launch_form
from conducto.wire.data_names import INPUTS
from conducto_core.cache.model import ForecastFate, LineageParams
from conducto_core.errors import NotFoundError
from conducto_core.run.model.params import PipelineParams
from conducto_core.run.model.requests import Action, ControlRequest, LaunchRequest
from conducto_core.run.model.states import State
from conducto_local.engine.port import Job, WorkerSpec
from support.cached_agent import Agent, Machine, agent_at
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

PIPELINE = "/conducto/data/pipeline"


def container(spec: WorkerSpec) -> Container:
    mounts = {each.target: Path(each.source) for each in spec.mounts}
    return Container(mounts[PIPELINE], mounts.get(f"{INPUTS}/pipeline"))


class Commands:
    """What the commands of a test do, by their text."""

    def __init__(self, engine: FakeEngine) -> None:
        self._known: dict[str, Command] = {}
        self.ran: list[str] = []
        engine.outcomes = self._outcome

    def add(self, name: str, command: Command) -> None:
        self._known[name] = command

    def _outcome(self, spec: WorkerSpec, job: Job) -> Outcome:
        self.ran.append(job.script)
        found = self._known[job.script](container(spec))
        return found if isinstance(found, Outcome) else Outcome()


@pytest.fixture
def machine() -> Machine:
    return Machine(FakeEngine(), MemorySecrets())


@pytest.fixture
def commands(machine: Machine) -> Commands:
    return Commands(machine.engine)


@pytest.fixture
async def agent(tmp_path: Path, machine: Machine) -> AsyncIterator[Agent]:
    async with agent_at(tmp_path, machine) as made:
        yield made


def data_of(agent: Agent, pipeline: str) -> Path:
    return agent.home.pipeline(pipeline).data


async def test_a_command_sees_only_its_files_and_a_hit_has_its_output_files(
    agent: Agent, commands: Commands
) -> None:
    commands.add("seed", seed(a="1", b="2"))
    commands.add("make", total)
    first = await agent.launch(tree(READS_RAW))
    second = await agent.launch(tree(READS_RAW))

    assert commands.ran == ["seed", "make", "seed"]
    for each in (first, second):
        assert (data_of(agent, each) / "out/sum").read_text() == "raw/a=1 raw/b=2"
    attempt = await agent.attempt(second, "/make")
    assert attempt.from_cache is not None
    views = agent.home.pipeline(first).root / "views"
    assert list(views.iterdir()) == []


async def test_a_changed_file_is_a_miss_that_names_it(agent: Agent, commands: Commands) -> None:
    commands.add("seed", seed(a="1", b="2"))
    commands.add("again", seed(a="1", b="3", c="4"))
    commands.add("make", total)
    await agent.launch(tree(READS_RAW))
    second = await agent.launch(tree(READS_RAW, "again"))

    attempt = await agent.attempt(second, "/make")
    assert attempt.cache is not None
    assert attempt.cache.endswith("attempt 1: files (raw/b, raw/c)")
    assert (data_of(agent, second) / "out/sum").read_text() == "raw/a=1 raw/b=3 raw/c=4"


async def test_a_failed_command_publishes_nothing(agent: Agent, commands: Commands) -> None:
    def fail(box: Container) -> Outcome:
        total(box)
        return Outcome(code=1)

    commands.add("seed", seed(a="1"))
    commands.add("make", fail)
    pipeline = await agent.launch(tree(READS_RAW))

    assert sorted(each.name for each in data_of(agent, pipeline).iterdir()) == ["hidden", "raw"]


async def test_files_that_are_not_named_are_published_and_not_stored(
    agent: Agent, commands: Commands
) -> None:
    def stray(box: Container) -> None:
        total(box)
        box.write("tmp/x", "1")

    commands.add("seed", seed(a="1"))
    commands.add("make", stray)
    first = await agent.launch(tree(READS_RAW))
    await agent.launch(tree(READS_RAW))

    attempt = await agent.attempt(first, "/make")
    assert attempt.not_stored == "it wrote tmp/x, which writes= does not name"
    assert (data_of(agent, first) / "tmp/x").read_text() == "1"
    assert commands.ran.count("make") == 2


async def test_a_directory_is_replaced_as_a_whole(agent: Agent, commands: Commands) -> None:
    def old(box: Container) -> None:
        seed(a="1")(box)
        box.write("out/old", "old")

    commands.add("seed", old)
    commands.add("make", total)
    for _ in range(2):
        pipeline = await agent.launch(tree(READS_RAW))
        assert [each.name for each in (data_of(agent, pipeline) / "out").iterdir()] == ["sum"]


async def test_a_file_that_is_read_and_written_is_a_copy(agent: Agent, commands: Commands) -> None:
    def append(box: Container) -> None:
        path = box.root / "raw/a"
        assert not path.is_symlink()
        path.write_text(path.read_text() + "+")

    cache = co.Cache(reads=["raw/"], writes=["raw/a"])
    commands.add("seed", seed(a="1", b="2"))
    commands.add("make", append)
    for _ in range(2):
        pipeline = await agent.launch(tree(cache))
        found = {
            each.name: each.read_text() for each in (data_of(agent, pipeline) / "raw").iterdir()
        }
        assert found == {"a": "1+", "b": "2"}
    assert commands.ran.count("make") == 1


async def test_copies_may_be_changed(agent: Agent, commands: Commands) -> None:
    def change(box: Container) -> None:
        (box.root / "raw/a").unlink()
        box.write("out/x", "1")

    commands.add("seed", seed(a="1"))
    commands.add("make", change)
    cache = co.Cache(reads=["raw/"], writes=["out/"], inputs="copy")
    pipeline = await agent.launch(tree(cache))
    assert (data_of(agent, pipeline) / "raw/a").read_text() == "1"
    assert (await agent.attempt(pipeline, "/make")).not_stored is None


@pytest.mark.parametrize("damage", ["deleted", "changed"])
async def test_a_damaged_content_is_a_miss(agent: Agent, commands: Commands, damage: str) -> None:
    commands.add("seed", seed(a="1"))
    commands.add("make", total)
    first = await agent.launch(tree(READS_RAW))
    written = data_of(agent, first) / "out/sum"
    if damage == "changed":
        with written.open("r+") as file:  # a later command writes in place
            file.write("X")
    else:
        objects = agent.home.cache / "objects"
        next(each for each in objects.glob("??/*") if each.is_file()).unlink()
    for ran in (2, 2):  # the entry is stored again
        pipeline = await agent.launch(tree(READS_RAW))
        assert (data_of(agent, pipeline) / "out/sum").read_text() == "raw/a=1"
        assert commands.ran.count("make") == ran


async def test_links_out_of_the_data_are_neither_followed_nor_stored(
    agent: Agent, commands: Commands, tmp_path: Path
) -> None:
    target = tmp_path / "secret"
    target.mkdir()
    (target / "key").write_text("key")

    def link(box: Container) -> None:
        box.write("out/x", "1")
        (box.root / "out/link").symlink_to(target)

    def use_link(box: Container) -> None:
        seed(a="1")(box)
        (box.root / "out").symlink_to(target)

    commands.add("seed", seed(a="1"))
    commands.add("make", link)
    first = await agent.launch(tree(READS_RAW))
    assert "out/link is neither a file nor" in str((await agent.attempt(first, "/make")).not_stored)

    commands.add("seed", use_link)
    commands.add("make", total)
    second = await agent.launch(tree(READS_RAW))
    attempt = await agent.attempt(second, "/make")
    assert attempt.state is State.KILLED
    assert "cannot be moved to the data" in str(attempt.message)
    assert [each.name for each in target.iterdir()] == ["key"]


async def test_contents_without_an_entry_are_deleted(agent: Agent, commands: Commands) -> None:
    commands.add("seed", seed(a="1"))
    commands.add("make", total)
    await agent.launch(tree(READS_RAW))
    objects = agent.home.cache / "objects"
    files = agent.scheduler.cached_files
    used = agent.store.cache.contents()
    later = objects.stat().st_ctime + 7200

    files.trim(used, later)
    assert len(used) == len([each for each in objects.glob("??/*") if each.is_file()]) == 1
    files.trim(set(), later - 7200)
    assert [each for each in objects.glob("??/*") if each.is_file()]
    files.trim(set(), later)
    assert not [each for each in objects.glob("??/*") if each.is_file()]


async def test_outcomes_that_differ_mark_their_entry(agent: Agent, commands: Commands) -> None:
    runs = iter("123")

    def vary(box: Container) -> None:
        total(box)
        box.write("out/number", next(runs))

    commands.add("seed", seed(a="1"))
    commands.add("make", vary)
    pipeline = await agent.launch(tree(READS_RAW))
    assert [each.varies for each in agent.store.cache.list_used("", -1)] == [()]
    request = ControlRequest(action=Action.RESET, paths=("/make",))
    await agent.pipelines.control(PipelineParams(id=pipeline), request)
    await agent.settle(pipeline)
    (entry,) = agent.store.cache.list_used("", -1)
    assert (entry.source.attempt, entry.varies) == (2, ("out/number",))

    commands.add("make", lambda box: (total(box), box.write("out/number", "2")))
    await agent.pipelines.control(PipelineParams(id=pipeline), request)
    await agent.settle(pipeline)
    (entry,) = agent.store.cache.list_used("", -1)
    assert (entry.source.attempt, entry.varies) == (3, ("out/number",))  # it stays marked


# ---- a cached run is a fresh run ----------------------------------------------------------------


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    contents=CONTENTS,
    steps=STEPS,
)
async def test_a_cached_run_equals_a_fresh_run(
    tmp_path_factory: pytest.TempPathFactory, contents: list[dict[str, str]], steps: list[Any]
) -> None:
    machine = Machine(FakeEngine(), MemorySecrets())
    commands = Commands(machine.engine)
    async with agent_at(tmp_path_factory.mktemp("home"), machine) as agent:
        for content in [*contents, contents[0]]:
            found = []
            for options in ({}, {"no_cache": True}):
                root = program(commands, content, steps)
                data = data_of(agent, await agent.launch(root, **options))
                files = (each for each in data.rglob("*") if each.is_file())
                found.append({str(each.relative_to(data)): each.read_text() for each in files})
            assert found[0] == found[1]


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(contents=CONTENTS, steps=STEPS)
async def test_plan_equals_the_decisions_of_a_launch(
    tmp_path_factory: pytest.TempPathFactory, contents: list[dict[str, str]], steps: list[Any]
) -> None:
    machine = Machine(FakeEngine(), MemorySecrets())
    commands = Commands(machine.engine)
    async with agent_at(tmp_path_factory.mktemp("home"), machine) as agent:
        for content in [*contents, contents[0]]:
            root = program(commands, content, steps, WRITES_ANY)
            request = LaunchRequest(tree=to_launch_form(root))
            plan = await agent.pipelines.plan_cache(request)
            pipeline = await agent.launch(root)
            for each in plan.nodes:
                attempt = await agent.attempt(pipeline, each.path)
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


async def test_a_changed_file_makes_its_reader_stale(agent: Agent, commands: Commands) -> None:
    def use(box: Container) -> None:
        box.write("end", str(len(box.read())))

    commands.add("seed", seed(a="1"))
    commands.add("make", total)
    commands.add("use", use)
    first = await agent.launch(tree(READS_RAW))
    root = tree(READS_RAW)
    root["use"] = co.Exec("use", cache=co.Cache(reads=["out/"], writes=["end"]))
    pipeline = await agent.launch(root)

    found = await agent.pipelines.get_lineage(LineageParams(id=pipeline, name="end"))
    steps = [(each.depth, each.path, each.names) for each in found.origins]
    assert steps == [
        (0, "/use", ("end",)),
        (1, "/make", ("out/", "out/sum")),
        (2, None, ("raw/", "raw/a")),
    ]
    source = found.origins[1].source
    assert source is not None
    assert source.pipeline == first
    assert [each.stale_count for each in found.nodes] == [0, 0]
    with pytest.raises(NotFoundError, match="saw or wrote nothing"):
        await agent.pipelines.get_lineage(LineageParams(id=pipeline, name="nothing"))

    (data_of(agent, pipeline) / "raw/a").write_text("2")
    found = await agent.pipelines.get_lineage(LineageParams(id=pipeline))
    assert [(each.path, each.stale) for each in found.nodes] == [
        ("/make", ("raw/a",)),
        ("/use", ()),
    ]
    for ran in (["/make"], ["/use"], []):  # its new file makes the next one stale
        request = ControlRequest(action=Action.RESET, stale=True)
        result = await agent.pipelines.control(PipelineParams(id=pipeline), request)
        assert list(result.paths) == ran
        await agent.settle(pipeline)
    assert (data_of(agent, pipeline) / "out/sum").read_text() == "raw/a=2"


async def test_a_moved_directory_of_inputs_fails_instead_of_being_lost(
    agent: Agent, commands: Commands
) -> None:
    def move(box: Container) -> None:
        total(box)
        (box.root / "raw").rename(box.root / "out/raw")

    commands.add("seed", seed(a="1"))
    commands.add("make", move)
    pipeline = await agent.launch(tree(READS_RAW))

    attempt = await agent.attempt(pipeline, "/make")
    assert attempt.state is State.KILLED
    assert "out/raw" in str(attempt.message)
    assert "is a link to a directory of inputs; copy the files" in str(attempt.message)
