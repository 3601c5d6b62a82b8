"""The port through which the scheduler sends notifications."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from conducto.integrations.http import DeliveryError
from conducto_core.model.notifications import NotificationRecord
from conducto_core.semantics import events as ev
from conducto_local.scheduling.live_pipeline import LivePipeline


class Notifier(Protocol):
    """Sends notifications, each once, including those of earlier agents.

    `conducto_local.notify.outbox.Outbox` implements it.
    """

    def put(self, live: LivePipeline, command: ev.Notify) -> None:
        """Record a notification together with its cause and send it soon; return at once."""

    def recover(self) -> None:
        """Send the pending notifications of earlier agents."""

    async def send_now(
        self, pipeline_id: str, notification: NotificationRecord
    ) -> DeliveryError | None:
        """Send a notification once; return the error, without values of secrets, or None."""

    async def close(self) -> None:
        """Finish those that are being sent; the rest stays in the store."""


#: Makes a notifier; the argument waits until all changes so far are in the store.
MakeNotifier = Callable[[Callable[[], Awaitable[None]]], Notifier]
