"""The whole cloud when things go wrong around it."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import conducto as co
from conducto_core.run.model.requests import Action
from conducto_core.run.model.states import Cause
from conducto_core.workers.model import Claim, ClaimDecision, Report, WorkerEnd
from conducto_emulator.tasks.tasks import Knobs
from conducto_worker.agent.port import PolledTask, RefusedError
from support.cloud.emulated import ByHand, Cloud, Run
from support.stand_ins import call

pytestmark = [pytest.mark.docker, pytest.mark.cloud]

DAILY = {
    "version": "0",
    "id": "00000000-0000-0000-0000-000000000000",
    "detail-type": "Scheduled Event",
    "source": "aws.events",
    "account": "123456789012",
    "time": "2026-01-01T00:00:00Z",
    "region": "us-east-1",
    "resources": [],
    "detail": {},
}


@pytest.fixture(autouse=True)
def _as_before(whole: Any) -> Iterator[None]:
    yield
    whole.board.knobs = Knobs()
    whole.bus.copies = 1
    whole.gateway.away = False


def serial(image: str = "busybox:latest", **commands: str) -> Any:
    root = co.Serial(image=image, cpu=0.25, mem=0.25)
    for name, command in commands.items():
        root[name] = co.Exec(command)
    return root


def test_events_delivered_three_times_count_once(me: Cloud) -> None:
    me.emulator.bus.copies = 3

    run = me.run(serial(a="true", b="exit 1", c="true"))

    assert run.states() == {"/": "error", "/a": "done", "/b": "error", "/c": "pending"}
    assert len(run.attempts("/a")) == len(run.attempts("/b")) == 1


def test_an_image_that_cannot_be_pulled_fails_the_node(me: Cloud) -> None:
    run = me.run(serial("conducto-test/there-is-none:latest", a="true"))

    (attempt,) = run.attempts("/a")
    assert run.state("/a") == "error"
    assert str(attempt.cause) == "image"
    assert str(attempt.message).startswith(
        "image 'conducto-test/there-is-none:latest': not on this machine and cannot be pulled. "
        "Check its spelling, that you are logged in (docker login), and the network. The engine "
        "reported: "
    )


def test_an_image_without_a_shell_fails_the_node(me: Cloud) -> None:
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("nothing"))
    where: dict[str, object] = {"fromSrc": "-", "repo": "conducto-test/no-shell", "tag": "latest"}
    call("POST", "/images/create", where, body=tar.getvalue())

    run = me.run(serial("conducto-test/no-shell:latest", a="true"))
    call("DELETE", "/images/conducto-test/no-shell:latest")

    (attempt,) = run.attempts("/a")
    assert str(attempt.cause) == "image"
    assert "/bin/sh" in (attempt.message or "")


def test_capacity_error_is_reported(me: Cloud) -> None:
    me.emulator.board.knobs.refusal = "Capacity is unavailable at this time"
    run = me.launch(serial(a="echo a"))
    run.until(lambda: "apacity" in (run.node("/a").waits_for or ""), "the queue said why")

    assert run.attempts("/a") == ()
    run.control(Action.KILL, "/")
    run.settled()


def test_no_worker_is_left_when_a_pipeline_is_killed_while_they_start(me: Cloud) -> None:
    me.emulator.board.knobs.delay = 3600
    run = me.launch(serial(a="true"))
    run.until(lambda: bool(me.emulator.board.list(started_by=run.id, stopped=False)), "one started")

    run.control(Action.KILL, "/")
    run.settled()

    run.until(lambda: not me.emulator.board.list(started_by=run.id, stopped=False), "it went")


def test_two_workers_claim_one_task_and_one_wins(me: Cloud) -> None:
    me.emulator.board.knobs.delay = 3600
    root = co.Parallel(image="busybox:latest", cpu=0.25, mem=0.25)
    root["a"] = co.Exec("true")
    root["b"] = co.Exec("true")
    run = me.launch(root)
    run.until(lambda: len(me.emulator.board.list(started_by=run.id, stopped=False)) == 2, "two")
    workers = [
        ByHand(me, task) for task in me.emulator.board.list(started_by=run.id, stopped=False)
    ]
    offer = workers[0].offer()

    with ThreadPoolExecutor(2) as pool:
        responses = list(pool.map(lambda worker: worker.claim(offer), workers))

    verdicts = [response.decision for response in responses]
    assert verdicts.count(ClaimDecision.RUN) == 1, verdicts
    winner = verdicts.index(ClaimDecision.RUN)
    path = responses[winner].path
    assert len(run.attempts(path)) == 1
    with pytest.raises(RefusedError, match="does not run on this worker"):
        workers[1 - winner].api.report(Report(path=path, attempt=1))
    assert run.state(path) == "running"
    workers[winner].api.report(Report(path=path, attempt=1, exit_code=0))
    run.until(lambda: run.state(path) == "done", "it was done", 10)
    late = Report(path=path, attempt=1, cause=Cause.EXIT_CODE, exit_code=1)
    workers[winner].api.report(late)
    assert run.state(path) == "done"
    run.control(Action.KILL, "/")


def test_a_task_that_a_leaving_worker_gives_back_goes_to_the_next_one(me: Cloud) -> None:
    me.emulator.board.knobs.delay = 3600
    run = me.launch(serial(a="true"))

    def tasks() -> list[Any]:
        return list(me.emulator.board.list(started_by=run.id, stopped=False))

    run.until(lambda: len(tasks()) == 1, "a worker was started")
    (gone,) = tasks()
    first = ByHand(me, gone)
    offer = first.offer()
    handed = Claim(token=offer.token, run=offer.run, node=offer.node)
    first.api.end(WorkerEnd(reason="stopping", offer=handed))
    run.until(lambda: any(task.arn != gone.arn for task in tasks()), "another one was started")
    second = ByHand(me, next(task for task in tasks() if task.arn != gone.arn))
    found: list[PolledTask | None] = []

    # Sooner than a heartbeat that is missed would have it offered again.
    run.until(lambda: found.append(second.poll()) or found[-1] is not None, "the task came", 30)

    assert found[-1] is not None
    assert found[-1].node == offer.node
    assert second.claim(found[-1]).decision is ClaimDecision.RUN
    second.api.report(Report(path="/a", attempt=1, exit_code=0))
    run.settled()
    assert [str(each.state) for each in run.attempts("/a")] == ["done"]


def test_pipelines_are_invisible_to_another_org(me: Cloud) -> None:
    run = me.run(serial(a="true"))
    other = Cloud(me.emulator, me.org + "-other")

    listed = [each.pipeline.id for each in other.client.list()]
    with pytest.raises(Exception, match=run.id) as caught:
        other.client.get(run.id)
    other.close()

    assert run.id not in listed
    assert "no pipeline" in str(caught.value)


def test_archived_pipeline_leaves_nothing_at_aws_and_can_run_again(me: Cloud) -> None:
    states, ecs = me.aws("stepfunctions"), me.aws("ecs")

    def kept(run: Run) -> tuple[list[str], list[str], set[str]]:
        machines = [each["name"] for each in states.list_state_machines()["stateMachines"]]
        families = ecs.list_task_definitions(status="ACTIVE")["taskDefinitionArns"]
        activities = {each["name"] for each in states.list_activities()["activities"]}
        return (
            [name for name in machines if run.id in name],
            [name for name in families if run.id in name],
            activities - before,
        )

    before = {each["name"] for each in states.list_activities()["activities"]}
    run = me.run(serial(a="true"))
    assert all(kept(run)[1:])
    run.until(lambda: not kept(run)[0], "its machine went with its run")

    run.control(Action.ARCHIVE)
    run.until(lambda: not me.emulator.board.list(started_by=run.id, stopped=False), "workers left")
    run.until(lambda: not kept(run)[2], "its activity went")
    me.emulator.functions.call("every_day", DAILY)

    assert kept(run) == ([], [], set())
    run.control(Action.WAKE)
    run.control(Action.RESET, "/a")
    run.control(Action.RUN)
    run.settled()
    assert [str(each.state) for each in run.attempts("/a")] == ["done", "done"]
