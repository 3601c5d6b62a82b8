"""The execution of attempts: admission, container, command, and the resulting events."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from itertools import count
from secrets import token_hex

from conducto.wire.services import Service
from conducto_core.cache.rules import files_of
from conducto_core.cache.views import CachedFiles, View
from conducto_core.children.rules import may_launch
from conducto_core.command.environment import ExecutionContext
from conducto_core.command.masking import Mask
from conducto_core.command.text import CommandError
from conducto_core.programs.relaunch import content_of
from conducto_core.programs.rules.fingerprints import fingerprint
from conducto_core.results.model import OutputSummary
from conducto_core.results.outputs import MAX_STREAM
from conducto_core.results.records import records_in
from conducto_core.results.rules import MissingResultError, inputs_text
from conducto_core.run.model import events as ev
from conducto_core.run.model.states import Cause
from conducto_core.run.rules.admission import QueuedAttempt
from conducto_core.secrets.port import SecretStoreError
from conducto_core.services.rules import with_secrets
from conducto_core.test_results.model import TestResult
from conducto_core.test_results.rules import excuse
from conducto_core.tree.rules.callbacks import PoolKind, kind_of
from conducto_core.tree.rules.checks import Limits
from conducto_local.children.channel import Grant, Handle, launch_channel
from conducto_local.engine.port import (
    BuiltImage,
    EngineError,
    ImageGoneError,
    Job,
    ServiceError,
    Worker,
    WorkerLostError,
    WorkerStartError,
)
from conducto_local.images.waiters import ImageWaiters
from conducto_local.logs.store import LogDirectory
from conducto_local.run.attempt_records import placement_of, pool_key, started_record, worker_spec
from conducto_local.run.command import (
    Result,
    has_failed,
    known_of,
    prepare,
    results_of,
    run_command,
    store_services,
)
from conducto_local.run.containers import Container, Containers
from conducto_local.run.context import EngineContext, SchedulerContext
from conducto_local.run.live_pipeline import ActiveAttempt, LivePipeline
from conducto_local.run.networks import Networks
from conducto_local.run.snapshots import Snapshots
from conducto_local.secrets.injection import InjectedSecrets, SecretProvider
from conducto_local.test_results.store import QuarantineFile

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AttemptDependencies:
    """The dependencies of `Attempts`.

    Attributes:
        saved: Returns when everything so far is written to the store.
        url: Returns the URL of the API.
        children: Executes requests of commands that may launch pipelines.
        times_of_tests: Returns the variable with the times of a program's tests.
        note_inputs: Notes the inputs with which a cached command runs.
        files: The files of cached commands.
    """

    containers: Containers
    engines: Networks
    secrets: SecretProvider
    snapshots: Snapshots
    saved: Callable[[], Awaitable[None]]
    url: Callable[[], str]
    children: Handle
    times_of_tests: Callable[[LivePipeline], Awaitable[dict[str, str]]]
    note_inputs: Callable[[ActiveAttempt, BuiltImage, InjectedSecrets], None]
    files: CachedFiles


@dataclass(frozen=True, slots=True)
class _Prepared:
    """The job to run, and the secrets that it has."""

    job: Job
    secrets: InjectedSecrets

    @property
    def mask(self) -> Mask:
        return self.secrets.mask

    def with_grant(self, grant: Grant) -> "_Prepared":
        """Return the job with a token to launch pipelines, which is masked in its output."""
        job = replace(self.job, env={**self.job.env, **grant.env})
        return _Prepared(job, self.secrets.hiding(grant.token))


class Attempts:
    """The active attempts."""

    def __init__(self, common: SchedulerContext, means: AttemptDependencies) -> None:
        self._common = common
        self._means = means
        self._containers = means.containers
        self._images = ImageWaiters(common, means.engines, self.queue)
        self._numbers = count(1)
        self._mark = token_hex(2)  # so that the next agent does not reuse container names

    @property
    def images(self) -> ImageWaiters:
        """The images that attempts wait for."""
        return self._images

    def queue(self, active: ActiveAttempt) -> None:
        """Queue an attempt whose image is available for admission to the machine."""
        placement = placement_of(active)
        active.ticket = QueuedAttempt(
            active,
            placement.total_cpu,
            placement.total_mem,
            placement.gpu,
            active.live.limits(active.spec),
            active.spec.limits,
            active.queued,
            f"{active.live.id} {active.spec.path}",
        )
        self._common.engine_context(active.live).queue().add(active.ticket)
        self._common.wake()

    def drop(self, active: ActiveAttempt) -> None:
        """Forget an attempt that never ran; its task notices ``lost``."""
        active.gone = True
        if active.ticket is not None and not active.taken:
            self._common.engine_context(active.live).queue().withdraw(active.ticket)

    def stop(self, active: ActiveAttempt) -> None:
        active.stopping = True
        if active.container is not None:
            self._common.tasks.spawn(active.container.worker.stop())

    def start(self) -> bool:
        """Start the attempts that fit on the machine; return whether there were any."""
        started = False
        for engine_context in self._common.engine_contexts.values():
            if engine_context.dispatcher is None or self._common.closing:
                continue
            while (ticket := engine_context.dispatcher.next_admitted()) is not None:
                active = ticket.key
                if not isinstance(active, ActiveAttempt):
                    raise TypeError(f"not an attempt: {active!r}")
                active.taken = started = True
                active.admitted = time.time()
                self._common.tasks.spawn(self._run_attempt(active, ticket, engine_context))
        return started

    def execution_context(self, live: LivePipeline) -> ExecutionContext:
        return ExecutionContext(live.id, self._means.url())

    async def _run_attempt(
        self, active: ActiveAttempt, ticket: QueuedAttempt, engine_context: EngineContext
    ) -> None:
        try:
            await self._run(active, engine_context)
        except WorkerLostError as error:
            self.finish(active, Result.failed(Cause.WORKER_LOST, str(error), started=False))
        except ServiceError as error:
            await self._service_failed(active, error)
        except WorkerStartError as error:
            self.finish(active, Result.failed(Cause.IMAGE, str(error)))
        except EngineError as error:
            self._means.engines.lost(active.live, error)
            self.finish(active, Result.failed(Cause.WORKER_LOST, str(error)))
        except OSError as error:  # such as too many open files
            message = f"the agent could not run it: {error}"
            failed = Result.failed(Cause.WORKER_LOST, message, started=active.running)
            self.finish(active, failed)
        except Exception as error:
            # A bug in the runner must end this attempt, not the agent, and must be visible.
            logger.exception("attempt failed in the runner", extra={"path": active.spec.path})
            message = f"the runner failed (details in agent.log): {error!r}"
            self.finish(active, Result.failed(Cause.WORKER_LOST, message))
        finally:
            view, active.view = active.view, None
            if view is not None:
                self._common.tasks.spawn(asyncio.to_thread(self._common.home.erase, view.root))
            engine_context.queue().release(ticket)
            self._common.wake()

    async def _run(self, active: ActiveAttempt, engine_context: EngineContext) -> None:
        live, spec = active.live, active.spec
        image = live.images[spec.placement.image].built
        if image is None:  # it is being rebuilt
            self._wait(active)
            return
        try:
            active.results = await results_of(active, self._common.logs(live.id))
            active.inputs = inputs_text(active.results)
        except MissingResultError as error:
            self.finish(active, Result.failed(Cause.INPUT, str(error)))
            return
        cache = files_of(spec, live.record)
        if cache is not None and active.view is None:
            pipeline = self._common.home.pipeline(live.id)
            files, root = self._means.files, pipeline.make_view()
            active.view = await asyncio.to_thread(files.view, root, pipeline.data, cache)
        try:
            container = await self._container(active, image, engine_context)
        except ImageGoneError:
            self._images.gone(live, spec.placement.image, image.reference)
            if active.waited_again:
                raise
            active.waited_again = True
            self._wait(active)
            return
        lost, result = True, None
        try:
            result = await self._run_in(container, active, image, engine_context)
            losses = (Cause.WORKER_LOST, Cause.SERVICE)
            lost = result is not None and result.cause in losses
        finally:
            once = kind_of(spec.pool) is PoolKind.ONCE or active.view is not None
            leaves = active.leaves or once
            why = None if leaves or not lost else "it was lost while a command ran in it"
            self._containers.put(container, reuse=not (lost or leaves), lost=why)
        if result is not None:
            self.finish(active, result)

    def _wait(self, active: ActiveAttempt) -> None:
        """Make an attempt wait for its image again; it is requeued when the image is available."""
        if not active.gone:
            active.taken, active.admitted = False, None
            active.ticket = None
            self._images.wait(active)

    async def _run_in(
        self,
        container: Container,
        active: ActiveAttempt,
        image: BuiltImage,
        engine_context: EngineContext,
    ) -> Result | None:
        """Run an attempt's command in a container; return None if it is no longer wanted."""
        live, spec = active.live, active.spec
        prepared = await self._prepared(active, image)
        if active.gone or self._common.closing:  # the next agent queues it again
            return None
        active.container = container
        active.running = True
        active.begin()
        if not isinstance(prepared, Result):
            active.record = started_record(active, prepared.job, image, prepared.mask)
            live.set_attempt(active.record)
        # After the record is stored, so that no client sees a running node without its attempt.
        self._common.apply(live, ev.AttemptStarted(spec.path, active.number))
        if isinstance(prepared, Result):
            return prepared
        result = await self._command(active, prepared, engine_context.limits())
        if spec.snapshot_on_error and has_failed(active, result):
            active.end()
            refusal = await self._means.snapshots.snapshot(
                active, container.worker, engine_context.engine
            )
            if refusal is not None:
                lines = (result.facts.message, refusal)
                result = result.with_message("\n".join(filter(None, lines)))
        return result

    async def _prepared(self, active: ActiveAttempt, image: BuiltImage) -> _Prepared | Result:
        try:
            chosen = active.live.record.secret_set
            delivery = await self._means.secrets.delivery(active.spec.secrets, chosen)
            secrets = delivery.only(active.spec.secrets)
            job = prepare(active, image, self.execution_context(active.live), secrets.env)
            if active.spec.shards_tests:
                times = await self._means.times_of_tests(active.live)
                job = replace(job, env={**job.env, **times})
        except (CommandError, SecretStoreError) as error:
            return Result.failed(Cause.IMAGE, str(error))
        active.fingerprint = fingerprint(
            active.spec,
            job.script,
            content_of(image),
            secrets.origins,
            secrets.mask.text,
            results=active.results,
        )
        self._means.note_inputs(active, image, secrets)
        return _Prepared(job, secrets)

    async def _command(self, active: ActiveAttempt, prepared: _Prepared, limits: Limits) -> Result:
        await self._means.saved()
        if not may_launch(active.spec) or active.container is None:
            return await self._ran(active, prepared, limits)
        worker, handle, tasks = active.container.worker, self._means.children, self._common.tasks
        async with launch_channel(active, worker, handle, tasks) as grant:
            return await self._ran(active, prepared.with_grant(grant), limits)

    async def _ran(self, active: ActiveAttempt, prepared: _Prepared, limits: Limits) -> Result:
        if active.stopping:
            return Result(None)
        logs = self._common.logs(active.live.id)
        result = await run_command(
            active,
            prepared.job,
            limits,
            logs,
            prepared.mask,
            changed=lambda summary: self._note_outputs(active, summary),
        )
        has_tests = result.facts.outputs is not None and result.facts.outputs.tests is not None
        if has_tests and active.view is None:  # a failed command with files publishes nothing
            result = await asyncio.to_thread(self._excused, active, result, logs)
        if active.view is not None and result.cause is None:
            try:
                await asyncio.to_thread(self._publish, active, active.view, logs)
            except OSError as error:  # the disk is full, or a link of the data is in the way
                message = f"the files that it wrote cannot be moved to the data: {error}"
                lost = replace(result, cause=Cause.WORKER_LOST, excused=False)
                return lost.with_message(message)
        return result

    def _publish(self, active: ActiveAttempt, view: View, logs: LogDirectory) -> None:
        """Move the files of a successful attempt to the data, and note them."""
        files = self._means.files
        files.publish(view)
        if view.refusal is None:
            files.save_contents(view.data, view.wrote)
        writer = logs.writer(active.spec.path, active.number)
        writer.write("files", view.use.to_bytes())
        writer.close()

    def _excused(self, active: ActiveAttempt, result: Result, logs: LogDirectory) -> Result:
        """Return the result of an attempt, excused if only quarantined tests failed."""
        reader = logs.reader(active.spec.path, active.number)
        message = excuse(
            (result.cause, result.facts.exit_code),
            None if result.facts.outputs is None else result.facts.outputs.tests,
            lambda: records_in(reader.read("tests", 0, MAX_STREAM).data, TestResult)[0],
            QuarantineFile(self._common.home.quarantines).all,
            record=active.live.record,
            now=time.time(),
        )
        if message is None or active.spec.lazy_target is not None:
            return result
        return replace(result.with_message(message), excused=True)

    def _note_outputs(self, active: ActiveAttempt, summary: OutputSummary) -> None:
        """Add the metrics and artifacts that arrived so far to the record of a running attempt."""
        if active.record is None or active.live.active_attempts.get(active.spec.path) is not active:
            return
        active.record = active.record.model_copy(update={"outputs": summary})
        active.live.set_attempt(active.record)
        self._common.wake()

    async def _container(
        self, active: ActiveAttempt, image: BuiltImage, engine_context: EngineContext
    ) -> Container:
        live = active.live

        async def start() -> Worker:
            await engine_context.open()
            network = await self._means.engines.network(live)
            name = f"conducto_worker_{live.id}_{self._mark}_{next(self._numbers)}"
            spec = worker_spec(active, image, self._common.home, name, network)
            return await engine_context.engine.start_worker(
                replace(spec, services=await self._services(active))
            )

        return await self._containers.get(pool_key(active, image), start)

    async def _service_failed(self, active: ActiveAttempt, error: ServiceError) -> None:
        """Store the output of the services of an attempt whose command cannot start."""
        mask = (await self._means.secrets.delivery()).mask
        store_services(active, self._common.logs(active.live.id), mask, error.outputs)
        message = mask.text(str(error))
        self.finish(active, Result.failed(Cause.SERVICE, message, started=False))

    async def _services(self, active: ActiveAttempt) -> tuple[Service, ...]:
        """Return the services of an attempt's container, with the values of their secrets.

        Raises:
            ServiceError: A secret does not exist.
        """
        services = active.spec.placement.services
        if not any(each.secrets for each in services):
            return services
        try:
            names = {name for each in services for name in each.secrets}
            chosen = active.live.record.secret_set
            secrets = await self._means.secrets.delivery(names, chosen)
            return tuple(with_secrets(each, secrets.env) for each in services)
        except (SecretStoreError, ValueError) as error:
            raise ServiceError(str(error)) from error

    def finish(self, active: ActiveAttempt, result: Result) -> None:
        """End an attempt, unless it was ended from outside; put its tree in place."""
        live, spec = active.live, active.spec
        if active.gone or live.active_attempts.get(spec.path) is not active:
            return
        ended = active.end()
        active.result = result.facts
        if result.tree is not None and not active.stopping:
            generated, definition = result.tree
            live.store_graft(spec.lazy_target or "", generated, definition)
            self._common.apply(live, ev.TreeGenerated(spec.path, generated.nodes))
        seconds = 0.0 if active.started is None else ended - active.started
        event = ev.AttemptFinished(
            spec.path,
            active.number,
            result.cause,
            seconds,
            active.mem,
            started=result.started,
            exit_code=active.result.exit_code,
            time=ended,
            excused=result.excused,
            known=known_of(active, self._common.logs(live.id)),
        )
        self._common.apply(live, event)
