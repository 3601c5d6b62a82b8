"""Triggers by messages of SQS: batches, repeated deliveries, failures, and the calls of AWS."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from tests.functions.events.test_event_triggers import FUNCTION, Buses, Shop
from tests.functions.people.test_people import ORG

from chalicelib.events.aws import HIDDEN_SECONDS, SqsQueues
from chalicelib.events.queues import take_messages
from chalicelib.schedules.handlers import serve_schedules
from conducto_core.errors import RefusedError
from conducto_core.events import operations as ops
from conducto_core.events.model import StoredEvent
from conducto_core.events.rules.payloads import origin_of
from conducto_core.events.rules.queues import batch_event
from conducto_core.schedules import operations as schedules
from support.cloud.aws import aws

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMED = "arn:aws:sqs:us-east-1:123456789012:orders"


class Queues:
    """Records the queues that the function reads."""

    def __init__(self) -> None:
        self.created: dict[str, int] = {}
        self.read_by: dict[str, tuple[int, int]] = {}
        self.refusal: str | None = None

    def own(self, org: str, name: str) -> str:
        return f"arn:aws:sqs:us-east-1:123456789012:own-{org}-{name}"

    def create(self, org: str, name: str, batch_seconds: int) -> None:
        self.created[self.own(org, name)] = batch_seconds

    def delete(self, org: str, name: str) -> None:
        self.created.pop(self.own(org, name), None)

    def read(self, queue: str, batch: int, batch_seconds: int) -> None:
        if self.refusal is not None:
            raise RefusedError(self.refusal)
        self.read_by[queue] = batch, batch_seconds

    def leave(self, queue: str) -> None:
        self.read_by.pop(queue, None)


class QueueShop(Shop):
    """An organisation with a trigger by the messages of a queue."""

    def __init__(self, **rule: Any) -> None:
        self.queues = Queues()
        super().__init__(Buses(), event_queues=self.queues, named_queues=frozenset({(ORG, NAMED)}))
        what = {"kind": "template", "pipeline": self.template}
        status, view = self.add("load", what, **rule)
        assert status == 200, view
        self.queue = view["schedule"]["on"]["queue"]

    def add(self, name: str, what: Any = None, **rule: Any) -> tuple[int, Any]:
        what = what or {"kind": "template", "pipeline": self.template}
        body = {"name": name, "on": {"source": "sqs", **rule}, "what": what, "overlap": "allow"}
        return self.office.call(schedules.CREATE_SCHEDULE, self.admin, body)

    def deliver(self, *messages: Mapping[str, Any], served: bool = True) -> list[str]:
        self.world.now += 1

        def serve(org: str, name: str) -> None:
            if not served:
                raise RuntimeError("the function was stopped")
            asyncio.run(self.world.services.schedule_runner().serve(org, name))

        return take_messages(
            self.world.cloud.events.schedules, self.world.cloud.timing.clock, messages, serve
        )

    def message(self, number: int, body: Any) -> dict[str, Any]:
        return {
            "messageId": f"m-{number}",
            "body": body if isinstance(body, str) else json.dumps(body),
            "attributes": {"SentTimestamp": "1500"},
            "messageAttributes": {"kind": {"dataType": "String", "stringValue": "order"}},
            "eventSourceARN": self.queue,
        }

    def payload(self, firing: Mapping[str, Any]) -> Any:
        params = {"name": "load", "firing": firing["id"]}
        return self.office.call(ops.GET_PAYLOAD, self.ann, **params)[1]["payload"]


@pytest.fixture
def shop() -> QueueShop:
    return QueueShop()


def test_batch_of_messages_launches_one_pipeline(shop: QueueShop) -> None:
    failed = shop.deliver(shop.message(1, {"country": "FR"}), shop.message(2, "plain text"))

    (firing,) = shop.firings("load")
    assert (failed, firing["state"], firing["event"]["count"]) == ([], "launched", 2)
    payload = shop.payload(firing)
    assert payload["messages"] == [
        {"id": "m-1", "body": {"country": "FR"}, "attributes": {"kind": "order"}, "sent": 1.5},
        {"id": "m-2", "body": "plain text", "attributes": {"kind": "order"}, "sent": 1.5},
    ]


def test_messages_that_are_delivered_again_launch_nothing(shop: QueueShop) -> None:
    one, two, three = (shop.message(number, {"n": number}) for number in range(3))
    shop.deliver(one, two)

    assert shop.deliver(two, three, one) == []

    payloads = [shop.payload(firing)["messages"] for firing in shop.firings("load")]
    assert [[each["body"]["n"] for each in part] for part in payloads] == [[2], [0, 1]]


def test_stored_batch_is_launched_by_the_minute_rule(shop: QueueShop) -> None:
    assert shop.deliver(shop.message(1, {}), served=False) == []
    assert shop.firings("load")[0]["state"] == "pending"

    serve_schedules(shop.world.services.schedule_runner(), shop.world.cloud.timing.clock)

    assert shop.firings("load")[0]["state"] == "launched"


def test_batch_whose_firing_was_lost_is_fired_when_its_messages_return(shop: QueueShop) -> None:
    messages = [{"id": f"m-{number}", "body": number} for number in range(2)]
    first, second = (origin_of(batch_event("own-acme-load", [one])) for one in messages)
    payload = {"queue": "own-acme-load", "messages": messages}
    stored = [
        StoredEvent(origin=first, firing="f1", time=1.0, payload=payload),
        StoredEvent(origin=second, firing="f1", time=1.0),
    ]
    assert shop.world.cloud.events.schedules.add_events(ORG, "load", stored)
    assert not shop.world.cloud.events.schedules.add_events(ORG, "load", stored[1:])

    assert shop.deliver(shop.message(1, 1)) == ["m-1"]  # the other one has the payload
    assert shop.deliver(shop.message(0, 0)) == []
    assert shop.deliver(shop.message(1, 1)) == []

    (firing,) = shop.firings("load")
    assert (firing["id"], firing["state"]) == ("f1", "launched")
    assert len(shop.payload(firing)["messages"]) == 2


def test_message_that_is_too_large_stays_in_the_queue(shop: QueueShop) -> None:
    large = shop.message(1, "x" * 70_000)

    failures = [shop.deliver(large, shop.message(2, "small")), shop.deliver(large)]

    assert failures == [["m-1"], ["m-1"]]
    states = {one["state"]: one["why"] or "" for one in shop.firings("load")}
    assert sorted(states) == ["failed", "launched"]
    assert "the maximum is 65,536" in states["failed"]


def test_batch_that_is_too_large_becomes_several_pipelines(shop: QueueShop) -> None:
    assert shop.deliver(*(shop.message(number, "x" * 25_000) for number in range(5))) == []

    counts = [one["event"]["count"] for one in shop.firings("load")]
    assert (sorted(counts), {one["state"] for one in shop.firings("load")}) == (
        [1, 2, 2], {"launched"},
    )  # fmt: skip


def test_redacted_paths_are_those_of_each_message() -> None:
    shop = QueueShop(redact=["$.body.card"])
    shop.deliver(*(shop.message(number, {"card": "4242"}) for number in range(2)))

    bodies = [one["body"] for one in shop.payload(shop.firings("load")[0])["messages"]]
    assert bodies == [{"card": "***"}] * 2


def test_paused_trigger_records_a_batch_which_can_be_replayed(shop: QueueShop) -> None:
    shop.office.call(schedules.PAUSE_SCHEDULE, shop.ann, name="load")
    assert shop.deliver(shop.message(1, {})) == []
    (firing,) = shop.firings("load")
    assert firing["why"] == "the trigger is paused"
    shop.office.call(schedules.RESUME_SCHEDULE, shop.ann, name="load")

    params = {"name": "load", "firing": firing["id"]}
    assert shop.office.call(ops.REPLAY_FIRING, shop.ann, **params)[1]["state"] == "launched"


def test_messages_stay_when_their_queue_fires_no_trigger(shop: QueueShop) -> None:
    message = shop.message(1, {})
    other = {**message, "eventSourceARN": NAMED}
    assert shop.deliver(other) == ["m-1"]
    shop.office.call(schedules.DELETE_SCHEDULE, shop.admin, name="load")

    assert shop.deliver(message) == ["m-1"]
    assert (shop.queues.created, shop.queues.read_by) == ({}, {})


def test_named_queue_is_read_by_one_trigger_of_its_organisation(shop: QueueShop) -> None:
    assert shop.queues.created == {shop.queue: 5}
    elsewhere = NAMED.replace("orders", "others")
    status, problem = shop.add("other", queue=elsewhere)
    assert (status, f"-c queues={ORG}={elsewhere}" in problem["detail"]) == (409, True)

    assert shop.add("named", queue=NAMED, batch=50, batch_seconds=20)[0] == 200
    status, problem = shop.add("second", queue=NAMED)
    assert (status, "fires the trigger named" in problem["detail"]) == (409, True)
    assert shop.queues.read_by == {shop.queue: (10, 5), NAMED: (50, 20)}

    change = {"on": {"source": "webhook"}, "what": {"kind": "template", "pipeline": shop.template}}
    assert shop.office.call(schedules.CHANGE_SCHEDULE, shop.admin, change, name="named")[0] == 200
    assert list(shop.queues.read_by) == [shop.queue]
    assert shop.add("second", queue=NAMED)[0] == 200


@pytest.mark.parametrize("queue", [None, NAMED])
def test_trigger_whose_queue_aws_refuses_is_not_created(shop: QueueShop, queue: str | None) -> None:
    before = shop.world.cloud.events.schedules.list_by_name(ORG)
    shop.queues.refusal = f"AWS does not read {queue}: timeout: 30 seconds is less"
    rule = {} if queue is None else {"queue": queue}

    status, problem = shop.add("other", **rule)

    assert (status, "30 seconds is less" in problem["detail"]) == (409, True)
    assert shop.world.cloud.events.schedules.list_by_name(ORG) == before
    assert list(shop.queues.created) == [shop.queue]
    shop.queues.refusal = None
    assert shop.add("another", **rule)[0] == 200  # nothing claims the queue


def test_bad_queue_is_rejected_before_it_is_stored(shop: QueueShop) -> None:
    for rule, message in (
        ({"batch": 101}, "less than or equal to 100"),
        ({"batch_seconds": 0}, "greater than or equal to 1"),
        ({"debounce": 5}, "debounce is not for sqs"),
        ({"rate": 5}, "rate is not for sqs"),
        ({"source": "webhook", "batch": 5}, "are for sqs"),
    ):
        status, problem = shop.add("bad", **rule)
        assert (status, message in problem["detail"]) == (422, True), problem
    shop.office.call(schedules.DELETE_SCHEDULE, shop.admin, name="load")
    body = {
        "name": "mine", "on": {"source": "sqs"},
        "what": {"kind": "template", "pipeline": shop.template},
    }  # fmt: skip
    status, problem = shop.office.call(schedules.CREATE_SCHEDULE, shop.ann, body)
    assert (status, "only administrators" in problem["detail"]) == (409, True)


def test_queue_is_created_with_a_dead_letter_queue() -> None:
    with aws() as clients:
        queues, sqs = SqsQueues(clients, "conducto-dev_queue-", FUNCTION), boto3.client("sqs")
        for seconds in (5, 20):
            queues.create(ORG, "load", seconds)

        name = queues.own(ORG, "load").rpartition(":")[2]
        url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
        found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        assert found["QueueArn"] == queues.own(ORG, "load")
        assert found["VisibilityTimeout"] == str(HIDDEN_SECONDS + 20)
        assert json.loads(found["RedrivePolicy"]) == {
            "deadLetterTargetArn": f"{queues.own(ORG, 'load')}-dead", "maxReceiveCount": 5,
        }  # fmt: skip
        for _ in range(2):
            queues.delete(ORG, "load")
            assert "QueueUrls" not in sqs.list_queues()


class Lambda:
    """A client of Lambda with mappings of queues.

    Attributes:
        refusal: Code of an error with which AWS refuses the next mapping.
    """

    def __init__(self) -> None:
        self.mappings: dict[str, dict[str, Any]] = {}
        self.refusal: str | None = None

    def get(self, _service: str) -> Lambda:
        return self

    def list_event_source_mappings(self, **query: str) -> dict[str, Any]:
        assert query["FunctionName"] == FUNCTION
        found = [
            {"UUID": one}
            for one, known in self.mappings.items()
            if known["EventSourceArn"] == query["EventSourceArn"]
        ]
        return {"EventSourceMappings": found}

    def create_event_source_mapping(self, **fields: Any) -> None:
        if self.refusal is not None:
            about = {"Error": {"Code": self.refusal, "Message": "timeout: 30 seconds is less"}}
            raise boto3.client("lambda").exceptions.ClientError(about, "Create")
        self.mappings[f"id-{len(self.mappings)}"] = fields

    def update_event_source_mapping(self, UUID: str, **fields: Any) -> None:  # noqa: N803
        self.mappings[UUID].update(fields)

    def delete_event_source_mapping(self, UUID: str) -> None:  # noqa: N803
        del self.mappings[UUID]


def test_lambda_reads_a_queue_in_batches_of_which_a_part_may_fail() -> None:
    client: Any = Lambda()
    queues = SqsQueues(client, "conducto-dev_queue-", FUNCTION)
    queues.read(NAMED, 10, 5)
    queues.read(NAMED, 50, 20)

    (mapping,) = client.mappings.values()
    assert (mapping["EventSourceArn"], mapping["FunctionName"]) == (NAMED, FUNCTION)
    assert (mapping["BatchSize"], mapping["MaximumBatchingWindowInSeconds"]) == (50, 20)
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    queues.leave(NAMED)
    assert client.mappings == {}


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("InvalidParameterValueException", "timeout: 30 seconds is less"),
        ("ResourceConflictException", "try again in a minute"),
    ],
)
def test_queue_that_aws_does_not_read_is_refused_with_the_reason(code: str, message: str) -> None:
    with aws():
        client: Any = Lambda()
        client.refusal = code
        queues = SqsQueues(client, "conducto-dev_queue-", FUNCTION)

        with pytest.raises(RefusedError, match=message):
            queues.read(NAMED, 10, 5)
