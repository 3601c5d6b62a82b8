"""Reports with the claim of the next task: one request, mostly one entry, and nothing is lost."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.run.model import HealthChecked
from chalicelib.services import Services
from chalicelib.workers.port import TaskEnd
from conducto_core.billing.rules import BillingPlan
from conducto_core.errors import RefusedError
from conducto_core.run.model.states import Cause
from conducto_core.workers.model import Report
from support.cloud.world import ME, Hand, WorkerCalls, World, claim_of, offers_of
from support.trees import form, lazy, leaf, parallel

LICENCE = {"name": "licence", "number": 1, "priority": 0}
RETRY = [["error", ["retry", {"max_num_retries": 1}]]]


def busy(*nodes: Any, workers: int = 1, **more: Any) -> tuple[World, str, Hand]:
    """Return a pipeline of which the workers run the first nodes, and the worker of the first."""
    world = World()
    world.orgs.set_plan(ME.org, BillingPlan("small", workers, 1000, 16, None))
    pipeline = world.launch(parallel(*nodes, **more))
    world.serve()
    running = world.running()
    return world, pipeline, running[min(running)]


def entries(world: World, pipeline: str) -> int:
    return len(world.store.news(pipeline, 0).entries)


def run_out(world: World, pipeline: str) -> None:
    """Run the rest: every node ran once, and no execution waits for a task."""
    world.run_out()
    states = world.states(pipeline)
    assert set(states.values()) == {"done"}
    assert all(len(world.attempts(pipeline, path)) < 2 for path in states)
    assert {world.machines.status(arn) for arn in world.machines.executions.values()} == {
        "SUCCEEDED"
    }


def request(world: World, hand: Hand) -> Report:
    """Return a report with the claim of the next task."""
    assert hand.job is not None
    offer = world.poll(hand.instructions.activity)
    assert offer is not None
    claim = claim_of(offer)
    return Report(path=hand.job.path, attempt=hand.job.attempt, exit_code=0, next=claim)


def test_report_starts_the_next_command_in_one_entry() -> None:
    world, pipeline, hand = busy("a", "b", "c")
    before = entries(world, pipeline)

    hand.finish(early=True)

    assert hand.job is not None
    assert (hand.job.path, entries(world, pipeline)) == ("/b", before + 1)
    assert world.states(pipeline)["/a"] == "done"
    run_out(world, pipeline)


@pytest.mark.parametrize(("workers", "known"), [(1, [True, True, False]), (2, [True, False])])
def test_workers_know_whether_their_pool_has_a_backlog(workers: int, known: list[bool]) -> None:
    _, _, hand = busy("a", "b", "c", workers=workers)
    found = []
    while hand.job is not None:
        found.append(hand.job.backlog)
        hand.finish(early=True)
    assert found == known


def test_report_frees_the_place_of_its_group_for_the_next_command() -> None:
    world, pipeline, hand = busy("a", "b", max_concurrent=1)
    before = entries(world, pipeline)

    hand.finish(early=True)

    assert hand.job is not None
    assert (hand.job.path, entries(world, pipeline)) == ("/b", before + 1)


def test_repeated_report_gets_the_same_command_and_repeats_lost_effects() -> None:
    world, pipeline, hand = busy("a", "b", "c")
    report = request(world, hand)

    class Lost:
        def __getattr__(self, name: str) -> Any:
            raise ConnectionError(name)

    dying = WorkerCalls(Services(world.over(machines=Lost())))
    first = dying.report(hand.identity, report)
    before = entries(world, pipeline)

    assert hand.report(report) == first
    assert first.next.path == "/b"
    assert not first.task_open
    assert entries(world, pipeline) == before
    hand.job = first.next
    assert report.next is not None
    hand.token = report.next.token
    run_out(world, pipeline)


def test_late_report_does_not_claim_its_next_task_again() -> None:
    world, pipeline, hand = busy("a", "b", "c")
    report = request(world, hand)
    hand.job = hand.report(report).next
    hand.finish(early=True)

    with pytest.raises(RefusedError, match="attempt 1 does not run"):
        hand.report(report)
    assert hand.job is not None
    assert hand.job.path == "/c"
    run_out(world, pipeline)


def test_task_of_a_worker_that_must_stop_is_offered_to_others_at_once() -> None:
    world, pipeline, hand = busy("a", "b", "c", workers=2)
    world.engine.submit(ME.org, pipeline, lambda _: HealthChecked(time=world.now, keeps=1))
    report = request(world, hand)

    response = hand.report(report)

    assert response.leave
    assert response.next is not None
    assert response.next.decision == "drop"
    assert report.next is not None
    assert [offer.data["n"] for offer in offers_of(world)] == [report.next.node]
    hand.leave()
    run_out(world, pipeline)


def test_task_of_a_lost_worker_is_offered_to_others_at_once() -> None:
    world, pipeline, hand = busy(leaf("a", retry_lost=1), "b")
    world.reconciler().task_stopped(pipeline, hand.id, TaskEnd("Spot"))

    hand.finish(early=True)

    assert not hand.alive
    world.run_out()
    assert set(world.states(pipeline).values()) == {"done"}
    assert len(world.attempts(pipeline, "/b")) == 1


def test_retried_command_runs_before_the_next_one() -> None:
    world, pipeline, hand = busy(leaf("a", callbacks=RETRY), "b")

    hand.finish(Cause.EXIT_CODE, early=True)

    assert (hand.job, len(hand.held)) == (None, 2)
    world.serve()
    assert world.running()["/a"] is hand
    world.run_out()
    assert set(world.states(pipeline).values()) == {"done"}
    assert len(world.attempts(pipeline, "/b")) == 1


def test_named_limit_is_released_before_the_next_command_acquires_it() -> None:
    world, pipeline, hand = busy(leaf("a", limits=[LICENCE]), leaf("b", limits=[LICENCE]))

    hand.finish(early=True)

    assert hand.job is not None
    assert hand.job.path == "/b"
    run_out(world, pipeline)


def test_report_of_a_generated_tree_may_have_a_claim() -> None:
    world, pipeline, hand = busy(lazy("a"), "b")

    hand.finish(tree=form(parallel("x", "y")), early=True)

    assert hand.job is not None
    assert hand.job.path == "/b"
    run_out(world, pipeline)


def test_secrets_that_cannot_be_read_do_not_delay_the_report() -> None:
    world, pipeline, hand = busy("a", "b")
    report = request(world, hand)

    class Denied:
        def __getattr__(self, name: str) -> Any:
            raise PermissionError(name)

    calls = WorkerCalls(Services(world.over(vault=Denied())))
    with pytest.raises(PermissionError):
        calls.report(hand.identity, report)

    assert world.states(pipeline)["/a"] == "done"
    hand.job = hand.report(report).next
    assert hand.job is not None
    run_out(world, pipeline)
