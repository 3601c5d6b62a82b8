"""Notifications of callbacks: sent by the schedule that runs every minute, until delivered.

A notification is committed in one transaction with the state that it reports, so it cannot be lost.
Before sending, a sender leases the notifications of an entry. If it dies, its lease expires, and
notifications of the last seconds may arrive twice (a repeated mail has the same Message-ID; GitHub
keeps one status per name). For each node and callback, notifications are sent in order, so that the
last one is the current one.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from secrets import token_hex

from chalicelib.errors import ConflictError
from chalicelib.notifications.checks import CheckRuns
from chalicelib.people.port import SecretVault
from chalicelib.people.suspension import Suspensions
from chalicelib.records import Records
from chalicelib.run.port import Outgoing
from chalicelib.run.store import all_records
from chalicelib.secrets.injection import inject as secrets_of
from chalicelib.triggers.tokens import GitPorts
from conducto.integrations.http import DeliveryError, TokenDeliveryError
from conducto_core.api.pipelines import Pipelines
from conducto_core.command.masking import Mask
from conducto_core.diagnosis.model import DiagnosisParams
from conducto_core.notifications.channels import COMMIT_CALLBACKS, Send, Settings, deliver
from conducto_core.notifications.messages import (
    DeliveryResult,
    RuleLookup,
    after_try,
    dropped,
    message_of,
    needs_diagnosis,
    with_diagnosis,
)
from conducto_core.notifications.model import DeliveryState, NotificationRecord, NotificationRule
from conducto_core.run.model.records import GitOrigin, PipelineRecord
from conducto_core.triggers.provider_api import settings_of
from conducto_core.triggers.rules.providers import GIT_APIS

logger = logging.getLogger(__name__)

#: Lease in seconds: longer than the slowest service takes to fail.
LEASE = 120.0
#: Seconds between writes of the delivery status, which also renew the lease: one write per
#: notification would rewrite the whole entry each time.
NOTED_EVERY = 15.0
#: Seconds after which a run starts no further delivery; the next run continues.
RUN_SECONDS = 45.0

_Kind = tuple[str, str]


@dataclass(slots=True)
class _Round:
    """A check of one pipeline's notifications.

    Attributes:
        until: When to stop starting deliveries.
        no_token: Why a trigger's provider gives no token for the status of the commit.
        waiting: ``(node, callback)`` of pending notifications: later ones of the same kind wait.
        tries: Number of delivery attempts.
    """

    org: str
    record: PipelineRecord
    settings: Settings
    secrets: Mapping[str, str] = field(repr=False)
    until: float
    lookup: RuleLookup
    no_token: DeliveryError | None = None
    waiting: set[_Kind] = field(default_factory=set)
    tries: int = 0

    @property
    def pipeline_id(self) -> str:
        return self.record.id

    def mask(self) -> Mask:
        """Return a mask that hides secrets in the responses of services."""
        return Mask(self.secrets.values())


class NotificationSender:
    """Sends due notifications; ``settings.owner`` is replaced for each pipeline.

    Args:
        diagnoses: Returns an organisation's pipelines.
    """

    def __init__(
        self,
        records: Records,
        git: GitPorts,
        vault: SecretVault,
        web_app: Callable[[], str],
        clock: Callable[[], float],
        *,
        diagnoses: Callable[[str], Pipelines],
        settings: Settings,
        send: Send = deliver,
    ) -> None:
        self._records = records
        self._git = git
        self._vault = vault
        self._web_app = web_app
        self._clock = clock
        self._diagnoses = diagnoses
        self._settings = settings
        self._send = send
        self._checks = CheckRuns(records, git, diagnoses)

    def run(self, seconds: float = RUN_SECONDS) -> int:
        """Send due notifications for up to ``seconds``; return the number of attempts."""
        until = self._now + seconds
        tries = 0
        for org, pipeline_id in self._records.store.outgoing_due(self._now):
            if self._now >= until:
                break
            try:
                tries += self._look_at(org, pipeline_id, until)
            except Exception:
                # One failure must not affect other pipelines.
                logger.exception("notifications were not sent", extra={"pipeline": pipeline_id})
        return tries

    @property
    def _now(self) -> float:
        return self._clock()

    def _look_at(self, org: str, pipeline_id: str, until: float) -> int:
        record = self._records.store.record(org, pipeline_id)
        if record is None:
            return 0
        owner = record.owner if "@" in record.owner else None
        settings = replace(self._settings, owner=owner)
        secrets = secrets_of(self._vault, org, _sender(record)).env
        no_token = None
        if record.git is not None:
            try:
                settings, secrets = self._of_trigger(org, record.git, settings, secrets)
            except DeliveryError as error:
                no_token = error
        lookup = self._lookup(org, pipeline_id)
        round_ = _Round(org, record, settings, secrets, until, lookup, no_token)
        for outgoing in self._records.store.outgoing(pipeline_id):
            if outgoing.due is not None:
                left = self._carry(round_, outgoing) if outgoing.due <= self._now else outgoing
                round_.waiting |= {_kind(notification) for notification in _pending(left)}
        return round_.tries

    def _of_trigger(
        self, org: str, git: GitOrigin, settings: Settings, secrets: Mapping[str, str]
    ) -> tuple[Settings, Mapping[str, str]]:
        """Return the settings and secrets with the API and the token of a pipeline's trigger."""
        trigger = self._records.triggers.get(org, git.trigger)
        if trigger is None:
            return settings, secrets
        token = self._git.tokens.of_trigger(org, trigger)
        api = GIT_APIS.get(trigger.provider)
        own = {} if token is None or api is None else {api.token_secret: token}
        return settings_of(trigger, settings), {**secrets, **own}

    def _lookup(self, org: str, pipeline_id: str) -> RuleLookup:
        store = self._records.store
        return RuleLookup(
            rules=OrgRules(self._records, org).all,
            records=lambda: all_records(store, org),
            notifications=lambda: (
                each for entry in store.outgoing(pipeline_id) for each in entry.notifications
            ),
            web_app=self._web_app(),
        )

    def _carry(self, round_: _Round, outgoing: Outgoing) -> Outgoing:
        """Send the notifications of one entry and return their new status."""
        found = outgoing
        waiting = set(round_.waiting)
        delays = [0.0]
        noted = float("-inf")
        try:
            for notification in _pending(found):
                if _kind(notification) in waiting:
                    continue
                if self._now >= round_.until:
                    delays = [0.0]  # the next run continues immediately
                    break
                if self._now - noted >= NOTED_EVERY:
                    outgoing = self._write(round_, outgoing, self._now + LEASE)
                    noted = self._now
                tried = self._try(round_, notification)
                outgoing = _with(outgoing, tried.notification)
                if tried.delay is not None:
                    waiting.add(_kind(notification))
                    delays.append(tried.delay)
            return self._settle(round_, found, outgoing, max(delays))
        except ConflictError:
            # Another process sends them: it was faster, or a lease expired.
            logger.info(
                "another process sends the notifications", extra={"pipeline": round_.pipeline_id}
            )
            return outgoing

    def _settle(
        self, round_: _Round, found: Outgoing, outgoing: Outgoing, delay: float
    ) -> Outgoing:
        if outgoing is found:
            return found
        pending = next(_pending(outgoing), None)
        return self._write(round_, outgoing, None if pending is None else self._now + delay)

    def _write(self, round_: _Round, outgoing: Outgoing, due: float | None) -> Outgoing:
        new = replace(outgoing, version=outgoing.version + 1, due=due)
        self._records.store.put_outgoing(round_.org, round_.pipeline_id, new)
        return new

    def _try(self, round_: _Round, notification: NotificationRecord) -> DeliveryResult:
        round_.tries += 1
        error = None
        try:
            message = message_of(notification, round_.record, round_.lookup)
            if message is None:
                return dropped(notification, self._now)
            if needs_diagnosis(notification, message):
                message = self._diagnosed(round_, message)
            self._deliver(round_, message)
        except DeliveryError as refused:
            text = round_.mask().text(str(refused))
            error = DeliveryError(text, temporary=refused.temporary, after=refused.after)
        except Exception as strange:  # noqa: BLE001
            # An unexpected address or response affects this notification only. Log no traceback:
            # the response of a service may contain a secret.
            error = DeliveryError(round_.mask().text(f"sending failed: {strange!r}"))
        return after_try(round_.pipeline_id, notification, error, self._now)

    def _diagnosed(self, round_: _Round, message: NotificationRecord) -> NotificationRecord:
        """Return a message with its diagnosis; without it if there is none."""
        try:
            query = DiagnosisParams(id=round_.pipeline_id, root=message.about)
            found = asyncio.run(self._diagnoses(round_.org).get_diagnosis(query))
            return with_diagnosis(message, found, token_hex(4), round_.mask())
        except Exception:
            about = {"pipeline": round_.pipeline_id}
            logger.exception("a notification has no diagnosis", extra=about)
            return message

    def _deliver(self, round_: _Round, message: NotificationRecord) -> None:
        git = round_.record.git if message.callback in COMMIT_CALLBACKS else None
        if git is not None and round_.no_token is not None:
            raise round_.no_token
        if git is not None and self._checks.report(
            round_.org, round_.record, message, round_.mask()
        ):
            return
        try:
            self._send(round_.pipeline_id, message, round_.settings, round_.secrets)
        except TokenDeliveryError:
            if git is None or not self._has_new_token(round_, git):
                raise
            self._send(round_.pipeline_id, message, round_.settings, round_.secrets)

    def _has_new_token(self, round_: _Round, git: GitOrigin) -> bool:
        """Get a new token of the GitHub App, and return True; return False without an App."""
        trigger = self._records.triggers.get(round_.org, git.trigger)
        if trigger is None or not trigger.app:
            return False
        self._git.tokens.forget(round_.org, trigger.repository)
        found = self._of_trigger(round_.org, git, round_.settings, round_.secrets)
        round_.settings, round_.secrets = found
        return True


def _pending(outgoing: Outgoing) -> Iterator[NotificationRecord]:
    return (n for n in outgoing.notifications if n.delivery is DeliveryState.PENDING)


def _kind(notification: NotificationRecord) -> _Kind:
    rule = str(notification.arguments.get("rule", ""))
    return notification.about, notification.callback + rule


def _sender(record: PipelineRecord) -> str | None:
    """Return the user whose secrets send the notifications; commands do not get them."""
    return record.owner if record.foreign_change is None else None


class OrgRules:
    """The rules of one organisation: a `conducto_core.notifications.handlers.RuleStore`.

    Args:
        org: The organisation.
        user: The owner of the rules that are stored.
    """

    def __init__(self, records: Records, org: str, user: str | None = None) -> None:
        self._records = records
        self._rules = records.rules
        self._org = org
        self._user = user

    def all(self) -> Sequence[NotificationRule]:
        return Suspensions(self._records, self._org).marked(self._rules.list_by_name(self._org))

    def put(self, rule: NotificationRule) -> None:
        self._rules.put(self._org, rule.model_copy(update={"owner": self._user}))

    def delete(self, name: str) -> bool:
        return self._rules.delete(self._org, name)


def _with(outgoing: Outgoing, notification: NotificationRecord) -> Outgoing:
    new = tuple(
        notification if n.number == notification.number else n for n in outgoing.notifications
    )
    return replace(outgoing, notifications=new)
