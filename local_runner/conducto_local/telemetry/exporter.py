"""Sends the spans and metrics of this machine's pipelines to an OpenTelemetry collector.

::

    [telemetry]                                in ~/.conducto/<profile>/config
    otlp_endpoint = http://127.0.0.1:4318      or OTEL_EXPORTER_OTLP_ENDPOINT
    otlp_headers = x-team=abc,x-key=def        or OTEL_EXPORTER_OTLP_HEADERS
"""

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from conducto.api.config import Config
from conducto_core.activity.model import Activity, ActivityParams
from conducto_core.limits.rules import LimitTable
from conducto_core.run.model.records import AttemptRecord
from conducto_core.run.rules.live_nodes import LiveExec
from conducto_core.telemetry.rules.metrics import Counting, Point, gauges_of
from conducto_core.telemetry.rules.spans import BATCH, Run, batches, read_headers, run_of, spans_of
from conducto_local.agent.state_dir import StateDir
from conducto_local.run.live_pipeline import LivePipeline
from conducto_local.run.scheduler import Scheduler
from conducto_local.store.port import Store

if TYPE_CHECKING:
    from conducto_core.telemetry.otlp import OtlpSender

logger = logging.getLogger(__name__)

SECTION = "telemetry"
#: Runs that wait to be sent; more are dropped.
MAX_RUNS = 100
#: Milliseconds between two sends of metrics, unless the standard variable says.
METRICS_EVERY = 60_000
#: Seconds that the end of an agent waits for the collector.
CLOSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Collector:
    """The address of a collector.

    Attributes:
        endpoint: None: the exporter reads the standard variables.
        headers: The same.
    """

    endpoint: str | None = None
    headers: Mapping[str, str] | None = field(default=None, repr=False)


def collector_of(home: StateDir, env: Mapping[str, str] = os.environ) -> Collector | None:
    """Return the collector; None without one. The environment has precedence."""
    if env.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    if any(env.get(f"OTEL_EXPORTER_OTLP_{each}ENDPOINT") for each in ("", "TRACES_", "METRICS_")):
        return Collector()
    file = Config.get_profile_config(home.profile)
    endpoint = file.get(SECTION, "otlp_endpoint", fallback="")
    if not endpoint:
        return None
    headers = read_headers(file.get(SECTION, "otlp_headers", fallback=""))
    return Collector(endpoint, headers or None)


class Telemetry:
    """Sends each run of a pipeline after its end, from a thread of its own.

    Commands never wait for it: runs that do not fit into the queue, and those that the collector
    does not take, are dropped. The first failure is logged, then the next success.

    Args:
        scheduler: It reports the ends of attempts and of runs.
        store: It has the attempts.
        collector: None: nothing is sent.
        activity: Returns the commands that run and wait.
        limits: The named limits.
        url: Returns the address of the agent, or "".
    """

    def __init__(
        self,
        scheduler: Scheduler,
        store: Store,
        collector: Collector | None,
        activity: Callable[[ActivityParams], Awaitable[Activity]],
        limits: LimitTable,
        *,
        url: Callable[[], str] = str,
    ) -> None:
        self._scheduler, self._store, self._collector = scheduler, store, collector
        self._activity, self._limits, self._url = activity, limits, url
        self._counting = Counting(time.time())
        self._sender: OtlpSender | None = None
        self._changed: set[str] = set()
        self._runs: asyncio.Queue[Run] = asyncio.Queue(MAX_RUNS)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="telemetry")
        self._task: asyncio.Task[None] | None = None
        self._failed = False
        scheduler.when_ended.append(self._attempt_ended)
        scheduler.when_settled.append(self._settled)

    def begin(self) -> None:
        """Send from now on."""
        if self._collector is not None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Send the runs in the queue, for a short time."""
        if self._task is None:
            return
        try:
            await asyncio.wait_for(self._runs.join(), 0.0 if self._failed else CLOSE_SECONDS)
        except TimeoutError:
            self._fail("the agent stopped before its collector responded")
        self._task.cancel()
        if self._sender is not None:
            self._sender.close()
        await asyncio.gather(self._task, return_exceptions=True)
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def points(self) -> list[Point]:
        """Return the current values of all instruments."""
        gauges = gauges_of(
            await self._activity(ActivityParams()), self._limits.all_holders(), time.time()
        )
        return [*gauges, *self._counting.points()]

    def _attempt_ended(self, live: LivePipeline, attempt: AttemptRecord) -> None:
        self._changed.add(live.id)
        self._counting.add_attempt(attempt, charged=False)

    def _settled(self, live: LivePipeline) -> None:
        if live.id not in self._changed:
            return
        self._changed.discard(live.id)
        record = live.record.model_copy(update={"status": live.status()})
        groups = {
            node.path: node.state
            for node in live.tree.nodes.values()
            if not isinstance(node, LiveExec)
        }
        url = self._url()
        page = f"{url}/p/{live.id}" if url else ""
        run = run_of(record, live.activity.rounds, groups, url=page)
        if run is None:
            return
        self._counting.add_run(run)
        if self._collector is None:
            return
        try:
            self._runs.put_nowait(run)
        except asyncio.QueueFull:
            self._fail(f"{MAX_RUNS} runs wait to be sent; the spans of {live.id} are dropped")

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._send_runs())
            tasks.create_task(self._send_metrics())

    async def _send_metrics(self) -> None:
        seconds = float(os.environ.get("OTEL_METRIC_EXPORT_INTERVAL") or METRICS_EVERY) / 1000
        while True:
            await asyncio.sleep(seconds)
            try:
                points = await self.points()
                sent = partial(self._send_points, points, time.time())
                await asyncio.get_running_loop().run_in_executor(self._thread, sent)
            except Exception as error:  # noqa: BLE001  the next ones may be sent
                self._fail(f"{type(error).__name__}: {error}")

    def _send_points(self, points: Sequence[Point], now: float) -> None:
        """Send values; called in the thread."""
        self._sender = self._sender or self._opened()
        self._record_result(self._sender.points(points, self._counting.since, now))

    async def _send_runs(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            run = await self._runs.get()
            try:
                await self._scheduler.saved(wait=False)
                await loop.run_in_executor(self._thread, self._send, run)
            except Exception as error:  # noqa: BLE001  the next run may be sent
                self._fail(f"{type(error).__name__}: {error}")
            finally:
                self._runs.task_done()

    def _send(self, run: Run) -> None:
        """Send the spans of a run; called in the thread."""
        sender = self._sender = self._sender or self._opened()
        spans = spans_of(run, self._store.attempts(run.record.id))
        for batch in batches(spans, BATCH):
            if not self._record_result(sender.spans(batch)):
                return

    def _record_result(self, sent: bool) -> bool:
        if not sent:
            self._fail("the collector did not take it")
        elif self._failed:
            self._failed = False
            logger.info("the collector takes telemetry again")
        return sent

    def _opened(self) -> "OtlpSender":
        from conducto_core.telemetry.otlp import OtlpSender  # noqa: PLC0415  an extra

        collector = self._collector or Collector()
        return OtlpSender(collector.endpoint, collector.headers)

    def _fail(self, why: str) -> None:
        if not self._failed:
            more = "further failures are not logged until it works again"
            logger.warning("telemetry was not sent", extra={"why": why, "note": more})
        self._failed = True
