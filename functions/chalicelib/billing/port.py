"""The payment provider, and the records of subscriptions and of charged usage."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

from conducto_core.billing.model import Invoice
from conducto_core.billing.rules import RATES, Billing, PlanPeriod, Rates, Status, first_hour

#: Kinds of events about usage that was received and not accepted.
USAGE_REFUSED = ("v1.billing.meter.error_report_triggered", "v1.billing.meter.no_meter_found")


class SignatureError(Exception):
    """The signature of a webhook is missing, wrong or too old."""


class BillingUnavailableError(Exception):
    """The payment provider does not respond; retry later."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription as the provider knows it.

    Attributes:
        org: The organisation, from its metadata; "" for one that this installation did not create.
        since: When it started.
        rates: Its prices; None if it has no metered prices.
        email: Billing contact, or "".
    """

    id: str
    customer: str
    org: str
    status: Status
    since: float
    period_start: float
    period_end: float
    rates: Rates | None = None
    email: str = ""


class HookEvent(NamedTuple):
    """A verified event: a hint that a subscription may have changed.

    Attributes:
        subscription: Id of the subscription that it names, or None.
    """

    id: str
    kind: str
    subscription: str | None
    livemode: bool


class RefusedUsage(NamedTuple):
    """Usage that the provider received and did not accept.

    Attributes:
        reasons: ``{code: number of events}``.
        customers: The customers of the events of which the provider gives examples.
    """

    reasons: Mapping[str, int]
    customers: frozenset[str]


class BillingProvider(Protocol):
    """The payment provider. Methods raise `BillingUnavailableError`."""

    @property
    def livemode(self) -> bool:
        """Whether its key moves real money."""

    def new_customer(self, org: str) -> str:
        """Return the id of an organisation's customer; repeating it creates no second one."""

    def checkout(self, org: str, customer: str, back: str) -> str:
        """Return the URL of a page on which the organisation subscribes; at most one is open."""

    def portal(self, customer: str, back: str) -> str:
        """Return the URL of the page with invoices and payment methods."""

    def invoices(self, customer: str) -> Sequence[Invoice]:
        """Return a customer's invoices of the last year, the newest first."""

    def subscription(self, subscription_id: str) -> Subscription | None:
        """Return a subscription."""

    def newest(self, customer: str) -> Subscription | None:
        """Return a customer's latest subscription, a live one if there is one."""

    def cancel(self, subscription_id: str) -> None:
        """End a subscription immediately, without another invoice."""

    def report(self, customer: str, moment: int, vcpu_seconds: float, gb_seconds: float) -> None:
        """Send the totals of a moment's hour, which replace those sent before."""

    def refused_usage(self, event_id: str) -> RefusedUsage:
        """Return the usage that an event of the kind `USAGE_REFUSED` reports as refused."""

    def totals(self, customer: str, start: int, end: int) -> Mapping[int, tuple[float, float]]:
        """Return ``{hour: (vCPU-seconds, GB-seconds)}`` that the provider has received."""

    def event(self, body: bytes, signature: str) -> HookEvent:
        """Return the event of a webhook.

        Raises:
            SignatureError: It was not signed by the provider within the last minutes.
        """


@dataclass(frozen=True, slots=True)
class PaymentAccount:
    """The subscription of an organisation, as it was last fetched.

    Attributes:
        subscription: Its id; "" before the first checkout.
        started: When it started.
        since: When its paid plan started, and usage began to be charged.
        resumed: When it last entitled to the paid plan again; 0: never.
        fetched: When it was fetched; an older result never replaces a newer one.
        warned: Share of the spend limit at which the owners were notified in this period.
        suspended_at: When the spend limit was reached in this period.
    """

    org: str
    customer: str
    subscription: str = ""
    status: Status | None = None
    started: float = 0.0
    since: float = 0.0
    resumed: float = 0.0
    period_start: float = 0.0
    period_end: float = 0.0
    grace_until: float | None = None
    fetched: float = 0.0
    rates: Rates | None = None
    email: str = ""
    warned: float = 0.0
    suspended_at: float | None = None

    @property
    def first_hour(self) -> float:
        """The first hour of the billing period."""
        return first_hour(self.period_start, self.started, self.since)

    @property
    def gate(self) -> Billing:
        """The part that gates workers, without the spend limit."""
        return Billing(
            self.status,
            since=max(self.since, self.resumed),
            started=self.started,
            period=self.first_hour,
            grace_until=self.grace_until,
        )


def rates_of(account: PaymentAccount | None) -> Rates:
    """Return the prices of an account, or the documented ones."""
    return RATES if account is None or account.rates is None else account.rates


@dataclass(frozen=True, slots=True)
class Meter:
    """The charged time of a worker.

    Attributes:
        since: Start of the paid plan under which it is charged.
        span: The interval that is charged already; None: nothing yet.
        task: ARN of its task.
        closed: Whether it has ended.
        period: The billing period in which it was last charged, by its first hour.
        settled: Seconds that were charged in earlier periods.
    """

    org: str
    worker: str
    pipeline_id: str
    vcpu: float
    gb: float
    since: float
    span: PlanPeriod | None = None
    task: str | None = field(default=None, compare=False)
    closed: bool = False
    period: float = 0.0
    settled: int = 0

    def moved(self, span: PlanPeriod, billing: Billing, *, closed: bool) -> "Meter":
        """Return the meter with another interval, whose change is charged in the current period."""
        settled = self._settled_before(billing.period)
        return replace(self, span=span, closed=closed, period=billing.period, settled=settled)

    def seconds_in(self, period: float) -> int:
        """Return the seconds that were charged in a billing period, the current one."""
        if self.span is None or period < self.period:
            return 0
        return self.span.seconds - self._settled_before(period)

    def _settled_before(self, period: float) -> int:
        """Return the seconds that count in periods before ``period``.

        A period that was renewed a moment ago may have seconds already, which were charged before
        the renewal was known.
        """
        if self.period == period or self.span is None:
            return self.settled
        return max(0, min(self.span.until, int(period)) - self.span.began)


class HourTotal(NamedTuple):
    """The charged usage of an organisation in an hour.

    Attributes:
        hour: Its start, in seconds since the epoch.
        version: Number of changes, for `BillingRecords.sent`.
        dirty: Whether it changed since it was sent.
        moment: The time with which it is sent (`conducto_core.billing.rules.charged_at`).
    """

    hour: int
    vcpu_seconds: float
    gb_seconds: float
    version: int
    dirty: bool
    moment: int = 0


@dataclass(frozen=True, slots=True)
class WaitingMail:
    """An e-mail to an organisation's billing contact that was not sent yet.

    Attributes:
        kind: Its occasion; an organisation has one waiting e-mail of each.
        tries: Number of attempts.
        due: Time of the next one.
    """

    org: str
    kind: str
    subject: str
    text: str
    tries: int = 0
    due: float = 0.0
