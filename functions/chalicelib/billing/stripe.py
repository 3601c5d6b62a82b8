"""Stripe: Checkout, the customer portal, subscriptions, usage meters and signed events.

The library is imported when it is first used: most requests, and installations without billing,
never need it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from secrets import token_hex
from typing import Any, TypeVar

from chalicelib.billing.port import (
    BillingUnavailableError,
    HookEvent,
    RefusedUsage,
    SignatureError,
    Subscription,
)
from conducto_core.api.dispatch import read_json
from conducto_core.billing.model import Invoice
from conducto_core.billing.rules import LIVE, Rates, Status

#: Event names of the two meters; each event has the total of an hour.
VCPU_EVENT, GB_EVENT = "conducto_vcpu_seconds", "conducto_gb_seconds"
#: Seconds for which the signature of an event is valid.
TOLERANCE = 300
_RETRIES = 2
#: Minimum seconds between two reads of the settings for signatures, which anyone can send.
_REREAD_SECONDS = 60.0
R = TypeVar("R")
_HOUR = 3600
_MAX_INVOICES = 12
_MAX_SUBSCRIPTIONS = _MAX_SESSIONS = 100


@dataclass(frozen=True, slots=True)
class StripeSettings:
    """The content of the secret with the settings of billing.

    Attributes:
        key: A restricted key.
        webhook_secrets: Signing secrets of the webhook: the current one and, during a rotation, the
            previous one.
        vcpu_price: Id of the metered price per vCPU-second.
        gb_price: Id of the metered price per GB-second.
        vcpu_meter: Id of the meter of vCPU-seconds.
        gb_meter: Id of the meter of GB-seconds.
        tax: Whether Stripe computes taxes.
    """

    key: str = field(repr=False)
    webhook_secrets: tuple[str, ...] = field(repr=False)
    vcpu_price: str
    gb_price: str
    vcpu_meter: str
    gb_meter: str
    tax: bool = True

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> "StripeSettings":
        """Return the settings of a JSON object."""
        secrets = tuple(str(each) for each in given["webhook_secrets"])
        return cls(**{**given, "webhook_secrets": secrets})


class StripeBilling:
    """A `chalicelib.billing.port.BillingProvider`.

    Args:
        settings: Returns the settings; called when they are needed, and after they were rejected.
        clock: Seconds since the epoch.
        url: Address of the API, for the emulator.
    """

    def __init__(
        self,
        settings: Callable[[], StripeSettings],
        clock: Callable[[], float],
        url: str | None = None,
    ) -> None:
        self._read = settings
        self._clock = clock
        self._url = url
        self._known: StripeSettings | None = None
        self._made: Any = None
        self._reread_at = 0.0

    @property
    def _settings(self) -> StripeSettings:
        if self._known is None:
            self._known = self._read()
        return self._known

    def _has_new_settings(self) -> bool:
        """Read the settings again, which are rotated during the life of a process."""
        before, self._known, self._reread_at = self._known, self._read(), self._clock()
        if self._known == before:
            return False
        self._made = None
        return True

    def _call(self, request: Callable[[Any], R]) -> R:
        """Execute a request, again with new settings if Stripe rejects the key."""
        import stripe  # noqa: PLC0415  see the module's docstring

        with _stripe_errors():
            try:
                return request(self._client.v1)
            except (stripe.AuthenticationError, stripe.PermissionError):
                if not self._has_new_settings():
                    raise
                return request(self._client.v1)

    @property
    def _client(self) -> Any:
        import stripe  # noqa: PLC0415  see the module's docstring

        if self._made is None:
            url = self._url
            where: Any = {} if url is None else {"api": url, "meter_events": url}
            self._made = stripe.StripeClient(
                self._settings.key, base_addresses=where, max_network_retries=_RETRIES
            )
        return self._made

    @property
    def livemode(self) -> bool:
        """Whether the key moves real money."""
        return "_live_" in self._settings.key

    def new_customer(self, org: str) -> str:
        about = {"name": org, "metadata": {"org": org}}
        once = {"idempotency_key": f"customer-{org}"}
        customer = self._call(lambda client: client.customers.create(about, once))
        return str(customer.id)

    def checkout(self, org: str, customer: str, back: str) -> str:
        """Return the URL of a page on which the organisation subscribes."""
        settings = self._settings
        request = {
            "mode": "subscription",
            "client_reference_id": org,
            "customer": customer,
            "customer_update": {"name": "auto", "address": "auto"},
            "line_items": [{"price": settings.vcpu_price}, {"price": settings.gb_price}],
            "automatic_tax": {"enabled": settings.tax},
            "tax_id_collection": {"enabled": True},
            "subscription_data": {"metadata": {"org": org}},
            "success_url": f"{back}?checkout=done",
            "cancel_url": back,
        }
        return self._call(lambda client: _page(client.checkout.sessions, request))

    def portal(self, customer: str, back: str) -> str:
        request = {"customer": customer, "return_url": back}
        return str(self._call(lambda client: client.billing_portal.sessions.create(request)).url)

    def invoices(self, customer: str) -> Sequence[Invoice]:
        asked = {"customer": customer, "limit": _MAX_INVOICES}
        found = self._call(lambda client: client.invoices.list(asked)).data
        return [
            Invoice(
                start=float(each.period_start),
                end=float(each.period_end),
                status=str(each.status),
                dollars=each.amount_due / 100,
                url=getattr(each, "hosted_invoice_url", None),
            )
            for each in found
            if each.status not in (None, "draft", "void")
        ]

    def subscription(self, subscription_id: str) -> Subscription | None:
        import stripe  # noqa: PLC0415  see the module's docstring

        asked = {"expand": ["customer"]}
        try:
            found = self._call(lambda client: client.subscriptions.retrieve(subscription_id, asked))
        except stripe.InvalidRequestError as error:
            if error.code == "resource_missing":
                return None
            raise
        return self._subscription(found)

    def newest(self, customer: str) -> Subscription | None:
        asked = {
            "customer": customer,
            "status": "all",
            "limit": _MAX_SUBSCRIPTIONS,
            "expand": ["data.customer"],
        }
        found = self._call(lambda client: client.subscriptions.list(asked)).data
        newest = max(found, key=lambda each: (_status(each) in LIVE, each.created), default=None)
        return None if newest is None else self._subscription(newest)

    def cancel(self, subscription_id: str) -> None:
        self._call(lambda client: client.subscriptions.cancel(subscription_id))

    def _subscription(self, found: Any) -> Subscription:
        items = found["items"].data
        return Subscription(
            id=found.id,
            customer=found.customer.id,
            org=found.metadata.to_dict().get("org", ""),
            status=_status(found),
            since=float(found.start_date),
            period_start=float(min(item.current_period_start for item in items)),
            period_end=float(max(item.current_period_end for item in items)),
            rates=self._rates(items),
            email=getattr(found.customer, "email", None) or "",  # a deleted one has none
        )

    def _rates(self, items: Any) -> Rates | None:
        cents = {item.price.id: item.price.unit_amount_decimal for item in items}
        prices = (cents.get(self._settings.vcpu_price), cents.get(self._settings.gb_price))
        if None in prices:
            return None
        vcpu, gb = (float(Decimal(str(price)) * _HOUR / 100) for price in prices)
        return Rates(vcpu, gb)

    def report(self, customer: str, moment: int, vcpu_seconds: float, gb_seconds: float) -> None:
        for name, value in ((VCPU_EVENT, vcpu_seconds), (GB_EVENT, gb_seconds)):
            event = {
                "event_name": name,
                "identifier": f"{customer}.{moment - moment % _HOUR}.{token_hex(6)}",
                "payload": {"stripe_customer_id": customer, "value": f"{value:.2f}"},
                "timestamp": moment,
            }
            self._send(event)

    def _send(self, event: Mapping[str, Any]) -> None:
        self._call(lambda client: client.billing.meter_events.create(event))

    def refused_usage(self, event_id: str) -> RefusedUsage:
        """Return the usage that an error report is about; it is fetched, as is every event."""
        found = self._call(lambda _: self._client.v2.core.events.retrieve(event_id))
        kinds = found.to_dict()["data"]["reason"]["error_types"]
        samples = [sample for kind in kinds for sample in kind["sample_errors"]]
        names = [str(sample["request"]["identifier"]) for sample in samples]
        return RefusedUsage(
            {str(kind["code"]): int(kind["error_count"]) for kind in kinds},
            frozenset(name.partition(".")[0] for name in names if "." in name),
        )

    def totals(self, customer: str, start: int, end: int) -> Mapping[int, tuple[float, float]]:
        """Return ``{hour: (vCPU-seconds, GB-seconds)}`` that Stripe has received."""
        vcpu = self._received(self._settings.vcpu_meter, customer, start, end)
        gb = self._received(self._settings.gb_meter, customer, start, end)
        return {hour: (vcpu.get(hour, 0.0), gb.get(hour, 0.0)) for hour in {*vcpu, *gb}}

    def _received(self, meter: str, customer: str, start: int, end: int) -> dict[int, float]:
        asked = {
            "customer": customer,
            "start_time": start - start % _HOUR,
            "end_time": end - end % _HOUR + _HOUR,
            "value_grouping_window": "hour",
            "limit": 100,
        }
        found = self._call(
            lambda client: list(
                client.billing.meters.event_summaries.list(meter, asked).auto_paging_iter()
            )
        )
        return {each.start_time: float(each.aggregated_value) for each in found}

    def event(self, body: bytes, signature: str) -> HookEvent:
        """Return the event of a webhook; raises `SignatureError`."""
        try:
            return self._verified(body, signature)
        except SignatureError:
            recently = self._clock() - self._reread_at < _REREAD_SECONDS
            if recently or not self._has_new_settings():
                raise
            return self._verified(body, signature)

    def _verified(self, body: bytes, signature: str) -> HookEvent:
        import stripe  # noqa: PLC0415  see the module's docstring

        why = "the webhook has no signing secret"
        for secret in self._settings.webhook_secrets:
            try:
                stripe.WebhookSignature.verify_header(body, signature, secret, TOLERANCE)
                return _event(read_json(body))
            except (stripe.SignatureVerificationError, ValueError) as error:
                why = str(error)
        raise SignatureError(why)


def _page(sessions: Any, request: Mapping[str, Any]) -> str:
    """Return the URL of a page for a checkout; a customer has one open page at most."""
    import stripe  # noqa: PLC0415  see the module's docstring

    asked = {"customer": request["customer"], "status": "open", "limit": _MAX_SESSIONS}
    for session in sessions.list(asked).data:
        if session.success_url == request["success_url"]:
            return str(session.url)
        with suppress(stripe.InvalidRequestError):  # it has expired meanwhile, or was completed
            sessions.expire(session.id)
    return str(sessions.create(request).url)


def _status(found: Any) -> Status:
    """Return the status of a subscription; one that Stripe adds later pays for nothing."""
    try:
        return Status(found.status)
    except ValueError:
        return Status.PAUSED


def _event(given: Mapping[str, Any]) -> HookEvent:
    """Return a verified event; those of the second version of the API have no object."""
    about = (given.get("data") or {}).get("object") or {}
    named = _subscription_of(about)
    return HookEvent(str(given["id"]), str(given["type"]), named, bool(given["livemode"]))


def _subscription_of(about: Mapping[str, Any]) -> str | None:
    """Return the subscription that the object of an event is, or names."""
    if about.get("object") == "subscription":
        return str(about["id"])
    named = about.get("subscription")
    if named is None:  # an invoice
        details = (about.get("parent") or {}).get("subscription_details") or {}
        named = details.get("subscription")
    return None if named is None else str(named)


@contextmanager
def _stripe_errors() -> Iterator[None]:
    """Replace errors after which a request can be retried."""
    import stripe  # noqa: PLC0415  see the module's docstring

    try:
        yield
    except (stripe.APIConnectionError, stripe.RateLimitError, stripe.APIError) as error:
        raise BillingUnavailableError(f"Stripe does not respond: {error}") from error
    except (stripe.AuthenticationError, stripe.PermissionError) as error:
        raise BillingUnavailableError(
            f"Stripe rejects the key of this installation: {error}; an administrator must store a "
            "valid one in the secret of billing"
        ) from error
