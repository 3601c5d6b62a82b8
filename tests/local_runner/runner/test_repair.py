"""A lost or damaged store: what the agent does, and what ``conducto agent repair`` rebuilds."""

import contextlib
import os
import sqlite3

import pytest

import conducto as co
from conducto_core.billing.model import UsageParams
from conducto_core.installation.model import GcRequest
from conducto_core.run.model.params import ListDataParams, ListParams
from conducto_core.run.model.records import PipelineRecord
from conducto_core.run.model.requests import Action
from conducto_core.run.model.states import Cause, State
from conducto_core.run.views import stored_summary
from conducto_local.agent.files import AgentFiles
from conducto_local.agent.repair import RepairError, repair
from conducto_local.agent.state_dir import StateDir
from conducto_local.store.port import DamagedError, StoreError, StoreLostError
from support.local import Run, local_runner


@pytest.fixture
def home(tmp_path):
    return StateDir(tmp_path / "home", "test")


def runner(home):
    return local_runner(home.base, "process")


def tree(command="echo hello; echo kept > $CONDUCTO_DATA_PIPELINE/file"):
    root = co.Serial()
    root["a"] = co.Exec(command)
    return root


async def launched(home, count=2):
    """Return the ids of pipelines that have run to their end, in an agent that has stopped."""
    async with runner(home) as local:
        return [(await local.run(tree())).id for _ in range(count)]


def run_of(local, pipeline_id):
    """Return a pipeline of an earlier agent."""
    return Run(local, stored_summary(PipelineRecord(id=pipeline_id, title="")))


def sql(home, statement, *values):
    with contextlib.closing(sqlite3.connect(home.store)) as connection, connection:
        assert connection.execute(statement, values).rowcount == 1


async def test_agent_refuses_an_empty_store_beside_pipelines(home):
    one, other = sorted(await launched(home))
    os.truncate(home.store, 0)

    with pytest.raises(StoreLostError, match="conducto agent repair") as caught:
        async with runner(home):
            pass

    assert one in str(caught.value)
    assert other in str(caught.value)
    assert (home.pipeline(one).data / "file").read_text() == "kept\n"


async def test_agent_rejects_a_missing_store_and_an_older_agent_that_created_one(home):
    await launched(home, 1)
    home.store.unlink()
    with contextlib.suppress(StoreLostError):
        async with runner(home):
            pass
    with contextlib.closing(sqlite3.connect(home.store)) as connection:
        connection.execute("CREATE TABLE t (a)")  # not empty, and never held a pipeline
        connection.execute("DROP TABLE t")

    with pytest.raises(StoreLostError):
        async with runner(home):
            pass


async def test_repair_rebuilds_a_lost_store_from_the_directories(home):
    one, other = await launched(home)
    os.truncate(home.store, 0)

    report = repair(home)

    assert {each.id for each in report.repaired} == {one, other}
    async with runner(home) as local:
        run = run_of(local, one)
        (attempt,) = await run.attempts("/a")
        assert (attempt.state, attempt.cause) == (State.KILLED, Cause.WORKER_LOST)
        assert await run.output("/a") == b"hello\n"
        assert (run.data / "file").read_text() == "kept\n"
        await run.control(Action.RESET, "/a")
        await run.control(Action.RUN)
        await run.settled()
        assert [(a.number, a.state) for a in await run.attempts("/a")] == [
            (1, State.KILLED),
            (2, State.DONE),
        ]
        assert await run.output("/a", attempt=1) == b"hello\n"


async def test_repair_takes_in_a_directory_without_record_and_definition(home):
    (one,) = await launched(home, 1)
    home.pipeline(one).record.unlink()
    home.pipeline(one).definition.unlink()
    os.truncate(home.store, 0)

    (repaired,) = repair(home).repaired

    assert "definition" in repaired.lost
    async with runner(home) as local:
        (summary,) = (await local.pipelines.list_pipelines(ListParams())).pipelines
        assert "without a definition" in summary.pipeline.problem
        assert summary.pipeline.retention == 0
        names = [e.name for e in (await local.pipelines.list_data(ListDataParams(id=one))).entries]
        assert names == ["file"]


async def test_gc_keeps_a_directory_that_it_cannot_attribute(home):
    async with runner(home) as local:
        run = await local.run(tree())
        orphan = home.make_pipeline("abc-abc")
        (orphan.data / "big").write_bytes(b"x" * 1000)
        empty = home.make_pipeline("abd-abd")

        report = await local.pipelines.collect_garbage(GcRequest())

        items = {item.name: item for item in report.items}
        assert not items[str(orphan.root)].freed
        assert "conducto agent repair" in items[str(orphan.root)].note
        assert items[str(empty.root)].freed
        assert (orphan.data / "big").exists()
        assert not empty.root.exists()
        assert run.data.exists()


async def test_gc_frees_the_uploads_that_a_killed_agent_left(home):
    (one,) = await launched(home, 1)
    left = [
        home.pipeline(one).data / "deep" / ".conducto-tmp-0a",
        home.user_data / ".conducto-tmp-0b",
    ]
    left[0].parent.mkdir()
    for path in left:
        path.write_bytes(b"x" * 5000)
        os.utime(path, (1e9, 1e9))
    async with runner(home) as local:
        under_way = home.user_data / ".conducto-tmp-0c"
        under_way.write_bytes(b"x")

        planned = await local.pipelines.collect_garbage(GcRequest(dry_run=True))
        done = await local.pipelines.collect_garbage(GcRequest())

        assert {item.name for item in planned.items} == set(map(str, left))
        assert planned.bytes == done.bytes >= 10_000
        assert [path.exists() for path in (*left, under_way)] == [False, False, True]
        assert (home.pipeline(one).data / "file").exists()


DAMAGE = {
    "record": ("UPDATE pipelines SET record=substr(record, 5) WHERE id=?", ()),
    "definition": ("UPDATE definitions SET body=x'1f8b0800112233' WHERE pipeline=1", None),
    "state": ("UPDATE nodes SET state='dOne' WHERE pipeline=1 AND path='/a'", None),
    "attempt": ("UPDATE attempts SET state=x'ff00' WHERE pipeline=1", None),
    "image": ("UPDATE images SET record='{' WHERE pipeline=1", None),
}


@pytest.mark.parametrize("part", DAMAGE)
async def test_one_damaged_record_sets_its_pipeline_aside(home, part):
    one, other = await launched(home)
    statement, values = DAMAGE[part]
    sql(home, statement, *(() if values is None else (one,)))
    # As if it had been under way, so that the agent loads it when it starts.
    if part != "record":
        with contextlib.closing(sqlite3.connect(home.store)) as connection, connection:
            connection.execute(
                """UPDATE pipelines SET record=json_set(record, '$.status.settled', json('false'))
                WHERE id=?""",
                (one,),
            )

    async with runner(home) as local:
        healthy = run_of(local, other)
        await healthy.control(Action.RESET, "/")
        await healthy.settled()
        assert (await healthy.states())["/a"] == "done"
        listed = {
            s.pipeline.id: s for s in (await local.pipelines.list_pipelines(ListParams())).pipelines
        }
        assert set(listed) == {one, other}
        if part in ("record", "definition", "state"):
            assert f"{one} is set aside" in listed[one].pipeline.problem
            assert "validation error" not in listed[one].pipeline.problem
            assert "conducto agent repair" in listed[one].pipeline.problem
            with pytest.raises(DamagedError, match=f"{one} is set aside.*conducto agent repair"):
                await run_of(local, one).states()
        elif part == "attempt":
            with pytest.raises(DamagedError, match=f"{one}: its attempt is damaged.*repair"):
                await run_of(local, one).attempts("/a")
        report = await local.pipelines.collect_garbage(GcRequest())
        assert [item for item in report.items if item.pipeline == one and item.freed] == []
        assert home.pipeline(one).data.exists()
        await local.pipelines.get_usage(UsageParams())

    repaired = repair(home)

    assert [each.id for each in repaired.repaired] == [one]
    assert repaired.intact == 1
    async with runner(home) as local:
        run = run_of(local, one)
        assert await run.output("/a") == b"hello\n"
        await run.control(Action.RESET, "/")
        await run.control(Action.RUN)
        await run.settled()
        assert (await run.states())["/a"] == "done"


async def test_repair_rebuilds_a_store_with_a_damaged_page(home):
    one, other = await launched(home)
    size = home.store.stat().st_size
    with home.store.open("r+b") as file:
        file.seek(size // 2)
        file.write(os.urandom(size // 2))

    with contextlib.suppress(StoreError):
        async with runner(home) as local:
            await local.pipelines.list_pipelines(ListParams())
    report = repair(home)

    assert report.moved is not None
    assert report.moved.exists()
    assert {each.id for each in report.repaired} == {one, other}
    async with runner(home) as local:
        assert await run_of(local, other).output("/a") == b"hello\n"


def test_repair_of_an_intact_store_changes_nothing(home):
    home.make()

    assert repair(home).repaired == []


def test_repair_refuses_while_an_agent_runs(home):
    with (
        AgentFiles(home.agent).held_by_agent(),
        pytest.raises(RepairError, match="conducto agent stop"),
    ):
        repair(home)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"", b"line\nline", b"\x00" * 43])
def test_a_damaged_token_is_replaced(home, content):
    files = AgentFiles(home.agent)
    files.make_directory()
    (home.agent / "token").write_bytes(content)

    assert files.read_token() is None
    assert len(files.token()) == 43
    assert files.read_token() == files.token()


@pytest.mark.parametrize(
    "name", ["agent.json", "port", "identity", "idle.json", "answers.sqlite", "agent.lock"]
)
async def test_agent_starts_though_one_of_its_files_is_damaged(home, name):
    (one,) = await launched(home, 1)
    (home.agent / name).write_bytes(b"\xff\xfe\x00 garbage" * 100)

    AgentFiles(home.agent).read_state()
    AgentFiles(home.agent).read_port()
    with AgentFiles(home.agent).held_by_agent() as is_ours:
        assert is_ours
    async with runner(home) as local:
        assert (await run_of(local, one).states())["/a"] == "done"
