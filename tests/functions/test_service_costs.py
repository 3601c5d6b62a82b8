"""The estimated cost of requests and transitions, against the calls and units that AWS counts."""

from __future__ import annotations

import pytest
from tests.functions.aws.test_calls import Counted

from conducto_core.billing.rules import request_dollars, transition_dollars
from conducto_core.workers.rules.fargate import PRICES, Size
from support.cloud.aws import aws
from support.cloud.bill import Bill
from support.trees import parallel

_EXECS = 12
_SECONDS = 60


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
                world.now += 10
                hand.print("line\n", offset=5 * (beat + 1))
                hand.heartbeat()
                bill.request()  # the heartbeat carries the output
            world.now += 10
            bill.request()
            hand.finish()

    workers = PRICES.worker_hour(Size(1.0, 3.0)) * _EXECS * _SECONDS / 3600
    transitions = (_EXECS + 2) * 0.000025
    whole = workers + transitions + bill.dollars
    estimated = request_dollars(_EXECS, _EXECS * _SECONDS)

    assert estimated == pytest.approx(bill.dollars, rel=0.3)
    assert workers + transition_dollars(_EXECS) + estimated == pytest.approx(whole, rel=0.1)
