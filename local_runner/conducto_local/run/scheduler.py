"""The scheduler: applies events to the live pipelines and executes the resulting commands.

Everything happens in one event loop. The changes of one iteration of the loop are written in one
transaction (`write_batcher`); a command starts only after its attempt is stored. `attempts` runs
the attempts, `image_waiters` builds their images, `networks` manages the networks and handles a
lost engine.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, assert_never

from conducto_core.cache.model import CacheForecast
from conducto_core.cache.views import CachedFiles
from conducto_core.programs.relaunch import AvailableImage
from conducto_core.run.model import events as ev
from conducto_core.run.model.records import AttemptRecord, PipelineRecord
from conducto_core.run.model.requests import Action, Workers
from conducto_core.run.model.states import Cause, State
from conducto_core.run.rules.outcomes import AttemptEnd, ended_record
from conducto_core.tree.model import Pipeline
from conducto_local.agent.state_dir import StateDir, installation_id
from conducto_local.cache.lookup import Caches, Waiting
from conducto_local.cache.store import SqliteCache
from conducto_local.children.channel import ChildRequest, ChildResponse, Handle
from conducto_local.engine.port import BuiltImage
from conducto_local.images.engine_images import LABEL_IMAGE_HOME
from conducto_local.images.manifests import MANIFESTS, Manifests
from conducto_local.logs.store import LogDirectory
from conducto_local.run.attempt_records import LABEL_HOME, LABEL_PIPELINE, Contexts, started_record
from conducto_local.run.attempts import AttemptDependencies, Attempts
from conducto_local.run.command import known_of
from conducto_local.run.containers import Containers
from conducto_local.run.context import EngineContext, MakeNotifier, SchedulerContext
from conducto_local.run.expansions import Expansions
from conducto_local.run.live_pipeline import ActiveAttempt, CacheInputs, LivePipeline
from conducto_local.run.networks import Networks
from conducto_local.run.snapshots import Snapshots, limits_from
from conducto_local.run.write_batcher import WriteBatcher
from conducto_local.secrets.injection import InjectedSecrets, SecretProvider
from conducto_local.store.port import Store

NoteEnd = Callable[[LivePipeline, AttemptRecord], None]


class Scheduler:
    """Runs the loaded pipelines of one agent.

    Attributes:
        live: ``{pipeline id: loaded pipeline}``.
        containers: The containers of all pipelines.
        contexts: The containers of ``new`` groups.
        networks: The networks of pipelines.
        attempts: The attempts.
        images: The images that attempts wait for.
        secrets: Provides secrets to commands.
        snapshots: Containers that are kept after a failure.
        when_settled: Each is called after an event that leaves a pipeline settled.
        when_ended: Each is called with the record of an attempt that has ended.
        notifier: Sends notifications.
        unsaved_attempts: Yields the attempts that could not be written yet.
        children: Executes requests of commands that may launch pipelines; set before any runs.
        times_of_tests: Returns the variable with the times of a program's tests; set before any
            runs.
    """

    children: Handle
    times_of_tests: Callable[[PipelineRecord], Awaitable[dict[str, str]]]

    def __init__(
        self,
        *,
        home: StateDir,
        store: Store,
        engine_contexts: Mapping[str, EngineContext],
        containers: Containers,
        secrets: SecretProvider,
        notifier: MakeNotifier,
        url: Callable[[], str] = str,
        cache: SqliteCache | None = None,
    ) -> None:
        self.when_settled: list[Callable[[LivePipeline], None]] = []
        self.when_ended: list[NoteEnd] = []
        self.containers = containers
        self.secrets = secrets
        labels = {LABEL_IMAGE_HOME: installation_id(home), LABEL_HOME: "", LABEL_PIPELINE: ""}
        self.snapshots = Snapshots(store, self.saved, limits_from(), labels)
        self.notifier = notifier(self.saved)
        self.manifests = Manifests(home.cache / MANIFESTS)
        self.cached_files = CachedFiles(home.contents)
        self._store = store
        self._common = SchedulerContext(home, engine_contexts, self.apply, self.perform, self._wake)
        self.live = self._common.live
        self.contexts = Contexts(self._common, containers)
        self.networks = Networks(self._common, containers)
        self.attempts = Attempts(
            self._common,
            AttemptDependencies(
                containers,
                self.networks,
                secrets,
                self.snapshots,
                self.saved,
                url,
                self._serve_child,
                self._times_of_tests,
                self._note_inputs,
                self.cached_files,
            ),
        )
        self._expansions = Expansions(
            self._common, self.networks, lambda: secrets.mask, self.attempts.finish
        )
        self.images = self.attempts.images
        self._caches: Caches | None = None
        if cache is not None:
            waiting = Waiting(self.images, self.cached_files, self.saved)
            self._caches = Caches(self._common, cache, self.manifests, secrets, waiting)
        self._batcher = WriteBatcher(self._common, store, self.attempts.start)
        self.unsaved_attempts = self._batcher.unsaved_attempts

    async def _serve_child(self, active: ActiveAttempt, request: ChildRequest) -> ChildResponse:
        return await self.children(active, request)

    async def _times_of_tests(self, live: LivePipeline) -> dict[str, str]:
        return await self.times_of_tests(live.record)

    def _note_inputs(
        self, active: ActiveAttempt, image: BuiltImage, secrets: InjectedSecrets
    ) -> None:
        if self._caches is not None:
            self._caches.prepared(active, image, secrets)

    async def forecast_cache(
        self,
        record: PipelineRecord,
        pipeline: Pipeline,
        images: Mapping[str, AvailableImage | None],
    ) -> Sequence[CacheForecast]:
        """Return the decisions of the cache about a tree that is not launched yet."""
        if self._caches is None:
            return ()
        return await self._caches.forecast(record, pipeline, images)

    async def trim_cache(self) -> None:
        """Delete the entries and files of the cache that are not used any more."""
        if self._caches is not None:
            await asyncio.to_thread(self._caches.trim)

    # ---- operations of the API ---------------------------------------------------------------

    def add(self, live: LivePipeline) -> None:
        self.live[live.id] = live
        live.pool_workers = lambda: self._pool_workers(live)

    def apply(self, live: LivePipeline, event: ev.Event) -> None:
        if isinstance(event, ev.Armed):
            self.images.need_all(live)
        for command in live.apply(event):
            self._execute(live, command)
        self.contexts.release(live)
        self.contexts.end_without(live, event)
        self.cool_later(live)
        self.retry_later(live)
        if live.settled():
            for notify in self.when_settled:
                notify(live)
        self._wake()

    def retry_later(self, live: LivePipeline) -> None:
        """Start the timer of the first retry that is due, if there is one."""
        if live.retry_timer is not None:
            live.retry_timer.cancel()
            live.retry_timer = None
        if live.tree.retrying:
            # The clock may be changed meanwhile.
            delay = min(max(0.0, live.tree.first_retry - time.time()), LOOK_EVERY)
            loop = asyncio.get_running_loop()
            live.retry_timer = loop.call_later(delay, lambda: self._retry_due(live))

    def _retry_due(self, live: LivePipeline) -> None:
        live.retry_timer = None
        due = live.tree.retries_due(time.time())
        if due:
            self.apply(live, ev.RetriesDue(due))
        else:
            self.retry_later(live)

    def perform(self, live: LivePipeline, action: Action, problem: str | None = None) -> None:
        """Perform an action on a whole pipeline; ``problem``: the reason for a pause."""
        for event in live.perform(action, problem):
            self.apply(live, event)

    def lose(self, live: LivePipeline, path: str, attempt: int, why: str, seen: float) -> None:
        """End an attempt whose container was lost with the agent that started it.

        Args:
            seen: The latest time at which it is known to have run.
        """
        spec = live.tree.nodes[path].spec
        known = [a for a in self._store.attempts(live.id, path) if a.number == attempt]
        active = ActiveAttempt(live, spec, attempt, spec.placement.mem, time.time(), running=True)
        active.result = AttemptEnd(message=why)
        active.record = known[-1] if known else None
        began = None if active.record is None else active.record.started
        active.ended = min(max(seen, began or 0.0), max(time.time(), began or 0.0))
        live.active_attempts[path] = active
        now = time.time()
        self.apply(live, ev.AttemptFinished(path, attempt, Cause.WORKER_LOST, time=now))

    def restart_timers(self, live: LivePipeline) -> None:
        """Restart the timers of groups that are still running after a restart, with the full limit.

        No event of such a group starts its timer.
        """
        for path, node in live.tree.nodes.items():
            limit = node.spec.max_time
            if limit is not None and node.state is State.RUNNING and path not in live.timers:
                self._start_timer(live, path, limit)

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Start a background task that the agent waits for when it stops."""
        self._common.tasks.spawn(work)

    def drop(self, pipeline_id: str) -> None:
        """Forget a pipeline, if it is loaded, without writing it: it is deleted or replaced."""
        live = self.live.get(pipeline_id)
        if live is not None:
            self._batcher.drop(live)
        self._common.forget(pipeline_id)

    def unload(self, live: LivePipeline) -> None:
        """Unload a pipeline after its changes are stored, unless it is unloaded already."""
        self._batcher.flush()
        if not self._batcher.is_unsaved(live.id) and self.live.get(live.id) is live:
            self._common.forget(live.id)

    def engine_context(self, live: LivePipeline) -> EngineContext:
        return self._common.engine_context(live)

    def logs(self, pipeline_id: str) -> LogDirectory:
        return self._common.logs(pipeline_id)

    def _pool_workers(self, live: LivePipeline) -> Workers:
        pool_workers = self.containers.pool_workers(live.id)
        machine = self.engine_context(live).dispatcher
        if machine is None:
            return pool_workers
        size, *_ = machine.size
        used = round(size - machine.cpu, 3)  # sums of fractions
        return pool_workers.model_copy(update={"cpu_used": used, "cpu": size})

    async def saved(self, *, wait: bool = True) -> None:
        """Return when everything so far is written to the store; see `WriteBatcher.saved`."""
        await self._batcher.saved(wait=wait)

    async def wait_idle(self, live: LivePipeline) -> None:
        """Return when a pipeline has no active attempts."""
        while live.active_attempts:
            await live.news(live.version)

    def cool_later(self, live: LivePipeline, seconds: float | None = None) -> None:
        """Remove a settled pipeline's network and containers after the idle time.

        A pipeline that was paused within a ``new`` group keeps both.
        """
        if live.cooling is not None:
            live.cooling.cancel()
            live.cooling = None
        if live.has_network and not live.uses_containers() and not live.kept:
            loop = asyncio.get_running_loop()
            delay = self.containers.idle_seconds if seconds is None else seconds
            live.cooling = loop.call_later(delay, self._cool, live)

    def _cool(self, live: LivePipeline) -> None:
        left = self.containers.idle_left(live.id)
        if left > 0:  # the container of a failed or cancelled group stays longer
            self.cool_later(live, left)
        else:
            self._common.tasks.spawn(self.networks.release(live))

    async def close(self) -> None:
        """Stop all commands and store the current state; the pipelines stay armed."""
        self._common.closing = True
        builds_under_way = self.images.cancel()
        for live in self.live.values():
            for timer in (*live.timers.values(), live.cooling, live.retry_timer):
                if timer is not None:
                    timer.cancel()
        stopping = [
            active.container.worker.close()
            for live in self.live.values()
            for active in live.active_attempts.values()
            if active.container is not None
        ]
        await asyncio.gather(*builds_under_way, *stopping, return_exceptions=True)
        await self._common.tasks.ended(seconds=10)
        await self.containers.close()
        self._batcher.flush()
        await self.notifier.close()
        for live in self.live.values():
            await self.networks.remove_network(live)  # even if the next agent continues it
        self._batcher.close()

    # ---- commands of the state machine -------------------------------------------------------

    def _execute(self, live: LivePipeline, command: ev.DriverCommand) -> None:
        match command:
            case ev.Enqueue():
                self._enqueue(live, command)
            case ev.RequestApproval():
                spec = live.tree.nodes[command.path].spec
                since = live.asked_before.pop(command.path, live.asked[command.path])
                live.asked[command.path] = since
                asked = ActiveAttempt(live, spec, command.attempt, spec.placement.mem, since)
                asked.actor = live.tree.requester_of(command.path)
                live.active_attempts[command.path] = asked
            case ev.Withdraw():
                self._drop(live.active_attempts.pop(command.path))
            case ev.Stop():
                self.attempts.stop(live.active_attempts[command.path])
            case ev.EndAttempt():
                self._end(live, command)
            case ev.StartTimer():
                self._start_timer(live, command.path, _left(live, command))
            case ev.CancelTimer():
                timer = live.timers.pop(command.path, None)
                if timer is not None:
                    timer.cancel()
            case ev.Notify():
                self.notifier.put(live, command)
            case _:
                assert_never(command)

    def _enqueue(self, live: LivePipeline, command: ev.Enqueue) -> None:
        spec = live.tree.nodes[command.path].spec
        size = self.engine_context(live).limits_or_none()
        mem = spec.placement.mem if command.mem is None else command.mem
        if size is not None:
            mem = min(mem, size.mem)  # a retry may request more than the machine has
            live.tree.max_mem = size.mem
        active = ActiveAttempt(live, spec, command.attempt, mem, time.time())
        active.actor = live.tree.requester_of(command.path)
        live.active_attempts[command.path] = active
        if spec.expansion is not None:
            self._common.tasks.spawn(self._expansions.run(active))
            return
        self.contexts.need(active)
        if spec.cache is None or self._caches is None:
            self._admit(live, active)
        else:
            self._common.tasks.spawn(self._decide(live, active, self._caches))

    async def _decide(self, live: LivePipeline, active: ActiveAttempt, caches: Caches) -> None:
        """End an attempt whose outcome is in the cache; admit it otherwise."""
        decision = await caches.decide(active)
        if not self._is_wanted(live, active):
            return
        reason, entry = decision.reason, decision.entry
        if entry is not None:
            end = await caches.restore(active, entry)
            if not self._is_wanted(live, active):
                return
            if isinstance(end, AttemptEnd):
                active.result = end
                path, number, now = active.spec.path, active.number, active.end()
                known = known_of(active, self.logs(live.id))
                done = ev.AttemptFinished(path, number, None, exit_code=0, time=now, known=known)
                self.apply(live, done)
                return
            reason = end
        active.cached = CacheInputs(reason)
        self._admit(live, active)

    def _is_wanted(self, live: LivePipeline, active: ActiveAttempt) -> bool:
        return not (active.gone or self._common.closing) and self.live.get(live.id) is live

    def _admit(self, live: LivePipeline, active: ActiveAttempt) -> None:
        image = self.images.need(live, active.spec.placement.image)
        if image.built is None:
            image.waiting.append(active)
        else:
            self.attempts.queue(active)

    def _end(self, live: LivePipeline, command: ev.EndAttempt) -> None:
        active = live.active_attempts.pop(command.path)
        if not active.running:
            self._drop(active)
        last = active.record or started_record(active, None, None, self.secrets.mask)
        ended = ended_record(last, command, active.result, active.end())
        if self._caches is not None:
            ended = self._caches.ended(active, ended)
            self._caches.release(active)
        live.set_attempt(ended)
        for notify in self.when_ended:
            notify(live, ended)

    def _drop(self, active: ActiveAttempt) -> None:
        self.attempts.drop(active)
        if self._caches is not None:
            self._caches.release(active)

    def _start_timer(self, live: LivePipeline, path: str, seconds: float) -> None:
        def reached() -> None:
            live.timers.pop(path, None)
            self.apply(live, ev.TimeLimitReached(path))

        live.timers[path] = asyncio.get_running_loop().call_later(seconds, reached)

    def _wake(self) -> None:
        self._batcher.wake()


def _left(live: LivePipeline, command: ev.StartTimer) -> float:
    """Return the seconds of a time limit that are left; an approval may have waited before."""
    active = live.active_attempts.get(command.path)
    if active is None or active.spec.approval is None:
        return command.seconds
    return max(0.0, command.seconds - (time.time() - active.queued))


# ----------------------------------------------------------------------------------------
# Pipelines that start at a given time.


#: Maximum seconds between two checks of the time, because clocks may be changed.
LOOK_EVERY = 60.0


class ScheduledStarts:
    """The timers of pipelines that start later."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def set(self, live: LivePipeline, when: float) -> None:
        """Run a pipeline at ``when``, in seconds since the epoch."""
        delay = min(max(0.0, when - time.time()), LOOK_EVERY)
        loop = asyncio.get_running_loop()
        self._timers[live.id] = loop.call_later(delay, lambda: self._start_due(live, when))

    def cancel(self, live: LivePipeline) -> None:
        timer = self._timers.pop(live.id, None)
        if timer is not None:
            timer.cancel()
            live.set_record(run_at=None)

    def _start_due(self, live: LivePipeline, when: float) -> None:
        if time.time() < when:  # not yet, or the clock was changed meanwhile
            self.set(live, when)
            return
        self._timers.pop(live.id, None)
        self._scheduler.perform(live, Action.RUN)
