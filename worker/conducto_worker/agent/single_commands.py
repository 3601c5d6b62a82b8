"""Single commands in the container of a debug shell without sessions, one after the other."""

from dataclasses import dataclass, field

from conducto_core.command.server import Stream
from conducto_core.workers.model import (
    Heartbeat,
    ShellInstructions,
    SingleCommand,
    SingleCommandEnd,
)
from conducto_worker.agent.command import CommandStop, GracefulStop
from conducto_worker.agent.port import (
    Api,
    Clock,
    Commands,
    LostError,
    WorkerApiError,
    WorkerGoneError,
)

#: Seconds without a command after which the shell ends.
IDLE_SECONDS = 300.0
_TICK_SECONDS = 0.1


@dataclass
class _Running:
    command: SingleCommand
    position: int
    began: float
    stopping: GracefulStop
    kept: dict[Stream, bytearray] = field(
        default_factory=lambda: {"stdout": bytearray(), "stderr": bytearray()}
    )
    sizes: dict[Stream, int] = field(default_factory=lambda: {"stdout": 0, "stderr": 0})

    def add(self, stream: Stream, data: bytes) -> None:
        self.sizes[stream] += len(data)
        kept = self.kept[stream]
        kept += data
        del kept[: max(0, len(kept) - self.command.max_bytes)]

    def end(self, code: int, now: float) -> SingleCommandEnd:
        return SingleCommandEnd(
            number=self.command.number,
            position=self.position,
            code=code,
            stdout=self.kept["stdout"].decode(errors="replace"),
            stderr=self.kept["stderr"].decode(errors="replace"),
            stdout_size=self.sizes["stdout"],
            stderr_size=self.sizes["stderr"],
            seconds=round(now - self.began, 3),
            timed_out=self.stopping.why is not None,
        )


class SingleCommands:
    """Runs the commands that the responses to heartbeats have.

    Args:
        every: Seconds between two heartbeats.
    """

    def __init__(
        self,
        shell: ShellInstructions,
        every: float,
        *,
        api: Api,
        commands: Commands,
        clock: Clock,
    ) -> None:
        self._shell = shell
        self._every = every
        self._api = api
        self._commands = commands
        self._clock = clock
        self._running: _Running | None = None
        self._ended: SingleCommandEnd | None = None
        self._used = self._sent = float("-inf")
        self._position = 0

    def run(self) -> str:
        """Run commands until the shell ends; return the reason.

        Raises:
            LostError: The container ended, or a command could not be stopped.
        """
        began = self._used = self._clock.now()
        while True:
            now = self._clock.now()
            if now - self._sent >= self._every:
                self._sent = now
                if self._beat():
                    return "closed on request"
            if self._running is None:
                self._clock.wait(_TICK_SECONDS)
                self._commands.read(0)
            else:
                self._step(self._running)
            if self._clock.stopped_at is not None:
                return "the worker is stopping"
            if now - began >= self._shell.seconds:
                return "the time limit was reached"
            if self._running is None and now - self._used >= IDLE_SECONDS:
                return "no command was run for some minutes"

    def _beat(self) -> bool:
        """Report the last result, and start the next command; return whether to leave."""
        beat = Heartbeat(path=self._shell.path, attempt=self._shell.attempt, ended=self._ended)
        try:
            response = self._api.heartbeat(beat)
        except WorkerGoneError:
            return True
        except WorkerApiError:
            return False  # the next one may arrive
        command = response.command
        last = 0 if self._ended is None else self._ended.number
        if command is not None and self._running is None and command.number > last:
            self._begin(command)
        return response.stop

    def _begin(self, command: SingleCommand) -> None:
        secrets = {name: each.get_secret_value() for name, each in self._shell.secrets.items()}
        now = self._clock.now()
        stopping = GracefulStop(self._commands.signal)
        self._running = _Running(command, self._position, now, stopping)
        self._position += 1
        try:
            self._commands.begin(command.command, {**self._shell.env, **secrets})
        except ValueError as error:  # a shell cannot take it
            self._running.add("stderr", str(error).encode())
            self._finish(self._running, 2)

    def _step(self, running: _Running) -> None:
        for part, data in self._commands.read(_TICK_SECONDS):
            if part != "frame":
                running.add(part, data)
        now = self._clock.now()
        finished = self._commands.finished
        if finished is not None:
            self._finish(running, finished.code)
            return
        if now - running.began >= running.command.timeout:
            running.stopping.begin(CommandStop.TIMEOUT, now)
        running.stopping.step(now)
        if running.stopping.given_up:
            raise LostError("a command could not be stopped")

    def _finish(self, running: _Running, code: int) -> None:
        self._used = self._clock.now()
        self._ended = running.end(code, self._used)
        self._running = None
        self._sent = float("-inf")  # report it now
