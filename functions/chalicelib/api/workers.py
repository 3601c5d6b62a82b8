"""The operations that workers call (`conducto_core.model.operations.worker`), one method each.

The token identifies the worker. The pipeline's journal decides whether a worker still belongs to
the pipeline: any other worker is asked to leave (410) and its reports are ignored.
"""

import base64
import binascii
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import cache, partial, wraps
from secrets import token_hex
from typing import Any, Literal, TypeVar, get_args

from chalicelib.domain.events import (
    BuiltImage,
    Claimed,
    Input,
    OutputsArrived,
    Reported,
    TimeLimitsExpired,
    WorkerLost,
    WorkerStarted,
)
from chalicelib.domain.launch_validation import used_images, validate_nodes
from chalicelib.domain.pipeline import CloudPipeline
from chalicelib.domain.tokens import new_token
from chalicelib.domain.workers import Worker
from chalicelib.ports.errors import AccessDeniedError, ConflictError
from chalicelib.ports.identity import Identity
from chalicelib.ports.logs import LogKey
from chalicelib.services import claims
from chalicelib.services.claims import Prepared
from chalicelib.services.debug_plans import OUTER_OWNER
from chalicelib.services.debug_sessions import DebugSessions, ShellOverError, is_shell
from chalicelib.services.image_builds import ImageBuilds, known_sources
from chalicelib.services.processor import CommandProcessor
from chalicelib.services.secret_injection import InjectedSecrets, inject
from conducto.errors import DefinitionError
from conducto.wire import fields
from conducto.wire.launching import TOKEN
from conducto.wire.outputs import MAX_RESULT
from conducto_core.errors import RefusedError
from conducto_core.model.nodes import Pipeline
from conducto_core.model.operations.operation import Permission
from conducto_core.model.outputs import OutputStream
from conducto_core.model.records import AttemptRecord
from conducto_core.model.states import Cause, State
from conducto_core.model.worker import (
    MAX_CHUNK,
    PROTOCOL,
    Claim,
    ClaimDecision,
    ClaimResponse,
    Credentials,
    Heartbeat,
    HeartbeatResponse,
    LogResponse,
    Nothing,
    Report,
    ReportResponse,
    UploadResponse,
    WorkerEnd,
    WorkerInstructions,
    WorkerLogChunk,
    WorkerStart,
)
from conducto_core.runtime.attempt_outputs import live_summary
from conducto_core.runtime.commands import CommandError, as_written, script_of
from conducto_core.runtime.environment import ExecutionContext, command_env
from conducto_core.runtime.fingerprints import fingerprint_in
from conducto_core.runtime.inputs import inputs_text
from conducto_core.runtime.json_logs import log_fields
from conducto_core.runtime.line_times import packed
from conducto_core.semantics import capacity
from conducto_core.semantics.autoscaling import Pool
from conducto_core.semantics.children import may_launch
from conducto_core.semantics.contexts import CONTEXT_PAUSE
from conducto_core.semantics.pools import PoolKind
from conducto_core.semantics.resolve import resolve_generated
from conducto_core.semantics.results import MissingResultError, source_attempts
from conducto_core.semantics.rules import cause_of_exit
from conducto_core.semantics.start_failures import StartFailure
from conducto_core.semantics.tree_state import LiveExec
from conducto_core.semantics.user_secrets import secrets_user, withheld

#: Seconds that a worker waits for a command. The cloud decides when a worker of a ``new`` context
#: stops (`conducto_core.semantics.contexts`); by itself it leaves only after the longest pause.
CONTEXT_IDLE = CONTEXT_PAUSE + 3600.0
IDLE = 60.0
#: Seconds after an attempt's time limit at which its token expires, if it was not refused before.
TOKEN_MARGIN = 600.0
#: Reported by a worker that received a stop signal (`conducto_core.model.worker.WorkerEnd.reason`).
STOPPING = "stopping"
#: Why a worker that an older version of Conducto started must leave; a new one replaces it.
OUTDATED = "its agent is older than the installation"
_POLICIES: dict[PoolKind, Literal["many", "once", "context"]] = {
    PoolKind.MANY: "many",
    PoolKind.ONCE: "once",
    PoolKind.CONTEXT: "context",
}


#: Returns the secrets for commands of a user; None: only those of the organisation.
Secrets = Callable[[str | None], InjectedSecrets]


#: ``{log field: field of a request}`` with the same meaning.
_LOGGED = {"path": "path", "attempt": "attempt", "run_id": "run"}
C = TypeVar("C")
R = TypeVar("R")


class WorkerGoneError(Exception):
    """The pipeline does not know this worker any more: it must leave (410)."""


def _logged(
    method: Callable[[Any, C], Coroutine[Any, Any, R]],
) -> Callable[[Any, C], Coroutine[Any, Any, R]]:
    """Add the node, the attempt and the run of a request to each log record."""

    @wraps(method)
    async def logged(self: Any, call: C) -> R:
        with log_fields(**{name: getattr(call, field, None) for name, field in _LOGGED.items()}):
            return await method(self, call)

    return logged


class WorkerApi:
    """Handles the requests of one worker."""

    def __init__(self, engine: CommandProcessor, identity: Identity) -> None:
        self._engine = engine
        self._me = identity
        self._cloud = engine.cloud
        self._shells = DebugSessions(engine)

    # ---- start and end -----------------------------------------------------------------------

    async def worker_start(self, call: WorkerStart) -> WorkerInstructions:
        """Register a started worker and return its instructions."""
        org, pipeline_id, worker_id = _who(self._me)
        if is_shell(worker_id):
            try:
                return self._shells.start(self._me)
            except ShellOverError as error:
                raise WorkerGoneError(str(error)) from error

        def decide(live: CloudPipeline) -> Input | None:
            worker = _known(live, worker_id)
            if worker.task == call.task:
                return None
            return WorkerStarted(
                time=self._now(), worker=worker_id, task=call.task, protocol=call.protocol
            )

        self._engine.submit(org, pipeline_id, decide)
        credentials = self._lend()
        with self._attending() as (live, worker):
            pool = live.pools[worker.pool]
            image = live.images.get(pool.image)  # its tree may have been replaced
            built = None if image is None else image.built
            return WorkerInstructions(
                region=self._cloud.site.region,
                activity=self._cloud.site.activity_of(pool.name),
                credentials=credentials,
                policy="once" if _may_be_replaced(worker, pool) else _POLICIES[pool.kind],
                shell=None if built is None else built.shell,
                workdir=None if built is None else built.workdir,
                idle=CONTEXT_IDLE if pool.kind is PoolKind.CONTEXT else IDLE,
            )

    def _lend(self) -> Credentials | None:
        """Return the credentials of a worker's agent.

        Raises:
            WorkerGoneError: AWS denied them. The worker leaves, and nodes of its pool show the
                reason.
        """
        org, pipeline_id, worker_id = _who(self._me)
        with self._attending() as (_, worker):
            activity = self._cloud.site.activity_of(worker.pool)
        try:
            return self._cloud.lend_credentials(activity, worker_id)
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

    async def worker_end(self, call: WorkerEnd) -> Nothing:
        """Remove a worker; a task that it polled too late is released to others."""
        org, pipeline_id, worker_id = _who(self._me)
        if is_shell(worker_id):
            return self._shells.left(self._me, call)
        handed = None if call.offer is None else self._claimed(worker_id, call.offer)
        strays: list[str] = []

        def decide(live: CloudPipeline) -> Input | None:
            strays.clear()
            if worker_id not in live.registry.workers:
                strays.extend(() if handed is None else (live.reply_to_stray(handed),))
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
        return Nothing()

    # ---- tasks --------------------------------------------------------------------------------

    @_logged
    async def worker_claim(self, call: Claim) -> ClaimResponse:
        """Decide whether a worker runs, keeps or drops a task that it polled."""
        org, pipeline_id, worker_id = _who(self._me)
        strays: list[str] = []

        @cache  # read once, even if the decision is repeated
        def secrets(user: str | None) -> InjectedSecrets:
            return inject(self._cloud.vault, org, user, self._cloud.services)

        def decide(live: CloudPipeline) -> Input | None:
            claimed = self._claimed(worker_id, call)
            strays.clear()
            if worker_id not in live.registry.workers or live.is_stray(claimed):
                strays.append(live.reply_to_stray(claimed))
                return None
            worker = live.registry.workers[worker_id]
            if worker.commands and _may_be_replaced(worker, live.pools[worker.pool]):
                return WorkerLost(
                    time=self._now(), worker=worker_id, reason=OUTDATED, handed=claimed
                )
            return self._begin(live, claimed, secrets)

        self._engine.submit(org, pipeline_id, decide)
        self._refuse(org, pipeline_id, call.token, strays)
        with self._engine.seen(org, pipeline_id) as live:
            worker = _known(live, worker_id)
            return self._decision(live, worker, call, secrets)

    def _claimed(self, worker_id: str, call: Claim) -> Claimed:
        return Claimed(
            time=self._now(),
            worker=worker_id,
            token=call.token,
            run=call.run,
            node=call.node,
            waits=call.waits,
        )

    def _begin(self, live: CloudPipeline, claimed: Claimed, given: Secrets) -> Input | None:
        """Return the claim with the attempt that it starts, or None if it changes nothing."""
        node = live.may_run(claimed)
        if node is None:
            return None if claimed.token in live.holders else claimed
        secrets = given(secrets_user(live.record))
        record = self._record(live, node, claimed.worker, secrets)
        try:
            self._prepare(live, node, secrets)
            self._inputs(live, node)
        except CommandError as error:
            return claimed.model_copy(update={"attempt": record, "refusal": str(error)})
        except MissingResultError as error:
            refusal = {"refusal": str(error), "refusal_cause": Cause.INPUT}
            return claimed.model_copy(update={"attempt": record, **refusal})
        return claimed.model_copy(update={"attempt": record})

    def _decision(
        self, live: CloudPipeline, worker: Worker, call: Claim, given: Secrets
    ) -> ClaimResponse:
        path = live.cloud_machine.path_of(call.node)
        node = None if path is None else live.tree.nodes[path]
        if not isinstance(node, LiveExec):
            return ClaimResponse(decision=ClaimDecision.DROP)
        runs = node.state is State.RUNNING and worker.runs(node.path, node.attempt)
        if runs and worker.token == call.token:
            return self._to_run(live, node, given(secrets_user(live.record)))
        if call.token not in live.holders:
            return ClaimResponse(decision=ClaimDecision.DROP, path=node.path)
        blocked = node.state is State.QUEUED and live.full_group(node.path) is not None
        return ClaimResponse(decision=ClaimDecision.HOLD, path=node.path, blocked=blocked)

    def _to_run(
        self, live: CloudPipeline, node: LiveExec, secrets: InjectedSecrets
    ) -> ClaimResponse:
        job = self._prepare(live, node, secrets)
        try:
            inputs = self._inputs(live, node)
        except MissingResultError:  # reset since the start of the attempt; reading it fails
            inputs = ""
        token = self._launch_token(live, node)
        return ClaimResponse(
            decision=ClaimDecision.RUN,
            path=node.path,
            attempt=node.attempt,
            script=job.script,
            env=job.env if token is None else {**job.env, TOKEN: token},
            masked=job.secrets.masked if token is None else (*job.secrets.masked, token),
            inputs=inputs,
            max_time=node.spec.max_time,
            prints_tree=node.spec.lazy_target is not None,
        )

    def _launch_token(self, live: CloudPipeline, node: LiveExec) -> str | None:
        """Return a token with which the attempt's command may launch pipelines, if it may.

        It is valid while the attempt runs, which `CloudChildren` checks, and at most as long as the
        token of its worker.
        """
        if not may_launch(node.spec):
            return None
        token, digest = new_token()
        attempt = (live.id, node.path, node.attempt)
        identity = Identity(
            live.org, live.record.owner, frozenset({Permission.CHILDREN}), attempt=attempt
        )
        end = self._now() + (node.spec.max_time or fields.DEFAULT_MAX_TIME) + TOKEN_MARGIN
        self._cloud.tokens.put(digest, identity, expires=end, parent=self._me.token)
        return token

    def _inputs(self, live: CloudPipeline, node: LiveExec) -> str:
        """Return the results that a command uses.

        Raises:
            MissingResultError: one does not exist.
        """
        logs, sources = self._cloud.logs, source_attempts(node.spec, live.tree.nodes)
        return inputs_text(
            {
                path: logs.read(LogKey(live.id, path, number, "result"), 0, MAX_RESULT)
                for path, number in sources.items()
            }
        )

    def _prepare(self, live: CloudPipeline, node: LiveExec, secrets: InjectedSecrets) -> Prepared:
        built = live.images[node.spec.placement.image].built
        path_map = {} if built is None else built.path_map
        script = script_of(node.spec, path_map, None if built is None else built.workdir)
        env = command_env(
            node.spec.env,
            ExecutionContext(live.id, self._cloud.url(), where="worker_cloud", owner=OUTER_OWNER),
            path=node.path,
            attempt=node.attempt,
            path_map=path_map,
            secrets=secrets.env,
        )
        return Prepared(script, env, secrets)

    def _record(
        self, live: CloudPipeline, node: LiveExec, worker_id: str, secrets: InjectedSecrets
    ) -> AttemptRecord:
        mask = secrets.mask()
        queued = live.in_flight[node.path]
        try:
            command = self._prepare(live, node, secrets).script
        except CommandError:
            command = as_written(node.spec)
        image = live.images[node.spec.placement.image].record
        worker = live.registry.workers[worker_id]
        now = self._now()
        return queued.model_copy(
            update={
                "state": State.RUNNING,
                "command": mask.text(command),
                "env": {name: mask.text(value) for name, value in node.spec.env.items()},
                "image": image.reference,
                "container": worker_id,
                "position": worker.commands,
                "message": withheld(live.record),
                "fingerprint": fingerprint_in(
                    node.spec, live.images[image.name].built, secrets.version, mask.text
                ),
                **worker.phases(queued.queued, image.ended, now),
                "started": now,
            }
        )

    # ---- a command ----------------------------------------------------------------------------

    @_logged
    async def worker_heartbeat(self, call: Heartbeat) -> HeartbeatResponse:
        """Record a heartbeat of a running command and return whether it must stop."""
        org, pipeline_id, worker_id = _who(self._me)
        if is_shell(worker_id):
            return self._shells.heartbeat(self._me)
        with self._attending() as (live, worker):
            due = live.due(self._now())
            self._cloud.store.note_worker(pipeline_id, worker.id, self._now())
        if due:
            self._engine.submit(org, pipeline_id, self._expire)
        with self._engine.seen(org, pipeline_id) as live:
            worker = _known(live, worker_id)
            node = live.exec_in(call.path, call.attempt, State.RUNNING)
            mine = node is not None and worker.runs(call.path, call.attempt)
            return HeartbeatResponse(
                stop=not mine or (node is not None and node.stop_reason is not None)
            )

    def _expire(self, live: CloudPipeline) -> Input | None:
        due = live.due(self._now())
        return TimeLimitsExpired(time=self._now(), paths=due) if due else None

    @_logged
    async def worker_log(self, call: WorkerLogChunk) -> LogResponse:
        """Store a chunk of output."""
        org, pipeline_id, worker_id = _who(self._me)
        with self._engine.seen(org, pipeline_id) as live:
            its_own = _has_had(live.registry.workers.get(worker_id), call)
        if not its_own:  # this process may not have read the latest entries
            with self._attending() as (_, worker):
                _check_had(worker, call)
        try:
            data = base64.b64decode(call.data, validate=True)
        except (binascii.Error, ValueError) as error:
            raise RefusedError(
                f"{call.path}: the chunk of output is not valid base64: {error}"
            ) from error
        if len(data) > MAX_CHUNK:
            raise RefusedError(
                f"{call.path}: a chunk of output has at most {MAX_CHUNK} bytes, got {len(data)}; "
                "split it"
            )
        key = LogKey(pipeline_id, call.path, call.attempt, call.stream)
        try:
            self._cloud.logs.append(key, call.offset, data, packed(call.times))
        except ConflictError as error:
            raise RefusedError(
                f"{call.path}: output before byte {call.offset} is missing; "
                f"continue from byte {self._cloud.logs.size(key)}"
            ) from error
        if call.stream in get_args(OutputStream):
            self._note_outputs(call, data)
        return LogResponse(followed=self._cloud.logs.has_reader(pipeline_id, self._now()))

    def _note_outputs(self, call: WorkerLogChunk, data: bytes) -> None:
        """Add metrics and artifacts to the record of a running attempt, if their names are new."""
        org, pipeline_id, _ = _who(self._me)

        def decide(live: CloudPipeline) -> Input | None:
            if live.exec_in(call.path, call.attempt, State.RUNNING) is None:
                return None
            summary = live_summary(data, live.in_flight[call.path].outputs)
            if summary is None:
                return None
            return OutputsArrived(
                time=self._now(), path=call.path, attempt=call.attempt, outputs=summary
            )

        with self._engine.seen(org, pipeline_id) as live:
            is_new = decide(live) is not None
        if is_new:
            self._engine.submit(org, pipeline_id, decide)

    @_logged
    async def worker_report(self, call: Report) -> ReportResponse:
        """Record the end of a command and return whether its task stays open for a retry."""
        org, pipeline_id, worker_id = _who(self._me)

        def decide(live: CloudPipeline) -> Input | None:
            worker = _known(live, worker_id)
            _check_had(worker, call)
            if not worker.busy:
                return None  # a repeated report
            return self._reported(live, worker_id, call)

        self._engine.submit(org, pipeline_id, decide)
        if call.tree_key is not None:
            self._cloud.blobs.delete(call.tree_key)
        with self._engine.seen(org, pipeline_id) as live:
            worker = live.registry.workers.get(worker_id)
            return ReportResponse(task_open=worker is not None and worker.token in live.holders)

    def _reported(self, live: CloudPipeline, worker_id: str, call: Report) -> Reported:
        node = live.exec_in(call.path, call.attempt, State.RUNNING)
        cause, message, key = call.cause, call.message, None
        images: tuple[BuiltImage, ...] = ()
        if cause is None and call.exit_code is not None:
            cause = cause_of_exit(call.exit_code)
        lazy = node is not None and node.spec.lazy_target is not None and node.stop_reason is None
        if node is not None and lazy and cause is None:
            try:
                key, images = self._generated(live, node, worker_id, call)
            except (claims.GeneratedTreeError, DefinitionError) as error:
                cause, message = Cause.LAZY, str(error)
        return Reported(
            time=self._now(),
            worker=worker_id,
            path=call.path,
            attempt=call.attempt,
            cause=cause,
            exit_code=call.exit_code,
            message=message,
            seconds=max(0.0, call.seconds),
            peak_memory=call.peak_memory,
            output_bytes=call.output_bytes,
            outputs=call.outputs,
            interpreter=call.interpreter,
            tree_key=key,
            images=images,
            last=call.last,
        )

    def _generated(
        self, live: CloudPipeline, node: LiveExec, worker_id: str, call: Report
    ) -> tuple[str, tuple[BuiltImage, ...]]:
        """Store the tree that a Lazy generated, if it is valid; return its key and images."""
        packed = None if call.tree is None else claims.unpack(call.tree)
        if call.tree_key is not None:
            if not call.tree_key.startswith(_uploads(live.id, worker_id)):
                raise RefusedError(
                    f"{call.path}: {call.tree_key!r} was not uploaded by this worker"
                )
            packed = self._cloud.blobs.get(call.tree_key)
        if packed is None:
            raise claims.GeneratedTreeError(
                "printed no tree; a Lazy's function must return a node and be annotated "
                "(-> co.Serial); a Lazy's command must print a serialised tree"
            )
        definition = claims.form_of(packed)
        form = claims.unpack_form(definition)
        here = Pipeline(live.pipeline.nodes, live.pipeline.images)
        tree = resolve_generated(form, node.spec.lazy_target or "", here, live.edits)
        used = self._cloud.orgs.in_use(live.org)
        whole = live.nodes_with(node.spec.lazy_target or "", tree)
        validate_nodes(tree.nodes, used.plan)
        capacity.check_fits(whole, used.plan.max_workers, used.plan.name)
        more = live.reserved_with(whole) - live.share.reserved
        if more > 0 and used.reserved + more > used.plan.max_workers:
            raise claims.GeneratedTreeError(
                f"the tree needs {more} more workers for container_reuse_context=NEW groups that "
                f"have started; the plan {used.plan.name!r} allows {used.plan.max_workers} and "
                f"{used.reserved} are reserved. Reset this node when other groups have finished"
            )
        images = self._prepared_images(live, tree)
        return self._cloud.store.keep_tree(live.id, definition), images

    def _prepared_images(self, live: CloudPipeline, tree: Pipeline) -> tuple[BuiltImage, ...]:
        known = {**live.pipeline.images, **tree.images}
        fresh = [known[n] for n in used_images(tree) if not live.has_image(n)]
        sources = known_sources(fresh, live.pipeline.images, live.sources)
        try:
            return ImageBuilds(self._cloud).prepare(live.org, fresh, sources)
        except RefusedError as error:
            raise claims.GeneratedTreeError(str(error)) from error

    async def worker_upload(self) -> UploadResponse:
        """Return an upload URL for a tree that is too large for a report."""
        with self._attending() as (live, worker):
            key = _uploads(live.id, worker.id) + token_hex(8)
        return UploadResponse(url=self._cloud.blobs.upload_url(key), key=key)

    # ---- helpers ------------------------------------------------------------------------------

    def _refuse(self, org: str, pipeline_id: str, token: str, errors: list[str]) -> None:
        for error in errors:
            self._engine.refuse_task(org, pipeline_id, token, error)

    @contextmanager
    def _attending(self) -> Iterator[tuple[CloudPipeline, Worker]]:
        org, pipeline_id, worker_id = _who(self._me)
        with self._engine.reading(org, pipeline_id) as live:
            yield live, _known(live, worker_id)

    def _now(self) -> float:
        return self._cloud.clock()


def _failure(call: WorkerEnd) -> StartFailure | None:
    """Return how to count the loss of a worker that leaves before its first command."""
    if call.broken:
        return StartFailure.BAD_IMAGE
    return StartFailure.LOST if call.reason == STOPPING else None


def _may_be_replaced(worker: Worker, pool: Pool) -> bool:
    """Return whether a worker of an older version can be replaced without losing state."""
    return worker.protocol < PROTOCOL and pool.kind is not PoolKind.CONTEXT


def _who(identity: Identity) -> tuple[str, str, str]:
    if identity.worker is None:
        raise WorkerGoneError("this call is for workers")
    pipeline_id, _, worker_id = identity.worker
    return identity.org, pipeline_id, worker_id


def _known(live: CloudPipeline, worker_id: str) -> Worker:
    worker = live.registry.workers.get(worker_id)
    if worker is None:
        raise WorkerGoneError(
            f"{live.id}: worker {worker_id} is no longer part of the pipeline; stop and leave"
        )
    return worker


def _has_had(worker: Worker | None, call: WorkerLogChunk | Report) -> bool:
    return worker is not None and worker.has_had(call.path, call.attempt)


def _check_had(worker: Worker, call: WorkerLogChunk | Report) -> None:
    if not _has_had(worker, call):
        raise RefusedError(f"{call.path}: attempt {call.attempt} does not run on this worker")


def _uploads(pipeline_id: str, worker_id: str) -> str:
    return f"uploads/{pipeline_id}/{worker_id}/"
