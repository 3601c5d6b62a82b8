"""The queue in Step Functions: tasks, heartbeats, and credentials that end."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest
from tests.fakes.worker import FakeClock

from conducto_core.workers.model import Credentials, WorkerInstructions
from conducto_worker.agent.aws import ActivityPoller
from conducto_worker.agent.port import PolledTask, WorkerApiError

TASK = {"taskToken": "t", "input": json.dumps({"r": "run-1", "n": "abc", "w": True})}


class NamedError(Exception):
    """An error as botocore raises it."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} for token t")
        self.response = {"Error": {"Code": name}}


class Client:
    def __init__(self, task: Any = None, trouble: str | None = None) -> None:
        self.task = task or {}
        self.trouble = trouble
        self.calls: list[dict[str, str]] = []

    def get_activity_task(self, **fields: str) -> dict[str, Any]:
        return self._respond(fields, self.task)

    def send_task_heartbeat(self, **fields: str) -> dict[str, Any]:
        return self._respond(fields, {})

    def _respond(self, fields: dict[str, str], answer: dict[str, Any]) -> dict[str, Any]:
        self.calls.append(fields)
        if self.trouble is not None:
            raise NamedError(self.trouble)
        return answer


def instructions(expires: float | None = None) -> WorkerInstructions:
    return WorkerInstructions(
        activity="arn:a",
        region="us-east-1",
        credentials=Credentials(access_key="k", secret_key="s", expires=expires),
    )


def tasks(client: Client, **more: Any) -> ActivityPoller:
    given: dict[str, Any] = {"clock": FakeClock(), "wall": lambda: 1000.0, **more}
    return ActivityPoller(
        given.pop("instructions", instructions()),
        given.pop("renew", instructions),
        connect=lambda _instructions: client,
        **given,
    )


def test_a_poll_returns_a_task() -> None:
    client = Client(TASK)

    assert tasks(client).poll(lambda: False) == PolledTask("t", "run-1", "abc", waits=True)
    assert client.calls == [{"activityArn": "arn:a"}]


def test_a_poll_without_a_task_returns_nothing() -> None:
    assert tasks(Client({"taskToken": None})).poll(lambda: False) is None


def test_failed_poll_returns_none_and_waits() -> None:
    clock = FakeClock()
    begins = clock.now()

    assert tasks(Client(trouble="ThrottlingException"), clock=clock).poll(lambda: False) is None
    assert clock.now() > begins + 1


@pytest.mark.parametrize("name", ["TaskTimedOut", "TaskDoesNotExist", "InvalidToken"])
def test_heartbeat_reports_a_lost_task(name: str) -> None:
    assert not tasks(Client(trouble=name)).heartbeat("t")


def test_other_heartbeat_failures_are_logged_without_the_token() -> None:
    with pytest.raises(WorkerApiError, match="ThrottlingException") as caught:
        tasks(Client(trouble="ThrottlingException")).heartbeat("t0ken")

    assert "token" not in str(caught.value)


def test_credentials_are_renewed_before_they_end() -> None:
    renewed: list[int] = []

    def renew() -> WorkerInstructions:
        renewed.append(1)
        return instructions(9000.0)

    queue = tasks(Client(TASK), instructions=instructions(1100.0), renew=renew)
    queue.poll(lambda: False)
    queue.heartbeat("t")

    assert len(renewed) == 1


class SlowClient(Client):
    """A client whose poll stays open until a test ends it."""

    def __init__(self, task: Any = None) -> None:
        super().__init__(task)
        self.ended = threading.Event()

    def get_activity_task(self, **fields: str) -> dict[str, Any]:
        self.ended.wait(30)
        return super().get_activity_task(**fields)


def _stopped() -> FakeClock:
    clock = FakeClock()
    clock.stop_at = clock.now()
    return clock


def test_open_poll_is_aborted_if_it_may_be() -> None:
    client = SlowClient(TASK)

    assert tasks(client, clock=_stopped()).poll(lambda: True) is None
    assert not client.ended.is_set()
    client.ended.set()


def test_open_poll_that_must_not_be_aborted_returns_its_task() -> None:
    client, requests = SlowClient(TASK), []

    def may_abort() -> bool:
        requests.append(1)
        client.ended.set()
        return False

    assert tasks(client, clock=_stopped()).poll(may_abort) is not None
    assert len(requests) == 1


def test_brief_poll_without_a_task_is_continued() -> None:
    client = SlowClient(TASK)
    queue = tasks(client)

    assert (queue.poll_briefly(0.01), queue.open) == (None, True)
    client.ended.set()
    assert queue.poll(lambda: False) == PolledTask("t", "run-1", "abc", waits=True)
    assert (len(client.calls), queue.open) == (1, False)


def test_failed_brief_poll_does_not_wait() -> None:
    clock = FakeClock()
    begins, queue = clock.now(), tasks(Client(trouble="ThrottlingException"), clock=clock)

    assert (queue.poll_briefly(30), queue.open) == (None, False)
    assert clock.now() == begins


def test_task_that_arrives_during_the_request_to_abort_is_not_lost() -> None:
    client = SlowClient(TASK)

    def may_abort() -> bool:
        client.ended.set()
        time.sleep(0.2)
        return True

    assert tasks(client, clock=_stopped()).poll(may_abort) is not None
