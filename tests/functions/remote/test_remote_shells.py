"""Debug shells on workers of the cloud: opened, entered, counted and ended."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.fakes.cloud.workers import first_start

from chalicelib.errors import PlanLimitError, ThrottledError
from chalicelib.people.port import Identity
from chalicelib.people.tokens import digest_of, new_token
from chalicelib.secrets.injection import org_scope, user_scope
from chalicelib.workers.output_handlers import WorkerGoneError
from chalicelib.workers.port import TaskEnd
from conducto_core.billing.rules import BillingPlan
from conducto_core.command.task_layout import ENTER
from conducto_core.debug.model import (
    MAX_SECONDS,
    RemoteShell,
    RemoteShellParams,
    RemoteShellRequest,
)
from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.run.model.params import PipelineParams
from conducto_core.workers.model import Claim, Heartbeat, WorkerEnd
from support.cloud.world import EVERYTHING, LARGE, ME, STRANGER, WorkerCalls, World
from support.trees import leaf, serial

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.workers.port import WorkerTask
    from conducto_core.workers.model import WorkerInstructions

COLLEAGUE = Identity(ME.org, "cem", EVERYTHING)
DAY = 86_400.0


class Desk:
    """A pipeline with a node that has failed, and requests about shells."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.keys: dict[str, str] = defaultdict(lambda: new_token()[0])
        tree = serial(leaf("build", command="make", __env__A="1"), leaf("test"))
        self.id = world.launch(tree)
        world.serve()
        (worker,) = world.living()
        worker.finish(exit_code=2)
        world.serve()
        worker.leave()
        world.deliver()

    def open(self, me: Identity = ME, **request: object) -> RemoteShell:
        wanted = RemoteShellRequest(**{"path": "/build", **request})
        return asyncio.run(
            self.world.pipelines(me).open_remote_shell(PipelineParams(id=self.id), wanted)
        )

    def task(self, shell: RemoteShell) -> tuple[str, WorkerTask]:
        (found,) = [(a, t) for a, t in self.world.fleet.tasks.items() if t.worker_id == shell.id]
        return found

    def agent(self, shell: RemoteShell) -> Identity:
        found = self.world.tokens.find(digest_of(self.task(shell)[1].token))
        assert found is not None
        return found

    def start(self, shell: RemoteShell) -> WorkerInstructions:
        """Let the shell's agent come up."""
        instructions = self.desk.start(
            self.agent(shell), first_start(self.task(shell)[0], key=self.keys[shell.id])
        )
        assert not self.heartbeat(shell)
        return instructions

    def heartbeat(self, shell: RemoteShell) -> bool:
        return self.desk.heartbeat(self.agent(shell), Heartbeat(path="/build", attempt=1)).stop

    @property
    def desk(self) -> WorkerCalls:
        return WorkerCalls(self.world.services)

    def enter(self, shell: RemoteShell, me: Identity = ME):
        return asyncio.run(
            self.world.pipelines(me).enter_remote_shell(
                RemoteShellParams(id=shell.pipeline, shell=shell.id)
            )
        )

    def end(self, shell: RemoteShell, me: Identity = ME) -> None:
        asyncio.run(
            self.world.pipelines(me).end_remote_shell(
                RemoteShellParams(id=shell.pipeline, shell=shell.id)
            )
        )

    def stopped(self, shell: RemoteShell) -> bool:
        return self.task(shell)[0] in self.world.fleet.stopped

    def why_over(self, shell: RemoteShell) -> str | None:
        found = self.world.shells.find(shell.pipeline, shell.id)
        assert found is not None
        return found.ended

    @property
    def workers(self) -> int:
        return self.world.orgs.workers(ME.org)


@pytest.fixture
def world() -> World:
    made = World()
    made.vault.write(org_scope(ME.org), {"SHARED": {"value": "of-all"}})
    made.vault.write(user_scope(ME.org, ME.user), {"TOKEN": {"value": "of-ann"}})
    return made


@pytest.fixture
def desk(world: World) -> Desk:
    return Desk(world)


def test_a_shell_has_a_worker_like_that_of_the_attempt(desk: Desk) -> None:
    shell = desk.open()
    _, task = desk.task(shell)

    assert (shell.path, shell.attempt, shell.image) == ("/build", 1, "busybox")
    assert (task.image, task.shell, task.user, task.spot) == ("busybox", True, "ann", False)
    assert (task.cpu, task.mem) == (1.0, 2.0)


def test_shell_agent_receives_the_plan_of_the_shell(desk: Desk) -> None:
    instructions = desk.start(desk.open(seconds=600))

    assert instructions.policy == "debug"
    assert instructions.credentials is None
    assert instructions.debug is not None
    assert instructions.debug.script == "#!/bin/sh\nmake\n"
    assert instructions.debug.argv == ("/bin/sh",)
    assert instructions.debug.env["A"] == "1"
    assert instructions.debug.env["CONDUCTO_EXECUTION_ENV"] == "worker_cloud"
    shown = {name: value.get_secret_value() for name, value in instructions.debug.secrets.items()}
    assert shown == {"SHARED": "of-all", "TOKEN": "of-ann"}
    assert instructions.debug.seconds == 600
    assert "of-ann" not in repr(instructions)


def test_secrets_are_in_nothing_that_aws_keeps(desk: Desk) -> None:
    shell = desk.open()
    desk.start(shell)
    desk.enter(shell)

    assert "of-ann" not in repr(desk.task(shell))
    assert desk.world.fleet.entered == [(desk.task(shell)[0], ENTER)]


def test_it_can_be_entered_once_its_agent_and_aws_are_ready(desk: Desk) -> None:
    shell = desk.open()
    assert desk.enter(shell).state == "starting"

    desk.start(shell)
    desk.world.fleet.closed = True
    assert desk.enter(shell).state == "starting"

    desk.world.fleet.closed = False
    entry = desk.enter(shell)
    assert entry.state == "ready"
    assert entry.session is not None
    assert entry.session.token.get_secret_value() not in repr(entry)


def test_a_colleague_gets_a_shell_with_secrets_and_data_of_their_own(desk: Desk) -> None:
    shell = desk.open(COLLEAGUE)
    instructions = desk.start(shell)

    assert instructions.debug is not None
    assert set(instructions.debug.secrets) == {"SHARED"}
    assert desk.task(shell)[1].user == "cem"
    assert any("commands have those of ann" in note for note in shell.notes)


def test_shells_of_other_users_cannot_be_entered(desk: Desk) -> None:
    shell = desk.open()
    desk.start(shell)

    with pytest.raises(RefusedError, match="open your own shell"):
        desk.enter(shell, COLLEAGUE)
    for act in (desk.enter, desk.end):
        with pytest.raises(NotFoundError):
            act(shell, STRANGER)


def test_debug_shell_counts_as_a_worker_until_it_ends(desk: Desk) -> None:
    assert desk.workers == 0
    shell = desk.open()
    assert desk.workers == 1

    desk.end(shell)
    desk.end(shell)
    assert desk.workers == 0
    assert desk.stopped(shell)
    assert desk.heartbeat(shell)


def test_pipeline_that_waits_gets_the_worker_of_an_ended_shell_at_once() -> None:
    desk = Desk(World(replace(LARGE, max_workers=1)))
    shell = desk.open()
    waiting = desk.world.launch(leaf())

    desk.end(shell)

    assert waiting in {task.pipeline_id for task in desk.world.fleet.tasks.values()}


def test_where_the_plan_has_no_worker_left_it_is_refused_and_nothing_starts() -> None:
    desk = Desk(World(replace(LARGE, max_workers=1)))
    desk.open()
    tasks = len(desk.world.fleet.tasks)

    with pytest.raises(PlanLimitError, match="allows 1 workers"):
        desk.open()
    assert len(desk.world.fleet.tasks) == tasks
    assert desk.workers == 1


def test_where_the_months_minutes_are_used_up_it_is_refused() -> None:
    desk = Desk(World(BillingPlan(max_workers=5, exec_minutes=1.0)))
    desk.world.orgs.add_usage(ME.org, "1970-01", "x", 61.0, 1.0)

    with pytest.raises(RefusedError, match="worker minutes per month"):
        desk.open()


def test_a_worker_larger_than_the_plan_allows_by_now_is_refused(desk: Desk) -> None:
    desk.world.orgs.set_plan(ME.org, replace(LARGE, max_cpu=0.5))

    with pytest.raises(RefusedError, match=r"/build: cpu=1 is more than your plan allows"):
        desk.open()
    assert desk.workers == 0


def test_its_time_is_metered_once(desk: Desk) -> None:
    before = desk.world.orgs.usage(ME.org, "1970-01")["exec_seconds"]
    shell = desk.open()
    desk.world.now += 90
    desk.end(shell)
    desk.end(shell)

    assert desk.world.orgs.usage(ME.org, "1970-01")["exec_seconds"] - before == 90


def test_capacity_error_is_reported_and_leaves_no_shell(desk: Desk) -> None:
    desk.world.fleet.full = True

    with pytest.raises(RefusedError, match=r"no capacity .*Capacity is unavailable.*retry later"):
        desk.open()
    assert desk.workers == 0
    assert list(desk.world.shells.all_open()) == []


def test_an_installation_may_have_none(desk: Desk) -> None:
    desk.world.use(remote_debug=False)

    with pytest.raises(RefusedError, match=r"remote_debug is false.*omit --remote"):
        desk.open()


@pytest.mark.parametrize(
    ("request_", "error", "message"),
    [
        ({"path": "/nothing"}, NotFoundError, "no such node"),
        ({"path": "/"}, RefusedError, "runs no command of its own"),
        ({"attempt": 7}, NotFoundError, r"no attempt 7 \(there are: 1\)"),
    ],
)
def test_nodes_without_a_shell_are_rejected_before_anything_is_counted(
    desk: Desk, request_: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        desk.open(**request_)
    assert desk.workers == 0


def test_no_shell_may_be_asked_for_longer_than_the_most() -> None:
    with pytest.raises(ValueError, match="less than or equal"):
        RemoteShellRequest(path="/a", seconds=MAX_SECONDS + 1)


def test_an_archived_pipeline_has_no_shells(desk: Desk) -> None:
    shell = desk.open()
    desk.world.control(desk.id, "archive")

    assert desk.stopped(shell)
    assert desk.workers == 0
    with pytest.raises(RefusedError, match="wake it first"):
        desk.open()


def test_the_way_to_the_files_stays_while_a_shell_is_stopped(desk: Desk) -> None:
    """The archive deletes the access point; the task that mounts it was stopped before."""
    shell = desk.open()
    stops: list[bool] = []
    released = desk.world.fleet.release
    desk.world.fleet.release = lambda pipeline: (  # type: ignore[method-assign]
        stops.append(desk.stopped(shell)),
        released(pipeline),
    )[1]
    desk.world.control(desk.id, "archive")

    assert stops
    assert all(stops)


def test_the_minute_rule_leaves_a_live_shell_alone(desk: Desk) -> None:
    shell = desk.open()
    desk.start(shell)
    for _ in range(5):
        desk.world.minute()
        desk.world.reconciler().look_at(ME.org, desk.id)

    assert not desk.stopped(shell)
    assert desk.why_over(shell) is None
    assert not desk.heartbeat(shell)


def test_the_minute_rule_ends_a_shell_past_its_time(desk: Desk) -> None:
    shell = desk.open(seconds=120)
    desk.start(shell)
    desk.world.minute()
    desk.world.minute()

    assert desk.stopped(shell)
    assert desk.why_over(shell) == "the time limit was reached"
    assert desk.workers == 0


def test_heartbeat_after_the_time_limit_ends_the_shell(desk: Desk) -> None:
    shell = desk.open(seconds=60)
    desk.start(shell)
    desk.world.now += 60

    assert desk.heartbeat(shell)
    assert desk.workers == 0


def test_a_shell_whose_stop_is_lost_stays_counted_and_is_stopped_by_the_next_minute(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    shell = desk.open(seconds=60)
    desk.start(shell)
    stop = desk.world.fleet.stop

    def fail(_arn: str, _reason: str) -> None:
        raise OSError("AWS is unreachable")

    desk.world.fleet.stop = fail  # type: ignore[method-assign]
    desk.world.minute(61)
    assert desk.workers == 1
    (said,) = [each for each in caplog.records if each.message == "a debug shell was not checked"]
    assert said.__dict__["worker"] == shell.id  # `infra.stacks.monitoring` counts these

    desk.world.fleet.stop = stop  # type: ignore[method-assign]
    desk.world.minute()
    assert desk.stopped(shell)
    assert desk.workers == 0


def test_writes_that_others_were_in_the_way_of_are_tried_again(desk: Desk) -> None:
    shells, tries = desk.world.shells, []

    def after_two(write: Callable[..., Any]) -> Callable[..., Any]:
        left = [ThrottledError("later")] * 2

        def tried(*given: Any) -> Any:
            tries.append(write.__name__)
            if left:
                raise left.pop()
            return write(*given)

        return tried

    for name in ("open", "end"):
        setattr(shells, name, after_two(getattr(shells, name)))
    desk.end(desk.open())

    assert tries == ["open"] * 3 + ["end"] * 3
    assert desk.workers == 0


def test_lost_shell_worker_is_not_counted_forever(desk: Desk) -> None:
    desk.world.fleet.deaf = True
    shell = desk.open()
    desk.world.minute()
    assert desk.workers == 1

    desk.world.minute(120)
    assert desk.workers == 0
    assert desk.why_over(shell) == "its task no longer exists"


def test_task_of_an_ended_shell_is_not_a_worker_of_its_pipeline(desk: Desk) -> None:
    """Its stop was lost on the way, and the pipeline is checked."""
    shell = desk.open()
    desk.end(shell)
    arn, _ = desk.task(shell)
    desk.world.fleet.stopped.remove(arn)

    desk.world.reconciler().look_at(ME.org, desk.id)

    assert arn in desk.world.fleet.stopped


def test_stop_reason_of_a_task_is_shown_to_the_waiting_user(desk: Desk) -> None:
    shell = desk.open()
    arn, _ = desk.task(shell)
    desk.world.fleet.stopped.append(arn)
    desk.world.fleet.reasons[arn] = "CannotPullContainerError: no such image"

    with pytest.raises(RefusedError, match="the shell has ended: CannotPullContainerError"):
        desk.enter(shell)
    assert desk.workers == 0


def test_stopped_task_event_ends_the_shell_and_not_its_pipeline(desk: Desk) -> None:
    shell = desk.open()
    before = desk.world.states(desk.id)

    for _ in range(2):
        desk.world.reconciler().task_stopped(
            desk.id, shell.id, TaskEnd("Task stopped by user", exit_code=1)
        )

    assert desk.workers == 0
    assert desk.world.states(desk.id) == before


def test_agent_logs_the_reason_of_its_exit(desk: Desk) -> None:
    shell = desk.open()
    desk.start(shell)
    desk.desk.end(desk.agent(shell), WorkerEnd(reason="no session was opened"))
    desk.desk.end(desk.agent(shell), WorkerEnd(reason="no session was opened"))

    assert desk.why_over(shell) == "no session was opened"
    assert desk.workers == 0


def test_agent_of_an_ended_shell_is_stopped(desk: Desk) -> None:
    shell = desk.open()
    agent = desk.agent(shell)
    desk.end(shell)

    with pytest.raises(WorkerGoneError):
        desk.desk.start(agent, first_start(desk.task(shell)[0]))


def test_the_token_of_a_shells_agent_is_good_for_no_tasks(desk: Desk) -> None:
    shell = desk.open()

    with pytest.raises(WorkerGoneError):
        desk.desk.claim(desk.agent(shell), Claim(token="t", run="r", node="n"))
    with pytest.raises(WorkerGoneError):
        desk.desk.upload(desk.agent(shell))


def test_pipeline_with_an_open_shell_is_not_archived_for_its_age(desk: Desk) -> None:
    shell = desk.open(seconds=MAX_SECONDS)
    record = desk.world.store.record(ME.org, desk.id)
    assert record is not None
    desk.world.now += (record.retention + 1) * DAY

    assert desk.world.services.retention.run() == 0
    desk.end(shell)
    assert desk.world.services.retention.run() == 1
