"""Secrets over the API: values go in and never come out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing

import pytest
from tests.fakes.pipelines import MemoryPipelines
from tests.fakes.transport import InProcessTransport

from conducto.wire.secret_names import MAX_VALUE
from conducto_client import ApiError, Client, HttpTransport, Transport
from conducto_core.api.common_operations import OPERATIONS
from conducto_core.api.dispatch import Service
from conducto_core.api.operation import Permission
from conducto_core.secrets.model import DeleteSecrets, PutSecrets, SecretKey, SecretValue
from conducto_core.secrets.port import SecretName
from support.api_server import running_server

VALUE = "very-secret-\u00fc"
PATH = "/api/v1/secrets"


@pytest.fixture
def fake() -> MemoryPipelines:
    return MemoryPipelines()


@pytest.fixture(params=["in process", "over http"])
def transport(request: pytest.FixtureRequest, fake: MemoryPipelines) -> Iterator[Transport]:
    if request.param == "in process":
        with InProcessTransport(Service(fake)) as transport:
            yield transport
    else:
        with running_server(fake) as server, closing(HttpTransport(server.endpoint)) as transport:
            yield transport


@pytest.fixture
def client(transport: Transport) -> Iterator[Client]:
    with Client(transport) as client:
        yield client


def request_of(*secrets: tuple[str, str]) -> PutSecrets:
    return PutSecrets(secrets=tuple(SecretValue(key=k, value=v) for k, v in secrets))  # type: ignore[arg-type]


def test_a_value_arrives_as_it_is(client: Client, fake: MemoryPipelines) -> None:
    response = client.put_secrets(request_of(("A", VALUE)))

    assert fake.secret_store.read()[SecretName("user", "A")].value == VALUE
    assert [key.key for key in response.changed] == ["A"]


def test_the_longest_value_arrives(client: Client, fake: MemoryPipelines) -> None:
    client.put_secrets(request_of(("A", "\x01" * MAX_VALUE)))

    assert len(fake.secret_store.read()[SecretName("user", "A")].value) == MAX_VALUE


def test_no_response_contains_a_value(client: Client, transport: Transport) -> None:
    client.put_secrets(request_of(("A", VALUE)))

    listed = transport.request("GET", PATH, {}, None)

    assert b'"key":"A"' in listed.body
    assert b"very-secret" not in listed.body


def test_short_value_is_reported_as_unmasked(client: Client) -> None:
    response = client.put_secrets(request_of(("PIN", "123"), ("TOKEN", VALUE)))

    assert response.notes == (
        "PIN is shorter than 4 characters: it is not masked in what commands print",
    )
    assert {s.key: (s.mask, s.masked) for s in response.secrets} == {
        "PIN": (True, False),
        "TOKEN": (True, True),
    }


def test_deleting_returns_the_deleted_names(client: Client) -> None:
    client.put_secrets(request_of(("A", VALUE), ("B", VALUE)))
    keys = (SecretKey(key="A"), SecretKey(key="A", scope="org"), SecretKey(key="C"))

    response = client.delete_secrets(DeleteSecrets(keys=keys))

    assert response.changed == (SecretKey(key="A"),)
    assert [secret.key for secret in response.secrets] == ["B"]


@pytest.mark.parametrize(
    ("key", "value"), [("CONDUCTO_A", VALUE), ("A", f"{VALUE}\0"), ("A", VALUE * MAX_VALUE)]
)
def test_a_wrong_secret_is_refused_without_its_value(client: Client, key: str, value: str) -> None:
    with pytest.raises(ApiError) as caught:
        client.put_secrets(request_of(("GOOD", "x"), (key, value)))

    assert caught.value.status in {409, 413}
    assert "very-secret" not in str(caught.value.problem)
    assert client.secrets().secrets == ()


@pytest.mark.parametrize(
    "body",
    [
        {"secrets": [{"key": "A", "value": ["very-secret"]}]},
        {"secrets": [{"key": "A", "value": "x", "vlaue": "very-secret"}]},
        {"secrets": [{"key": ["very-secret"], "value": "very-secret", "scope": "x"}]},
        {"secrets": {"A": "very-secret"}},
    ],
)
def test_invalid_request_is_rejected_without_its_content(
    transport: Transport, body: object
) -> None:
    reply = transport.request("POST", PATH, {}, json.dumps(body).encode())

    assert reply.status == 422
    assert b"body.secrets" in reply.body
    assert b"very-secret" not in reply.body


def test_a_request_does_not_print_its_value() -> None:
    assert "very-secret" not in repr(request_of(("A", VALUE)))


def test_all_calls_need_the_permission_for_secrets() -> None:
    found = [operation for operation in OPERATIONS if "/secrets" in operation.path]

    assert len(found) == 3
    assert {operation.permission for operation in found} == {Permission.SECRETS}
