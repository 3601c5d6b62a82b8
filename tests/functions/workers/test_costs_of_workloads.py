"""Usage and ``--plan`` against a bill that counts workers, calls and transitions by itself.

The product's own code decides on workers and attempts, over moto. The bill knows only the tasks'
starts and stops, the calls of boto3's clients, and AWS's prices, which it does not share.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

import pytest
from tests.functions.aws.test_calls import Counted

from chalicelib.workers.port import TaskEnd
from conducto_core.asl.rules.forecast import estimate
from conducto_core.billing.model import CostParams
from conducto_core.billing.rules import BillingPlan
from conducto_core.tree.rules.resolve import resolve
from support.cloud.aws import aws
from support.cloud.bill import Bill
from support.cloud.world import ME, Hand
from support.trees import form, leaf, parallel, serial

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.cloud.world import World

#: Seconds from the pull of an image to the first command.
_START = 38.0
_WORKERS = 4
#: GB of a task with its agent, by the vCPUs of these workloads.
_SIZES = {1.0: (1, 3), 4.0: (4, 9)}
#: Prices of AWS, from its pages: dollars per hour of a vCPU, a GB and an address.
_VCPU, _GB, _ADDRESS, _TRANSITION = 0.04048, 0.004445, 0.005, 0.000025


def _short() -> tuple[dict[str, Any], dict[str, float]]:
    """Many short Execs."""
    return parallel(*(leaf(f"n{n}") for n in range(24))), {f"/n{n}": 3.0 for n in range(24)}


def _long() -> tuple[dict[str, Any], dict[str, float]]:
    """Few long ones."""
    return serial(leaf("a"), parallel(leaf("x"), leaf("y"), name="b")), {
        "/a": 1500.0,
        "/b/x": 700.0,
        "/b/y": 2400.0,
    }


def _mixed() -> tuple[dict[str, Any], dict[str, float]]:
    """Two pools, of which one waits for the other for longer than a worker does."""
    tree = serial(
        parallel(*(leaf(f"n{n}") for n in range(6)), name="first"),
        leaf("large", cpu=4, mem=8),
        parallel(*(leaf(f"n{n}") for n in range(6)), name="last"),
    )
    few = {f"/{group}/n{n}": 20.0 + n for group in ("first", "last") for n in range(6)}
    return tree, {**few, "/large": 240.0}


@dataclass
class Play:
    """A run in which time passes, and the bill of its workers."""

    world: World
    bill: Bill
    pipeline: str
    seconds: dict[str, float]
    began: dict[str, float] = field(default_factory=dict)
    events: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    number: int = 0
    dollars: float = 0.0

    def at(self, seconds: float, event: Callable[[], None]) -> None:
        self.number += 1
        heappush(self.events, (self.world.now + seconds, self.number, event))

    def run(self) -> None:
        self.settle()
        self.minute()
        while self.events:
            self.world.now, _, event = heappop(self.events)
            event()
            self.settle()

    def minute(self) -> None:
        """Check the pipeline every minute, as long as it is open."""
        if list(self.world.store.open_pipelines()):
            self.world.reconciler().run()
            self.at(60.0, self.minute)

    def settle(self) -> None:
        """Let everything happen that needs no time."""
        world = self.world
        for arn in list(world.fleet.tasks):
            if arn not in self.began:
                self.began[arn] = world.now
                self.at(_START, lambda arn=arn: self.start(arn))  # type: ignore[misc]
        while True:
            world.interpreter_moved()
            found = [self.look(hand) for hand in world.living() if hand.job is None]
            if not any(found):
                break
        for hand in world.living():
            if hand.arn in world.fleet.stopped:
                self.stop(hand)

    def start(self, arn: str) -> None:
        self.bill.request()
        if arn not in self.world.fleet.stopped:
            hand = self.world.hands[arn] = Hand(self.world, arn, self.world.fleet.tasks[arn])
            hand.start()
            self.rest(hand)

    def look(self, hand: Hand) -> bool:
        if not hand.look():
            return False
        self.bill.request()
        if hand.job is not None:
            self.beat(hand, self.seconds[hand.job.path], 0)
        return True

    def beat(self, hand: Hand, left: float, number: int) -> None:
        """Send output with heartbeats, every ten seconds, until the command ends."""
        if left > 10:
            self.at(10, lambda: self.heartbeat(hand, left - 10, number))
        else:
            self.at(left, lambda: self.finish(hand))

    def heartbeat(self, hand: Hand, left: float, number: int) -> None:
        assert hand.job is not None
        hand.print("line\n", offset=5 * number)
        hand.heartbeat()
        self.bill.request()  # the heartbeat carries the output
        self.beat(hand, left, number + 1)

    def finish(self, hand: Hand) -> None:
        assert hand.job is not None
        seconds = self.seconds[hand.job.path]
        hand.finish(seconds=seconds)
        self.bill.request()
        if hand.arn not in self.world.fleet.stopped:
            self.rest(hand)

    def rest(self, hand: Hand) -> None:
        since = self.world.now
        self.at(60.0, lambda: self.leave(hand, since))

    def leave(self, hand: Hand, since: float) -> None:
        if hand.alive and hand.job is None and hand.since <= since:
            self.bill.request()
            hand.leave()
            self.stop(hand)

    def stop(self, hand: Hand) -> None:
        """Stop a task: AWS charges it, and sends its event."""
        hand.alive = False
        began, ended = self.began[hand.arn], self.world.now
        cpu, mem = _SIZES[hand.task.cpu]
        hours = max(60.0, ended - began) / 3600
        self.dollars += hours * (cpu * _VCPU + mem * _GB + _ADDRESS)
        end = TaskEnd("stopped", began=began, ended=ended)
        self.world.reconciler().task_stopped(self.pipeline, hand.id, end)


@pytest.mark.long  # real seconds of a simulated hour over moto
@pytest.mark.parametrize("workload", [_short, _long, _mixed])
def test_usage_and_plan_are_close_to_the_bill(
    workload: Callable[[], tuple[dict[str, Any], dict[str, float]]],
) -> None:
    tree, seconds = workload()
    with aws() as clients:
        counted = Counted(clients)
        plan = BillingPlan("four", max_workers=_WORKERS, max_cpu=16.0, exec_minutes=None)
        counted.orgs.set_plan(ME.org, plan)
        world = counted.world
        pipeline = world.launch(tree)
        play = Play(world, Bill(clients), pipeline, seconds)
        play.run()
        bill = play.dollars + play.bill.dollars + (len(seconds) + 4) * _TRANSITION
        cost = asyncio.run(world.pipelines(ME).get_cost(CostParams(id=pipeline)))

    planned = estimate(resolve(form(tree)), history=seconds, max_workers=_WORKERS)
    assert cost.attempts == len(seconds)
    assert cost.total_dollars - cost.storage_dollars == pytest.approx(bill, rel=0.1)
    assert planned.dollars == pytest.approx(bill, rel=0.2)
