"""The form encoding of Stripe's API, and the validation of requests by the library's types."""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import Any
from urllib.parse import parse_qsl

from pydantic import ConfigDict, TypeAdapter, ValidationError

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
