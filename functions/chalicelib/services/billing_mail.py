"""E-mails to billing contacts: stored first, and tried again for days.

A mail server may be offline for hours, or reject mails until somebody corrects its password.
"""

import logging
from dataclasses import replace

from chalicelib.ports.billing import Account, BillingRecords, WaitingMail
from chalicelib.services.dependencies import Dependencies
from chalicelib.services.secret_injection import smtp_password
from conducto.integrations.http import DeliveryError
from conducto_core.semantics.plans import mail_delay

logger = logging.getLogger(__name__)


class BillingMail:
    """Sends e-mails about billing."""

    def __init__(self, cloud: Dependencies, records: BillingRecords) -> None:
        self._cloud = cloud
        self._records = records

    def send(self, account: Account, kind: str, subject: str, text: str) -> None:
        """Send an e-mail, now or later; it replaces a waiting one of its kind."""
        mail = WaitingMail(account.org, kind, subject, text, due=self._cloud.clock())
        self._records.put_mail(mail)
        self._try(mail)

    def send_due(self) -> None:
        """Try the waiting e-mails whose time has come."""
        for mail in self._records.mails():
            if mail.due <= self._cloud.clock():
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
        password = smtp_password(self._cloud.vault, mail.org)
        return self._cloud.mail(account.email, mail.subject, mail.text, password)

    def _postpone(self, mail: WaitingMail, about: dict[str, str]) -> None:
        delay = mail_delay(mail.tries + 1)
        if delay is None:
            logger.error("a billing e-mail is given up", extra=about)
            self._records.drop_mail(mail)
            return
        logger.warning("a billing e-mail was not sent", extra={**about, "again_in": delay})
        due = self._cloud.clock() + delay
        self._records.put_mail(replace(mail, tries=mail.tries + 1, due=due))
