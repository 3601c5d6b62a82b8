"""The machine is never asked for more than it has, and limits are real."""

import asyncio
import math

import pytest

import conducto as co
from conducto.errors import DefinitionError
from conducto_core.command.model import Resources, ResourcesParams
from conducto_core.run.model.params import ListParams
from conducto_core.run.model.requests import Action
from conducto_core.run.model.states import Cause, State
from support.containers import BUSYBOX as IMAGE
from support.containers import clean_runner, details, remove
from support.local import eventually

pytestmark = pytest.mark.docker

GB = 2**30
PYTHON = "conducto-test/debian"
#: Grows by a number of bytes.
GROW = "python3 -c 'x = b\"a\" * {}'"


@pytest.fixture
async def local(tmp_path):
    async with clean_runner(tmp_path / "home") as runner:
        yield runner


async def machine(local):
    await local.launch(co.Exec("true", image=IMAGE), run=False)
    return await local.pipelines.get_agent()


def sized(kind=co.Parallel, image=IMAGE, **children):
    root = kind(image=image, mem=0.1)
    for name, child in children.items():
        root[name] = child
    return root


async def test_the_limits_of_a_node_are_those_of_its_container(local):
    run = await local.run(sized(a=co.Exec("true", cpu=0.5, mem=0.25)))
    (attempt,) = await run.attempts("/a")

    made = details(attempt.container)["HostConfig"]

    assert (made["NanoCpus"], made["Memory"]) == (500_000_000, GB // 4)
    assert made["MemorySwap"] == made["Memory"]


async def test_node_out_of_memory_error_names_its_limit(local):
    run = await local.run(sized(image=PYTHON, a=co.Exec(GROW.format(300_000_000), mem=0.0625)))

    (attempt,) = await run.attempts("/a")
    assert (attempt.state, attempt.cause) == (State.KILLED, Cause.OUT_OF_MEMORY)
    assert "limit of 0.0625 GB; raise mem=" in attempt.message
    assert attempt.peak_memory > 60_000_000


async def test_doubling_the_memory_until_it_is_enough(local):
    node = co.Exec(GROW.format(150_000_000), mem=0.0625)
    node.on_error(co.callback.retry_with_double_mem(4))
    run = await local.run(sized(image=PYTHON, a=node))

    attempts = await run.attempts("/a")

    assert [attempt.mem for attempt in attempts] == [0.0625, 0.125, 0.25]
    assert [attempt.cause for attempt in attempts] == [Cause.OUT_OF_MEMORY] * 2 + [None]
    assert len({attempt.container for attempt in attempts}) == 3


async def test_memory_is_never_doubled_beyond_the_machine(local):
    total = (await machine(local)).mem
    node = co.Exec("exit 137", mem=0.7 * total, cpu=0.1)
    node.on_error(co.callback.retry_with_double_mem(1))
    run = await local.run(sized(a=node))

    assert [a.mem for a in await run.attempts("/a")] == [0.7 * total, total]


async def test_no_more_run_at_once_than_the_machine_has(local):
    cpus = (await machine(local)).cpus
    watch = (
        "cd /conducto/data/pipeline; touch up-$CONDUCTO_ATTEMPT-$$-$(hostname);"
        "ls | grep -c up- >>seen; sleep 0.2; rm up-*-$(hostname)"
    )
    half = co.Parallel(image=IMAGE, cpu=cpus / 2, mem=0.1)
    for i in range(6):
        half[f"n{i}"] = co.Exec(watch)

    run = await local.run(half)

    seen = [int(line) for line in (run.data / "seen").read_text().split()]
    assert len(seen) == 6
    assert max(seen) <= 2


async def test_two_pipelines_share_one_machine(local):
    cpus = (await machine(local)).cpus
    first = await local.launch(sized(a=co.Exec("sleep 60", cpu=cpus)))
    await first.until("/a", "running")
    second = await local.launch(sized(b=co.Exec("true", cpu=1)))
    await second.until("/b", "queued")

    waits_for = await reason(second, "/b")
    await first.control(Action.KILL, "/a")
    await second.settled()

    assert waits_for == f"needs 1 cpu and 0.1 GB; 0 cpu and {await free(local)} GB are free"
    assert (await second.node("/b")).state is State.DONE


async def test_a_group_with_one_container_takes_the_room_of_all_of_it(local):
    cpus = (await machine(local)).cpus
    own = sized(co.Serial, small=co.Exec("echo up; sleep 60", cpu=0.1), b=co.Exec("true", cpu=cpus))
    own.container_reuse_context = co.ContainerReuseContext.NEW
    first = await local.launch(own)
    await first.printed("/small", b"up\n")
    second = await local.launch(sized(a=co.Exec("true", cpu=0.5)))
    await second.until("/a", "queued")

    waits_for = await reason(second, "/a")
    await first.control(Action.KILL, "/")
    await second.settled()

    assert waits_for.startswith("needs 0.5 cpu and 0.1 GB; 0 cpu and ")
    assert await second.states() == {"/": "done", "/a": "done"}


async def reason(run, path):
    """Return why a node waits, once it is not for its image."""

    async def has_its_image():
        return (await run.node(path)).wait_kind != "image"

    await eventually(has_its_image)
    return (await run.node(path)).waits_for


async def free(local):
    amount = (await local.pipelines.get_agent()).mem - 0.1
    return f"{math.floor(round(amount * 100, 6)) / 100:g}"


async def test_a_large_node_is_not_starved_by_small_ones(local):
    cpus = (await machine(local)).cpus
    log = "echo $CONDUCTO_NODE >>/conducto/data/pipeline/order; sleep 0.1"
    root = sized(**{f"a{i}": co.Exec(log, cpu=cpus / 2) for i in range(3)})
    root["large"] = co.Exec(log, cpu=cpus)
    for i in range(8):
        root[f"b{i}"] = co.Exec(log, cpu=cpus / 2)

    run = await local.run(root)

    assert (run.data / "order").read_text().split().index("/large") <= 3


@pytest.mark.parametrize(("name", "value"), [("cpu", 4096), ("mem", 99999), ("gpu", 64)])
async def test_a_size_that_can_never_fit_is_refused_at_launch(local, name, value):
    root = sized(co.Serial, a=co.Exec("true"), b=co.Exec("true", **{name: value}))

    with pytest.raises(DefinitionError, match=rf"^/b: .*{value}"):
        await local.launch(root)
    assert (await local.pipelines.list_pipelines(ListParams())).pipelines == ()


async def test_a_generated_size_that_can_never_fit_fails_its_lazy(local):
    inner = sized(co.Serial, x=co.Exec("true", mem=10**6))
    block = f"<__conducto_serialization>{inner.serialize()}</__conducto_serialization>"
    root = co.Serial(image=IMAGE)
    root["lazy"] = co.lazy_shell(f"echo '{block}'")

    run = await local.run(root)

    (attempt,) = await run.attempts("/lazy/Generate")
    assert attempt.cause is Cause.LAZY
    assert "/lazy/Execute/x: " in attempt.message


async def test_queued_node_gets_its_resources_when_a_running_one_is_lost(local):
    cpus = (await machine(local)).cpus
    lost = co.Exec("echo up; sleep 60", cpu=cpus)
    run = await local.launch(sized(a=lost, b=co.Exec("true", cpu=cpus)))
    await run.printed("/a", b"up\n")
    (attempt,) = await run.attempts("/a")

    await asyncio.to_thread(remove, attempt.container)
    await run.settled()

    assert await run.states() == {"/": "error", "/a": "killed", "/b": "done"}
    assert (await run.attempts("/a"))[0].cause is Cause.WORKER_LOST


async def test_resource_usage_is_recorded_over_time(local):
    # How much of a core it gets is the machine's affair; its own shell knows.
    burn = "timeout 7 sh -c 'while :; do :; done'; times"
    run = await local.run(sized(a=co.Exec(burn, cpu=1, mem=0.25), quick=co.Exec("true")))
    user = (await run.output("/a")).splitlines()[1].split()[0]
    minutes, seconds = user.decode().removesuffix("s").split("m")
    cores = (60 * int(minutes) + float(seconds)) / 7

    used = await local.pipelines.get_resources(ResourcesParams(id=run.id, path="/a"))
    quick = await local.pipelines.get_resources(ResourcesParams(id=run.id, path="/quick"))

    assert (used.interval, used.cpu_limit, used.mem_limit) == (2.0, 1.0, GB // 4)
    assert len(used.cpu) >= 2
    assert sum(used.cpu) / len(used.cpu) == pytest.approx(cores, rel=0.35)
    assert 0 < max(used.memory) < GB // 4
    assert quick == Resources()
