"""The HTTP server of the double: Stripe's API and hosted pages on one address."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

import boto3  # type: ignore[import-untyped]
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from conducto_core.api.operation import API_ROOT
from conducto_core.installation.names import Variables, billing_secret
from conducto_emulator.moto.server import free_port
from conducto_emulator.stripe import account as pages
from conducto_emulator.stripe.account import (
    MAX_AGE,
    MAX_AHEAD,
    InvalidRequestError,
    Json,
    MissingResourceError,
    StripeAccount,
    check,
    decode,
    listed,
    public,
)
from conducto_emulator.stripe.webhooks import Webhooks

_START_SECONDS = 20.0
#: Path that moves the clock; Stripe itself has none.
ADVANCE = "/advance"
_HOUR = 3600
Handler = Callable[[Json, Json], Json]


class StripeDouble:
    """The double; `start` returns when it listens.

    Attributes:
        account: Its resources.
        webhooks: Its deliveries.
        key: The key that its clients use.
        away: Whether every request of the API fails.
        received: Identifiers of the received events of usage.
    """

    def __init__(self, host: str, port: int, clock: Callable[[], float] = time.time) -> None:
        self.webhooks = Webhooks(clock)
        self.account = StripeAccount(clock, self.webhooks.send)
        self.key = "rk_test_conducto"
        self.away = False
        self.received: list[str] = []
        self.url = f"http://{host}:{port}"
        self._responses: dict[str, Json] = {}
        config = uvicorn.Config(self._app(), host, port, log_level="warning", lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True, name="stripe")

    def start(self) -> None:
        """Serve in a thread; raises `RuntimeError`."""
        self._thread.start()
        end = time.monotonic() + _START_SECONDS
        while not self._server.started:
            if time.monotonic() > end or not self._thread.is_alive():
                raise RuntimeError(f"no server at {self.url}; check whether the port is in use")
            time.sleep(0.01)

    def close(self) -> None:
        self._server.should_exit = self._server.force_exit = True
        self._thread.join()
        self.webhooks.close()

    def set_up(self, webhook: str, rates: tuple[str, str]) -> Json:
        """Create meters, prices and a webhook; return the settings of an installation.

        Args:
            webhook: URL of the webhook.
            rates: Cents per vCPU-second and per GB-second.
        """
        product = self.account.add("prod", "product", name="Conducto", active=True)
        settings: Json = {"key": self.key, "tax": True}
        for name, cents in zip(("vcpu", "gb"), rates, strict=True):
            meter = self._new_meter({}, _meter_of(f"conducto_{name}_seconds"))
            recurring = {"interval": "month", "meter": meter["id"], "usage_type": "metered"}
            price = {"currency": "usd", "product": product["id"], "unit_amount_decimal": cents}
            settings |= {
                f"{name}_meter": meter["id"],
                f"{name}_price": self._new_price({}, {**price, "recurring": recurring})["id"],
            }
        endpoint = self._new_endpoint({}, {"url": webhook, "enabled_events": ["*"]})
        return {**settings, "webhook_secrets": [endpoint["secret"]]}

    # ---- HTTP ---------------------------------------------------------------------------------

    def _app(self) -> Starlette:
        table: tuple[tuple[str, str, str, Handler], ...] = (
            ("POST", "/v1/customers", "customers.create", self._new_customer),
            ("POST", "/v1/products", "products.create", self._new_product),
            ("POST", "/v1/prices", "prices.create", self._new_price),
            ("POST", "/v1/webhook_endpoints", "webhook_endpoints.create", self._new_endpoint),
            ("POST", "/v1/billing/meters", "meters.create", self._new_meter),
            ("POST", "/v1/billing/meter_events", "meter_events.create", self._new_meter_event),
            (
                "GET",
                "/v1/billing/meters/{id}/event_summaries",
                "event_summaries.list",
                self._summaries,
            ),
            ("POST", "/v1/checkout/sessions", "checkout.create", self._new_checkout),
            ("GET", "/v1/checkout/sessions", "checkout.list", self._checkouts),
            ("POST", "/v1/checkout/sessions/{id}/expire", "checkout.expire", self._expire),
            ("POST", "/v1/billing_portal/sessions", "portal.create", self._new_portal),
            ("GET", "/v1/subscriptions", "subscriptions.list", self._subscriptions),
            ("GET", "/v1/subscriptions/{id}", "subscriptions.retrieve", self._subscription),
            ("DELETE", "/v1/subscriptions/{id}", "subscriptions.cancel", self._cancel),
            ("GET", "/v1/invoices", "invoices.list", self._invoices),
            ("GET", "/v2/core/events/{id}", "events.retrieve", self._event),
        )
        routes = [
            Route(path, self._endpoint(operation, handler), methods=[method])
            for method, path, operation, handler in table
        ]
        pay = Route("/pay/{id}", self._pay, methods=["GET", "POST"])
        portal = Route("/portal/{id}", self._portal, methods=["GET", "POST"])
        advance = Route(ADVANCE, self._advance, methods=["POST"])
        return Starlette(routes=[*routes, pay, portal, advance])

    def _endpoint(self, operation: str, handler: Handler) -> Callable[[Request], Any]:
        async def respond(request: Request) -> Response:
            posted = request.method == "POST"
            text = (await request.body()).decode() if posted else request.url.query
            if self.away:
                return _error(500, "api_error", "Stripe is unavailable")
            if request.headers.get("authorization") != f"Bearer {self.key}":
                return _error(401, "invalid_request_error", "Invalid API Key provided")
            once = request.headers.get("idempotency-key")
            if once is not None and once in self._responses:
                return JSONResponse(public(self._responses[once]))
            try:
                with self.account.lock:
                    found = handler(dict(request.path_params), check(operation, decode(text)))
            except MissingResourceError as error:
                return _error(404, "invalid_request_error", str(error), "resource_missing")
            except InvalidRequestError as error:
                return _error(400, "invalid_request_error", str(error))
            if once is not None:
                self._responses[once] = found
            return JSONResponse(public(found))

        return respond

    # ---- resources ----------------------------------------------------------------------------

    def _new_customer(self, _: Json, given: Json) -> Json:
        fields = {"name": given.get("name"), "email": given.get("email")}
        return self.account.add("cus", "customer", metadata=given.get("metadata", {}), **fields)

    def _new_product(self, _: Json, given: Json) -> Json:
        return self.account.add("prod", "product", active=True, **given)

    def _new_price(self, _: Json, given: Json) -> Json:
        return self.account.add("price", "price", active=True, type="recurring", **given)

    def _new_meter(self, _: Json, given: Json) -> Json:
        return self.account.add("mtr", "billing.meter", status="active", **given)

    def _new_endpoint(self, _: Json, given: Json) -> Json:
        made = self.account.add("we", "webhook_endpoint", status="enabled", **given)
        made["secret"] = f"whsec_{made['id']}"
        self.webhooks.endpoints[given["url"]] = made["secret"]
        return made

    def _new_meter_event(self, _: Json, given: Json) -> Json:
        moment = given.get("timestamp", self.account.now)
        if not self.account.now - MAX_AGE <= moment <= self.account.now + MAX_AHEAD:
            raise InvalidRequestError("timestamp: must be within the past 35 days")
        payload = given["payload"]
        customer = self.account.get(payload["stripe_customer_id"], "customer")["id"]
        self.received.append(str(given.get("identifier", "")))
        self.account.meter_event(given["event_name"], customer, float(payload["value"]), moment)
        return {"object": "billing.meter_event", "livemode": False, **given}

    def _summaries(self, path: Json, given: Json) -> Json:
        meter = self.account.get(path["id"], "billing.meter")["id"]
        start, end = given["start_time"], given["end_time"]
        if start % _HOUR or end % _HOUR:
            raise InvalidRequestError("start_time: must be aligned with hour boundaries")
        found = [
            {
                "id": f"mtrusg_{hour}",
                "object": "billing.meter_event_summary",
                "aggregated_value": value,
                "start_time": hour,
                "end_time": hour + _HOUR,
                "meter": meter,
                "livemode": False,
            }
            for hour, value in self.account.hours(meter, given["customer"], start, end)
        ]
        return listed(found)

    def _new_checkout(self, _: Json, given: Json) -> Json:
        if given["mode"] != "subscription":
            raise InvalidRequestError("mode: the double knows 'subscription' only")
        taxes = given.get("tax_id_collection", {}).get("enabled")
        if taxes and given.get("customer_update", {}).get("name") != "auto":
            raise InvalidRequestError("customer_update.name: must be 'auto' to collect tax ids")
        prices = [line["price"] for line in given["line_items"]]
        metadata = given.get("subscription_data", {}).get("metadata", {})
        made = self.account.add(
            "cs_test",
            "checkout.session",
            mode="subscription",
            status="open",
            customer=self.account.get(given["customer"], "customer")["id"],
            client_reference_id=given.get("client_reference_id"),
            success_url=given["success_url"],
            cancel_url=given.get("cancel_url", given["success_url"]),
            subscription=None,
            _prices=prices,
            _metadata=metadata,
        )
        made["url"] = f"{self.url}/pay/{made['id']}"
        return made

    def _checkouts(self, _: Json, given: Json) -> Json:
        wanted = {name: given[name] for name in ("customer", "status") if name in given}
        return listed(self.account.all("checkout.session", **wanted)[: given.get("limit", 10)])

    def _expire(self, path: Json, _: Json) -> Json:
        session = self.account.get(path["id"], "checkout.session")
        if session["status"] != "open":
            raise InvalidRequestError("only sessions with the status 'open' can be expired")
        session |= {"status": "expired", "url": None}
        return session

    def _cancel(self, path: Json, given: Json) -> Json:
        found = self.account.get(path["id"], "subscription")
        self.account.cancel(found, invoice=given.get("invoice_now", False))
        return found

    def _new_portal(self, _: Json, given: Json) -> Json:
        customer = self.account.get(given["customer"], "customer")["id"]
        made = self.account.add(
            "bps", "billing_portal.session", customer=customer, return_url=given["return_url"]
        )
        made["url"] = f"{self.url}/portal/{made['id']}"
        return made

    def _subscription(self, path: Json, given: Json) -> Json:
        return self._expanded(
            self.account.get(path["id"], "subscription"), "customer" in given.get("expand", ())
        )

    def _subscriptions(self, _: Json, given: Json) -> Json:
        found = self.account.all("subscription", customer=given["customer"])
        if given.get("status") != "all":
            found = [each for each in found if each["status"] != "canceled"]
        whole = "data.customer" in given.get("expand", ())
        return listed([self._expanded(each, whole) for each in found[: given.get("limit", 10)]])

    def _expanded(self, subscription: Json, whole: bool) -> Json:
        if not whole:
            return subscription
        return {**subscription, "customer": self.account.objects[subscription["customer"]]}

    def _invoices(self, _: Json, given: Json) -> Json:
        wanted = {"customer": given["customer"]} if "customer" in given else {}
        return listed(self.account.all("invoice", **wanted))

    # ---- hosted pages, and the clock ----------------------------------------------------------

    def _event(self, path: Json, _: Json) -> Json:
        return self.account.get(path["id"], "v2.core.event")

    async def _pay(self, request: Request) -> Response:
        session = self.account.objects.get(request.path_params["id"])
        if session is None or session.get("status") != "open":
            return HTMLResponse("This page is no longer available.", 404)
        if request.method == "GET":
            return HTMLResponse(pages.payment(session))
        given = _form(await request.body())
        with self.account.lock:
            self.account.objects[session["customer"]]["email"] = given.get("email")
            self.account.subscribe(session, _card(given))
        return RedirectResponse(session["success_url"], 303)

    async def _portal(self, request: Request) -> Response:
        session = self.account.objects.get(request.path_params["id"])
        if session is None or session["object"] != "billing_portal.session":
            return HTMLResponse("This page is no longer available.", 404)
        customer = session["customer"]
        if request.method == "POST":
            with self.account.lock:
                self._change(customer, _form(await request.body()))
            return RedirectResponse(str(request.url), 303)
        found = self.account.all("subscription", customer=customer)
        invoices = self.account.all("invoice", customer=customer)
        return HTMLResponse(pages.portal(session, found, invoices))

    async def _advance(self, request: Request) -> Response:
        """Move the clock; return its time, and the subscriptions with their states."""
        if request.headers.get("authorization") != f"Bearer {self.key}":
            return _error(401, "invalid_request_error", "Invalid API Key provided")
        account = self.account
        ahead = account.skew + float(_form(await request.body()).get("seconds", "0"))
        if not account.skew <= ahead <= MAX_AGE:
            days = f"{MAX_AGE / 86_400:g}"
            message = f"the clock can be at most {days} days ahead: Stripe rejects older usage"
            return _error(400, "invalid_request_error", message)
        account.advance(ahead - account.skew)
        found = account.all("subscription")
        states = [{"id": each["id"], "status": each["status"]} for each in found]
        return JSONResponse({"now": account.now, "subscriptions": states})

    def _change(self, customer: str, given: dict[str, str]) -> None:
        if "cancel" in given:
            self.account.cancel(self.account.get(given["cancel"], "subscription"))
            return
        self.account.objects[customer]["_card"] = _card(given)
        for invoice in self.account.all("invoice", customer=customer, status="open"):
            about = invoice["parent"]["subscription_details"]["subscription"]
            self.account.pay(invoice, self.account.get(about, "subscription"))


def _meter_of(event: str) -> Json:
    return {
        "display_name": event,
        "event_name": event,
        "event_time_window": "hour",
        "default_aggregation": {"formula": "sum"},
        "customer_mapping": {"type": "by_id", "event_payload_key": "stripe_customer_id"},
        "value_settings": {"event_payload_key": "value"},
    }


def _form(body: bytes) -> dict[str, str]:
    return {name: values[-1] for name, values in parse_qs(body.decode()).items()}


def _card(given: dict[str, str]) -> str:
    return given.get("card", "").replace(" ", "")


def _error(status: int, kind: str, message: str, code: str | None = None) -> Response:
    return JSONResponse({"error": {"type": kind, "message": message, "code": code}}, status)


# ----------------------------------------------------------------------------------------
# The double of Stripe in the emulator, and the settings of an installation that uses it.


_HOST = "127.0.0.1"
#: Cents per vCPU-second and per GB-second: the documented prices.
_RATES = ("0.001666666667", "0.000183333333")


class EmulatedBilling(StripeDouble):
    """The double on a port of this machine; 0 for a free one."""

    def __init__(self, port: int = 0) -> None:
        super().__init__(_HOST, port or free_port(_HOST))

    def start_for(self, api: str, stage: str) -> Mapping[str, str]:
        """Start, and store the settings; return the variables of the functions."""
        self.start()
        settings = self.set_up(f"{api}{API_ROOT}/hooks/stripe", _RATES)
        name = billing_secret(stage)
        boto3.client("secretsmanager").create_secret(Name=name, SecretString=json.dumps(settings))
        return {
            Variables.BILLING: "on",
            Variables.BILLING_SECRET: name,
            Variables.STRIPE_URL: self.url,
        }
