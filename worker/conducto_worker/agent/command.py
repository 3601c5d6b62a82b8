"""The execution of one command, from the claim's response to the result."""

import base64
import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from conducto_core.command.masking import Mask
from conducto_core.command.run import CommandRun
from conducto_core.command.server import Finished
from conducto_core.command.usage import PeakMemory
from conducto_core.run.model.states import Cause
from conducto_core.run.rules.outcomes import AttemptEnd, cause_of_exit, out_of_memory
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
        response: The response to the claim.
        peak: The peaks of the container.
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
        peak: PeakMemory,
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
        self._output = CommandRun(shipper, Mask(response.masked), prints_tree=response.prints_tree)
        self._stopping = GracefulStop(commands.signal)

    def run(self) -> CommandResult:
        """Run the command and return its result.

        Raises:
            LostError: The container ended; the result of the command is unknown.
        """
        response, seconds, usable = self._response, 0.0, True
        self._shipper.begin(response.path, response.attempt)
        self._heartbeats.running(response.path, response.attempt)
        self._sampler.begin()
        try:
            self._shipper.write("services", self._services.places())
            failure = self._services.wait_ready(self._must_end)
            if failure is not None:
                usable = False
                cause, facts = Cause.SERVICE, AttemptEnd(message=failure)
            else:
                began = self._clock.now()
                self._commands.begin(response.script, response.env, response.inputs)
                finished = self._follow(began)
                usable = finished is not None and self._stopping.why is not CommandStop.SERVICE
                finished = finished or Finished(_KILLED, 0, None)
                self._output.collect(finished.files)
                seconds = self._clock.now() - began
                cause, facts = self._judge(finished, seconds)
        except ValueError as error:
            cause, facts = Cause.IMAGE, AttemptEnd(message=str(error))
        finally:
            self._heartbeats.ended()
            self._sampler.end()
            self._output.close()
            self._shipper.finish()
        self._shipper.drain_attempt()
        is_stopped = self._stopping.why is not None
        end = self._output.end(cause, facts, None if is_stopped else _packed)
        report = Report(
            path=response.path,
            attempt=response.attempt,
            cause=end.cause,
            seconds=seconds,
            **{name: value for name, value in end.facts._asdict().items() if name != "decision"},
        )
        return CommandResult(report, end.tree, usable)

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
                self._output.part(part, data)
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

    def _judge(self, finished: Finished, seconds: float) -> tuple[Cause | None, AttemptEnd]:
        """Return why the command failed, unless its exit code decides, and its facts."""
        cause, message = None, None
        why = self._stopping.why
        if why is CommandStop.TIMEOUT:
            cause = Cause.TIMEOUT
            message = f"stopped after {seconds:.0f} s: max_time was reached"
        elif why is CommandStop.SERVICE:
            cause, message = Cause.SERVICE, self._service_failure
        elif why is CommandStop.LEAVING:
            cause, message = Cause.WORKER_LOST, "the worker was stopped by AWS or by a user"
        elif cause_of_exit(finished.code, finished.oom_kills) is Cause.OUT_OF_MEMORY:
            cause, message = Cause.OUT_OF_MEMORY, out_of_memory(self._response.mem)
        peak = self._peak.of_command(finished.peak_memory)
        interpreter = finished.interpreter or None
        return cause, AttemptEnd(finished.code, message, peak, interpreter=interpreter)


def _packed(document: dict[str, Any]) -> bytes:
    return gzip.compress(json.dumps(document).encode(), 1, mtime=0)


def in_report(tree: bytes) -> str:
    """Return a tree in the encoding of `Report.tree`."""
    return base64.b64encode(tree).decode("ascii")
