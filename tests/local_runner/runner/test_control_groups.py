"""Actions on groups: nested Serials, contexts with one container, Lazy, limits, parameters."""

from dataclasses import dataclass, field
from typing import Any

import pytest

import conducto as co
from conducto.errors import DefinitionError
from conducto_core.errors import RefusedError
from conducto_core.run.model.states import Cause
from support.local import Local, act

pytestmark = pytest.mark.asyncio(loop_scope="module")

IMAGE = "busybox"
_SECOND_TIME = "echo $CONDUCTO_ATTEMPT; [ $CONDUCTO_ATTEMPT -gt 1 ]"
_LONG_ONCE = "echo $CONDUCTO_ATTEMPT; [ $CONDUCTO_ATTEMPT -gt 1 ] || sleep 60"


def grow(node: co.Node, children: dict[str, Any]) -> co.Node:
    """Put children into a group: a str is a command, a dict a Serial, one in a list a Parallel."""
    for name, child in children.items():
        if isinstance(child, str):
            node[name] = co.Exec(child)
        elif isinstance(child, dict):
            node[name] = grow(co.Serial(), child)
        else:
            node[name] = grow(co.Parallel(), child[0])
    return node


def serial(children: dict[str, Any], **params: Any) -> co.Node:
    return grow(co.Serial(image=IMAGE, **params), children)


# ---- automatic continuation


@dataclass(frozen=True)
class Resumes:
    """A tree that stops, an action, and the states after it has continued by itself.

    Attributes:
        attempts: ``{path: how many}`` of the Execs in the end.
    """

    tree: dict[str, Any]
    act: tuple[str, ...]
    root: str
    attempts: dict[str, int]
    params: dict[str, Any] = field(default_factory=dict)


NESTED = {"a": "true", "in": {"x": _SECOND_TIME, "y": "true"}, "z": "true"}
SIDE_BY_SIDE = {"p": [{"x": _SECOND_TIME, "y": _SECOND_TIME, "ok": "true"}], "z": "true"}
RESUMES = {
    "reset of the node": Resumes(
        NESTED, ("reset", "/in/x"), "done", {"/a": 1, "/in/x": 2, "/in/y": 1, "/z": 1}
    ),
    "reset of its group": Resumes(
        NESTED, ("reset", "/in"), "done", {"/a": 1, "/in/x": 2, "/in/y": 1, "/z": 1}
    ),
    "reset of everything": Resumes(
        NESTED, ("reset", "/"), "done", {"/a": 2, "/in/x": 2, "/in/y": 1, "/z": 1}
    ),
    "reset of what was done does not mend": Resumes(
        NESTED, ("reset", "/a"), "error", {"/a": 2, "/in/x": 1, "/in/y": 0, "/z": 0}
    ),
    "skip of the node": Resumes(
        NESTED, ("skip", "/in/x"), "done", {"/a": 1, "/in/x": 1, "/in/y": 1, "/z": 1}
    ),
    "skip of its group": Resumes(
        NESTED, ("skip", "/in"), "done", {"/a": 1, "/in/x": 1, "/in/y": 0, "/z": 1}
    ),
    "skip of everything": Resumes(
        NESTED, ("skip", "/"), "error", {"/a": 1, "/in/x": 1, "/in/y": 0, "/z": 0}
    ),
    "reset of one of two failures": Resumes(
        SIDE_BY_SIDE, ("reset", "/p/x"), "error", {"/p/x": 2, "/p/y": 1, "/p/ok": 1, "/z": 0}
    ),
    "reset of both failures at once": Resumes(
        SIDE_BY_SIDE, ("reset", "/p/x", "/p/y"), "done", {"/p/x": 2, "/p/y": 2, "/p/ok": 1, "/z": 1}
    ),
    "a group and a node in it count once": Resumes(
        SIDE_BY_SIDE, ("reset", "/p", "/p/x"), "done", {"/p/x": 2, "/p/y": 2, "/p/ok": 2, "/z": 1}
    ),
    "skip of both failures": Resumes(
        SIDE_BY_SIDE, ("skip", "/p/x", "/p/y"), "done", {"/p/x": 1, "/p/y": 1, "/p/ok": 1, "/z": 1}
    ),
    "no stop on error: all has run, the mended one makes it done": Resumes(
        {"x": _SECOND_TIME, "y": "true"},
        ("reset", "/x"),
        "done",
        {"/x": 2, "/y": 1},
        {"stop_on_error": False},
    ),
    "kill of what has ended does nothing": Resumes(
        NESTED, ("kill", "/"), "error", {"/a": 1, "/in/x": 1, "/in/y": 0, "/z": 0}
    ),
}


@pytest.mark.parametrize("name", RESUMES)
async def test_armed_pipeline_continues_by_itself(local: Local, name: str) -> None:
    case = RESUMES[name]
    run = await local.run(serial(case.tree, **case.params))

    await act(run, *case.act)
    await run.settled()

    attempts = {path: len(await run.attempts(path)) for path in case.attempts}
    assert attempts == case.attempts
    assert (await run.node("/")).state == case.root


async def test_killed_group_keeps_its_unstarted_nodes_pending(local: Local) -> None:
    run = await local.launch(serial({"g": {"x": _LONG_ONCE, "y": "true"}, "z": "true"}))
    await run.printed("/g/x", b"1\n")

    result = await act(run, "kill", "/g")
    await run.settled()

    assert result.paths == ("/g/x",)
    states = await run.states()
    assert (states["/g/x"], states["/g/y"], states["/z"]) == ("killed", "pending", "pending")


async def test_reset_of_a_running_group_ends_it_and_starts_it_again(local: Local) -> None:
    run = await local.launch(serial({"p": [{"x": _LONG_ONCE, "y": "true"}], "z": "true"}))
    await run.printed("/p/x", b"1\n")
    await run.until("/p/y", "done")

    result = await act(run, "reset", "/p")
    await run.until("/z", "done")

    assert (result.affected, result.stopped) == (2, 1)
    first, second = await run.attempts("/p/x")
    assert (first.cause, second.cause) == (Cause.KILLED_BY_USER, None)
    assert len(await run.attempts("/p/y")) == 2


async def test_manual_reset_restarts_the_count_of_retries(local: Local) -> None:
    root = serial({"x": "exit 1"})
    root["x"].on_error(co.callback.retry(1))
    run = await local.run(root)
    before = len(await run.attempts("/x"))

    await act(run, "reset", "/x")
    await run.settled()

    assert (before, len(await run.attempts("/x"))) == (2, 4)


async def test_a_kill_is_not_retried(local: Local) -> None:
    root = serial({"x": "echo on; sleep 60"})
    root["x"].on_error(co.callback.retry(3))
    run = await local.launch(root)
    await run.printed("/x", b"on\n")

    await act(run, "kill", "/x")
    await run.settled()

    assert [attempt.state for attempt in await run.attempts("/x")] == ["killed"]


async def test_a_node_that_timed_out_can_be_given_more_time(local: Local) -> None:
    # Long enough for x to begin on a busy machine: queued time counts in the group's time.
    run = await local.run(serial({"x": "sleep 4; echo late"}, max_time=3))
    cause = (await run.attempts("/x"))[0].cause

    await act(run, "modify", "/", max_time="30s")
    await act(run, "reset", "/x")
    await run.until("/x", "done")

    assert cause is Cause.TIMEOUT
    assert await run.output("/x") == b"late\n"


# ---- one container for a group


def context(children: dict[str, Any]) -> co.Node:
    root = co.Serial(image=IMAGE)
    root["new"] = grow(co.Parallel(container_reuse_context=co.ContainerReuseContext.NEW), children)
    return root


async def test_a_reset_of_a_whole_context_runs_all_of_it_in_one_place(local: Local) -> None:
    run = await local.run(context({"a": "true", "b": "true"}))

    await act(run, "reset", "/new")
    await run.settled()

    a, b = (await run.attempts("/new/a"))[-1], (await run.attempts("/new/b"))[-1]
    assert (a.number, b.number) == (2, 2)
    assert a.container == b.container


async def test_members_of_a_context_run_one_by_one_after_a_reset_as_well(local: Local) -> None:
    run = await local.run(context({"a": "sleep 0.1", "b": "sleep 0.1", "c": "sleep 0.1"}))

    await act(run, "reset", "/new/a", "/new/c")
    await run.settled()

    assert len(await run.attempts("/new/b")) == 1
    a, c = (await run.attempts("/new/a"))[-1], (await run.attempts("/new/c"))[-1]
    assert a.ended <= c.started or c.ended <= a.started


async def test_kill_of_one_member_lets_the_others_continue(local: Local) -> None:
    run = await local.launch(context({"a": _LONG_ONCE, "b": "echo b"}))
    await run.printed("/new/a", b"1\n")

    await act(run, "kill", "/new/a")
    await run.settled()

    states = await run.states()
    assert (states["/new/a"], states["/new/b"], states["/new"]) == ("killed", "done", "error")


async def test_a_reset_of_a_running_member_runs_it_again_in_its_group(local: Local) -> None:
    run = await local.launch(context({"a": _LONG_ONCE, "b": "echo b"}))
    await run.printed("/new/a", b"1\n")

    await act(run, "reset", "/new/a")
    await run.settled()

    assert (await run.node("/")).state == "done"
    assert [attempt.state for attempt in await run.attempts("/new/a")] == ["killed", "done"]


# ---- Lazy


def _printing(tree: co.Node) -> str:
    return f"echo '<__conducto_serialization>{tree.serialize()}</__conducto_serialization>'"


def lazy(first: co.Node, then: co.Node) -> co.Node:
    """A Lazy that prints one tree the first time, another one afterwards."""
    root = co.Serial(image=IMAGE)
    script = f"if [ $CONDUCTO_ATTEMPT -gt 1 ]; then {_printing(then)}; else {_printing(first)}; fi"
    root["lazy"] = co.Lazy(script)
    root["z"] = co.Exec("true")
    return root


FIRST = {"x": "echo one", "old": "echo old"}
SECOND = {"x": "echo two", "fresh": "echo fresh"}


async def test_a_reset_generate_puts_another_tree_in_place(local: Local) -> None:
    run = await local.run(lazy(grow(co.Serial(), FIRST), grow(co.Serial(), SECOND)))
    before = set(await run.states())

    await act(run, "reset", "/lazy/Generate")
    await run.settled()

    after = set(await run.states())
    assert {"/lazy/Execute/x", "/lazy/Execute/old"} <= before
    assert {"/lazy/Execute/x", "/lazy/Execute/fresh"} <= after
    assert "/lazy/Execute/old" not in after
    numbers = [attempt.number for attempt in await run.attempts("/lazy/Execute/x")]
    assert numbers == [1, 2]
    assert await run.output("/lazy/Execute/x", attempt=1) == b"one\n"
    assert await run.output("/lazy/Execute/x", attempt=2) == b"two\n"


async def test_a_reset_of_a_lazy_generates_once_more(local: Local) -> None:
    run = await local.run(lazy(grow(co.Serial(), FIRST), grow(co.Serial(), SECOND)))

    await act(run, "reset", "/lazy")
    await run.settled()

    assert (await run.states())["/lazy/Execute/fresh"] == "done"
    assert len(await run.attempts("/z")) == 1


async def test_a_generated_node_alone_runs_again(local: Local) -> None:
    run = await local.run(lazy(grow(co.Serial(), FIRST), grow(co.Serial(), SECOND)))

    await act(run, "reset", "/lazy/Execute/x")
    await run.settled()

    assert len(await run.attempts("/lazy/Generate")) == 1
    assert await run.output("/lazy/Execute/x", attempt=2) == b"one\n"


async def test_failed_generated_node_is_skipped_and_later_nodes_run(local: Local) -> None:
    bad = grow(co.Serial(), {"x": "exit 1"})
    run = await local.run(lazy(bad, bad))
    stopped = (await run.states())["/z"]

    await act(run, "skip", "/lazy/Execute/x")
    await run.settled()

    assert (stopped, (await run.states())["/z"]) == ("pending", "done")


async def test_a_modified_generated_node_runs_as_modified(local: Local) -> None:
    run = await local.run(lazy(grow(co.Serial(), FIRST), grow(co.Serial(), SECOND)))

    await act(run, "modify", "/lazy/Execute/x", command="echo mended")
    await act(run, "reset", "/lazy/Execute/x")
    await run.settled()

    assert await run.output("/lazy/Execute/x") == b"mended\n"


async def test_a_modification_keeps_the_images_of_the_latest_generated_tree(local: Local) -> None:
    images = (co.Image(IMAGE, name="grown", shell=shell) for shell in (None, "/bin/sh"))
    first, second = (grow(co.Serial(image=image), {"x": "true"}) for image in images)
    run = await local.run(lazy(first, second))
    await act(run, "reset", "/lazy/Generate")
    await run.settled()

    before = (await run.node("/lazy/Execute/x")).image

    await act(run, "modify", "/z", command="echo mended")

    assert (await run.node("/lazy/Execute/x")).image == before == "grown@/lazy/Execute"


async def test_a_modification_holds_for_the_node_of_the_same_path_in_the_next_tree(
    local: Local,
) -> None:
    run = await local.run(lazy(grow(co.Serial(), FIRST), grow(co.Serial(), SECOND)))
    await act(run, "modify", "/lazy/Execute/x", command="echo mended")
    await act(run, "modify", "/lazy/Execute/old", command="echo never")

    await act(run, "reset", "/lazy/Generate")
    final = await run.settled()

    assert final.state == "done"
    assert await run.output("/lazy/Execute/x") == b"mended\n"
    assert await run.output("/lazy/Execute/fresh") == b"fresh\n"


# ---- limits that change while it runs


async def test_a_larger_limit_lets_the_queued_start_at_once(local: Local) -> None:
    root = co.Parallel(image=IMAGE, max_concurrent=1, cpu=0.1, mem=0.1)
    root["a"] = co.Exec(_LONG_ONCE)
    root["b"] = co.Exec("echo b")
    run = await local.launch(root)
    await run.until("/a", "running")
    queued = (await run.states())["/b"]

    await act(run, "modify", "/", max_concurrent=2)
    await run.until("/b", "done")

    assert queued == "queued"
    assert (await run.states())["/a"] == "running"
    await act(run, "kill", "/")


async def test_serial_that_no_longer_has_to_stop_continues(local: Local) -> None:
    run = await local.run(serial({"x": "exit 1", "y": "echo y"}))

    await act(run, "modify", "/", stop_on_error=False)
    await run.until("/y", "done")
    final = await run.settled()

    assert final.state == "error"


async def test_errors_suppressed_afterwards_count_at_once(local: Local) -> None:
    run = await local.run(serial({"g": {"x": "exit 1"}, "z": "echo z"}))

    await act(run, "modify", "/g", suppress_errors=True)
    await run.until("/z", "done")

    group = await run.node("/g")
    assert (group.state, group.warning) == ("done", True)


# ---- each parameter


@dataclass(frozen=True)
class Sees:
    """A change, and what a command says of it.

    Attributes:
        field: Attribute of the attempt that shows it, if one does.
    """

    changes: dict[str, Any]
    command: str = "true"
    output: bytes | None = None
    field: tuple[str, Any] | None = None
    docker: bool = False


PARAMETERS = {
    "env": Sees({"env": {"A": "b c"}}, 'echo "$A"', b"b c\n"),
    "env removed": Sees({"env": {"HERE": None}}, 'echo "${HERE-gone}"', b"gone\n"),
    "cpu": Sees({"cpu": 0.5}, field=("cpu", 0.5)),
    "cpu taken back": Sees({"cpu": None}, field=("cpu", 1.0)),
    "mem": Sees({"mem": 0.25}, field=("mem", 0.25)),
    "doc": Sees({"doc": "**why**"}),
    "reuse": Sees({"container_reuse_context": "new"}, field=("position", 0)),
    "docker_run_args": Sees(
        {"docker_run_args": ("--hostname", "elsewhere")}, "hostname", b"elsewhere\n", docker=True
    ),
    "requires_docker": Sees(
        {"requires_docker": True},
        "[ -S /var/run/docker.sock ] && echo there",
        b"there\n",
        docker=True,
    ),
}


@pytest.mark.parametrize("name", PARAMETERS)
async def test_a_modified_parameter_holds_for_the_next_attempt(local: Local, name: str) -> None:
    case = PARAMETERS[name]
    if case.docker and local.engine != "docker":
        pytest.skip("only a container has it")
    run = await local.run(serial({"w": "true", "x": "true"}, env={"HERE": "1"}, cpu=1.0))

    await act(run, "modify", "/x", command=case.command, **case.changes)
    await act(run, "reset", "/x")
    await run.until("/x", "done")

    newest = (await run.attempts("/x"))[-1]
    assert newest.number == 2
    if case.output is not None:
        assert await run.output("/x") == case.output
    if case.field is not None:
        assert getattr(newest, case.field[0]) == case.field[1]
    if "doc" in case.changes:
        assert (await run.node("/x")).doc == case.changes["doc"]


async def test_a_wrong_value_for_one_of_several_nodes_changes_none(local: Local) -> None:
    run = await local.run(serial({"x": "echo x", "y": "echo y"}))

    with pytest.raises(DefinitionError, match="command cannot be set on a node of type Serial"):
        await act(run, "modify", "/x", "/", command="echo z")
    await act(run, "reset", "/x")
    await run.settled()

    assert await run.output("/x") == b"x\n"


@pytest.mark.parametrize("verb", ["pause", "reset", "skip", "kill", "modify", "sleep"])
async def test_archived_pipeline_accepts_no_action_but_wake(local: Local, verb: str) -> None:
    run = await local.run(serial({"x": "true"}))
    await act(run, "archive")
    paths = () if verb in {"pause", "sleep"} else ("/x",)

    with pytest.raises(RefusedError, match="is archived; wake it first"):
        await act(run, verb, *paths, **({"cpu": 1} if verb == "modify" else {}))

    archived = (await run.summary()).pipeline.lifecycle.value
    await act(run, "wake")
    assert (archived, (await run.summary()).pipeline.lifecycle.value) == ("archived", "active")
