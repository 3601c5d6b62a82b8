"""Every action on a node in every state, on real engines: a table of the expected results.

The pipeline of the table is a Serial of ``x`` and ``y``; ``x`` is brought into a state, an action
is requested, and then the pipeline continues until it settles.
"""

import asyncio
from dataclasses import dataclass

import pytest

import conducto as co
from conducto_core.run.model.params import PipelineParams
from conducto_core.run.model.requests import Action, ControlRequest
from conducto_core.run.model.states import Cause
from support.local import Local, Run, act

pytestmark = pytest.mark.asyncio(loop_scope="module")

IMAGE = "busybox"
#: Runs until it is killed, but only the first time.
_ONCE_LONG = "echo x$CONDUCTO_ATTEMPT; [ $CONDUCTO_ATTEMPT -gt 1 ] || sleep 60"
_ONCE_BAD = "echo x$CONDUCTO_ATTEMPT; [ $CONDUCTO_ATTEMPT -gt 1 ]"
_GOOD = "echo x$CONDUCTO_ATTEMPT"
STATES = ("pending", "queued", "running", "done", "error", "killed", "skipped")
COMMANDS = {"running": _ONCE_LONG, "killed": _ONCE_LONG, "error": _ONCE_BAD}


def tree(state: str) -> co.Node:
    """x in front of y; for ``queued``, a blocker in front of x that has the only place."""
    if state == "queued":
        root: co.Node = co.Parallel(image=IMAGE, max_concurrent=1)
        root["blocker"] = co.Exec(_ONCE_LONG)
    else:
        root = co.Serial(image=IMAGE)
    root["x"] = co.Exec(COMMANDS.get(state, _GOOD), skip=state == "skipped")
    root["y"] = co.Exec("echo y")
    return root


async def brought_to(local: Local, state: str) -> Run:
    """Return a pipeline whose x is in a state."""
    run = await local.launch(tree(state), run=state != "pending")
    match state:
        case "queued":
            await run.until("/blocker", "running")
            await run.until("/x", "queued")
        case "running" | "killed":
            await run.printed("/x", b"x1\n")
        case "done" | "error" | "skipped":
            await run.settled()
    if state == "killed":
        await act(run, "kill", "/x")
        await run.settled()
    return run


async def let_go(run: Run, state: str) -> None:
    """Let the pipeline continue until nothing more happens."""
    if state == "pending":
        await act(run, "run")
    elif state == "queued":
        await act(run, "reset", "/blocker")
    await run.settled()


@dataclass(frozen=True)
class Then:
    """The expected result of an action.

    Attributes:
        x: State of x in the end, ``skipped:`` in front if it is skipped.
        attempts: How many x has then.
        y: State of y in the end.
        affected: Execs in the action's response.
    """

    x: str
    attempts: int
    y: str = "done"
    affected: int = 1


_SAME = {
    "pending": Then("done", 1),
    "queued": Then("done", 1),
    "done": Then("done", 1),
    "error": Then("error", 1, y="pending"),
    "killed": Then("killed", 1, y="pending"),
    "skipped": Then("skipped:pending", 0),
}


def untouched(state: str) -> Then:
    """Return the expected result of an action that does nothing to x in this state."""
    same = _SAME[state]
    return Then(same.x, same.attempts, same.y, affected=0)


_AGAIN = {
    "pending": untouched("pending"),
    "queued": untouched("queued"),
    "running": Then("done", 2),
    "done": Then("done", 2),
    "error": Then("done", 2),
    "killed": Then("done", 2),
    "skipped": untouched("skipped"),
}
TABLE: dict[str, dict[str, Then]] = {
    "reset": _AGAIN,
    "rerun": _AGAIN,
    "rebuild": _AGAIN,
    "skip": {
        "pending": Then("skipped:pending", 0),
        "queued": Then("skipped:pending", 0),
        "done": Then("skipped:done", 1),
        "error": Then("skipped:error", 1),
        "killed": Then("skipped:killed", 1),
        "skipped": Then("skipped:pending", 0),
    },
    "unskip": {
        **{state: Then(same.x, same.attempts, same.y) for state, same in _SAME.items()},
        "skipped": Then("done", 1),
    },
    "kill": {
        **{state: untouched(state) for state in _SAME},
        "queued": Then("killed", 1),
        "running": Then("killed", 1, y="pending"),
    },
}
CASES = [
    pytest.param(verb, state, then, id=f"{verb}-{state}")
    for verb, row in TABLE.items()
    for state, then in row.items()
]


@pytest.mark.parametrize(("verb", "state", "then"), CASES)
async def test_action_on_a_node_in_a_state(local: Local, verb: str, state: str, then: Then) -> None:
    run = await brought_to(local, state)

    result = await act(run, verb, "/x")
    await let_go(run, state)

    x = await run.node("/x")
    ended = Then(
        f"{'skipped:' if x.skipped else ''}{x.state}",
        len(x.attempts),
        str((await run.node("/y")).state),
        result.affected,
    )
    assert ended == then


@pytest.mark.parametrize("state", STATES)
async def test_a_modified_command_holds_from_the_next_attempt_on(local: Local, state: str) -> None:
    run = await brought_to(local, state)
    before = len(await run.attempts("/x"))

    await act(run, "modify", "/x", command="echo new")
    if state == "skipped":
        await act(run, "unskip", "/x")
    elif state not in {"pending", "queued"}:
        await act(run, "reset", "/x")
    await let_go(run, state)

    assert await run.output("/x", attempt=before + 1) == b"new\n"
    assert (await run.attempts("/x"))[-1].command == "echo new"
    if before:
        assert await run.output("/x", attempt=1) == b"x1\n"


async def test_a_skipped_running_node_is_waited_for_and_does_not_count(local: Local) -> None:
    run = await brought_to(local, "running")

    await act(run, "skip", "/x")
    still = await run.states()
    await act(run, "kill", "/x")
    await run.settled()

    assert (still["/x"], still["/y"]) == ("running", "pending")
    assert (await run.states())["/y"] == "done"
    assert (await run.node("/")).state == "done"


async def test_an_unskipped_running_node_counts_again(local: Local) -> None:
    run = await brought_to(local, "running")

    await act(run, "skip", "/x")
    await act(run, "unskip", "/x")
    await act(run, "kill", "/x")
    await run.settled()

    assert await run.states() == {"/": "error", "/x": "killed", "/y": "pending"}


@pytest.mark.parametrize("state", ["error", "killed", "done"])
async def test_a_reset_while_paused_waits_for_run(local: Local, state: str) -> None:
    run = await brought_to(local, state)
    await act(run, "pause")

    await act(run, "reset", "/x")
    paused = await run.settled()
    waiting = (await run.states())["/x"]
    await act(run, "run")
    await run.until("/x", "done")

    assert (waiting, paused.counts.pending) == ("pending", 1 + (state != "done"))
    assert len(await run.attempts("/x")) == 2


@pytest.mark.parametrize("verb", ["rerun", "rebuild"])
@pytest.mark.parametrize("state", ["error", "done"])
async def test_rerun_and_rebuild_run_a_paused_pipeline(local: Local, verb: str, state: str) -> None:
    run = await brought_to(local, state)
    await act(run, "pause")
    request = ControlRequest(action=Action(verb), paths=("/x",), preview=True)

    would = await run.local.pipelines.control(PipelineParams(id=run.id), request)
    before = await run.states()
    result = await act(run, verb, "/x")
    await run.until("/x", "done")

    paused = ("the pipeline is paused; 1 other pending Exec will also run",)
    assert before["/x"] == state
    assert would.notes == (paused if state == "error" else ())
    assert (result.affected, result.notes, result.idle) == (1, (), None)
    assert len(await run.attempts("/x")) == 2


async def test_rerun_of_a_node_behind_a_failure_says_that_nothing_starts(local: Local) -> None:
    run = await brought_to(local, "error")

    result = await act(run, "rerun", "/y")

    why = f"nothing to run: /x failed; rerun: conducto rerun {run.id} --failed"
    assert (result.affected, result.idle, result.notes) == (0, why, (why,))


async def test_rerun_of_failures_without_any_does_not_run_the_pipeline(local: Local) -> None:
    run = await brought_to(local, "done")
    await act(run, "pause")
    request = ControlRequest(action=Action.RERUN, failed=True)

    result = await run.local.pipelines.control(PipelineParams(id=run.id), request)

    assert (result.affected, result.notes) == (0, ())
    assert (await run.summary()).pipeline.armed is False


@dataclass(frozen=True)
class Whole:
    """The expected result of an action on the pipeline as a whole.

    Attributes:
        x: State of x right after it.
        armed: Whether the pipeline would start something.
    """

    x: str
    armed: bool
    lifecycle: str = "active"


@pytest.mark.parametrize(
    ("verb", "state", "then"),
    [
        ("run", "done", Whole("done", armed=True)),
        ("run", "error", Whole("error", armed=True)),
        ("run", "running", Whole("running", armed=True)),
        ("pause", "pending", Whole("pending", armed=False)),
        ("pause", "queued", Whole("pending", armed=False)),
        ("pause", "running", Whole("running", armed=False)),
        ("pause", "done", Whole("done", armed=False)),
        ("sleep", "pending", Whole("pending", armed=False, lifecycle="sleeping")),
        ("sleep", "queued", Whole("pending", armed=False, lifecycle="sleeping")),
        ("sleep", "running", Whole("killed", armed=False, lifecycle="sleeping")),
        ("sleep", "done", Whole("done", armed=False, lifecycle="sleeping")),
        ("sleep", "error", Whole("error", armed=False, lifecycle="sleeping")),
        ("wake", "done", Whole("done", armed=True)),
        ("archive", "pending", Whole("pending", armed=False, lifecycle="archived")),
        ("archive", "running", Whole("killed", armed=False, lifecycle="archived")),
        ("archive", "done", Whole("done", armed=False, lifecycle="archived")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_action_on_the_pipeline(local: Local, verb: str, state: str, then: Whole) -> None:
    run = await brought_to(local, state)

    await act(run, verb)

    record = (await run.summary()).pipeline
    after = Whole(str((await run.node("/x")).state), record.armed, record.lifecycle.value)
    await act(run, "wake") if record.lifecycle.value == "archived" else None
    await act(run, "kill", "/")
    assert after == then


async def test_cancel_kills_running_nodes_and_starts_nothing(local: Local) -> None:
    run = await brought_to(local, "running")

    result = await act(run, "cancel")
    await run.settled()

    assert (result.affected, result.stopped) == (1, 1)
    assert await run.states() == {"/": "error", "/x": "killed", "/y": "pending"}
    assert not (await run.summary()).pipeline.armed


async def test_pause_lets_running_nodes_end_and_starts_nothing(local: Local) -> None:
    root = co.Serial(image=IMAGE)
    root["x"] = co.Exec("until [ -e $CONDUCTO_DATA_DIR/go ]; do sleep 0.05; done; echo x")
    root["x"].env = {"CONDUCTO_DATA_DIR": "/conducto/data/pipeline"}
    root["y"] = co.Exec("echo y")
    if local.engine == "process":
        pytest.skip("plain processes have the data elsewhere")
    run = await local.launch(root)
    await run.until("/x", "running")

    await act(run, "pause")
    (run.data / "go").touch()
    await run.settled()
    paused = await run.states()
    await act(run, "run")
    await run.until("/y", "done")

    assert (paused["/x"], paused["/y"]) == ("done", "pending")


@pytest.mark.parametrize("verb", ["sleep", "archive"])
async def test_woken_or_restored_pipeline_continues(local: Local, verb: str) -> None:
    run = await brought_to(local, "running")

    await act(run, verb)
    await act(run, "wake")
    awake = (await run.summary()).pipeline
    await act(run, "reset", "/x")
    await act(run, "run")
    await run.until("/y", "done")

    assert (awake.lifecycle.value, awake.armed) == ("active", False)
    first, second = await run.attempts("/x")
    assert (first.cause, second.cause) == (Cause.KILLED_BY_USER, None)
    assert await run.output("/x", attempt=1) == b"x1\n"


async def test_every_attempt_stays_visible(local: Local) -> None:
    run = await brought_to(local, "error")

    for number in (2, 3, 4):
        await act(run, "modify", "/x", command=f"echo x{number}", env={"N": str(number)})
        await act(run, "reset", "/x")
        await asyncio.wait_for(run.settled(), 30)

    attempts = await run.attempts("/x")
    assert [attempt.number for attempt in attempts] == [1, 2, 3, 4]
    assert [attempt.env.get("N") for attempt in attempts] == [None, "2", "3", "4"]
    for attempt in attempts:
        output = await run.output("/x", attempt=attempt.number)
        assert output == f"x{attempt.number}\n".encode()
        assert attempt.started is not None
        assert attempt.container
