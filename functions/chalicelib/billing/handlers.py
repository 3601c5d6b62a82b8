"""The operations on the subscription of the caller's organisation."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from time import gmtime, strftime

from chalicelib.api.caller import CloudCaller
from chalicelib.billing.billing import Subscriptions
from chalicelib.billing.metering import cost, customer_rates, month_of
from chalicelib.billing.port import (
    BillingUnavailableError,
    HourTotal,
    Meter,
    PaymentAccount,
    rates_of,
)
from chalicelib.billing.store import BillingPorts
from chalicelib.errors import Timing
from chalicelib.installation import Installation
from chalicelib.people.port import Identity, Mail, SecretVault
from chalicelib.records import Records
from chalicelib.workers.slots import Slots
from conducto_core.api.serve import serves
from conducto_core.billing import operations as billing_operations
from conducto_core.billing.handlers import (
    dearest,
    is_requested,
    months_before,
    usage_report,
    uses_by_node,
    with_nodes,
    with_prices,
)
from conducto_core.billing.model import (
    MAX_BILLED,
    MAX_USAGE_PIPELINES,
    BillingPage,
    BillingStatus,
    ChargeParts,
    CostParams,
    DayCharge,
    Invoice,
    PipelineCharge,
    PipelineCost,
    PipelineSpent,
    PlanOffer,
    SpendLimit,
    Usage,
    UsageParams,
)
from conducto_core.billing.rules import (
    LIVE,
    PLAN_PAGE,
    SCALE,
    BillingPlan,
    Rates,
    dollars,
    parts_of,
    period_before,
)
from conducto_core.errors import NotFoundError, RefusedError

logger = logging.getLogger(__name__)

#: Share of the billing period after which a forecast is made.
_FORECAST_SHARE = 0.03


class CloudBilling:
    """The subscription of one organisation, with the permissions of one caller."""

    def __init__(
        self,
        me: Identity,
        slots: Slots,
        billing: BillingPorts | None,
        *,
        records: Records,
        vault: SecretVault,
        mail: Mail,
        installation: Installation,
        timing: Timing,
    ) -> None:
        self._me, self._slots, self._billing = me, slots, billing
        self._records, self._vault, self._mail = records, vault, mail
        self._installation, self._timing = installation, timing

    @serves(billing_operations.GET_BILLING)
    async def get_billing(self) -> BillingStatus:
        """Return the plan, the usage and the spend limit."""
        return await asyncio.to_thread(self._status)

    @serves(billing_operations.CHECKOUT)
    async def start_checkout(self) -> BillingPage:
        """Return the page on which the organisation subscribes."""
        return await asyncio.to_thread(self._checkout)

    @serves(billing_operations.PORTAL)
    async def open_billing_portal(self) -> BillingPage:
        """Return the page with invoices and payment methods."""
        return await asyncio.to_thread(self._portal)

    @serves(billing_operations.SET_LIMIT)
    async def set_spend_limit(self, limit: SpendLimit) -> BillingStatus:
        """Set the maximum dollars of a billing period; it takes effect immediately."""
        return await asyncio.to_thread(self._set_limit, limit)

    def _ports(self) -> BillingPorts:
        if self._billing is None:
            raise NotFoundError(
                "this installation has no billing; an administrator sets plans with "
                "'conducto admin set-plan'"
            )
        return self._billing

    def _checkout(self) -> BillingPage:
        ports = self._ports()
        account = ports.records.account(self._me.org)
        if account is None:
            account = PaymentAccount(self._me.org, ports.provider.new_customer(self._me.org))
            ports.records.put_account(account)
        # The end of a subscription is known before another one begins.
        Subscriptions(
            self._records,
            self._vault,
            self._mail,
            self._timing.clock,
            self._slots,
            ports=ports,
        ).refresh(self._me.org)
        status = self._records.orgs.in_use(self._me.org).billing.status
        if status in LIVE:
            raise RefusedError(
                f"{self._me.org} has a subscription already ({status.value}); change it with "
                "'conducto billing portal'"
            )
        url = ports.provider.checkout(self._me.org, account.customer, self._back())
        return BillingPage(url=url)

    def _portal(self) -> BillingPage:
        ports = self._ports()
        account = ports.records.account(self._me.org)
        if account is None:
            raise RefusedError(
                f"{self._me.org} has no subscription; enable billing with 'conducto billing enable'"
            )
        return BillingPage(url=ports.provider.portal(account.customer, self._back()))

    def _back(self) -> str:
        """Return the page to which the provider returns: never from the request."""
        app = self._installation.web_app()
        if not app:
            raise RefusedError("this installation has no web app; deploy its stack 'site' first")
        return f"{app.rstrip('/')}{PLAN_PAGE}"

    def _set_limit(self, limit: SpendLimit) -> BillingStatus:
        self._ports()
        self._records.orgs.set_limit(self._me.org, limit.dollars, limit.grace_minutes)
        self._slots.resume(self._me.org)
        return self._status()

    def _status(self) -> BillingStatus:
        ports, org, now = self._ports(), self._me.org, self._timing.clock()
        used = self._records.orgs.in_use(org)
        account = ports.records.account(org)
        rates = rates_of(account)
        start = end = None
        days: tuple[DayCharge, ...] = ()
        charges: list[PipelineCharge] = []
        previous, parts = None, None
        if account is not None and account.subscription:
            start, end = account.period_start, account.period_end
            first = account.first_hour
            days = tuple(_days(ports.records.hours(org, first, max(first, now)), rates))
            charges = _by_pipeline(ports.records.meters(org), first, rates)
            parts = self._parts(charges, rates, first)
            earlier = list(_days(ports.records.hours(org, period_before(first), first - 1), rates))
            previous = sum(day.dollars for day in earlier) if earlier else None
        minutes = self._records.orgs.usage(org, month_of(now)).get("exec_seconds", 0.0) / 60
        return BillingStatus(
            plan=used.plan.name,
            max_workers=used.plan.max_workers,
            exec_minutes=used.plan.exec_minutes,
            used_minutes=minutes,
            workers=used.workers,
            status=None if used.billing.status is None else used.billing.status.value,
            paying=used.paying,
            suspended=used.suspended,
            starts=used.billing.since if used.billing.since > now else None,
            grace_until=used.billing.grace_until,
            period_start=start,
            period_end=end,
            accrued=used.accrued,
            forecast=_forecast(used.accrued, start, end, now),
            limit=used.billing.limit,
            grace_minutes=used.billing.grace_minutes,
            vcpu_hour=rates.vcpu,
            gb_hour=rates.gb,
            days=days,
            pipelines=tuple(map(self._titled, charges[:MAX_BILLED])),
            more_pipelines=len(charges[MAX_BILLED:]),
            more_dollars=sum(charge.dollars for charge in charges[MAX_BILLED:]),
            previous=previous,
            parts=parts,
            email="" if account is None else account.email,
            invoices=() if account is None else _invoices(ports, account),
            plans=(_offer(used.base), _offer(SCALE)),
        )

    def _parts(self, charges: Sequence[PipelineCharge], rates: Rates, since: float) -> ChargeParts:
        """Return the use of the charged time, by the commands of the most expensive pipelines."""
        store, now = self._records.store, self._timing.clock()
        known = [
            one.id for one in charges[:MAX_USAGE_PIPELINES] if store.record(self._me.org, one.id)
        ]
        attempts = {id_: store.attempts(id_) for id_ in known}
        return parts_of({one.id: one.dollars for one in charges}, attempts, rates, since, now)

    def _titled(self, charge: PipelineCharge) -> PipelineCharge:
        record = self._records.store.record(self._me.org, charge.id)
        return charge if record is None else charge.model_copy(update={"title": record.title})


def _invoices(ports: BillingPorts, account: PaymentAccount) -> tuple[Invoice, ...] | None:
    try:
        return tuple(ports.provider.invoices(account.customer))
    except BillingUnavailableError:
        logger.warning("invoices are not available", exc_info=True)
        return None


def _offer(plan: BillingPlan) -> PlanOffer:
    names = PlanOffer.model_fields
    return PlanOffer(**{name: getattr(plan, name) for name in names})


def _days(hours: Iterable[HourTotal], rates: Rates) -> Iterator[DayCharge]:
    for day, each in groupby(hours, lambda total: strftime("%Y-%m-%d", gmtime(total.hour))):
        totals = list(each)
        vcpu = sum(total.vcpu_seconds for total in totals)
        gb = sum(total.gb_seconds for total in totals)
        yield DayCharge(day=day, vcpu_seconds=vcpu, gb_seconds=gb, dollars=dollars(vcpu, gb, rates))


def _by_pipeline(meters: Iterable[Meter], period: float, rates: Rates) -> list[PipelineCharge]:
    """Return the charges of the pipelines in the current period, the most expensive first."""
    vcpu: dict[str, float] = defaultdict(float)
    gb: dict[str, float] = defaultdict(float)
    for meter in meters:
        seconds = meter.seconds_in(period)
        if seconds:
            vcpu[meter.pipeline_id] += meter.vcpu * seconds
            gb[meter.pipeline_id] += meter.gb * seconds
    charges = [
        PipelineCharge(
            id=id_,
            title=None,
            vcpu_seconds=vcpu[id_],
            gb_seconds=gb[id_],
            dollars=dollars(vcpu[id_], gb[id_], rates),
        )
        for id_ in vcpu
    ]
    return sorted(charges, key=lambda charge: (-charge.dollars, charge.id))


def _forecast(accrued: float, start: float | None, end: float | None, now: float) -> float | None:
    if start is None or end is None or end <= start:
        return None
    share = (min(now, end) - start) / (end - start)
    return accrued / share if share >= _FORECAST_SHARE else None


class CloudUsage(CloudCaller):
    """The run time and the cost of commands of one organisation."""

    @serves(billing_operations.USAGE)
    async def get_usage(self, query: UsageParams) -> Usage:
        """Return the run time and cost of commands, including those of deleted pipelines."""
        return await asyncio.to_thread(self._usage, query)

    def _usage(self, query: UsageParams) -> Usage:
        org, orgs = self._me.org, self._records.orgs
        months = months_before(self._timing.clock()) if query.month is None else (query.month,)
        report = usage_report(
            spent
            for month in months
            for spent in orgs.spent(org, month)
            if is_requested(spent, query)
        )
        if query.nodes:
            named = [self._with_nodes(spent, query.nodes) for spent in dearest(report)]
            report = usage_report([*named, *report.pipelines[len(named) :]])
        return with_prices(report, customer_rates(self._records, self._billing, org))

    @serves(billing_operations.COST)
    async def get_cost(self, params: CostParams) -> PipelineCost:
        """Return the cost of a pipeline since its launch."""
        id_ = await asyncio.to_thread(self._owned, params.id)
        return await asyncio.to_thread(
            cost,
            self._records,
            self._storage,
            self._billing,
            self._timing.clock,
            self._me.org,
            pipeline_id=id_,
            nodes=params.nodes,
        )

    def _with_nodes(self, spent: PipelineSpent, maximum: int) -> PipelineSpent:
        if self._records.store.record(self._me.org, spent.id) is None:
            return spent  # the pipeline was deleted
        nodes = uses_by_node(self._records.store.attempts(spent.id), month=spent.month)
        return with_nodes(spent, nodes, maximum)
