"""The schedule of billing: charges running workers, sends usage, applies spend limits.

Every step can be interrupted or lost: the next run repeats it.
"""

import logging
from collections.abc import Callable, Collection, Iterator
from functools import partial

from chalicelib.billing.billing import BillingMail, Subscriptions
from chalicelib.billing.metering import Charging, WorkerTime
from chalicelib.billing.port import BillingUnavailableError, PaymentAccount
from chalicelib.billing.store import BillingPorts
from chalicelib.debug.sessions import DebugSessions
from chalicelib.people.port import Mail, SecretVault
from chalicelib.records import Records
from chalicelib.run.model import Input, SpendLimitReached
from chalicelib.run.processor import CommandProcessor
from chalicelib.run.rules.pipeline import CloudPipeline
from chalicelib.workers.port import WorkerFleet
from conducto_core.billing.rules import Remedies, is_grace_over, warning_level
from conducto_core.command.json_logs import log_fields
from conducto_core.run.model.states import State
from conducto_core.workers.rules.fargate import Size

logger = logging.getLogger(__name__)

#: Minutes between two charges of a running worker.
CHARGE_MINUTES = 5
#: Seconds for which the provider accepts usage of the past.
MAX_AGE = 34 * 86_400.0
_DAY = 86_400.0
_DAY_MINUTES = 1440
#: Seconds after the start of a paid plan in which waiting pipelines are woken.
_STARTED_SECONDS = 180.0
#: Minute of the day at which usage is compared.
_NIGHT = 190
_STOPPED = "STOPPED"


class BillingRun:
    """The periodic steps of billing in all organisations."""

    def __init__(
        self,
        engine: CommandProcessor,
        shells: DebugSessions,
        charging: Charging,
        ports: BillingPorts,
        *,
        records: Records,
        fleet: WorkerFleet,
        vault: SecretVault,
        mail: Mail,
        remedies: Callable[[], Remedies],
        clock: Callable[[], float],
    ) -> None:
        self._engine, self._shells, self._charging = engine, shells, charging
        self._records, self._fleet = records, fleet
        self._remedies, self._clock = remedies, clock
        self._provider = ports.provider
        self._accounts = ports.records
        self._mail = BillingMail(vault, mail, clock, ports.records)
        self.subscriptions = Subscriptions(records, vault, mail, clock, engine.slots, ports=ports)

    def minute(self) -> None:
        """Execute the steps of a minute; one failure does not affect the others."""
        self.process_events()
        self._try(self._mail.send_due)
        if int(self._now // 60) % CHARGE_MINUTES == 0:
            self._try(self.charge)
        if int(self._now // 60) % _DAY_MINUTES == _NIGHT:
            self.day()
        for org in self._accounts.accounts():
            with log_fields(org=org):
                self._try(partial(self.look_at, org))

    def process_event(self, event_id: str) -> None:
        """Process an event that was just stored, unless it is processed already."""
        event = self._accounts.waiting_event(event_id)
        if event is not None:
            self._try(partial(self.subscriptions.process, event))

    def process_events(self) -> None:
        """Process the events that were received and not yet processed."""
        for event in self._accounts.waiting_events():
            self._try(partial(self.subscriptions.process, event))

    def day(self) -> None:
        """Compare the usage that the provider has received with that of the table."""
        for org in self._accounts.accounts():
            with log_fields(org=org):
                self._try(partial(self.reconcile, org))

    @property
    def _now(self) -> float:
        return self._clock()

    def _try(self, step: Callable[[], None]) -> bool:
        """Execute a step; return whether it succeeded."""
        try:
            step()
        except BillingUnavailableError as error:
            logger.warning("billing waits for the provider: %s", error)
        except Exception:
            # One failure must not affect the others; the next run retries.
            logger.exception("a step of billing failed")
        else:
            return True
        return False

    # ---- usage --------------------------------------------------------------------------------

    def charge(self) -> None:
        """Charge all running workers of paying organisations, and those that have ended."""
        alive: set[str] = set()
        for pipeline_id, shell in self._records.shells.all_open():
            alive.add(shell)
            self._try(partial(self._shells.charge, pipeline_id, shell))
        unread = {
            pipeline_id
            for org, pipeline_id in self._records.store.open_pipelines()
            if not self._try(partial(self._charge_pipeline, org, pipeline_id, alive))
        }
        for org, worker, since in self._accounts.open_meters():
            if worker not in alive:
                self._try(partial(self._end, org, worker, since, unread))

    def _charge_pipeline(self, org: str, pipeline_id: str, alive: set[str]) -> None:
        """Charge a pipeline's running workers; add all that have not ended to ``alive``."""
        if not self._records.orgs.in_use(org).paying:
            return
        with self._engine.reading(org, pipeline_id) as live:
            times = list(_running(live, self._now))
            alive |= {*live.registry.workers, *live.registry.ended}
        for time in times:
            self._charging.observe(org, time)

    def _end(self, org: str, worker: str, since: float, unread: Collection[str]) -> None:
        """Close the meter of a worker whose end was not recorded, unless its pipeline is unread."""
        meter = self._accounts.meter(org, worker, since)
        if meter is not None and meter.pipeline_id in unread:
            return
        look = None if meter is None or not meter.task else self._fleet.task_status(meter.task)
        if meter is None or look is None or look.began is None:
            self._charging.close(org, worker, since)  # ECS no longer knows it
        elif look.status == _STOPPED:
            size, end = Size(meter.vcpu, meter.gb), look.ended or self._now
            span = (look.began, end)
            time = WorkerTime(worker, meter.pipeline_id, size, *span, meter.task, ended=True)
            self._charging.observe(org, time)

    def look_at(self, org: str) -> None:
        """Check one organisation: its subscription, unsent usage, and its spend limit."""
        account = self._accounts.account(org)
        if account is None:
            return
        due = account.period_end and self._now >= account.period_end
        if (due and account.fetched < account.period_end) or self._now - account.fetched > _DAY:
            self.subscriptions.refresh(org)
            account = self._accounts.account(org) or account
        if 0 <= self._now - account.since < _STARTED_SECONDS:  # the paid plan may just have started
            self._engine.slots.resume(org)
        self._apply_limit(account)
        self._send(account)

    def send(self, org: str) -> None:
        """Send the hours that have changed; a repeated total changes nothing."""
        account = self._accounts.account(org)
        if account is not None:
            self._send(account)

    def _send(self, account: PaymentAccount) -> None:
        if not account.subscription:
            return
        for total in self._accounts.hours(account.org, self._now - MAX_AGE, self._now):
            if total.dirty and total.vcpu_seconds >= 0:  # a correction waits for further usage
                usage = (total.vcpu_seconds, total.gb_seconds)
                self._provider.report(account.customer, total.moment, *usage)
                self._accounts.sent(account.org, total)

    def reconcile(self, org: str) -> None:
        """Send the hours again that the provider does not have as the table has them."""
        account = self._accounts.account(org)
        if account is None or not account.subscription:
            return
        start, end = int(self._now - MAX_AGE), int(self._now)
        received = self._provider.totals(account.customer, start - start % 3600, end)
        for total in self._accounts.hours(org, start, end):
            usage = (total.vcpu_seconds, total.gb_seconds)
            if not total.dirty and received.get(total.hour) != usage:
                logger.warning("usage of an hour is sent again", extra={"hour": total.hour})
                self._accounts.unsent(org, total.hour)
        self._send(account)

    # ---- spend limit --------------------------------------------------------------------------

    def _apply_limit(self, account: PaymentAccount) -> None:
        used = self._records.orgs.in_use(account.org)
        limit = used.billing.limit if used.paying else None
        level = warning_level(used.accrued, limit)
        if limit is not None and level > account.warned:
            self._warn(account, used.accrued, limit)
        before = account.suspended_at
        since = (self._now if before is None else before) if level == 1 else None
        if (level, since) != (account.warned, before):
            self._accounts.record_steps(account.org, warned=level, suspended_at=since)
        if before is not None and since is None:
            self._engine.slots.resume(account.org)
        if since is not None and is_grace_over(used.billing, since, self._now):
            self._kill(account.org)

    def _warn(self, account: PaymentAccount, accrued: float, limit: float) -> None:
        share = "reached" if accrued >= limit else "at 80 %"
        remedy = self._remedies().higher_limit()
        text = (
            f"{account.org} has used ${accrued:,.2f} of its spend limit of ${limit:,.2f} in this "
            "billing period. At the limit, no further worker starts, and running commands are "
            f"killed after the grace period. To continue, {remedy}."
        )
        subject = f"Conducto: the spend limit of {account.org} is {share}"
        self._mail.send(account, "limit", subject, text)

    def _kill(self, org: str) -> None:
        """Stop the commands that run on after the grace period, and debug shells."""
        for of, pipeline_id in self._records.store.open_pipelines():
            if of == org:
                self._engine.submit(org, pipeline_id, self._reached)
                self._shells.end_all(pipeline_id, "the spend limit is reached")

    def _reached(self, live: CloudPipeline) -> Input | None:
        running = any(
            node.state is State.RUNNING and node.stop_reason is None
            for node in live.tree.in_flight(live.tree.root)
        )
        return SpendLimitReached(time=self._now) if running else None


def _running(live: CloudPipeline, now: float) -> Iterator[WorkerTime]:
    for worker in live.registry.workers.values():
        if worker.up is not None:
            size = live.pools[worker.pool].size
            yield WorkerTime(worker.id, live.id, size, worker.up, now, worker.task)
