"""A worker's proof: signed by the agent, checked by the API, with the emulator's AWS between."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from botocore.credentials import Credentials
from botocore.stub import Stubber
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from chalicelib.aws.clients import Clients, Tags
from chalicelib.errors import ThrottledError
from chalicelib.people.tokens import new_token
from chalicelib.workers.aws.ecs import Ecs, Place
from chalicelib.workers.aws.task_definitions import Roles, TaskDefinitions
from chalicelib.workers.port import Owner, TaskId
from conducto_core.workers.rules.task_proof import digest_of
from conducto_emulator import resources
from conducto_emulator.gateway.access import AwsDoor, Keys, Names, new_key
from conducto_worker.agent.aws import prove
from conducto_worker.agent.port import WorkerApiError

if TYPE_CHECKING:
    from collections.abc import Iterator

TASK = "arn:aws:ecs:us-east-1:123456789012:task/conducto/0123456789abcdef0123456789abcdef"
OWNER = Owner("acme", "abc", "w1")
ROLE = "arn:aws:iam::123456789012:role/path/task"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """Serve the emulator's AWS, which checks signatures."""
    application = DomainDispatcherApplication(create_backend_app)
    server = make_server("127.0.0.1", 0, lambda *_: [], threaded=True)
    host = f"127.0.0.1:{server.port}"
    server.app = AwsDoor(application, Keys(new_key()), Names(frozenset({host}), "http://page"))
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
    thread.start()
    yield f"http://{host}"
    server.shutdown()
    thread.join()
    server.server_close()


class Api:
    """The API's side of a proof.

    Attributes:
        owner: What ECS says about the owner of the task.
    """

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.owner = OWNER

    def accepts(self, proof: Any, key: str, task: str = TASK) -> bool:
        clients = Clients("us-east-1", aws_access_key_id="x", aws_secret_access_key="y")
        roles = Roles("execution", ROLE, "agent:1", "/workers", "us-east-1")
        definitions = TaskDefinitions(clients, None, roles, "p")  # type: ignore[arg-type]
        place = Place("conducto", (), "", sts=self.endpoint)
        fleet = Ecs(clients, definitions, place, lambda: "", Tags("test"))
        described = {
            "taskArn": task,
            "group": f"conducto:{self.owner.org}:{self.owner.worker_id}",
            "startedBy": self.owner.pipeline_id,
        }
        with Stubber(clients.get("ecs")) as stub:
            stub.add_response("describe_tasks", {"tasks": [described]})
            return fleet.proves(TaskId(task, OWNER), digest_of(key), proof)

    def proof(self, key: str, *, role: str = ROLE, session: str = TASK, task: str = TASK) -> Any:
        lent = resources.task_env(role, session.rpartition("/")[2])
        env = resources.aws_env(self.endpoint)
        return prove(task, key, env, Credentials(*lent.values()))


@pytest.fixture
def api(endpoint: str) -> Api:
    return Api(endpoint)


@pytest.fixture
def key() -> str:
    return new_token()[0]


def test_proof_of_the_task_is_accepted(api: Api, key: str) -> None:
    assert api.accepts(api.proof(key), key)


def test_proof_counts_for_its_key_only(api: Api, key: str) -> None:
    assert not api.accepts(api.proof(key), new_token()[0])


def test_signature_that_does_not_cover_the_key_is_refused(api: Api, key: str) -> None:
    proof = api.proof(key)
    uncovered = proof.authorization.replace(";x-conducto-key", "")

    assert uncovered != proof.authorization
    assert not api.accepts(proof.model_copy(update={"authorization": uncovered}), key)


@pytest.mark.parametrize(
    "signer",
    [
        {"session": f"{TASK}0"},
        {"role": "arn:aws:iam::123456789012:role/auditor"},
        {"role": "arn:aws:iam::210987654321:role/task"},
    ],
    ids=["another task", "another role", "another account"],
)
def test_proof_of_another_identity_is_refused(api: Api, key: str, signer: dict[str, str]) -> None:
    assert not api.accepts(api.proof(key, **signer), key)


def test_proof_of_a_task_of_another_worker_is_refused(api: Api, key: str) -> None:
    api.owner = Owner("other", "abc", "w1")

    assert not api.accepts(api.proof(key), key)


def test_made_up_signature_is_refused(api: Api, key: str) -> None:
    proof = prove(TASK, key, resources.aws_env(api.endpoint), Credentials("AKIA", "x", "y"))

    assert not api.accepts(proof, key)


def test_start_is_retried_while_sts_does_not_respond(api: Api, key: str) -> None:
    proof = api.proof(key)
    api.endpoint = "http://127.0.0.1:1"

    with pytest.raises(ThrottledError, match="STS is unreachable"):
        api.accepts(proof, key)


def test_agent_reports_that_its_task_has_no_role(key: str) -> None:
    with pytest.raises(WorkerApiError, match="no role"):
        prove(TASK, key, {}, None)
