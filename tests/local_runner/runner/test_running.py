"""Trees on real engines: the nodes that run, their order, and their records."""

import asyncio

import pytest

import conducto as co
from conducto_core.run.model.params import PipelineParams
from conducto_core.run.model.requests import Action
from conducto_core.run.model.states import Cause, State
from support.local import local_runner
from support.stand_ins import ensure

ENGINES = ["process", pytest.param("docker", marks=pytest.mark.docker)]
IMAGE = "busybox"


@pytest.fixture(params=ENGINES)
async def local(request, tmp_path):
    if request.param == "docker":
        ensure(["busybox:latest"])
    async with local_runner(tmp_path / "home", request.param) as runner:
        yield runner


def tree(kind, **children):
    root = kind(image=IMAGE)
    for name, child in children.items():
        root[name] = co.Exec(child) if isinstance(child, str) else child
    return root


async def test_output_exit_code_and_times_are_kept(local):
    run = await local.run(tree(co.Serial, a="echo out; echo err >&2; exit 7"))

    (attempt,) = await run.attempts("/a")
    assert (attempt.state, attempt.cause, attempt.exit_code) == (State.ERROR, Cause.EXIT_CODE, 7)
    assert attempt.queued <= attempt.started <= attempt.ended
    assert attempt.command == "echo out; echo err >&2; exit 7"
    assert await run.output("/a") == b"out\n"
    assert await run.output("/a", "stderr") == b"err\n"


async def test_serial_stops_and_continues_by_itself_after_a_reset(local, tmp_path):
    fixed = "/conducto/data/pipeline/fixed"
    if local.engine == "process":
        fixed = "$CONDUCTO_DATA_PIPELINE/fixed"
    run = await local.run(tree(co.Serial, a=f"test -e {fixed}", b="true"))
    assert await run.states() == {"/": "error", "/a": "error", "/b": "pending"}

    (run.data / "fixed").touch()
    await run.control(Action.RESET, "/a")
    await run.until("/b", "done")

    assert (await run.settled()).state is State.DONE
    assert [a.number for a in await run.attempts("/a")] == [1, 2]


async def test_the_environment_of_a_command(local):
    root = tree(co.Serial, a='echo "$A|$B|$CONDUCTO_NODE|$CONDUCTO_ATTEMPT|$__RUN_BY_WORKER__"')
    root.env = {"A": "1", "B": "2"}
    root["a"].env = {"B": "three\n'quoted'"}

    run = await local.run(root)

    assert await run.output("/a") == b"1|three\n'quoted'|/a|1|1\n"


async def test_max_concurrent_holds_below_a_group(local):
    watch = (
        'd=${CONDUCTO_DATA_PIPELINE:-/conducto/data/pipeline}; echo x >> "$d/running"; '
        'wc -l < "$d/running" >> "$d/seen"; sleep 0.1; sed -i 1d "$d/running"'
    )
    root = co.Parallel(image=IMAGE, cpu=0.1, mem=0.1, max_concurrent=1)
    for i in range(4):
        root[f"n{i}"] = co.Exec(watch)

    run = await local.run(root)

    assert (run.data / "seen").read_text().split() == ["1"] * 4


async def test_a_time_limit_kills_the_whole_process_group(local):
    root = tree(co.Serial, a=co.Exec("sleep 60 & sleep 60", max_time=0.5))

    run = await local.run(root)

    (attempt,) = await run.attempts("/a")
    assert (attempt.state, attempt.cause) == (State.KILLED, Cause.TIMEOUT)


async def test_a_time_limit_of_a_group_leaves_the_pending_pending(local):
    root = tree(co.Serial, warm="true")  # or the limit could expire before a container exists
    root["g"] = co.Serial(max_time=1)
    root["g/a"] = co.Exec("sleep 60")
    root["g/b"] = co.Exec("true")

    run = await local.run(root)

    of_group = {path: s for path, s in (await run.states()).items() if path.startswith("/g")}
    assert of_group == {"/g": "killed", "/g/a": "killed", "/g/b": "pending"}


async def test_kill_reset_and_pause_of_a_running_node(local):
    run = await local.launch(tree(co.Serial, a="echo begun; sleep 60", b="true"))
    await run.until("/a", "running")
    await run.control(Action.KILL, "/a")
    await run.until("/a", "killed")

    await run.control(Action.PAUSE)
    await run.control(Action.RESET, "/a")

    assert await run.states() == {"/": "pending", "/a": "pending", "/b": "pending"}
    assert (await run.attempts("/a"))[0].cause is Cause.KILLED_BY_USER


async def test_retry_callbacks_make_new_attempts(local):
    root = tree(co.Serial, a='test "$CONDUCTO_ATTEMPT" = 3')
    root["a"].on_error(co.callback.retry(4))

    run = await local.run(root)

    assert [str(a.state) for a in await run.attempts("/a")] == ["error", "error", "done"]


async def test_10_000_nodes_of_a_launch_are_paged(local):
    root = co.Parallel(image=IMAGE)
    for i in range(10_000):
        root[f"n{i}"] = co.Exec("true", cpu=0.5)

    run = await local.launch(root, run=False)

    nodes = await run.nodes()
    assert len(nodes) == 10_001
    assert list(nodes)[:3] == ["/", "/n0", "/n1"]
    assert nodes["/n7"].waits_for == "not running"
    assert nodes["/n7"].wait_remedy == f"start it: conducto run {run.id}"


async def test_a_pipeline_is_there_after_the_runner_was_closed_and_opened(tmp_path):
    async with local_runner(tmp_path / "home", "process") as first:
        run = await first.run(tree(co.Serial, a="echo kept; false", b="true"))
        identity = run.id

    async with local_runner(tmp_path / "home", "process") as second:
        again = type(run)(second, await second.pipelines.get_pipeline(PipelineParams(id=identity)))
        states = await again.states()
        output = await again.output("/a")
        await again.control(Action.SKIP, "/a")
        final = await again.settled()

    assert states == {"/": "error", "/a": "error", "/b": "pending"}
    assert output == b"kept\n"
    assert final.state is State.DONE


async def test_nodes_that_ran_when_the_runner_ended_are_marked_and_not_run_again(tmp_path):
    async with local_runner(tmp_path / "home", "process") as first:
        run = await first.launch(tree(co.Parallel, a="sleep 60"))
        await run.until("/a", "running")

    async with local_runner(tmp_path / "home", "process") as second:
        again = type(run)(second, await second.pipelines.get_pipeline(PipelineParams(id=run.id)))
        attempts = await again.attempts("/a")

    assert [(a.number, a.state, a.cause) for a in attempts] == [
        (1, State.KILLED, Cause.WORKER_LOST)
    ]


async def test_events_come_complete_and_in_order_to_a_late_and_an_early_reader(local):
    root = co.Parallel(image=IMAGE, cpu=0.5, mem=0.5)
    for i in range(200):
        root[f"n{i}"] = co.Exec("true")
    run = await local.launch(root, run=False)

    async def read():
        seen = []
        async for batch in local.pipelines.changes(run.id, 0):
            seen += batch.changes
            if batch.pipeline.settled and batch.pipeline.state is State.DONE:
                return seen
        return seen

    early = asyncio.create_task(read())
    await run.control(Action.RUN)
    changes = await asyncio.wait_for(early, 60)
    late = await read()

    assert [c.seq for c in changes] == list(range(1, len(changes) + 1))
    assert changes == late
    assert sum(c.state is State.DONE for c in changes) == 201


def pipeline_lazy() -> co.Serial:
    root = co.Serial(image=IMAGE)
    root["lazy"] = co.lazy_shell(PRINT_TREE)
    root["after"] = co.Exec("echo after")
    return root


def printing(*trees):
    """A shell command that prints serialised trees, as any language could."""
    blocks = [
        f"<__conducto_serialization>{t.serialize()}</__conducto_serialization>" for t in trees
    ]
    return "echo visible; " + "; ".join(f"echo '{b}'" for b in blocks) + "; echo end"


def small(kind=co.Serial, command="echo generated"):
    inner = kind()
    inner["x"] = co.Exec(command)
    inner["y"] = co.Exec("true")
    return inner


PRINT_TREE = printing(small())


async def test_a_lazy_runs_the_tree_that_its_command_prints(local):
    run = await local.run(pipeline_lazy())

    nodes = await run.nodes()
    assert (await run.summary()).state is State.DONE
    assert str(nodes["/lazy/Execute"].type) == "Serial"
    assert await run.output("/lazy/Execute/x") == b"generated\n"
    assert await run.output("/lazy/Generate") == b"visible\n\nend\n"


async def test_lazy_regenerates_on_reset_and_the_old_attempts_stay(local):
    run = await local.run(pipeline_lazy())

    await run.control(Action.RESET, "/lazy/Generate")
    await run.settled()

    assert [a.number for a in await run.attempts("/lazy/Execute/x")] == [1, 2]
    assert (await run.summary()).state is State.DONE


async def test_nested_lazies(local):
    inner = co.Parallel()
    inner["deeper"] = co.lazy_shell(PRINT_TREE)
    root = co.Serial(image=IMAGE)
    root["lazy"] = co.lazy_shell(printing(inner))

    run = await local.run(root)

    assert (await run.states())["/lazy/Execute/deeper/Execute/x"] == "done"


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("echo nothing", "printed no tree"),
        (printing(small(), small()), "printed 2 trees"),
        ("echo '<__conducto_serialization>xx</__conducto_serialization>'", "a broken tree"),
        ("echo '<__conducto_serialization>'", "printed an incomplete tree"),
        (printing(small(command="a\0b")), "/lazy/Execute/x: command holds a NUL"),
    ],
    ids=["none", "two", "broken", "cut", "invalid"],
)
async def test_a_lazy_that_prints_no_good_tree_fails_and_says_why(local, command, message):
    root = co.Serial(image=IMAGE)
    root["lazy"] = co.lazy_shell(command)

    run = await local.run(root)

    (attempt,) = await run.attempts("/lazy/Generate")
    assert attempt.cause is Cause.LAZY
    assert message in attempt.message
    assert (await run.states())["/lazy/Execute"] == "pending"


@pytest.mark.docker
async def test_a_huge_generated_tree_runs(local):
    big = co.Parallel()
    for i in range(20_000):
        big[f"n{i}"] = co.Exec("true", skip=i > 3)
    root = co.Serial(image=IMAGE)
    root["lazy"] = co.lazy_shell(printing(big))

    run = await local.run(root)

    assert (await run.summary()).counts.skipped == 19_996
    assert (await run.summary()).state is State.DONE


async def test_deep_nesting_runs(local):
    root = node = co.Serial(image=IMAGE)
    for _ in range(5_000):
        node["s"] = co.Serial()
        node = node["s"]
    node["leaf"] = co.Exec("echo deep")

    run = await local.run(root)

    assert (await run.summary()).state is State.DONE
    assert await run.output("/s" * 5_000 + "/leaf") == b"deep\n"


async def test_a_command_of_a_megabyte_and_output_of_many(local):
    text = "x" * 1_000_000
    root = tree(
        co.Serial,
        long=f"echo {text} | wc -c",
        much="head -c 20000000 /dev/zero",
        raw=r"printf '\000\377no newline'",
    )

    run = await local.run(root)

    assert (await run.output("/long")).strip() == b"1000001"
    assert await run.output("/much") == bytes(20_000_000)
    assert await run.output("/raw") == b"\0\xffno newline"
