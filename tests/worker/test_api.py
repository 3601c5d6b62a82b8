"""The agent's calls over HTTP: retries, their timeout, and errors without a retry."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from tests.fakes.worker import FakeClock

from conducto_core.workers.model import (
    PROTOCOL,
    Claim,
    ClaimDecision,
    Credentials,
    Heartbeat,
    Report,
    WorkerEnd,
    WorkerLogChunk,
    WorkerStart,
)
from conducto_worker.agent.api import LAST_TIMEOUT, TIMEOUT, HttpApi
from conducto_worker.agent.port import RefusedError, WorkerApiError, WorkerGoneError

DROP = json.dumps({"decision": "drop"}).encode()
CLAIM = Claim(token="secret-token", run="r", node="n")
REPORT = Report(path="/a", attempt=1)


class Line:
    """Answers in turn; the last one stays."""

    def __init__(self, *responses: Any) -> None:
        self.responses = list(responses)
        self.sent: list[tuple[str, str, Any]] = []

    def __call__(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        self.sent.append((method, path, json.loads(body) if body else None))
        response = self.responses.pop(0) if len(self.responses) > 1 else self.responses[0]
        if isinstance(response, Exception):
            raise response
        return response  # type: ignore[no-any-return]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.mark.parametrize(
    "trouble",
    [ConnectionRefusedError("no"), (503, b""), (429, b"{}"), (500, b"oops"), (200, b"not json")],
    ids=["away", "503", "429", "500", "unreadable"],
)
def test_a_claim_is_tried_again_until_the_api_is_back(clock: FakeClock, trouble: Any) -> None:
    line = Line(trouble, trouble, (200, DROP))

    response = HttpApi(line, clock).claim(CLAIM)

    assert response.decision is ClaimDecision.DROP
    assert len(line.sent) == 3
    assert line.sent[0] == (
        "POST",
        "/api/v1/worker/claim",
        {"token": "secret-token", "run": "r", "node": "n", "waits": False},
    )


def test_retries_end_with_the_timeout(clock: FakeClock) -> None:
    begins = clock.now()

    with pytest.raises(WorkerApiError, match="is unreachable"):
        HttpApi(Line(ConnectionRefusedError("no")), clock).report(REPORT)

    assert TIMEOUT <= clock.now() - begins < TIMEOUT + 20


def test_leaving_worker_has_a_shorter_timeout(clock: FakeClock) -> None:
    begins = clock.now()

    with pytest.raises(WorkerApiError):
        HttpApi(Line((503, b"")), clock).end(WorkerEnd(reason="idle"))

    assert clock.now() - begins < LAST_TIMEOUT + 20


def test_rejected_request_is_not_retried(clock: FakeClock) -> None:
    line = Line((409, b'{"detail": "the attempt is not running"}'))

    with pytest.raises(RefusedError, match="409: the attempt is not running"):
        HttpApi(line, clock).report(REPORT)

    assert len(line.sent) == 1


def test_status_410_stops_the_worker(clock: FakeClock) -> None:
    with pytest.raises(WorkerGoneError):
        HttpApi(Line((410, b"{}")), clock).claim(CLAIM)


@pytest.mark.parametrize("call", ["heartbeat", "log"])
def test_heartbeat_and_output_are_tried_once(clock: FakeClock, call: str) -> None:
    line = Line((503, b""))
    data = base64.b64encode(b"x").decode()
    given = {
        "heartbeat": Heartbeat(path="/a", attempt=1),
        "log": WorkerLogChunk(path="/a", attempt=1, stream="stdout", offset=0, data=data),
    }

    with pytest.raises(WorkerApiError):
        getattr(HttpApi(line, clock), call)(given[call])

    assert len(line.sent) == 1


def test_unreadable_response_is_not_quoted(clock: FakeClock) -> None:
    clock.stop_at = clock.now()
    line = Line((200, b'{"decision": "what", "env": {"K": "s3cret"}}'))

    with pytest.raises(WorkerApiError) as caught:
        HttpApi(line, clock).claim(CLAIM)

    assert "s3cret" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_unknown_fields_of_a_newer_api_are_ignored(clock: FakeClock) -> None:
    response = json.dumps({"decision": "drop", "hint": "of a version to come"}).encode()

    assert HttpApi(Line((200, response)), clock).claim(CLAIM).decision is ClaimDecision.DROP


def test_unknown_fields_in_a_part_of_the_response_are_ignored(
    clock: FakeClock,
) -> None:
    credentials = {"access_key": "a", "secret_key": "s", "account": "of a version to come"}
    response = {"activity": "arn", "region": "us-east-1", "credentials": credentials}
    api = HttpApi(Line((200, json.dumps(response).encode())), clock)

    instructions = api.start(WorkerStart(task="arn", protocol=PROTOCOL))

    assert instructions.credentials == Credentials(access_key="a", secret_key="s")


def test_response_of_another_form_is_unreadable(clock: FakeClock) -> None:
    with pytest.raises(WorkerApiError, match="invalid response"):
        HttpApi(Line((200, b'[{"stop": true}]')), clock).heartbeat(Heartbeat(path="/a", attempt=1))
