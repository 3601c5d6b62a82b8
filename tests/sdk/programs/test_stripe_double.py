"""Billing with the real client library of Stripe against the emulator's double of Stripe."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
import stripe

from chalicelib.billing.billing import REFUSED
from chalicelib.billing.handlers import CloudBilling
from chalicelib.billing.port import BillingUnavailableError, SignatureError
from chalicelib.billing.store import BillingPorts, TableBilling
from chalicelib.billing.stripe import StripeBilling, StripeSettings
from chalicelib.events.handlers import EventHooks
from chalicelib.services import Services
from chalicelib.triggers.webhooks import Hooks
from conducto_core.billing.model import BillingStatus, SpendLimit
from conducto_core.billing.rules import BillingPlan, Remedies, Status
from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.people.model import AuditParams
from conducto_core.run.model.states import State
from conducto_emulator.moto.server import free_port
from conducto_emulator.stripe.server import StripeDouble
from conducto_emulator.stripe.webhooks import WebhookDelivery, signature
from support.cloud.world import ME, World
from support.trees import parallel

if TYPE_CHECKING:
    from collections.abc import Iterator

APP = "https://app.example"
FREE = BillingPlan(max_workers=2, max_pipelines=9, exec_minutes=None)


class Installation:
    """An installation in memory, with its webhook behind HTTP, and Stripe's double.

    Attributes:
        answers: Status codes of the webhook.
        broken: Whether the function that processes events cannot be started.
    """

    def __init__(self) -> None:
        self.double = StripeDouble("127.0.0.1", free_port("127.0.0.1"))
        self.double.start()
        self.answers: list[int] = []
        self.mails: list[str] = []
        self.broken = False
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        hook = f"http://127.0.0.1:{self.server.server_port}/api/v1/hooks/stripe"
        made = self.double.set_up(hook, ("0.0016666667", "0.0001833333"))
        settings = StripeSettings.parse(made)
        self.settings = settings
        self.world = World(FREE)
        self.world.now = float(self.double.account.now)
        self.provider = StripeBilling(
            lambda: self.settings, lambda: self.world.now, self.double.url
        )
        self.records = TableBilling(self.world.table, lambda: self.world.now)
        ports = BillingPorts(self.provider, self.records)
        remedies = Remedies(billing=True, web_app=APP)
        self.world.cloud = self.world.over(
            billing=ports, remedies=lambda: remedies, web_app=lambda: APP, mail=self._mail
        )
        self.world.services = Services(self.world.cloud)
        self.run = self.world.services.billing_run(ports)
        triggers = self.world.trigger_hooks(
            lambda _: None,
        )
        self.hooks = Hooks(
            ports,
            self._invoke,
            triggers,
            EventHooks(
                self.world.cloud.records,
                self.world.cloud.secrets.vault,
                self.world.cloud.events.schedules,
                self.world.cloud.timing.clock,
                lambda _place: None,
            ),
        )

    def close(self) -> None:
        self.double.close()
        self.server.shutdown()
        self.server.server_close()

    def _mail(self, _to: str, subject: str, _text: str, _password: str | None) -> bool:
        self.mails.append(subject)
        return True

    def _invoke(self, event: str) -> None:
        if self.broken:
            raise ConnectionError("the function is being deployed")
        self.run.process_event(event)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        here = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                response = here.hooks.receive(self.path.rpartition("/")[2], headers, body)
                here.answers.append(response.status)
                self.send_response(response.status)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        return Handler

    @property
    def me(self) -> CloudBilling:
        return self.world.services.billing(ME)

    def submit(self, url: str, **form: str) -> str:
        """Submit a form of a hosted page; return the address that it leads to."""
        data = urllib.parse.urlencode(form).encode()
        request = urllib.request.Request(url, data)

        class Stay(urllib.request.HTTPRedirectHandler):
            def redirect_request(self, *_: Any) -> None:
                return None

        try:
            urllib.request.build_opener(Stay).open(request)
        except urllib.error.HTTPError as error:
            return str(error.headers["location"])
        raise AssertionError("the page did not redirect")

    def pay(self, card: str = "4242 4242 4242 4242") -> None:
        page = self.me._checkout()
        back = self.submit(page.url, email="ann@acme.example", card=card)
        assert back == f"{APP}/organisation/plan?checkout=done"
        self.double.webhooks.wait()

    def later(self, seconds: float) -> None:
        self.double.account.advance(seconds)
        self.world.now = float(self.double.account.now)
        self.double.webhooks.wait()

    @property
    def subscription(self) -> dict[str, Any]:
        return self.double.account.all("subscription")[0]


@pytest.fixture
def here() -> Iterator[Installation]:
    made = Installation()
    yield made
    made.close()


def test_free_organisation_pays_scales_out_and_falls_back_without_loss(here: Installation) -> None:
    world = here.world
    pipeline = world.launch(parallel("a", "b", "c", "d"))
    world.serve()
    waiting = [str(n.wait_remedy) for n in world.nodes(pipeline).values() if n.waits_for]
    assert all(f"{APP}/organisation/plan" in text for text in waiting)
    assert len(world.running()) == 2

    here.pay()
    assert len(world.fleet.tasks) == 4  # no minute passed
    with pytest.raises(RefusedError, match="has a subscription already"):
        here.me._checkout()

    world.serve()
    here.later(600)
    here.run.charge()
    here.run.send(ME.org)
    charged = sum(total.vcpu_seconds for total in here.records.hours(ME.org, 0, world.now))
    account = here.records.account(ME.org)
    assert account is not None
    received = here.provider.totals(account.customer, int(account.since), int(world.now))
    assert sum(vcpu for vcpu, _ in received.values()) == pytest.approx(charged)
    assert charged > 0
    assert account.email == "ann@acme.example"
    status = here.me._status()
    assert status.vcpu_hour == pytest.approx(0.06)
    assert status.accrued == pytest.approx(sum(day.dollars for day in status.days))
    assert status.accrued == pytest.approx(sum(each.dollars for each in status.pipelines))
    (charge,) = status.pipelines
    record = world.cloud.records.store.record(ME.org, pipeline)
    assert record is not None
    assert (charge.id, charge.title) == (pipeline, record.title)
    check_bill(status)
    world.run_out()
    assert world.get(pipeline).state is State.DONE

    # The card fails at the end of the period; grace passes.
    second = world.launch(parallel("a", "b", "c"))
    world.serve()
    here.submit(here.me._portal().url, card="4000 0000 0000 0341")
    here.later(30 * 86_400)
    assert here.subscription["status"] == "past_due"
    assert world.orgs.plan(ME.org).name == "scale"
    before = len(world.fleet.tasks)
    here.later(7 * 86_400 + 1)
    assert world.orgs.plan(ME.org).name == "free"
    assert len(world.fleet.tasks) == before
    assert world.states(second)["/a"] == "running"  # no command is killed

    # A new card pays the open invoice.
    here.submit(here.me._portal().url, card="4242424242424242")
    here.double.webhooks.wait()
    assert world.orgs.plan(ME.org).name == "scale"
    (invoice,) = here.me._status().invoices or ()
    assert (invoice.status, invoice.dollars > 0) == ("paid", True)
    assert here.me._status().previous


def check_bill(status: BillingStatus) -> None:
    """Check the facts of the page about the plan in a first billing period."""
    assert (status.email, status.previous, status.invoices) == ("ann@acme.example", None, ())
    assert [plan.name for plan in status.plans] == ["free", "scale"]
    assert status.parts is not None
    assert status.parts.commands + status.parts.idle == pytest.approx(status.accrued)


@pytest.mark.parametrize(
    "mode", [WebhookDelivery.TWICE, WebhookDelivery.REORDERED, WebhookDelivery.FORGED]
)
def test_every_way_of_delivery_ends_in_the_state_of_the_subscription(
    here: Installation, mode: WebhookDelivery
) -> None:
    here.double.webhooks.mode = mode
    here.pay()
    here.double.account.set_status(here.subscription, "paused")
    here.world.now += 1
    here.double.account.set_status(here.subscription, "active")
    here.double.webhooks.flush()
    here.double.webhooks.wait()

    assert here.world.orgs.plan(ME.org).name == "scale"
    assert set(here.answers) == ({202, 401} if mode is WebhookDelivery.FORGED else {202})
    assert here.records.waiting_events() == []


def test_lost_and_interrupted_events_cost_at_most_a_minute(here: Installation) -> None:
    here.broken = True  # a deployment is running: the event is stored, its function does not start
    here.pay()
    assert here.answers == [202, 202]
    assert here.world.orgs.plan(ME.org).name == "free"
    here.double.away = True
    here.run.minute()
    assert here.world.orgs.plan(ME.org).name == "free"
    here.double.away = False  # an hour later
    here.run.minute()
    assert here.world.orgs.plan(ME.org).name == "scale"


def test_hour_without_stripe_loses_no_usage_no_event_and_no_worker(here: Installation) -> None:
    here.pay()
    pipeline = here.world.launch(parallel("a", "b", "c"))
    here.world.serve()
    here.double.away = True
    for minute in range(10, 70, 10):
        here.later(600)
        if minute == 30:  # the event arrives, and its subscription cannot be fetched
            here.double.account.set_status(here.subscription, "past_due")
            here.double.webhooks.wait()
        here.run.charge()  # the minute's run does it every five minutes
        here.run.minute()

    assert here.me._status().status == Status.ACTIVE  # as it was known before
    assert len(here.world.fleet.tasks) == 3
    assert set(here.world.states(pipeline).values()) == {"running"}
    with pytest.raises(BillingUnavailableError, match="Stripe does not respond"):
        here.me._portal()
    assert len(list(here.records.waiting_events())) == 1
    account = here.records.account(ME.org)
    assert account is not None
    charged = sum(each.vcpu_seconds for each in here.records.hours(ME.org, 0, here.world.now))
    assert charged >= 3 * 3_600

    here.double.away = False
    here.run.minute()
    here.run.minute()

    received = here.provider.totals(account.customer, int(account.since), int(here.world.now))
    charged = sum(each.vcpu_seconds for each in here.records.hours(ME.org, 0, here.world.now))
    assert sum(vcpu for vcpu, _ in received.values()) == pytest.approx(charged)
    assert here.records.waiting_events() == []
    assert here.me._status().status == Status.PAST_DUE
    here.world.run_out()
    assert here.world.get(pipeline).state is State.DONE


def test_hook_rejects_bodies_without_a_valid_signature(here: Installation) -> None:
    secret = here.settings.webhook_secrets[0]
    body = json.dumps({"id": "evt_x", "object": "event", "type": "x", "livemode": False}).encode()
    now = time.time()

    def answer(body: bytes, header: str, name: str = "stripe") -> int:
        return here.hooks.receive(name, {"stripe-signature": header}, body).status

    assert answer(body, "") == 401
    assert answer(body, signature(body, "whsec_other", now)) == 401
    assert answer(body, signature(body, secret, now - 301)) == 401  # replayed later
    assert answer(body + b" ", signature(body, secret, now)) == 401
    assert answer(b"x" * (1 << 20) + b"x", signature(body, secret, now)) == 413
    deep = b"[" * 100_000
    assert answer(deep, signature(deep, secret, now)) == 400
    assert answer(body, signature(body, secret, now), "github") == 404
    events = EventHooks(
        here.world.cloud.records,
        here.world.cloud.secrets.vault,
        here.world.cloud.events.schedules,
        here.world.cloud.timing.clock,
        lambda _: None,
    )
    off = Hooks(
        None,
        lambda _: None,
        here.world.trigger_hooks(
            lambda _: None,
        ),
        events,
    )
    assert off.receive("stripe", {}, body).status == 404
    with pytest.raises(SignatureError):
        here.provider.event(body, "t=1,v1=00")


def refuse_usage(double: StripeDouble, identifier: str, code: str) -> None:
    """Publish the report about an event of usage that was received and not accepted."""
    sample = {"error_message": code, "request": {"identifier": identifier}}
    error = {"code": code, "error_count": 1, "sample_errors": [sample]}
    event = double.account.add(
        "evt",
        "v2.core.event",
        type="v1.billing.meter.error_report_triggered",
        livemode=False,
        data={"reason": {"error_count": 1, "error_types": [error]}},
    )
    double.webhooks.send({name: value for name, value in event.items() if name != "data"})


def test_refused_usage_is_logged_and_in_the_audit_log(
    here: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    here.pay()
    account = here.records.account(ME.org)
    assert account is not None
    here.provider.report(account.customer, int(here.world.now) // 3600 * 3600, 1.0, 1.0)
    sent = here.double.received[-1]
    assert sent.startswith(f"{account.customer}.")

    refuse_usage(here.double, sent, "meter_event_customer_not_found")
    here.double.webhooks.wait()

    (logged,) = [each for each in caplog.records if each.getMessage() == REFUSED]
    assert (logged.orgs, logged.levelname) == ([ME.org], "ERROR")  # type: ignore[attr-defined]
    (entry,) = here.world.cloud.records.audit.page(ME.org, AuditParams()).entries
    assert (entry.operation, entry.subject) == ("report_usage", "meter_event_customer_not_found")
    assert list(here.records.waiting_events()) == []


def test_unavailable_stripe_is_reported_and_billing_can_be_off(here: Installation) -> None:
    here.double.away = True
    with pytest.raises(BillingUnavailableError, match="Stripe does not respond"):
        here.me._checkout()
    here.world.cloud = here.world.over()
    here.world.services = Services(here.world.cloud)
    with pytest.raises(NotFoundError, match="no billing"):
        here.me._set_limit(SpendLimit(dollars=1))


def test_double_rejects_requests_that_stripes_types_do_not_allow(here: Installation) -> None:
    client = stripe.StripeClient(here.double.key, base_addresses={"api": here.double.url}).v1

    with pytest.raises(stripe.InvalidRequestError, match="colour"):
        client.customers.create({"colour": "red"})  # type: ignore[typeddict-unknown-key]
    with pytest.raises(stripe.InvalidRequestError, match="No such customer"):
        client.billing_portal.sessions.create({"customer": "cus_none", "return_url": APP})
    assert here.provider.subscription("sub_none") is None


def test_limit_below_the_amount_takes_effect_immediately(here: Installation) -> None:
    here.pay()
    here.world.set_accrued(5.0)

    assert here.me._set_limit(SpendLimit(dollars=4.0)).suspended
    assert not here.me._set_limit(SpendLimit(dollars=None)).suspended
    assert here.me._status().status == Status.ACTIVE


def test_deleted_customer_and_unknown_status_end_the_paid_plan(here: Installation) -> None:
    here.pay()
    here.later(1)
    known = here.subscription
    here.double.account.set_status(known, "suspended_by_a_future_version")
    here.double.webhooks.wait()
    assert here.world.orgs.plan(ME.org).name == "free"

    here.later(1)
    here.double.account.set_status(known, "active")
    here.double.webhooks.wait()
    assert here.world.orgs.plan(ME.org).name == "scale"
    here.later(1)
    customer = known["customer"]
    here.double.account.objects[customer] = {"id": customer, "object": "customer", "deleted": True}
    here.double.account.cancel(known)
    here.double.webhooks.wait()

    assert here.world.orgs.plan(ME.org).name == "free"
    assert here.records.waiting_events() == []


def test_second_checkout_is_the_open_page_and_an_outdated_page_expires(here: Installation) -> None:
    first = here.me._checkout()
    assert here.me._checkout() == first

    account = here.records.account(ME.org)
    assert account is not None
    moved = here.provider.checkout(ME.org, account.customer, "https://other.example/plan")

    assert moved != first.url
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(first.url)


@pytest.mark.parametrize("first", [0, 1])
def test_second_live_subscription_is_cancelled(here: Installation, first: int) -> None:
    account = here.double.account
    here.me._checkout()
    session = account.all("checkout.session")[0]
    subscriptions = [account.subscribe(dict(session), "4242424242424242")]
    here.double.webhooks.wait()
    here.later(1)
    subscriptions.append(account.subscribe(dict(session), "4242424242424242"))
    here.double.webhooks.wait()
    here.later(1)
    account.set_status(subscriptions[first], subscriptions[first]["status"])  # a late repetition
    here.double.webhooks.wait()

    assert [each["status"] for each in subscriptions] == ["active", "canceled"]
    assert account.all("invoice") == []
    assert here.world.orgs.plan(ME.org).name == "scale"
    assert here.mails == ["Conducto: a second subscription of acme was cancelled"]
    here.run.subscriptions.refresh(ME.org)
    assert here.world.orgs.plan(ME.org).name == "scale"


def test_rotated_key_and_signing_secret_are_read_again(here: Installation) -> None:
    here.me._checkout()  # the process knows the old settings
    here.double.key = "rk_test_new"
    with pytest.raises(BillingUnavailableError, match="Stripe rejects the key"):
        here.me._checkout()
    here.settings = replace(here.settings, key="rk_test_new", webhook_secrets=("whsec_new",))
    for url in here.double.webhooks.endpoints:
        here.double.webhooks.endpoints[url] = "whsec_new"
    here.later(61)

    here.pay()

    assert set(here.answers) == {202}
    assert here.world.orgs.plan(ME.org).name == "scale"
