"""The decision about a task that a worker polled, and its command. The API commits it."""

from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple

from chalicelib.billing.store import BillingPorts
from chalicelib.cache.decisions import CacheDecisions
from chalicelib.debug.plans import OUTER_OWNER
from chalicelib.errors import Timing
from chalicelib.limits.named_limits import ClaimedLimits, NamedLimits
from chalicelib.logs.port import LogStore
from chalicelib.people.port import Identity, InUse
from chalicelib.people.tokens import new_token
from chalicelib.records import Records
from chalicelib.run.model import Claimed, Input
from chalicelib.run.results import reader_of
from chalicelib.run.rules.pipeline import CloudPipeline
from chalicelib.secrets.injection import InjectedSecrets
from chalicelib.secrets.references import SecretReferences
from chalicelib.workers.rules import WorkerEntry
from conducto.wire import fields
from conducto.wire.launching import TOKEN
from conducto_core.api.operation import Permission
from conducto_core.cache.rules import files_of, is_isolated
from conducto_core.children.rules import may_launch
from conducto_core.command.environment import ExecutionContext, command_env
from conducto_core.command.text import CommandError, as_written, script_of
from conducto_core.programs.relaunch import fingerprint_in
from conducto_core.results.rules import (
    MissingResultError,
    Source,
    inputs_text,
    payload_of,
    read_sources,
    sources_of,
)
from conducto_core.run.model.records import AttemptRecord
from conducto_core.run.model.states import Cause, State
from conducto_core.run.rules.live_nodes import LiveExec
from conducto_core.secrets.rules import SecretAccess, is_untrusted, secret_access, withheld
from conducto_core.services.rules import LOOPBACK, variables
from conducto_core.workers.model import (
    Claim,
    ClaimDecision,
    ClaimResponse,
    FilesOfCommand,
)

#: Seconds after an attempt's time limit at which its token expires, if it was not refused before.
TOKEN_MARGIN = 600.0
#: Returns the secrets of a command that was queued at a time.
Secrets = Callable[[SecretAccess, float], InjectedSecrets]


class Prepared(NamedTuple):
    """A command ready to run, with the current secrets."""

    script: str
    env: dict[str, str]
    secrets: InjectedSecrets


class Claims:
    """Decides about claims."""

    def __init__(
        self,
        records: Records,
        timing: Timing,
        logs: LogStore,
        references: SecretReferences,
        billing: BillingPorts | None,
        *,
        url: Callable[[], str],
        worker: Identity,
        caches: CacheDecisions,
    ) -> None:
        self._records = records
        self._timing = timing
        self._logs = logs
        self._references = references
        self._billing = billing
        self._url = url
        self._me = worker
        self._caches = caches
        self._limits = ClaimedLimits(NamedLimits(records, timing))
        self._read: dict[tuple[str, tuple[Source, ...]], dict[str, bytes]] = {}

    @cached_property
    def _used(self) -> InUse | None:
        """The plan and its use, read once for a request; None: the installation has no billing."""
        return None if self._billing is None else self._records.orgs.in_use(self._me.org)

    def _is_suspended(self) -> bool:
        """Return whether the organisation has reached its spend limit: claims wait."""
        return self._used is not None and self._used.suspended

    def has_too_many(self) -> bool:
        """Return whether the organisation has more workers than its plan allows by now."""
        return self._used is not None and self._used.workers > self._used.plan.max_workers

    def begin(self, live: CloudPipeline, claimed: Claimed, given: Secrets) -> Input | None:
        """Return the claim with the attempt that it starts, or None if it changes nothing."""
        live.asked_at = claimed.time
        node = live.may_run(claimed)
        if node is None or self._is_suspended() or not self._limits.acquire(live, node):
            self._limits.release(live)
            return None if claimed.token in live.holders else claimed
        try:
            return self._with_attempt(live, node, claimed, given)
        except Exception:
            self._limits.release(live)
            raise

    def release(self, live: CloudPipeline) -> None:
        """Release what an earlier `begin` of this request acquired, if the claim starts nothing."""
        self._limits.release(live)

    def begin_next(self, live: CloudPipeline, claimed: Claimed, given: Secrets) -> Claimed | None:
        """Return a claim for the entry of its worker's report; None: it needs its own decision.

        A named limit that the reported command holds is released after the report, and times of
        tests are read after the decision.
        """
        node = live.may_run_next(claimed)
        if node is None or node.spec.limits or self._is_suspended():
            return None
        if node.spec.shards_tests:
            return None
        return self._with_attempt(live, node, claimed, given)

    def _with_attempt(
        self, live: CloudPipeline, node: LiveExec, claimed: Claimed, given: Secrets
    ) -> Claimed:
        secrets = self._secrets(live, node, given)
        refusal: dict[str, object] = {}
        results: dict[str, bytes] = {}
        try:
            secrets = self._references.resolve(live.org, secrets)
            self._prepare(live, node, secrets)
            results = self._results(live, node)
            inputs_text(results)
        except CommandError as error:
            refusal = {"refusal": str(error)}
        except MissingResultError as error:
            refusal = {"refusal": str(error), "refusal_cause": Cause.INPUT}
        record = self._record(live, node, claimed.worker, secrets, results)
        cached = None if refusal else self._caches.claimed(live, node, secrets, results)
        if isinstance(cached, str):
            record, cached = record.model_copy(update={"not_stored": cached}), None
        return claimed.model_copy(update={"attempt": record, "cached": cached, **refusal})

    @staticmethod
    def _secrets(live: CloudPipeline, node: LiveExec, given: Secrets) -> InjectedSecrets:
        found = given(secret_access(live.record), _queued(live, node))
        return found.only(node.spec.secrets)

    def decision(
        self, live: CloudPipeline, worker: WorkerEntry, call: Claim, given: Secrets
    ) -> ClaimResponse:
        """Return the response to a claim that is committed."""
        path = live.cloud_machine.path_of(call.node)
        node = None if path is None else live.tree.nodes[path]
        if not isinstance(node, LiveExec):
            return ClaimResponse(decision=ClaimDecision.DROP)
        runs = node.state is State.RUNNING and worker.runs(node.path, node.attempt)
        if runs and worker.token == call.token:
            secrets = self._references.again(live.org, self._secrets(live, node, given))
            response = self._to_run(live, node, secrets)
            return response.model_copy(update={"backlog": live.has_backlog(worker.pool)})
        if call.token not in live.holders:
            return ClaimResponse(decision=ClaimDecision.DROP, path=node.path)
        blocked = node.state is State.QUEUED and live.blocks_pool(node)
        return ClaimResponse(decision=ClaimDecision.HOLD, path=node.path, blocked=blocked)

    def _to_run(
        self, live: CloudPipeline, node: LiveExec, secrets: InjectedSecrets
    ) -> ClaimResponse:
        job = self._prepare(live, node, secrets)
        try:
            inputs = inputs_text(self._results(live, node))
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
            mem=node.spec.placement.mem,
            files=_files_of(live, node),
        )

    def _launch_token(self, live: CloudPipeline, node: LiveExec) -> str | None:
        """Return a token with which the attempt's command may launch pipelines, if it may.

        It is valid while the attempt runs, which `CloudChildren` checks, and at most as long as the
        token of its worker.
        """
        if not may_launch(node.spec) or is_untrusted(live.record):
            return None
        token, digest = new_token()
        attempt = (live.id, node.path, node.attempt)
        identity = Identity(
            live.org, live.record.owner, frozenset({Permission.CHILDREN}), attempt=attempt
        )
        limit = node.spec.max_time or fields.DEFAULT_MAX_TIME
        end = self._timing.clock() + limit + TOKEN_MARGIN
        self._records.tokens.put(digest, identity, expires=end, parent=self._me.token)
        return token

    def _results(self, live: CloudPipeline, node: LiveExec) -> dict[str, bytes]:
        """Return ``{name: result}`` that a command uses; a request reads them once."""
        sources = tuple(sources_of(node.spec, live.tree.nodes))
        if (live.id, sources) not in self._read:
            read = reader_of(self._logs, live.id)
            self._read = {(live.id, sources): read_sources(sources, read)}
        return {**self._read[live.id, sources], **payload_of(node.spec, live.pipeline.payload)}

    def _prepare(self, live: CloudPipeline, node: LiveExec, secrets: InjectedSecrets) -> Prepared:
        built = live.images[node.spec.placement.image].built
        path_map = {} if built is None else built.path_map
        script = script_of(node.spec, path_map, None if built is None else built.workdir)
        env = command_env(
            node.spec.env,
            ExecutionContext(live.id, self._url(), where="worker_cloud", owner=OUTER_OWNER),
            path=node.path,
            attempt=node.attempt,
            path_map=path_map,
            secrets=secrets.env,
            services=variables(node.spec.placement.services, lambda _name: LOOPBACK),
            isolated=is_isolated(node.spec, live.record),
        )
        return Prepared(script, env, secrets)

    def _record(
        self,
        live: CloudPipeline,
        node: LiveExec,
        worker_id: str,
        secrets: InjectedSecrets,
        results: dict[str, bytes],
    ) -> AttemptRecord:
        mask = secrets.mask()
        queued = live.in_flight[node.path]
        try:
            command = self._prepare(live, node, secrets).script
        except CommandError:
            command = as_written(node.spec)
        image = live.images[node.spec.placement.image].record
        worker = live.registry.workers[worker_id]
        now = self._timing.clock()
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
                    node.spec, live.images[image.name].built, secrets.origins, mask.text, results
                ),
                **worker.phases(queued.queued, image.ended, now),
                "started": now,
            }
        )


def _files_of(live: CloudPipeline, node: LiveExec) -> FilesOfCommand | None:
    cache = files_of(node.spec, live.record)
    if cache is None:
        return None
    return FilesOfCommand(reads=cache.reads, writes=cache.writes, copies=cache.copies)


def _queued(live: CloudPipeline, node: LiveExec) -> float:
    """Return when an attempt in flight was queued, in seconds since the epoch."""
    queued = live.in_flight.queued_at(node.path)
    return live.now if queued is None else queued
