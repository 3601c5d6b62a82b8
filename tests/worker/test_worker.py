"""The agent's life against a world without time: what it asks, runs, says, and why it leaves."""

from __future__ import annotations

import base64
import gzip
import json
import logging
from hashlib import sha256
from typing import Any

import pytest
from tests.fakes.worker import FakeApi, FakeClock, FakeCommand, FakeCommands, FakeTasks

from conducto.wire.outputs import FRAME_START, frame
from conducto.wire.services import merged, to_services
from conducto_core.command.json_logs import JsonLines
from conducto_core.command.output import CLOSE, OPEN
from conducto_core.command.usage import Reading, resources_in
from conducto_core.results.model import OutputSummary
from conducto_core.results.outputs import metrics_in
from conducto_core.run.model.states import Cause
from conducto_core.services.rules import of_agent, to_agent
from conducto_core.workers.model import ClaimDecision, ClaimResponse, Report, WorkerInstructions
from conducto_worker.agent import command as execution
from conducto_worker.agent.heartbeats import HeartbeatSender
from conducto_worker.agent.log_shipper import CHUNK_BYTES, LogShipper
from conducto_worker.agent.port import PolledTask, RefusedError, WorkerApiError, WorkerGoneError
from conducto_worker.agent.services import Services
from conducto_worker.agent.usage import Sampler
from conducto_worker.agent.views import Views
from conducto_worker.agent.worker import MAX_TREE_IN_REPORT, Worker, WorkerExit

HOLD = ClaimResponse(decision=ClaimDecision.HOLD, retry_after=2.0)
FULL = ClaimResponse(decision=ClaimDecision.HOLD, retry_after=2.0, blocked=True)
DROP = ClaimResponse(decision=ClaimDecision.DROP)


def go(script: str, path: str = "/a", **more: Any) -> ClaimResponse:
    """Return the response to run a command, by default in a pool with a backlog."""
    given = {"backlog": True, **more}
    return ClaimResponse(decision=ClaimDecision.RUN, path=path, attempt=1, script=script, **given)


def offer(node: str, *, waits: bool = False) -> PolledTask:
    return PolledTask(f"token-{node}", "run-1", node, waits)


class World:
    def __init__(
        self,
        *offers: PolledTask,
        scripts: Any = None,
        services: Any = (),
        containers: Any = ((),),
        views: Views | None = None,
        **instructions: Any,
    ) -> None:
        self.clock = FakeClock()
        self.beside = of_agent(to_agent(merged((), to_services(dict(services)))))
        self.containers = list(containers)
        given = {"activity": "arn:activity", "region": "us-east-1", **instructions}
        self.api = FakeApi(WorkerInstructions(**given))
        self.tasks = FakeTasks(self.clock, offers)
        self.commands = FakeCommands(self.clock, scripts)
        self.shipper = LogShipper(self.api, self.clock)
        self.keeper = HeartbeatSender(self.api, self.tasks, self.shipper)
        self.readings: list[Reading | None] = []
        self.sampler = Sampler(self._used, self.shipper, self.clock, lambda: 5000.0)
        self.clock.meanwhile = [self.keeper.beat, self.shipper.step, self.sampler.step]
        self.worker = Worker(
            self.api,
            self.tasks,
            self.commands,
            keeper=self.keeper,
            shipper=self.shipper,
            sampler=self.sampler,
            clock=self.clock,
            services=Services(self.beside, lambda _path: self.metadata(), self.clock),
            instructions=self.api.instructions,
            views=views,
        )

    def metadata(self) -> Any:
        """Return the scripted containers of the task; the last ones stay."""
        containers = self.containers.pop(0) if len(self.containers) > 1 else self.containers[0]
        return {"Containers": containers}

    def _used(self) -> Reading | None:
        """Return the scripted usage of the user's container; then one CPU, 1 MB."""
        if self.readings:
            return self.readings.pop(0)
        return Reading(self.clock.now(), 1_000_000)

    def say(self, **decisions: Any) -> World:
        for node, responses in decisions.items():
            given = responses if isinstance(responses, list) else [responses, DROP]
            self.api.decisions[node] = given
        return self

    def run(self) -> WorkerExit:
        return self.worker.run()

    def log(self, stream: str = "stdout") -> bytes:
        chunks = [each for each in self.api.chunks if each.stream == stream]
        return b"".join(map(self.api.sent, chunks))


def test_a_task_is_claimed_run_and_reported() -> None:
    command = FakeCommand([("stdout", b"hi\n"), ("stderr", b"err\n")], seconds=3, peak=99)
    world = World(offer("a"), scripts={"echo hi": command}).say(a=go("echo hi"))

    reason = world.run()

    (report,) = world.api.reports
    assert (report.path, report.attempt, report.cause, report.exit_code) == ("/a", 1, None, 0)
    assert report.peak_memory == 99
    assert report.output_bytes == len(b"hi\nerr\n")
    assert report.seconds == pytest.approx(3, abs=0.5)
    assert (world.log(), world.log("stderr")) == (b"hi\n", b"err\n")
    assert str(reason) == "idle"
    assert [end.reason for end in world.api.ends] == ["idle"]


def test_a_warm_worker_asks_after_each_idle_minute_whether_it_stays() -> None:
    world = World()
    world.api.warm = 2
    began = world.clock.now()

    reason = world.run()

    assert str(reason) == "idle"
    assert [end.reason for end in world.api.ends] == ["idle"] * 3
    assert world.clock.now() - began == pytest.approx(180, abs=3)


def test_result_is_sent_as_a_stream_and_summarised_in_the_report() -> None:
    left = {"result": b'{"key": "hunter2!"}', "metrics": b'{"name": "m", "value": 1}\noops\n'}
    command = FakeCommand([("stderr", b"half hunter")], files=left)
    world = World(offer("a"), scripts={"x": command})
    world.say(a=go("x", masked=("hunter2!",), inputs='{"/b": 1}'))

    world.run()

    assert world.api.reports[0].outputs == OutputSummary(result=18, metrics=("m",))
    assert world.log("result") == b'{"key":"********"}'
    assert b'"values":[1.0]' in world.log("metrics")
    said = b"half hunterconducto: 1 points of metrics were not kept: they are invalid"
    assert world.log("stderr").startswith(said)
    assert world.commands.inputs == ['{"/b": 1}']


def test_failed_command_is_reported_as_failed() -> None:
    world = World(offer("a"), scripts={"false": FakeCommand(code=3)}).say(a=go("false"))

    world.run()

    assert world.api.reports[0].cause is Cause.EXIT_CODE
    assert world.api.reports[0].exit_code == 3


def test_task_of_a_retried_command_is_claimed_again() -> None:
    world = World(offer("a"), scripts={"x": FakeCommand(code=1)})
    world.say(a=[go("x"), go("y"), DROP])
    world.api.task_open = [True]

    world.run()

    assert world.commands.began == ["x", "y"]
    assert world.tasks.polls < 5
    assert not world.keeper.holds("token-a")


def test_a_task_of_an_old_run_is_dropped() -> None:
    world = World(offer("a")).say(a=DROP)

    world.run()

    assert world.commands.began == []
    assert not world.keeper.holds("token-a")


def test_while_a_group_is_full_nothing_is_fetched() -> None:
    world = World(offer("a"), offer("b"), scripts={"x": FakeCommand()})
    world.say(a=[FULL, FULL, FULL, go("x"), DROP], b=DROP)

    world.run()

    assert [claim.node for claim in world.api.claims] == ["a", "a", "a", "a", "b"]
    assert world.commands.began == ["x"]


def test_other_work_is_done_while_an_exec_runs_elsewhere() -> None:
    world = World(offer("a"), offer("b")).say(a=[HOLD, HOLD, DROP], b=go("x", "/b"))

    world.run()

    assert [claim.node for claim in world.api.claims[:2]] == ["a", "b"]
    assert world.api.claims[2].node == "a"  # asked again as soon as the command has ended


def test_held_task_is_kept_alive_until_its_command_ends() -> None:
    world = World(offer("a")).say(a=[HOLD])
    world.clock.meanwhile.append(
        lambda: len(world.tasks.beats) > 100 and world.tasks.gone.add("token-a")
    )

    reason = world.run()

    assert str(reason) == "idle"
    assert world.tasks.beats.count("token-a") > 100


def test_command_continues_when_its_task_is_lost() -> None:
    world = World(offer("a"), scripts={"x": FakeCommand(seconds=50)}).say(a=go("x"))
    world.tasks.gone.add("token-a")

    world.run()

    assert world.api.reports[0].cause is None
    assert world.commands.signals == []


def test_api_response_stops_a_command() -> None:
    world = World(offer("a"), scripts={"x": FakeCommand(seconds=500)}).say(a=go("x"))
    world.api.stop = True

    world.run()

    assert world.commands.signals == ["TERM"]
    assert world.api.reports[0].exit_code == 143


def test_max_time_ends_a_command_that_ignores_term() -> None:
    command = FakeCommand([("stdout", b"so far\n")], seconds=500, handles=["KILL"])
    world = World(offer("a"), scripts={"x": command}).say(a=go("x", max_time=10))

    world.run()

    (report,) = world.api.reports
    assert world.commands.signals == ["TERM", "KILL"]
    assert (report.cause, report.exit_code) == (Cause.TIMEOUT, 137)
    assert world.log() == b"so far\n"


def test_a_worker_whose_command_cannot_be_ended_leaves_with_it() -> None:
    command = FakeCommand(seconds=5000, handles=[])
    world = World(offer("a"), offer("b"), scripts={"x": command}).say(a=go("x", max_time=10))

    reason = world.run()

    assert world.api.reports[0].last
    assert "could not be stopped" in str(reason)
    assert [claim.node for claim in world.api.claims] == ["a"]


def test_out_of_memory_error_names_the_limit_to_raise() -> None:
    world = World(offer("a"), scripts={"x": FakeCommand(code=137, oom_kills=1)}).say(a=go("x"))

    world.run()

    assert world.api.reports[0].cause is Cause.OUT_OF_MEMORY
    assert "raise mem=" in (world.api.reports[0].message or "")


def test_a_container_that_ends_is_left_to_the_event_of_ecs() -> None:
    world = World(offer("a"), scripts={"x": FakeCommand(seconds=1, dies=True)}).say(a=go("x"))

    reason = world.run()

    assert (world.api.reports, world.api.ends) == ([], [])
    assert not reason.notify


def test_container_that_never_starts_is_reported() -> None:
    world = World(offer("a"))
    world.commands.broken = "the container of the image did not start"

    world.run()

    assert world.api.ends[0].broken
    assert world.tasks.polls == 0


def test_secrets_are_hidden_in_output_and_in_messages() -> None:
    command = FakeCommand([("stdout", b"it is s3cret-"), ("stdout", b"value!")])
    world = World(offer("a"), scripts={"x": command})
    world.say(a=go("x", masked=("s3cret-value",), env={"K": "s3cret-value"}))

    world.run()

    assert world.log() == b"it is ********!"


def test_nothing_secret_is_in_the_agents_own_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.handler.setFormatter(JsonLines())
    world = World(offer("a"), scripts={"echo s3cret-value": FakeCommand(code=1)})
    world.say(a=go("echo s3cret-value", masked=("s3cret-value",), env={"K": "s3cret-value"}))

    world.run()

    assert "/a" in caplog.text
    assert "s3cret" not in caplog.text
    assert "token-a" not in caplog.text


def test_command_with_a_nul_is_rejected_and_the_worker_continues() -> None:
    world = World(offer("a"), offer("b")).say(a=go("a\0b"), b=go("x", "/b"))

    world.run()

    assert [report.cause for report in world.api.reports] == [Cause.IMAGE, None]


def printed(tree: object) -> bytes:
    return OPEN + base64.b64encode(gzip.compress(json.dumps(tree).encode())) + CLOSE


def test_the_tree_of_a_lazy_is_in_the_report_and_not_in_the_log() -> None:
    command = FakeCommand([("stdout", b"before\n" + printed({"x": 1}) + b"after\n")])
    world = World(offer("a"), scripts={"x": command}).say(a=go("x", prints_tree=True))

    world.run()

    tree = gzip.decompress(base64.b64decode(world.api.reports[0].tree or ""))
    assert json.loads(tree) == {"x": 1}
    assert world.log() == b"before\nafter\n"


def test_a_large_tree_is_uploaded() -> None:
    noise = [base64.b64encode(bytes((i * j) % 251 for j in range(97))).decode() for i in range(60)]
    large = {"x": [hash_of(each, n) for n in range(1200) for each in noise]}
    command = FakeCommand([("stdout", printed(large))])
    world = World(offer("a"), scripts={"x": command}).say(a=go("x", prints_tree=True))

    world.run()

    assert len(world.api.uploads[0]) > MAX_TREE_IN_REPORT
    assert world.api.reports[0].tree is None
    assert world.api.reports[0].tree_key == "uploads/1"


def hash_of(text: str, number: int) -> str:
    return sha256(f"{text}{number}".encode()).hexdigest()


def test_lazy_without_a_tree_is_an_error() -> None:
    world = World(offer("a"), scripts={"x": FakeCommand()}).say(a=go("x", prints_tree=True))

    world.run()

    assert world.api.reports[0].cause is Cause.LAZY
    assert "printed no tree" in (world.api.reports[0].message or "")


def test_output_waits_for_an_unreachable_api_and_arrives_once_in_order() -> None:
    output = [("stdout", b"x" * CHUNK_BYTES), ("stdout", b"y" * 10)]
    world = World(offer("a"), scripts={"x": FakeCommand(output, seconds=60)}).say(a=go("x"))
    begins = world.clock.now()

    def away() -> None:
        gone = 5 < world.clock.now() - begins < 35
        world.api.away = WorkerApiError("503") if gone else None

    world.clock.meanwhile.insert(0, away)

    world.run()

    assert world.log() == b"x" * CHUNK_BYTES + b"y" * 10
    offsets = [chunk.offset for chunk in world.api.chunks if chunk.stream == "stdout"]
    assert offsets == sorted(offsets)
    assert world.api.reports[0].cause is None


def test_rejected_output_does_not_delay_the_report() -> None:
    world = World(offer("a"), scripts={"x": FakeCommand([("stdout", b"hi")])}).say(a=go("x"))
    log = world.api.log

    def refuse(chunk: Any) -> None:
        log(chunk)
        raise RefusedError("413: too large")

    world.api.log = refuse  # type: ignore[method-assign]

    world.run()

    assert len(world.api.chunks) == 1
    assert [report.cause for report in world.api.reports] == [Cause.WORKER_LOST]


def test_a_refused_report_does_not_stop_the_worker() -> None:
    world = World(offer("a"), offer("b")).say(a=go("x"), b=go("y", "/b"))
    refused: list[Report] = []

    def refuse(given: Report) -> None:
        refused.append(given)
        raise RefusedError("409: not running")

    world.api.report = refuse  # type: ignore[method-assign]

    world.run()

    # An older API rejects the claim in a report.
    nodes = [each.next and each.next.node for each in refused]
    assert [each.path for each in refused] == ["/a", "/a", "/b"]
    assert nodes == ["b", None, None]
    assert [claim.node for claim in world.api.claims] == ["a", "b"]


def test_a_worker_that_is_not_known_any_more_ends_its_command_and_leaves() -> None:
    world = World(offer("a"), offer("b"), scripts={"x": FakeCommand(seconds=500)})
    world.say(a=go("x"))

    def gone(*_: Any) -> Any:
        raise WorkerGoneError("410: gone")

    world.api.heartbeat = world.api.report = gone  # type: ignore[method-assign]

    reason = world.run()

    assert world.commands.signals == ["TERM"]
    assert not reason.notify
    assert len(world.api.claims) == 1


def test_a_worker_for_one_command_leaves_after_it() -> None:
    world = World(offer("a"), offer("b"), policy="once").say(a=go("x"), b=go("y"))

    reason = world.run()

    assert str(reason) == "once"
    assert world.commands.began == ["x"]
    assert world.api.reports[0].last


def test_an_old_worker_takes_no_new_command() -> None:
    world = World(offer("a"), offer("b"), scripts={"x": FakeCommand(seconds=40)}, age=30.0).say(
        a=go("x"), b=go("y")
    )

    assert str(world.run()) == "age"
    assert world.commands.began == ["x"]


def test_a_worker_of_a_context_does_not_leave_because_of_age() -> None:
    world = World(
        offer("a"), offer("b"), scripts={"x": FakeCommand(seconds=40)}, age=30.0, policy="context"
    ).say(a=go("x"), b=go("y"))

    assert str(world.run()) == "idle"
    assert world.commands.began == ["x", "y"]


def test_task_that_arrives_while_the_worker_stops_is_returned() -> None:
    world = World().say(a=go("x"))
    world.tasks.poll_seconds = 5.0
    world.clock.stop_at = world.clock.now() + 2

    def come() -> None:
        if world.clock.stopped_at is not None and not world.tasks.offers:
            world.tasks.offers.append(offer("a"))

    world.clock.meanwhile.append(come)

    reason = world.run()

    assert str(reason) == "stopping"
    assert (world.tasks.polls, len(world.tasks.offers)) == (1, 0)
    assert (world.api.claims, world.tasks.beats) == ([], [])
    request, end = world.api.ends
    assert (request.polling, end.polling) == (True, False)
    assert end.offer is not None
    assert (end.offer.token, end.offer.node) == (offer("a").token, "a")


def test_stopped_worker_aborts_its_poll_if_no_task_can_come() -> None:
    world = World()
    world.api.wait = False
    world.clock.stop_at = stop = world.clock.now() + 2

    reason = world.run()

    assert (str(reason), reason.notify) == ("stopping", False)
    assert world.clock.now() - stop < world.tasks.poll_seconds / 2
    (end,) = world.api.ends
    assert (end.reason, end.polling, end.offer) == ("stopping", True, None)


def test_stopped_worker_waits_for_its_poll_while_the_api_is_unreachable() -> None:
    world = World()
    world.clock.stop_at = world.clock.now() + 2
    world.clock.meanwhile.append(
        lambda: setattr(
            world.api, "away", WorkerApiError("away") if world.clock.stopped_at else None
        )
    )

    assert str(world.run()) == "stopping"
    assert world.clock.now() >= 1000.0 + world.tasks.poll_seconds


def test_dismissed_worker_aborts_its_open_poll() -> None:
    world = World(offer("a")).say(a=go("x"))
    world.api.leave, world.api.wait = True, False

    reason = world.run()

    assert str(reason) == "its pool has no further commands"
    assert (world.tasks.polls, world.commands.began) == (2, ["x"])
    assert [end.polling for end in world.api.ends] == [True]


def test_task_of_a_poll_that_a_dismissed_worker_may_not_abort_is_returned() -> None:
    world = World(offer("a")).say(a=go("x"), b=go("y"))
    world.api.leave = True
    world.clock.meanwhile.append(
        lambda: world.api.reports and not world.api.ends and world.tasks.offers.append(offer("b"))
    )

    world.run()

    request, end = world.api.ends
    assert (request.polling, end.offer and end.offer.node) == (True, "b")
    assert world.commands.began == ["x"]


def test_report_has_the_claim_of_the_next_task() -> None:
    world = World(offer("a"), offer("b"), offer("c")).say(a=go("x"), b=go("y", "/b"), c=DROP)

    world.run()

    nodes = [each.next and each.next.node for each in world.api.reports]
    assert (nodes, world.commands.began) == (["b", "c"], ["x", "y"])
    assert not any(world.keeper.holds(f"token-{node}") for node in "abc")


def test_next_task_waits_until_a_retried_command_has_ended() -> None:
    world = World(offer("a"), offer("b")).say(a=[go("x"), go("again"), DROP], b=go("y", "/b"))
    world.api.task_open = [True]

    world.run()

    assert world.commands.began == ["x", "again", "y"]


def test_next_task_is_returned_if_the_worker_is_stopped_during_the_poll() -> None:
    world = World(offer("a"), offer("b")).say(a=go("x"), b=go("y", "/b"))
    brief = world.tasks.poll_briefly

    def stop(seconds: float) -> PolledTask | None:
        world.clock.stop_at = world.clock.now()
        return brief(seconds)

    world.tasks.poll_briefly = stop  # type: ignore[method-assign]

    world.run()

    (report,), (end,) = world.api.reports, world.api.ends
    assert (report.last, report.next, end.offer and end.offer.node) == (True, None, "b")


def test_no_poll_is_open_when_the_last_command_of_a_pool_is_reported() -> None:
    world = World(offer("a")).say(a=go("x", backlog=False))
    world.api.leave = True

    reason = world.run()

    assert str(reason) == "its pool has no further commands"
    assert world.tasks.polls == 1
    assert [end.polling for end in world.api.ends] == [False]


def test_backlog_is_unknown_after_a_long_command() -> None:
    scripts = {"x": FakeCommand(seconds=60)}
    world = World(offer("a"), offer("b"), scripts=scripts).say(a=go("x"), b=go("y", "/b"))

    world.run()

    assert [report.next for report in world.api.reports] == [None, None]
    assert world.commands.began == ["x", "y"]


def test_commands_are_hardly_delayed_by_polls_in_vain() -> None:
    world = World(offer("0")).say(**{str(n): go("x") for n in range(100)})
    report, brief, early = world.api.report, world.tasks.poll_briefly, []

    def next_one(given: Report) -> Any:
        world.tasks.offers.append(offer(str(len(world.api.reports) + 1)))
        return report(given)

    world.api.report = next_one  # type: ignore[method-assign]
    world.tasks.poll_briefly = lambda seconds: (early.append(seconds), brief(seconds))[1]  # type: ignore[method-assign]

    world.run()

    assert len(world.commands.began) == 100
    assert len(early) < 10


def test_command_may_finish_while_the_worker_stops() -> None:
    world = World(offer("a"), offer("b"), scripts={"x": FakeCommand(seconds=60)})
    world.say(a=go("x"), b=go("y"))
    world.clock.stop_at = world.clock.now() + 10

    reason = world.run()

    assert (world.api.reports[0].cause, world.api.reports[0].last) == (None, True)
    assert world.commands.began == ["x"]
    assert str(reason) == "stopping"


def test_a_command_that_is_too_long_for_a_stop_is_a_lost_workers() -> None:
    world = World(offer("a"), scripts={"x": FakeCommand(seconds=600)}).say(a=go("x"))
    world.clock.stop_at = world.clock.now() + 10

    world.run()

    (report,) = world.api.reports
    assert (report.cause, report.last) == (Cause.WORKER_LOST, True)
    assert report.seconds < 10 + execution.LAST_SECONDS + 2


# ---- services ---------------------------------------------------------------------------------

DB = {"db": {"image": "postgres:16", "ready": "pg_isready", "ready_timeout": 10}}


def container(status: str, **more: Any) -> dict[str, Any]:
    return {"Name": "service-db", "KnownStatus": status, **more}


def with_db(*containers: Any, seconds: float = 1.0) -> World:
    command = FakeCommand(seconds=seconds)
    one_each = [[each] for each in containers]
    world = World(offer("a"), scripts={"x": command}, services=DB, containers=one_each)
    return world.say(a=go("x"))


def test_a_command_starts_when_the_services_are_healthy() -> None:
    ready = container("RUNNING", Health={"status": "HEALTHY"})
    world = with_db(container("PENDING"), container("RUNNING"), ready)

    world.run()

    (report,) = world.api.reports
    assert (report.cause, report.exit_code) == (None, 0)
    assert world.containers == [[ready]]


def test_services_that_are_not_ready_or_end_fail_the_command() -> None:
    never = container("RUNNING", Health={"status": "UNHEALTHY", "output": "no response"})
    ready = container("RUNNING", Health={"status": "HEALTHY"})
    over = container("STOPPED", ExitCode=3)
    cases = (
        ((never,), "not ready within 10 s: ready='pg_isready' did not end with exit code 0"),
        ((never,), "exit code 0 (no response)"),
        ((over,), "service 'db' (postgres:16) ended with exit code 3"),
        ((ready, ready, over), "service 'db' (postgres:16) ended with exit code 3"),
    )
    for containers, text in cases:
        world = with_db(*containers, seconds=600)
        reason = world.run()
        (report,) = world.api.reports
        assert (report.cause, report.last) == (Cause.SERVICE, True)
        assert text in str(report.message)
        assert str(reason) == "a service of its commands has ended or was not ready"


def test_heartbeats_continue_after_a_step_functions_outage() -> None:
    world = World(offer("a"), scripts={"x": FakeCommand(seconds=60)}).say(a=go("x"))
    begins = world.clock.now()

    def away() -> None:
        world.tasks.away = world.clock.now() - begins < 30

    world.clock.meanwhile.insert(0, away)

    world.run()

    assert len(world.tasks.beats) > 10
    assert world.api.reports[0].cause is None


def test_resource_usage_is_sent_in_few_chunks() -> None:
    command = FakeCommand(seconds=600)
    world = World(offer("a"), scripts={"burn": command}).say(a=go("burn"))

    world.run()

    used = resources_in(world.log("resources"))
    assert used.interval == 5.0
    assert 110 <= len(used.cpu) <= 120
    assert set(used.cpu) == {1.0}
    assert set(used.memory) == {1_000_000}
    assert used.since == pytest.approx(5002.0, abs=1)
    chunks = [each for each in world.api.chunks if each.stream == "resources"]
    assert len(chunks) < 30


def test_points_of_a_running_command_are_sent_in_few_chunks() -> None:
    point = frame("metrics", '{"name": "hunter22", "value": 1}\n').removeprefix(FRAME_START)
    command = FakeCommand(output=[("frame", point[:-1])] * 50, seconds=60, dies=True)
    world = World(offer("a"), scripts={"train": command}).say(
        a=go("train").model_copy(update={"masked": ("hunter22",)})
    )

    world.run()

    (series,) = metrics_in(world.log("metrics"))
    assert (series.name, series.count) == ("********", 50)
    assert len([each for each in world.api.chunks if each.stream == "metrics"]) == 1


def test_short_command_is_not_sampled() -> None:
    command = FakeCommand(seconds=1)
    world = World(offer("a"), scripts={"true": command}).say(a=go("true"))
    world.readings = [Reading(0.0, 1)]

    world.run()

    assert world.log("resources") == b""
    assert world.readings == [Reading(0.0, 1)]


def test_missing_value_of_ecs_is_not_stored() -> None:
    command = FakeCommand(seconds=60)
    world = World(offer("a"), scripts={"x": command}).say(a=go("x"))
    world.readings = [None] * 100

    world.run()

    assert world.log("resources") == b""
    assert world.api.reports[0].cause is None


@pytest.mark.parametrize(("code", "cause"), [(0, Cause.WORKER_LOST), (3, Cause.EXIT_CODE)])
def test_command_whose_output_was_refused_has_not_succeeded(code: int, cause: Cause) -> None:
    command = FakeCommand([("stdout", b"hi\n")], code=code)
    world = World(offer("a"), scripts={"x": command}).say(a=go("x"))
    world.api.refused = {"stdout"}

    world.run()

    (report,) = world.api.reports
    assert (report.cause, report.exit_code) == (cause, code)
    assert code or "could not be stored" in str(report.message)


@pytest.mark.parametrize(
    ("files", "away", "cause"),
    [
        ({"result": b"1"}, 500, Cause.WORKER_LOST),
        ({"result": b"1"}, 80, None),
        ({}, 500, None),
    ],
)
def test_success_is_reported_when_the_result_is_stored(
    files: dict[str, bytes], away: int, cause: Cause | None
) -> None:
    command = FakeCommand([("stdout", b"hi\n")], files=files)
    world = World(offer("a"), scripts={"x": command}).say(a=go("x"))
    begins, log = world.clock.now(), world.api.log

    def unreachable(chunk: Any) -> Any:
        if world.clock.now() - begins < away:
            raise WorkerApiError("503")
        return log(chunk)

    world.api.log = unreachable  # type: ignore[method-assign]
    report, stored = world.api.report, []
    world.api.report = lambda given: (stored.append(world.log("result")), report(given))[1]  # type: ignore[method-assign]

    world.run()

    assert [each.cause for each in world.api.reports] == [cause]
    assert cause or stored == [files.get("result", b"")]


def test_use_that_an_older_api_refuses_is_dropped() -> None:
    world = World(offer("a"), scripts={"x": FakeCommand([("stdout", b"hi\n")], seconds=60)})
    world.say(a=go("x"))
    world.api.refused = {"resources"}

    world.run()

    assert (world.log(), world.log("resources")) == (b"hi\n", b"")
    assert world.api.reports[0].cause is None
