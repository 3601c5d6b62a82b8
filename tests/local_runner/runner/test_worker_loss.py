"""The engine goes away in the middle of a run, the disk gets full: nothing is lost or hangs."""

import asyncio
import os
import shutil
import time
import uuid
from functools import partial

import pytest

import conducto as co
from conducto_core.approvals.model import DecideApproval
from conducto_core.installation.model import GcRequest
from conducto_core.run.model.params import ListParams, PipelineParams
from conducto_core.run.model.records import ImageState, NodeChange
from conducto_core.run.model.requests import Action
from conducto_core.run.model.states import Cause, NodeType, State
from conducto_local.engine.port import EngineError
from conducto_local.store.port import StoreFullError, WriteBatch
from support.containers import BUSYBOX as IMAGE
from support.containers import clean_runner, networks, of_pipeline
from support.disks import fill, small_disk
from support.engine_proxy import engine_proxy
from support.local import Run, eventually, local_runner

ENGINES = ["process", pytest.param("docker", marks=pytest.mark.docker)]


def nodes(kind=co.Serial, **children):
    root = kind(image=IMAGE, cpu=0.2, mem=0.1)
    for name, child in children.items():
        root[name] = co.Exec(child) if isinstance(child, str) else child
    return root


# The engine goes away and comes back.


@pytest.fixture
async def cut(tmp_path):
    """A runner, and the proxy through which it sees the engine."""
    async with (
        engine_proxy() as proxy,
        clean_runner(tmp_path / "home", env={"DOCKER_HOST": proxy.url}) as runner,
    ):
        yield runner, proxy
        await proxy.start()


async def paused(run, seconds=20.0):
    """Return the reason for which a pipeline paused by itself."""
    async with asyncio.timeout(seconds):
        async for batch in run.local.pipelines.changes(run.id, 0):
            record = batch.pipeline.pipeline
            if record.problem is not None and not record.armed and batch.pipeline.settled:
                return record.problem
    raise AssertionError("the events ended")


@pytest.mark.docker
async def test_an_engine_that_stops_pauses_the_run_and_loses_nothing(cut):
    local, proxy = cut
    flag = "test -e /conducto/data/pipeline/again || sleep 60"
    root = nodes(co.Parallel, a=f"echo begun; {flag}", b=co.Exec("echo later", cpu=2), c="echo too")
    root.max_concurrent = 1
    run = await local.launch(root)
    await run.printed("/a", b"begun\n")

    await proxy.stop()
    reason = await paused(run)

    assert proxy.path in reason
    assert await run.states() == {"/": "pending", "/a": "killed", "/b": "pending", "/c": "pending"}
    (attempt,) = await run.attempts("/a")
    assert attempt.cause is Cause.WORKER_LOST
    assert "engine" in attempt.message
    assert (await run.node("/b")).waits_for == f"paused: {reason}"
    assert await run.output("/a") == b"begun\n"


@pytest.mark.docker
async def test_run_continues_when_the_engine_returns(cut):
    local, proxy = cut
    flag = "test -e /conducto/data/pipeline/again || sleep 60"
    run = await local.launch(nodes(a=f"echo begun; {flag}", b="echo later"))
    await run.printed("/a", b"begun\n")
    await proxy.stop()
    await paused(run)

    await proxy.start()
    (run.data / "again").touch()
    await run.control(Action.RESET, "/a")
    await run.control(Action.RUN)
    await run.until("/b", "done")

    assert (await run.summary()).pipeline.problem is None
    assert [a.cause for a in await run.attempts("/a")] == [Cause.WORKER_LOST, None]
    assert await run.output("/b") == b"later\n"


@pytest.mark.docker
async def test_containers_from_before_the_loss_are_removed(cut):
    local, proxy = cut
    run = await local.launch(nodes(co.Parallel, a="echo begun; sleep 60", b="true"))
    await run.printed("/a", b"begun\n")
    await run.until("/b", "done")
    before = of_pipeline(run)
    await proxy.stop()
    await paused(run)

    await proxy.start()
    await run.control(Action.RESET, "/b")
    await run.control(Action.RUN)
    await run.until("/b", "done")

    async def gone():
        return not set(before) & set(of_pipeline(run))

    await eventually(gone)
    assert networks(run) == [f"conducto_network_{run.id}"]


@pytest.mark.docker
async def test_actions_without_an_engine_are_rejected_and_change_nothing(cut):
    local, proxy = cut
    run = await local.run(nodes(a="true"))
    await proxy.stop()
    await run.control(Action.RESET, "/a")
    await paused(run)

    with pytest.raises(EngineError, match="is not running"):
        await run.control(Action.RUN)
    with pytest.raises(EngineError, match="is not running"):
        await local.launch(nodes(a="true"))
    assert await run.states() == {"/": "pending", "/a": "pending"}
    await proxy.start()


@pytest.mark.docker
async def test_an_engine_that_stops_during_a_build_pauses_and_builds_again(cut):
    local, proxy = cut
    text = f"FROM {IMAGE}\nRUN echo {uuid.uuid4().hex}; sleep 1\n"
    run = await local.launch(nodes(a=co.Exec("echo on", image=co.Image(dockerfile_text=text))))
    await building(run)

    await proxy.stop()
    await paused(run)
    before = await run.states(), await run.attempts("/a")
    await proxy.start()
    await run.control(Action.RUN)
    await run.until("/a", "done")

    assert before == ({"/": "pending", "/a": "pending"}, [])
    assert await run.output("/a") == b"on\n"


async def building(run):
    async def begun():
        return ImageState.BUILDING in {i.state for i in (await run.summary()).images}

    await eventually(begun)
    await asyncio.sleep(0.3)  # the engine has started, too


@pytest.mark.docker
async def test_leftovers_of_an_agent_are_removed_by_the_next_one(tmp_path):
    async with (
        engine_proxy() as proxy,
        local_runner(tmp_path / "home", env={"DOCKER_HOST": proxy.url}) as local,
    ):
        run = await local.launch(nodes(a="echo begun; sleep 60"))
        await run.printed("/a", b"begun\n")
        await proxy.stop()
        await paused(run)
    left = of_pipeline(run), networks(run)

    async with clean_runner(tmp_path / "home") as local:
        await local.launch(nodes(a="true"), run=False)

        ((worker,), (network,)) = left
        assert worker.startswith(f"conducto_worker_{run.id}_")
        assert network == f"conducto_network_{run.id}"
        assert (of_pipeline(run), networks(run)) == ([], [])


# The disk is full.


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_disk_that_fills_up_with_output_ends_no_command(tmp_path, engine):
    much = "echo first; head -c 30000000 /dev/zero; exit 3"
    with small_disk(tmp_path / "disk", 8) as disk:
        async with runner_on(engine, disk) as local:
            run = await local.launch(nodes(a=much))
            await full(disk)
            log = largest(disk)
            with log.open("r+b") as file:
                file.truncate(1000)
            await run.settled()

            (attempt,) = await run.attempts("/a")
            assert (attempt.state, attempt.exit_code) == (State.ERROR, 3)
            assert "the rest of the output was not stored" in attempt.message
            assert (await run.output("/a")).startswith(b"first\n")


async def test_an_attempt_whose_output_is_lost_is_not_done(tmp_path):
    async with local_runner(tmp_path / "home", "process") as local:
        run = await local.launch(nodes(b="true", a="echo said"), run=False)
        logs = local.home.pipeline(run.id).logs
        logs.rmdir()
        logs.write_text("in the way")
        await run.control(Action.RUN)
        await run.settled()

        (attempt,) = await run.attempts("/a")
        assert (attempt.state, attempt.cause) == (State.KILLED, Cause.WORKER_LOST)
        assert attempt.exit_code == 0
        assert "exit code 0, but the rest of the output was not stored" in attempt.message
        assert (await run.states())["/b"] == "done", "it printed nothing"


async def test_group_does_not_continue_without_its_container_after_a_restart(tmp_path):
    group = nodes(a="touch before", b="test -e before")
    group.container_reuse_context = co.ContainerReuseContext.NEW
    async with local_runner(tmp_path / "home", "process") as local:
        run = await local.launch(group, run=False)
        await run.control(Action.SKIP, "/b")
        await run.control(Action.RUN)
        await run.settled()
        await run.control(Action.PAUSE)
        await run.control(Action.UNSKIP, "/b")

    async with local_runner(tmp_path / "home", "process") as local:
        again = Run(local, await local.pipelines.get_pipeline(PipelineParams(id=run.id)))
        await again.control(Action.RUN)
        await again.settled()

        (lost,) = await again.attempts("/b")
        assert (lost.state, lost.cause) == (State.KILLED, Cause.WORKER_LOST)
        assert f"to run the group again: conducto rerun {run.id} /" in lost.message
        await again.control(
            Action.RESET, "/b"
        )  # what a fresh container lacks is this person's will
        await again.settled()
        assert [attempt.number for attempt in await again.attempts("/b")] == [1, 2]
        assert (await again.attempts("/b"))[1].started is not None


async def test_command_lost_with_the_agent_ends_at_its_last_output(tmp_path):
    async with local_runner(tmp_path / "home", "process") as local:
        run = await local.launch(nodes(a="sleep 0.5; echo begun; sleep 600"))
        await run.until("/a", "running")
        await eventually(partial(has_output, run, b"begun"))
        shutil.copytree(tmp_path / "home", tmp_path / "killed")  # as a kill leaves it now
        killed = time.time()

    async with local_runner(tmp_path / "killed", "process") as local:
        again = Run(local, await local.pipelines.get_pipeline(PipelineParams(id=run.id)))
        await again.settled()
        (lost,) = await again.attempts("/a")
        summary = await again.summary()

    assert (lost.state, lost.cause) == (State.KILLED, Cause.WORKER_LOST)
    assert lost.started <= lost.ended <= killed
    assert lost.ended - lost.started <= summary.active_seconds <= killed - lost.queued


async def has_output(run, text):
    return text in await run.output("/a")


async def test_images_keep_their_outcome_after_a_restart(tmp_path):
    async with local_runner(tmp_path / "home", "process") as local:
        run = await local.launch(nodes(a="true"))
        await run.settled()
        (built,) = (await local.pipelines.get_pipeline(PipelineParams(id=run.id))).images

    async with local_runner(tmp_path / "home", "process") as local:
        (image,) = (await local.pipelines.get_pipeline(PipelineParams(id=run.id))).images

    assert built.state == "done"
    assert image == built


def runner_on(engine, base):
    return clean_runner(base) if engine == "docker" else local_runner(base, engine)


async def full(disk):
    async def is_full():
        return os.statvfs(disk).f_bavail == 0

    await eventually(is_full)
    await asyncio.sleep(0.3)  # what wants to be written meets it


def largest(disk):
    return max((f for f in disk.rglob("*.stdout")), key=lambda f: f.stat().st_size)


async def test_store_without_space_starts_nothing_and_continues_with_space(tmp_path):
    with small_disk(tmp_path / "disk", 16) as disk:
        async with local_runner(disk, "process") as local:
            root = nodes(co.Parallel, **{f"n{i}": "echo x" for i in range(300)})
            run = await local.launch(root, run=False)
            filler = fill(disk)

            with pytest.raises(StoreFullError, match="free some space"):
                await run.control(Action.RUN)
            assert (await run.summary()).settled
            filler.unlink()
            await run.control(Action.RUN)
            await run.settled()

            summary = await run.summary()
            assert (summary.state, summary.counts.done) == (State.DONE, 300)
            assert summary.pipeline.problem is None


async def test_disk_that_fills_up_during_a_run_delays_the_next_command(tmp_path):
    with small_disk(tmp_path / "disk", 16) as disk:
        async with local_runner(disk, "process") as local:
            first = f"until test -e {tmp_path}/go; do sleep .05; done"
            run = await local.launch(nodes(a=first, b="true"))
            await run.until("/a", "running")
            filler = fill(disk)
            (tmp_path / "go").touch()
            await eventually(partial(has_problem, run, "free some space"))
            states = await run.states()
            filler.unlink()
            await run.settled()

            assert states["/b"] != "done"
            assert (await run.states())["/b"] == "done"
            assert (await run.summary()).pipeline.problem is None


async def has_problem(run, text):
    return text in ((await run.summary()).pipeline.problem or "")


async def test_approval_that_cannot_be_stored_is_refused_and_stays(tmp_path):
    with small_disk(tmp_path / "disk", 16) as disk:
        async with local_runner(disk, "process") as local:
            run = await local.launch(nodes(ship=co.Approve("Ship it?")))
            await run.until("/ship", "queued")
            decision = DecideApproval(path="/ship", approve=True)
            params = PipelineParams(id=run.id)
            filler = fill(disk)

            with pytest.raises(StoreFullError, match="free some space"):
                await local.pipelines.decide_approval(params, decision)
            waiting = (await local.pipelines.list_approvals()).approvals
            states = await run.states()
            filler.unlink()
            await local.pipelines.decide_approval(params, decision)
            await run.settled()

            assert (len(waiting), states["/ship"]) == (1, "queued")
            assert (await run.states())["/ship"] == "done"


async def test_pipeline_is_cancelled_on_a_full_disk(tmp_path):
    with small_disk(tmp_path / "disk", 16) as disk:
        async with local_runner(disk, "process") as local:
            run = await local.launch(nodes(a="sleep 600"))
            await run.until("/a", "running")
            filler = fill(disk)

            with pytest.raises(StoreFullError, match="cancel was executed, but not stored yet"):
                await run.control(Action.CANCEL)
            await run.settled()
            collected = await local.pipelines.collect_garbage(GcRequest(dry_run=True))
            filler.unlink()

        async with local_runner(disk, "process") as local:
            again = Run(local, await local.pipelines.get_pipeline(PipelineParams(id=run.id)))
            assert (await again.states())["/a"] == "killed"
            assert not (await again.summary()).pipeline.armed
            assert collected.dry_run


async def test_pipelines_are_deleted_on_a_full_disk(tmp_path):
    with small_disk(tmp_path / "disk", 16) as disk:
        async with local_runner(disk, "process") as local:
            ended = await local.run(nodes(co.Parallel, **{f"n{i}": "echo x" for i in range(50)}))
            left = await local.launch(nodes(a="true"), run=False)
            write = "head -c 100000 /dev/zero > $CONDUCTO_DATA_DIR/x || true"
            large = await local.run(nodes(a=write))
            fill(disk)

            for run in (large, ended):
                await local.pipelines.delete_pipeline(PipelineParams(id=run.id))

            assert not large.data.exists()

        async with local_runner(disk, "process") as local:
            found = (await local.pipelines.list_pipelines(ListParams())).pipelines
            assert [each.pipeline.id for each in found] == [left.id]


async def test_a_launch_on_a_full_disk_is_refused(tmp_path):
    with small_disk(tmp_path / "disk", 16) as disk:
        async with local_runner(disk, "process") as local:
            await local.launch(nodes(a="true"))
            filler = fill(disk)

            with pytest.raises(StoreFullError, match="free some space"):
                await local.launch(nodes(co.Parallel, **{f"n{i}": "x" * 9999 for i in range(30)}))
            filler.unlink()
            assert len((await local.pipelines.list_pipelines(ListParams())).pipelines) == 1
            await local.run(nodes(a="true"))


async def test_a_pipeline_that_cannot_be_written_down_pauses_and_stops_no_other(tmp_path):
    async with local_runner(tmp_path / "home", "process") as local:
        spoilt = await local.launch(nodes(a="true"), run=False)
        other = await local.launch(nodes(a="true"), run=False)
        spoil(local, spoilt)

        await spoilt.control(Action.RUN)
        await other.control(Action.RUN)
        await other.settled()

        record = (await spoilt.summary()).pipeline
        assert (await other.summary()).state is State.DONE
        assert not record.armed
        assert record.problem.startswith("it cannot be stored")


def spoil(local, run):
    """Take the number of the next change in the store, as only a bug of Conducto could."""
    change = NodeChange(seq=1, time=0.0, path="/a", type=NodeType.EXEC, state=State.DONE)
    local.pipelines._store.save(run.id, WriteBatch(changes=[change]))
