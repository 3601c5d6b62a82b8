"""Usage counts every second that a worker lives, and spend limits stop commands."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.fakes.cloud import FakeProvider

from chalicelib.billing.metering import Charging, WorkerTime
from chalicelib.billing.port import HookEvent, PaymentAccount, Subscription
from chalicelib.billing.store import BillingPorts, TableBilling
from chalicelib.run.store import JournalStore
from chalicelib.secrets.injection import org_scope
from chalicelib.workers.port import Shell, TaskEnd
from conducto.integrations.http import DeliveryError
from conducto_core.billing.model import CostParams, UsageParams
from conducto_core.billing.rules import BillingPlan, Rates, Remedies, Status, charged_seconds
from conducto_core.errors import RefusedError
from conducto_core.notifications.channels import SMTP_PASSWORD
from conducto_core.people.model import DeleteOrganisationParams
from conducto_core.run.model.states import Cause, State
from conducto_core.workers.rules.fargate import Size, size_for
from support.cloud.world import ME, World
from support.trees import leaf, parallel, serial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

START = 999_000.0
HOUR = 1_000_800
PERIOD = 30 * 86_400.0
RATES = Rates(vcpu=0.06, gb=0.0066)
FREE = BillingPlan(max_workers=2, max_pipelines=9, exec_minutes=None)


class Records(TableBilling):
    """The records of billing.

    Attributes:
        lost: Called before each move; it may raise an error.
        written: Called after an account was written.
    """

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.lost: Callable[[], None] = lambda: None
        self.written: Callable[[], None] = lambda: None

    def put_account(self, account: PaymentAccount) -> bool:
        stored = super().put_account(account)
        if stored:
            self.written()
        return stored

    def move(self, *given: Any, **closed: bool) -> bool:
        self.lost()
        return super().move(*given, **closed)


class Shop:
    """A world with billing.

    Attributes:
        mails: ``(recipient, subject)`` of the e-mails.
        password: Password of the mail server.
        tried: Number of attempts to send one.
    """

    def __init__(self, store: type[JournalStore] = JournalStore) -> None:
        self.world = World(FREE)
        table = self.world.table
        self.records = Records(table, lambda: self.world.now)
        self.provider = FakeProvider()
        ports = BillingPorts(self.provider, self.records)
        remedies = Remedies(billing=True)
        journal = store(table, self.world.blobs, self.world.orgs)
        self.world.use(store=journal, billing=ports, remedies=lambda: remedies, mail=self._mail)
        self.mails: list[tuple[str, str]] = []
        self.password: str | None = None
        self.tried = 0
        self.run = self.world.services.billing_run(ports)
        self.records.put_account(PaymentAccount(ME.org, "cus_acme"))

    def _mail(self, to: str, subject: str, text: str, password: str | None) -> bool:
        assert "conducto billing" in text
        self.tried += 1
        if password != self.password:
            raise DeliveryError("535 authentication failed")
        self.mails.append((to, subject))
        return True

    def subscribe(self, status: Status = Status.ACTIVE, **more: Any) -> Subscription:
        """Change the subscription at the provider, without an event."""
        known = {
            "since": START,
            "period_start": START,
            "period_end": START + PERIOD,
            "rates": RATES,
            "email": "ann@acme.example",
        }
        made = Subscription("sub_1", "cus_acme", ME.org, status, **{**known, **more})
        self.provider.subscriptions[made.id] = made
        return made

    def again(self, **more: Any) -> Subscription:
        """Subscribe again after a cancellation."""
        known = self.provider.subscriptions["sub_1"]
        made = replace(known, id="sub_2", status=Status.ACTIVE, **more)
        self.provider.subscriptions[made.id] = made
        return made

    def deliver(self, name: str = "evt_1") -> None:
        """Deliver an event about the subscription."""
        event = HookEvent(name, "customer.subscription.updated", "sub_1", livemode=False)
        if self.records.note_event(event):
            self.run.subscriptions.process(event)

    def charged(self) -> tuple[float, float]:
        hours = self.records.hours(ME.org, 0, 9e9)
        return sum(h.vcpu_seconds for h in hours), sum(h.gb_seconds for h in hours)


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.mark.parametrize("seed", range(40))
def test_invoice_period_is_the_sum_of_the_seconds_of_its_workers(seed: int) -> None:
    """Kills, lost and repeated reports, and two machines whose clocks differ by 10 minutes."""
    rng = random.Random(seed)
    shop = Shop()
    shop.subscribe()
    shop.deliver()
    charging = Charging(shop.world.cloud.records, shop.world.cloud.timing, shop.world.cloud.billing)
    skews = (-300.0, 300.0)

    def lose() -> None:
        if rng.random() < 0.3:
            raise ConnectionError("the function was killed")

    shop.records.lost = lose
    expected = 0.0
    for number in range(6):
        began = START + rng.uniform(0, 9_000)
        ended = began + rng.choice([0.5, 30.0, rng.uniform(60, 9_000)])
        size = Size(rng.choice([0.25, 1.0, 4.0]), 8.0)
        name = f"w{number}"
        moments = [rng.uniform(began + 1, ended + 400) for _ in range(rng.randrange(8))]
        seen = [WorkerTime(name, "abc", size, began + 20, at + rng.choice(skews)) for at in moments]
        end = WorkerTime(name, "abc", size, began, ended, ended=True)
        observed = [*seen, end, *rng.sample(seen, min(2, len(seen))), end]
        for time in observed:
            try:
                charging.observe(ME.org, time)
            except ConnectionError:
                continue
        shop.records.lost = lambda: None
        charging.observe(ME.org, end)  # the schedule repeats lost observations
        shop.records.lost = lose
        expected += size.cpu * -(-charged_seconds(began, ended) // 1)

    shop.world.now = START + 30_000
    shop.run.send(ME.org)
    shop.run.send(ME.org)

    assert shop.charged()[0] == pytest.approx(expected)
    received = shop.provider.received.values()
    assert sum(vcpu for vcpu, _ in received) == pytest.approx(expected)
    assert shop.world.orgs.in_use(ME.org).accrued == pytest.approx(
        sum(shop.charged()[i] / 3600 * rate for i, rate in enumerate((RATES.vcpu, RATES.gb)))
    )


def test_running_workers_are_charged_every_five_minutes_and_at_their_end(shop: Shop) -> None:
    shop.subscribe()
    shop.deliver()
    shop.world.launch(leaf())
    shop.world.serve()
    shop.world.now += 300
    shop.run.charge()

    ((_, worker, _),) = shop.records.open_meters()
    assert shop.charged()[0] == 300

    shop.world.now += 100
    shop.world.run_out()
    assert [meter.worker for meter in shop.records.meters(ME.org)] == [worker]


def test_worker_whose_end_was_lost_is_charged_by_the_times_of_ecs(shop: Shop) -> None:
    shop.subscribe()
    shop.deliver()
    size = Size(1.0, 2.0)
    now = shop.world.now
    time = WorkerTime("w1", "abc", size, now - 300, now, "arn:gone")
    shop.run._charging.observe(ME.org, time)

    shop.run.charge()

    assert list(shop.records.open_meters()) == []
    assert shop.charged()[0] == 300


def test_usage_before_the_subscription_is_free(shop: Shop) -> None:
    now = shop.world.now
    size = Size(1.0, 2.0)
    shop.run._charging.observe(ME.org, WorkerTime("w1", "abc", size, now - 900, now))
    shop.subscribe(since=now - 100)
    shop.deliver()

    shop.run._charging.observe(ME.org, WorkerTime("w1", "abc", size, now - 900, now, ended=True))

    assert shop.charged()[0] == 100


def test_usage_counts_in_one_period_after_another_subscription_in_the_hour(shop: Shop) -> None:
    shop.world.now = float(HOUR + 300)
    shop.subscribe(since=shop.world.now, period_start=shop.world.now)
    shop.deliver()
    size = Size(1.0, 2.0)
    worker = WorkerTime("w1", "abc", size, HOUR + 300.0, HOUR + 900.0)
    shop.run._charging.observe(ME.org, worker)
    shop.world.now += 900
    shop.subscribe(Status.CANCELED, since=HOUR + 300.0, period_start=HOUR + 300.0)
    shop.deliver("evt_2")

    shop.world.now += 60
    shop.again(since=shop.world.now, period_start=shop.world.now)
    shop.run.subscriptions.refresh(ME.org)
    status = shop.world.services.billing(ME)._status()
    assert (status.status, status.accrued, status.days) == ("active", 0.0, ())
    assert (status.plan, status.starts) == ("free", HOUR + 3600)
    shop.run._charging.observe(ME.org, replace(worker, until=shop.world.now))
    assert shop.charged()[0] == 600

    pipeline = shop.world.launch(parallel("a", "b", "c", "d"))
    shop.world.serve()
    assert len(shop.world.running()) == 2
    shop.world.now = HOUR + 3605.0
    shop.run.minute()  # the schedule wakes it at the full hour
    shop.world.serve()
    assert len(shop.world.running()) == 4
    shop.run._charging.observe(ME.org, replace(worker, until=HOUR + 3700.0))
    totals = shop.records.hours(ME.org, HOUR, shop.world.now)
    assert [(each.moment, each.vcpu_seconds) for each in totals][:1] == [(HOUR + 300, 600.0)]
    status = shop.world.services.billing(ME)._status()
    assert status.accrued == pytest.approx(sum(each.dollars for each in status.days))
    assert {each.id for each in status.pipelines} == {"abc", pipeline}
    paid = [each.vcpu_seconds for each in status.pipelines if each.id == "abc"]
    assert paid == [100.0]


def test_usage_and_account_have_the_price_of_the_subscription(shop: Shop) -> None:
    shop.subscribe()
    api = shop.world.pipelines()
    assert asyncio.run(api.who_am_i()).vcpu_hour is None
    shop.deliver()
    pipeline = shop.world.launch(leaf())
    shop.world.serve()
    shop.world.now += 600
    shop.world.running()["/"].finish(seconds=600.0)
    shop.world.run_out()

    assert asyncio.run(api.who_am_i()).vcpu_hour == RATES.vcpu
    (month,) = asyncio.run(api.get_usage(UsageParams(nodes=5))).months
    cost = asyncio.run(api.get_cost(CostParams(id=pipeline)))
    size = size_for("/", 1.0, 2.0)
    hour = size.cpu * RATES.vcpu + size.mem * RATES.gb
    assert month.price == pytest.approx(month.seconds / 3600 * hour)
    assert cost.price == pytest.approx(cost.seconds / 3600 * hour)
    assert cost.seconds >= 600


def test_free_time_before_a_recovery_is_not_charged(shop: Shop) -> None:
    shop.subscribe()
    shop.deliver()
    began = shop.world.now
    worker = WorkerTime("w1", "abc", Size(1.0, 2.0), began, began + 60)
    shop.run._charging.observe(ME.org, worker)
    for name, status, later in (("evt_2", Status.PAUSED, 60), ("evt_3", Status.ACTIVE, 1000)):
        shop.world.now += later
        shop.subscribe(status)
        shop.deliver(name)

    ended = replace(worker, until=shop.world.now + 100, ended=True)
    shop.run._charging.observe(ME.org, ended)

    assert shop.charged()[0] == 160


@pytest.mark.parametrize("seed", range(20))
def test_any_order_and_repetition_of_events_ends_in_the_same_state(seed: int) -> None:
    rng = random.Random(seed)
    shop = Shop()
    events = [f"evt_{n}" for n in range(5)] * 2
    rng.shuffle(events)
    statuses = rng.sample(list(Status), 3)
    for name in events:
        shop.world.now += 1
        if statuses and rng.random() < 0.5:
            shop.subscribe(statuses.pop())
        shop.deliver(name)
    shop.subscribe(Status.ACTIVE)
    shop.world.now += 1
    shop.deliver("evt_last")

    assert shop.world.orgs.in_use(ME.org).plan.name == "scale"
    assert shop.records.waiting_events() == []


def test_concurrent_events_end_with_the_subscription_that_was_fetched_last(shop: Shop) -> None:
    shop.subscribe()

    def interleave() -> None:
        """Process a later event between the two writes of an earlier one."""
        shop.records.written = lambda: None
        shop.subscribe(Status.CANCELED)
        shop.world.now += 1
        shop.deliver("evt_2")

    shop.records.written = interleave
    shop.deliver("evt_1")

    assert shop.world.orgs.in_use(ME.org).billing.status is Status.CANCELED
    assert shop.world.orgs.plan(ME.org).name == "free"


def test_hook_function_processes_its_own_event_without_the_index(shop: Shop) -> None:
    shop.subscribe()
    kind = "customer.subscription.updated"
    first, other = (HookEvent(id_, kind, "sub_1", livemode=False) for id_ in ("evt_1", "evt_2"))
    shop.records.note_event(first)
    shop.records.note_event(other)

    shop.run.process_event("evt_1")
    shop.run.process_event("evt_1")  # Lambda invokes a function twice at times

    assert shop.world.orgs.plan(ME.org).name == "scale"
    assert shop.records.waiting_events() == [other]


def test_charges_during_an_event_stay_in_the_amount_of_the_period(shop: Shop) -> None:
    shop.subscribe()
    shop.deliver()
    shop.world.set_accrued(3.0)  # a charge that the event does not see yet
    shop.world.now += 1
    shop.deliver("evt_2")
    assert shop.world.orgs.in_use(ME.org).accrued == 3.0

    shop.subscribe(period_start=START + PERIOD, period_end=START + 2 * PERIOD)
    shop.world.now += PERIOD
    shop.deliver("evt_3")
    assert shop.world.orgs.in_use(ME.org).accrued == 0.0


def test_payment_starts_workers_of_waiting_pipelines_at_once(shop: Shop) -> None:
    pipeline = shop.world.launch(parallel("a", "b", "c", "d"))
    shop.world.serve()
    waiting = [n.wait_remedy for n in shop.world.nodes(pipeline).values() if n.waits_for]
    assert all("conducto billing enable" in text for text in waiting)
    assert len(shop.world.fleet.tasks) == 2

    shop.subscribe()
    shop.deliver()  # no minute passes

    assert len(shop.world.fleet.tasks) == 4


def test_lost_event_costs_at_most_a_minute(shop: Shop) -> None:
    shop.world.launch(parallel("a", "b", "c", "d"))
    shop.world.serve()
    shop.subscribe()
    shop.provider.away = True  # the provider does not respond to the first attempt
    event = HookEvent("evt_1", "customer.subscription.created", "sub_1", livemode=False)
    shop.records.note_event(event)
    shop.run.minute()
    assert len(shop.world.fleet.tasks) == 2

    shop.provider.away = False
    shop.run.minute()

    assert len(shop.world.fleet.tasks) == 4


def test_failed_payment_has_a_grace_period_after_which_nothing_is_lost(shop: Shop) -> None:
    shop.subscribe()
    shop.deliver()
    shop.subscribe(Status.PAST_DUE)
    shop.world.now += 1
    shop.deliver("evt_2")
    shop.deliver("evt_3")
    assert shop.mails == [("ann@acme.example", "Conducto: a payment for acme failed")]
    shop.world.now += 7 * 86_400 - 5
    assert shop.world.orgs.plan(ME.org).name == "scale"
    pipeline = shop.world.launch(parallel("a", "b", "c"))
    shop.world.serve()

    shop.world.now += 5
    assert shop.world.orgs.plan(ME.org).name == "free"
    assert len(shop.world.running()) == 3  # no command is killed

    shop.world.run_out()
    assert shop.world.get(pipeline).state is State.DONE


def test_spend_limit_warns_then_suspends_then_kills(shop: Shop) -> None:
    shop.subscribe()
    shop.deliver()
    world = shop.world
    pipeline = world.launch(serial(leaf("a"), leaf("b", cpu=2)))
    world.serve()
    world.orgs.set_limit(ME.org, 10.0, 15)
    world.set_accrued(8.0)
    shop.run.minute()
    shop.run.minute()
    assert shop.mails == [
        ("ann@acme.example", "Conducto: the spend limit of acme is at 80 %"),
    ]

    world.set_accrued(10.0)
    shop.run.minute()
    assert len(shop.mails) == 2
    assert world.get(pipeline).state is State.RUNNING

    world.now += 15 * 60
    shop.run.minute()
    world.running()["/a"].finish()  # its worker reports what the heartbeat asked for
    assert world.attempts(pipeline, "/a")[-1].cause is Cause.SPEND_LIMIT


def test_grace_period_starts_again_after_a_change_of_the_limit(shop: Shop) -> None:
    shop.subscribe()
    shop.deliver()
    world = shop.world
    pipeline = world.launch(leaf())
    world.serve()
    world.orgs.set_limit(ME.org, 10.0, 15)
    world.set_accrued(10.0)
    shop.run.minute()
    world.now += 14 * 60
    world.orgs.set_limit(ME.org, 11.0, 15)
    world.set_accrued(11.0)  # the new limit is reached before the schedule sees it

    world.now += 2 * 60
    shop.run.minute()
    assert not world.running()["/"].heartbeat()  # it is not asked to stop
    assert world.states(pipeline)["/"] == "running"

    world.now += 13 * 60
    shop.run.minute()
    world.running()["/"].finish()
    assert world.attempts(pipeline, "/")[-1].cause is Cause.SPEND_LIMIT


def test_billing_mails_have_the_password_and_are_repeated_until_they_are_sent(shop: Shop) -> None:
    shop.subscribe()
    shop.deliver()
    shop.world.orgs.set_limit(ME.org, 10.0, 15)
    shop.world.set_accrued(8.0)
    shop.password = "geheim"
    shop.run.minute()
    shop.subscribe(Status.PAST_DUE)
    shop.world.now += 1
    shop.deliver("evt_2")
    assert (shop.mails, shop.tried) == ([], 2)
    for _ in range(5):
        shop.run.minute()  # in the same minute
    assert shop.tried == 2

    secret = {SMTP_PASSWORD: {"value": "geheim"}}
    shop.world.vault.replace(org_scope(ME.org), secret, "")
    shop.world.now += 60
    shop.run.minute()
    shop.run.minute()

    assert sorted(shop.mails) == [
        ("ann@acme.example", "Conducto: a payment for acme failed"),
        ("ann@acme.example", "Conducto: the spend limit of acme is at 80 %"),
    ]


def test_billing_mail_that_is_always_refused_is_given_up_after_days(shop: Shop) -> None:
    shop.subscribe()
    shop.deliver()
    shop.world.orgs.set_limit(ME.org, 10.0, 15)
    shop.world.set_accrued(8.0)
    shop.password = "other"
    began = shop.world.now
    shop.run.minute()
    while waiting := list(shop.records.mails()):
        shop.world.now = waiting[0].due
        shop.run.minute()

    assert shop.tried == 9
    assert 2 * 86_400 < shop.world.now - began < 4 * 86_400
    shop.run.minute()
    assert shop.tried == 9


def test_claims_wait_at_the_spend_limit(shop: Shop) -> None:
    shop.subscribe()
    shop.deliver()
    world = shop.world
    pipeline = world.launch(serial("a", "b"))
    world.serve()
    world.orgs.set_limit(ME.org, 1.0, 15)
    world.set_accrued(1.0)
    world.running()["/a"].finish()
    world.serve()
    assert world.states(pipeline)["/b"] == "queued"

    world.orgs.set_limit(ME.org, None, 15)
    world.serve()

    assert world.states(pipeline)["/b"] == "running"


def test_nightly_comparison_sends_lost_usage_again(shop: Shop) -> None:
    shop.subscribe()
    shop.deliver()
    now = shop.world.now
    size = Size(1.0, 2.0)
    shop.run._charging.observe(ME.org, WorkerTime("w1", "abc", size, now - 300, now, ended=True))
    shop.run.send(ME.org)
    sent = dict(shop.provider.received)
    shop.provider.received.clear()

    shop.run.day()

    assert shop.provider.received == sent


def test_foreign_subscription_and_other_mode_change_nothing(shop: Shop) -> None:
    shop.subscribe()
    shop.run.subscriptions.process(HookEvent("e1", "x", "sub_1", livemode=True))
    shop.provider.subscriptions["sub_1"] = Subscription(
        "sub_1", "cus_other", ME.org, Status.ACTIVE, START, START, START + PERIOD
    )
    shop.deliver("e2")

    assert shop.world.orgs.plan(ME.org).name == "free"


def test_organisation_with_a_subscription_is_not_deleted(shop: Shop) -> None:
    shop.subscribe()
    shop.deliver()
    organisation = shop.world.services.people(ME)
    asked = DeleteOrganisationParams(org=ME.org, confirm=ME.org)

    with pytest.raises(RefusedError, match="conducto billing portal"):
        asyncio.run(organisation.delete_organisation(asked))


def test_slower_clock_never_reduces_the_charge_of_a_running_worker(shop: Shop) -> None:
    shop.subscribe()
    shop.deliver()
    now = shop.world.now
    size = Size(1.0, 2.0)
    shop.run._charging.observe(ME.org, WorkerTime("w1", "abc", size, now - 900, now))

    shop.run._charging.observe(ME.org, WorkerTime("w1", "abc", size, now - 900, now - 600))

    assert shop.charged()[0] == 900


def test_surplus_workers_drain_after_the_paid_plan_has_ended(shop: Shop) -> None:
    shop.subscribe()
    shop.deliver()
    world = shop.world
    first = world.launch(parallel("a", "b", "c", "d", "e", "f", "g", "h", max_concurrent=4))
    world.serve()
    assert len(world.running()) == 4
    shop.subscribe(Status.CANCELED)
    world.now += 1
    shop.deliver("evt_2")
    assert len(world.running()) == 4  # no command is killed

    for hand in list(world.running().values()):
        hand.finish()
    world.serve()

    assert len(world.running()) == 2
    assert world.orgs.workers(ME.org) == 2
    world.run_out()
    assert world.get(first).state is State.DONE
    assert all(len(world.attempts(first, f"/{name}")) == 1 for name in "abcdefgh")


def test_started_group_keeps_its_container_after_the_paid_plan_has_ended(shop: Shop) -> None:
    shop.subscribe()
    shop.deliver()
    world = shop.world
    groups = [
        serial(leaf("a"), leaf("b"), name=name, container_reuse_context="new") for name in "xyz"
    ]
    pipeline = world.launch(parallel(*groups))
    world.serve()
    assert len(world.running()) == 3
    shop.subscribe(Status.CANCELED)
    world.now += 1
    shop.deliver("evt_2")

    world.run_out()

    assert world.get(pipeline).state is State.DONE


class HalfDeleted(JournalStore):
    """A store that lists a pipeline which is deleted before it is read."""

    def open_pipelines(self) -> Iterator[tuple[str, str]]:
        yield ME.org, "gone"
        yield from super().open_pipelines()


def test_unreadable_pipeline_does_not_stop_the_charges_of_others() -> None:
    shop = Shop(HalfDeleted)
    shop.subscribe()
    shop.deliver()
    shop.world.launch(leaf())
    shop.world.serve()
    now, size = shop.world.now, Size(1.0, 2.0)
    kept, closed = (WorkerTime(f"w{i}", i, size, now - 60, now) for i in ("gone", "other"))
    shop.run._charging.observe(ME.org, kept)
    shop.run._charging.observe(ME.org, closed)
    shop.world.now += 300

    shop.run.charge()

    assert shop.charged()[0] == 60 + 60 + 300
    still_open = {worker for _, worker, _ in shop.records.open_meters()}
    assert "wgone" in still_open
    assert "wother" not in still_open


def test_debug_shell_is_charged_for_its_own_memory_once_it_has_a_task(shop: Shop) -> None:
    shop.subscribe()
    shop.deliver()
    now = shop.world.now
    shell = Shell("s1", ME.org, "abc", "ann", "/a", 1, 4.0, 16.0, now, now + 900)
    shop.world.shells.open(shell)
    shop.world.now += 300
    shop.run.charge()
    assert shop.charged() == (0, 0)

    shop.world.shells.started(shell, "arn:1")
    shop.run.charge()

    size = size_for("/a", 4.0, 16.0)
    assert shop.charged() == (300 * size.cpu, 300 * size.mem)


def test_worker_that_lived_between_two_charges_is_charged_if_its_end_was_lost(shop: Shop) -> None:
    shop.subscribe()
    shop.deliver()
    world = shop.world
    pipeline = world.launch(leaf())
    world.serve()
    (hand,) = world.living()
    world.now += 120
    world.fleet.times[hand.arn] = (world.now - 120, world.now)

    def lose() -> None:
        raise ConnectionError("the function was killed")

    shop.records.lost = lose
    hand.finish()
    hand.leave()
    end = TaskEnd("stopped", began=world.now - 120, ended=world.now)
    world.reconciler().task_stopped(pipeline, hand.id, end)
    shop.records.lost = lambda: None
    assert shop.charged()[0] == 0

    shop.run.charge()

    assert shop.charged()[0] == 120
