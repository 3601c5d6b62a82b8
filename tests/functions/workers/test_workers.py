"""Reports of workers, also invalid ones: wrong, late, twice, out of order, too large."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from tests.fakes.cloud import FakeLogs

from chalicelib.errors import AccessDeniedError
from chalicelib.logs.port import LogKey
from chalicelib.people.port import Identity
from chalicelib.people.tokens import PREFIX, digest_of, new_token
from chalicelib.run.aws import WorkerCredentials
from chalicelib.workers.output_handlers import WorkerGoneError
from chalicelib.workers.port import TaskEnd
from conducto_core.asl.rules.naming import MAX_OFFERS
from conducto_core.command.model import ResourcesParams
from conducto_core.command.usage import ResourceWriter
from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.run.model.params import LogParams, TreeParams
from conducto_core.run.model.requests import Changes
from conducto_core.run.model.states import Cause, State
from conducto_core.workers.model import (
    MAX_CHUNK_DATA,
    PROTOCOL,
    ClaimDecision,
    Heartbeat,
    LogUpload,
    Report,
    WorkerEnd,
    WorkerLogChunk,
    WorkerStart,
)
from support.asl.port import Offer
from support.cloud.world import ME, WorkerCalls, World, offers_of
from support.trees import form, lazy, leaf, parallel, serial

if TYPE_CHECKING:
    from support.cloud.world import Hand


@pytest.fixture
def world() -> World:
    return World()


def _chunk(hand: Hand, data: bytes, **more: Any) -> WorkerLogChunk:
    assert hand.job is not None
    fields = {
        "path": hand.job.path,
        "attempt": hand.job.attempt,
        "stream": "stdout",
        "offset": 0,
        "data": base64.b64encode(data).decode(),
    }
    return WorkerLogChunk.model_validate({**fields, **more})


def _one(world: World, tree: dict[str, Any] | None = None) -> tuple[str, Hand]:
    """Launch a tree and return it with the worker that runs its first command."""
    pipeline = world.launch(leaf() if tree is None else tree)
    world.serve()
    return pipeline, min(world.running().items())[1]


# ---- who calls ---------------------------------------------------------------------------------


def test_a_token_is_256_bits_and_only_its_digest_is_kept(world: World) -> None:
    token, digest = new_token()
    assert token.startswith(PREFIX)
    assert len(base64.urlsafe_b64decode(token.removeprefix(PREFIX) + "=")) == 32
    assert digest_of(token) == digest
    assert token not in repr(vars(world.tokens))


def test_personal_token_is_rejected_by_worker_routes(world: World) -> None:
    with pytest.raises(WorkerGoneError):
        WorkerCalls(world.services).start(ME, WorkerStart(task="arn", protocol=PROTOCOL))


def test_a_worker_of_another_org_does_not_find_the_pipeline(world: World) -> None:
    pipeline, hand = _one(world)
    forged = Identity("other", "eve", frozenset({"worker"}), (pipeline, hand.task.pool, hand.id))
    with pytest.raises(NotFoundError):
        hand.desk.heartbeat(forged, Heartbeat(path="/", attempt=1))


def test_unknown_worker_is_stopped(world: World) -> None:
    pipeline, hand = _one(world)
    made_up = Identity(ME.org, ME.user, frozenset({"worker"}), (pipeline, hand.task.pool, "w0"))
    with pytest.raises(WorkerGoneError):
        hand.desk.report(made_up, Report(path="/", attempt=1))
    assert world.states(pipeline) == {"/": "running"}


def test_denied_credentials_are_shown_as_the_reason_a_node_waits() -> None:
    message = "User: arn:x is not authorized to perform: sts:AssumeRole on resource: arn:poll"

    def deny(_activity: str, _worker: str) -> None:
        if allowed:
            return
        raise AccessDeniedError(message)

    allowed: list[bool] = []
    world = World(lend_credentials=deny)
    pipeline = world.launch(leaf())

    world.serve()
    assert not world.living()  # the worker leaves instead of asking again for a quarter of an hour
    node = world.nodes(pipeline)["/"]
    assert node.state is State.QUEUED
    assert message in str(node.waits_for)

    allowed.append(True)
    world.minute(301)
    world.run_out()
    assert world.get(pipeline).state is State.DONE


def test_a_denied_role_of_agents_is_known_by_awss_message() -> None:
    class Denying:
        def get(self, _service: str) -> Denying:
            return self

        def assume_role(self, **_asked: Any) -> None:
            error = {"Code": "AccessDenied", "Message": "not authorized: sts:AssumeRole"}
            raise ClientError({"Error": error}, "AssumeRole")

    with pytest.raises(AccessDeniedError, match="not authorized: sts:AssumeRole"):
        WorkerCredentials(Denying(), "arn:poll").lend_credentials("arn:activity", "w1")  # type: ignore[arg-type]


def test_stopped_worker_is_rejected_and_its_reports_are_ignored(world: World) -> None:
    pipeline, hand = _one(world, serial(leaf("a"), leaf("b")))
    identity = hand.identity
    job = hand.job
    assert job is not None
    hand.desk.end(identity, WorkerEnd(reason="stopping"))
    with pytest.raises(WorkerGoneError):
        hand.desk.report(identity, Report(path=job.path, attempt=job.attempt))
    with pytest.raises(WorkerGoneError):
        hand.desk.log(identity, _chunk(hand, b"late"))
    assert world.attempts(pipeline, "/a")[0].cause is Cause.WORKER_LOST


def test_a_worker_of_one_pipeline_cannot_report_for_another(world: World) -> None:
    mine, _ = _one(world)
    other = world.launch(leaf())
    world.serve()
    (stranger,) = [h for h in world.living() if h.task.pipeline_id == other]
    stranger.finish()
    assert world.states(mine) == {"/": "running"}


# ---- claims ------------------------------------------------------------------------------------


def test_repeated_claim_gets_the_same_response(world: World) -> None:
    _, hand = _one(world)
    first = hand.job
    assert hand.claim(hand.offer) == first
    entries = len(world.store.news(hand.task.pipeline_id, 0).entries)
    assert hand.claim(hand.offer) == first
    assert len(world.store.news(hand.task.pipeline_id, 0).entries) == entries


def test_two_workers_claim_one_node_and_one_of_them_runs_it(world: World) -> None:
    pipeline, hand = _one(world, serial(parallel("a", "b", name="g"), "c"))
    assert hand.job is not None
    other = next(h for h in world.living() if h is not hand)
    other.finish()
    response = other.claim(hand.offer)
    assert response.decision is not ClaimDecision.RUN
    assert len(world.attempts(pipeline, hand.job.path)) == 1


def test_a_claim_after_a_pause_is_cancelled(world: World) -> None:
    pipeline = world.launch(leaf())
    world.start_workers()
    (hand,) = world.living()
    offer = world.poll(hand.instructions.activity)
    assert offer is not None
    world.control(pipeline, "pause")
    assert hand.claim(offer).decision is ClaimDecision.DROP
    assert world.states(pipeline) == {"/": "pending"}
    world.control(pipeline, "run")
    world.run_out()
    assert world.states(pipeline) == {"/": "done"}


def _handed(world: World) -> tuple[Hand, Offer]:
    """Return the one worker there is, and a task that it was handed and has not claimed."""
    world.start_workers()
    (hand,) = world.living()
    offer = world.poll(hand.instructions.activity)
    assert offer is not None
    return hand, offer


def test_a_task_that_a_leaving_worker_gives_back_is_offered_to_others_at_once(
    world: World,
) -> None:
    pipeline = world.launch(leaf())
    hand, offer = _handed(world)
    hand.leave("stopping", offer=offer)
    assert [again.data for again in offers_of(world)] == [offer.data]
    world.run_out()
    assert world.states(pipeline) == {"/": "done"}
    assert len(world.attempts(pipeline, "/")) == 1


def test_task_returned_too_often_is_planned_again(world: World) -> None:
    pipeline = world.launch(leaf())
    for _ in range(2 * MAX_OFFERS + 1):
        hand, offer = _handed(world)
        hand.leave("age", offer=offer)
    world.run_out()
    assert world.states(pipeline) == {"/": "done"}


def test_lost_worker_can_return_its_task(world: World) -> None:
    pipeline = world.launch(leaf())
    hand, offer = _handed(world)
    world.reconciler().task_stopped(pipeline, hand.id, TaskEnd("Spot"))
    hand.leave("stopping", offer=offer)
    assert [again.data for again in offers_of(world)] == [offer.data]


def test_a_task_of_an_old_run_that_is_given_back_is_cancelled(world: World) -> None:
    pipeline = world.launch(leaf())
    hand, offer = _handed(world)
    world.control(pipeline, "pause")
    world.control(pipeline, "run")
    hand.leave("stopping", offer=offer)
    world.run_out()
    assert world.states(pipeline) == {"/": "done"}


def test_a_claim_for_an_unknown_node_or_run_is_dropped(world: World) -> None:
    _, hand = _one(world, parallel("a", "b"))
    other = next(h for h in world.living() if h is not hand)
    other.finish()
    for data in ({"r": "nonsense-1", "n": "abc"}, {"r": hand.offer.data["r"], "n": "abc"}):
        assert other.claim(Offer("no-token", data)).decision is ClaimDecision.DROP


def test_a_worker_of_a_small_pool_cannot_run_a_large_command(world: World) -> None:
    world.launch(parallel(leaf("small"), leaf("large", mem=8)))
    world.start_workers()
    small, large = sorted(world.living(), key=lambda h: h.task.mem)
    offer = world.poll(large.instructions.activity)
    assert offer is not None
    assert small.claim(offer).decision is ClaimDecision.DROP
    world.serve()
    assert world.running()["/large"].task.mem == 8


# ---- output ------------------------------------------------------------------------------------


def test_output_that_comes_twice_is_kept_once_and_a_gap_is_refused(world: World) -> None:
    _, hand = _one(world)
    hand.print("one\n")
    hand.print("one\n")
    hand.print("two\n", offset=4)
    with pytest.raises(RefusedError, match="continue from byte 8"):
        hand.print("four\n", offset=100)


def test_oversized_output_chunk_and_invalid_base64_are_rejected(world: World) -> None:
    _, hand = _one(world)
    with pytest.raises(RefusedError, match="split it"):
        hand.desk.log(hand.identity, _chunk(hand, b"x" * (MAX_CHUNK_DATA + 1)))
    with pytest.raises(RefusedError, match="not valid base64"):
        hand.desk.log(hand.identity, _chunk(hand, b"").model_copy(update={"data": "%"}))


def test_large_output_is_uploaded_and_a_complete_stream_is_joined() -> None:
    joined: list[LogKey] = []
    logs = FakeLogs()
    world = World(logs=logs, join_output=joined.append)
    pipeline, hand = _one(world)
    assert hand.job is not None
    whose = {"path": hand.job.path, "attempt": 1}
    data = b"a line\n" * 1000
    packed = gzip.compress(data)
    wanted = LogUpload(**whose, stream="stdout", offset=0, size=len(packed))
    place = hand.desk.log_upload(hand.identity, wanted)
    chunk = WorkerLogChunk(
        **whose, stream="stdout", offset=0, key=place.key, size=len(data), lines=1000, last=True
    )
    with pytest.raises(RefusedError, match="upload the chunk again"):
        hand.desk.log(hand.identity, chunk)
    logs.uploads[place.key] = packed

    hand.desk.log(hand.identity, chunk)

    key = LogKey(pipeline, hand.job.path, 1, "stdout")
    assert logs.read(key, 0, 10_000) == data
    assert joined == [key]
    with pytest.raises(RefusedError, match="does not run on this worker"):
        hand.desk.log_upload(hand.identity, wanted.model_copy(update={"attempt": 2}))


def test_heartbeat_stores_output_and_says_whether_a_client_follows(world: World) -> None:
    pipeline, hand = _one(world)
    assert hand.job is not None
    chunk = _chunk(hand, gzip.compress(b"one\n" * 1000), packed=True)
    beat = Heartbeat(path=hand.job.path, attempt=1, chunks=(chunk,))

    first = hand.desk.heartbeat(hand.identity, beat)
    query = LogParams(id=pipeline, path=hand.job.path)
    found = asyncio.run(world.pipelines().read_log(query))
    second = hand.desk.heartbeat(hand.identity, beat)

    assert base64.b64decode(found.data) == b"one\n" * 1000
    assert (first.followed, second.followed) == (False, True)


def test_output_of_an_attempt_that_runs_elsewhere_is_refused(world: World) -> None:
    _, hand = _one(world)
    with pytest.raises(RefusedError, match="does not run on this worker"):
        hand.desk.log(hand.identity, _chunk(hand, b"x", attempt=7))


def test_resource_usage_is_stored_beside_the_output_and_not_in_it(world: World) -> None:
    pipeline, hand = _one(world)
    assert hand.job is not None
    path, limits = hand.job.path, world.attempts(pipeline, hand.job.path)[0]
    lines: list[bytes] = []
    writer = ResourceWriter(lines.append, interval=5.0, since=7.0)
    writer.add(5.0, 0.5, 1000)
    hand.desk.log(hand.identity, _chunk(hand, b"".join(lines), stream="resources"))
    hand.desk.log(hand.identity, _chunk(hand, b"not ours", stream="resources"))  # came already

    query = ResourcesParams(id=pipeline, path=path)
    used = asyncio.run(world.pipelines().get_resources(query))
    stranger = world.pipelines(Identity("other", "bob", ME.permissions))

    assert (used.cpu, used.memory, used.since) == ((0.5,), (1000,), 7.0)
    assert used.cpu_limit == limits.cpu
    printed = LogParams(id=pipeline, path=path)
    assert asyncio.run(world.pipelines().read_log(printed)).size == 0
    with pytest.raises(NotFoundError):
        asyncio.run(stranger.get_resources(query))


# ---- reports -----------------------------------------------------------------------------------


def test_a_report_that_comes_twice_counts_once(world: World) -> None:
    pipeline, hand = _one(world)
    report = Report(path="/", attempt=1, exit_code=0)
    hand.desk.report(hand.identity, report)
    hand.desk.report(hand.identity, report)
    assert world.states(pipeline) == {"/": "done"}
    assert len(world.attempts(pipeline, "/")) == 1


def test_a_report_for_an_attempt_that_is_not_running_is_refused(world: World) -> None:
    pipeline, hand = _one(world)
    with pytest.raises(RefusedError, match="attempt 2 does not run"):
        hand.desk.report(hand.identity, Report(path="/", attempt=2))
    with pytest.raises(RefusedError):
        hand.desk.report(hand.identity, Report(path="/nowhere", attempt=1))
    assert world.states(pipeline) == {"/": "running"}


def test_an_exit_code_without_a_cause_is_a_failure(world: World) -> None:
    pipeline, hand = _one(world)
    hand.finish(exit_code=1)
    assert world.attempts(pipeline, "/")[0].cause is Cause.EXIT_CODE


def test_an_attempt_knows_when_its_turn_came(world: World) -> None:
    pipeline = world.launch(serial("a", "b"))
    launched = world.now
    world.now += 7  # a container takes its time
    world.serve()
    world.running()["/a"].finish()
    world.now += 1
    world.serve()
    world.running()["/b"].finish()

    (first,) = world.attempts(pipeline, "/a")
    (second,) = world.attempts(pipeline, "/b")
    assert (first.queued, first.admitted, first.started) == (launched, launched, launched + 7)
    assert (second.queued, second.admitted) == (launched + 7, second.started)
    assert (first.image_ready, second.image_ready) == (None, None)


def test_a_retried_command_is_claimed_again_in_the_same_task(world: World) -> None:
    again = [["error", ["retry", {"max_num_retries": 1}]]]
    pipeline, hand = _one(world, leaf(callbacks=again))
    token = hand.token
    hand.finish(Cause.EXIT_CODE)
    world.serve()
    assert hand.job is not None
    assert (hand.job.attempt, hand.token) == (2, token)
    hand.finish()
    assert world.states(pipeline) == {"/": "done"}


def test_a_retry_with_more_memory_gets_a_larger_worker(world: World) -> None:
    more = [["error", ["handle_memory_errors", {"mem_limits": [8]}]]]
    _, hand = _one(world, leaf(callbacks=more))
    hand.finish(Cause.OUT_OF_MEMORY)
    world.serve()
    assert world.running()["/"].task.mem == 8
    assert len(world.machines.executions) == 2  # planned again at once, not by trial and error


# ---- a Lazy's tree -----------------------------------------------------------------------------


def test_a_lazy_with_a_nested_lazy_runs_to_its_end(world: World) -> None:
    pipeline, hand = _one(world, lazy())
    hand.finish(tree=form(serial(leaf("x"), lazy("inner"))))
    world.serve()
    world.running()["/Execute/x"].finish()
    world.serve()
    world.running()["/Execute/inner/Generate"].finish(tree=form(leaf()))
    world.run_out()
    assert set(world.states(pipeline).values()) == {"done"}


def test_a_lazy_that_prints_no_tree_or_a_broken_one_fails_and_says_why(world: World) -> None:
    pipeline, hand = _one(world, lazy())
    hand.finish()
    assert world.attempts(pipeline, "/Generate")[0].cause is Cause.LAZY
    world.control(pipeline, "reset", "/Generate")
    world.serve()
    hand = world.running()["/Generate"]
    wrong = base64.b64encode(gzip.compress(b'{"nodes": 3}')).decode()
    hand.desk.report(hand.identity, Report(path="/Generate", attempt=2, tree=wrong))
    last = world.attempts(pipeline, "/Generate")[-1]
    assert last.cause is Cause.LAZY
    assert last.message is not None
    assert "broken tree" in last.message


def test_a_generated_node_that_fargate_cannot_run_fails_the_lazy(world: World) -> None:
    pipeline, hand = _one(world, lazy())
    hand.finish(tree=form(leaf(gpu=1)))
    last = world.attempts(pipeline, "/Generate")[-1]
    assert last.cause is Cause.LAZY
    assert "gpu=1" in (last.message or "")


def test_a_large_tree_is_uploaded_first_and_only_by_the_worker_itself(world: World) -> None:
    pipeline, hand = _one(world, lazy())
    with pytest.raises(RefusedError, match="was not uploaded by this worker"):
        hand.desk.report(
            hand.identity, Report(path="/Generate", attempt=1, tree_key="uploads/other/w1/x")
        )
    response = hand.desk.upload(hand.identity)
    world.blobs.put(response.key, gzip.compress(json.dumps(form(leaf())).encode()))
    hand.finish(tree_key=response.key)
    world.run_out()
    assert world.get(pipeline).state is State.DONE
    assert world.blobs.get(response.key) is None


# ---- hidden content ----------------------------------------------------------------------------


def test_secrets_reach_the_command_and_nothing_else(world: World) -> None:
    world.vault.write("org/acme", {"KEY": {"value": "org-value-1", "mask": True}})
    world.vault.write("user/acme/ann", {"KEY": {"value": "hunter2-mine", "mask": True}})
    pipeline, hand = _one(world, leaf(command="echo hunter2-mine"))
    assert hand.job is not None
    assert hand.job.env["KEY"] == "hunter2-mine"
    assert hand.job.masked == ("hunter2-mine",)
    hand.finish()
    (attempt,) = world.attempts(pipeline, "/")
    assert attempt.command == "echo ********"
    journal = json.dumps([e.input for e in world.store.news(pipeline, 0).entries])
    machines = "".join(machine.definition for machine in world.machines.machines.values())
    for place in (journal, machines, repr(hand.job), str(world.store.snapshot(pipeline))):
        assert "hunter2" not in place
        assert "org-value-1" not in place


def test_the_installations_address_of_slack_reaches_the_command_and_nothing_else() -> None:
    world = World(services={"CONDUCTO_SLACK_URL": "https://me:hunter2@slack.example"})
    pipeline, hand = _one(world, leaf(command="true https://me:hunter2@slack.example"))
    assert hand.job is not None
    assert hand.job.env["CONDUCTO_SLACK_URL"] == "https://me:hunter2@slack.example"
    assert hand.job.masked == ("https://me:hunter2@slack.example",)
    (attempt,) = world.attempts(pipeline, "/")
    assert attempt.command == "true ********"
    assert "hunter2" not in repr(world.cloud)


def test_a_secret_that_changes_is_seen_by_the_next_command(world: World) -> None:
    _, hand = _one(world, serial(leaf("a"), leaf("b")))
    world.vault.write("user/acme/ann", {"KEY": {"value": "new-value", "mask": False}})
    hand.finish()
    world.serve()
    assert hand.job is not None
    assert hand.job.env["KEY"] == "new-value"
    assert hand.job.masked == ()


def test_edit_of_a_pending_node_is_executed(world: World) -> None:
    pipeline, hand = _one(world, serial(leaf("a"), leaf("b")))
    changes = Changes(command="echo edited", env={"X": "1"})
    world.control(pipeline, "modify", "/b", changes=changes)
    hand.finish()
    world.serve()
    job = world.running()["/b"].job
    assert job is not None
    assert (job.script, job.env["X"]) == ("echo edited", "1")


# ---- stopping ----------------------------------------------------------------------------------


def test_kill_reaches_the_command_with_its_next_heartbeat(world: World) -> None:
    pipeline, hand = _one(world)
    assert not hand.heartbeat()
    world.control(pipeline, "kill", "/")
    assert hand.heartbeat()
    hand.finish(Cause.EXIT_CODE, exit_code=143)
    assert world.attempts(pipeline, "/")[0].cause is Cause.KILLED_BY_USER


def test_reset_of_a_running_node_stops_it_and_runs_it_again(world: World) -> None:
    pipeline, hand = _one(world)
    world.control(pipeline, "reset", "/")
    assert hand.heartbeat()
    hand.finish(Cause.EXIT_CODE)
    world.serve()
    assert [h.job.attempt for h in world.running().values() if h.job] == [2]
    world.run_out()
    assert world.states(pipeline) == {"/": "done"}


def test_time_limit_of_a_group_is_detected_by_a_heartbeat(world: World) -> None:
    pipeline, hand = _one(world, serial(leaf("a"), max_time=100))
    world.now += 99
    assert not hand.heartbeat()
    world.now += 2
    assert hand.heartbeat()
    hand.finish(Cause.EXIT_CODE)
    assert world.states(pipeline) == {"/": "killed", "/a": "killed"}


def test_timed_out_group_is_the_failure_shown_for_the_run(world: World) -> None:
    pipeline, hand = _one(world, serial(leaf("a"), "b", max_time=100))
    world.now += 101
    world.beat()
    hand.finish(Cause.EXIT_CODE)

    query = TreeParams(id=pipeline, failed=True)
    found = asyncio.run(world.pipelines().get_tree(query)).nodes
    waits = world.nodes(pipeline)["/b"].waits_for
    run = world.control(pipeline, "run")
    reset = world.control(pipeline, "reset", failed=True)

    assert [node.path for node in found] == ["/"]
    assert world.nodes(pipeline)["/a"].stopped_by is None  # it runs again
    assert waits == "max_time of / ran out"
    why = "/ timed out: max_time 1m 40s (1 killed, 1 not run)"
    assert run.notes == (f"nothing to run: {why}; rerun: conducto rerun {pipeline} --failed",)
    assert (reset.affected, reset.paths) == (2, ("/a", "/b"))
    world.run_out()
    assert world.states(pipeline) == {"/": "done", "/a": "done", "/b": "done"}


def test_heartbeat_for_an_unknown_attempt_is_answered_with_stop(world: World) -> None:
    _, hand = _one(world)
    assert hand.desk.heartbeat(hand.identity, Heartbeat(path="/", attempt=9)).stop
