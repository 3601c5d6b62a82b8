"""Actions on live pipelines on real engines."""

import asyncio
import re

import pytest

import conducto as co
from conducto.errors import DefinitionError
from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.run.model.params import ListParams, PipelineParams, TreeParams
from conducto_core.run.model.records import Lifecycle
from conducto_core.run.model.requests import Action, ControlResult
from conducto_core.run.model.states import Cause, State
from support.local import act, local_runner
from support.stand_ins import ensure

IMAGE = "busybox"


@pytest.fixture(params=["process", pytest.param("docker", marks=pytest.mark.docker)])
async def local(request, tmp_path):
    if request.param == "docker":
        ensure(["busybox:latest"])
    async with local_runner(tmp_path / "home", request.param) as runner:
        yield runner


def serial(**children):
    root = co.Serial(image=IMAGE)
    for name, child in children.items():
        root[name] = co.Exec(child) if isinstance(child, str) else child
    return root


async def test_modify_a_failed_node_and_reset_it(local):
    run = await local.run(serial(a="exit 3", b="echo after"))

    await act(run, Action.MODIFY, "/a", command="echo mended; exit 0")
    await act(run, Action.RESET, "/a")
    await run.until("/b", "done")

    first, second = await run.attempts("/a")
    assert (first.command, second.command) == ("exit 3", "echo mended; exit 0")
    assert await run.output("/a") == b"mended\n"


async def test_modified_group_changes_the_inherited_values_of_its_children(local):
    run = await local.launch(serial(a='echo "$X"', b='echo "$X $Y"'), run=False)

    await act(run, Action.MODIFY, "/", env={"X": "1", "Y": "2"})
    await act(run, Action.MODIFY, "/b", env={"X": None})
    await act(run, Action.RUN)
    await run.until("/", "done")

    assert await run.output("/a") == b"1\n"
    assert await run.output("/b") == b" 2\n"


async def test_modify_of_a_running_node_holds_for_its_next_attempt(local):
    run = await local.launch(serial(a="echo old; sleep 60"))
    await run.until("/a", "running")
    await run.printed("/a", b"old\n")

    await act(run, Action.MODIFY, "/a", command="echo new")
    await act(run, Action.RESET, "/a")
    await run.until("/a", "done")

    assert await run.output("/a", attempt=1) == b"old\n"
    assert await run.output("/a", attempt=2) == b"new\n"


async def test_a_modification_outlives_the_runner(tmp_path):
    async with local_runner(tmp_path / "home", "process") as first:
        run = await first.launch(serial(a="exit 1"), run=False)
        await act(run, Action.MODIFY, "/a", command="echo kept")

    async with local_runner(tmp_path / "home", "process") as second:
        again = type(run)(second, await second.pipelines.get_pipeline(PipelineParams(id=run.id)))
        await act(again, Action.RUN)
        await again.until("/a", "done")
        output = await again.output("/a")

    assert output == b"kept\n"


@pytest.mark.parametrize(
    ("path", "changes", "message"),
    [
        ("/a", {"cpu": 0}, "/a: cpu must be above 0, got 0"),
        ("/a", {"cpu": 4096}, "/a: cpu=4096 can never fit"),
        ("/a", {"max_time": "1x"}, "/a: max_time has an unknown unit 'x'"),
        ("/a", {"max_concurrent": 1}, "/a: max_concurrent cannot be set on a node of type Exec"),
        ("/", {"command": "true"}, "/: command cannot be set on a node of type Serial"),
        ("/a", {"image": "none"}, "/a: image='none' names no image of this pipeline"),
        ("/a", {"env": {"1": "x"}}, "/a: env name '1' is not an identifier"),
    ],
)
async def test_a_wrong_modification_is_refused_and_changes_nothing(local, path, changes, message):
    run = await local.launch(serial(a="true"), run=False)

    with pytest.raises(DefinitionError, match=message.replace("(", r"\(")):
        await act(run, Action.MODIFY, path, **changes)

    assert run.local.pipelines.live(run.id).edits == {}


async def test_action_with_one_unknown_path_does_nothing(local):
    run = await local.run(serial(a="exit 1"))

    with pytest.raises(NotFoundError, match="/zz: no such node"):
        await act(run, Action.RESET, "/a", "/zz")

    assert (await run.node("/a")).state is State.ERROR


async def test_preview_describes_the_action_and_changes_nothing(local):
    run = await local.launch(serial(a="true", b="sleep 60", c="true"))
    await run.until("/b", "running")

    result = await act(run, Action.RESET, "/", preview=True)

    assert (result.affected, result.stopped, result.preview) == (2, 1, True)
    assert result.paths == ("/a", "/b")
    assert (await run.node("/b")).state is State.RUNNING
    await act(run, Action.KILL, "/")


async def test_reset_of_one_member_of_a_new_group_warns_of_the_lost_state(local):
    root = serial(a="true", b="true")
    root.container_reuse_context = co.ContainerReuseContext.NEW
    run = await local.run(root)

    result = await act(run, Action.RESET, "/b")
    await run.settled()

    assert "to restore the state, reset /" in result.notes[0].lower()
    assert len(await run.attempts("/a")) == 1
    assert len(await run.attempts("/b")) == 2


async def test_sleep_ends_running_nodes_and_run_wakes(local):
    run = await local.launch(serial(a="test $CONDUCTO_ATTEMPT -gt 1 || sleep 60"))
    await run.until("/a", "running")

    result = await act(run, Action.SLEEP)

    assert result.stopped == 1
    asleep = await run.summary()
    assert asleep.pipeline.lifecycle is Lifecycle.SLEEPING
    assert not asleep.pipeline.armed
    assert (await run.attempts("/a"))[0].cause is Cause.KILLED_BY_USER
    await act(run, Action.RESET, "/a")
    await act(run, Action.RUN)
    await run.until("/a", "done")
    assert (await run.summary()).pipeline.lifecycle is Lifecycle.ACTIVE


async def test_archived_pipeline_is_not_listed_and_can_be_restored(local):
    run = await local.run(serial(a="true"))

    await act(run, Action.ARCHIVE)

    assert run.id not in [
        s.pipeline.id for s in (await local.pipelines.list_pipelines(ListParams())).pipelines
    ]
    for action, paths in ((Action.RESET, ("/a",)), (Action.RUN, ())):
        with pytest.raises(RefusedError, match="is archived; wake it first: conducto wake"):
            await act(run, action, *paths)
    await act(run, Action.WAKE)
    assert run.id in [
        s.pipeline.id for s in (await local.pipelines.list_pipelines(ListParams())).pipelines
    ]


async def test_kill_of_a_queued_node(local):
    root = co.Parallel(image=IMAGE, max_concurrent=1)
    root["a"] = co.Exec("sleep 60")
    root["b"] = co.Exec("true")
    run = await local.launch(root)
    await run.until("/a", "running")

    await act(run, Action.KILL, "/b")

    assert (await run.node("/b")).state is State.KILLED
    (attempt,) = await run.attempts("/b")
    assert (attempt.cause, attempt.started) == (Cause.KILLED_BY_USER, None)
    await act(run, Action.KILL, "/")


async def test_wait_reasons_are_shown(local):
    root = co.Serial(image=IMAGE)
    root["p"] = co.Parallel(max_concurrent=1)
    root["p"]["a"] = co.Exec("sleep 60")
    root["p"]["b"] = co.Exec("true")
    root["c"] = co.Exec("true")
    run = await local.launch(root)
    await run.until("/p/a", "running")

    nodes = await run.nodes()

    assert nodes["/p/b"].waits_for == "max_concurrent=1 of /p is reached"
    assert nodes["/p/b"].wait_kind == "turn"
    assert nodes["/c"].waits_for == "waits for /p"
    assert (nodes["/c"].wait_kind, nodes["/c"].wait_holder) == ("turn", "/p")
    await act(run, Action.KILL, "/")


@pytest.mark.docker
async def test_rebuild_reads_the_code_again(tmp_path):
    ensure(["busybox:latest"])
    code = tmp_path / "code"
    code.mkdir()
    (code / "say.sh").write_text("echo one; exit 1")
    async with local_runner(tmp_path / "home", "docker") as local:
        root = co.Serial(image=co.Image(IMAGE, copy_dir=str(code)))
        root["a"] = co.Exec("sh say.sh")
        run = await local.run(root)
        (code / "say.sh").write_text("echo two")

        await act(run, Action.RESET, "/a")
        await run.settled()
        await act(run, Action.REBUILD, "/a")
        await run.until("/a", "done")

        said = [await run.output("/a", attempt=n) for n in (1, 2, 3)]

    assert said == [b"one\n", b"one\n", b"two\n"]


async def test_actions_while_many_nodes_run_leave_a_consistent_state(local):
    root = co.Parallel(image=IMAGE, cpu=0.5, mem=0.2)
    for i in range(12):
        root[f"n{i}"] = co.Exec("sleep 0.05")
    run = await local.launch(root)

    for _ in range(4):
        await act(run, Action.RESET, "/")
        await asyncio.sleep(0.07)
    final = await run.settled()

    assert final.state is State.DONE
    assert final.counts.done == 12


async def test_action_on_failed_nodes_names_no_node(local):
    root = co.Parallel(image=IMAGE)
    root["good"], root["bad"], root["worse"] = co.Exec("true"), co.Exec("exit 1"), co.Exec("exit 2")
    root["passed over"] = co.Exec("exit 3")
    run = await local.run(root)
    await act(run, Action.SKIP, "/passed over")

    would = await act(run, Action.RESET, failed=True, preview=True)
    below = await act(run, Action.RESET, "/bad", failed=True, preview=True)
    did = await act(run, Action.SKIP, failed=True)

    assert would.paths == ("/bad", "/worse")
    assert below.paths == ("/bad",)
    assert (did.affected, did.preview) == (2, False)
    assert await act(run, Action.RESET, failed=True) == ControlResult()
    with pytest.raises(NotFoundError, match="/zz"):
        await act(run, Action.RESET, "/zz", failed=True)


async def test_timed_out_group_is_the_failure_shown_for_the_run(local):
    root = co.Parallel(image=IMAGE)
    root["g"] = co.Parallel(max_time="1s")
    root["g/slow"] = co.Exec("sleep 100")
    root["g/retried"] = co.Exec("sleep 100")
    root["g/retried"].on_error(co.callback.retry(3))
    run = await local.run(root)

    found = await local.pipelines.get_tree(TreeParams(id=run.id, failed=True))
    ran = await act(run, Action.RUN)
    await act(run, Action.MODIFY, "/g", max_time=100)
    await act(run, Action.MODIFY, "/g/slow", "/g/retried", command="true")
    reset = await act(run, Action.RESET, failed=True)
    await run.until("/", "done")

    assert [(node.path, node.max_time) for node in found.nodes] == [("/g", 1)]
    # A slow engine may not have started a container after a second.
    assert re.search(r"/g timed out: max_time 1s \((1 killed, 1|2) not run\); rerun:", ran.notes[0])
    assert (reset.affected, reset.paths) == (2, ("/g/slow", "/g/retried"))


async def test_time_between_two_runs_does_not_count_as_active_time(local):
    run = await local.run(serial(a="true"))
    first = await run.summary()
    await asyncio.sleep(0.3)

    await act(run, Action.RESET, "/a")
    last = await run.settled()

    before, after = await run.attempts("/a")
    idle = after.started - before.ended
    assert (first.active_since, last.active_since) == (None, None)
    assert 0 < first.active_seconds < last.active_seconds
    assert last.ended - last.started - last.active_seconds >= 0.9 * idle
    assert idle >= 0.3
    first_round, second_round = last.rounds
    assert first_round.ended < second_round.started
    root = (await local.pipelines.get_tree(TreeParams(id=run.id))).nodes[0]
    assert root.idle == second_round.started - first_round.ended
    assert root.ended - root.started - root.idle == pytest.approx(last.active_seconds)
    # Changes have the times of their attempts, so that pages show the same before a reload.
    async for batch in local.pipelines.changes(run.id, 0):
        ends = [c.time for c in batch.changes if c.path == "/a" and c.state is State.DONE]
        assert ends == [before.ended, after.ended]
        assert batch.times["/"].idle == root.idle
        break
