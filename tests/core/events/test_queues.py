"""Queues that triggers may read, and their messages as payloads."""

from __future__ import annotations

import pytest

from conducto_core.events.rules.queues import batches, message_of, read_queues

ORDERS = "arn:aws:sqs:us-east-1:123456789012:orders"


def test_queues_of_organisations_are_read() -> None:
    other = ORDERS.replace("orders", "other")
    assert read_queues(f"acme={ORDERS}, beta={other},") == {("acme", ORDERS), ("beta", other)}
    assert read_queues("") == frozenset()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ORDERS, "is not ORG=ARN"),
        (f"acme={ORDERS}.fifo", "is not ORG=ARN of a standard queue"),
        ("acme=orders", "is not ORG=ARN"),
        (f"acme={ORDERS},beta={ORDERS}", "is named twice"),
        (f"acme={ORDERS.replace('us-east-1', 'eu-west-1')}", "queues of us-east-1 only"),
    ],
)
def test_wrong_queues_are_named(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_queues(text, "us-east-1")


@pytest.mark.parametrize(
    ("body", "parsed"),
    [('{"a": 1}', {"a": 1}), ("plain", "plain"), ("NaN", "NaN"), ("[" * 100_000, "[" * 100_000)],
)
def test_body_that_is_not_json_is_a_text(body: str, parsed: object) -> None:
    message = message_of({"messageId": "1", "body": body})
    assert message == {"id": "1", "body": parsed, "attributes": {}, "sent": None}


def test_messages_are_divided_by_the_size_of_their_payload() -> None:
    sizes = (30_000, 30_000, 10_000, 70_000, 1)
    messages = [{"id": str(number), "body": "é" * (size // 2)} for number, size in enumerate(sizes)]

    parts = [[each["id"] for each in part] for part in batches("orders", messages)]

    assert parts == [["0", "1"], ["2"], ["3"], ["4"]]
