"""The execution of one command, from the claim's response to the result."""

import base64
import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from conducto_core.command.masking import Mask
from conducto_core.command.output import PrintedTreeError, TreeExtractor
from conducto_core.command.server import Finished, Stream
from conducto_core.diagnosis.rules.first_error import ErrorFinder
from conducto_core.results.collecting import collect_outputs
from conducto_core.results.model import OutputSummary
from conducto_core.results.outputs import LiveOutputs
from conducto_core.run.model.states import Cause
from conducto_core.run.rules.outcomes import cause_of_exit
from conducto_core.workers.model import ClaimResponse, Report
from conducto_worker.agent.heartbeats import HeartbeatSender
from conducto_worker.agent.log_shipper import LogShipper
from conducto_worker.agent.port import Clock, Commands
from conducto_worker.agent.services import Services
from conducto_worker.agent.usage import Sampler

#: Seconds between TERM and KILL, and between KILL and giving up.
GRACE_SECONDS = 5.0
#: Seconds that a command may continue once the worker is stopping; Fargate kills after 120.
LAST_SECONDS = 100.0
#: Seconds between two checks whether the command must stop.
TICK_SECONDS = 0.25
_KILLED = 137


class CommandStop(StrEnum):
    """The reason for stopping a running command."""

    ASKED = "asked"
    TIMEOUT = "timeout"
    LEAVING = "leaving"
    SERVICE = "service"


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The result of a command.

    Attributes:
        report: The report, without the tree if the tree is too large for it.
        tree: The tree that a Lazy printed, as gzipped JSON.
        usable: Whether the container, and the services beside it, can be used for another command.
    """

    report: Report
    tree: bytes | None = None
    usable: bool = True


class GracefulStop:
    """Stops a command: TERM, KILL after the grace period, then gives up. Has no clock."""

    def __init__(self, signal: Callable[[str], None]) -> None:
        self._signal = signal
        self._steps = ["TERM", "KILL"]
        self._next = 0.0
        self.why: CommandStop | None = None
        self.given_up = False

    def begin(self, why: CommandStop, now: float) -> None:
        """Start stopping the command; later calls have no effect."""
        if self.why is None:
            self.why = why
            self._next = now

    def step(self, now: float) -> None:
        """Send the next signal if it is due."""
        if self.why is None or now < self._next:
            return
        self._next = now + GRACE_SECONDS
        if self._steps:
            self._signal(self._steps.pop(0))
        else:
            self.given_up = True


class Execution:
    """One command and its output, heartbeats and result.

    Args:
        answer: The response to the claim.
        peak: Highest memory use, in bytes, of the commands before this one.
    """

    def __init__(
        self,
        response: ClaimResponse,
        *,
        commands: Commands,
        shipper: LogShipper,
        sampler: Sampler,
        keeper: HeartbeatSender,
        clock: Clock,
        services: Services,
        peak: int,
    ) -> None:
        self._response = response
        self._services = services
        self._service_failure: str | None = None
        self._commands = commands
        self._shipper = shipper
        self._sampler = sampler
        self._heartbeats = keeper
        self._clock = clock
        self._peak = peak
        self._mask = Mask(response.masked)
        self._maskers = {"stdout": self._mask.stream(), "stderr": self._mask.stream()}
        self._live = LiveOutputs(self._mask)
        self._tree = TreeExtractor() if response.prints_tree else None
        self._stopping = GracefulStop(commands.signal)
        self._output_bytes = 0
        self._errors = ErrorFinder()

    def run(self) -> CommandResult:
        """Run the command and return its result.

        Raises:
            LostError: The container ended; the result of the command is unknown.
        """
        response = self._response
        began = self._clock.now()
        self._shipper.begin(response.path, response.attempt)
        self._heartbeats.running(response.path, response.attempt)
        self._sampler.begin()
        try:
            self._shipper.add("services", self._services.places())
            failure = self._services.wait_ready(self._must_end)
            if failure is not None:
                report = self._report(0.0, Cause.SERVICE, None, failure)
                return CommandResult(report, usable=False)
            began = self._clock.now()
            self._commands.begin(response.script, response.env, response.inputs)
            finished = self._follow(began)
            outputs = self._outputs(finished)
        except ValueError as error:
            return CommandResult(self._report(0.0, Cause.IMAGE, None, str(error)))
        finally:
            self._heartbeats.ended()
            self._sampler.end()
            self._close_output()
            self._shipper.finish()
        ended = self._judge(finished, self._clock.now() - began)
        failed = ended.report.cause is not None
        found = {
            "outputs": outputs,
            "output_bytes": self._output_bytes,
            "first_error": self._errors.result() if failed else None,
        }
        return replace(ended, report=ended.report.model_copy(update=found))

    def _outputs(self, finished: Finished | None) -> OutputSummary | None:
        """Send the result, metrics and artifacts, and warnings at the end of stderr."""
        if finished is None or not finished.files:
            return None
        outputs = collect_outputs(finished.files, self._mask)
        self._close_output()
        self._send("stderr", outputs.warning_text)
        for stream, data in outputs.streams.items():
            self._shipper.add(stream, data)
        return outputs.summary

    def _must_end(self) -> bool:
        """Return whether a command that has not started yet must end."""
        stopped = self._clock.stopped_at is not None
        return stopped or self._heartbeats.stop or self._heartbeats.gone

    def _follow(self, began: float) -> Finished | None:
        """Forward output until the command has ended; return None if it could not be stopped."""
        while (finished := self._commands.finished) is None:
            if self._stopping.given_up:
                return None
            self._check_stop(began)
            if self._shipper.full:
                self._clock.wait(TICK_SECONDS)
                continue
            for part, data in self._commands.read(TICK_SECONDS):
                if part == "frame":
                    self._frame(data)
                else:
                    self._output(part, data)
        return finished

    def _check_stop(self, began: float) -> None:
        now = self._clock.now()
        limit = self._response.max_time
        told = self._clock.stopped_at
        if self._heartbeats.stop or self._heartbeats.gone:
            self._stopping.begin(CommandStop.ASKED, now)
        elif limit is not None and now - began >= limit:
            self._stopping.begin(CommandStop.TIMEOUT, now)
        elif told is not None and now - told >= LAST_SECONDS:
            self._stopping.begin(CommandStop.LEAVING, now)
        elif self._stopping.why is None and (failure := self._services.failure()) is not None:
            self._service_failure = failure
            self._stopping.begin(CommandStop.SERVICE, now)
        self._stopping.step(now)

    def _output(self, stream: Stream, data: bytes) -> None:
        if self._tree is not None and stream == "stdout":
            data = self._tree.feed(data)
        self._send(stream, self._maskers[stream].feed(data))

    def _frame(self, data: bytes) -> None:
        line = self._live.add(data)
        if line is not None:
            self._shipper.add(*line)

    def _close_output(self) -> None:
        if self._tree is not None:
            self._send("stdout", self._maskers["stdout"].feed(self._tree.finish()))
        for stream, masker in self._maskers.items():
            self._send("stdout" if stream == "stdout" else "stderr", masker.finish())

    def _send(self, stream: Stream, data: bytes) -> None:
        self._output_bytes += len(data)
        self._errors.feed(stream, data)
        self._shipper.add(stream, data)

    def _judge(self, finished: Finished | None, seconds: float) -> CommandResult:
        usable = finished is not None and self._stopping.why is not CommandStop.SERVICE
        if finished is None:
            finished = Finished(_KILLED, 0, None)
        peak = finished.peak_memory
        # The kernel records the peak of the container's lifetime: only a new peak is this
        # command's.
        mine = peak if peak is not None and peak > self._peak else None
        cause, message = self._cause(finished, seconds)
        tree = None
        if self._tree is not None and cause is None and self._stopping.why is None:
            try:
                tree = gzip.compress(json.dumps(self._tree.tree()).encode(), 1, mtime=0)
            except PrintedTreeError as error:
                cause, message = Cause.LAZY, str(error)
        report = self._report(seconds, cause, finished.code, message, finished.interpreter)
        return CommandResult(report.model_copy(update={"peak_memory": mine}), tree, usable)

    def _cause(self, finished: Finished, seconds: float) -> tuple[Cause | None, str | None]:
        why = self._stopping.why
        if why is CommandStop.TIMEOUT:
            return Cause.TIMEOUT, f"stopped after {seconds:.0f} s: max_time was reached"
        if why is CommandStop.SERVICE:
            return Cause.SERVICE, self._service_failure
        if why is CommandStop.LEAVING:
            return Cause.WORKER_LOST, "the worker was stopped by AWS or by a user"
        if finished.oom_kills > 0 and finished.code != 0:
            message = (
                "out of memory: the kernel killed it at the node's limit; raise mem= on the node"
            )
            return Cause.OUT_OF_MEMORY, message
        return cause_of_exit(finished.code), None

    def _report(
        self,
        seconds: float,
        cause: Cause | None,
        code: int | None,
        message: str | None,
        interpreter: str = "",
    ) -> Report:
        return Report(
            path=self._response.path,
            attempt=self._response.attempt,
            cause=cause,
            exit_code=code,
            message=None if message is None else self._mask.text(message),
            seconds=seconds,
            interpreter=interpreter or None,
        )


def in_report(tree: bytes) -> str:
    """Return a tree in the encoding of `Report.tree`."""
    return base64.b64encode(tree).decode("ascii")
