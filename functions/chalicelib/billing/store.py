"""Subscriptions, charged usage and webhook events in the table."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from chalicelib.aws import table_keys
from chalicelib.aws.dynamodb import NEW, DynamoTable, Item, Update, Value
from chalicelib.billing.port import (
    BillingProvider,
    HookEvent,
    HourTotal,
    Meter,
    PaymentAccount,
    WaitingMail,
)
from conducto_core.billing.rules import (
    Billing,
    PlanPeriod,
    Rates,
    Status,
    charged_at,
    charged_hours,
    dollars,
    month_of,
    moved,
)
from conducto_core.installation.names import OPEN

#: Seconds for which events and closed meters are kept, so that late repeats change nothing.
REMEMBERED_SECONDS = 40 * 86_400
_ACCOUNTS, _METERS, _EVENTS, _MAILS = "accounts", "meters", "hooks", "mails"
_HOUR = 3600


class TableBilling:
    """Subscriptions and charged usage. Writes raise `ThrottledError` to be retried."""

    def __init__(self, table: DynamoTable, clock: Callable[[], float]) -> None:
        self._table = table
        self._clock = clock

    # ---- accounts -----------------------------------------------------------------------------

    def account(self, org: str) -> PaymentAccount | None:
        """Return an organisation's account."""
        item = self._table.get(table_keys.account(org))
        return None if item is None else _account(org, item)

    def accounts(self) -> Iterator[str]:
        for _, item in self._table.index(OPEN, _ACCOUNTS):
            yield str(item[OPEN.sort_key])

    def put_account(self, account: PaymentAccount) -> bool:
        """Write an account, unless one that was fetched later exists; return whether it was."""
        key, item = table_keys.account(account.org), _account_item(account)
        where = f"{NEW} OR fetched < :fetched"
        return self._table.put_if(key, item, where, {":fetched": account.fetched})

    def record_steps(self, org: str, *, warned: float, suspended_at: float | None) -> None:
        """Record which steps at the spend limit were taken."""
        facts: dict[str, Value] = {"warned": warned}
        remove: tuple[str, ...] = ("suspended_at",)
        if suspended_at is not None:
            facts["suspended_at"], remove = suspended_at, ()
        self._table.update(Update(table_keys.account(org), set=facts, remove=remove))

    # ---- usage --------------------------------------------------------------------------------

    def meter(self, org: str, worker: str, since: float) -> Meter | None:
        item = self._table.get(table_keys.meter(org, worker, since))
        return None if item is None else _meter(org, worker, since, item)

    def meters(self, org: str) -> Iterator[Meter]:
        """Yield the meters of an organisation's workers, except of those that ended long ago."""
        partition = table_keys.meter(org, "", 0.0).partition
        for sort, item in self._table.range(partition, "0", table_keys.LAST):
            worker, _, since = sort.rpartition("#")
            yield _meter(org, worker, float(since), item)

    def open_meters(self) -> Iterator[tuple[str, str, float]]:
        """Yield ``(org, worker, since)`` of the meters that are not closed."""
        for _, item in self._table.index(OPEN, _METERS):
            org, worker, since = str(item[OPEN.sort_key]).rsplit("#", 2)
            yield org, worker, float(since)

    def move(
        self, meter: Meter, span: PlanPeriod, rates: Rates, billing: Billing, *, closed: bool
    ) -> bool:
        """Charge a worker for ``span`` instead of ``meter.span``, in one transaction.

        The difference is charged in the current billing period (`plans.charged_hours`).

        Returns:
            False if the meter or the billing period has changed meanwhile: nothing was written.
        """
        changes = charged_hours(moved(meter.span, span), billing)
        seconds = sum(changes.values())
        money = dollars(seconds * meter.vcpu, seconds * meter.gb, rates)
        new = meter.moved(span, billing, closed=closed)
        operations = [self._meter_operation(meter, new, span)]
        for hour, more in changes.items():
            add = {"vcpu_s": more * meter.vcpu, "gb_s": more * meter.gb, "version": 1}
            about = {"dirty": 1, "moment": charged_at(hour, billing.started)}
            update = Update(_hour_key(meter.org, hour), add=add, set=about)
            operations.append(self._table.update_operation(update))
        if money:
            where, values = "accrued_from = :period", {":period": billing.period}
            if not billing.period:
                where, values = "attribute_not_exists(accrued_from)", {}
            key = table_keys.org(meter.org)
            update = Update(key, add={"accrued": money}, where=where, values=values)
            operations.append(self._table.update_operation(update))
        return not self._table.try_transact(operations)

    def _meter_operation(self, meter: Meter, new: Meter, span: PlanPeriod) -> Any:
        key = table_keys.meter(meter.org, meter.worker, meter.since)
        facts: dict[str, Value] = {
            "pipeline": meter.pipeline_id,
            "vcpu": meter.vcpu,
            "gb": meter.gb,
            "began": span.began,
            "ended": span.until,
            "period": new.period,
            "settled": new.settled,
        }
        if meter.task is not None:
            facts["task"] = meter.task
        remove: tuple[str, ...] = ()
        if new.closed:
            facts |= {"closed": 1, "expires": int(self._clock()) + REMEMBERED_SECONDS}
            remove = (OPEN.partition_key, OPEN.sort_key)
        else:
            place = f"{meter.org}#{meter.worker}#{meter.since!r}"
            facts |= {OPEN.partition_key: _METERS, OPEN.sort_key: place}
        where, values = NEW, {}
        if meter.span is not None:
            where = "began = :was_began AND ended = :was_ended AND attribute_not_exists(closed)"
            values = {":was_began": meter.span.began, ":was_ended": meter.span.until}
        update = Update(key, set=facts, remove=remove, where=where, values=values)
        return self._table.update_operation(update)

    def hours(self, org: str, start: float, end: float) -> Sequence[HourTotal]:
        """Return the hours of a time that have usage."""
        first, last = int(start) - int(start) % _HOUR, int(end)
        found: list[HourTotal] = []
        for month in _months(start, end) if first <= last else ():
            low, high = table_keys.hour(org, month, first), table_keys.hour(org, month, last)
            for sort, item in self._table.range(low.partition, low.sort, high.sort):
                found.append(_total(int(sort.removeprefix("H#")), item))
        return found

    def sent(self, org: str, total: HourTotal) -> None:
        """Record that an hour was sent, unless it has changed since."""
        where, values = "version = :sent", {":sent": total.version}
        self._table.update_if(
            Update(_hour_key(org, total.hour), remove=("dirty",), where=where, values=values)
        )

    def unsent(self, org: str, hour: int) -> None:
        """Record that an hour has to be sent again."""
        self._table.update(Update(_hour_key(org, hour), set={"dirty": 1}, add={"version": 1}))

    # ---- e-mails ------------------------------------------------------------------------------

    def put_mail(self, mail: WaitingMail) -> None:
        """Store an e-mail, in place of one of the same kind."""
        item: dict[str, Value] = {
            "subject": mail.subject,
            "text": mail.text,
            "tries": mail.tries,
            "due": mail.due,
            "expires": int(self._clock()) + REMEMBERED_SECONDS,
            OPEN.partition_key: _MAILS,
            OPEN.sort_key: f"{mail.org}#{mail.kind}",
        }
        self._table.put(table_keys.mail(mail.org, mail.kind), item)

    def drop_mail(self, mail: WaitingMail) -> None:
        """Delete an e-mail that was sent or given up."""
        self._table.delete(table_keys.mail(mail.org, mail.kind))

    def mails(self) -> Iterator[WaitingMail]:
        """Yield the waiting e-mails of all organisations."""
        for _, place in self._table.index(OPEN, _MAILS):
            org, _, kind = str(place[OPEN.sort_key]).partition("#")
            item = self._table.get(table_keys.mail(org, kind))
            if item is not None:
                texts = (str(item["subject"]), str(item["text"]))
                yield WaitingMail(org, kind, *texts, int(item["tries"]), float(item["due"]))

    # ---- events -------------------------------------------------------------------------------

    def note_event(self, event: HookEvent) -> bool:
        """Store an event; return False if it is known."""
        item: dict[str, Value] = {
            "kind": event.kind,
            "subscription": event.subscription or "",
            "livemode": int(event.livemode),
            "expires": int(self._clock()) + REMEMBERED_SECONDS,
            OPEN.partition_key: _EVENTS,
            OPEN.sort_key: event.id,
        }
        return self._table.put_if(table_keys.hook_event(event.id), item)

    def event_done(self, event_id: str) -> None:
        """Record that an event was processed."""
        remove = (OPEN.partition_key, OPEN.sort_key)
        self._table.update(Update(table_keys.hook_event(event_id), remove=remove))

    def waiting_event(self, event_id: str) -> HookEvent | None:
        """Return an event that was not processed (a consistent read), or None."""
        item = self._table.get(table_keys.hook_event(event_id))
        if item is None or OPEN.partition_key not in item:
            return None
        about = (str(item["kind"]), str(item["subscription"]) or None)
        return HookEvent(event_id, *about, livemode=bool(item["livemode"]))

    def waiting_events(self) -> Sequence[HookEvent]:
        """Return the events that were not processed."""
        ids = [str(item[OPEN.sort_key]) for _, item in self._table.index(OPEN, _EVENTS)]
        return [event for event in map(self.waiting_event, ids) if event is not None]


def _hour_key(org: str, hour: int) -> table_keys.Key:
    return table_keys.hour(org, month_of(hour), hour)


def _months(start: float, end: float) -> list[str]:
    """Return the months of a time, in order."""
    months = [month_of(start)]
    while months[-1] < month_of(end):
        year, month = map(int, months[-1].split("-"))
        following = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
        months.append(month_of(following.timestamp()))
    return months


def _total(hour: int, item: Item) -> HourTotal:
    return HourTotal(
        hour=hour,
        vcpu_seconds=float(item.get("vcpu_s", 0.0)),
        gb_seconds=float(item.get("gb_s", 0.0)),
        version=int(item.get("version", 0)),
        dirty="dirty" in item,
        moment=int(item.get("moment", hour + _HOUR - 1)),  # as the version before sent it
    )


def _meter(org: str, worker: str, since: float, item: Item) -> Meter:
    return Meter(
        org=org,
        worker=worker,
        pipeline_id=str(item["pipeline"]),
        vcpu=float(item["vcpu"]),
        gb=float(item["gb"]),
        since=since,
        span=PlanPeriod(int(item["began"]), int(item["ended"])),
        task=str(item["task"]) if "task" in item else None,
        closed="closed" in item,
        period=float(item.get("period", 0.0)),
        settled=int(item.get("settled", 0)),
    )


_OPTIONAL = ("grace_until", "suspended_at")
_NUMBERS = ("started", "since", "resumed", "period_start", "period_end", "fetched", "warned")


def _account_item(account: PaymentAccount) -> Item:
    item: dict[str, Value] = {
        "customer": account.customer,
        "subscription": account.subscription,
        "email": account.email,
        OPEN.partition_key: _ACCOUNTS,
        OPEN.sort_key: account.org,
        **{name: getattr(account, name) for name in _NUMBERS},
    }
    for name in _OPTIONAL:
        if getattr(account, name) is not None:
            item[name] = getattr(account, name)
    if account.status is not None:
        item["state"] = account.status.value
    if account.rates is not None:
        item |= {"vcpu_rate": account.rates.vcpu, "gb_rate": account.rates.gb}
    return item


def _account(org: str, item: Item) -> PaymentAccount:
    known = PaymentAccount(org=org, customer=str(item["customer"]))
    item = {"started": item.get("since", 0.0), **item}
    present = [name for name in (*_NUMBERS, *_OPTIONAL) if name in item]
    numbers: dict[str, Any] = {name: float(item[name]) for name in present}
    return replace(
        known,
        subscription=str(item["subscription"]),
        email=str(item["email"]),
        status=Status(str(item["state"])) if "state" in item else None,
        rates=Rates(float(item["vcpu_rate"]), float(item["gb_rate"]))
        if "vcpu_rate" in item
        else None,
        **numbers,
    )


@dataclass(frozen=True, slots=True)
class BillingPorts:
    """The ports of an installation with billing."""

    provider: BillingProvider
    records: TableBilling
