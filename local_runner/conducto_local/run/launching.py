"""Launches of pipelines, and their recovery after a restart of the agent."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

from conducto_core.api.serve import serves
from conducto_core.children.rules import check_count
from conducto_core.programs.memory import MemoryOfPrograms
from conducto_core.programs.model import ContinuePlan, ContinueRequest
from conducto_core.remote.model import LINK_TAG
from conducto_core.run import operations, views
from conducto_core.run.launching import TRIED_IDS, ids_for, is_of_launch, new_record
from conducto_core.run.model import events as ev
from conducto_core.run.model.params import PipelineParams
from conducto_core.run.model.records import Lifecycle, ParentAttempt, PipelineRecord
from conducto_core.run.model.requests import Action, LaunchRequest, PipelineSummary
from conducto_core.secrets.rules import SET_PART, check_set_exists, set_of
from conducto_core.tree.model import Pipeline, pack_form
from conducto_core.tree.rules.resolve import resolve
from conducto_local.agent.state_dir import installation_id
from conducto_local.approvals.handlers import DECIDER
from conducto_local.data.buckets import check_buckets
from conducto_local.programs.continuation import Continuations
from conducto_local.run import pipelines as pipeline_loader
from conducto_local.run.access import LocalAccess
from conducto_local.run.admission import check_nodes
from conducto_local.run.live_pipeline import LivePipeline
from conducto_local.store.port import DamagedError, StoreError, StoreFullError

logger = logging.getLogger(__name__)

#: Parts of a launch form that the record of the pipeline has, too.
_OF_RECORD = ("commits", SET_PART)
_RESTARTED = "the agent was stopped while this ran"


@dataclass(frozen=True, slots=True)
class Origin:
    """The command that launches a pipeline.

    Attributes:
        check: Raises `DefinitionError` unless the command may launch the pipeline.
    """

    parent: ParentAttempt
    check: Callable[[Pipeline], None]


class LocalLaunches(LocalAccess, MemoryOfPrograms):
    """Launches and recovery."""

    def most_memory(self, engine: str = "docker") -> float | None:
        """Return the GB of the machine; None before its engine was opened."""
        limits = self._engine_contexts[engine].limits_or_none()
        return None if limits is None else limits.mem

    async def recover(self) -> None:
        """Load the pipelines that were active when the last agent stopped, and continue them.

        Their running attempts lost their containers: they are marked as lost and never rerun
        silently.
        """
        active = [r for r in self._store.records() if r.lifecycle is Lifecycle.ACTIVE]
        for engine in dict.fromkeys(record.engine for record in active):
            self._scheduler.networks.tidy(self._engine_contexts[engine])
        for record in active:
            if not record.status.settled or record.run_at is not None:
                self._resume(record)
        for pipeline_id, cause in self._store.damaged().items():
            logger.error("pipeline set aside", extra={"pipeline": pipeline_id, "why": cause})

    def _resume(self, record: PipelineRecord) -> None:
        """Load and continue a pipeline; set it aside if it is damaged."""
        try:
            live = self._cache.load(record)
        except DamagedError:
            return
        try:
            lost = pipeline_loader.interrupted(live)
            written = self._scheduler.logs(live.id).attempts_of(path for path, _ in lost)
            seen = {at: max(written.get(at[0], {}).get(at[1], 0.0), record.touched) for at in lost}
            live.ran_until(max(seen.values(), default=0.0))
            for (path, attempt), time in seen.items():
                self._scheduler.lose(live, path, attempt, _RESTARTED, time)
            if record.armed:
                self._scheduler.apply(live, ev.Armed())
            elif record.run_at is not None:
                self._start_times.set(live, record.run_at)
            self._scheduler.restart_timers(live)
        except Exception as error:
            if isinstance(error, StoreError) and not isinstance(error, DamagedError):
                raise
            # As in `PipelineCache.load`: the other pipelines must continue.
            self._cache.put_aside(record.id, error)

    @serves(operations.LAUNCH)
    async def launch(
        self,
        request: LaunchRequest,
        key: str | None = None,
        *,
        repeated: bool = False,
        origin: Origin | None = None,
    ) -> PipelineSummary:
        """Validate, resolve, store and (if requested) run a pipeline. Clears the request's tree."""
        found = self.launched_with(key, request.owner) if repeated else None
        if found is not None:
            if request.run:
                await self.begin_interrupted(found)
            await self._scheduler.saved(wait=False)
            return views.summary(self.live(found))
        self._store.check_room()
        engine_context = self._engine_contexts[request.engine]
        await engine_context.open()
        await self.add_memory(request)
        await self._check_set(request)
        pipeline, definition = await asyncio.to_thread(_take_tree, request)
        check_nodes(pipeline.nodes, engine_context.limits())
        check_buckets(pipeline.execs(), self._home)
        if origin is not None:
            self._check_origin(origin, pipeline)
        taken, home = self._store.ids(), self._home
        free = (one for one in self._ids_for(key) if one not in taken)
        chosen = next(one for one in free if not home.pipeline(one).root.exists())
        parent = None if origin is None else origin.parent
        rules = await asyncio.to_thread(self.rule_store().all)
        if origin is None and DECIDER.get() is not None:
            # Stored with the pipeline: a crash before the response does not hide its origin.
            request = request.model_copy(update={"tags": (*request.tags, LINK_TAG)})
        record = new_record(chosen, request, pipeline, parent=parent, rules=rules)
        self._home.make_pipeline(record.id)
        live = pipeline_loader.begin(record, pipeline)
        self._store.create(live.record, definition)
        pipeline_loader.write_recovery_files(self._home, live.record, definition)
        self._scheduler.add(live)
        self._begin(live, run=request.run, run_at=request.run_at)
        self._scheduler.spawn(self._cache.evict(but=live))
        with suppress(StoreFullError):  # it exists, and its problem is in the response
            await self._scheduler.saved(wait=False)  # before the response, so that it is durable
        return views.summary(live)

    async def _check_set(self, request: LaunchRequest) -> None:
        """Check the set of secrets that a launch names; raises `RefusedError`."""
        secret_set = set_of(request.tree)
        if secret_set:
            names = await asyncio.to_thread(self._scheduler.secrets.store.read)
            check_set_exists(secret_set, names)

    def _check_origin(self, origin: Origin, pipeline: Pipeline) -> None:
        origin.check(pipeline)
        check_count(origin.parent, sum(r.parent == origin.parent for r in self._store.records()))

    def _ids_for(self, key: str | None) -> Iterator[str]:
        """Yield ids for a key; profiles on one engine must not share names of networks."""
        return ids_for(None if key is None else f"{installation_id(self._home)} {key}")

    def launched_with(self, key: str | None, owner: str) -> str | None:
        """Return the pipeline that a user launched with an idempotency key, if any."""
        known = {record.id: record for record in self._store.records()}
        for pipeline_id in islice(self._ids_for(key), TRIED_IDS):
            record = known.get(pipeline_id)
            if record is not None and is_of_launch(record, owner, time.time()):
                return record.id
        return None

    @serves(operations.CONTINUE)
    async def continue_pipeline(
        self, params: PipelineParams, request: ContinueRequest
    ) -> ContinuePlan:
        """Replace the definition of a pipeline; run or schedule it if requested."""
        live = self.live(params.id)
        if not request.preview:
            self._store.check_room()
        with live.in_use():
            if request.launch.run:  # a missing engine is an error before anything changes
                await self._scheduler.engine_context(live).open()
            await self.add_memory(request.launch)
            continuations = Continuations(self._store, self._scheduler, self._home)
            made = await continuations.execute(live, request)
            if not request.preview:
                self._begin(live, run=request.launch.run, run_at=request.launch.run_at)
                await self._scheduler.saved(wait=False)
                stored = self._store.definition(live.id)
                pipeline_loader.write_recovery_files(self._home, live.record, stored)
        return ContinuePlan(
            pipeline=views.summary(live),
            nodes=made.plan.nodes(),
            removed=made.plan.removed,
            preview=request.preview,
        )

    async def begin_interrupted(self, pipeline_id: str) -> None:
        """Run a launched pipeline that the agent stored, but did not start before its end."""
        live = self.live(pipeline_id)
        if live.started is None and not live.record.armed:
            self._begin(live, run=True, run_at=None)
        await self._scheduler.saved(wait=False)

    def _begin(self, live: LivePipeline, *, run: bool, run_at: float | None) -> None:
        """Run or schedule a pipeline if requested; errors must not hide its id from the client."""
        try:
            if run:
                self._scheduler.perform(live, Action.RUN)
            elif run_at is not None:
                self._start_times.set(live, run_at)
        except Exception as error:
            logger.exception("pipeline could not be started", extra={"pipeline": live.id})
            live.set_record(problem=f"the start failed (details in agent.log): {error!r}")


def _take_tree(request: LaunchRequest) -> tuple[Pipeline, bytes]:
    """Return the resolved tree of a request, and its definition as stored.

    The nodes are removed: with 100,000 of them the form takes more memory than everything that
    follows, and the callers still hold the request.
    """
    taken = resolve(request.tree), pack_form(request.tree)
    kept = {name: request.tree[name] for name in _OF_RECORD if name in request.tree}
    request.tree.clear()
    request.tree.update(kept)
    return taken
