"""Signed events of the double: delivered once, twice, in another order, late, or forged."""

import hmac
import json
import queue
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from enum import Enum, auto
from hashlib import sha256
from typing import Any

#: Seconds between two attempts to deliver an event, in the emulator.
RETRY_SECONDS = (0.2, 1.0, 5.0)
_TIMEOUT = 30.0


class WebhookDelivery(Enum):
    """How events are delivered."""

    ONCE = auto()
    TWICE = auto()
    REORDERED = auto()
    """Each event after the next one."""
    LATE = auto()
    """Only by `Webhooks.flush`."""
    FORGED = auto()
    """Before each event, one with a wrong signature."""
    LOST = auto()


def signature(body: bytes, secret: str, moment: float) -> str:
    """Return the header ``Stripe-Signature`` of a body."""
    signed = f"{int(moment)}.".encode() + body
    return f"t={int(moment)},v1={hmac.new(secret.encode(), signed, sha256).hexdigest()}"


class Webhooks:
    """Delivers events to the registered endpoints, in a thread.

    Attributes:
        mode: How events are delivered.
        endpoints: ``{URL: signing secret}``.
        answers: ``(event id, status)`` of the deliveries; 0 if nothing listens.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.mode = WebhookDelivery.ONCE
        self.endpoints: dict[str, str] = {}
        self.answers: list[tuple[str, int]] = []
        self._clock = clock
        self._held: list[Mapping[str, Any]] = []
        self._queue: queue.Queue[tuple[str, bytes, str, str] | None] = queue.Queue()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True, name="stripe-webhooks")
        self._thread.start()

    def send(self, event: Mapping[str, Any]) -> None:
        """Deliver an event as `mode` says."""
        match self.mode:
            case WebhookDelivery.LOST:
                return
            case WebhookDelivery.LATE:
                self._held.append(event)
            case WebhookDelivery.REORDERED:
                if not self._held:
                    self._held.append(event)
                    return
                self._put(event)
                self.flush()
            case WebhookDelivery.TWICE:
                self._put(event)
                self._put(event)
            case WebhookDelivery.FORGED:
                self._put({**event, "id": f"{event['id']}_forged"}, forged=True)
                self._put(event)
            case WebhookDelivery.ONCE:
                self._put(event)

    def flush(self) -> None:
        """Deliver the events that are held back."""
        held, self._held = self._held, []
        for event in held:
            self._put(event)

    def wait(self) -> None:
        """Wait until every event was delivered or given up."""
        self._queue.join()

    def close(self) -> None:
        self._stopped.set()
        self._queue.put(None)
        self._thread.join()

    def _put(self, event: Mapping[str, Any], *, forged: bool = False) -> None:
        body = json.dumps(event).encode()
        for url, secret in self.endpoints.items():
            self._queue.put((url, body, "whsec_forged" if forged else secret, str(event["id"])))

    def _work(self) -> None:
        while (delivery := self._queue.get()) is not None:
            self._deliver(*delivery)
            self._queue.task_done()

    def _deliver(self, url: str, body: bytes, secret: str, event_id: str) -> None:
        for pause in (*RETRY_SECONDS, None):
            status = self._post(url, body, secret)
            self.answers.append((event_id, status))
            retried = status == 0 or status >= 500  # noqa: PLR2004  (server errors)
            if not retried or pause is None or self._stopped.wait(pause):
                return

    def _post(self, url: str, body: bytes, secret: str) -> int:
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": signature(body, secret, self._clock()),
        }
        request = urllib.request.Request(url, body, headers)  # noqa: S310  (a registered URL)
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:  # noqa: S310
                return int(response.status)
        except urllib.error.HTTPError as error:
            return int(error.code)
        except OSError:
            return 0
