"""DynamoDB in memory, compared with moto: the same calls, units and results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.fakes.cloud.dynamodb import FakeDynamoDB
from tests.functions.aws.test_calls import Counted

from support.cloud.aws import aws
from support.cloud.bill import Bill
from support.cloud.world import LARGE, ME
from support.trees import lazy, leaf, parallel, serial

if TYPE_CHECKING:
    from chalicelib.aws.clients import Clients


class WithFake:
    """Clients whose DynamoDB is in memory."""

    def __init__(self, clients: Clients) -> None:
        self._clients, self._fake = clients, FakeDynamoDB()

    def get(self, service: str, *more: Any) -> Any:
        return self._fake if service == "dynamodb" else self._clients.get(service, *more)


def results(clients: Any) -> tuple[Any, ...]:
    """Return the results of a few pipelines, and their calls."""
    counted = Counted(clients)
    bill, world = Bill(clients), counted.world
    pipelines = [
        world.launch(parallel(*(f"n{number}" for number in range(5)))),
        world.launch(serial(leaf("a"), lazy("b"), leaf("c"))),
    ]
    world.run_out()
    world.minute()
    for each in pipelines[:1]:
        world.control(each, "reset", "/n1")
        world.run_out()
    shown = [world.states(each) for each in pipelines]
    attempts = [
        [(a.path, a.number, a.state) for a in counted.world.cloud.records.store.attempts(each)]
        for each in pipelines
    ]
    changes = [len(world.cloud.records.store.changes(each, 0, 1000)) for each in pipelines]
    listed = sorted(world.cloud.records.store.open_pipelines())
    records = [record.lifecycle for record in world.cloud.records.store.records(ME.org)[0]]
    used = counted.orgs.in_use(ME.org)
    calls = {name: bill.counts[name] for name in ("Query", "GetItem", "TransactWriteItems")}
    assert counted.orgs.plan(ME.org) == LARGE
    return shown, attempts, changes, len(listed), records, used, calls


def test_pipelines_have_the_same_results_as_in_moto() -> None:
    with aws() as clients:
        expected = results(clients)
    with aws() as clients:
        found = results(WithFake(clients))

    assert found == expected
