"""The state of the double: customers, prices, meters, subscriptions and invoices."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cache
from html import escape
from importlib import import_module
from itertools import count
from threading import RLock
from typing import Any
from urllib.parse import parse_qsl

from pydantic import ConfigDict, TypeAdapter, ValidationError

#: Seconds of a billing period.
PERIOD = 30 * 86_400
#: Stripe rejects older usage, and usage further in the future.
MAX_AGE, MAX_AHEAD = 35 * 86_400, 300
#: A card that can be saved, and whose payments fail (one of Stripe's test numbers).
FAILING_CARD = "4000000000000341"
_HOUR = 3600
Json = dict[str, Any]


class MissingResourceError(Exception):
    """No resource has that id."""


class StripeAccount:
    """The resources of one Stripe account in test mode.

    Attributes:
        skew: Seconds by which the clock is ahead.
    """

    def __init__(self, clock: Callable[[], float], publish: Callable[[Json], None]) -> None:
        self.lock = RLock()
        self.skew = 0.0
        self._clock = clock
        self._publish = publish
        self._numbers = count(1)
        self.objects: dict[str, Json] = {}
        #: ``{(meter, customer, hour): [(moment, value)]}``, in the order of receipt.
        self._usage: dict[tuple[str, str, int], list[tuple[int, float]]] = {}

    @property
    def now(self) -> int:
        """The time in seconds since the epoch."""
        return int(self._clock() + self.skew)

    def add(self, prefix: str, kind: str, **fields: Any) -> Json:
        id_ = f"{prefix}_{next(self._numbers)}"
        made = {"id": id_, "object": kind, "created": self.now, "livemode": False, **fields}
        self.objects[id_] = made
        return made

    def get(self, id_: str, kind: str) -> Json:
        """Return a resource; raises `MissingResourceError`."""
        found = self.objects.get(id_)
        if found is None or found["object"] != kind:
            raise MissingResourceError(f"No such {kind}: '{id_}'")
        return found

    def all(self, kind: str, **wanted: Any) -> list[Json]:
        """Return the resources of a kind with these fields, the newest first."""
        found = [each for each in self.objects.values() if each["object"] == kind]
        return [o for o in reversed(found) if all(o.get(n) == v for n, v in wanted.items())]

    # ---- subscriptions ------------------------------------------------------------------------

    def subscribe(self, session: Json, card: str) -> Json:
        """Complete a checkout with a card; return the subscription."""
        start = self.now
        subscription = self.add(
            "sub",
            "subscription",
            customer=session["customer"],
            status="active",
            start_date=start,
            metadata=session["_metadata"],
            cancel_at_period_end=False,
        )
        lines = [self.get(each, "price") for each in session["_prices"]]
        items = [
            self.add("si", "subscription_item", price=price, subscription=subscription["id"])
            for price in lines
        ]
        subscription["items"] = listed(items)
        self.get(session["customer"], "customer")["_card"] = card
        session |= {"status": "complete", "subscription": subscription["id"]}
        self._set_period(subscription, start)
        self.emit("customer.subscription.created", subscription)
        self.emit("checkout.session.completed", session)
        return subscription

    def _set_period(self, subscription: Json, start: int) -> None:
        for item in subscription["items"]["data"]:
            item |= {"current_period_start": start, "current_period_end": start + PERIOD}

    def cancel(self, subscription: Json, *, invoice: bool = True) -> None:
        """End a subscription, with a last invoice or without."""
        if invoice:
            self._invoice(subscription, self.now)
        subscription |= {"status": "canceled", "canceled_at": self.now, "ended_at": self.now}
        self.emit("customer.subscription.deleted", subscription)

    def set_status(self, subscription: Json, status: str) -> None:
        """Set a status, as Stripe's dashboard or its retry rules do."""
        subscription["status"] = status
        self.emit("customer.subscription.updated", subscription)

    def advance(self, seconds: float) -> None:
        """Move the clock; periods that end meanwhile are invoiced."""
        with self.lock:
            self.skew += seconds
            for subscription in self.all("subscription"):
                while subscription["status"] in ("active", "past_due"):
                    end = subscription["items"]["data"][0]["current_period_end"]
                    if end > self.now:
                        break
                    self._invoice(subscription, end)
                    self._set_period(subscription, end)
                    self.emit("customer.subscription.updated", subscription)

    def _invoice(self, subscription: Json, end: int) -> None:
        start = subscription["items"]["data"][0]["current_period_start"]
        total = sum(
            self.used(item["price"]["recurring"]["meter"], subscription["customer"], start, end)
            * float(item["price"]["unit_amount_decimal"])
            for item in subscription["items"]["data"]
        )
        invoice = self.add(
            "in",
            "invoice",
            customer=subscription["customer"],
            status="open",
            currency="usd",
            amount_due=round(total),
            period_start=start,
            period_end=end,
            parent={
                "type": "subscription_details",
                "subscription_details": {"subscription": subscription["id"], "metadata": {}},
            },
        )
        self.pay(invoice, subscription)

    def pay(self, invoice: Json, subscription: Json) -> None:
        """Charge the customer's card for an invoice."""
        customer = self.get(subscription["customer"], "customer")
        paid = customer.get("_card") != FAILING_CARD
        if paid:
            invoice["status"] = "paid"
            self._recover(subscription)
            self.emit("invoice.paid", invoice)
        else:
            if subscription["status"] == "active":
                subscription["status"] = "past_due"
            self.emit("invoice.payment_failed", invoice)
            self.emit("customer.subscription.updated", subscription)

    def _recover(self, subscription: Json) -> None:
        if subscription["status"] in ("past_due", "unpaid"):
            self.set_status(subscription, "active")

    # ---- usage --------------------------------------------------------------------------------

    def meter_event(self, name: str, customer: str, value: float, moment: int) -> None:
        """Record the usage of a moment."""
        meters = self.all("billing.meter", event_name=name)
        if not meters:
            raise MissingResourceError(f"No active meter found with event_name {name}")
        meter = meters[0]
        key = (meter["id"], customer, moment - moment % _HOUR)
        self._usage.setdefault(key, []).append((moment, value))

    def hours(self, meter: str, customer: str, start: int, end: int) -> Iterator[tuple[int, float]]:
        """Yield ``(hour, value)`` of a meter for a time.

        The last value that was received for an hour counts, in each time that has one: Stripe does
        not say what it does with an hour in two billing periods, and this is the worst case.
        """
        whole = self.get(meter, "billing.meter").get("event_time_window") != "hour"
        for (of, whose, hour), events in sorted(self._usage.items()):
            found = [value for moment, value in events if start <= moment < end]
            if of == meter and whose == customer and found:
                yield hour, sum(found) if whole else found[-1]

    def used(self, meter: str, customer: str, start: int, end: int) -> float:
        return sum(value for _, value in self.hours(meter, customer, start, end))

    # ---- events -------------------------------------------------------------------------------

    def emit(self, kind: str, about: Json) -> None:
        event = self.add(
            "evt",
            "event",
            type=kind,
            api_version="2026-10-28",
            pending_webhooks=1,
            request={"id": None, "idempotency_key": None},
            data={"object": public(about)},
        )
        self._publish(event)


def listed(found: list[Json], url: str = "/v1/list") -> Json:
    """Return a list object of the API."""
    return {"object": "list", "url": url, "has_more": False, "data": found}


def public(found: Any) -> Any:
    """Return a resource without the double's own fields."""
    if isinstance(found, dict):
        return {name: public(each) for name, each in found.items() if not name.startswith("_")}
    if isinstance(found, Decimal):
        return str(found)
    return [public(each) for each in found] if isinstance(found, list) else found


# ----------------------------------------------------------------------------------------
# The form encoding of Stripe's API, and the validation of requests by the library's types.


#: ``{operation: (module below stripe.params, name of its type)}``.
_TYPES = {
    "customers.create": ("_customer_create_params", "CustomerCreateParams"),
    "prices.create": ("_price_create_params", "PriceCreateParams"),
    "products.create": ("_product_create_params", "ProductCreateParams"),
    "webhook_endpoints.create": ("_webhook_endpoint_create_params", "WebhookEndpointCreateParams"),
    "meters.create": ("billing._meter_create_params", "MeterCreateParams"),
    "meter_events.create": ("billing._meter_event_create_params", "MeterEventCreateParams"),
    "event_summaries.list": (
        "billing._meter_event_summary_list_params",
        "MeterEventSummaryListParams",
    ),
    "checkout.create": ("checkout._session_create_params", "SessionCreateParams"),
    "checkout.list": ("checkout._session_list_params", "SessionListParams"),
    "checkout.expire": ("checkout._session_expire_params", "SessionExpireParams"),
    "subscriptions.cancel": ("_subscription_cancel_params", "SubscriptionCancelParams"),
    "portal.create": ("billing_portal._session_create_params", "SessionCreateParams"),
    "subscriptions.list": ("_subscription_list_params", "SubscriptionListParams"),
    "subscriptions.retrieve": ("_subscription_retrieve_params", "SubscriptionRetrieveParams"),
    "events.retrieve": ("v2.core._event_retrieve_params", "EventRetrieveParams"),
    "invoices.list": ("_invoice_list_params", "InvoiceListParams"),
}


class InvalidRequestError(Exception):
    """Stripe rejects such a request; the message names the parameter."""


def decode(text: str) -> dict[str, Any]:
    """Return the nested parameters of ``a[b][0]=c``."""
    found: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        keys = name.replace("]", "").split("[")
        place = found
        for key in keys[:-1]:
            place = place.setdefault(key, {})
        place[keys[-1]] = value
    return {name: _listed(value) for name, value in found.items()}


def _listed(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    inner = {name: _listed(each) for name, each in value.items()}
    if inner and all(name.isdigit() for name in inner):
        return [inner[name] for name in sorted(inner, key=int)]
    return inner


def check(operation: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a request with their types; unknown ones are errors.

    Raises:
        InvalidRequestError: Stripe would reject the request.
    """
    try:
        return dict(_adapter(operation).validate_python(dict(given)))
    except ValidationError as error:
        where = "; ".join(_about(each["loc"], each["msg"]) for each in error.errors()[:3])
        raise InvalidRequestError(f"{operation}: {where}") from error


def _about(place: Sequence[Any], message: str) -> str:
    return f"{'.'.join(map(str, place))}: {message}"


@cache
def _adapter(operation: str) -> TypeAdapter[Any]:
    module_name, name = _TYPES[operation]
    module = import_module(f"stripe.params.{module_name}")
    for found in vars(module).values():
        if isinstance(found, type) and hasattr(found, "__total__"):  # a TypedDict
            found.__pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[attr-defined]
    adapter: TypeAdapter[Any] = TypeAdapter(getattr(module, name))
    # Names that Stripe's modules import for type checkers only.
    names = {"Mapping": Mapping, "StripeContext": str, "UntypedStripeObject": set}
    adapter.rebuild(_types_namespace={**vars(module), **names})
    return adapter


# ----------------------------------------------------------------------------------------
# The hosted pages of the double: payment, and the customer portal.


_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 30rem }}
body {{ margin: 3rem auto; padding: 0 1rem }}
label, button, input {{ display: block; width: 100%; box-sizing: border-box; margin: .5rem 0 }}
input, button {{ font: inherit; padding: .6rem; border-radius: .4rem; border: 1px solid #888 }}
button {{ background: #4b3fd8; color: #fff; border: 0; cursor: pointer }}
small {{ color: #666 }}
table {{ width: 100%; text-align: left }}
</style>
<p><small>Double of Stripe, test mode: no card is charged.</small>
<h1>{title}</h1>
{body}
</html>"""


def payment(session: Json) -> str:
    """Return the page on which a customer enters a card."""
    return _page(
        "Subscribe to Conducto",
        f"""<form method="post">
<label>Email <input name="email" type="email" required value="owner@example.com"></label>
<label>Card number
<input name="card" inputmode="numeric" required value="4242 4242 4242 4242"></label>
<button>Subscribe</button>
</form>
<p><a href="{escape(session["cancel_url"], quote=True)}">Cancel</a>""",
    )


def portal(session: Json, subscriptions: list[Json], invoices: list[Json]) -> str:
    """Return the page with a customer's subscription and invoices."""
    cancel = "".join(
        f'<form method="post"><button name="cancel" value="{each["id"]}">Cancel subscription'
        "</button></form>"
        for each in subscriptions
        if each["status"] in ("active", "past_due", "trialing", "unpaid")
    )
    rows = "".join(
        f"<tr><td>{each['id']}<td>{each['status']}<td>${each['amount_due'] / 100:,.2f}"
        for each in invoices
    )
    return _page(
        "Billing",
        f"""<p>Subscription: {", ".join(each["status"] for each in subscriptions) or "none"}
<form method="post">
<label>Card number <input name="card" inputmode="numeric" required></label>
<button>Update card and pay open invoices</button>
</form>
{cancel}
<h2>Invoices</h2><table>{rows}</table>
<p><a href="{escape(session["return_url"], quote=True)}">Return to Conducto</a>""",
    )


def _page(title: str, body: str) -> str:
    return _PAGE.format(title=escape(title), body=body)
