"""The outbox: notifications are stored with their cause, sent once and retried.

A notification is stored together with the state of its node, so neither a crash of the agent nor a
full disk loses it: the next agent sends it. If an agent is killed while it sends a notification, it
may arrive twice, because the outcome is unknown; a mail then has the same Message-ID, and GitHub
keeps one status per name.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from secrets import token_hex
from typing import Any
from weakref import WeakValueDictionary

from conducto.integrations.http import DeliveryError
from conducto_core.command.masking import Mask
from conducto_core.diagnosis.handlers import Diagnoses
from conducto_core.diagnosis.model import DiagnosisParams
from conducto_core.notifications.channels import Send, Settings, deliver
from conducto_core.notifications.messages import (
    FIRST_DELAY,
    DeliveryResult,
    RuleLookup,
    after_try,
    compose,
    dropped,
    masked,
    message_of,
    needs_diagnosis,
    with_diagnosis,
)
from conducto_core.notifications.model import DeliveryState, NotificationRecord, NotificationRule
from conducto_core.notifications.rules import RULE_CALLBACK
from conducto_core.run.model import events as ev
from conducto_core.secrets.port import SecretStoreError
from conducto_local.notifications.store import FindSettings
from conducto_local.run.live_pipeline import LivePipeline
from conducto_local.secrets.injection import SecretProvider
from conducto_local.store.port import Store, StoreFullError, UnknownPipelineError, WriteBatch

logger = logging.getLogger(__name__)

#: Number of notifications sent at the same time.
THREADS = 4
#: Seconds that a stopping agent waits for notifications that it is sending.
TIMEOUT = 16.0


@dataclass(frozen=True, slots=True)
class Channels:
    """The dependencies of an `Outbox`.

    Attributes:
        send: Sends a notification; blocks.
        settings: Returns the current addresses.
        sleep: Waits for a number of seconds.
        rules: Returns the current rules.
    """

    send: Send = deliver
    settings: FindSettings = Settings
    sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep
    rules: Callable[[], Sequence[NotificationRule]] = tuple


class Outbox:
    """All notifications of one agent.

    Attributes:
        diagnoses: Explains failures in messages; None before the agent's pipelines are open.
    """

    diagnoses: Diagnoses | None = None

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
        notification = masked(compose(live, command, time.time()), self._secrets.mask)
        live.notify(notification)
        if not self._closing:  # otherwise the next agent sends it
            self._carry_on(live.id, notification)

    def recover(self) -> None:
        for pipeline_id, notification in self._store.undelivered():
            self._carry_on(pipeline_id, notification)

    async def close(self) -> None:
        self._closing = True
        for carrier in self._carriers - self._sending:
            carrier.cancel()
        if self._carriers:
            await asyncio.wait(self._carriers, timeout=TIMEOUT)
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _carry_on(self, pipeline_id: str, notification: NotificationRecord) -> None:
        task = asyncio.get_running_loop().create_task(self._carry(pipeline_id, notification))
        self._carriers.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._carriers.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("a notification was dropped by a bug", exc_info=task.exception())

    async def _carry(self, pipeline_id: str, notification: NotificationRecord) -> None:
        """Send a notification after earlier ones of the same node and kind: the last one wins."""
        await self._saved()
        rule = str(notification.arguments.get("rule", ""))
        key = (pipeline_id, notification.about, notification.callback + rule)
        turn = self._turns.setdefault(key, asyncio.Lock())
        async with turn:
            while notification.delivery is DeliveryState.PENDING and not self._closing:
                notification, delay = await self._try(pipeline_id, notification)
                if delay is not None and not self._closing:
                    await self._channels.sleep(delay)

    async def _try(self, pipeline_id: str, notification: NotificationRecord) -> DeliveryResult:
        """Send once and store the result; return it with the delay before a retry."""
        me = asyncio.current_task()
        if me is not None:
            self._sending.add(me)  # must not be interrupted until the result is stored
        try:
            message = self._message(pipeline_id, notification)
            if message is None:
                tried = dropped(notification, time.time())
            else:
                if needs_diagnosis(notification, message):
                    message = await self._diagnosed(pipeline_id, message)
                error = await self.send_now(pipeline_id, message)
                tried = after_try(pipeline_id, notification, error, time.time())
            await self._write(pipeline_id, tried.notification)
        finally:
            if me is not None:
                self._sending.discard(me)
        return tried

    def _message(
        self, pipeline_id: str, notification: NotificationRecord
    ) -> NotificationRecord | None:
        """Return the notification to send, or None."""
        if notification.callback != RULE_CALLBACK:
            return notification
        records = self._store.records()
        record = next((record for record in records if record.id == pipeline_id), None)
        if record is None:
            return None  # it was deleted
        lookup = RuleLookup(
            rules=self._channels.rules,
            records=lambda: records,
            notifications=lambda: self._store.notifications(pipeline_id),
        )
        return message_of(notification, record, lookup)

    async def _diagnosed(self, pipeline_id: str, message: NotificationRecord) -> NotificationRecord:
        """Return a message with its diagnosis; without it if there is none."""
        if self.diagnoses is None:
            return message
        try:
            query = DiagnosisParams(id=pipeline_id, root=message.about)
            found = await self.diagnoses.get_diagnosis(query)
            return with_diagnosis(message, found, token_hex(4), self._secrets.mask)
        except Exception:
            logger.exception("a notification has no diagnosis", extra={"pipeline": pipeline_id})
            return message

    async def send_now(
        self, pipeline_id: str, notification: NotificationRecord
    ) -> DeliveryError | None:
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
            # An unexpected address or response must fail this notification, not the agent.
            logger.exception("a notification failed unexpectedly", extra={"pipeline": pipeline_id})
            return DeliveryError(mask.text(f"sending failed (details in agent.log): {error!r}"))
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
