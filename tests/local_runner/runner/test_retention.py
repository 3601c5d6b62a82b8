"""Old pipelines are archived, then deleted with all that is theirs; nothing else is."""

import asyncio
import contextlib
import os
import sqlite3

import pytest

import conducto as co
from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.run.model.params import ListParams, PipelineParams
from conducto_core.run.model.records import Lifecycle, PipelineRecord
from conducto_core.run.model.requests import Action
from conducto_core.run.model.responses import DeletedPipeline
from conducto_local.agent.runner import open_parts
from conducto_local.agent.state_dir import StateDir
from conducto_local.run.clock import Clock
from conducto_local.run.retention import RetentionStep, due
from support.containers import BUSYBOX as IMAGE
from support.containers import networks, of_pipeline
from support.local import Local, eventually
from support.stand_ins import call, ensure

DAY = 86400.0
ENGINES = ["process", pytest.param("docker", marks=pytest.mark.docker)]


class Time:
    def __init__(self):
        self.now = 1.8e9

    def clock(self):
        return Clock(lambda: self.now, lambda: self.now)

    def pass_days(self, days):
        self.now += days * DAY


class Kept(Local):
    """A runner whose retention runs on request."""

    def __init__(self, runner, home, engine):
        super().__init__(runner.pipelines, home, engine)
        self.keeper = runner.keeper

    async def look(self, time, days):
        time.pass_days(days)
        await self.keeper.run_due_steps()


@pytest.fixture
def time():
    return Time()


@pytest.fixture(params=ENGINES)
async def local(request, tmp_path, time):
    if request.param == "docker":
        ensure(["busybox:latest"])
    home = StateDir(tmp_path / "home", f"test-{os.getpid()}")
    async with open_parts(home, clock=time.clock()) as runner:
        yield Kept(runner, home, request.param)


def tree(command="true"):
    root = co.Serial(image=IMAGE, cpu=0.2, mem=0.1)
    root["a"] = co.Exec(command)
    return root


async def lifecycle(run):
    return (await run.summary()).pipeline.lifecycle


# Due pipelines.


@pytest.mark.parametrize(
    ("retention", "state", "days", "step"),
    [
        (7, Lifecycle.ACTIVE, 6.9, None),
        (7, Lifecycle.ACTIVE, 7, RetentionStep.ARCHIVE),
        (7, Lifecycle.SLEEPING, 7, RetentionStep.ARCHIVE),
        (7, Lifecycle.ARCHIVED, 6.9, None),
        (7, Lifecycle.ARCHIVED, 7, RetentionStep.DELETE),
        (1, Lifecycle.ACTIVE, 1, RetentionStep.ARCHIVE),
        (0, Lifecycle.ARCHIVED, 9999, None),
        (-1, Lifecycle.ACTIVE, 9999, None),
    ],
)
def test_exactly_the_due_pipelines_are_deleted(retention, state, days, step):
    record = PipelineRecord(id="abc", title="t", retention=retention, lifecycle=state)

    found = list(due([record], {"abc": days * DAY}))

    assert found == ([] if step is None else [("abc", step)])


async def test_a_pipeline_is_archived_then_deleted(local, time):
    run = await local.run(tree("echo out; touch /conducto/data/pipeline/f"), retention=2)
    young = await local.run(tree(), retention=30)
    await local.look(time, 0)
    await local.look(time, 2)
    archived = await lifecycle(run)
    root = local.home.pipeline(run.id).root
    there = root.exists()
    await local.look(time, 0)

    await local.look(time, 1)
    still = await lifecycle(run)
    await local.look(time, 1)

    assert (archived, there, still) == (Lifecycle.ARCHIVED, True, Lifecycle.ARCHIVED)
    with pytest.raises(NotFoundError):
        await run.summary()
    assert not root.exists()
    assert local.home.discarded() == []
    assert await lifecycle(young) is Lifecycle.ACTIVE
    assert (await young.summary()).state == "done"


async def test_finished_pipeline_is_deleted_on_request(local):
    run = await local.run(tree("echo out; touch /conducto/data/pipeline/f"))
    root = local.home.pipeline(run.id).root

    assert (await local.pipelines.delete_pipeline(PipelineParams(id=run.id[:5]))).id == run.id

    with pytest.raises(NotFoundError):
        await run.summary()
    assert (root.exists(), local.home.discarded()) == (False, [])


async def test_archived_pipeline_is_deleted_on_request(local):
    run = await local.run(tree())
    await run.control(Action.ARCHIVE)

    await local.pipelines.delete_pipeline(PipelineParams(id=run.id))

    assert (await local.pipelines.list_pipelines(ListParams(lifecycle="all"))).pipelines == ()


async def test_running_pipeline_is_not_deleted_on_request(local):
    run = await local.launch(tree("sleep 60"))
    await run.until("/a", "running")

    with pytest.raises(RefusedError, match=f"stop it first: conducto archive {run.id}"):
        await local.pipelines.delete_pipeline(PipelineParams(id=run.id))

    assert (await run.summary()).state == "running"
    await run.control(Action.ARCHIVE)
    deleted = await local.pipelines.delete_pipeline(PipelineParams(id=run.id))
    assert deleted.id == run.id


async def test_two_requests_delete_a_pipeline_once(local):
    run = await local.run(tree())

    params, deleted = PipelineParams(id=run.id), DeletedPipeline(id=run.id)
    both = (local.pipelines.delete_pipeline(params), local.pipelines.delete_pipeline(params))
    ends = await asyncio.gather(*both, return_exceptions=True)

    assert deleted in ends
    assert all(end == deleted or isinstance(end, NotFoundError) for end in ends)


async def test_woken_pipeline_is_not_deleted(local, time):
    run = await local.run(tree(), retention=2)
    await local.look(time, 0)
    await local.look(time, 2)
    await run.control(Action.WAKE)

    await local.look(time, 1.5)

    assert await lifecycle(run) is Lifecycle.ACTIVE


async def test_a_pipeline_that_runs_is_left_alone_however_old(local, time):
    run = await local.launch(tree("sleep 60"), retention=1)
    await run.until("/a", "running")

    await local.look(time, 0)
    await local.look(time, 99)
    await local.look(time, 99)

    assert await lifecycle(run) is Lifecycle.ACTIVE
    await run.control(Action.KILL, "/")


async def test_pipeline_with_sleep_when_done_sleeps_then(local):
    run = await local.launch(tree(), sleep_when_done=True)

    async def asleep():
        return await lifecycle(run) is Lifecycle.SLEEPING

    await eventually(asleep)
    assert (await run.summary()).state == "done"


async def test_failed_pipeline_stays_awake(local):
    run = await local.run(tree("false"), sleep_when_done=True)
    await asyncio.sleep(0.2)

    assert await lifecycle(run) is Lifecycle.ACTIVE


async def test_pipeline_woken_after_its_sleep_stays_awake(local, time):
    run = await local.launch(tree(), sleep_when_done=True)

    async def asleep():
        return await lifecycle(run) is Lifecycle.SLEEPING

    await eventually(asleep)
    await run.control(Action.WAKE)
    await local.look(time, 0.1)

    assert await lifecycle(run) is Lifecycle.ACTIVE


@pytest.mark.docker
async def test_a_deletion_leaves_nothing_on_the_engine(tmp_path, time):
    ensure(["busybox:latest"])
    home = StateDir(tmp_path / "home", f"test-{os.getpid()}")
    async with open_parts(home, clock=time.clock()) as runner:
        local = Kept(runner, home, "docker")
        root = tree("echo x; false")
        root.snapshot_on_error = True
        run = await local.run(root)
        (attempt,) = await run.attempts("/a")
        before = call("GET", f"/images/{attempt.snapshot}/json")[0]

        await local.keeper.remover.delete(local.pipelines.live(run.id))

        after = call("GET", f"/images/{attempt.snapshot}/json")[0]
        assert (before, after) == (200, 404)
        assert (of_pipeline(run), networks(run)) == ([], [])


class Stubborn(StateDir):
    """A home in which another user's files are, which only root may remove."""

    @staticmethod
    def erase(path):
        return not (path / "data").exists() and StateDir.erase(path)


@pytest.mark.docker
async def test_files_owned_by_root_are_deleted(tmp_path, time):
    ensure(["busybox:latest"])
    home = Stubborn(tmp_path / "home", f"test-{os.getpid()}")
    async with open_parts(home, clock=time.clock()) as runner:
        local = Kept(runner, home, "docker")
        run = await local.run(tree("touch '/conducto/data/pipeline/a file'"))

        await local.keeper.remover.delete(local.pipelines.live(run.id))

        assert home.discarded() == []


async def test_one_pipeline_that_cannot_be_deleted_keeps_no_other(tmp_path, time):
    home = StateDir(tmp_path / "home", f"test-{os.getpid()}")
    async with open_parts(home, clock=time.clock()) as runner:
        local = Kept(runner, home, "process")
        stuck, other = await local.run(tree(), retention=1), await local.run(tree(), retention=1)
        await local.look(time, 0)
        local.pipelines._scheduler.unload(local.pipelines.live(stuck.id))
        with contextlib.closing(sqlite3.connect(home.store)) as connection, connection:
            broken = "UPDATE definitions SET body=x'00' WHERE pipeline=1"
            assert connection.execute(broken).rowcount == 1

        for days in (1, 0, 1):  # archived, seen so, deleted
            await local.look(time, days)

        assert stuck.data.exists()
        assert not other.data.exists()
