"""Subscriptions of organisations: fetched from the payment provider, which alone decides.

An event, a schedule and a request all do the same: they fetch the subscription and write it, unless
one that was fetched later is stored. Any order and repetition of events ends in the same state.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from time import gmtime, strftime

from chalicelib.billing.port import (
    USAGE_REFUSED,
    HookEvent,
    PaymentAccount,
    Subscription,
    WaitingMail,
    rates_of,
)
from chalicelib.billing.store import BillingPorts, TableBilling
from chalicelib.people import audit
from chalicelib.people.port import Mail, SecretVault
from chalicelib.records import Records
from chalicelib.secrets.injection import smtp_password
from chalicelib.workers.slots import Slots
from conducto.integrations.http import DeliveryError
from conducto_core.billing.rules import LIVE, dollars, grace_until, is_paying, mail_delay, paid_from
from conducto_core.people.model import AuditEntry

# ----------------------------------------------------------------------------------------
# E-mails to billing contacts: stored first, and tried again for days.
#
# A mail server may be offline for hours, or reject mails until somebody corrects its password.


logger = logging.getLogger(__name__)


class BillingMail:
    """Sends e-mails about billing."""

    def __init__(
        self, vault: SecretVault, mail: Mail, clock: Callable[[], float], records: TableBilling
    ) -> None:
        self._vault = vault
        self._mail = mail
        self._clock = clock
        self._records = records

    def send(self, account: PaymentAccount, kind: str, subject: str, text: str) -> None:
        """Send an e-mail, now or later; it replaces a waiting one of its kind."""
        mail = WaitingMail(account.org, kind, subject, text, due=self._clock())
        self._records.put_mail(mail)
        self._try(mail)

    def send_due(self) -> None:
        """Try the waiting e-mails whose time has come."""
        for mail in self._records.mails():
            if mail.due <= self._clock():
                self._try(mail)

    def _try(self, mail: WaitingMail) -> None:
        about = {"org": mail.org, "kind": mail.kind}
        try:
            sent = self._deliver(mail)
        except Exception as error:  # noqa: BLE001  any of them is tried again
            why = str(error) if isinstance(error, DeliveryError) else repr(error)
            self._postpone(mail, {**about, "why": why})
            return
        if not sent:
            logger.warning("a billing e-mail has no mail server or no recipient", extra=about)
        self._records.drop_mail(mail)

    def _deliver(self, mail: WaitingMail) -> bool:
        account = self._records.account(mail.org)
        if account is None:
            return False
        password = smtp_password(self._vault, mail.org)
        return self._mail(account.email, mail.subject, mail.text, password)

    def _postpone(self, mail: WaitingMail, about: dict[str, str]) -> None:
        delay = mail_delay(mail.tries + 1)
        if delay is None:
            logger.error("a billing e-mail is given up", extra=about)
            self._records.drop_mail(mail)
            return
        logger.warning("a billing e-mail was not sent", extra={**about, "again_in": delay})
        due = self._clock() + delay
        self._records.put_mail(replace(mail, tries=mail.tries + 1, due=due))


#: Message about usage that the provider refused; the stack of monitoring counts it.
REFUSED = "the payment provider refused usage"


class Subscriptions:
    """Keeps the subscriptions of organisations up to date."""

    def __init__(
        self,
        records: Records,
        vault: SecretVault,
        mail: Mail,
        clock: Callable[[], float],
        slots: Slots,
        *,
        ports: BillingPorts,
    ) -> None:
        self._records = records
        self._clock = clock
        self._slots = slots
        self._provider = ports.provider
        self._accounts = ports.records
        self._mails = BillingMail(vault, mail, clock, ports.records)

    def process(self, event: HookEvent) -> None:
        """Fetch the subscription that an event names, and write it; raises as the provider."""
        if event.livemode != self._provider.livemode:
            logger.warning("a billing event of the other mode", extra={"event": event.id})
        elif event.kind in USAGE_REFUSED:
            self._report_refused(event)
        elif event.subscription is not None:
            fetched = self._clock()
            found = self._provider.subscription(event.subscription)
            if found is not None:
                self._adopt(found, fetched)
        self._accounts.event_done(event.id)

    def _report_refused(self, event: HookEvent) -> None:
        """Log usage that the provider refused, and add it to the audit logs of organisations."""
        try:
            refused = self._provider.refused_usage(event.id)
        except Exception:
            logger.exception(REFUSED, extra={"event": event.id})
            raise
        named = {org: self._accounts.account(org) for org in self._accounts.accounts()}
        orgs = [
            org for org, known in named.items() if known and known.customer in refused.customers
        ]
        about = {"event": event.id, "reasons": dict(refused.reasons), "orgs": sorted(orgs)}
        logger.error(REFUSED, extra=about)
        for org in orgs:
            entry = AuditEntry(
                time=self._clock(),
                user="billing",
                token="",
                operation="report_usage",
                subject=", ".join(sorted(refused.reasons)),
                status=HTTPStatus.BAD_REQUEST,
                request=event.id,
            )
            audit.record(self._records.audit, org, entry)

    def refresh(self, org: str) -> None:
        """Fetch an organisation's latest subscription, and write it; raises as the provider."""
        account = self._accounts.account(org)
        if account is None:
            return
        fetched = self._clock()
        found = self._provider.newest(account.customer)
        if found is not None:
            self._adopt(found, fetched)

    def _adopt(self, found: Subscription, fetched: float) -> None:
        account = self._accounts.account(found.org) if found.org else None
        if account is None or account.customer != found.customer:
            logger.warning(
                "a subscription of another installation", extra={"subscription": found.id}
            )
            return
        if self._is_outdated(account, found) or self._is_second(account, found):
            return
        same = account.subscription == found.id
        paid = same and is_paying(account.gate, fetched)
        if not same:
            account = self._started(account, found, fetched)
        new_period = found.period_start != account.period_start
        new = replace(
            account,
            subscription=found.id,
            status=found.status,
            period_start=found.period_start,
            period_end=found.period_end,
            grace_until=grace_until(found.status, account.grace_until, fetched),
            fetched=fetched,
            rates=found.rates or account.rates,
            email=found.email or account.email,
            warned=0.0 if new_period else account.warned,
            suspended_at=None if new_period else account.suspended_at,
        )
        if same and not paid and is_paying(new.gate, fetched):
            new = replace(new, resumed=fetched)  # the free plan until now is not charged
        if self._accounts.put_account(new):
            self._apply(new)
            if new.grace_until is not None and account.grace_until is None:
                self._warn(new, new.grace_until)

    def _is_outdated(self, account: PaymentAccount, found: Subscription) -> bool:
        """Return whether a subscription ended before the organisation's current one began."""
        over = found.status not in LIVE
        other = account.subscription not in ("", found.id)
        return other and over and found.since < account.started

    def _started(
        self, account: PaymentAccount, found: Subscription, fetched: float
    ) -> PaymentAccount:
        """Return an account with the start of another subscription and of its paid plan.

        The first hour of the last period may start later, and have usage already.
        """
        last = max(fetched, account.first_hour)
        hours = self._accounts.hours(account.org, found.since, last)
        since = paid_from(found.since, fetched, (total.hour for total in hours))
        return replace(account, started=found.since, since=since, resumed=0.0)

    def _is_second(self, account: PaymentAccount, found: Subscription) -> bool:
        """Return whether another subscription is in force; a second live one is cancelled.

        Two pages that were opened at the same time can both be paid.
        """
        if account.subscription in ("", found.id):
            return False
        current = self._provider.subscription(account.subscription)
        if current is None or current.status not in LIVE:
            return False
        if found.status in LIVE:
            logger.warning("a second subscription is cancelled", extra={"subscription": found.id})
            self._provider.cancel(found.id)
            self._mails.send(
                account,
                "second",
                f"Conducto: a second subscription of {account.org} was cancelled",
                f"{account.org} was subscribed twice. The second subscription was cancelled and "
                "charges nothing; the first one continues ('conducto billing show').",
            )
        return True

    def _apply(self, account: PaymentAccount) -> None:
        """Write what gates workers, then let waiting pipelines launch some."""
        self._records.orgs.set_billing(
            account.org, account.gate, self.accrued(account), fetched=account.fetched
        )
        self._slots.resume(account.org)

    def _warn(self, account: PaymentAccount, end: float) -> None:
        day = strftime("%d %B %Y", gmtime(end))
        text = (
            f"A payment for {account.org} failed. The organisation keeps its plan until {day}; "
            "after that, it falls back to the free plan. No running command is killed. To update "
            "the payment method, run 'conducto billing portal', or open the page Plan."
        )
        self._mails.send(account, "payment", f"Conducto: a payment for {account.org} failed", text)

    def accrued(self, account: PaymentAccount) -> float:
        """Return the dollars of the current billing period, from the charged hours."""
        hours = self._accounts.hours(
            account.org, account.first_hour, max(account.first_hour, self._clock())
        )
        vcpu = sum(hour.vcpu_seconds for hour in hours)
        gb = sum(hour.gb_seconds for hour in hours)
        return dollars(vcpu, gb, rates_of(account))
