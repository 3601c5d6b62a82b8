"""The payment provider in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from chalicelib.billing.port import (
    BillingUnavailableError,
    HookEvent,
    RefusedUsage,
    SignatureError,
    Subscription,
)
from conducto_core.billing.model import Invoice
from conducto_core.billing.rules import (
    LIVE,
    Status,
)


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

    def invoices(self, customer: str) -> Sequence[Invoice]:
        self._check()
        return ()

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
