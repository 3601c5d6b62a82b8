"""Fakes of the agent's ports (`agent.ports`), without time, network and containers.

Time passes only in waits; the work of other threads is done during these.
"""

import base64
import gzip
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from conducto_core.command.server import Finished
from conducto_core.workers.model import (
    Claim,
    ClaimDecision,
    ClaimResponse,
    EndResponse,
    Heartbeat,
    HeartbeatResponse,
    LogResponse,
    LogUpload,
    Report,
    ReportResponse,
    SingleCommand,
    WorkerEnd,
    WorkerInstructions,
    WorkerLogChunk,
    WorkerStart,
)
from conducto_worker.agent.port import (
    BrokenError,
    Chunk,
    LostError,
    PolledTask,
    RefusedError,
    WorkerApiError,
)

_STEP = 0.25


class FakeClock:
    """A fake `agent.ports.Clock`; time passes only in `wait` and `pass_time`.

    Attributes:
        meanwhile: Called at every step of time.
        stop_at: When the worker is asked to stop.
    """

    def __init__(self) -> None:
        self.meanwhile: list[Callable[[], object]] = []
        self.stop_at: float | None = None
        self._now = 1000.0
        self._inside = False

    def now(self) -> float:
        return self._now

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.pass_time(seconds)

    def pass_time(self, seconds: float) -> None:
        """Let time pass in small steps, with the work of other threads in between."""
        end = round(self._now + max(seconds, 0.01), 6)  # so that 60 s in steps are not less
        while self._now < end:
            self._now = min(end, self._now + _STEP)
            if not self._inside:
                self._inside = True
                for each in self.meanwhile:
                    each()
                self._inside = False

    @property
    def stopped_at(self) -> float | None:
        """Return when the worker was asked to stop."""
        told = self.stop_at is not None and self._now >= self.stop_at
        return self.stop_at if told else None


@dataclass
class FakeApi:
    """Satisfies `agent.ports.Api`.

    Attributes:
        decisions: Responses to the claims of a node, in turn; the last one is repeated.
        away: Raised by every call while it is set.
        refused: Streams whose chunks it rejects, as an API that does not know them.
        task_open: Responses to reports, in turn; then always no.
        leave: Responses to reports dismiss the worker.
        wait: The worker must not abort a poll.
        warm: Number of times that an idle worker stays.
        single: Single commands for a debug shell, one for each heartbeat.
    """

    instructions: WorkerInstructions = field(
        default_factory=lambda: WorkerInstructions(activity="arn:activity", region="us-east-1")
    )
    decisions: dict[str, list[ClaimResponse]] = field(default_factory=dict)
    away: Exception | None = None
    stop: bool = False
    followed: bool = False
    refused: set[str] = field(default_factory=set)
    task_open: list[bool] = field(default_factory=list)
    leave: bool = False
    wait: bool = True
    warm: int = 0
    single: list[SingleCommand | None] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    pulses: list[Heartbeat] = field(default_factory=list)
    chunks: list[WorkerLogChunk] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    ends: list[WorkerEnd] = field(default_factory=list)
    uploads: list[bytes] = field(default_factory=list)
    parts: dict[str, bytes] = field(default_factory=dict)

    def start(self, start: WorkerStart) -> WorkerInstructions:
        del start
        self._check()
        return self.instructions

    def claim(self, claim: Claim) -> ClaimResponse:
        self._check()
        self.claims.append(claim)
        responses = self.decisions.get(claim.node, [ClaimResponse(decision=ClaimDecision.DROP)])
        return responses.pop(0) if len(responses) > 1 else responses[0]

    def heartbeat(self, heartbeat: Heartbeat) -> HeartbeatResponse:
        self._check()
        if self.refused & {chunk.stream for chunk in heartbeat.chunks}:
            raise RefusedError("stream: unknown")
        self.pulses.append(heartbeat)
        self.chunks += heartbeat.chunks
        command = self.single.pop(0) if self.single else None
        return HeartbeatResponse(stop=self.stop, followed=self.followed, command=command)

    def log(self, chunk: WorkerLogChunk) -> LogResponse:
        self._check()
        if chunk.stream in self.refused:
            raise RefusedError(f"stream: unknown: {chunk.stream}")
        self.chunks.append(chunk)
        return LogResponse(followed=self.followed)

    def log_upload(self, wanted: LogUpload, data: bytes) -> str:
        self._check()
        self.parts[f"{wanted.stream}/{wanted.offset}"] = data
        return f"{wanted.stream}/{wanted.offset}"

    def sent(self, chunk: WorkerLogChunk) -> bytes:
        """Return the output in a chunk."""
        if chunk.key is not None:
            return gzip.decompress(self.parts[chunk.key])
        data = base64.b64decode(chunk.data)
        return gzip.decompress(data) if chunk.packed else data

    def report(self, report: Report) -> ReportResponse:
        self._check()
        self.reports.append(report)
        task_open = self.task_open.pop(0) if self.task_open else False
        following = None if report.next is None or task_open else self._decided(report.next)
        return ReportResponse(task_open=task_open, leave=self.leave, next=following)

    def _decided(self, claim: Claim) -> ClaimResponse:
        return ClaimResponse(decision=ClaimDecision.DROP) if self.leave else self.claim(claim)

    def upload(self, data: bytes) -> str:
        self._check()
        self.uploads.append(data)
        return f"uploads/{len(self.uploads)}"

    def end(self, end: WorkerEnd) -> EndResponse:
        self._check()
        self.ends.append(end)
        if end.reason == "idle" and self.warm:
            self.warm -= 1
            return EndResponse(wait=True)
        return EndResponse(wait=end.polling and self.wait)

    def _check(self) -> None:
        if self.away is not None:
            raise self.away


class FakeTasks:
    """Satisfies `agent.ports.Tasks`.

    Attributes:
        offers: Results of polls, in turn; then none, or a task added meanwhile.
        gone: Tokens of lost tasks.
        beats: Tokens that were kept alive.
        poll_seconds: How long a poll that finds nothing stays open.
    """

    def __init__(self, clock: FakeClock, offers: Sequence[PolledTask] = ()) -> None:
        self.offers = deque(offers)
        self.gone: set[str] = set()
        self.beats: list[str] = []
        self.polls = 0
        self.poll_seconds = 20.0
        self.away = False
        self.open = False
        self._clock = clock

    def poll_briefly(self, seconds: float) -> PolledTask | None:
        self.polls += 1
        self._clock.pass_time(0.01 if self.offers else seconds)
        self.open = not self.offers
        return self.offers.popleft() if self.offers else None

    def poll(self, may_abort: Callable[[], bool], *, leaving: bool = False) -> PolledTask | None:
        self.polls += not self.open
        self.open = False
        left, asked = 0.01 if self.offers else self.poll_seconds, False
        while left > 0:
            self._clock.pass_time(min(left, 1.0))
            left -= 1.0
            if (leaving or self._clock.stopped_at is not None) and not asked:
                asked = True
                if may_abort():
                    return None
        return self.offers.popleft() if self.offers else None

    def heartbeat(self, token: str) -> bool:
        if self.away:
            raise WorkerApiError("Step Functions is unreachable")
        self.beats.append(token)
        return token not in self.gone


@dataclass
class FakeCommand:
    """The scripted behaviour of a command.

    Attributes:
        output: Its output, printed at once.
        seconds: How long it runs.
        code: How it ends by itself.
        handles: Signals that end the command.
        dies: The container ends with it.
        files: Its result, metrics and artifacts, as it left them.
        act: Called at its start.
    """

    output: Sequence[Chunk] = ()
    seconds: float = 0.0
    code: int = 0
    oom_kills: int = 0
    peak: int | None = None
    handles: Sequence[str] = ("TERM", "KILL")
    dies: bool = False
    files: Mapping[str, bytes] = field(default_factory=dict)
    act: Callable[[], object] = lambda: None


class FakeCommands:
    """Satisfies `agent.ports.Commands`.

    Attributes:
        scripts: What scripts do; one that is unknown ends at once.
        signals: All that were sent.
        broken: The container never comes up, and why.
    """

    def __init__(self, clock: FakeClock, scripts: Mapping[str, FakeCommand] | None = None) -> None:
        self.scripts = dict(scripts or {})
        self.signals: list[str] = []
        self.began: list[str] = []
        self.inputs: list[str] = []
        self.broken = ""
        self.closed = False
        self._clock = clock
        self._running = FakeCommand()
        self._to_say: list[Chunk] = []
        self._since = 0.0
        self._finished: Finished | None = None

    def wait_ready(self, seconds: float, stopping: Callable[[], bool]) -> None:
        """Return at once, or fail if the container is broken."""
        del seconds, stopping
        if self.broken:
            raise BrokenError(self.broken)

    def begin(self, script: str, env: Mapping[str, str], inputs: str = "") -> None:
        del env
        self.inputs.append(inputs)
        if "\0" in script:
            raise ValueError("a command cannot hold a NUL character: a shell cannot read it")
        self.began.append(script)
        self._running = self.scripts.get(script, FakeCommand())
        self._to_say = list(self._running.output)
        self._since = self._clock.now()
        self._finished = None
        self._running.act()

    def read(self, seconds: float) -> list[Chunk]:
        """Return output, or let time pass."""
        if self._to_say:
            return [self._to_say.pop(0)]
        left = self._since + self._running.seconds - self._clock.now()
        if left > 0:
            self._clock.pass_time(min(seconds, left))
        elif self._running.dies:
            raise LostError("the container of the image ended")
        else:
            running = self._running
            self._finished = Finished(running.code, running.oom_kills, running.peak, running.files)
        return []

    @property
    def finished(self) -> Finished | None:
        return self._finished

    def signal(self, name: str) -> None:
        """End the command, if it handles the signal."""
        self.signals.append(name)
        if name in self._running.handles:
            self._finished = Finished(137 if name == "KILL" else 143, 0, None)

    def close(self) -> None:
        self.closed = True
