"""Triggers by events in the cloud: webhooks, payloads of commands, replay, debounce and limits."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.functions.people.test_people import ORG, Office

from chalicelib.events.aws import EventBridgeRules
from chalicelib.events.handlers import EventHooks, take_bus_event
from chalicelib.schedules.handlers import serve_schedules
from chalicelib.triggers.port import GitRef
from chalicelib.triggers.webhooks import Hooks
from conducto_core.events import operations as ops
from conducto_core.events.model import StoredEvent
from conducto_core.events.rules.payloads import origin_of, webhook_event
from conducto_core.people.model import Role
from conducto_core.people.operations import LIST_AUDIT
from conducto_core.run.model.requests import LaunchRequest
from conducto_core.run.operations import NODE
from conducto_core.schedules import operations as schedules
from conducto_core.triggers.rules.providers import generic_headers
from support.cloud.aws import aws
from support.trees import form, leaf, serial

if TYPE_CHECKING:
    from collections.abc import Mapping

PARAMETERS = [
    {"name": "country", "type": {"type": "string"}, "required": True},
    {"name": "count", "type": {"type": "integer"}, "default": "3"},
]
CALL = {
    "function": "load",
    "script": "/home/ann/app/pipeline.py",
    "command": ["python", "/home/ann/app/pipeline.py", "load"],
    "directory": "/home/ann/app",
    "repository": {
        "url": "https://github.com/acme/app", "commit": "a" * 40, "path": "pipeline.py",
        "branch": "main",
    },
    "parameters": PARAMETERS,
    "arguments": {"country": "DE"},
}  # fmt: skip


class Refs:
    """Every repository has the branch main."""

    def find(self, _url: str, _ref: str) -> GitRef:
        return GitRef("main", "b" * 40)


class Shop:
    """An organisation with a trigger, and the functions that take its events."""

    def __init__(
        self,
        event_rules: Buses | None = None,
        event_queues: Any = None,
        named_queues: frozenset[tuple[str, str]] = frozenset(),
        **rule: Any,
    ) -> None:
        queues = {"event_queues": event_queues, "named_queues": named_queues}
        self.office = Office(refs=Refs(), event_rules=event_rules, **queues)
        self.world = self.office.world
        self.ann = self.office.join("ann")
        self.admin = self.office.join("bea", Role.ADMIN)
        self.started: list[tuple[str, str]] = []
        git = self.world.trigger_hooks(
            lambda _place: None,
        )
        events = EventHooks(
            self.world.cloud.records,
            self.world.cloud.secrets.vault,
            self.world.cloud.events.schedules,
            self.world.cloud.timing.clock,
            self.started.append,
        )
        self.hooks = Hooks(None, lambda _event: None, git, events)
        tree = serial(leaf("a", results=["//payload"]), leaf("b"))
        self.template = self.world.launch(tree, run=False)
        request = LaunchRequest(tree={**form(serial(leaf("a"))), "call": CALL})
        source = asyncio.run(self.world.pipelines().launch(request)).pipeline.id
        self.program = {"kind": "script", "pipeline": source}
        self.status, self.view = self.create(
            {"kind": "template", "pipeline": self.template}, **rule
        )

    def create(self, what: dict[str, Any], name: str = "orders", **rule: Any) -> tuple[int, Any]:
        overlap = rule.pop("overlap", "allow")
        body = {"name": name, "on": {"source": "webhook", **rule}, "what": what, "overlap": overlap}
        found = self.office.call(schedules.CREATE_SCHEDULE, self.ann, body)
        if found[0] == 200:
            _, hook = self.office.call(ops.MAKE_HOOK, self.ann, name=name)
            self.secret = hook["secret"]
            self.hook = hook["url"].rpartition("/")[2]
        return found

    def send(self, payload: Any, headers: dict[str, str] | None = None, body: bytes = b"") -> int:
        body = body or json.dumps(payload).encode()
        given = {"authorization": f"Bearer {self.secret}"} if headers is None else headers
        return self.hooks.receive(self.hook, given, body).status

    def process(self) -> None:
        while self.started:
            asyncio.run(self.world.services.schedule_runner().serve(*self.started.pop(0)))

    def sent(self, payload: Any, **headers: str) -> dict[str, Any]:
        self.world.now += 1
        bearer = {"authorization": f"Bearer {self.secret}"}
        assert self.send(payload, {**bearer, **headers}) == 202
        self.process()
        return self.firings()[0]

    def firings(self, name: str = "orders") -> list[dict[str, Any]]:
        _, found = self.office.call(schedules.LIST_FIRINGS, self.ann, name=name)
        return list(found["firings"])


@pytest.fixture
def shop() -> Shop:
    return Shop()


def test_event_launches_once_and_its_commands_get_the_payload(shop: Shop) -> None:
    firing = shop.sent({"detail": {"country": "FR"}})

    assert (firing["state"], firing["cause"]) == ("launched", "event")
    record = shop.world.store.record(ORG, firing["pipeline"])
    assert record is not None
    assert (record.owner, record.armed) == ("ann", True)
    shop.world.serve()
    (claim,) = [hand.job for hand in shop.world.living() if hand.job is not None]
    assert json.loads(claim.inputs) == {"//payload": {"detail": {"country": "FR"}}}


def test_lost_invocation_is_made_up_for_by_the_minute_rule(shop: Shop) -> None:
    assert shop.send({"a": 1}) == 202
    assert shop.firings()[0]["state"] == "pending"

    serve_schedules(shop.world.services.schedule_runner(), shop.world.cloud.timing.clock)

    assert shop.firings()[0]["state"] == "launched"


def test_webhook_is_signed_or_has_the_secret(shop: Shop) -> None:
    body = b'{"a": 1}'

    def signed(secret: str, age: float = 0.0) -> dict[str, str]:
        made = generic_headers(body, "d-1", shop.world.now - age, secret)
        return {name.lower(): value for name, value in made.items()}

    assert shop.send(None, signed(shop.secret), body) == 202
    assert shop.send(None, signed(shop.secret), body) == 202  # a replay
    assert shop.send(None, signed("wrong"), body) == 401
    assert shop.send(None, signed(shop.secret, age=301), body) == 401
    assert shop.send(None, {}, body) == 401
    assert shop.send(None, {"authorization": "Bearer wrong"}, body) == 401
    assert len(shop.firings()) == 1
    shop.office.call(ops.MAKE_HOOK, shop.ann, name="orders")
    assert shop.send({"a": 1}) == 401


def test_body_that_cannot_be_a_payload_is_rejected(shop: Shop) -> None:
    bearer = {"authorization": f"Bearer {shop.secret}"}
    assert shop.send(None, bearer, b"{") == 400
    assert shop.send(None, bearer, b'"' + b"x" * 65_535 + b'"') == 413
    assert shop.firings() == []
    shop.hook = "acme~event~nothing"
    assert shop.send(None, bearer, b"{}") == 404


def test_cloud_event_with_a_known_id_changes_nothing(shop: Shop) -> None:
    event = {"specversion": "1.0", "id": "7", "source": "/shop", "type": "order", "data": 1}
    shop.sent(event)
    shop.world.now += 60
    shop.sent(event)

    (firing,) = shop.firings()
    assert (firing["event"]["id"], firing["event"]["source"]) == ("7", "/shop")
    assert len(shop.world.cloud.events.schedules.firings(ORG, "orders")) == 1


def test_event_whose_firing_was_lost_is_taken_when_it_is_repeated(shop: Shop) -> None:
    event = {"specversion": "1.0", "id": "7", "source": "/shop", "type": "order"}
    origin = origin_of(webhook_event({}, event, ""))
    lost = StoredEvent(origin=origin, firing="1", time=1.0, payload=event)
    shop.world.cloud.events.schedules.add_event(ORG, "orders", lost)

    assert shop.sent(event)["state"] == "launched"
    assert len(shop.firings()) == 1


def test_program_gets_typed_parameters_from_the_payload(shop: Shop) -> None:
    fields = {"parameters": {"country": "$.land", "count": "$.n"}}
    assert shop.create(shop.program, "load", **fields)[0] == 200

    assert shop.send({"land": "FR; id", "n": 7}) == 202
    assert shop.send({"n": "many"}) == 202
    shop.process()

    done, failed = sorted(shop.firings("load"), key=lambda one: one["state"], reverse=True)
    assert (done["state"], failed["state"]) == ("launched", "failed")
    assert "count must be a whole number, got 'many' (the payload has $.n)" in failed["why"]
    _, node = shop.office.call(NODE, shop.ann, id=done["pipeline"], path="/Generate")
    assert node["node"]["command"].startswith(
        "python pipeline.py load '--country=FR; id' --count=7"
    )


def test_bad_trigger_is_rejected_before_it_is_stored(shop: Shop) -> None:
    for fields, message in (
        ({"parameters": {"land": "$.a"}}, "the program has no parameter 'land'"),
        ({"parameters": {"country": "$.a[*]"}}, "character 4"),
        ({"redact": ["a"]}, "character 1"),
        ({"call": CALL, "parameters": {"x": "$.a"}}, "no parameter 'x'"),
    ):
        status, problem = shop.create(shop.program, "bad", **fields)
        assert (status, message in problem["detail"]) == (422, True), problem
    status, problem = shop.create(
        {"kind": "template", "pipeline": shop.template}, "bad", call=CALL,
        parameters={"country": "$.a"},
    )  # fmt: skip
    assert (status, "name it with --program" in problem["detail"]) == (422, True)


def test_try_shows_parameters_and_launches_on_request(shop: Shop) -> None:
    fields = {"parameters": {"country": "$.land"}, "redact": ["$.card"]}
    shop.create(shop.program, "load", **fields)
    payload = {"land": "FR", "card": "4242"}

    _, tried = shop.office.call(ops.TRY_EVENT, shop.ann, {"payload": payload}, name="load")
    assert tried["parameters"] == {"country": "FR"}
    assert tried["payload"] == {"land": "FR", "card": "***"}
    assert shop.firings("load") == []
    _, tried = shop.office.call(ops.TRY_EVENT, shop.ann, {"payload": {}}, name="load")
    assert tried["problems"] == {"country": "needs a value (the payload has no value at $.land)"}

    body = {"payload": payload, "launch": True}
    _, tried = shop.office.call(ops.TRY_EVENT, shop.ann, body, name="load")
    assert tried["pipeline"] == shop.firings("load")[0]["pipeline"]
    names = [one["operation"] for one in _audit(shop)]
    assert {"try_event", "make_hook", "create_schedule"} <= set(names)


def _audit(shop: Shop) -> list[dict[str, Any]]:
    return list(shop.office.call(LIST_AUDIT, shop.admin)[1]["entries"])


def test_replay_fires_again_with_the_masked_payload() -> None:
    shop = Shop(redact=["$.card"])
    first = shop.sent({"a": 1, "card": "4242"})
    params = {"name": "orders", "firing": first["id"]}

    _, seen = shop.office.call(ops.GET_PAYLOAD, shop.ann, **params)
    assert seen["payload"] == {"a": 1, "card": "***"}
    status, again = shop.office.call(ops.REPLAY_FIRING, shop.ann, **params)
    assert (status, again["state"], again["cause"]) == (200, "launched", "replay")
    assert again["pipeline"] != first["pipeline"]
    assert again["event"]["mark"] == first["event"]["mark"]
    tree = shop.world.records.store.record(ORG, again["pipeline"])
    assert tree is not None

    missing = {"name": "orders", "firing": "0"}
    assert shop.office.call(ops.REPLAY_FIRING, shop.ann, **missing)[0] == 404


def test_debounced_trigger_fires_once_with_the_last_event() -> None:
    shop = Shop(debounce=60)
    for number in range(3):
        shop.sent({"n": number})
        shop.world.now += 30
    assert [one["state"] for one in shop.firings()] == ["pending", "skipped", "skipped"]

    shop.world.now += 31
    serve_schedules(shop.world.services.schedule_runner(), shop.world.cloud.timing.clock)

    last = shop.firings()[0]
    assert (last["state"], last["event"]["count"]) == ("launched", 3)
    _, seen = shop.office.call(ops.GET_PAYLOAD, shop.ann, name="orders", firing=last["id"])
    assert seen["payload"] == {"n": 2}
    assert "arrived within 60 seconds" in shop.firings()[1]["why"]


def test_events_above_the_rate_are_rejected() -> None:
    shop = Shop(rate=2)
    assert [shop.send({"n": number}) for number in range(3)] == [202, 202, 429]
    shop.world.now += 60
    assert shop.send({"n": 3}) == 202


def test_events_wait_for_one_another_with_overlap_queue() -> None:
    shop = Shop(overlap="queue")
    for number in range(3):
        shop.world.now += 1
        shop.sent({"n": number})
    assert [one["state"] for one in shop.firings()] == ["queued", "queued", "launched"]


def test_paused_trigger_records_events_and_launches_nothing(shop: Shop) -> None:
    shop.office.call(schedules.PAUSE_SCHEDULE, shop.ann, name="orders")
    firing = shop.sent({"n": 1})
    assert (firing["state"], firing["why"]) == ("skipped", "the trigger is paused")
    shop.office.call(schedules.RESUME_SCHEDULE, shop.ann, name="orders")
    assert shop.sent({"n": 2})["state"] == "launched"


def test_deleted_trigger_takes_nothing_and_leaves_nothing(shop: Shop) -> None:
    firing = shop.sent({"n": 1})
    shop.office.call(schedules.DELETE_SCHEDULE, shop.ann, name="orders")

    assert shop.send({"n": 2}) == 404
    assert shop.world.cloud.secrets.vault.read("hook/acme/orders") == {}
    assert shop.world.cloud.events.schedules.event(ORG, "orders", firing["event"]["mark"]) is None


# ---- events of the AWS account -------------------------------------------------------------------


class Buses:
    """Records the patterns of rules."""

    def __init__(self) -> None:
        self.patterns: dict[tuple[str, str], Any] = {}

    def put(self, org: str, name: str, pattern: Mapping[str, Any]) -> None:
        self.patterns[org, name] = pattern

    def delete(self, org: str, name: str) -> None:
        self.patterns.pop((org, name), None)


PATTERN = json.dumps({"source": ["acme.shop"], "detail": {"total": [{"numeric": [">", 10]}]}})


def order(total: float, event_id: str = "e-1") -> dict[str, Any]:
    detail = {"total": total}
    return {"id": event_id, "source": "acme.shop", "detail-type": "Order", "detail": detail}


def test_event_of_the_account_fires_its_trigger_once() -> None:
    buses = Buses()
    shop = Shop(buses)
    what = {"kind": "template", "pipeline": shop.template}
    body = {"name": "big", "on": {"source": "eventbridge", "pattern": PATTERN}, "what": what}
    refused = shop.office.call(schedules.CREATE_SCHEDULE, shop.ann, body)
    assert (refused[0], refused[1]["detail"]) == (
        409, "only administrators add triggers by events of the AWS account",
    )  # fmt: skip
    assert shop.office.call(schedules.CREATE_SCHEDULE, shop.admin, body)[0] == 200
    assert buses.patterns == {(ORG, "big"): json.loads(PATTERN)}

    cloud = shop.world.cloud
    assert take_bus_event(
        cloud.records, cloud.events.schedules, cloud.timing.clock, ORG, "big", event=order(12)
    ) == (ORG, "big")
    assert take_bus_event(
        cloud.records, cloud.events.schedules, cloud.timing.clock, ORG, "big", event=order(12)
    ) == (ORG, "big")
    assert (
        take_bus_event(
            cloud.records,
            cloud.events.schedules,
            cloud.timing.clock,
            ORG,
            "big",
            event=order(5, "e-2"),
        )
        is None
    )
    assert (
        take_bus_event(
            cloud.records, cloud.events.schedules, cloud.timing.clock, ORG, "gone", event=order(12)
        )
        is None
    )
    (firing,) = shop.firings("big")
    assert (firing["event"]["type"], firing["event"]["id"]) == ("Order", "e-1")

    shop.office.call(schedules.DELETE_SCHEDULE, shop.admin, name="big")
    assert buses.patterns == {}


def test_events_of_the_account_are_off_by_default(shop: Shop) -> None:
    what = {"kind": "template", "pipeline": shop.template}
    body = {"name": "raw", "on": {"source": "s3", "bucket": "acme-raw"}, "what": what}

    status, problem = shop.office.call(schedules.CREATE_SCHEDULE, shop.admin, body)

    assert (status, "deploy with -c events=true" in problem["detail"]) == (409, True)


def test_rules_of_eventbridge_route_to_the_function() -> None:
    with aws() as clients:
        rules = EventBridgeRules(clients, "conducto-dev_event-", FUNCTION)
        events = clients.get("events")

        rules.put(ORG, "a" * 64, {"source": ["acme.shop"]})
        (rule,) = events.list_rules()["Rules"]
        (target,) = events.list_targets_by_rule(Rule=rule["Name"])["Targets"]

        assert rule["Name"].startswith("conducto-dev_event-")
        assert json.loads(rule["EventPattern"]) == {"source": ["acme.shop"]}
        assert target["Arn"] == FUNCTION
        template = target["InputTransformer"]["InputTemplate"]
        assert json.loads(template.replace("<aws.events.event.json>", "{}")) == {
            "trigger": [ORG, "a" * 64], "event": {},
        }  # fmt: skip
        for _ in range(2):
            rules.delete(ORG, "a" * 64)
            assert events.list_rules()["Rules"] == []


FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:conducto-dev-hook-event"
