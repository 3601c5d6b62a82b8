"""Runs the command of an attempt and writes its output to the log."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from conducto.wire.outputs import MAX_RESULT
from conducto_core.cache.rules import is_isolated
from conducto_core.command.environment import NOTHING, ExecutionContext, command_env
from conducto_core.command.masking import Mask
from conducto_core.command.output import PrintedTreeError, TreeExtractor
from conducto_core.command.server import Part
from conducto_core.command.text import script_of
from conducto_core.diagnosis.rules.first_error import ErrorFinder
from conducto_core.results.model import OutputSummary
from conducto_core.results.outputs import CollectedOutputs, LiveOutputs, collect
from conducto_core.results.rules import Attempt, payload_of, read_sources, sources_of
from conducto_core.run.model.records import FirstError
from conducto_core.run.model.states import Cause, StopReason
from conducto_core.run.rules.outcomes import AttemptEnd, cause_of_exit
from conducto_core.run.rules.tree_state import LiveExec
from conducto_core.services.rules import OutputLines, variables
from conducto_core.test_results.junit import with_tests
from conducto_core.tree.model import Pipeline
from conducto_core.tree.rules.resolve import Limits
from conducto_local.engine.port import BuiltImage, EngineError, Exit, Job
from conducto_local.logs.store import Kept, LogDirectory, LogWriter
from conducto_local.run.admission import read_tree
from conducto_local.run.attempt_records import placement_of
from conducto_local.run.live_pipeline import ActiveAttempt
from conducto_local.run.usage import Sampler

#: Bytes of output that are searched at once.
_SEARCHED_AT_ONCE = 1 << 20


class OutputSink:
    """Receives the output of an attempt: extracts a Lazy's tree from stdout, then masks secrets.

    Args:
        changed: Called with the summary of points and artifacts when a name or an artifact is new.
    """

    def __init__(
        self,
        writer: LogWriter,
        cutter: TreeExtractor | None,
        mask: Mask,
        changed: Callable[[OutputSummary], None],
    ) -> None:
        self._writer = writer
        self._tree = cutter
        self._live = LiveOutputs(mask)
        self._services = OutputLines(mask)
        self._changed = changed
        self._maskers = {"stdout": mask.stream(), "stderr": mask.stream()}

    def write(self, stream: Part, data: bytes) -> None:
        if stream == "frame":
            self._frame(data)
            return
        seen = data
        if self._tree is not None and stream == "stdout":
            seen = self._tree.feed(data)
        self._write(stream, self._maskers[stream].feed(seen))

    def write_service(self, name: str, data: bytes) -> None:
        self._write("services", self._services.feed(name, data))

    def finish(self) -> None:
        self._write("services", self._services.finish())
        if self._tree is not None:
            self._write("stdout", self._maskers["stdout"].feed(self._tree.finish()))
        self._write("stdout", self._maskers["stdout"].finish())
        self._write("stderr", self._maskers["stderr"].finish())

    def _frame(self, data: bytes) -> None:
        before = self._live.summary
        line = self._live.add(data)
        if line is not None:
            self._writer.write(*line)
        if self._live.summary is not before:
            self._changed(self._live.summary)

    def _write(self, stream: Kept, data: bytes) -> None:
        if data:
            self._writer.write(stream, data)


@dataclass(frozen=True, slots=True)
class Result:
    """The result of an attempt.

    Attributes:
        tree: Generated tree of a Lazy, resolved, and its definition as stored.
        output_bytes: Size of its output; None if unknown.
        started: Whether the command may have started.
        outputs: Its result, metrics and artifacts.
        interpreter: As that of `conducto_core.command.server.Finished`.
        excused: Only quarantined tests failed.
    """

    cause: Cause | None
    exit_code: int | None = None
    message: str | None = None
    peak_memory: int | None = None
    output_bytes: int | None = None
    tree: tuple[Pipeline, bytes] | None = None
    started: bool = True
    outputs: OutputSummary | None = None
    interpreter: str = ""
    first_error: FirstError | None = None
    excused: bool = False

    def end(self) -> AttemptEnd:
        return AttemptEnd(
            self.exit_code,
            self.message,
            self.peak_memory,
            self.output_bytes,
            self.outputs,
            self.interpreter or None,
            first_error=self.first_error,
        )

    def with_note(self, note: str | None) -> "Result":
        """Return the result with a further line in its message, unless ``note`` is None."""
        if note is None:
            return self
        return replace(self, message=note if self.message is None else f"{self.message}\n{note}")


async def results_of(active: ActiveAttempt, logs: LogDirectory) -> dict[str, bytes]:
    """Return ``{name: result}`` that an attempt's command uses."""
    if not active.spec.results:
        return {}
    sources = sources_of(active.spec, active.live.tree.nodes)

    def read(attempts: Iterable[Attempt]) -> Iterator[bytes]:
        for path, number in attempts:
            yield logs.reader(path, number).read("result", 0, MAX_RESULT).data

    found = await asyncio.to_thread(read_sources, sources, read)
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

    ``changed`` is that of `OutputSink`.

    Raises:
        EngineError: The engine became unreachable.
    """
    writer = log.writer(active.spec.path, active.number)
    cutter = TreeExtractor() if active.spec.lazy_target is not None else None
    output = OutputSink(writer, cutter, mask, changed)
    done, outputs = await _run(active, job, writer, output, mask)
    cause = done.cause if done.cause is not None else cause_of_exit(done.code)
    message = done.message if done.message is not None else writer.failure
    if cause is None and writer.failure is not None:
        # The output is incomplete, and the output of a Lazy or a test is its result.
        cause = Cause.WORKER_LOST
        message = f"the command ended with exit code 0, but {writer.failure}"
    result = Result(
        cause,
        done.code,
        message,
        done.peak_memory,
        writer.output_bytes(),
        started=done.started,
        outputs=None if writer.failure is not None else outputs.summary,
        interpreter=done.interpreter,
        first_error=None if cause is None else await asyncio.to_thread(_first_error, log, active),
    )
    if cutter is not None and result.cause is None and not active.stopping:
        # A copy, because the event loop changes the tree while the thread reads it.
        tree = Pipeline(dict(active.live.pipeline.nodes), dict(active.live.pipeline.images))
        result = await asyncio.to_thread(_with_tree, result, cutter, active, tree, limits)
    said = result.message
    return result if said is None else replace(result, message=mask.text(said))


async def _run(
    active: ActiveAttempt, job: Job, writer: LogWriter, output: OutputSink, mask: Mask
) -> tuple[Exit, CollectedOutputs]:
    """Run a command with its output and its resources recorded; return its end and its outputs."""
    container = active.container
    if container is None:
        raise RuntimeError(f"{active.spec.path}: no container")
    size = placement_of(active)
    sampler = Sampler(
        container.worker,
        lambda line: writer.write("resources", line),
        limits=(size.cpu, size.mem),
        fresh=container.used == 0,
    )
    outputs = CollectedOutputs()
    try:
        job = replace(job, services=output.write_service)
        done = await container.worker.run(job, output.write)
        if done.files:
            output.finish()
            outputs = await asyncio.to_thread(_collect, done.files, mask)
            _store(outputs, writer)
    finally:
        sampler.end()
        output.finish()
        writer.close()
        container.used += 1
    if done.engine_gone:
        raise EngineError(done.message)
    container.completed += done.cause is not Cause.WORKER_LOST
    return done, outputs


def _first_error(log: LogDirectory, active: ActiveAttempt) -> FirstError | None:
    """Search the stored output of an attempt; None if it cannot be read."""
    reader, finder = log.reader(active.spec.path, active.number), ErrorFinder()
    with suppress(OSError):
        for stream in ("stderr", "stdout"):
            offset = 0
            while data := reader.read(stream, offset, _SEARCHED_AT_ONCE).data:
                finder.feed(stream, data)
                offset += len(data)
    return finder.result()


def _collect(files: Mapping[str, bytes], mask: Mask) -> CollectedOutputs:
    return with_tests(collect(files, mask), files, mask)


def _store(outputs: CollectedOutputs, writer: LogWriter) -> None:
    for stream, data in outputs.streams.items():
        writer.write(stream, data)
    if outputs.warnings:
        writer.write("stderr", outputs.warning_text)


def _with_tree(
    result: Result, cutter: TreeExtractor, active: ActiveAttempt, tree: Pipeline, limits: Limits
) -> Result:
    target = active.spec.lazy_target
    if target is None:
        return result
    try:
        return replace(result, tree=read_tree(cutter, active, target, tree, limits))
    except PrintedTreeError as error:
        return replace(result, cause=Cause.LAZY, message=str(error), outputs=None)


def has_failed(active: ActiveAttempt, result: Result) -> bool:
    """Return whether a command ran and failed by itself."""
    if active.gone or result.cause in {None, Cause.IMAGE, Cause.WORKER_LOST}:
        return False
    node = active.live.tree.nodes.get(active.spec.path)
    return isinstance(node, LiveExec) and node.stop_reason in {None, StopReason.EXPIRE}
