"""Runs the command of an attempt and writes its output to the log."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from conducto.wire.outputs import MAX_RESULT
from conducto_core.cache.rules import is_isolated
from conducto_core.command.environment import NOTHING, ExecutionContext, command_env
from conducto_core.command.masking import Mask
from conducto_core.command.run import CommandEnd, CommandRun
from conducto_core.command.text import script_of
from conducto_core.results.model import OutputSummary
from conducto_core.results.rules import Attempt, Read, payload_of, read_sources, sources_of
from conducto_core.run.model.states import Cause, StopReason
from conducto_core.run.rules.live_nodes import LiveExec
from conducto_core.run.rules.outcomes import UNKNOWN, AttemptEnd
from conducto_core.services.rules import variables
from conducto_core.tree.model import Pipeline
from conducto_core.tree.rules.checks import Limits
from conducto_local.engine.port import BuiltImage, EngineError, Exit, Job
from conducto_local.logs.store import LogDirectory, LogWriter
from conducto_local.run.admission import read_tree
from conducto_local.run.attempt_records import placement_of
from conducto_local.run.live_pipeline import ActiveAttempt
from conducto_local.run.usage import ContainerSampler


@dataclass(frozen=True, slots=True)
class Result:
    """The result of an attempt.

    Attributes:
        tree: Generated tree of a Lazy, resolved, and its definition as stored.
        started: Whether the command may have started.
        excused: Only quarantined tests failed.
    """

    cause: Cause | None
    facts: AttemptEnd = UNKNOWN
    tree: tuple[Pipeline, bytes] | None = None
    started: bool = True
    excused: bool = False

    @classmethod
    def failed(cls, cause: Cause, message: str, *, started: bool = True) -> "Result":
        return cls(cause, AttemptEnd(message=message), started=started)

    def with_message(self, message: str) -> "Result":
        return replace(self, facts=self.facts._replace(message=message))


def results_in(logs: LogDirectory) -> Read:
    """Return the reader of the results of a pipeline's attempts."""

    def read(attempts: Iterable[Attempt]) -> Iterator[bytes]:
        for each in attempts:
            yield logs.reader(each.path, each.number).read("result", 0, MAX_RESULT).data

    return read


async def results_of(active: ActiveAttempt, logs: LogDirectory) -> dict[str, bytes]:
    """Return ``{name: result}`` that an attempt's command uses."""
    if not active.spec.results:
        return {}
    sources = sources_of(active.spec, active.live.tree.nodes)
    found = await asyncio.to_thread(read_sources, sources, results_in(logs))
    return {**found, **payload_of(active.spec, active.live.pipeline.payload)}


def known_of(active: ActiveAttempt, logs: LogDirectory) -> dict[str, Any] | None:
    """Return the parts of an attempt's result that conditions compare; None without any."""
    path, number, outputs = active.spec.path, active.number, active.result.outputs

    def result() -> bytes:
        if outputs is None or outputs.result is None:
            return b""
        return logs.reader(path, number).read("result", 0, MAX_RESULT).data

    return active.live.tree.known_of(path, result)


def prepare(
    active: ActiveAttempt,
    image: BuiltImage,
    around: ExecutionContext,
    secrets: Mapping[str, str] = NOTHING,
) -> Job:
    """Return the job of an attempt: its script and environment.

    Raises:
        CommandError: The command uses a file that is not in the image.
    """
    spec = active.spec

    script = script_of(spec, image.path_map, image.workdir)
    env = command_env(
        spec.env,
        around,
        path=spec.path,
        attempt=active.number,
        path_map=image.path_map,
        secrets=secrets,
        services=variables(spec.placement.services),
        isolated=is_isolated(spec, active.live.record),
    )
    return Job(script, env, active.inputs)


async def run_command(
    active: ActiveAttempt,
    job: Job,
    limits: Limits,
    log: LogDirectory,
    mask: Mask,
    *,
    changed: Callable[[OutputSummary], None],
) -> Result:
    """Run the attempt's command in its container; return the result.

    ``changed`` is that of `CommandRun`.

    Raises:
        EngineError: The engine became unreachable.
    """
    target = active.spec.lazy_target
    writer = log.writer(active.spec.path, active.number)
    run = CommandRun(writer, mask, prints_tree=target is not None, changed=changed)
    done = await _run(active, job, writer, run)
    facts = AttemptEnd(
        done.code,
        done.message,
        done.peak_memory,
        interpreter=done.interpreter or None,
    )
    if target is None or active.stopping:
        ended: CommandEnd[tuple[Pipeline, bytes]] = run.end(done.cause, facts)
    else:
        # A copy, because the event loop changes the tree while the thread reads it.
        tree = Pipeline(dict(active.live.pipeline.nodes), dict(active.live.pipeline.images))
        read = partial(read_tree, active=active, target=target, tree=tree, limits=limits)
        ended = await asyncio.to_thread(run.end, done.cause, facts, read)
    return Result(ended.cause, ended.facts, ended.tree, started=done.started)


async def _run(active: ActiveAttempt, job: Job, writer: LogWriter, run: CommandRun) -> Exit:
    """Run a command with its output and its resources recorded; return its end."""
    container = active.container
    if container is None:
        raise RuntimeError(f"{active.spec.path}: no container")
    size = placement_of(active)
    sampler = ContainerSampler(
        container.worker,
        lambda line: writer.write("resources", line),
        limits=(size.cpu, size.mem),
        fresh=container.used == 0,
    )
    try:
        done = await container.worker.run(replace(job, services=run.service), run.part)
        if done.files:
            await asyncio.to_thread(run.collect, done.files)
    finally:
        sampler.end()
        run.close()
        writer.close()
        container.used += 1
    if done.engine_gone:
        raise EngineError(done.message)
    container.completed += done.cause is not Cause.WORKER_LOST
    return done


def store_services(
    active: ActiveAttempt, log: LogDirectory, mask: Mask, outputs: Mapping[str, bytes]
) -> None:
    """Store the output of the services of an attempt whose command cannot start."""
    writer = log.writer(active.spec.path, active.number)
    run = CommandRun(writer, mask)
    for name, data in outputs.items():
        run.service(name, data)
    run.close()
    writer.close()


def has_failed(active: ActiveAttempt, result: Result) -> bool:
    """Return whether a command ran and failed by itself."""
    if active.gone or result.cause in {None, Cause.IMAGE, Cause.WORKER_LOST}:
        return False
    node = active.live.tree.nodes.get(active.spec.path)
    return isinstance(node, LiveExec) and node.stop_reason in {None, StopReason.EXPIRE}
