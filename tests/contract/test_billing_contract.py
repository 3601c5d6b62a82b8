"""Subscriptions, charged usage and spend limits: in memory and in the table."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import pytest

from chalicelib.aws.dynamodb import DynamoTable
from chalicelib.billing.port import HookEvent, Meter, PaymentAccount, WaitingMail
from chalicelib.billing.store import TableBilling
from chalicelib.errors import ConflictError, PlanLimitError
from chalicelib.people.store.organisations import TableOrgs
from conducto_core.billing.rules import FREE, NO_BILLING, RATES, SCALE, Billing, PlanPeriod, Status
from support.cloud.aws import TABLE, aws

if TYPE_CHECKING:
    from chalicelib.people.store.organisations import TableOrgs

NOW = 1_000_000.0
HOUR = 997_200
METER = Meter("acme", "w1", "abc", vcpu=0.5, gb=2.0, since=900_000.5, task="arn:1")


class Shop(NamedTuple):
    records: TableBilling
    orgs: TableOrgs


@pytest.fixture
def shop(any_table: DynamoTable) -> Shop:
    return Shop(TableBilling(any_table, lambda: NOW), TableOrgs(any_table, lambda: NOW))


def test_account_is_replaced_only_by_one_that_was_fetched_later(shop: Shop) -> None:
    records = shop.records
    first = PaymentAccount("acme", "cus_1")
    full = replace(
        first,
        subscription="sub_1",
        status=Status.PAST_DUE,
        since=5.0,
        period_start=6.0,
        period_end=7.0,
        grace_until=8.5,
        fetched=NOW,
        rates=RATES,
        email="ann@acme.example",
    )

    assert records.account("acme") is None
    assert records.put_account(first)
    assert records.put_account(full)
    assert not records.put_account(replace(full, status=Status.ACTIVE))
    assert records.account("acme") == full
    assert list(records.accounts()) == ["acme"]

    records.record_steps("acme", warned=0.8, suspended_at=NOW)
    assert records.account("acme") == replace(full, warned=0.8, suspended_at=NOW)
    records.record_steps("acme", warned=0.0, suspended_at=None)
    assert records.account("acme") == full


def test_meter_moves_once_and_its_hours_add_up(shop: Shop) -> None:
    records = shop.records
    span = PlanPeriod(HOUR + 3000, HOUR + 4000)

    assert records.move(METER, span, RATES, NO_BILLING, closed=False)
    assert not records.move(
        METER, span, RATES, NO_BILLING, closed=False
    )  # another process was faster
    moved = records.meter("acme", "w1", METER.since)
    assert moved == replace(METER, span=span)
    assert moved.task == "arn:1"
    assert list(records.open_meters()) == [("acme", "w1", METER.since)]
    assert list(records.meters("acme")) == [moved]
    assert list(records.meters("other")) == []

    last = PlanPeriod(HOUR + 3100, HOUR + 7600)
    assert records.move(moved, last, RATES, NO_BILLING, closed=True)
    assert not records.move(moved, span, RATES, NO_BILLING, closed=False)

    found = records.hours("acme", HOUR, NOW + 10_000)
    assert [(h.hour, h.vcpu_seconds, h.gb_seconds) for h in found] == [
        (HOUR, 250.0, 1000.0),
        (HOUR + 3600, 1800.0, 7200.0),
        (HOUR + 7200, 200.0, 800.0),
    ]
    assert list(records.open_meters()) == []
    expected = (2250 * RATES.vcpu + 9000 * RATES.gb) / 3600
    assert shop.orgs.in_use("acme").accrued == pytest.approx(expected)


def test_late_usage_of_an_ended_period_is_charged_in_the_current_one(shop: Shop) -> None:
    records, orgs = shop.records, shop.orgs
    first = Billing(Status.ACTIVE, since=900_000.5, started=HOUR + 60.0, period=float(HOUR))
    orgs.set_billing("acme", first, 0.0, fetched=1.0)
    assert records.move(METER, PlanPeriod(HOUR + 100, HOUR + 200), RATES, first, closed=False)
    second = replace(first, period=HOUR + 3600.0)
    orgs.set_billing("acme", second, 0.0, fetched=2.0)
    known = records.meter("acme", "w1", METER.since)
    assert known is not None

    assert not records.move(known, PlanPeriod(HOUR + 100, HOUR + 500), RATES, first, closed=False)
    assert records.move(known, PlanPeriod(HOUR + 100, HOUR + 500), RATES, second, closed=True)

    found = records.hours("acme", HOUR, HOUR + 3600)
    assert [(h.hour, h.vcpu_seconds, h.moment) for h in found] == [
        (HOUR, 50.0, HOUR + 60),
        (HOUR + 3600, 150.0, HOUR + 3600),
    ]
    assert list(records.hours("acme", HOUR + 3600, HOUR)) == []
    (meter,) = records.meters("acme")
    assert (meter.seconds_in(HOUR), meter.seconds_in(HOUR + 3600)) == (0, 300)
    expected = (150 * RATES.vcpu + 600 * RATES.gb) / 3600
    assert orgs.in_use("acme").accrued == pytest.approx(expected)


def test_hour_stays_unsent_if_it_changes_while_it_is_sent(shop: Shop) -> None:
    records = shop.records
    records.move(METER, PlanPeriod(HOUR, HOUR + 60), RATES, NO_BILLING, closed=False)
    (sending,) = records.hours("acme", HOUR, NOW)
    records.move(
        replace(METER, worker="w2"), PlanPeriod(HOUR, HOUR + 60), RATES, NO_BILLING, closed=False
    )

    records.sent("acme", sending)
    (again,) = records.hours("acme", HOUR, NOW)
    assert again.dirty

    records.sent("acme", again)
    assert [total.dirty for total in records.hours("acme", HOUR, NOW)] == [False]
    records.unsent("acme", HOUR)
    assert [total.dirty for total in records.hours("acme", HOUR, NOW)] == [True]


def test_mail_waits_until_it_is_dropped(shop: Shop) -> None:
    first = WaitingMail("acme", "limit", "subject", "text", due=NOW)
    again = replace(first, tries=1, due=NOW + 60.5)

    for mail in (first, again, replace(first, kind="payment")):
        shop.records.put_mail(mail)

    assert sorted(shop.records.mails(), key=lambda mail: mail.kind) == [
        again,
        replace(first, kind="payment"),
    ]
    shop.records.drop_mail(again)
    shop.records.drop_mail(again)
    assert [mail.kind for mail in shop.records.mails()] == ["payment"]


def test_event_is_stored_once_and_waits_until_it_is_processed(shop: Shop) -> None:
    event = HookEvent("evt_1", "customer.subscription.updated", "sub_1", livemode=False)

    assert shop.records.note_event(event)
    assert not shop.records.note_event(event)
    assert list(shop.records.waiting_events()) == [event]
    assert shop.records.waiting_event("evt_1") == event
    assert shop.records.waiting_event("evt_none") is None

    shop.records.event_done("evt_1")
    assert list(shop.records.waiting_events()) == []
    assert shop.records.waiting_event("evt_1") is None
    assert not shop.records.note_event(event)


def test_one_read_returns_the_effective_plan(shop: Shop) -> None:
    orgs = shop.orgs
    orgs.set_limit("acme", 5.0, 10.0)
    orgs.set_billing(
        "acme", Billing(Status.ACTIVE, since=7.0, started=6.0, period=7.0), 5.0, fetched=1.0
    )

    used = orgs.in_use("acme")
    assert (used.plan, used.base, used.paying, used.suspended) == (SCALE, FREE, True, True)
    assert used.billing == Billing(
        Status.ACTIVE,
        since=7.0,
        started=6.0,
        period=7.0,
        limit=5.0,
        limit_set=NOW,
        grace_minutes=10.0,
    )

    overdue = Billing(Status.PAST_DUE, since=7.0, period=7.0, grace_until=NOW)
    orgs.set_billing("acme", overdue, 0.0, fetched=2.0)
    assert orgs.plan("acme") == FREE
    orgs.set_limit("acme", None, 15.0)
    orgs.set_billing("acme", Billing(Status.TRIALING, period=8.0), 9e9, fetched=3.0)
    assert not orgs.in_use("acme").suspended


def test_older_subscription_never_replaces_the_gate_and_the_amount_is_set_once(shop: Shop) -> None:
    orgs = shop.orgs
    orgs.set_billing("acme", Billing(Status.ACTIVE, since=7.0, period=7.0), 5.0, fetched=2.0)
    orgs.set_billing("acme", Billing(Status.CANCELED, since=7.0, period=8.0), 0.0, fetched=1.0)
    orgs.set_billing("acme", Billing(Status.CANCELED, since=7.0, period=8.0), 0.0, fetched=2.0)
    assert (orgs.in_use("acme").billing.status, orgs.in_use("acme").accrued) == ("active", 5.0)

    billing, span = orgs.in_use("acme").billing, PlanPeriod(HOUR, HOUR + 3600)
    assert shop.records.move(METER, span, RATES, billing, closed=False)
    amount = orgs.in_use("acme").accrued
    assert amount > 5.0
    orgs.set_billing("acme", Billing(Status.PAUSED, since=7.0, period=7.0), 5.0, fetched=3.0)
    assert (orgs.in_use("acme").billing.status, orgs.in_use("acme").accrued) == ("paused", amount)

    orgs.set_billing("acme", Billing(Status.ACTIVE, since=7.0, period=8.0), 1.0, fetched=4.0)
    assert orgs.in_use("acme").accrued == 1.0


def test_worker_is_reserved_only_below_the_spend_limit() -> None:
    with aws() as clients:
        table = DynamoTable(clients, TABLE)
        orgs, records = TableOrgs(table, lambda: NOW), TableBilling(table, lambda: NOW)
        orgs.set_limit("acme", 1.0, 15.0)
        orgs.set_billing("acme", Billing(Status.ACTIVE, period=7.0), 0.0, fetched=1.0)
        update, _ = orgs.reservation("acme", 1)
        big = replace(METER, vcpu=16.0)
        billing = orgs.in_use("acme").billing
        records.move(big, PlanPeriod(HOUR, HOUR + 7200), RATES, billing, closed=False)  # meanwhile

        with pytest.raises(ConflictError):
            table.update(update)
        with pytest.raises(PlanLimitError, match=r"spend limit of \$1.00"):
            orgs.reservation("acme", 1)
        table.update(orgs.reservation("acme", -1)[0])
