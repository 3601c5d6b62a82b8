"""Approvals on a real runner: no container waits, and the decision is kept."""

import time
from pathlib import Path

import pytest

import conducto as co
from conducto.errors import DefinitionError
from conducto_core.approvals.model import DecideApproval, WaitingApproval
from conducto_core.approvals.rules import Decider
from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.people.model import Role
from conducto_core.results.model import OutputParams
from conducto_core.run.model.params import PipelineParams
from conducto_core.run.model.records import AttemptRecord
from conducto_core.run.model.states import Cause
from conducto_local.approvals.handlers import DECIDER
from support.local import Local, Run, act, local_runner

pytestmark = pytest.mark.asyncio(loop_scope="module")


def tree() -> co.Node:
    root = co.Serial(image="busybox")
    root["test"] = co.Exec("true")
    root["ask"] = co.Approve("Release to *everybody*?", who=["admin", "anna"], timeout="2d")
    root["release"] = co.Exec("true")
    return root


async def decide(run: Run, path: str = "/ask", *, approve: bool, **more: object) -> AttemptRecord:
    request = DecideApproval.model_validate({"path": path, "approve": approve, **more})
    return await run.local.pipelines.decide_approval(PipelineParams(id=run.id), request)


async def asked(local: Local, run: Run) -> list[WaitingApproval]:
    found = (await local.pipelines.list_approvals()).approvals
    return [one.approval for one in found if one.pipeline == run.id]


async def test_an_approval_waits_and_keeps_the_decision(local: Local) -> None:
    run = await local.launch(tree())
    await run.until("/ask", "queued")

    waiting = await run.node("/ask")
    assert waiting.waits_for == "waits for the approval of admin, anna"
    assert waiting.wait_kind == "approval"
    assert waiting.wait_holder == "admin, anna"
    assert waiting.wait_since is not None
    assert str(waiting.wait_remedy).startswith("decide it: conducto approve ")
    assert waiting.approval is not None
    assert waiting.approval.message == "Release to *everybody*?"
    assert waiting.command is None
    assert waiting.max_time == 2 * 86_400
    assert (await asked(local, run))[0].message == "Release to *everybody*?"
    with pytest.raises(RefusedError, match="attempt 2 waits no longer"):
        await decide(run, approve=True, attempt=2)

    attempt = await decide(run, approve=True, attempt=1, comment=" looks good ")

    assert attempt.decision is not None
    assert attempt.decision.comment == "looks good"
    assert await asked(local, run) == []
    await run.settled()
    assert set((await run.states()).values()) == {"done"}
    assert (await run.attempts("/ask")) == [attempt]
    with pytest.raises(RefusedError, match="/ask: waits for no decision, it is approved"):
        await decide(run, approve=False)


async def test_a_rejected_approval_fails_and_can_be_asked_again(local: Local) -> None:
    run = await local.launch(tree())
    await run.until("/ask", "queued")

    token = DECIDER.set(
        Decider("ada@example.com", Role.OWNER)
    )  # as the link does, in the task of a request
    attempt = await decide(run, approve=False, comment="the tests are old")
    DECIDER.reset(token)
    await run.settled()

    assert attempt.cause is Cause.REJECTED
    assert attempt.message == "rejected by ada@example.com: the tests are old"
    assert (await run.states())["/release"] == "pending"
    await act(run, "reset", "/ask")
    await run.until("/ask", "queued")
    await decide(run, approve=True)
    await run.settled()
    assert (await run.states())["/"] == "done"
    assert [one.decision is not None for one in await run.attempts("/ask")] == [True, True]


async def test_a_decision_needs_an_approval_that_waits(local: Local) -> None:
    run = await local.launch(tree(), run=False)

    with pytest.raises(RefusedError, match="it is not its turn"):
        await decide(run, approve=True)
    with pytest.raises(RefusedError, match="/test: is not an approval"):
        await decide(run, "/test", approve=True)
    with pytest.raises(NotFoundError):
        await decide(run, "/none", approve=True)


async def test_nothing_can_be_decided_after_the_pipeline_was_archived(local: Local) -> None:
    run = await local.launch(tree())
    await run.until("/ask", "queued")
    await act(run, "archive")

    with pytest.raises(RefusedError, match="is archived, so nothing waits for a decision"):
        await decide(run, approve=True)
    await act(run, "wake")
    await act(run, "run")
    await run.until("/ask", "queued")
    with pytest.raises(RefusedError, match="the question before was withdrawn before a decision"):
        await decide(run, approve=True)
    await decide(run, approve=True, attempt=2)
    await run.settled()
    assert (await run.states())["/"] == "done"


async def as_member(run: Run, action: str, *paths: str, role: Role | None, **more: object) -> None:
    token = DECIDER.set(Decider("ben", role))
    try:
        await act(run, action, *paths, **more)
    finally:
        DECIDER.reset(token)


@pytest.mark.parametrize(
    ("role", "who"), [(Role.VIEWER, "ben"), (None, "a program's token")], ids=["person", "program"]
)
async def test_approval_is_not_bypassed_without_the_right_to_decide(
    local: Local, role: Role | None, who: str
) -> None:
    run = await local.launch(tree())
    await run.until("/ask", "queued")

    for action, path, more in (
        ("skip", "/ask", {}),
        ("skip", "/", {"preview": True}),
        ("kill", "/", {}),
        ("modify", "/ask", {"suppress_errors": True}),
        ("modify", "/", {"stop_on_error": False}),
    ):
        with pytest.raises(RefusedError, match=f"/ask: is an approval that {who} may not decide"):
            await as_member(run, action, path, role=role, **more)

    assert (await run.states())["/ask"] == "queued"
    assert await run.attempts("/ask") == []
    await as_member(run, "cancel", role=role)
    assert (await run.states())["/release"] == "pending"


async def test_rejected_approval_is_not_skipped_as_a_failed_node(local: Local) -> None:
    run = await local.launch(tree())
    await run.until("/ask", "queued")
    await decide(run, approve=False)
    await run.settled()

    with pytest.raises(RefusedError, match="/ask: is an approval that ben may not decide"):
        await as_member(run, "skip", role=Role.VIEWER, failed=True)

    await as_member(run, "skip", role=Role.OWNER, failed=True)
    await run.settled()
    assert (await run.states())["/"] == "done"


async def test_change_behind_a_waiting_approval_is_shown_and_asks_again(tmp_path) -> None:
    async with local_runner(tmp_path, "process") as before:
        run = await before.launch(tree())
        await run.until("/ask", "queued")
        await as_member(run, "modify", "/release", role=Role.VIEWER, command="echo evil")
        (shown,) = await asked(before, run)
        with pytest.raises(RefusedError, match="attempt 1 waits no longer"):
            await decide(run, approve=True, attempt=1)

    async with local_runner(tmp_path, "process") as after:
        again = Run(after, await run_summary(after, run.id))
        await again.until("/ask", "queued")
        (known,) = await asked(after, again)
        node = await again.node("/ask")
        said = ("withdrawn after a change: ben modified /release",)
        with pytest.raises(RefusedError, match=r"ben modified /release; look at it, .*--attempt 2"):
            await decide(again, approve=True)
        await decide(again, approve=True, attempt=2)
        await again.settled()

        assert (shown.attempt, shown.withdrawn) == (known.attempt, known.withdrawn) == (2, said)
        assert node.approval is not None
        assert (node.approval.attempt, node.approval.withdrawn) == (2, said)
        assert [one.message for one in await again.attempts("/ask")] == [*said, None]
        assert (await again.states())["/"] == "done"


async def test_an_approval_fails_at_its_timeout(local: Local) -> None:
    root = co.Serial(image="busybox")
    root["ask"] = co.Approve("Release?", timeout="0.1s")

    run = await local.run(root)

    assert (await run.node("/ask")).cause is Cause.APPROVAL_TIMEOUT


async def test_timeout_continues_with_the_next_agent(tmp_path) -> None:
    root = co.Serial(image="busybox")
    root["ask"] = co.Approve("Release?", timeout="2s")
    async with local_runner(tmp_path, "process") as before:
        run = await before.launch(root)
        await run.until("/ask", "queued")
    stopped = time.time()

    async with local_runner(tmp_path, "process") as after:
        again = Run(after, await run_summary(after, run.id))
        await again.settled()

        (attempt,) = await again.attempts("/ask")
        assert attempt.cause is Cause.APPROVAL_TIMEOUT
        assert attempt.queued is not None
        assert attempt.queued < stopped


async def test_the_next_agent_asks_again(tmp_path) -> None:
    root = co.Serial(image="busybox")
    root["ask"] = co.Approve("Release?")
    async with local_runner(tmp_path, "process") as before:
        run = await before.launch(root)
        await run.until("/ask", "queued")
    stopped = time.time()

    async with local_runner(tmp_path, "process") as after:
        again = Run(after, await run_summary(after, run.id))
        await again.until("/ask", "queued")
        assert (await asked(after, again))[0].since < stopped
        await decide(again, approve=True)
        await again.settled()

        assert len(await again.attempts("/ask")) == 1


async def run_summary(local: Local, pipeline_id: str):
    return await local.pipelines.get_pipeline(PipelineParams(id=pipeline_id))


async def test_values_of_a_form_are_the_result_that_later_nodes_use(local: Local) -> None:
    root = co.Serial(image="busybox")
    root["ask"] = co.Approve("Release?", fields={"version": str, "canary": 10})
    root["release"] = co.Exec('cat "$CONDUCTO_RUN_DIR/inputs"', results=["/ask"])
    run = await local.launch(root)
    await run.until("/ask", "queued")
    shown = await run.node("/ask")
    assert shown.approval is not None
    assert [each.name for each in shown.approval.fields] == ["version", "canary"]
    with pytest.raises(DefinitionError, match="/ask: version has no value; give a text"):
        await decide(run, approve=True)
    with pytest.raises(DefinitionError, match="/ask: a rejection has no values"):
        await decide(run, approve=False, values={"version": "2"})

    attempt = await decide(run, approve=True, values={"version": "2.1", "canary": "25"})

    await run.settled()
    assert attempt.decision is not None
    assert attempt.decision.values == {"version": "2.1", "canary": 25}
    assert set((await run.states()).values()) == {"done"}
    result = await run.local.pipelines.get_result(OutputParams(id=run.id, path="/ask"))
    assert result.value == {"version": "2.1", "canary": 25}
    assert b'"canary": 25' in await run.output("/release")


async def test_values_of_a_form_outlast_the_agent(tmp_path: Path) -> None:
    root = co.Serial(image="busybox")
    root["ask"] = co.Approve("Release?", fields={"version": str})
    root["also"] = co.Approve("Really?")
    root["release"] = co.Exec('cat "$CONDUCTO_RUN_DIR/inputs"', results=["/ask"])
    async with local_runner(tmp_path, "process") as first:
        run = await first.launch(root)
        await run.until("/ask", "queued")
        await decide(run, approve=True, values={"version": "2.1"})
        await run.until("/also", "queued")

    async with local_runner(tmp_path, "process") as second:
        run = Run(second, await run_summary(second, run.id))
        await run.until("/also", "queued")
        await decide(run, "/also", approve=True)
        await run.settled()

        assert b"2.1" in await run.output("/release")
