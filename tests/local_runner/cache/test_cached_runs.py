"""Cached commands of the agent: hits without a container or build, and stored outcomes."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.fakes.engine import FakeEngine, Outcome
from tests.fakes.pipelines import MemorySecrets

import conducto as co
from conducto.tree.launch_form import to_launch_form
from conducto_core.cache.model import LineageParams
from conducto_core.run.model.params import PipelineParams, TreeParams
from conducto_core.run.model.requests import Action, ControlRequest, LaunchRequest
from conducto_core.run.model.states import State
from conducto_core.secrets.port import SecretName, StoredSecret
from conducto_local.engine.port import UnbuiltImage
from conducto_local.run.context import EngineContext
from support.cached_agent import Agent, Images, Machine, agent_at, script


@pytest.fixture
def machine() -> Machine:
    return Machine(FakeEngine(), MemorySecrets())


@pytest.fixture
async def agent(tmp_path: Path, machine: Machine) -> AsyncIterator[Agent]:
    async with agent_at(tmp_path, machine) as made:
        yield made


def tree(**params: object) -> co.Serial:
    root = co.Serial(image="x", cache=True, title="t")
    root["fetch"] = co.Exec("fetch", **params)
    root["both"] = both = co.Parallel()
    both["a"], both["b"] = co.Exec("a"), co.Exec("b")
    return root


async def test_an_unchanged_launch_runs_nothing_and_builds_nothing(
    agent: Agent, machine: Machine
) -> None:
    first = await agent.launch(tree())
    ran, builds, started = len(machine.engine.ran), machine.builds, len(machine.engine.started)
    second = await agent.launch(tree())

    assert (ran, builds) == (3, 1)
    assert len(machine.engine.ran) == ran
    assert (machine.builds, len(machine.engine.started)) == (builds, started)
    attempt = await agent.attempt(second, "/both/a")
    assert attempt.state is State.DONE
    assert attempt.from_cache is not None
    assert attempt.from_cache.text == f"{first} /both/a attempt 1"
    ran = await agent.attempt(first, "/both/a")
    assert ran.ended is not None
    assert ran.started is not None
    assert attempt.from_cache.seconds == pytest.approx(ran.ended - ran.started)
    assert attempt.from_cache.dollars is None
    lineage = await agent.pipelines.get_lineage(LineageParams(id=second))
    assert lineage.nodes == ()
    assert lineage.saved is not None
    took = [await agent.attempt(first, path) for path in ("/fetch", "/both/a", "/both/b")]
    assert (lineage.saved.commands, lineage.saved.dollars) == (3, None)
    seconds = sum((each.ended or 0.0) - (each.started or 0.0) for each in took)
    assert lineage.saved.seconds == pytest.approx(seconds)
    assert (await agent.pipelines.get_lineage(LineageParams(id=first))).saved is None
    assert (attempt.started, attempt.exit_code) == (None, 0)


async def test_a_hit_has_result_metrics_and_output_of_its_attempt(
    agent: Agent, machine: Machine
) -> None:
    points = b'{"name": "loss", "value": 0.5, "step": 1, "time": 1}\n'
    files = {"result": b'{"x": 1}', "metrics": points}
    machine.engine.outcomes = script({"fetch": Outcome(stdout=b"hello\n", files=files)})
    first = await agent.launch(tree())
    second = await agent.launch(tree())

    old, new = await agent.attempt(first, "/fetch"), await agent.attempt(second, "/fetch")
    assert new.outputs == old.outputs
    assert new.output_bytes == old.output_bytes == 6
    logs = [agent.scheduler.logs(each) for each in (first, second)]
    for stream in ("stdout", "result", "metrics"):
        data = [each.reader("/fetch", 1).read(stream).data for each in logs]
        assert data[0] == data[1] != b""


async def test_a_failure_is_not_stored(agent: Agent, machine: Machine) -> None:
    machine.engine.outcomes = script({"fetch": Outcome(code=1)})
    first = await agent.launch(tree(suppress_errors=True))
    assert (await agent.attempt(first, "/fetch")).not_stored == "it failed"
    machine.engine.outcomes = script({})
    second = await agent.launch(tree(suppress_errors=True))
    assert (await agent.attempt(second, "/fetch")).from_cache is None
    assert (await agent.attempt(second, "/both/a")).from_cache is not None


async def test_a_rerun_by_a_user_is_fresh_and_replaces_the_entry(
    agent: Agent, machine: Machine
) -> None:
    await agent.launch(tree())
    second = await agent.launch(tree())
    machine.engine.outcomes = script({"fetch": Outcome(stdout=b"newer\n")})
    request = ControlRequest(action=Action.RESET, paths=("/fetch",))
    await agent.pipelines.control(PipelineParams(id=second), request)
    await agent.settle(second)

    again = await agent.attempt(second, "/fetch")
    assert (again.number, again.from_cache, again.cache) == (2, None, "a user ran it again")
    third = await agent.attempt(await agent.launch(tree()), "/fetch")
    assert third.from_cache is not None
    assert (third.from_cache.pipeline, third.from_cache.attempt) == (second, 2)


async def test_no_cache_runs_and_stores(agent: Agent, machine: Machine) -> None:
    await agent.launch(tree())
    second = await agent.launch(tree(), no_cache=True)
    assert len(machine.engine.ran) == 6
    assert (await agent.attempt(second, "/fetch")).cache == "launched with --no-cache"
    third = await agent.attempt(await agent.launch(tree()), "/fetch")
    assert third.from_cache is not None
    assert third.from_cache.pipeline == second


async def test_the_outcome_is_stored_for_the_image_in_which_it_ran(
    agent: Agent, machine: Machine
) -> None:
    """The code changes between the decision and the build."""

    class Edited(Machine):
        def content(self) -> UnbuiltImage:
            known = super().content()
            return known if self.builds else replace(known, code="v0")

    edited = Edited(machine.engine, machine.secrets)
    context = EngineContext(edited.engine, {}, lambda: Images(edited))
    agent.scheduler._common.engine_contexts["docker"] = context
    first = await agent.attempt(await agent.launch(tree()), "/fetch")
    assert first.from_cache is None
    second = await agent.attempt(await agent.launch(tree()), "/fetch")
    assert second.from_cache is not None  # with v1, in which it ran
    edited.builds, machine.builds = 0, 0
    third = await agent.attempt(await agent.launch(tree()), "/fetch")
    assert third.from_cache is None  # v0 never ran


async def test_a_new_version_of_a_named_secret_misses(agent: Agent, machine: Machine) -> None:
    def put(value: str, updated: float) -> None:
        machine.secrets.put([StoredSecret(SecretName("user", "TOKEN"), value, True, updated)])

    put("one", 1.0)
    await agent.launch(tree(secrets=["TOKEN"]))
    hit = await agent.attempt(await agent.launch(tree(secrets=["TOKEN"])), "/fetch")
    assert hit.from_cache is not None
    put("two", 2.0)
    miss = await agent.attempt(await agent.launch(tree(secrets=["TOKEN"])), "/fetch")
    assert miss.cache is not None
    assert miss.cache.endswith("secrets (TOKEN)")
    env = next(r.job.env for r in reversed(machine.engine.ran) if r.job.script == "fetch")
    assert env["TOKEN"] == "two"


async def test_a_cached_command_sees_only_its_inputs(agent: Agent, machine: Machine) -> None:
    machine.secrets.put([StoredSecret(SecretName("user", "TOKEN"), "value", True, 1.0)])
    root = tree()
    root["plain"] = co.Exec("plain", cache=False)
    await agent.launch(root)

    env = {ran.job.script: ran.job.env for ran in machine.engine.ran}
    assert not {"TOKEN", "CONDUCTO_PIPELINE_ID", "CONDUCTO_NODE"} & env["fetch"].keys()
    assert {"TOKEN", "CONDUCTO_PIPELINE_ID", "CONDUCTO_NODE"} <= env["plain"].keys()
    mounts = {ran.job.script: ran.worker for ran in machine.engine.ran}
    of = {spec.name: spec.mounts for spec in machine.engine.started}
    assert all(mount.read_only for mount in of[mounts["fetch"]])
    assert not any(mount.read_only for mount in of[mounts["plain"]])
    assert {m.source for m in of[mounts["fetch"]]}.isdisjoint(m.source for m in of[mounts["plain"]])


async def test_processes_of_the_machine_are_not_cached(agent: Agent, machine: Machine) -> None:
    await agent.launch(tree(), engine="process")
    second = await agent.attempt(await agent.launch(tree(), engine="process"), "/fetch")
    assert second.from_cache is None
    assert second.cache is not None
    assert second.cache.startswith("not cached: processes of the machine")


async def test_an_agent_that_was_killed_before_the_write_decides_again(
    tmp_path: Path, machine: Machine
) -> None:
    """The streams of a hit are written before its attempt, so a killed agent leaves them behind."""
    machine.engine.outcomes = script({"fetch": Outcome(files={"result": json.dumps("x").encode()})})
    async with agent_at(tmp_path, machine) as agent:
        await agent.launch(tree())
        request = LaunchRequest(tree=to_launch_form(tree()), run=False)
        second = (await agent.pipelines.launch(request)).pipeline.id
        writer = agent.scheduler.logs(second).writer("/fetch", 1)
        writer.write("result", b'"x"')  # the agent is killed here
        writer.close()
        await agent.pipelines.control(PipelineParams(id=second), ControlRequest(action=Action.RUN))
        await agent.settle(second)
        hit = await agent.attempt(second, "/fetch")
        assert hit.from_cache is not None
        assert agent.scheduler.logs(second).reader("/fetch", 1).read("result").data == b'"x"'


async def test_a_chain_of_a_thousand_hits_is_fast(agent: Agent) -> None:
    def chain() -> co.Serial:
        root = co.Serial(image="x", cache=True, title="t")
        for number in range(1000):
            root[f"n{number}"] = co.Exec(f"echo {number}")
        return root

    await agent.launch(chain())
    loop = asyncio.get_running_loop()
    before = loop.time()
    second = await agent.launch(chain())
    assert loop.time() - before < 30  # the benchmark has the real limit
    assert (await agent.attempt(second, "/n999")).from_cache is not None


async def test_an_image_of_other_commands_is_built_at_the_start(
    agent: Agent, machine: Machine
) -> None:
    """Before the first command ends, as without a cache."""
    root = co.Serial(image="x", cache=True, title="t")
    root["first"], root["last"] = co.Exec("first"), co.Exec("last", cache=False, image="y")
    built: list[int] = []

    def note(_spec: object, _job: object) -> Outcome:
        built.append(machine.builds)
        return Outcome()

    machine.engine.outcomes = note
    await agent.launch(root)
    assert built == [2, 2]


# ---- equal commands at once ---------------------------------------------------------------------


async def start(agent: Agent) -> str:
    root = co.Serial(image="x", title="t")
    root["fetch"] = co.Exec("fetch", cache=co.Cache(serialize=True))
    request = LaunchRequest(tree=to_launch_form(root), run=True)
    return (await agent.pipelines.launch(request)).pipeline.id


async def waiting(agent: Agent, pipeline: str) -> str:
    """Return the reason for which the command waits, once it waits for an equal one."""
    while True:
        page = await agent.pipelines.get_tree(TreeParams(id=pipeline, root="/fetch"))
        if page.nodes[0].wait_kind == "same_command":
            return str(page.nodes[0].waits_for)
        await asyncio.sleep(0)


async def running(agent: Agent, pipeline: str) -> None:
    while True:
        page = await agent.pipelines.get_tree(TreeParams(id=pipeline, root="/fetch"))
        if page.nodes[0].state is State.RUNNING:
            return
        await asyncio.sleep(0)


async def test_an_equal_command_waits_for_the_first_and_has_its_outcome(
    agent: Agent, machine: Machine
) -> None:
    machine.engine.outcomes = script({"fetch": Outcome(held=True)})
    first = await start(agent)
    await running(agent, first)
    second = await start(agent)

    assert await waiting(agent, second) == f"waits for the same command in {first} /fetch"
    machine.engine.release("fetch")
    await agent.settle(second)
    source = (await agent.attempt(second, "/fetch")).from_cache
    assert source is not None
    assert source.pipeline == first
    assert len(machine.engine.ran) == 1


@pytest.mark.parametrize("end", ["failure", "kill"])
async def test_one_of_the_waiting_commands_runs_if_the_first_has_no_outcome(
    agent: Agent, machine: Machine, end: str
) -> None:
    machine.engine.outcomes = script({"fetch": Outcome(code=1, held=True)})
    first = await start(agent)
    await running(agent, first)
    others = [await start(agent), await start(agent)]
    for each in others:
        await waiting(agent, each)
    machine.engine.outcomes = script({"fetch": Outcome()})
    if end == "failure":
        machine.engine.release("fetch")
    else:
        request = ControlRequest(action=Action.KILL, paths=("/fetch",))
        await agent.pipelines.control(PipelineParams(id=first), request)
    for each in others:
        await agent.settle(each)
    sources = [(await agent.attempt(each, "/fetch")).from_cache for each in others]
    assert sorted(each is None for each in sources) == [False, True]
    assert len(machine.engine.ran) == 2


async def test_a_waiting_command_can_be_withdrawn(agent: Agent, machine: Machine) -> None:
    machine.engine.outcomes = script({"fetch": Outcome(held=True)})
    first = await start(agent)
    await running(agent, first)
    second = await start(agent)
    await waiting(agent, second)
    request = ControlRequest(action=Action.SKIP, paths=("/fetch",))
    await agent.pipelines.control(PipelineParams(id=second), request)
    await agent.settle(second)
    machine.engine.release("fetch")
    await agent.settle(first)
    assert len(machine.engine.ran) == 1
