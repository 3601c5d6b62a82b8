"""Every second is in one invoice, whatever happens to the subscription and to the network."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.fakes.cloud import FakeProvider

from chalicelib.billing.metering import Charging, WorkerTime
from chalicelib.billing.port import HookEvent, Subscription
from chalicelib.billing.store import BillingPorts, TableBilling
from chalicelib.services import Services
from conducto_core.billing.rules import LIVE, BillingPlan, Rates, Remedies, Status
from conducto_core.workers.rules.fargate import Size
from conducto_emulator.stripe.account import StripeAccount
from support.cloud.world import ME, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

TICK = 300
#: Stripe finalises an invoice an hour after the end of its period, with the usage until then.
DRAFT = 3600
RATES = Rates(vcpu=0.06, gb=0.0066)
FREE = BillingPlan(max_workers=2, max_pipelines=9, exec_minutes=None)


class Stripe(FakeProvider):
    """The payment provider over the account of the double, without HTTP."""

    def __init__(self, account: StripeAccount) -> None:
        super().__init__()
        self.account = account
        self.customer = account.add("cus", "customer", email="ann@acme.example")["id"]
        self.meters = [self._meter(name) for name in ("vcpu", "gb")]

    def _meter(self, name: str) -> str:
        about = {"event_name": name, "event_time_window": "hour"}
        return str(self.account.add("mtr", "billing.meter", **about)["id"])

    def prices(self) -> list[str]:
        about = ({"unit_amount_decimal": "1", "recurring": {"meter": each}} for each in self.meters)
        return [str(self.account.add("price", "price", **each)["id"]) for each in about]

    def new_customer(self, org: str) -> str:
        self._check()
        return self.customer

    def subscription(self, subscription_id: str) -> Subscription | None:
        self._check()
        found = self.account.get(subscription_id, "subscription")
        item = found["items"]["data"][0]
        period = (float(item["current_period_start"]), float(item["current_period_end"]))
        about = (found["id"], found["customer"], ME.org, Status(found["status"]))
        return Subscription(*about, float(found["start_date"]), *period, RATES)

    def newest(self, customer: str) -> Subscription | None:
        self._check()
        found = [self.subscription(each["id"]) for each in self.account.all("subscription")]
        live = [each for each in found if each is not None and each.status in LIVE]
        return next(iter([*live, *found]), None)

    def report(self, customer: str, moment: int, vcpu_seconds: float, gb_seconds: float) -> None:
        self._check()
        for name, value in (("vcpu", vcpu_seconds), ("gb", gb_seconds)):
            self.account.meter_event(name, customer, value, moment)

    def used(self, start: int, end: int) -> float:
        return self.account.used(self.meters[0], self.customer, start, end)


class Billed(RuleBasedStateMachine):
    """An organisation that subscribes, cancels and runs workers for hours."""

    @initialize(offset=st.integers(0, 3599))
    def begin(self, offset: int) -> None:
        self.world = World(FREE)
        self.world.now = float(1_000_800 + offset)
        self.events: list[dict[str, Any]] = []
        self.stripe = Stripe(StripeAccount(lambda: self.world.now, self.events.append))
        self.records = TableBilling(self.world.table, lambda: self.world.now)
        ports = BillingPorts(self.stripe, self.records)
        remedies = Remedies(billing=True)
        self.world.cloud = self.world.over(
            billing=ports, remedies=lambda: remedies, web_app=lambda: "https://app.example"
        )
        self.world.services = Services(self.world.cloud)
        self.run = self.world.services.billing_run(ports)
        self.workers: dict[str, tuple[float, Size]] = {}
        self.number = 0
        self.lives: list[list[float]] = []
        self.final: dict[str, float] = {}
        self.loses, self.simple = False, True

    @precondition(lambda self: hasattr(self, "world"))
    @invariant()
    def clock_runs(self) -> None:
        self.world.now += 1
        self.tick()

    # ---- what happens -------------------------------------------------------------------------

    @rule()
    def lose_events(self) -> None:
        """Lose the events until time has passed."""
        self.loses, self.simple = True, False

    @rule(seconds=st.integers(1, 4000), away=st.sampled_from([0, 0, 0, 900, 2400]))
    def wait(self, seconds: int, away: int) -> None:
        """Pass time; the provider is offline at first."""
        self.simple = self.simple and not away
        end, back = self.world.now + seconds, self.world.now + away
        while self.world.now < end:
            self.world.now = min(end, self.world.now + TICK)
            self.stripe.away = self.world.now < back
            self.tick()
        self.stripe.away = self.loses = False
        self.tick()

    @rule(cpu=st.sampled_from([0.5, 1.0, 4.0]))
    def start_worker(self, cpu: float) -> None:
        self.number += 1
        self.workers[f"w{self.number}"] = (self.world.now, Size(cpu, 8.0))

    @precondition(lambda self: self.workers)
    @rule()
    def end_worker(self) -> None:
        name = min(self.workers)
        began, size = self.workers.pop(name)
        end = WorkerTime(name, "abc", size, began, self.world.now, ended=True)
        Charging(
            self.world.cloud.records, self.world.cloud.timing, self.world.cloud.billing
        ).observe(ME.org, end)

    @precondition(lambda self: not self.live())
    @rule()
    def subscribe(self) -> None:
        self.world.services.billing(ME)._checkout()
        org = {"customer": self.stripe.customer, "_metadata": {"org": ME.org}}
        session = self.stripe.account.add("cs", "session", **org, _prices=self.stripe.prices())
        self.stripe.account.subscribe(session, "4242424242424242")
        self.lives.append([self.world.now, float("inf")])

    @precondition(lambda self: not self.live())
    @rule(seconds=st.integers(60, 3000))
    def use_briefly(self, seconds: int) -> None:
        self.subscribe()
        self.start_worker(1.0)
        self.wait(seconds, 0)
        self.cancel()

    @precondition(lambda self: self.live())
    @rule()
    def cancel(self) -> None:
        found = self.live()
        self.stripe.account.cancel(found)
        self.lives[-1][1] = self.world.now

    @precondition(lambda self: self.live())
    @rule()
    def start_period(self) -> None:
        """Renew, or change in the portal: an invoice, and another period."""
        found, account = self.live(), self.stripe.account
        self.simple = False
        account._invoice(found, account.now)
        account._set_period(found, account.now)
        account.emit("customer.subscription.updated", found)

    @precondition(lambda self: self.live())
    @rule(status=st.sampled_from(["past_due", "active", "paused", "unpaid"]))
    def change_status(self, status: str) -> None:
        found = self.live()
        self.stripe.account.set_status(found, status)

    # ---- helpers ------------------------------------------------------------------------------

    def live(self) -> dict[str, Any]:
        found = self.stripe.account.all("subscription")
        return found[0] if found and found[0]["status"] in LIVE else {}

    def tick(self) -> None:
        """Do what the schedule does, and what Stripe does with drafts."""
        charging, now = (
            Charging(self.world.cloud.records, self.world.cloud.timing, self.world.cloud.billing),
            self.world.now,
        )
        while self.events:
            if self.loses:
                self.events.clear()
                break
            found = self.events.pop(0)
            about = found["data"]["object"]
            name = about.get("subscription") or about["id"]
            if str(name).startswith("sub"):
                hook = HookEvent(found["id"], found["type"], name, livemode=False)
                self.records.note_event(hook)
        self.run.process_events()
        for name, (began, size) in self.workers.items():
            charging.observe(ME.org, WorkerTime(name, "abc", size, began, now))
        self.run._try(partial(self.run.look_at, ME.org))
        for invoice in self.stripe.account.all("invoice"):
            if invoice["period_end"] + DRAFT <= now and invoice["id"] not in self.final:
                used = self.stripe.used(invoice["period_start"], invoice["period_end"])
                self.final[invoice["id"]] = used

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        while self.workers:
            self.end_worker()
        self.wait(3 * DRAFT, 0)
        found = self.live()
        start = found["items"]["data"][0]["current_period_start"] if found else 0
        invoiced = sum(self.final.values()) + (self.stripe.used(start, 10**10) if found else 0)
        spans = [each for each in self.records.meters(ME.org) if each.span is not None]
        seconds = sum(each.vcpu * each.span.seconds for each in spans if each.span)
        hours = self.records.hours(ME.org, 0, 1e10)
        # The hour begins after the end of its subscription: that ended in the first part of a
        # period, or its end was not known.
        free = [
            each.vcpu_seconds
            for each in hours
            if not any(start <= each.moment < end for start, end in self.lives)
        ]
        assert abs(sum(each.vcpu_seconds for each in hours) - seconds) < 1e-6
        assert abs(invoiced + sum(free) - seconds) < 1e-6
        assert not (free and self.simple)
        self.check_spans()
        self.check_amount()

    def check_spans(self) -> None:
        """A worker's seconds are charged once."""
        by_worker: dict[str, list[tuple[int, int]]] = {}
        for each in self.records.meters(ME.org):
            if each.span is not None and each.span.seconds:
                by_worker.setdefault(each.worker, []).append((each.span.began, each.span.until))
        for spans in by_worker.values():
            ordered = sorted(spans)
            assert all(a[1] <= b[0] for a, b in pairwise(ordered))

    def check_amount(self) -> None:
        """The amount of the period is that of its days, and of its pipelines."""
        account = self.records.account(ME.org)
        if account is None or not account.subscription:
            return
        status = self.world.services.billing(ME)._status()
        for parts in (status.days, status.pipelines):
            assert abs(sum(each.dollars for each in parts) - status.accrued) < 1e-6


TestBilled = Billed.TestCase
TestBilled.settings = settings(max_examples=150, stateful_step_count=25)


def _check(billed: Billed, steps: Iterable[Callable[[], None]]) -> None:
    """Take these steps, a second apart, and compare the sums."""
    for step in steps:
        billed.clock_runs()
        step()
    billed.clock_runs()
    billed.teardown()


def test_hour_of_the_last_period_that_has_not_started() -> None:
    """A second is charged in the next hour, and a second subscription begins before it."""
    billed = Billed()
    billed.begin(offset=0)
    steps = (
        billed.subscribe,
        billed.start_period,
        partial(billed.start_worker, cpu=0.5),
        billed.cancel,
        billed.subscribe,
    )
    _check(billed, steps)


def test_second_of_a_new_period_that_was_charged_before_the_period_was_known() -> None:
    """The amount of its pipeline has it, like the amount of the period."""
    billed = Billed()
    billed.begin(offset=0)
    steps = (
        billed.subscribe,
        partial(billed.start_worker, cpu=1.0),
        billed.lose_events,
        billed.start_period,
        billed.cancel,
        partial(billed.wait, seconds=3595, away=0),
        billed.lose_events,
        billed.subscribe,
    )
    _check(billed, steps)
