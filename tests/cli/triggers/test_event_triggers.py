"""``conducto trigger add --event``: the options of the sources of events."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.fakes.transport import InProcessTransport

from conducto_client import Client
from conducto_core.api.dispatch import Service
from conducto_local.server.agent_operations import LOCAL_OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.cli_trees import CountingPipelines

SOURCE = ("--git", "https://example.com/a.git", "--command", "python p.py")
QUEUE = "arn:aws:sqs:us-east-1:123456789012:orders"


@pytest.fixture
def open_client(fake: CountingPipelines) -> Iterator[Callable[[], Client]]:
    """Makes clients of the fake, with its triggers."""
    service = Service(fake, fake.schedules, operations=LOCAL_OPERATIONS)
    with InProcessTransport(service) as transport:
        yield lambda: Client(transport)


@pytest.fixture
def add(conducto: Callable[..., int]) -> Callable[..., int]:
    """Adds the trigger ``load``, whose events are messages of a queue."""
    return lambda *words: conducto("trigger", "add", "load", "--event", "sqs", *SOURCE, *words)


def test_queue_and_batches_are_stored_and_shown(
    add: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert add("--queue", QUEUE, "--batch", "50", "--batch-time", "20s", "--json") == 0
    rule = json.loads(capsys.readouterr().out)["schedule"]["on"]
    assert (rule["queue"], rule["batch"], rule["batch_seconds"]) == (QUEUE, 50, 20)

    assert add("--queue", QUEUE) == 0
    printed = capsys.readouterr().out
    assert "load: sqs orders, 10 messages at once" in printed
    assert f"queue    {QUEUE}" in printed
    assert "aws sqs get-queue-url --queue-name orders" in printed


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--queue", "orders"), "the queue must be the ARN of a standard queue"),
        (("--queue", f"{QUEUE}.fifo"), "the queue must be the ARN of a standard queue"),
        (("--batch", "101"), "batch"),
        (("--batch", "0"), "--batch"),
        (("--batch-time", "6m"), "argument --batch-time: must be from 1s to 5m, got '6m'"),
        (("--rate", "5"), "rate is not for sqs"),
        (("--debounce", "5s"), "debounce is not for sqs"),
        (("--bucket", "acme-raw"), "bucket is needed for s3"),
    ],
)
def test_wrong_option_of_a_queue_is_named(
    words: tuple[str, ...],
    message: str,
    add: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert add(*words) != 0
    assert message in capsys.readouterr().err
