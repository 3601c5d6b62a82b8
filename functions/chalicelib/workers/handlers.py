"""The operations that workers call (`conducto_core.workers.operations`), one method each.

The token identifies the worker. The pipeline's journal decides whether a worker still belongs to
the pipeline: any other worker is asked to leave (410) and its reports are ignored.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from secrets import token_hex
from typing import Literal

from chalicelib.debug.sessions import DebugSessions, ShellOverError, is_shell
from chalicelib.errors import AccessDeniedError
from chalicelib.installation import Installation
from chalicelib.logs.port import LogKey, Storage
from chalicelib.people.port import Identity
from chalicelib.people.tokens import digest_of
from chalicelib.records import Records
from chalicelib.run.claims import Claims, Secrets
from chalicelib.run.deferred_effects import TOKEN_SECONDS
from chalicelib.run.generated_trees import GeneratedTreeError, GeneratedTrees, uploads_of
from chalicelib.run.handlers import CloudPipelines
from chalicelib.run.model import (
    BuiltImage,
    Claimed,
    Input,
    Reported,
    TimeLimitsExpired,
    WorkerLost,
    WorkerStarted,
)
from chalicelib.run.processor import CommandProcessor
from chalicelib.run.rules.pipeline import CloudPipeline
from chalicelib.secrets.injection import InjectedSecrets
from chalicelib.test_results.quarantines import excused_report
from chalicelib.workers.output_handlers import (
    WorkerGoneError,
    WorkerOutput,
    check_had,
    logged,
    registered_worker,
    worker_of,
)
from chalicelib.workers.port import Compute, Owner, TaskId
from chalicelib.workers.rules import WorkerEntry, WorkerStatus
from conducto.errors import DefinitionError
from conducto.wire.outputs import MAX_RESULT
from conducto_core.api.operation import Permission
from conducto_core.api.serve import serves
from conducto_core.cache.rules import files_of
from conducto_core.errors import RefusedError
from conducto_core.run.model.states import Cause, State
from conducto_core.run.rules.contexts import CONTEXT_PAUSE
from conducto_core.run.rules.outcomes import cause_of_exit
from conducto_core.secrets.rules import SecretAccess
from conducto_core.tree.rules.callbacks import PoolKind
from conducto_core.workers import operations as workers_operations
from conducto_core.workers.model import (
    PROTOCOL,
    Claim,
    ClaimDecision,
    ClaimResponse,
    Credentials,
    EndResponse,
    Heartbeat,
    HeartbeatResponse,
    Report,
    ReportResponse,
    UploadResponse,
    WorkerEnd,
    WorkerInstructions,
    WorkerStart,
)
from conducto_core.workers.rules.pools import Pool
from conducto_core.workers.rules.start_failures import StartFailure

logger = logging.getLogger(__name__)

#: Seconds that a worker waits for a command. The cloud decides when a worker of a ``new`` context
#: stops (`conducto_core.run.rules.contexts`); by itself it leaves only after the longest pause.
CONTEXT_IDLE = CONTEXT_PAUSE + 3600.0
IDLE = 60.0
#: Reported by a worker that received a stop signal
#: (`conducto_core.workers.model.WorkerEnd.reason`).
STOPPING = "stopping"
#: Reported by a worker that has waited long for a command.
NO_COMMAND = "idle"
#: Why a worker that an older version of Conducto started must leave; a new one replaces it.
OUTDATED = "its agent is older than the installation"
NO_PROOF = "a start without proof that the request comes from the worker's task was refused"
SECOND_KEY = (
    "two agents started with its token, so somebody else has read it; the worker was stopped"
)
STOPPED = "it was stopped before it received the task"
SURPLUS = "the organisation has more workers than its plan allows"
_POLICIES: dict[PoolKind, Literal["many", "once", "context"]] = {
    PoolKind.MANY: "many",
    PoolKind.ONCE: "once",
    PoolKind.CONTEXT: "context",
}


class WorkerApi:
    """Handles the requests of one worker."""

    def __init__(
        self,
        me: Identity,
        engine: CommandProcessor,
        shells: DebugSessions,
        output: WorkerOutput,
        *,
        claims: Claims,
        pipelines: Callable[[Identity], CloudPipelines],
        records: Records,
        storage: Storage,
        compute: Compute,
        installation: Installation,
        clock: Callable[[], float],
    ) -> None:
        self._me, self._engine = me, engine
        self._shells, self._output = shells, output
        self._claims, self._pipelines = claims, pipelines
        self._records, self._storage, self._compute = records, storage, compute
        self._installation, self._now = installation, clock

    # ---- start and end -----------------------------------------------------------------------

    @serves(workers_operations.START)
    async def worker_start(self, call: WorkerStart) -> WorkerInstructions:
        """Register a started worker and return its instructions."""
        org, pipeline_id, worker_id = worker_of(self._me)
        if is_shell(worker_id):
            try:
                return self._start_shell(call)
            except ShellOverError as error:
                raise WorkerGoneError(str(error)) from error
        key, bound = None, self._is_bound
        if not bound:
            with self._output.worker() as (_, worker):
                known = worker.key
            key = self._proved_key(call, known)
        refused: list[str] = []

        def decide(live: CloudPipeline) -> Input | None:
            refused.clear()
            worker = registered_worker(live, worker_id)
            if not bound and worker.key not in (None, key):
                refused.append(SECOND_KEY)
                return WorkerLost(
                    time=self._now(),
                    worker=worker_id,
                    reason=SECOND_KEY,
                    failure=StartFailure.LOST,
                )
            if worker.task == call.task:
                return None
            if worker.task is None and worker.status is WorkerStatus.LEAVING:
                raise WorkerGoneError(f"{pipeline_id}: worker {worker_id} is not needed any more")
            return WorkerStarted(
                time=self._now(), worker=worker_id, task=call.task, protocol=call.protocol, key=key
            )

        self._engine.submit(org, pipeline_id, decide)
        if refused:
            logger.error("worker %s of %s: %s", worker_id, pipeline_id, SECOND_KEY)
            raise WorkerGoneError(f"{pipeline_id}: worker {worker_id}: {SECOND_KEY}")
        if key is not None:
            self._admit(key)
        credentials = self._lend()
        with self._output.worker() as (live, worker):
            pool = live.pools[worker.pool]
            image = live.images.get(pool.image)  # its tree may have been replaced
            built = None if image is None else image.built
            return WorkerInstructions(
                region=self._installation.site.region,
                activity=self._installation.site.activity_of(pool.name),
                credentials=credentials,
                policy="once" if _may_be_replaced(worker, pool) else _POLICIES[pool.kind],
                shell=None if built is None else built.shell,
                workdir=None if built is None else built.workdir,
                idle=CONTEXT_IDLE if pool.kind is PoolKind.CONTEXT else IDLE,
            )

    def _start_shell(self, call: WorkerStart) -> WorkerInstructions:
        if not self._is_bound:
            key = self._proved_key(call, self._shells.key_of(self._me))
            self._shells.bind(self._me, key, SECOND_KEY)
            self._admit(key)
        return self._shells.start(self._me)

    @property
    def _is_bound(self) -> bool:
        """Whether the request is sent with the key of a started worker (or by protocol 1)."""
        return Permission.START_WORKER not in self._me.permissions

    def _proved_key(self, call: WorkerStart, known: str | None) -> str:
        """Return the digest of the key of an agent that proves to run in its task.

        ``known`` is the digest of the key that started the worker: it needs no further proof.

        Raises:
            RefusedError: There is no valid proof.
            WorkerGoneError: The agent is too old to have a key.
        """
        owner = Owner(*worker_of(self._me))
        if call.key is None:
            raise WorkerGoneError(f"{owner.pipeline_id}: worker {owner.worker_id}: {OUTDATED}")
        key = digest_of(call.key)
        if key == known:
            return key
        if call.proof is None or not self._compute.fleet.proves(
            TaskId(call.task, owner), key, call.proof
        ):
            logger.error("worker %s of %s: %s", owner.worker_id, owner.pipeline_id, NO_PROOF)
            raise RefusedError(f"worker {owner.worker_id}: {NO_PROOF}")
        return key

    def _admit(self, key: str) -> None:
        """Accept the key of an agent as the token of its further requests."""
        identity = replace(self._me, permissions=frozenset({Permission.WORKER.value}), token="")
        self._records.tokens.put(key, identity, expires=self._now() + TOKEN_SECONDS)

    def _lend(self) -> Credentials | None:
        """Return the credentials of a worker's agent.

        Raises:
            WorkerGoneError: AWS denied them. The worker leaves, and nodes of its pool show the
                reason.
        """
        org, pipeline_id, worker_id = worker_of(self._me)
        with self._output.worker() as (_, worker):
            activity = self._installation.site.activity_of(worker.pool)
        try:
            return self._compute.lend_credentials(activity, worker_id)
        except AccessDeniedError as error:
            self._engine.submit(org, pipeline_id, partial(self._denied, worker_id, str(error)))
            raise WorkerGoneError(f"AWS denies this worker its credentials: {error}") from error

    def _denied(self, worker_id: str, error: str, live: CloudPipeline) -> Input | None:
        worker = live.registry.workers.get(worker_id)
        if worker is None or worker.commands:
            return None  # the pool can start workers, so this is not a launch failure
        return WorkerLost(
            time=self._now(), worker=worker_id, reason=error, failure=StartFailure.DENIED
        )

    @serves(workers_operations.END)
    async def worker_end(self, call: WorkerEnd) -> EndResponse:
        """Remove a worker; a task that it polled too late is released to others.

        One that still polls stays until its poll has ended, unless its pool needs no more workers:
        a task that Step Functions sends to an aborted poll is lost for a minute. A warm one stays
        for the next run of its pipeline.
        """
        org, pipeline_id, worker_id = worker_of(self._me)
        if is_shell(worker_id):
            return self._shells.left(self._me, call)
        handed = None if call.offer is None else self._claimed(worker_id, call.offer)
        strays: list[str] = []
        waits: list[str] = []

        def decide(live: CloudPipeline) -> Input | None:
            strays.clear()
            waits.clear()
            worker = live.registry.workers.get(worker_id)
            if worker is None:
                strays.extend(() if handed is None else (live.reply_to_stray(handed),))
                return None
            warm = call.reason == NO_COMMAND and live.stays_warm(worker, self._now())
            if warm or (call.polling and live.may_need_more(worker.pool)):
                waits.append(worker.pool)
                return None
            return WorkerLost(
                time=self._now(),
                worker=worker_id,
                reason=call.reason,
                failure=_failure(call),
                unexplained=call.reason == STOPPING,
                handed=handed,
            )

        self._engine.submit(org, pipeline_id, decide)
        if handed is not None:
            self._refuse(org, pipeline_id, handed.token, strays)
        return EndResponse(wait=bool(waits))

    # ---- tasks --------------------------------------------------------------------------------

    @serves(workers_operations.CLAIM)
    @logged
    async def worker_claim(self, call: Claim) -> ClaimResponse:
        """Decide whether a worker runs, keeps or drops a task that it polled."""
        org, pipeline_id, worker_id = worker_of(self._me)
        strays: list[str] = []
        secrets = self._secrets_of(org)

        def decide(live: CloudPipeline) -> Input | None:
            claimed = self._claimed(worker_id, call)
            strays.clear()
            if worker_id not in live.registry.workers or live.is_stray(claimed):
                self._claims.release(live)
                strays.append(live.reply_to_stray(claimed))
                return None
            worker = live.registry.workers[worker_id]
            reason = self._reason_to_leave(worker, live.pools[worker.pool])
            if reason is not None:
                self._claims.release(live)
                return WorkerLost(time=self._now(), worker=worker_id, reason=reason, handed=claimed)
            return self._claims.begin(live, claimed, secrets)

        self._engine.submit(org, pipeline_id, decide)
        self._refuse(org, pipeline_id, call.token, strays)
        with self._engine.seen(org, pipeline_id) as live:
            worker = registered_worker(live, worker_id)
            found = self._claims.decision(live, worker, call, secrets)
            record, node = live.record, live.exec_in(found.path, found.attempt, State.RUNNING)
        if found.decision is not ClaimDecision.RUN or node is None or not node.spec.shards_tests:
            return found
        times = await self._pipelines(self._me).times_of_tests(record)
        return found.model_copy(update={"env": {**found.env, **times}})

    def _secrets_of(self, org: str) -> Secrets:
        @cache  # read once, even if the decision is repeated
        def secrets(access: SecretAccess, queued: float) -> InjectedSecrets:
            return self._engine.secrets.get(org, access, queued)

        return secrets

    def _reason_to_leave(self, worker: WorkerEntry, pool: Pool) -> str | None:
        """Return why a worker runs no further command; a started group keeps its container."""
        if worker.status is WorkerStatus.LEAVING:
            return STOPPED
        if worker.commands and _may_be_replaced(worker, pool):
            return OUTDATED
        started = worker.commands and pool.kind is PoolKind.CONTEXT
        return SURPLUS if not started and self._claims.has_too_many() else None

    def _claimed(self, worker_id: str, call: Claim) -> Claimed:
        return Claimed(
            time=self._now(),
            worker=worker_id,
            token=call.token,
            run=call.run,
            node=call.node,
            waits=call.waits,
        )

    # ---- a command ----------------------------------------------------------------------------

    @serves(workers_operations.HEARTBEAT)
    @logged
    async def worker_heartbeat(self, call: Heartbeat) -> HeartbeatResponse:
        """Record a heartbeat of a running command and return whether it must stop."""
        org, pipeline_id, worker_id = worker_of(self._me)
        if is_shell(worker_id):
            return self._shells.heartbeat(self._me, call)
        with self._output.worker() as (live, worker):
            due = live.due(self._now())
            self._records.store.note_worker(pipeline_id, worker.id, self._now())
            self._engine.refresh_record(live)
        if due:
            self._engine.submit(org, pipeline_id, self._expire)
        with self._engine.seen(org, pipeline_id) as live:
            worker = registered_worker(live, worker_id)
            node = live.exec_in(call.path, call.attempt, State.RUNNING)
            mine = node is not None and worker.runs(call.path, call.attempt)
            stop = not mine or (node is not None and node.stop_reason is not None)
        for chunk in call.chunks:
            check_had(worker, chunk)
            self._output.store(pipeline_id, chunk)
        followed = self._storage.logs.has_reader(pipeline_id, self._now())
        return HeartbeatResponse(stop=stop, followed=followed)

    def _expire(self, live: CloudPipeline) -> Input | None:
        due = live.due(self._now())
        return TimeLimitsExpired(time=self._now(), paths=due) if due else None

    @serves(workers_operations.REPORT)
    @logged
    async def worker_report(self, call: Report) -> ReportResponse:
        """Record the end of a command and return whether its task stays open for a retry.

        A claim that came with the report is decided in the same entry if possible, otherwise in an
        entry of its own, or, if the worker must run its last command again first, by a later claim.
        """
        try:
            response = self._report(call)
        except WorkerGoneError:
            if call.next is not None:
                await self.worker_claim(call.next)  # releases the task
            raise
        if call.next is None or response.next is not None or response.task_open:
            return response
        return response.model_copy(update={"next": await self.worker_claim(call.next)})

    def _report(self, call: Report) -> ReportResponse:
        org, pipeline_id, worker_id = worker_of(self._me)
        secrets = self._secrets_of(org)
        joined: list[Claimed] = []

        def decide(live: CloudPipeline) -> Input | None:
            joined.clear()
            worker = registered_worker(live, worker_id)
            if _has_begun(worker, call.next):
                return None  # a repeated report, whose claim has started the next command
            check_had(worker, call)
            if not worker.busy:
                return None  # a repeated report
            report = self._reported(live, worker_id, call)
            if call.next is not None and report.tree_key is None:
                joined.extend(self._joined(live, worker, call.next, secrets))
            return report.model_copy(update={"next": joined[0]}) if joined else report

        def decide_early(live: CloudPipeline) -> Input | None:
            report = decide(live)  # without its claim, an older state may be the reason
            return report if bool(joined) is (call.next is not None) else None

        generates = call.tree is not None or call.tree_key is not None
        early = None if generates else decide_early
        is_new = self._engine.submit(org, pipeline_id, decide, early)
        if call.tree_key is not None:
            self._storage.blobs.delete(call.tree_key)
        with self._engine.seen(org, pipeline_id) as live:
            worker = live.registry.workers.get(worker_id)
            begun = worker is not None and _has_begun(worker, call.next)
            response = ReportResponse(
                task_open=worker is not None and not begun and worker.token in live.holders,
                leave=worker is None or worker.status is WorkerStatus.LEAVING,
            )
            end = (
                None if worker is None else live.crew.repeated_end(worker, call.path, call.attempt)
            )
            if worker is not None and call.next is not None and joined:
                decision = self._claims.decision(live, worker, call.next, secrets)
                response = response.model_copy(update={"next": decision})
        if end is not None and not is_new:  # the first request may have died before its effects
            self._engine.repeat_effects(org, pipeline_id, end)
        return response

    def _joined(
        self, live: CloudPipeline, worker: WorkerEntry, call: Claim, secrets: Secrets
    ) -> list[Claimed]:
        """Return the claim that is decided in the entry of its worker's report, if it may be."""
        if self._reason_to_leave(worker, live.pools[worker.pool]) is not None:
            return []
        try:
            claimed = self._claims.begin_next(live, self._claimed(worker.id, call), secrets)
        except Exception:  # the report must not depend on it; the claim reports the error
            logger.exception("a claim was not decided with its report")
            return []
        return [] if claimed is None else [claimed]

    def _reported(self, live: CloudPipeline, worker_id: str, call: Report) -> Reported:
        node = live.exec_in(call.path, call.attempt, State.RUNNING)
        cause, message, key = call.cause, call.message, None
        images: tuple[BuiltImage, ...] = ()
        if cause is None and call.exit_code is not None:
            cause = cause_of_exit(call.exit_code)
        lazy = node is not None and node.spec.lazy_target is not None and node.stop_reason is None
        if node is not None and lazy and cause is None:
            try:
                key, images = GeneratedTrees(
                    self._records,
                    self._storage.blobs,
                    self._engine.builds,
                    self._installation,
                ).store(live, node, worker_id, call)
            except (GeneratedTreeError, DefinitionError) as error:
                cause, message = Cause.LAZY, str(error)
        # A failed command with files publishes nothing.
        is_counted = node is None or lazy or files_of(node.spec, live.record) is not None
        excused = (
            None
            if is_counted
            else excused_report(
                self._records,
                self._storage.logs,
                self._now,
                live,
                call,
                cause=cause,
            )
        )
        return Reported(
            time=self._now(),
            worker=worker_id,
            path=call.path,
            attempt=call.attempt,
            cause=cause,
            exit_code=call.exit_code,
            message=excused or message,
            seconds=max(0.0, call.seconds),
            peak_memory=call.peak_memory,
            output_bytes=call.output_bytes,
            outputs=call.outputs,
            interpreter=call.interpreter,
            first_error=call.first_error,
            tree_key=key,
            images=images,
            last=call.last,
            excused=excused is not None,
            not_stored=call.not_stored,
            known=live.tree.known_of(call.path, lambda: self._result(live, call)),
        )

    def _result(self, live: CloudPipeline, call: Report) -> bytes:
        if call.outputs is None or call.outputs.result is None:
            return b""
        key = LogKey(live.id, call.path, call.attempt, "result")
        return self._storage.logs.read(key, 0, MAX_RESULT)

    @serves(workers_operations.UPLOAD)
    async def worker_upload(self) -> UploadResponse:
        """Return an upload URL for a tree that is too large for a report."""
        with self._output.worker() as (live, worker):
            key = uploads_of(live.id, worker.id) + token_hex(8)
        return UploadResponse(url=self._storage.blobs.upload_url(key), key=key)

    # ---- helpers ------------------------------------------------------------------------------

    def _refuse(self, org: str, pipeline_id: str, token: str, errors: list[str]) -> None:
        for error in errors:
            self._engine.refuse_task(org, pipeline_id, token, error)


def _failure(call: WorkerEnd) -> StartFailure | None:
    """Return how to count the loss of a worker that leaves before its first command."""
    if call.broken:
        return StartFailure.BAD_IMAGE
    return StartFailure.LOST if call.reason == STOPPING else None


def _may_be_replaced(worker: WorkerEntry, pool: Pool) -> bool:
    """Return whether a worker of an older version can be replaced without losing state."""
    return worker.protocol < PROTOCOL and pool.kind is not PoolKind.CONTEXT


def _has_begun(worker: WorkerEntry, claim: Claim | None) -> bool:
    """Return whether a claim has started the latest command of a worker."""
    return claim is not None and worker.token == claim.token
