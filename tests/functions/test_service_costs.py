"""The estimated cost of requests and transitions, against the calls and units that AWS counts."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any

import pytest
from tests.functions.test_calls import Counted

from conducto_core.semantics.fargate import PRICES, Size
from conducto_core.semantics.service_costs import request_dollars, transition_dollars
from support.cloud.aws import aws
from support.trees import parallel

if TYPE_CHECKING:
    from chalicelib.adapters.clients import Clients

_EXECS = 12
_SECONDS = 60
#: Prices of AWS, from its pages: deliberately not those of the estimate.
_WRITE, _READ, _SECRET = 0.625 / 1e6, 0.125 / 1e6, 0.05 / 10_000
_REQUEST = 3.5 / 1e6 + 0.2 / 1e6 + 1.769 * 0.06 * 0.0000166667


class Bill:
    """Counts what AWS charges for the calls of boto3's clients."""

    def __init__(self, clients: Clients) -> None:
        self.dollars = 0.0
        events = clients.get("dynamodb").meta.events
        events.register("provide-client-params.dynamodb", self._write)
        events.register("after-call.dynamodb", self._read)
        clients.get("secretsmanager").meta.events.register("before-call", self._secret)

    def request(self) -> None:
        """Count a request to the API."""
        self.dollars += _REQUEST

    def _write(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        if model.name == "TransactWriteItems":
            for operation in params["TransactItems"]:
                self.dollars += 2 * _WRITE * _units(operation, 1024)
        elif model.name in {"PutItem", "UpdateItem", "DeleteItem"}:
            self.dollars += _WRITE * _units(params, 1024)
        elif model.name == "BatchWriteItem":
            for items in params["RequestItems"].values():
                self.dollars += _WRITE * len(items)

    def _read(self, parsed: dict[str, Any], model: Any, **_: Any) -> None:
        if model.name in {"Query", "GetItem"}:
            self.dollars += _READ * _units(parsed.get("Items", parsed.get("Item", "")), 4096)

    def _secret(self, model: Any, **_: Any) -> None:
        if model.name == "GetSecretValue":
            self.dollars += _SECRET


def _units(value: Any, size: int) -> int:
    return max(1, ceil(_bytes(value) / size))


def _bytes(value: Any) -> int:
    if isinstance(value, dict):
        return sum(len(name) + _bytes(part) for name, part in value.items())
    if isinstance(value, list):
        return sum(map(_bytes, value))
    return len(value) if isinstance(value, str | bytes) else 0


def test_estimate_is_close_to_the_bill() -> None:
    with aws() as clients:
        world = Counted(clients).world
        world.launch(parallel(*(f"n{number}" for number in range(_EXECS))))
        world.start_workers()
        bill = Bill(clients)
        for _ in range(_EXECS):
            hand = next(each for each in world.living() if each.job is None)
            world.interpreter_moved()
            while hand.job is None:
                bill.request()
                assert hand.look()
            hand.print("line\n")
            bill.request()
            for beat in range(_SECONDS // 10 - 1):
                hand.print("line\n", offset=5 * (beat + 1))
                hand.heartbeat()
                bill.request()  # the heartbeat carries the output
            bill.request()
            hand.finish()

    workers = PRICES.worker_hour(Size(1.0, 3.0)) * _EXECS * _SECONDS / 3600
    transitions = (_EXECS + 2) * 0.000025
    whole = workers + transitions + bill.dollars
    estimated = request_dollars(_EXECS, _EXECS * _SECONDS)

    assert estimated == pytest.approx(bill.dollars, rel=0.3)
    assert workers + transition_dollars(_EXECS) + estimated == pytest.approx(whole, rel=0.1)
