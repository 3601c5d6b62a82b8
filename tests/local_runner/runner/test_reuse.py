"""Containers are used again as specified, and leave when they should."""

import asyncio

import pytest

import conducto as co
from conducto_core.run.model.requests import Action
from conducto_core.run.model.states import Cause, State
from support.containers import BUSYBOX as IMAGE
from support.containers import clean_runner, details, networks, of_pipeline, remove
from support.local import eventually

pytestmark = pytest.mark.docker

NEW = co.ContainerReuseContext.NEW
GLOBAL = co.ContainerReuseContext.GLOBAL
IDLE = 0.4
MARK = "touch /root/mark"
LOOK = "test -e /root/mark && echo reused || echo fresh"


@pytest.fixture
async def local(tmp_path):
    async with clean_runner(tmp_path / "home") as runner:
        yield runner


def group(kind=co.Serial, context=None, **children):
    root = kind(image=IMAGE, cpu=0.2, mem=0.1, container_reuse_context=context)
    for name, child in children.items():
        root[name] = co.Exec(child) if isinstance(child, str) else child
    return root


async def containers(run, *paths):
    return [(await run.attempts(path))[-1].container for path in paths]


async def gone(run):
    async def none_is_left():
        return not of_pipeline(run)

    await eventually(none_is_left)


async def test_later_node_of_the_same_size_finds_files_of_an_earlier_one(local):
    run = await local.run(group(a=MARK, b=LOOK))

    assert await run.output("/b") == b"reused\n"
    assert len(set(await containers(run, "/a", "/b"))) == 1


async def test_env_does_not_choose_the_container(local):
    run = await local.run(group(a=co.Exec(MARK, env={"A": "1"}), b=co.Exec(LOOK, env={"B": "2"})))

    assert await run.output("/b") == b"reused\n"


@pytest.mark.parametrize(
    "other", [{"mem": 0.2}, {"cpu": 0.3}, {"docker_run_args": ["--hostname=h"]}], ids=str
)
async def test_another_placement_is_another_container(local, other):
    run = await local.run(group(a=MARK, b=co.Exec(LOOK, **other)))

    assert await run.output("/b") == b"fresh\n"


async def test_a_new_group_keeps_its_state_to_itself(local):
    root = group(
        before=MARK,
        own=group(co.Serial, NEW, a=LOOK, b=f"rm -f /root/mark; {MARK}2", c="ls /root"),
        after=f"ls /root; {LOOK}",
    )

    run = await local.run(root)

    assert await run.output("/own/a") == b"fresh\n"
    assert await run.output("/own/c") == b"mark2\n"
    assert await run.output("/after") == b"mark\nreused\n"


async def test_a_new_group_runs_one_at_a_time_even_in_parallel(local):
    watch = "echo x >>/root/now; wc -l </root/now; sleep 0.1; sed -i 1d /root/now"
    root = group(co.Parallel, NEW, **{f"n{i}": watch for i in range(4)})

    run = await local.run(root)

    assert [await run.output(f"/n{i}") for i in range(4)] == [b"1\n"] * 4
    assert len(set(await containers(run, *(f"/n{i}" for i in range(4))))) == 1


async def test_node_with_a_new_context_has_an_exclusive_container(local):
    lonely = co.Exec(f"{LOOK}; {MARK}2", container_reuse_context=NEW)
    root = group(a=MARK, b=lonely, c="ls /root")

    run = await local.run(root)
    await run.control(Action.RESET, "/b")
    await run.settled()

    assert await run.output("/b") == b"fresh\n"
    assert await run.output("/c") == b"mark\n"
    attempts = await run.attempts("/b")
    assert len({attempt.container for attempt in attempts}) == 2


async def test_contexts_nest(local):
    inner = group(co.Serial, NEW, x=LOOK)
    out = group(co.Serial, GLOBAL, y=LOOK)
    root = group(
        top=MARK, own=group(co.Serial, NEW, a=f"{LOOK}; {MARK}", inner=inner, out=out, z=LOOK)
    )

    run = await local.run(root)

    assert await run.output("/own/a") == b"fresh\n"
    assert await run.output("/own/inner/x") == b"fresh\n"
    assert await run.output("/own/out/y") == b"reused\n"
    assert await run.output("/own/z") == b"reused\n"
    names = await containers(run, "/top", "/own/a", "/own/inner/x", "/own/out/y", "/own/z")
    assert (names[0], names[1]) == (names[3], names[4])
    assert len(set(names)) == 3


async def test_the_container_of_a_group_is_as_large_as_its_largest_node(local):
    sizes = {"a": co.Exec("sleep 0.3"), "b": co.Exec("true", mem=0.25, cpu=0.3)}
    run = await local.launch(group(co.Serial, NEW, **sizes))
    await run.until("/a", "running")
    (name,) = of_pipeline(run)

    limits = details(name)["HostConfig"]
    await run.settled()

    assert (limits["Memory"], limits["NanoCpus"]) == (2**30 // 4, 300_000_000)
    assert await containers(run, "/a", "/b") == [name, name]


async def test_the_container_of_a_group_waits_for_its_next_node_however_long(tmp_path):
    async with clean_runner(tmp_path / "home", idle_seconds=0.1) as local:
        slow = co.Exec("sleep 1", container_reuse_context=GLOBAL)
        run = await local.run(group(co.Serial, NEW, a=MARK, slow=slow, b=LOOK))

        assert await run.output("/b") == b"reused\n"


async def test_paused_group_keeps_its_container(tmp_path):
    async with clean_runner(tmp_path / "home", idle_seconds=0.1) as local:
        wait = "touch /conducto/data/pipeline/on; sleep 0.5"
        run = await local.launch(group(co.Serial, NEW, a=f"{MARK}; {wait}", b=LOOK))
        await run.until("/a", "running")
        await run.control(Action.PAUSE)
        await run.until("/a", "done")
        await asyncio.sleep(1)  # ten times as long as an idle container stays

        await run.control(Action.RUN)
        await run.settled()

        assert await run.output("/b") == b"reused\n"
        await run.control(Action.ARCHIVE)
        await gone(run)


async def test_a_failed_group_keeps_its_container_and_network_for_longer_than_others(tmp_path):
    async with clean_runner(tmp_path / "home", idle_seconds=IDLE) as local:
        own = group(co.Serial, NEW, b=MARK, c=f"{LOOK}; false")
        run = await local.run(group(a="true", own=own))
        (kept,) = await containers(run, "/own/b")

        async def only_that_of_the_group_is_left():
            return of_pipeline(run) == [kept]

        await eventually(only_that_of_the_group_is_left)
        await run.control(Action.RESET, "/own/c")
        await run.settled()
        assert await run.output("/own/c", attempt=2) == b"reused\n"
        assert networks(run) == [f"conducto_network_{run.id}"]


async def test_containers_and_the_network_leave_after_the_run(tmp_path):
    async with clean_runner(tmp_path / "home", idle_seconds=IDLE) as local:
        run = await local.launch(group(a="true", own=group(co.Serial, NEW, b="true", c="sleep 1")))
        await run.until("/own/c", "running")
        during = networks(run)
        await run.settled()

        await gone(run)

        async def network_is_gone():
            return not networks(run)

        await eventually(network_is_gone)
        assert during == [f"conducto_network_{run.id}"]


async def test_a_runner_that_closes_in_the_middle_leaves_nothing(tmp_path):
    async with clean_runner(tmp_path / "home") as local:  # searches for leftovers
        run = await local.launch(group(co.Parallel, **{f"n{i}": "sleep 60" for i in range(20)}))
        await run.until("/n0", "running")

        counts = (await run.summary()).counts
        assert counts.queued > 0


async def test_idle_archived_pipeline_runs_again(tmp_path):
    async with clean_runner(tmp_path / "home", idle_seconds=IDLE) as local:
        run = await local.run(group(a=LOOK))
        await gone(run)
        await asyncio.sleep(2 * IDLE)

        await run.control(Action.RESET, "/a")
        await run.until("/a", "done")

        assert (await run.settled()).state is State.DONE
        assert len(await run.attempts("/a")) == 2


async def test_reset_member_of_a_lost_group_runs_alone_in_a_fresh_container(tmp_path):
    async with clean_runner(tmp_path / "home", idle_seconds=IDLE) as local:
        run = await local.run(group(co.Serial, NEW, a=MARK, b=LOOK))
        await gone(run)

        await run.control(Action.RESET, "/b")
        await run.settled()

        outputs = [await run.output("/b", attempt=number) for number in (1, 2)]
        assert outputs == [b"reused\n", b"fresh\n"]
        assert len(await run.attempts("/a")) == 1


async def test_a_group_whose_container_was_removed_ends_until_it_is_reset(local):
    gate = "cd /conducto/data/pipeline; until rm go; do sleep 0.1; done"
    between = co.Exec(gate, container_reuse_context=GLOBAL)
    root = group(co.Serial, NEW, a=MARK, between=between, b=LOOK)
    run = await local.launch(root)
    await run.until("/between", "running")
    (name,) = await containers(run, "/a")
    remove(name)
    await asyncio.sleep(0.2)  # as long as no person takes
    (run.data / "go").touch()
    await run.settled()

    (lost,) = await run.attempts("/b")
    assert (lost.state, lost.cause, lost.started) == (State.KILLED, Cause.WORKER_LOST, None)
    assert lost.message.startswith(
        "the container of / is lost, and with it the state of earlier commands"
    )
    assert f"conducto rerun {run.id} /" in lost.message
    (run.data / "go").touch()
    await run.control(Action.RESET, "/")
    await run.settled()
    assert await run.output("/b", attempt=2) == b"reused\n"


async def test_removed_idle_container_is_not_used(local):
    stop = co.Exec("test -e /conducto/data/pipeline/go")
    run = await local.run(group(a="true", b=stop, c="echo on"))
    (name,) = await containers(run, "/a")

    remove(name)
    await asyncio.sleep(0.2)  # as long as no person takes
    (run.data / "go").touch()
    await run.control(Action.RESET, "/b")
    await run.settled()

    assert (await run.summary()).state is State.DONE
    assert [str(attempt.state) for attempt in await run.attempts("/b")] == ["error", "done"]


async def test_nodes_reach_each_other_by_the_network_of_the_pipeline(local):
    serve = "hostname -i >/conducto/data/pipeline/address; echo hello | nc -l -p 7001"
    find = "d=/conducto/data/pipeline; while [ ! -s $d/address ]; do sleep 0.1; done"
    talk = "until nc -w 2 $(cat $d/address) 7001 </dev/null | grep hello; do sleep 0.1; done"
    root = group(co.Parallel, server=serve, client=f"{find}; {talk}")
    root.max_time = 20

    run = await local.run(root)

    assert await run.output("/client") == b"hello\n"
