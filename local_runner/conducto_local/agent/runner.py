"""The local runner, assembled from its parts."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from conducto_core.events.handlers import EventOperations
from conducto_core.installation.model import GcReport, GcRequest
from conducto_local.agent.files import AgentFiles
from conducto_local.agent.state_dir import StateDir
from conducto_local.engine.factory import open_engines
from conducto_local.events.handlers import LocalHooks
from conducto_local.events.watch import DirectoryWatch
from conducto_local.notifications.alerts import Alerts
from conducto_local.notifications.outbox import Channels, Outbox
from conducto_local.notifications.store import CommandAddresses, RulesFile, settings_of
from conducto_local.programs.handlers import ScheduledScripts
from conducto_local.run import pipelines as pipeline_loader
from conducto_local.run.clock import Clock
from conducto_local.run.containers import IDLE_SECONDS, Containers
from conducto_local.run.context import EngineContext
from conducto_local.run.handlers import LocalPipelines
from conducto_local.run.retention import RetentionScheduler
from conducto_local.run.scheduler import Scheduler
from conducto_local.schedules.handlers import LocalScheduleCaller, LocalScheduleTarget, OneAtATime
from conducto_local.schedules.timer import ScheduleTimer
from conducto_local.secrets.injection import SecretProvider
from conducto_local.secrets.store import LocalSecrets
from conducto_local.store.sqlite import SqliteStore
from conducto_local.telemetry.exporter import Telemetry, collector_of


@dataclass(frozen=True, slots=True)
class Runner:
    """The parts that are open while an agent runs.

    Attributes:
        keeper: Archives and deletes inactive pipelines.
    """

    pipelines: LocalPipelines
    keeper: RetentionScheduler
    timer: ScheduleTimer
    watch: DirectoryWatch
    alerts: Alerts
    telemetry: Telemetry
    scheduler: Scheduler
    store: SqliteStore
    engine_contexts: Mapping[str, EngineContext]

    async def close(self) -> None:
        await self.alerts.close()
        await self.watch.close()
        await self.timer.close()
        await self.pipelines.close()
        await self.keeper.close()
        await self.scheduler.close()
        await self.telemetry.close()
        for engine_context in self.engine_contexts.values():
            await engine_context.engine.close()
        self.store.close()


@asynccontextmanager
async def open_runner(
    home: StateDir,
    *,
    idle_seconds: float = IDLE_SECONDS,
    env: Mapping[str, str] | None = None,
) -> AsyncIterator[LocalPipelines]:
    async with open_parts(home, idle_seconds=idle_seconds, env=env) as runner:
        yield runner.pipelines


@asynccontextmanager
async def open_parts(
    home: StateDir,
    *,
    idle_seconds: float = IDLE_SECONDS,
    env: Mapping[str, str] | None = None,
    channels: Channels | None = None,
    clock: Clock | None = None,
) -> AsyncIterator[Runner]:
    """Open a profile's store and engines, continue its active pipelines, and yield the parts.

    On exit, running commands are stopped and their containers removed; the pipelines stay armed.

    Args:
        idle_seconds: Seconds after which an idle container is removed.
        env: Environment with ``DOCKER_HOST``; None for the process's own.
        channels: Channels for notifications; None for those of the profile.
        clock: Measures the idle time of pipelines; None for the machine's clocks.
    """
    home.make()
    pipeline_loader.check_store(home)
    store = SqliteStore.open(home.store)
    containers = Containers(idle_seconds=idle_seconds)
    runner = _runner(home, store, containers, env=env, channels=channels, clock=clock)
    try:
        await runner.pipelines.recover()
        runner.scheduler.notifier.recover()
        runner.keeper.begin()
        runner.timer.begin()
        runner.watch.begin()
        runner.alerts.begin()
        runner.telemetry.begin()
        yield runner
    finally:
        await runner.close()


def collect_without_agent(home: StateDir, request: GcRequest) -> GcReport | None:
    """Free the resources that no live pipeline needs, also on a full disk; None: an agent runs.

    Raises:
        StoreError: The store cannot be read.
        OSError: The state directory cannot be used.
    """

    async def collect() -> GcReport:
        store = SqliteStore.open(home.store, for_reading=True)
        runner = _runner(home, store, Containers())
        try:
            return await runner.pipelines.collect_garbage(request)
        finally:
            await runner.close()

    with AgentFiles(home.agent).held_by_agent() as is_ours:
        return asyncio.run(collect()) if is_ours else None


def _runner(
    home: StateDir,
    store: SqliteStore,
    containers: Containers,
    *,
    env: Mapping[str, str] | None = None,
    channels: Channels | None = None,
    clock: Clock | None = None,
) -> Runner:
    engine_contexts = open_engines(home, env)
    secrets = SecretProvider(LocalSecrets(home), CommandAddresses(home))
    channels = Channels(settings=lambda: settings_of(home)) if channels is None else channels
    channels = replace(channels, rules=RulesFile(home.notification_rules).all)
    scheduler = Scheduler(
        home=home,
        store=store,
        engine_contexts=engine_contexts,
        containers=containers,
        secrets=secrets,
        notifier=lambda saved: Outbox(store, saved, secrets, channels),
        url=AgentUrl(AgentFiles(home.agent)).now,
        cache=store.cache,
    )
    pipelines = LocalPipelines(
        home=home,
        store=store,
        engine_contexts=engine_contexts,
        scheduler=scheduler,
    )
    scheduler.notifier.diagnoses = pipelines
    pipelines.cache = store.cache
    keeper = RetentionScheduler(home, store, scheduler, pipelines, clock)
    timer, watch = _schedule_timer(home, store, scheduler, pipelines, clock)
    alerts = Alerts(scheduler, store, channels.rules)
    collector = collector_of(home, os.environ if env is None else env)
    url = AgentUrl(AgentFiles(home.agent)).now
    limits = next(iter(engine_contexts.values())).table
    telemetry = Telemetry(scheduler, store, collector, pipelines.get_activity, limits, url=url)
    pipelines.metrics = telemetry.points
    return Runner(
        pipelines, keeper, timer, watch, alerts, telemetry, scheduler, store, engine_contexts
    )


def _schedule_timer(
    home: StateDir,
    store: SqliteStore,
    scheduler: Scheduler,
    pipelines: LocalPipelines,
    clock: Clock | None,
) -> tuple[ScheduleTimer, DirectoryWatch]:
    target = LocalScheduleTarget(pipelines, ScheduledScripts(home))
    wall = (Clock() if clock is None else clock).wall
    runner = OneAtATime(store.schedules, target, wall)
    timer = ScheduleTimer(runner, scheduler, clock)
    files = AgentFiles(home.agent)
    hooks = LocalHooks(files, store.schedules, wall, timer.wake, AgentUrl(files).now)
    caller = LocalScheduleCaller(pipelines, timer.wake, hooks)
    pipelines.schedules, pipelines.hooks = EventOperations(runner, caller), hooks
    return timer, DirectoryWatch(store.schedules, hooks.intake, timer.wake)


class AgentUrl:
    """The URL of this profile's agent, cached because every command needs it.

    The file is written after the first commands may run, and replaces that of an earlier agent.
    """

    def __init__(self, files: AgentFiles) -> None:
        self._files = files
        self._version: tuple[int, int] | None = None
        self._url = ""

    def now(self) -> str:
        """Return the URL; empty if no agent is running."""
        version = self._files.state_version()
        if version != self._version:
            state = None if version is None else self._files.read_state()
            self._version, self._url = version, "" if state is None else state.url
        return self._url
