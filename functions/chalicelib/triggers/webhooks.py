"""Webhooks: the only route without the authorizer. The signature of the body authorizes.

An event is stored before it is confirmed, and processed by another function: a lost invocation is
repeated by the schedule. Senders get 202 also for events that change nothing, because some disable
a webhook after an error.
"""

import json
import logging
from collections.abc import Callable, Mapping

from chalicelib.api.dispatch import RULES
from chalicelib.billing.port import SignatureError
from chalicelib.billing.store import BillingPorts
from chalicelib.events.handlers import SEPARATOR as EVENT_SEPARATOR
from chalicelib.events.handlers import EventHooks
from chalicelib.triggers.triggers import SEPARATOR, TriggerHooks
from conducto_core.api import problems
from conducto_core.api.dispatch import Response, Service
from conducto_core.errors import NotFoundError
from conducto_core.triggers.rules.providers import SignatureError as WebhookSignatureError

logger = logging.getLogger(__name__)

#: Maximum bytes of a body.
MAX_BODY = 1 << 20
#: Name of the payment provider's webhook in its path.
BILLING_HOOK = "stripe"
_SIGNATURE = "stripe-signature"


class Hooks:
    """Receives webhooks.

    Args:
        billing: None: the installation has no billing.
        invoke: Starts the function that processes an event, by the event's id.
        triggers: Receives the webhooks of git triggers.
        events: Receives those of triggers by events.
    """

    def __init__(
        self,
        billing: BillingPorts | None,
        invoke: Callable[[str], None],
        triggers: TriggerHooks,
        events: EventHooks,
    ) -> None:
        self._billing = billing
        self._invoke = invoke
        self._triggers = triggers
        self._events = events

    def receive(self, name: str, headers: Mapping[str, str], body: bytes) -> Response:
        """Store an event and start its processing; headers have lower-case names."""
        try:
            self._receive(name, headers, body)
        except Exception as error:  # noqa: BLE001  every error becomes a response
            return Service(rules=RULES).refusal(error)
        return Response(202, "application/json", json.dumps({"received": True}).encode())

    def _receive(self, name: str, headers: Mapping[str, str], body: bytes) -> None:
        if len(body) > MAX_BODY:
            raise problems.too_large(MAX_BODY)
        if SEPARATOR in name:
            self._receive_trigger(name, headers, body)
        else:
            self._receive_billing(name, headers, body)

    def _receive_trigger(self, name: str, headers: Mapping[str, str], body: bytes) -> None:
        receiver = self._events if EVENT_SEPARATOR in name else self._triggers
        try:
            receiver.receive(name, headers, body)
        except WebhookSignatureError as error:
            raise problems.unsigned(str(error)) from error

    def _receive_billing(self, name: str, headers: Mapping[str, str], body: bytes) -> None:
        if self._billing is None or name != BILLING_HOOK:
            raise NotFoundError(f"no webhook {name!r}")
        try:
            event = self._billing.provider.event(body, headers.get(_SIGNATURE, ""))
        except SignatureError as error:
            raise problems.unsigned(str(error)) from error
        if not self._billing.records.note_event(event):
            return  # it is processed already, or will be by the schedule
        try:
            self._invoke(event.id)
        except Exception:
            # The schedule processes the event within a minute.
            logger.exception("an event waits for the schedule", extra={"event": event.id})
