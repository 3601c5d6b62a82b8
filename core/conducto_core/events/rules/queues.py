"""The queues of SQS that fire triggers: which ones are allowed, and their messages as payloads."""

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from conducto_core.errors import invalid
from conducto_core.events.model import MAX_PAYLOAD, Event, EventRule

#: Number of times that a message is received before it moves to the dead-letter queue.
MAX_RECEIVES: Final = 5
_ARN: Final = re.compile(r"arn:[a-z-]+:sqs:([a-z0-9-]+):\d{12}:[\w-]{1,80}")
_DEFAULT_RATE: Final = EventRule.model_fields["rate"].default


def check_queue_rule(rule: EventRule) -> None:
    """Check the fields of a rule about a queue.

    Raises:
        DefinitionError: One is invalid.
    """
    if rule.queue is not None and not _ARN.fullmatch(rule.queue):
        raise invalid(
            "on",
            f"the queue must be the ARN of a standard queue, such as "
            f"arn:aws:sqs:us-east-1:123456789012:sales, got {rule.queue!r}",
        )
    if rule.debounce:
        raise invalid("on", "debounce is not for sqs, whose batches collect messages")
    if rule.rate != _DEFAULT_RATE:
        raise invalid("on", "rate is not for sqs: messages that wait stay in the queue")


def read_queues(text: str, region: str | None = None) -> frozenset[tuple[str, str]]:
    """Return ``(organisation, ARN)`` of queues that an administrator lets triggers read.

    >>> read_queues("acme=arn:aws:sqs:us-east-1:123456789012:sales")
    frozenset({('acme', 'arn:aws:sqs:us-east-1:123456789012:sales')})

    Args:
        text: ``ORG=ARN,ORG=ARN``.
        region: That of the installation, in which the queues must be; None: any.

    Raises:
        ValueError: The text is invalid.
    """
    found: set[tuple[str, str]] = set()
    for part in filter(None, (one.strip() for one in text.split(","))):
        org, equals, arn = part.partition("=")
        match = _ARN.fullmatch(arn)
        if not (org and equals and match):
            raise ValueError(
                f"{part!r} is not ORG=ARN of a standard queue, such as "
                "acme=arn:aws:sqs:us-east-1:123456789012:sales"
            )
        if region is not None and match[1] != region:
            raise ValueError(f"{arn} is in {match[1]}; Lambda reads queues of {region} only")
        if arn in {known for _, known in found}:
            raise ValueError(f"{arn} is named twice: one trigger reads a queue")
        found.add((org, arn))
    return frozenset(found)


def message_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a message of SQS as a part of a payload; a body that is not JSON is a text."""
    body = str(record["body"])
    try:
        parsed = json.loads(body, parse_constant=_refused)
    except (ValueError, RecursionError):
        parsed = body
    attributes = record.get("messageAttributes") or {}
    sent = (record.get("attributes") or {}).get("SentTimestamp")
    return {
        "id": str(record["messageId"]),
        "body": parsed,
        "attributes": {
            name: value["stringValue"]
            for name, value in attributes.items()
            if value.get("stringValue") is not None
        },
        "sent": None if sent is None else int(sent) / 1000,
    }


def _refused(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def batch_event(queue: str, messages: Sequence[Mapping[str, Any]]) -> Event:
    """Return the event of a batch: its identity is that of its first message."""
    first = str(messages[0]["id"])
    payload = {"queue": queue, "messages": [*messages]}
    return Event(key=f"id:{first}", id=first, source=queue, payload=payload)


def batches(queue: str, messages: Collection[Mapping[str, Any]]) -> Iterator[list[Any]]:
    """Yield the messages in parts whose payloads can be stored; one that is too large is alone."""
    part: list[Any] = []
    empty = _size({"queue": queue, "messages": []})
    size = empty
    for message in messages:
        more = _size(message) + 2  # a comma and a space
        if part and size + more > MAX_PAYLOAD:
            yield part
            part, size = [], empty
        part.append(message)
        size += more
    if part:
        yield part


def _size(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False).encode())
