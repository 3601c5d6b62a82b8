"""The scheduler's port for notifications; `conducto_local.notify.outbox.Outbox` implements it."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from conducto_core.semantics import events as ev
from conducto_local.scheduling.live_pipeline import LivePipeline


class Notifier(Protocol):
    """Sends notifications, each once, including those of earlier agents."""

    def put(self, live: LivePipeline, command: ev.Notify) -> None:
        """Record a notification together with its cause and send it soon; return at once."""

    def recover(self) -> None:
        """Send the pending notifications of earlier agents."""

    async def close(self) -> None:
        """Finish those that are being sent; the rest stays in the store."""


#: Makes a notifier; the argument waits until all changes so far are in the store.
MakeNotifier = Callable[[Callable[[], Awaitable[None]]], Notifier]
