"""Notifications on their way: written down with what they tell of, sent once, tried again.

A notification is in the store from the moment that its node's state is, so neither the agent's
death nor a full disk loses it: the next agent sends what was not sent. One that an agent was just
sending when it was killed may arrive twice, since nobody can know whether it did; a mail then
bears the same Message-ID, and GitHub keeps one status of a name.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

from conducto.integrations.http import DeliveryError
from conducto_core.model.notifications import DeliveryState, NotificationRecord
from conducto_core.notifications.channels import Send, deliver
from conducto_core.notifications.delivery import FIRST_DELAY, DeliveryResult, after_try
from conducto_core.notifications.messages import compose, masked
from conducto_core.notifications.settings import Settings
from conducto_core.ports.secret_store import SecretStoreError
from conducto_core.runtime.masking import Mask
from conducto_core.semantics import events as ev
from conducto_local.notify.settings import FindSettings
from conducto_local.scheduling.live_pipeline import LivePipeline
from conducto_local.secrets.injection import SecretProvider
from conducto_local.store.errors import StoreFullError, UnknownPipelineError
from conducto_local.store.port import Store, WriteBatch

logger = logging.getLogger(__name__)

#: Sent at the same time.
THREADS = 4
#: Seconds that an agent which stops waits for those that it is just sending.
TIMEOUT = 16.0


@dataclass(frozen=True, slots=True)
class Channels:
    """What an `Outbox` works with.

    Attributes:
        send: Sends one; blocks.
        settings: Finds where to.
        sleep: Waits so many seconds.
    """

    send: Send = deliver
    settings: FindSettings = Settings
    sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep


class Outbox:
    """Every notification of one agent.

    Args:
        store: Holds them.
        saved: Returns when everything that happened has been written to it.
        secrets: Hold the tokens.
        ways: How they are sent.
    """

    def __init__(
        self,
        store: Store,
        saved: Callable[[], Awaitable[None]],
        secrets: SecretProvider,
        channels: Channels,
    ) -> None:
        self._store = store
        self._saved = saved
        self._secrets = secrets
        self._channels = channels
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="notify")
        self._carriers: set[asyncio.Task[None]] = set()
        self._sending: set[asyncio.Task[Any]] = set()
        self._turns: WeakValueDictionary[tuple[str, str, str], asyncio.Lock] = WeakValueDictionary()
        self._closing = False

    def put(self, live: LivePipeline, command: ev.Notify) -> None:
        """Note a notification down with what happened, and send it soon; returns at once."""
        if command.path not in live.tree.nodes:  # its tree went by the same event
            return
        told = compose(live, command.path, command.state, command.callback, time.time())
        notification = masked(told, self._secrets.mask)
        live.notify(notification)
        if not self._closing:  # else the next agent sends it
            self._carry_on(live.id, notification)

    def recover(self) -> None:
        """Send what earlier agents could not."""
        for pipeline_id, notification in self._store.undelivered():
            self._carry_on(pipeline_id, notification)

    async def close(self) -> None:
        """Finish what is just being sent; the rest stays in the store."""
        self._closing = True
        for carrier in self._carriers - self._sending:
            carrier.cancel()
        if self._carriers:
            await asyncio.wait(self._carriers, timeout=TIMEOUT)
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _carry_on(self, pipeline_id: str, notification: NotificationRecord) -> None:
        task = asyncio.get_running_loop().create_task(self._carry(pipeline_id, notification))
        self._carriers.add(task)
        task.add_done_callback(self._landed)

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._carriers.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("a notification was dropped by a bug", exc_info=task.exception())

    async def _carry(self, pipeline_id: str, notification: NotificationRecord) -> None:
        """Send a notification after those of the same node and kind, so that the last one holds."""
        await self._saved()
        key = (pipeline_id, notification.about, notification.callback)
        turn = self._turns.setdefault(key, asyncio.Lock())
        async with turn:
            while notification.delivery is DeliveryState.PENDING and not self._closing:
                notification, delay = await self._try(pipeline_id, notification)
                if delay is not None and not self._closing:
                    await self._channels.sleep(delay)

    async def _try(self, pipeline_id: str, notification: NotificationRecord) -> DeliveryResult:
        """Try once and write down how it went; with seconds to wait if it is tried again."""
        me = asyncio.current_task()
        if me is not None:
            self._sending.add(me)  # from here to what is written down nobody must interrupt
        try:
            error = await self._send(pipeline_id, notification)
            tried = after_try(pipeline_id, notification, error, time.time())
            await self._write(pipeline_id, tried.notification)
        finally:
            if me is not None:
                self._sending.discard(me)
        return tried

    async def _send(
        self, pipeline_id: str, notification: NotificationRecord
    ) -> DeliveryError | None:
        """Return why it could not be sent, without the value of a secret, or None."""
        mask = Mask(())
        try:
            delivery = await self._secrets.delivery()
            mask = Mask(delivery.env.values())
            settings = self._channels.settings()
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(
                self._threads,
                self._channels.send,
                pipeline_id,
                notification,
                settings,
                delivery.env,
            )
        except DeliveryError as error:
            return DeliveryError(
                mask.text(str(error)), temporary=error.temporary, after=error.after
            )
        except SecretStoreError as error:
            return DeliveryError(str(error), temporary=True)
        except Exception as error:
            # A strange address or answer must end this notification, not the agent.
            logger.exception("a notification failed", extra={"pipeline": pipeline_id})
            return DeliveryError(mask.text(f"it cannot be sent, see agent.log: {error!r}"))
        return None

    async def _write(self, pipeline_id: str, notification: NotificationRecord) -> None:
        while True:
            try:
                self._store.save(pipeline_id, WriteBatch(notifications=[notification]))
            except StoreFullError:
                if self._closing:
                    return
                await self._channels.sleep(FIRST_DELAY)
            except UnknownPipelineError:
                return  # it was deleted meanwhile
            else:
                return
