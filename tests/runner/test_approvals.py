"""Approvals on a real runner: no container waits, and the decision is kept."""

import time

import pytest

import conducto as co
from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.model.approvals import DecideApproval, WaitingApproval
from conducto_core.model.params import PipelineParams
from conducto_core.model.records import AttemptRecord
from conducto_core.model.states import Cause
from conducto_local.api.approvals import DECIDER
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

    token = DECIDER.set("ada@example.com")  # as the link does, in the task of a request
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
    await decide(run, approve=True)
    await run.settled()
    assert (await run.states())["/"] == "done"


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
