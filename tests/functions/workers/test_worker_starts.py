"""The token of a worker's task starts the worker once, and only from its task.

The attacker may describe the tasks of the account, as with AWS's policy ReadOnlyAccess.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from tests.fakes.cloud.workers import first_start, proof_of

from chalicelib.api.dispatch import Request
from chalicelib.people.tokens import digest_of, new_token
from chalicelib.workers.handlers import NO_PROOF, SECOND_KEY
from conducto_core.api.idempotency import MemoryResponses
from conducto_core.run.model.states import State
from conducto_core.workers.model import Heartbeat, Report, WorkerStart
from conducto_core.workers.operations import HEARTBEAT, REPORT, START, WORKER_OPERATIONS
from support.cloud.world import World
from support.trees import leaf, parallel

if TYPE_CHECKING:
    from conducto_core.api.operation import AnyOperation

BODIES: dict[str, Any] = {
    "worker_claim": {"token": "t", "run": "r", "node": "n"},
    "worker_heartbeat": {"path": "/a", "attempt": 1},
    "worker_log": {"path": "/a", "attempt": 1, "stream": "stdout", "offset": 0, "data": "aGE="},
    "worker_log_upload": {"path": "/a", "attempt": 1, "stream": "stdout", "offset": 0, "size": 1},
    "worker_report": {"path": "/a", "attempt": 1, "exit_code": 0},
    "worker_end": {"reason": "idle"},
}


@dataclass
class Client:
    """A program that sends requests to the API with a token."""

    world: World
    token: str

    def send(self, operation: AnyOperation, body: Any) -> tuple[int, bytes]:
        """Return the status and the body of the response, as behind API Gateway."""
        api = self.world.services.api(lambda _caller: MemoryResponses())
        data = body if isinstance(body, bytes) else body.model_dump_json().encode()
        request = Request({}, (), {"content-type": "application/json"}, data, "r-1")
        response = api.call(operation, self.world.tokens.find(digest_of(self.token)), request)
        return response.status, response.body

    def start(self, start: WorkerStart) -> int:
        return self.send(START, start)[0]


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def pipeline(world: World) -> str:
    return world.launch(parallel("a", "b"))


def described(world: World) -> tuple[str, str]:
    """Return the ARN of a task and the token in its environment, from DescribeTasks."""
    arn, task = next(iter(world.fleet.tasks.items()))
    return arn, task.token


@pytest.mark.usefixtures("pipeline")
def test_start_without_proof_of_the_task_is_refused(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    arn, token = described(world)
    attacker, key = Client(world, token), new_token()[0]
    others = f"{arn}0"

    assert attacker.start(WorkerStart(task=arn, protocol=1)) == 410
    assert attacker.start(WorkerStart(task=arn, protocol=2, key=key)) == 409
    for proof in (proof_of(others, digest_of(key)), proof_of(arn, digest_of(new_token()[0]))):
        assert attacker.start(WorkerStart(task=arn, protocol=2, key=key, proof=proof)) == 409
    own = proof_of(others, digest_of(key))
    assert attacker.start(WorkerStart(task=others, protocol=2, key=key, proof=own)) == 409

    assert NO_PROOF in caplog.text
    assert world.tokens.find(digest_of(key)) is None
    world.run_out()


@pytest.mark.parametrize("when", ["before the agent starts", "while a command runs"])
@pytest.mark.parametrize("operation", WORKER_OPERATIONS, ids=lambda one: one.name)
def test_token_of_a_task_sends_nothing_but_a_start(
    world: World, pipeline: str, operation: AnyOperation, when: str
) -> None:
    _, token = described(world)
    if when == "while a command runs":
        world.serve()

    if operation is not START:
        body = BODIES.get(operation.name)
        data = b"" if body is None else json.dumps(body).encode()
        assert Client(world, token).send(operation, data)[0] == 403

    world.run_out()
    assert world.states(pipeline)["/"] == "done"


def test_agent_can_repeat_a_start_whose_response_was_lost(world: World, pipeline: str) -> None:
    arn, token = described(world)
    agent, start = Client(world, token), first_start(arn)

    status, first = agent.send(START, start)
    assert status == 200
    assert agent.send(START, start.model_copy(update={"proof": None})) == (200, first)

    signed_in = Client(world, str(start.key))
    assert signed_in.start(WorkerStart(task=arn, protocol=2)) == 200, "to renew credentials"
    world.run_out()
    assert world.states(pipeline)["/"] == "done"


def test_second_key_is_refused_without_proof_and_the_worker_continues(
    world: World, pipeline: str
) -> None:
    world.serve()
    arn, token = described(world)

    start = WorkerStart(task=arn, protocol=2, key=new_token()[0])
    assert Client(world, token).start(start) == 409

    assert len(world.living()) == 2
    world.run_out()
    assert world.states(pipeline)["/"] == "done"


def test_second_key_from_the_task_itself_fails_the_worker_visibly(
    world: World, pipeline: str, caplog: pytest.LogCaptureFixture
) -> None:
    world.serve()
    arn, token = described(world)
    hand = world.hands[arn]
    path = hand.job.path if hand.job else ""

    assert Client(world, token).start(first_start(arn)) == 410

    assert arn in world.fleet.stopped
    (attempt,) = world.attempts(pipeline, path)
    assert SECOND_KEY in str(attempt.message)
    assert SECOND_KEY in caplog.text
    assert Client(world, hand.key).start(WorkerStart(task=arn, protocol=2)) == 410


def test_second_key_before_the_first_command_is_shown_where_nodes_wait(world: World) -> None:
    pipeline = world.launch(leaf())
    arn, token = described(world)
    attacker = Client(world, token)

    assert attacker.start(first_start(arn)) == 200  # somebody stole the role's credentials
    assert attacker.start(first_start(arn)) == 410  # the agent itself

    node = world.nodes(pipeline)["/"]
    assert node.state is State.QUEUED
    assert SECOND_KEY in str(node.waits_for)


def test_key_of_a_worker_sends_all_requests_and_no_other_workers(world: World) -> None:
    world.launch(parallel("a", "b"))
    world.serve()
    one, other = world.living()
    assert one.job is not None
    assert other.job is not None
    client = Client(world, one.key)

    assert client.send(HEARTBEAT, Heartbeat(path=one.job.path, attempt=1))[0] == 200
    foreign = Report(path=other.job.path, attempt=1, exit_code=0)
    assert client.send(REPORT, foreign)[0] == 409
    assert client.send(REPORT, Report(path=one.job.path, attempt=1, exit_code=0))[0] == 200
