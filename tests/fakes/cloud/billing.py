"""Subscriptions, charged usage and the payment provider in memory."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from tests.fakes.cloud.identity import FakeOrgs

from chalicelib.billing.port import (
    BillingUnavailableError,
    HookEvent,
    HourTotal,
    Meter,
    PaymentAccount,
    RefusedUsage,
    SignatureError,
    Subscription,
    WaitingMail,
)
from conducto_core.billing.rules import (
    LIVE,
    NO_BILLING,
    Billing,
    PlanPeriod,
    Rates,
    Status,
    charged_at,
    charged_hours,
    dollars,
    moved,
)


class FakeBilling:
    """A fake `BillingRecords`.

    Attributes:
        lost: Called before each move; it may raise an error.
        written: Called after an account was written.
    """

    def __init__(self, orgs: FakeOrgs) -> None:
        self._orgs = orgs
        self._accounts: dict[str, PaymentAccount] = {}
        self._meters: dict[tuple[str, str, float], Meter] = {}
        self._hours: dict[tuple[str, int], HourTotal] = {}
        self._events: dict[str, HookEvent] = {}
        self._done: set[str] = set()
        self._mails: dict[tuple[str, str], WaitingMail] = {}
        self.lost: Callable[[], None] = lambda: None
        self.written: Callable[[], None] = lambda: None

    def account(self, org: str) -> PaymentAccount | None:
        return self._accounts.get(org)

    def accounts(self) -> Iterator[str]:
        yield from list(self._accounts)

    def put_account(self, account: PaymentAccount) -> bool:
        known = self._accounts.get(account.org)
        if known is not None and known.fetched >= account.fetched:
            return False
        self._accounts[account.org] = account
        self.written()
        return True

    def record_steps(self, org: str, *, warned: float, suspended_at: float | None) -> None:
        known = self._accounts[org]
        self._accounts[org] = replace(known, warned=warned, suspended_at=suspended_at)

    def meter(self, org: str, worker: str, since: float) -> Meter | None:
        return self._meters.get((org, worker, since))

    def meters(self, org: str) -> Iterator[Meter]:
        yield from [meter for meter in self._meters.values() if meter.org == org]

    def open_meters(self) -> Iterator[tuple[str, str, float]]:
        for key, meter in list(self._meters.items()):
            if not meter.closed:
                yield key

    def move(
        self, meter: Meter, span: PlanPeriod, rates: Rates, billing: Billing, *, closed: bool
    ) -> bool:
        self.lost()
        key = (meter.org, meter.worker, meter.since)
        known = self._meters.get(key)
        if (None if known is None else (known.span, known.closed)) != (
            None if meter.span is None else (meter.span, False)
        ):
            return False
        changes = charged_hours(moved(meter.span, span), billing)
        if changes and self._orgs.billing.get(meter.org, NO_BILLING).period != billing.period:
            return False
        task = meter.task or (None if known is None else known.task)
        self._meters[key] = replace(meter.moved(span, billing, closed=closed), task=task)
        for hour, seconds in changes.items():
            old = self._hours.get((meter.org, hour), HourTotal(hour, 0.0, 0.0, 0, dirty=True))
            self._hours[meter.org, hour] = HourTotal(
                hour,
                old.vcpu_seconds + seconds * meter.vcpu,
                old.gb_seconds + seconds * meter.gb,
                old.version + 1,
                dirty=True,
                moment=charged_at(hour, billing.started),
            )
        seconds = sum(changes.values())
        more = dollars(seconds * meter.vcpu, seconds * meter.gb, rates)
        self._orgs.accrued[meter.org] = self._orgs.accrued.get(meter.org, 0.0) + more
        return True

    def hours(self, org: str, start: float, end: float) -> Sequence[HourTotal]:
        first = int(start) - int(start) % 3600
        found = [t for (of, _), t in self._hours.items() if of == org and first <= t.hour <= end]
        return sorted(found)

    def sent(self, org: str, total: HourTotal) -> None:
        known = self._hours[org, total.hour]
        if known.version == total.version:
            self._hours[org, total.hour] = known._replace(dirty=False)

    def unsent(self, org: str, hour: int) -> None:
        empty = HourTotal(hour, 0.0, 0.0, 0, dirty=True)
        known = self._hours.get((org, hour), empty)
        self._hours[org, hour] = known._replace(dirty=True, version=known.version + 1)

    def put_mail(self, mail: WaitingMail) -> None:
        self._mails[mail.org, mail.kind] = mail

    def drop_mail(self, mail: WaitingMail) -> None:
        self._mails.pop((mail.org, mail.kind), None)

    def mails(self) -> Iterator[WaitingMail]:
        yield from list(self._mails.values())

    def note_event(self, event: HookEvent) -> bool:
        if event.id in self._events:
            return False
        self._events[event.id] = event
        return True

    def event_done(self, event_id: str) -> None:
        self._done.add(event_id)

    def waiting_event(self, event_id: str) -> HookEvent | None:
        return None if event_id in self._done else self._events.get(event_id)

    def waiting_events(self) -> Sequence[HookEvent]:
        return [event for id_, event in self._events.items() if id_ not in self._done]


class FakeProvider:
    """A fake `BillingProvider`.

    Attributes:
        away: Whether every request fails.
        subscriptions: ``{id: subscription}``.
        received: ``{(customer, hour): (vCPU-seconds, GB-seconds)}``.
        events: ``{signature: event}`` of webhooks.
        refused: ``{event: refused usage}``.
    """

    def __init__(self) -> None:
        self.away = False
        self.livemode = False
        self.subscriptions: dict[str, Subscription] = {}
        self.received: dict[tuple[str, int], tuple[float, float]] = {}
        self.events: dict[str, HookEvent] = {}
        self.refused: dict[str, RefusedUsage] = {}

    def _check(self) -> None:
        if self.away:
            raise BillingUnavailableError("the provider does not respond")

    def new_customer(self, org: str) -> str:
        self._check()
        return f"cus_{org}"

    def checkout(self, org: str, customer: str, back: str) -> str:
        self._check()
        return f"https://pay.example/{org}/{customer}?back={back}"

    def portal(self, customer: str, back: str) -> str:
        self._check()
        return f"https://portal.example/{customer}?back={back}"

    def subscription(self, subscription_id: str) -> Subscription | None:
        self._check()
        return self.subscriptions.get(subscription_id)

    def newest(self, customer: str) -> Subscription | None:
        self._check()
        mine = [each for each in self.subscriptions.values() if each.customer == customer]
        return max(mine, key=lambda each: (each.status in LIVE, each.since), default=None)

    def cancel(self, subscription_id: str) -> None:
        self._check()
        known = self.subscriptions[subscription_id]
        self.subscriptions[subscription_id] = replace(known, status=Status.CANCELED)

    def report(self, customer: str, moment: int, vcpu_seconds: float, gb_seconds: float) -> None:
        self._check()
        self.received[customer, moment - moment % 3600] = (vcpu_seconds, gb_seconds)

    def refused_usage(self, event_id: str) -> RefusedUsage:
        self._check()
        return self.refused[event_id]

    def totals(self, customer: str, start: int, end: int) -> Mapping[int, tuple[float, float]]:
        self._check()
        return {
            hour: total
            for (of, hour), total in self.received.items()
            if of == customer and start <= hour < end
        }

    def event(self, body: bytes, signature: str) -> HookEvent:
        if signature not in self.events:
            raise SignatureError("no valid signature")
        return self.events[signature]
